"""Activation functions: what a layer applies to its outputs, so that a stack of layers is more than one linear map.

Each is a function of a tensor, element by element but for softmax, log-softmax, sparsemax and GLU, and has a string:
"relu". `get` turns whatever a layer is given into a function. PReLU has weights and is a layer only (its
function is `minidl.ops.prelu`); RReLU is random in training only as a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minidl import kernels, ops
from minidl.autodiff.tensor import Tensor, TensorLike, apply, as_tensor, floating
from minidl.errors import ArgumentError, look_up

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "rrelu",
    "selu", "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
]  # fmt: skip

Activation = Callable[..., Any]


def linear(x: TensorLike) -> Tensor:
    """y = x."""
    return as_tensor(x)


def sigmoid(x: TensorLike) -> Tensor:
    """y = 1 / (1 + e⁻ˣ): from 0 to 1, the probability of "yes" whose log-odds are x."""
    return ops.sigmoid(x)


def hard_sigmoid(x: TensorLike) -> Tensor:
    """y = min(max(x/6 + ½, 0), 1): the sigmoid as three straight lines, bent at ±3.  (Howard et al. 2019)

    Older versions of Keras had the slope 1/5, Courbariaux et al. (2015) have ½.
    """
    return ops.hard_sigmoid(x)


def tanh(x: TensorLike) -> Tensor:
    """y = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ) = 2·sigmoid(2x) − 1: from −1 to 1."""
    return ops.tanh(x)


def relu(
    x: TensorLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """y = max(x, 0); in general `max_value` above it, x down to `threshold`, negative_slope·(x − threshold) below.

    (Nair & Hinton 2010)
    """
    return ops.relu(x, negative_slope, max_value, threshold)


def relu6(x: TensorLike) -> Tensor:
    """y = min(max(x, 0), 6).  (Krizhevsky 2010)"""
    return ops.relu(x, max_value=6.0)


def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> Tensor:
    """y = x where x > 0, αx elsewhere, α = `negative_slope`.  (Maas et al. 2013, with α = 0.01)

    As in Keras, the function has α = 0.2 and the layer 0.3.
    """
    return ops.leaky_relu(x, negative_slope)


def rrelu(
    x: TensorLike,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Tensor:
    """y = x where x > 0, αx elsewhere: in training α ~ U[lower, upper), else (lower + upper)/2.  (Xu et al. 2015)

    As the activation "rrelu" of a layer it has the constant slope; the layer RReLU also has the random one.
    """
    return ops.rrelu(x, lower, upper, training, seed)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, α(eˣ − 1) elsewhere.  (Clevert et al. 2016)"""
    return ops.elu(x, alpha)


def selu(x: TensorLike) -> Tensor:
    """y = λ·elu(x, α), α ≈ 1.6733, λ ≈ 1.0507: mean 0 and variance 1 are a fixed point.  (Klambauer et al. 2017, eq. 2)

    For weights initialized with "lecun_normal".
    """
    return ops.selu(x)


def gelu(x: TensorLike, approximate: bool = False) -> Tensor:
    """y = x·Φ(x), Φ the normal distribution function; or ½x(1 + tanh(√(2/π)(x + 0.044715x³))), its approximation.

    (Hendrycks & Gimpel 2016)
    """
    return ops.gelu(x, approximate)


def silu(x: TensorLike, beta: float = 1.0) -> Tensor:
    """y = x·sigmoid(βx), also called swish.  (Elfwing et al. 2018, β = 1; Ramachandran et al. 2017, any β)"""
    return ops.silu(x, beta)


def hard_silu(x: TensorLike) -> Tensor:
    """y = x·hard_sigmoid(x), also called hard swish.  (Howard et al. 2019)"""
    return ops.multiply(x, ops.hard_sigmoid(x))


def mish(x: TensorLike) -> Tensor:
    """y = x·tanh(softplus(x)).  (Misra 2019)"""
    return ops.mish(x)


def softplus(x: TensorLike) -> Tensor:
    """y = ln(1 + eˣ): a smooth relu, whose derivative is the sigmoid.  (Dugas et al. 2001)"""
    return ops.softplus(x)


def softsign(x: TensorLike) -> Tensor:
    """y = x / (1 + |x|): like tanh, but slower to reach ±1.  (Bergstra et al. 2009)"""
    return ops.softsign(x)


def exponential(x: TensorLike) -> Tensor:
    """y = eˣ."""
    return ops.exp(x)


def softmax(x: TensorLike, axis: int | tuple[int, ...] = -1) -> Tensor:
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along `axis`: positive numbers that add up to 1.  (Bridle 1990)

    A row of −∞ gives equal parts.
    """
    return ops.softmax(x, axis)


def log_softmax(x: TensorLike, axis: int | tuple[int, ...] = -1) -> Tensor:
    """yᵢ = xᵢ − ln Σⱼ e^xⱼ along `axis`: the logarithm of softmax, exact where softmax rounds to 0 or 1."""
    return ops.log_softmax(x, axis)


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, α(e^(x/α) − 1) elsewhere: an ELU without a kink, whatever α.  (Barron 2017)"""
    x = floating(x)
    return ops.multiply(ops.elu(ops.divide(x, alpha)), alpha)


def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """y = a·sigmoid(b), a and b the two halves of x along `axis`.  (Dauphin et al. 2017)"""
    a, b = ops.split(floating(x), 2, axis)
    return ops.multiply(a, ops.sigmoid(b))


def log_sigmoid(x: TensorLike) -> Tensor:
    """y = ln sigmoid(x) = −softplus(−x)."""
    return ops.negative(ops.softplus(ops.negative(floating(x))))


def hard_tanh(x: TensorLike) -> Tensor:
    """y = min(max(x, −1), 1)."""
    return ops.clip(floating(x), -1.0, 1.0)


