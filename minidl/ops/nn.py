"""Activations, cross-entropies, normalizations, dropout and noise; the formulas stand in `minidl.kernels`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl import kernels, random
from minidl.autodiff.tensor import (
    Tensor,
    TensorLike,
    add,
    apply,
    apply_several,
    as_tensor,
    check_axis,
    check_broadcast,
    divide,
    floating,
    maximum,
    multiply,
    perform,
    promote,
)
from minidl.checks import number
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.memory import Array, Shape
from minidl.ops.math import sqrt, square
from minidl.ops.reductions import sum as total

__all__ = [
    "affine", "alpha_dropout", "batch_normalization", "dropout", "elu", "gaussian_dropout", "gaussian_noise", "gelu",
    "group_normalization", "hard_sigmoid", "layer_normalization", "leaky_relu", "log_softmax", "mish", "normalize",
    "prelu", "relu", "rms_normalization", "rrelu", "selu", "sigmoid", "sigmoid_crossentropy", "silu", "softmax",
    "softmax_crossentropy", "softplus", "softsign", "sparse_softmax_crossentropy", "standardize", "swish",
]  # fmt: skip


def affine(x: TensorLike, w: TensorLike, b: TensorLike) -> Tensor:
    """y = x·W + b: (…, features), (features, units), (units,) → (…, units)."""
    x, w, b = promote(floating(x), w, b)
    if w.ndim != 2 or x.ndim < 2 or x.shape[-1] != w.shape[0] or b.shape != w.shape[1:]:
        shapes = f"{x.shape}, {w.shape} and {b.shape}"
        raise ShapeError(f"affine: expected (…, features), (features, units) and (units,), got {shapes}")
    return apply(kernels.Affine(), x, w, b)


def sigmoid(x: TensorLike) -> Tensor:
    """y = 1 / (1 + e⁻ˣ)."""
    return apply(kernels.Sigmoid(), floating(x))


def hard_sigmoid(x: TensorLike) -> Tensor:
    """y = min(max(x/6 + ½, 0), 1)."""
    return apply(kernels.HardSigmoid(), floating(x))


def relu(
    x: TensorLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """y = max(x, 0); in general `max_value` above it, x down to `threshold`, negative_slope·(x − threshold) below."""
    if negative_slope == 0 and max_value is None and threshold == 0:
        return apply(kernels.Relu(), floating(x))
    top = math.inf if max_value is None else max_value
    return apply(kernels.GeneralRelu(negative_slope, top, threshold), floating(x))


def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> Tensor:
    """y = x where x > 0, αx elsewhere."""
    return apply(kernels.LeakyRelu(negative_slope), floating(x))


def prelu(x: TensorLike, alpha: TensorLike) -> Tensor:
    """y = x where x > 0, αx elsewhere, with α a tensor that broadcasts to x."""
    x, alpha = promote(floating(x), alpha)
    check_broadcast("prelu", x.shape, alpha.shape)
    if np.broadcast_shapes(x.shape, alpha.shape) != x.shape:
        raise ShapeError(f"prelu: α of shape {alpha.shape} does not broadcast to {x.shape}")
    return apply(kernels.PRelu(), x, alpha)


def rrelu(
    x: TensorLike,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Tensor:
    """y = x where x > 0, αx elsewhere: in training α ~ U[lower, upper) for each element, else their mean.

    `seed` is an integer, or a generator, which is advanced.
    """
    if not 0 <= lower <= upper:
        raise ArgumentError(f"rrelu: expected 0 ≤ lower ≤ upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(x, (lower + upper) / 2)
    x = floating(x)
    slopes = apply(kernels.RandomUniform(_generator(seed), lower, upper), x.detach())
    return prelu(x, slopes)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, α(eˣ − 1) elsewhere, with α ≥ 0."""
    return apply(kernels.Elu(number("elu", "alpha", alpha, "≥ 0")), floating(x))


