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


def encoder() -> keras.Sequential:
    """The lower part of the classifier: two hidden layers."""
    return keras.Sequential([
        Input((28, 28)), Rescaling(1 / 255), Flatten(),
        Dense(200, activation="elu", kernel_initializer="he_normal"),
        Dense(50, activation="elu", kernel_initializer="he_normal"),
    ], name="encoder")  # fmt: skip


def pretrained(x: np.ndarray, epochs: int) -> keras.Sequential:
    """An encoder that has learned to say of an image what a decoder needs to draw it."""
    encodes = encoder()
    decodes = keras.Sequential([
        Dense(200, activation="elu", kernel_initializer="he_normal"), Dense(784, activation="sigmoid"),
        Reshape((28, 28)),
    ], name="decoder")  # fmt: skip
    autoencoder = keras.Sequential([encodes, decodes])
    autoencoder.compile(keras.optimizers.Nadam(1e-3), "binary_crossentropy")
    autoencoder.fit(x, (x / 255).astype(np.float32), batch_size=64, epochs=epochs, verbose=0)
    return encodes


def classifier(lower: keras.Sequential, x: np.ndarray, y: np.ndarray, epochs: int, freeze_first: bool) -> keras.Model:
    """The encoder with a softmax on top, trained; the encoder only in the second half if it is worth keeping."""
    model = keras.Sequential([lower, Dense(10, activation="softmax")])
    model.compile(keras.optimizers.Nadam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    if freeze_first:
        keras.models.freeze(model, r"encoder/")
        model.fit(x, y, epochs=epochs // 2, verbose=0)
        keras.models.unfreeze(model, r"encoder/")
        epochs -= epochs // 2
    model.fit(x, y, epochs=epochs, verbose=0)
    return model


def main() -> None:
    """Train both for every number of labels and every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="see whether it runs")
    options = parser.parse_args()
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_sample()
    labels, seeds, epochs = ((100, 1000), options.seeds, (20, 40))
    if options.quick:
        x, y, labels, seeds, epochs = x[:1000], y[:1000], (100,), 1, (1, 2)

    print("| labels | from random weights | pretrained | difference |\n|---|---|---|---|")
    for count in labels:
        accuracies = []
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            few = np.random.default_rng(seed).permutation(len(x))[:count]
            start = {False: encoder(), True: pretrained(x, epochs[0])}
            models = [classifier(lower, x[few], y[few], epochs[1], better) for better, lower in start.items()]
            accuracies.append([model.evaluate(x_test, y_test, verbose=0)[1] for model in models])
        means, spreads = np.mean(accuracies, axis=0), np.std(accuracies, axis=0)
        cells = " | ".join(f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(means, spreads, strict=True))
        print(f"| {count} | {cells} | {means[1] - means[0]:+.3f} |", flush=True)


if __name__ == "__main__":
    main()