def hard_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """y = x where |x| > threshold, 0 elsewhere."""
    x = floating(x)
    return ops.where(ops.greater(ops.absolute(x), threshold), x, ops.zeros_like(x))


def soft_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """y = x − threshold above it, x + threshold below −threshold, 0 between."""
    x = floating(x)
    return ops.subtract(x, ops.clip(x, -threshold, threshold))


def tanh_shrink(x: TensorLike) -> Tensor:
    """y = x − tanh(x)."""
    return apply(kernels.TanhShrink(), floating(x))


def threshold(x: TensorLike, threshold: float, default_value: float) -> Tensor:
    """y = x where x > threshold, `default_value` elsewhere."""
    x = floating(x)
    return ops.where(ops.greater(x, threshold), x, ops.full(x.shape, default_value, x.dtype))


def squareplus(x: TensorLike, b: float = 4) -> Tensor:
    """y = (x + √(x² + b))/2: like softplus, without exponentials.  (Barron 2021)"""
    x = floating(x)
    # √(x² + b) as a hypotenuse in units of its longer side: x² alone would overflow.
    longer = ops.maximum(ops.absolute(x), math.sqrt(b))
    root = ops.sqrt(ops.add(ops.square(ops.divide(x, longer)), ops.square(ops.divide(math.sqrt(b), longer))))
    return ops.multiply(ops.add(x, ops.multiply(longer, root)), 0.5)


def sparse_plus(x: TensorLike) -> Tensor:
    """y = x above 1, ((x + 1)/2)² from −1 to 1, 0 below: a softplus that is 0 far to the left.  (Martins 2016)"""
    x = floating(x)
    middle = ops.square(ops.multiply(ops.add(ops.clip(x, -1.0, 1.0), 1.0), 0.5))
    return ops.add(middle, ops.relu(ops.subtract(x, 1.0)))


def sparse_sigmoid(x: TensorLike) -> Tensor:
    """y = min(max((x + 1)/2, 0), 1), the derivative of `sparse_plus`."""
    return ops.clip(ops.multiply(ops.add(floating(x), 1.0), 0.5), 0.0, 1.0)


def sparsemax(x: TensorLike, axis: int = -1) -> Tensor:
    """yᵢ = max(xᵢ − τ, 0) along `axis` with the τ for which Σy = 1: the probabilities nearest to x, many of them 0.

    τ = (Σ of the k largest − 1)/k, k the largest number for which the k-th largest exceeds τ.  (Martins & Astudillo
    2016, algorithm 1) Keras 3.15 adds up partial sums there instead, so that its y do not sum to 1.
    """
    x = floating(x)
    falling = ops.flip(ops.sort(x, axis), axis)
    ranks = ops.reshape(
        np.arange(1, x.shape[axis] + 1, dtype=x.dtype), [-1 if a == axis % x.ndim else 1 for a in range(x.ndim)]
    )
    inside = ops.greater(ops.add(ops.multiply(falling, ranks), 1), ops.cumsum(falling, axis))
    largest = ops.where(inside, falling, ops.zeros_like(falling))
    tau = ops.divide(
        ops.subtract(ops.sum(largest, axis, keepdims=True), 1), ops.sum(ops.cast(inside, x.dtype), axis, keepdims=True)
    )
    return ops.relu(ops.subtract(x, tau))


swish, hard_swish = silu, hard_silu

_BY_NAME: dict[str, Activation] = {
    "linear": linear, "sigmoid": sigmoid, "hard_sigmoid": hard_sigmoid, "tanh": tanh, "relu": relu, "relu6": relu6,
    "leaky_relu": leaky_relu, "rrelu": rrelu, "elu": elu, "selu": selu, "gelu": gelu, "silu": silu, "swish": silu,
    "hard_silu": hard_silu, "hard_swish": hard_silu, "mish": mish, "softplus": softplus, "softsign": softsign,
    "exponential": exponential, "softmax": softmax, "log_softmax": log_softmax, "celu": celu, "glu": glu,
    "log_sigmoid": log_sigmoid, "hard_tanh": hard_tanh, "hard_shrink": hard_shrink, "soft_shrink": soft_shrink,
    "tanh_shrink": tanh_shrink, "threshold": threshold, "squareplus": squareplus, "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid, "sparsemax": sparsemax,
}  # fmt: skip


def get(identifier: object) -> Activation:
    """Whatever stands for an activation, as a function of a tensor: None (linear), a name, a config, a function.

    `UnknownNameError` for an unknown name, with the nearest ones; `ArgumentError` for what is none of these.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, (str, Mapping)):
        return deserialize(identifier)
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    raise ArgumentError(f"expected an activation: None, a name such as 'relu', or a function; got {identifier!r}")


def serialize(activation: Activation) -> str:
    """The name of an activation, by which `deserialize` finds it.

    A function of the user that has the name of one of minidl's is called by its module, too: "mine.relu".
    """
    name = getattr(activation, "__name__", None)
    if not isinstance(name, str):
        raise ArgumentError(f"expected an activation that is a function, to be saved by its name, got {activation!r}")
    return name if _BY_NAME.get(name, activation) is activation else f"{activation.__module__}.{name}"


def deserialize(config: str | Mapping[str, Any], custom_objects: Mapping[str, Activation] | None = None) -> Activation:
    """The function that `serialize` named; `custom_objects` has the user's own by their names.

    `config` is the name, or as Keras writes it, `{"class_name": "function", "config": name}`.
    """
    name = config.get("config") if isinstance(config, Mapping) else config
    if not isinstance(name, str):
        raise ArgumentError(f"expected an activation as a name or {{'config': name}}, got {config!r}")
    return look_up("activation", name, {**_BY_NAME, **(custom_objects or {})})
