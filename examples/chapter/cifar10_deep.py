"""The exercise: 20 hidden layers of 100 units on CIFAR-10, in six ways.

(a) ELU, He initialization, Nadam; (b) with batch normalization; (c) SELU, LeCun initialization, standardized inputs;
(d) with alpha dropout; (e) Monte-Carlo alpha dropout of (d); (f) 1cycle for (d). Early stopping on the validation loss,
whose best weights are kept.
"""

import time

import numpy as np
from common import cifar10, options

import minidl as keras

arguments = options(__doc__)
(X_train, y_train), (X_valid, y_valid), _ = cifar10(arguments)
epochs, patience, samples = (1, 1, 3) if arguments.quick else (60, 10, 100)
LAYERS, UNITS, BATCH = 20, 100, 128
mean, std = X_train.mean(axis=0), X_train.std(axis=0)
X_train_scaled, X_valid_scaled = ((X - mean) / std for X in (X_train, X_valid))


def network(*hidden):
    """A classifier whose hidden layers are LAYERS times what `hidden` makes."""
    layers = [keras.layers.Flatten(input_shape=[32, 32, 3])]
    for _ in range(LAYERS):
        layers += [make() for make in hidden]
    return keras.models.Sequential(layers)


def he():
    return keras.layers.Dense(UNITS, kernel_initializer="he_normal")


def elu():
    return keras.layers.Activation("elu")


def selu():
    return keras.layers.Dense(UNITS, kernel_initializer="lecun_normal", activation="selu")


def train(name, model, learning_rate, scaled=False, one_cycle=None, output_dropout=None):
    """Train, and print a row."""
    keras.utils.set_random_seed(42)
    if output_dropout is not None:
        model.add(keras.layers.AlphaDropout(rate=output_dropout))
    model.add(keras.layers.Dense(10, activation="softmax"))
    X, valid = (X_train_scaled, X_valid_scaled) if scaled else (X_train, X_valid)
    if one_cycle is None:
        optimizer, length = keras.optimizers.Nadam(learning_rate=learning_rate), epochs
        callbacks = [keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True)]
    else:
        optimizer, length = keras.optimizers.SGD(learning_rate=learning_rate), one_cycle
        callbacks = [keras.callbacks.OneCycle(learning_rate)]
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    start = time.perf_counter()
    log = model.fit(
        X, y_train, BATCH, length, validation_data=(valid, y_valid), callbacks=callbacks, verbose=0
    ).history
    seconds = (time.perf_counter() - start) / len(log["loss"])
    accuracy = model.evaluate(valid, y_valid, verbose=0)[1]
    best = int(np.argmin(log["val_loss"])) + 1
    print(f"| {name} | {learning_rate:g} | {len(log['loss'])} | {best} | {seconds:.1f} | {accuracy:.4f} |", flush=True)
    return model


print("| network | learning rate | epochs | best epoch | seconds an epoch | validation accuracy |")
print("|---|---|---|---|---|---|")
train("(a) ELU, He", network(he, elu), 5e-5)
train("(b) with batch normalization", network(he, keras.layers.BatchNormalization, elu), 5e-4)
train("(c) SELU, standardized", network(selu), 7e-4, scaled=True)
model = train("(d) with alpha dropout 0.1", network(selu), 5e-4, scaled=True, output_dropout=0.1)
mean_probability, _ = keras.predict_mc(model, X_valid_scaled, samples)
accuracy = np.mean(np.argmax(mean_probability, axis=1) == y_valid)
print(f"| (e) Monte-Carlo, {samples} samples of (d) | | | | | {accuracy:.4f} |", flush=True)
train("(f) SELU, dropout, 1cycle", network(selu), 0.05, scaled=True, one_cycle=min(epochs, 15), output_dropout=0.1)
