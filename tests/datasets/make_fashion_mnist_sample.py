"""Makes the sample of Fashion-MNIST that comes with minidl, from the whole set.

    PYTHONPATH=. python tests/datasets/make_fashion_mnist_sample.py

Of each class 1,000 training and 200 test images, drawn without replacement and left in the order of the whole set. The
seed is fixed and a .npz file has no date in it, so the same zlib gives the same bytes every time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from minidl.datasets import fashion_mnist
from minidl.datasets.finding import Data

SEED = 2017
TARGET = Path(__file__).parents[2] / "minidl" / "datasets" / "fashion_mnist_sample.npz"


def stratified(labels: npt.NDArray[np.uint8], per_class: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Where `per_class` labels of each class are, in ascending order."""
    classes = [np.flatnonzero(labels == k) for k in range(len(fashion_mnist.CLASS_NAMES))]
    return np.sort(np.concatenate([rng.choice(indices, per_class, replace=False) for indices in classes]))


def make(target: Path, data: Data) -> None:
    """Write the sample of the whole set `data` to `target`."""
    (x_train, y_train), (x_test, y_test) = data
    rng = np.random.default_rng(SEED)
    train, test = stratified(y_train, 1000, rng), stratified(y_test, 200, rng)
    np.savez_compressed(
        target, x_train=x_train[train], y_train=y_train[train], x_test=x_test[test], y_test=y_test[test]
    )


if __name__ == "__main__":
    make(TARGET, fashion_mnist.load_data())
