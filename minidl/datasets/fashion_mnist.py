"""Fashion-MNIST: 70,000 pictures of clothes, 28×28 pixels, made to replace MNIST where MNIST is too easy.

Xiao, Rasul & Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
"""

from __future__ import annotations

import os

import numpy as np

from minidl.datasets.finding import Data
from minidl.datasets.four_files import FourFiles

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

SOURCE = FourFiles(
    title="Fashion-MNIST",
    names=("fashion-mnist", "FashionMNIST/raw"),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    advice="To get it, `apt install dataset-fashion-mnist` (Debian, Ubuntu), or download the four files "
    "train-images-idx3-ubyte.gz, ... from https://github.com/zalandoresearch/fashion-mnist. "
    "fashion_mnist.load_sample() needs neither.",
)


def load_data(path: str | os.PathLike[str] | None = None) -> Data:
    """The whole data set: `(x_train, y_train), (x_test, y_test)`, all uint8.

    Images (60000, 28, 28) and (10000, 28, 28) with 0 the background, labels (60000,) and (10000,) that index
    `CLASS_NAMES`. `path` is a folder with the four IDX files, plain or .gz; without it the places in
    `minidl.datasets.finding` are searched.

    Raises `DataNotFoundError` when it is in none of the places, `DataFileError` when `path` is damaged or MNIST. Never
    gives the sample instead.
    """
    return SOURCE.load(path)


def load_sample() -> Data:
    """A sample that comes with minidl: 1,000 training and 200 test images of each class, as `load_data` gives them.

    Images (10000, 28, 28) and (2000, 28, 28), labels (10000,) and (2000,), drawn without replacement and left in the
    order of the whole set. Copyright 2017 Zalando SE, MIT licence (fashion_mnist_sample.LICENSE).
    """
    from importlib import resources  # takes a while

    with resources.files(__package__).joinpath("fashion_mnist_sample.npz").open("rb") as file, np.load(file) as arrays:
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
