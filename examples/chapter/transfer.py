"""Reusing pretrained layers: Fashion-MNIST split into task A (eight classes) and task B (sandal or shirt, 200 images).

Trains on A, then on B from scratch and with A's layers: first frozen, then all of them at a low rate. The notes found
such an experiment easy to make look good; so it is repeated with other seeds, and all of them are shown.
"""

import numpy as np
from common import fashion_mnist, options

import minidl as keras

arguments = options(__doc__)
train, valid, test = fashion_mnist(arguments)
SEEDS = [42] if arguments.quick else [42, 43, 44, 45, 46]
SANDAL, SHIRT = 5, 6


def task_a(X, y):
    """All but sandals and shirts, numbered from 0 to 7."""
    rest = (y != SANDAL) & (y != SHIRT)
    labels = y[rest].astype(int)
    return X[rest], np.where(labels > SHIRT, labels - 2, labels)


def task_b(X, y):
    """Is it a shirt (or a sandal)?"""
    either = (y == SANDAL) | (y == SHIRT)
    return X[either], (y[either] == SHIRT).astype(np.float32)


def hidden_layers():
    layers = [keras.layers.Flatten(input_shape=[28, 28])]
    return layers + [keras.layers.Dense(n, activation="selu", kernel_initializer="lecun_normal")
                     for n in (300, 100, 50, 50, 50)]  # fmt: skip


def compiled(model, loss, learning_rate):
    optimizer = keras.optimizers.SGD(learning_rate=learning_rate)
    model.compile(loss=loss, optimizer=optimizer, metrics=["accuracy"])
    return model


(X_train_A, y_train_A), (X_valid_A, y_valid_A) = task_a(*train), task_a(*valid)
(X_train_B, y_train_B), (X_valid_B, y_valid_B), (X_test_B, y_test_B) = task_b(*train), task_b(*valid), task_b(*test)
X_train_B, y_train_B = X_train_B[:200], y_train_B[:200]
print(f"task A: {len(X_train_A)} images of 8 classes; task B: {len(X_train_B)} images of 2 classes")

keras.utils.set_random_seed(42)
model_A = compiled(keras.models.Sequential([*hidden_layers(), keras.layers.Dense(8, activation="softmax")]),
                   "sparse_categorical_crossentropy", 1e-3)  # fmt: skip
model_A.fit(X_train_A, y_train_A, epochs=1 if arguments.quick else 20, verbose=0)
print(f"task A: validation accuracy {model_A.evaluate(X_valid_A, y_valid_A, verbose=0)[1]:.4f}\n")

print("| seed | B from scratch, errors in 100 | with A's layers, errors in 100 | fewer by a factor of |")
print("|---|---|---|---|")
epochs = 1 if arguments.quick else 20
for seed in SEEDS:
    keras.utils.set_random_seed(seed)
    model_B = compiled(keras.models.Sequential([*hidden_layers(), keras.layers.Dense(1, activation="sigmoid")]),
                       "binary_crossentropy", 1e-3)  # fmt: skip
    model_B.fit(X_train_B, y_train_B, epochs=epochs, validation_data=(X_valid_B, y_valid_B), verbose=0)

    # A copy, or training on B would change A as well: the layers are shared.
    model_A_clone = keras.models.clone_model(model_A)
    model_A_clone.set_weights(model_A.get_weights())
    model_B_on_A = keras.models.Sequential(model_A_clone.layers[:-1])
    model_B_on_A.add(keras.layers.Dense(1, activation="sigmoid"))
    for layer in model_B_on_A.layers[:-1]:
        layer.trainable = False
    compiled(model_B_on_A, "binary_crossentropy", 1e-3)
    model_B_on_A.fit(X_train_B, y_train_B, epochs=epochs // 5 or 1, verbose=0)
    for layer in model_B_on_A.layers[:-1]:
        layer.trainable = True
    compiled(model_B_on_A, "binary_crossentropy", 1e-3)
    model_B_on_A.fit(X_train_B, y_train_B, epochs=epochs - epochs // 5, verbose=0)

    scratch, reused = (100 * (1 - m.evaluate(X_test_B, y_test_B, verbose=0)[1]) for m in (model_B, model_B_on_A))
    print(f"| {seed} | {scratch:.2f} | {reused:.2f} | {scratch / max(reused, 0.05):.1f} |")
