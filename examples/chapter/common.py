"""What the scripts of the chapter share: their options, and the data sets as the notes prepare them."""

from __future__ import annotations

import argparse

import numpy as np

import minidl as keras
from minidl.errors import DataNotFoundError


def options(description: str | None) -> argparse.Namespace:
    """`--quick` shows in seconds that a script runs; its figures mean nothing."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little data, one or two epochs")
    return parser.parse_args()


def fashion_mnist(arguments: argparse.Namespace):
    """(x, y) to train on, to validate on (the first 5,000) and to test with; pixels from 0 to 1."""
    try:
        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    except DataNotFoundError:
        print("Fashion-MNIST is not on this machine: using the sample that comes with minidl")
        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_sample()
    return _split(x, y, x_test, y_test, arguments.quick)


def cifar10(arguments: argparse.Namespace):
    """The same of CIFAR-10; the labels in one axis."""
    try:
        (x, y), (x_test, y_test) = keras.datasets.cifar10.load_data()
    except DataNotFoundError as error:
        print(f"{error}\nInstead: noise, from which nothing can be learned")
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (5000, 32, 32, 3), np.uint8), rng.integers(0, 10, (5000, 1), np.uint8)
        x_test, y_test = x[4000:], y[4000:]
    return _split(x, y[:, 0], x_test, y_test[:, 0], arguments.quick)


def _split(x, y, x_test, y_test, quick: bool):
    valid = min(5000, len(x) // 12)
    x, x_test = (pixels.astype(np.float32) / 255 for pixels in (x, x_test))
    last = valid + 1500 if quick else len(x)
    return (x[valid:last], y[valid:last]), (x[:valid], y[:valid]), (x_test, y_test)
