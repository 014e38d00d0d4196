"""Pretraining on an auxiliary task: does a task help whose labels cost nothing?

All 10,000 Fashion-MNIST images that come with minidl are turned by 0, 90, 180 or 270 degrees, and a network learns to
tell by how much: to do so, it must know what shirts and shoes look like.  (Gidaris et al. 2018) Its hidden layers then
begin another network, by `load_weights_matching`, which learns the ten classes from few labels. Beside it the same
network from random weights.

    python pretraining_auxiliary.py

prints what was loaded, and the test accuracy of both, the mean and the spread over the seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

import minidl as keras
from minidl.layers import BatchNormalization, Dense, Flatten, Input, Rescaling

BATCH = 20


def network(classes: int, name: str) -> keras.Sequential:
    """Two hidden layers, which have the same names whatever the task is, and a softmax."""
    return keras.Sequential([
        Input((28, 28)), Rescaling(1 / 255), Flatten(),
        Dense(200, activation="relu", kernel_initializer="he_normal", name="hidden_1"), BatchNormalization(name="bn_1"),
        Dense(100, activation="relu", kernel_initializer="he_normal", name="hidden_2"), BatchNormalization(name="bn_2"),
        Dense(classes, activation="softmax", name=f"{name}_output"),
    ], name=name)  # fmt: skip


def trained(model: keras.Sequential, x: np.ndarray, y: np.ndarray, epochs: int) -> keras.Sequential:
    """The model after so many epochs."""
    model.compile(keras.optimizers.Nadam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def turned(x: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Every image turned by some quarters of a circle, and by how many."""
    quarters = generator.integers(0, 4, len(x))
    return np.stack([np.rot90(image, k) for image, k in zip(x, quarters, strict=True)]), quarters


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
        auxiliary = trained(network(4, "turned"), *turned(x, generator), epochs)
        arrays = {v.path.removeprefix("turned/"): v.numpy() for v in auxiliary.variables}
        for count in labels:
            few = generator.permutation(len(x))[:count]
            models = [network(10, "random"), network(10, "clothes")]
            report = keras.models.load_weights_matching(models[1], arrays, r"hidden_|bn_")
            for model in models:
                trained(model, x[few], y[few], max(1, steps * BATCH // count))
            accuracies[count].append([model.evaluate(x_test, y_test, verbose=0)[1] for model in models])
    print(f"{report}\n")
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
