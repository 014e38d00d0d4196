"""The networks of the command line: small ones, each for one way to keep gradients from vanishing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl.errors import look_up
from minidl.layers import Activation, BatchNormalization, Dense, Flatten, Input, LeakyReLU, PReLU
from minidl.layers.layer import Layer
from minidl.memory import Shape
from minidl.models import Sequential


def _dense(activation: Any, initializer: str) -> list[Layer]:
    return [
        Dense(300, activation=activation, kernel_initializer=initializer),
        Dense(100, activation=activation, kernel_initializer=initializer),
    ]


def _mlp() -> list[Layer]:
    return _dense("relu", "he_normal")


def _leaky_relu() -> list[Layer]:
    return [layer for dense in _dense(None, "he_normal") for layer in (dense, LeakyReLU(0.2))]


def _prelu() -> list[Layer]:
    return [layer for dense in _dense(None, "he_normal") for layer in (dense, PReLU())]


def _elu() -> list[Layer]:
    return _dense("elu", "he_normal")


def _selu() -> list[Layer]:
    return _dense("selu", "lecun_normal")


def _batch_normalization() -> list[Layer]:
    first, second = _dense("relu", "he_normal")
    return [BatchNormalization(), first, BatchNormalization(), second, BatchNormalization()]


def _batch_normalization_before_activation() -> list[Layer]:
    hidden: list[Layer] = [BatchNormalization()]
    for units in (300, 100):
        # β of the normalization does what a bias would do.
        dense = Dense(units, use_bias=False, kernel_initializer="he_normal")
        hidden += [dense, BatchNormalization(), Activation("relu")]
    return hidden


# What `--model` calls each, how it is described, and its hidden layers.
NETWORKS: dict[str, tuple[str, Callable[[], list[Layer]]]] = {
    "mlp": ("Dense 300 and Dense 100 with ReLU, He initialization", _mlp),
    "leaky_relu": ("mlp with leaky ReLU", _leaky_relu),
    "prelu": ("mlp with ReLU of a learned slope (PReLU)", _prelu),
    "elu": ("mlp with ELU", _elu),
    "selu": ("mlp with SELU, LeCun initialization, standardized images", _selu),
    "bn": ("mlp with batch normalization before every Dense", _batch_normalization),
    "bn_before": ("mlp with batch normalization before every ReLU", _batch_normalization_before_activation),
}


def build_network(name: str, input_shape: Shape, classes: int) -> Sequential:
    """The network of that name: Flatten, its hidden layers, and a softmax over the classes."""
    _, hidden = look_up("network", name, NETWORKS)
    layers = [Input(input_shape), Flatten(), *hidden(), Dense(classes, activation="softmax")]
    return Sequential(layers, name=name)
