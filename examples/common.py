"""What the examples share: their options, and Fashion-MNIST scaled and split into training, validation and test."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import minidl as keras
from minidl.errors import DataNotFoundError


def options(description: str, epochs: int = 10) -> argparse.Namespace:
    """The options of every example."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs, help=f"passes over the data ({epochs})")
    parser.add_argument("--images", type=int, help="use only so many training images")
    parser.add_argument("--output", type=Path, help="folder to write the histories to, as CSV")
    return parser.parse_args()


def fashion_mnist(images: int | None = None, standardize: bool = False):
    """(x, y) to train on, to validate on (the first 5,000 images, or a twelfth) and to test with; x as float32."""
    try:
        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    except DataNotFoundError:
        print("Fashion-MNIST is not on this machine: using the sample that comes with minidl")
        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_sample()
    valid = len(x) // 12
    mean, std = (x[valid:].mean(axis=0), x[valid:].std(axis=0) + 1e-7) if standardize else (0.0, 255.0)

    def scale(pixels: np.ndarray) -> np.ndarray:
        return ((pixels - mean) / std).astype(np.float32)

    train = slice(valid, None if images is None else valid + images)
    return (scale(x[train]), y[train]), (scale(x[:valid]), y[:valid]), (scale(x_test), y_test)


def cifar10():
    """(x, y) to train on and to test with; x as bytes."""
    try:
        return keras.datasets.cifar10.load_data()
    except DataNotFoundError as error:
        print(f"{error}\nInstead: noise, from which nothing can be learned")
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (5000, 32, 32, 3), np.uint8), rng.integers(0, 10, (5000, 1), np.uint8)
        return (x[:4000], y[:4000]), (x[4000:], y[4000:])


def train(name: str, model: keras.Sequential, data, arguments: argparse.Namespace, learning_rate: float = 1e-3) -> None:
    """Train with SGD as the note does, and print one row of the table in README.md."""
    train_data, validation_data, test_data = data
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.SGD(learning_rate=learning_rate),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = model.fit(*train_data, epochs=arguments.epochs, validation_data=validation_data)
    seconds = time.perf_counter() - start
    _loss, accuracy = model.evaluate(*test_data, verbose=0)
    last = {name: values[-1] for name, values in history.history.items()}
    figures = f"{last['loss']:.3f} | {last['val_accuracy']:.4f} | {accuracy:.4f} | {seconds:.0f} s"
    print(f"| {name} | {arguments.epochs} | {figures} |")
    if arguments.output is not None:
        from minidl.saving import write_history_csv

        write_history_csv(arguments.output / f"{name}.csv", history.epoch, history.history)