def selu(x: TensorLike) -> Tensor:
    """y = 1.0507·elu(x, 1.6733)."""
    return apply(kernels.Selu(), floating(x))


def gelu(x: TensorLike, approximate: bool = True) -> Tensor:
    """y = x·Φ(x), or its approximation by tanh (the default here, as in keras.ops; the activation's is exact)."""
    return apply(kernels.TanhGelu() if approximate else kernels.Gelu(), floating(x))


def silu(x: TensorLike, beta: float = 1.0) -> Tensor:
    """y = x·σ(βx), also called swish."""
    return apply(kernels.Silu(beta), floating(x))


swish = silu


def mish(x: TensorLike) -> Tensor:
    """y = x·tanh(ln(1 + eˣ))."""
    return apply(kernels.Mish(), floating(x))


def softplus(x: TensorLike) -> Tensor:
    """y = ln(1 + eˣ)."""
    return apply(kernels.Softplus(), floating(x))


def softsign(x: TensorLike) -> Tensor:
    """y = x / (1 + |x|)."""
    return apply(kernels.Softsign(), floating(x))


def softmax(x: TensorLike, axis: int | tuple[int, ...] = -1) -> Tensor:
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along `axis`; a row of −∞ gives equal parts."""
    x = floating(x)
    check_axis(axis, x.ndim)
    return apply(kernels.Softmax(axis), x)


def log_softmax(x: TensorLike, axis: int | tuple[int, ...] = -1) -> Tensor:
    """yᵢ = xᵢ − ln Σⱼ e^xⱼ along `axis`."""
    x = floating(x)
    check_axis(axis, x.ndim)
    return apply(kernels.LogSoftmax(axis), x)


def softmax_crossentropy(logits: TensorLike, targets: TensorLike) -> Tensor:
    """y = −Σₖ tₖ·ln softmax(logits)ₖ along the last axis: (…, classes), (…, classes) → (…)."""
    logits, targets = promote(floating(logits), targets)
    if logits.shape != targets.shape or not logits.ndim:
        raise ShapeError(f"softmax_crossentropy: expected equal shapes, got {logits.shape} and {targets.shape}")
    return apply(kernels.SoftmaxCrossentropy(), logits, targets)


def sparse_softmax_crossentropy(logits: TensorLike, labels: TensorLike) -> Tensor:
    """y = −ln softmax(logits)[label] along the last axis: (…, classes), integers (…) → (…)."""
    logits, labels = floating(logits), as_tensor(labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"sparse_softmax_crossentropy: expected integer labels, got dtype {labels.dtype}")
    if logits.shape[:-1] != labels.shape or not logits.ndim:
        raise ShapeError(
            f"sparse_softmax_crossentropy: expected labels of shape {logits.shape[:-1]} for logits of shape "
            f"{logits.shape}, got {labels.shape}"
        )
    classes = logits.shape[-1]
    perform(_check_labels, labels, classes)
    return apply(kernels.SparseSoftmaxCrossentropy(), logits, labels)


def _check_labels(labels: Array, classes: int) -> None:
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ArgumentError(
            f"sparse_softmax_crossentropy: expected labels from 0 to {classes - 1}, got {labels.min()} to "
            f"{labels.max()}"
        )


def sigmoid_crossentropy(logits: TensorLike, targets: TensorLike) -> Tensor:
    """y = −t·ln σ(x) − (1 − t)·ln(1 − σ(x)), element by element."""
    logits, targets = promote(floating(logits), targets)
    if logits.shape != targets.shape:
        raise ShapeError(f"sigmoid_crossentropy: expected equal shapes, got {logits.shape} and {targets.shape}")
    return apply(kernels.SigmoidCrossentropy(), logits, targets)


def batch_normalization(
    x: TensorLike, gamma: TensorLike, beta: TensorLike, axis: int | Sequence[int] = -1, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, μ, σ²): y = γ(x − μ)/√(σ² + ε) + β with the mean and biased variance over all axes but `axis`."""
    x, gamma, beta = promote(floating(x), gamma, beta)
    kept = _kept_axes("batch_normalization", x, axis, gamma, beta)
    y, mean, variance = apply_several(kernels.BatchNormalization(epsilon, kept), x, gamma, beta)
    return y, mean, variance


