"""Small trained models for Fashion-MNIST: to predict with, to take layers from, to compare with.

They take pixels, bytes from 0 to 255 as `datasets.fashion_mnist` gives them, (28, 28) or a batch axis before it. Their
weights come with minidl, rounded to float16; `examples/train_zoo.py` trained them.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from minidl.applications.networks import cnn
from minidl.errors import ArgumentError, DataFileError, DataNotFoundError, ShapeError
from minidl.layers import Activation, BatchNormalization, Dense, Dropout, Flatten, Input, Normalization
from minidl.models import Functional
from minidl.saving import safetensors
from minidl.saving.opening import opened

# "fashion_mnist" for those that come with minidl, a file, or None for random ones.
Weights = str | os.PathLike[str] | None

# Of all pixels of the 60,000 images of the training set.
_MEAN, _VARIANCE = 72.940, 90.021**2


def fashion_mnist_dense(
    weights: Weights = "fashion_mnist", include_top: bool = True, name: str = "fashion_mnist_dense"
) -> Functional:
    """Two hidden Dense layers, 128 and 64, with batch normalization: 110,000 weights, test accuracy 0.8914.

    `weights` is "fashion_mnist", None for random ones, or a .safetensors file. Without `include_top` the output is that
    of the last hidden layer, 64 features.
    """
    inputs = Input((28, 28))
    x = Flatten()(Normalization(mean=_MEAN, variance=_VARIANCE)(inputs))
    for units in (128, 64):
        x = Dense(units, use_bias=False, kernel_initializer="he_normal")(x)
        x = Dropout(0.2)(Activation("relu")(BatchNormalization(momentum=0.9)(x)))
    return _model("fashion_mnist_dense", inputs, x, weights, include_top, name)


def fashion_mnist_cnn(
    weights: Weights = "fashion_mnist", include_top: bool = True, name: str = "fashion_mnist_cnn"
) -> Functional:
    """Four convolutions with 16 to 64 filters, three poolings: 39,000 weights, test accuracy 0.9245.

    `weights` is "fashion_mnist", None for random ones, or a .safetensors file. Without `include_top` the output is that
    of the last pooling, 576 features.
    """
    inputs = Input((28, 28))
    x = cnn(Normalization(mean=_MEAN, variance=_VARIANCE)(inputs), width=16)
    return _model("fashion_mnist_cnn", inputs, x, weights, include_top, name)


def weights_of(model: Functional) -> dict[str, Any]:
    """The weights by names that do not depend on how many layers were made before: "3/kernel", …, as float16."""
    return {f"{k}/{v.name}": v.data.astype(np.float16) for k, v in enumerate(model.variables)}


def _model(kind: str, inputs: Any, x: Any, weights: Weights, include_top: bool, name: str) -> Functional:
    """The model of hidden layers and a softmax, with its weights; or that of the hidden layers alone."""
    model = Functional(inputs, Dense(10, activation="softmax")(x), name=name)
    if weights is not None:
        _load(model, kind, weights)
    return model if include_top else Functional(inputs, x, name=name)


def _load(model: Functional, kind: str, weights: str | os.PathLike[str]) -> None:
    own = weights == "fashion_mnist"
    if not own and Path(weights).suffix != ".safetensors":
        raise ArgumentError(f'{kind}: weights are "fashion_mnist", None or a .safetensors file, got {weights!r}')
    shipped = resources.files(__package__).joinpath(f"{kind}.safetensors")
    if own and not shipped.is_file():
        raise DataNotFoundError(
            f"no weights of {kind} come with this minidl: use weights=None, or train it: examples/train_zoo.py"
        )
    with shipped.open("rb") if own else opened(weights) as file:
        arrays = safetensors.load(file.read(), str(weights))
    try:
        model.set_weights([arrays[name] for name in weights_of(model)])
    except (KeyError, ShapeError) as error:
        raise DataFileError(f"{weights}: holds no weights of {kind}: {error}") from error
