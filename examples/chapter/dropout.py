"""Dropout, alpha dropout, and Monte-Carlo dropout on Fashion-MNIST.

Prints the accuracies of the three, and what Monte-Carlo dropout says about the first test image that it is unsure of.
"""

import numpy as np
from common import fashion_mnist, options

import minidl as keras

arguments = options(__doc__)
(X_train, y_train), (X_valid, y_valid), (X_test, y_test) = fashion_mnist(arguments)
epochs, samples = (1, 5) if arguments.quick else (20, 100)
mean, std = X_train.mean(axis=0, keepdims=True), X_train.std(axis=0, keepdims=True) + 1e-7
X_train_scaled, X_valid_scaled, X_test_scaled = ((X - mean) / std for X in (X_train, X_valid, X_test))


def fit(name, layers, optimizer, scaled=False):
    """A trained network of these layers, and a line about it."""
    keras.utils.set_random_seed(42)
    model = keras.models.Sequential([keras.layers.Flatten(input_shape=[28, 28]), *layers()])
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer(), metrics=["accuracy"])
    X, valid, test = (X_train_scaled, X_valid_scaled, X_test_scaled) if scaled else (X_train, X_valid, X_test)
    model.fit(X, y_train, epochs=epochs, verbose=0)
    sets = ((X, y_train), (valid, y_valid), (test, y_test))
    results = [model.evaluate(*data, verbose=0)[1] for data in sets]
    print(f"| {name} | {' | '.join(f'{accuracy:.4f}' for accuracy in results)} |")
    return model


def relu(units):
    return keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")


def selu(units):
    return keras.layers.Dense(units, activation="selu", kernel_initializer="lecun_normal")


def softmax():
    return keras.layers.Dense(10, activation="softmax")


def dropout():
    return keras.layers.Dropout(rate=0.2)


def alpha_dropout():
    return keras.layers.AlphaDropout(rate=0.2)


print("| network | accuracy in training | validation | test |")
print("|---|---|---|---|")
fit("ReLU, no dropout", lambda: [relu(300), relu(100), softmax()], keras.optimizers.Nadam)
fit(
    "ReLU, dropout 0.2",
    lambda: [dropout(), relu(300), dropout(), relu(100), dropout(), softmax()],
    keras.optimizers.Nadam,
)
model = fit(
    "SELU, alpha dropout 0.2",
    lambda: [alpha_dropout(), selu(300), alpha_dropout(), selu(100), alpha_dropout(), softmax()],
    lambda: keras.optimizers.SGD(learning_rate=0.01, momentum=0.9, nesterov=True),
    scaled=True,
)

y_probas = np.stack([np.asarray(model(X_test_scaled, training=True)) for _ in range(samples)])
y_proba, y_std = y_probas.mean(axis=0), y_probas.std(axis=0)
accuracy = np.mean(np.argmax(y_proba, axis=1) == y_test)
print(f"\nMonte-Carlo dropout, {samples} samples of the last one: test accuracy {accuracy:.4f}")

unsure = int(np.argmax(y_std.max(axis=1) > 0.2))
print(f"\nImage {unsure}, which is of class {y_test[unsure]}:")
with np.printoptions(precision=2, suppress=True):
    print("  without dropout", np.asarray(model.predict(X_test_scaled[unsure : unsure + 1], verbose=0))[0])
    print("  mean           ", y_proba[unsure])
    print("  deviation      ", y_std[unsure])


class MCAlphaDropout(keras.layers.AlphaDropout):
    def call(self, inputs):
        return super().call(inputs, training=True)


mc_model = keras.models.Sequential([
    MCAlphaDropout(layer.rate) if isinstance(layer, keras.layers.AlphaDropout) else layer for layer in model.layers
])  # fmt: skip
mc_model.build((None, 28, 28))
mc_model.set_weights(model.get_weights())
y_mc = np.mean([mc_model.predict(X_test_scaled[:1], verbose=0) for _ in range(samples)], axis=0)
with np.printoptions(precision=2, suppress=True):
    print(f"\nThe same as a layer, image 0: {y_mc[0]}")
y_mean, _y_std = keras.predict_mc(model, X_test_scaled[:1], samples)
with np.printoptions(precision=2, suppress=True):
    print(f"and as one call:              {y_mean[0]}")