def standardize(
    x: TensorLike,
    gamma: TensorLike,
    beta: TensorLike,
    mean: TensorLike,
    variance: TensorLike,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    """y = γ(x − μ)/√(σ² + ε) + β with given μ and σ²: batch normalization at inference."""
    x, gamma, beta, mean, variance = promote(floating(x), gamma, beta, mean, variance)
    kept = _kept_axes("standardize", x, axis, gamma, beta, mean, variance)
    return apply(kernels.Standardization(epsilon, kept), x, gamma, beta, mean, variance)


def group_normalization(
    x: TensorLike, gamma: TensorLike, beta: TensorLike, groups: int, axis: int = -1, epsilon: float = 1e-3
) -> Tensor:
    """y = γ(x − μ)/√(σ² + ε) + β with the mean and biased variance of each sample and group of channels.

    The channels, on `axis`, are cut into `groups` equal parts; γ and β are one number for each channel.
    """
    x, gamma, beta = promote(floating(x), gamma, beta)
    (channel,) = _kept_axes("group_normalization", x, int(axis), gamma, beta)
    if channel == 0 or groups < 1 or x.shape[channel] % groups:
        raise ShapeError(
            f"group_normalization: expected an axis after the batch to cut into equal parts, got axis {axis} of "
            f"{x.shape} and {groups} groups"
        )
    return apply(kernels.GroupNormalization(groups, epsilon, channel), x, gamma, beta)


def layer_normalization(
    x: TensorLike,
    gamma: TensorLike | None = None,
    beta: TensorLike | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-7,
) -> Tensor:
    """y = γ(x − μ)/√(σ² + ε) + β with the mean and biased variance over `axis`; γ and β, 1 and 0, have its sizes."""
    return _normalize_layer("layer_normalization", x, gamma, beta, axis, epsilon, center=True)


def rms_normalization(
    x: TensorLike, scale: TensorLike | None = None, axis: int | Sequence[int] = -1, epsilon: float = 1e-7
) -> Tensor:
    """y = γx/√(m + ε) with the mean square m of x over `axis`; γ = `scale`, 1 by default, has the sizes of the axis."""
    return _normalize_layer("rms_normalization", x, scale, None, axis, epsilon, center=False)


def _normalize_layer(
    name: str, x: TensorLike, gamma: Any, beta: Any, axis: int | Sequence[int], epsilon: float, center: bool
) -> Tensor:
    x = floating(x)
    axes = _kept_axes(name, x, axis)
    sizes = tuple(x.shape[a] for a in axes)
    gamma = np.ones(sizes, x.dtype) if gamma is None else gamma
    beta = np.zeros(sizes, x.dtype) if beta is None else beta
    x, gamma, beta = promote(x, gamma, beta)
    _kept_axes(name, x, axis, gamma, beta)
    return apply(kernels.LayerNormalization(epsilon, axes, center), x, gamma, beta)


def normalize(x: TensorLike, axis: int | Sequence[int] = -1, order: int = 2, epsilon: float = 1e-7) -> Tensor:
    """y = x / max(‖x‖, ε), the norm √Σx² taken over `axis`: vectors of length 1. Only `order` 2 is known."""
    if order != 2:
        raise ArgumentError(f"normalize: expected order=2, the Euclidean norm, got {order!r}")
    x = floating(x)
    axes = _kept_axes("normalize", x, axis)
    # The maximum is taken of the squares: at 0 the root has no derivative.
    return divide(x, sqrt(maximum(total(square(x), axes, keepdims=True), epsilon**2)))


def _kept_axes(name: str, x: Tensor, axis: int | Sequence[int], *parameters: Tensor) -> tuple[int, ...]:
    """The axes that have statistics of their own, if all parameters have the sizes of x on them."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    check_axis(axes, x.ndim)
    kept = tuple(sorted(a % x.ndim for a in axes))
    expected = tuple(x.shape[a] for a in kept)
    for parameter in parameters:
        if parameter.shape != expected:
            raise ShapeError(f"{name}: expected parameters of shape {expected} for {x.shape}, got {parameter.shape}")
    return kept


def dropout(
    x: TensorLike,
    rate: float,
    noise_shape: Sequence[int | None] | None = None,
    seed: int | np.random.Generator | None = None,
) -> Tensor:
    """y = x/(1 − rate) with probability 1 − rate, else 0.

    `noise_shape` has size 1 (or None for the size of x) on each axis of x; along an axis of size 1 the elements are
    kept or dropped together. `seed` is an integer, or a generator, which is advanced.
    """
    return _dropped("dropout", kernels.Dropout, x, rate, noise_shape, seed)


def alpha_dropout(
    x: TensorLike,
    rate: float,
    noise_shape: Sequence[int | None] | None = None,
    seed: int | np.random.Generator | None = None,
) -> Tensor:
    """y = a·x + b with probability 1 − rate, else a·α′ + b: dropout that keeps mean 0 and variance 1.

    α′ ≈ −1.7581 is where SELU saturates. `noise_shape` and `seed` are those of `dropout`.
    """
    return _dropped("alpha_dropout", kernels.AlphaDropout, x, rate, noise_shape, seed)


def _dropped(
    name: str,
    kernel: Callable[[float], kernels.Kernel],
    x: TensorLike,
    rate: float,
    noise_shape: Sequence[int | None] | None,
    seed: int | np.random.Generator | None,
) -> Tensor:
    """What a kernel makes of x and of numbers from 0 to 1, by which it is told what to drop."""
    if not 0 <= rate < 1:
        raise ArgumentError(f"{name}: expected 0 ≤ rate < 1, got {rate}")
    x = floating(x)
    shape = _noise_shape(name, x, noise_shape)
    if rate == 0:
        return as_tensor(x)
    u = apply(kernels.RandomUniform(_generator(seed), shape=shape), x.detach())
    return apply(kernel(rate), x, u)


def gaussian_dropout(x: TensorLike, rate: float, seed: int | np.random.Generator | None = None) -> Tensor:
    """y = x·ξ with ξ ~ N(1, rate/(1 − rate)) for each element: noise of the mean and variance that dropout has."""
    if not 0 <= rate < 1:
        raise ArgumentError(f"gaussian_dropout: expected 0 ≤ rate < 1, got {rate}")
    x = floating(x)
    noise = kernels.RandomNormal(_generator(seed), mean=1.0, stddev=math.sqrt(rate / (1 - rate)))
    return as_tensor(x) if rate == 0 else multiply(x, apply(noise, x.detach()))


def gaussian_noise(x: TensorLike, stddev: float, seed: int | np.random.Generator | None = None) -> Tensor:
    """y = x + ξ with ξ ~ N(0, stddev²) for each element."""
    x = floating(x)
    noise = kernels.RandomNormal(_generator(seed), stddev=number("gaussian_noise", "stddev", stddev, "≥ 0"))
    return as_tensor(x) if stddev == 0 else add(x, apply(noise, x.detach()))


def _noise_shape(name: str, x: Tensor, noise_shape: Sequence[int | None] | None) -> Shape:
    """How many numbers are drawn along each axis of x: as many as it has elements, or 1."""
    shape = x.shape if noise_shape is None else tuple(x.shape[a] if n is None else n for a, n in enumerate(noise_shape))
    if len(shape) != x.ndim or any(n not in (1, m) for n, m in zip(shape, x.shape, strict=True)):
        raise ShapeError(f"{name}: noise_shape {noise_shape} does not broadcast to {x.shape}")
    return shape


def _generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    return seed if isinstance(seed, np.random.Generator) else random.spawn("dropout", seed)
