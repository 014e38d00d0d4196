"""The networks of the command line, small enough for a CPU: dense ones, each for one way to keep gradients from
vanishing, and convolutional ones. They take pixels, bytes from 0 to 255, as they are in the files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minidl.errors import look_up
from minidl.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    LeakyReLU,
    MaxPooling2D,
    Normalization,
    PReLU,
    ReLU,
    Reshape,
)
from minidl.layers.layer import Layer
from minidl.memory import Shape
from minidl.models import Functional
from minidl.optimizers import SGD, Adam, Optimizer


def _adam() -> Optimizer:
    """Adam as it is."""
    return Adam()


def _sgd() -> Optimizer:
    """SGD with Nesterov momentum and weight decay of the kernels.

    Here weight decay passes by the momentum of 0.9, which would multiply its effect by 1/(1 − 0.9): 5e-3 does what in
    papers on residual networks 5e-4 does in the gradient.
    """
    optimizer = SGD(0.1, momentum=0.9, nesterov=True, weight_decay=5e-3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


@dataclass(frozen=True)
class Recipe:
    """How a network is trained unless one says otherwise."""

    epochs: int = 10
    batch_size: int = 32
    optimizer: Callable[[], Optimizer] = _adam
    schedule: str = "constant"
    augment: bool = False
    label_smoothing: float = 0.0
    # Whether pixels get mean 0 and standard deviation 1, or lie between 0 and 1.
    standardize: bool = False


@dataclass(frozen=True)
class Network:
    """A description, the hidden layers as a function of a symbolic tensor, and how to train it."""

    description: str
    hidden: Callable[[Any], Any]
    recipe: Recipe = Recipe()


def build_network(
    name: str,
    input_shape: Shape,
    classes: int,
    mean: float | Sequence[float] = 0.0,
    variance: float | Sequence[float] = 255.0**2,
) -> Functional:
    """The network of that name for pixels of this mean and variance, which it normalizes; it ends with a softmax.

    Mean and variance are single numbers or one for each channel. By default pixels are divided by 255.
    """
    network = look_up("network", name, NETWORKS)
    inputs = Input(input_shape)
    hidden = network.hidden(Normalization(mean=mean, variance=variance)(inputs))
    return Functional(inputs, Dense(classes, activation="softmax")(hidden), name=name)


def _through(x: Any, *layers: Layer) -> Any:
    """x through one layer after the other."""
    for layer in layers:
        x = layer(x)
    return x


# Dense networks.


def _dense(activation: Any, initializer: str) -> tuple[Layer, Layer]:
    first, second = (Dense(units, activation=activation, kernel_initializer=initializer) for units in (300, 100))
    return first, second


def _mlp(x: Any) -> Any:
    return _through(x, Flatten(), *_dense("relu", "he_normal"))


def _leaky_relu(x: Any) -> Any:
    first, second = _dense(None, "he_normal")
    return _through(x, Flatten(), first, LeakyReLU(0.2), second, LeakyReLU(0.2))


def _prelu(x: Any) -> Any:
    first, second = _dense(None, "he_normal")
    return _through(x, Flatten(), first, PReLU(), second, PReLU())


def _elu(x: Any) -> Any:
    return _through(x, Flatten(), *_dense("elu", "he_normal"))


def _selu(x: Any) -> Any:
    return _through(x, Flatten(), *_dense("selu", "lecun_normal"))


def _batch_normalization(x: Any) -> Any:
    first, second = _dense("relu", "he_normal")
    return _through(
        x, Flatten(), BatchNormalization(), first, BatchNormalization(), second, BatchNormalization()
    )  # fmt: skip


def _batch_normalization_before_activation(x: Any) -> Any:
    x = _through(x, Flatten(), BatchNormalization())
    for units in (300, 100):
        # β of the normalization does what a bias would do.
        dense = Dense(units, use_bias=False, kernel_initializer="he_normal")
        x = _through(x, dense, BatchNormalization(), Activation("relu"))
    return x


# Convolutional networks.


def _images(x: Any) -> Any:
    """Grey images with an axis for their one channel."""
    return Reshape((*x.shape[1:], 1))(x) if len(x.shape) == 3 else x


def _convolution(x: Any, filters: int, strides: int = 1, size: int = 3, pool: bool = False) -> Any:
    """Convolution, perhaps pooling, and batch normalization.

    The moving averages follow fast: at momentum 0.99 they would, after a short training, still remember its beginning.
    """
    x = Conv2D(filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return BatchNormalization(momentum=0.9)(MaxPooling2D()(x) if pool else x)


def _block(x: Any, filters: int, pool: bool = False) -> Any:
    """Convolution, batch normalization, ReLU; pooling comes before the last two, which then have a quarter to do."""
    return ReLU()(_convolution(x, filters, pool=pool))


def cnn(x: Any, width: int = 32) -> Any:
    """Four convolutions, the larger ones where the image is small already."""
    x = _block(_images(x), width, pool=True)
    x = _block(_block(x, 2 * width), 2 * width, pool=True)
    x = _block(x, 4 * width, pool=True)
    return _through(x, Flatten(), Dropout(0.2))


def _resnet9(x: Any, width: int = 24) -> Any:
    """Eight convolutions and a dense layer, two shortcuts.

    After the network by which D. Page ("How to train your ResNet", 2018) brought CIFAR-10 to 94 %, and three eighths as
    wide.
    """
    x = _block(_images(x), width)
    x = _block(x, 2 * width, pool=True)
    x = Add()([x, _block(_block(x, 2 * width), 2 * width)])
    x = _block(x, 4 * width, pool=True)
    x = _block(x, 8 * width, pool=True)
    x = Add()([x, _block(_block(x, 8 * width), 8 * width)])
    return GlobalMaxPooling2D()(x)


def _resnet20(x: Any) -> Any:
    """19 convolutions in three stages of three blocks of two each, and a dense layer.  (He et al. 2016, section 4.2)"""
    x = _block(_images(x), 16)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        x = _residual(x, filters, strides)
        for _ in range(2):
            x = _residual(x, filters)
    return GlobalAveragePooling2D()(x)


def _residual(x: Any, filters: int, strides: int = 1) -> Any:
    """ReLU(x + F(x)), F two convolutions; a projection of x where the shape changes (He et al. 2016, option B)."""
    y = _convolution(ReLU()(_convolution(x, filters, strides)), filters)
    shortcut = x if x.shape == y.shape else _convolution(x, filters, strides, size=1)
    return ReLU()(Add()([shortcut, y]))


_CONVOLUTIONAL = Recipe(
    epochs=16, batch_size=128, optimizer=_sgd, schedule="onecycle", augment=True, label_smoothing=0.1, standardize=True
)

# What `--model` calls each.
NETWORKS: dict[str, Network] = {
    "mlp": Network("Dense 300 and Dense 100 with ReLU, He initialization", _mlp),
    "leaky_relu": Network("mlp with leaky ReLU", _leaky_relu),
    "prelu": Network("mlp with ReLU of a learned slope (PReLU)", _prelu),
    "elu": Network("mlp with ELU", _elu),
    "selu": Network("mlp with SELU, LeCun initialization, standardized images", _selu, Recipe(standardize=True)),
    "bn": Network("mlp with batch normalization before every Dense", _batch_normalization),
    "bn_before": Network("mlp with batch normalization before every ReLU", _batch_normalization_before_activation),
    "cnn": Network(
        "four convolutions, three poolings (for Fashion-MNIST)", cnn,
        replace(_CONVOLUTIONAL, epochs=14, label_smoothing=0.0),
    ),
    "resnet9": Network("eight convolutions, two shortcuts (for CIFAR-10)", _resnet9, _CONVOLUTIONAL),
    "resnet20": Network("nineteen narrow convolutions, residual (He et al. 2016)", _resnet20, _CONVOLUTIONAL),
}
