"""MNIST: 70,000 handwritten digits of 28×28 pixels, since 1998 the first thing that every classifier is tried on.

LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from minidl.datasets.finding import Data
from minidl.datasets.four_files import FourFiles
from minidl.datasets.reading import opened, sha256
from minidl.errors import DataFileError

NPZ_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
_NPZ_LIMIT = 16 << 20  # bytes; the file has 11 million


class _Mnist(FourFiles):
    """MNIST in its four files, or in the one that Keras makes of them."""

    def read(self, place: Path) -> Data:
        return _read_npz(place) if os.path.isfile(place) else super().read(place)


def _read_npz(path: Path) -> Data:
    with opened(path, str(path)) as file:
        content = file.read(_NPZ_LIMIT)
    digest = sha256(content)
    if digest != NPZ_SHA256:
        raise DataFileError(
            f"{path}: not Keras's mnist.npz, or damaged: its SHA-256 is {digest}, expected {NPZ_SHA256} "
            "(for MNIST's four IDX files name their folder)"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


SOURCE = _Mnist(
    title="MNIST",
    names=("mnist", "mnist.npz", "mnist/mnist.npz", "MNIST/raw"),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    advice="To get it, download https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz, or the four "
    "files train-images-idx3-ubyte.gz, ... from https://storage.googleapis.com/cvdf-datasets/mnist/.",
)


def load_data(path: str | os.PathLike[str] | None = None) -> Data:
    """The whole data set: `(x_train, y_train), (x_test, y_test)`, all uint8.

    Images (60000, 28, 28) and (10000, 28, 28) with 0 the background and 255 full ink, labels (60000,) and (10000,) from
    0 to 9. `path` is a folder with the four IDX files, plain or .gz, or Keras's mnist.npz; without it the places in
    `minidl.datasets.finding` are searched. Keras's default `path="mnist.npz"` means the same as none where there is no
    such file.

    Raises `DataNotFoundError` when there is no MNIST in any of the places, `DataFileError` when `path` is damaged.
    """
    keras_default = path == "mnist.npz" and not os.path.exists(path)
    return SOURCE.load(None if keras_default else path)
