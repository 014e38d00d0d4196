"""Unsupervised pretraining: does a stacked autoencoder help where only few images have labels?

Of the 10,000 Fashion-MNIST images that come with minidl a few have labels; all of them train an autoencoder, 784 → 200
→ 50 → 200 → 784, to give back what it gets. Its encoder then becomes the lower part of a classifier, which is trained
on the few labels: first with the encoder frozen, then as a whole. Beside it the same network from random weights.

    python pretraining_autoencoder.py

prints the test accuracy of both, the mean and the spread over the seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

import minidl as keras
from minidl.layers import Dense, Flatten, Input, Rescaling, Reshape

BATCH = 20


def encoder() -> keras.Sequential:
    """The lower part of the classifier: two hidden layers."""
    return keras.Sequential([
        Input((28, 28)), Rescaling(1 / 255), Flatten(),
        Dense(200, activation="elu", kernel_initializer="he_normal"),
        Dense(50, activation="elu", kernel_initializer="he_normal"),
    ], name="encoder")  # fmt: skip


def pretrained(x: np.ndarray, epochs: int) -> list[np.ndarray]:
    """The weights of an encoder that has learned to say of an image what a decoder needs to draw it."""
    encodes = encoder()
    decodes = keras.Sequential([
        Dense(200, activation="elu", kernel_initializer="he_normal"), Dense(784, activation="sigmoid"),
        Reshape((28, 28)),
    ], name="decoder")  # fmt: skip
    autoencoder = keras.Sequential([encodes, decodes])
    autoencoder.compile(keras.optimizers.Nadam(1e-3), "binary_crossentropy")
    autoencoder.fit(x, (x / 255).astype(np.float32), batch_size=64, epochs=epochs, verbose=0)
    return encodes.get_weights()


def classifier(weights: list[np.ndarray] | None, x: np.ndarray, y: np.ndarray, steps: int) -> keras.Model:
    """The encoder with a softmax on top, trained; weights that are given stay as they are in the first half."""
    lower = encoder()
    model = keras.Sequential([lower, Dense(10, activation="softmax")])
    model.compile(keras.optimizers.Nadam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    epochs = max(2, steps * BATCH // len(x))
    if weights is not None:
        lower.set_weights(weights)
        keras.models.freeze(model, r"encoder/")
        model.fit(x, y, batch_size=BATCH, epochs=epochs // 2, verbose=0)
        keras.models.unfreeze(model, r"encoder/")
        epochs -= epochs // 2
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def main() -> None:
    """Train both for every seed and number of labels, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="see whether it runs")
    options = parser.parse_args()
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_sample()
    labels, seeds, epochs, steps = options.labels, options.seeds, 10, 1000
    if options.quick:
        x, y, labels, seeds, epochs, steps = x[:500], y[:500], [100], 1, 1, 20

    accuracies: dict[int, list[list[float]]] = {count: [] for count in labels}
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        generator = np.random.default_rng(seed)
        weights = pretrained(x, epochs)
        for count in labels:
            few = generator.permutation(len(x))[:count]
            models = [classifier(start, x[few], y[few], steps) for start in (None, weights)]
            accuracies[count].append([model.evaluate(x_test, y_test, verbose=0)[1] for model in models])
    show(accuracies)


def show(accuracies: dict[int, list[list[float]]]) -> None:
    """A row for each number of labels: the means of both, their spreads, and the difference."""
    print("| labels | from random weights | pretrained | difference |\n|---|---|---|---|")
    for count, found in accuracies.items():
        means, spreads = np.mean(found, axis=0), np.std(found, axis=0)
        cells = " | ".join(f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(means, spreads, strict=True))
        print(f"| {count} | {cells} | {means[1] - means[0]:+.3f} |")


if __name__ == "__main__":
    main()
