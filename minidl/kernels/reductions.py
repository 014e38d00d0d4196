"""Reductions over one axis, several, or all (`axis=None`), and the running sum."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.kernels.kernel import Kernel, expand, normalize_axes, reduced_shape, sum_axes, sum_dtype
from minidl.memory import Array, Memory, Shape

Axis = int | tuple[int, ...] | None


@functools.lru_cache(1024)
def _count(shape: Shape, axes: tuple[int, ...]) -> int:
    """How many elements are reduced to one."""
    return math.prod(shape[a] for a in axes)


def _spread(memory: Memory, dy: Array, shape: Shape) -> Array:
    """dy, with its reduced axes as size 1, copied along them to `shape`."""
    dx = memory.empty(shape, dy.dtype)
    np.copyto(dx, dy)
    return dx


@dataclass(frozen=True)
class Sum(Kernel):
    """y = Σx;  dx = dy for every element."""

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        return sum_axes(memory, x, normalize_axes(self.axis, x.ndim), self.keepdims), x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        return (_spread(memory, expand(dy, normalize_axes(self.axis, len(shape)), self.keepdims), shape),)


@dataclass(frozen=True)
class Mean(Kernel):
    """y = Σx / n;  dx = dy / n.  The mean of nothing is NaN."""

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        axes = normalize_axes(self.axis, x.ndim)
        y = sum_axes(memory, x, axes, self.keepdims)
        y *= 1 / (_count(x.shape, axes) or np.nan)
        return y, x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        axes = normalize_axes(self.axis, len(shape))
        dx = memory.empty(shape, dy.dtype)
        np.multiply(dy.reshape(reduced_shape(shape, axes, keepdims=True)), 1 / (_count(shape, axes) or np.nan), out=dx)
        return (dx,)


def _centre(memory: Memory, x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, int]:
    """x − x̄, the variance with its axes kept, and n: in two passes, since E[x²] − E[x]² cancels."""
    n = _count(x.shape, axes)
    mean = sum_axes(memory, x, axes, keepdims=True)
    mean *= 1 / (n or np.nan)
    centred = np.subtract(x, mean, out=memory.like(x))
    variance = sum_axes(memory, np.square(centred, out=memory.like(x)), axes, keepdims=True)
    variance *= 1 / (n or np.nan)
    return centred, variance, n


@dataclass(frozen=True)
class Variance(Kernel):
    """y = Σ(x − x̄)² / n, the biased variance in two passes;  dx = 2(x − x̄)/n·dy."""

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, int]]:
        axes = normalize_axes(self.axis, x.ndim)
        centred, variance, n = _centre(memory, x, axes)
        return variance if self.keepdims else np.squeeze(variance, axes), (centred, n)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, int]) -> tuple[Array]:
        centred, n = saved
        axes = normalize_axes(self.axis, centred.ndim)
        dx = np.multiply(centred, expand(dy, axes, self.keepdims), out=memory.like(centred))
        dx *= 2 / (n or np.nan)
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The mean of the squared distance from the mean."""
        return ops.mean(ops.square(x - ops.mean(x, self.axis, keepdims=True)), self.axis, self.keepdims)


@dataclass(frozen=True)
class StandardDeviation(Kernel):
    """y = √(Σ(x − x̄)² / n);  dx = (x − x̄)/(n·y)·dy, and 0 where y = 0."""

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array, int]]:
        axes = normalize_axes(self.axis, x.ndim)
        centred, variance, n = _centre(memory, x, axes)
        y = np.sqrt(variance, out=memory.like(variance))
        return y if self.keepdims else np.squeeze(y, axes), (centred, y, n)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array, int]) -> tuple[Array]:
        centred, y, n = saved
        dy = expand(dy, normalize_axes(self.axis, centred.ndim), self.keepdims)
        slope = np.divide(dy, np.where(y.real > 0, y, 1) * (n or 1), out=memory.like(dy))
        return (np.multiply(centred, slope, out=memory.like(centred)),)

    def reference(self, ops: Any, x: Any) -> Any:
        """The root of the variance."""
        return ops.sqrt(ops.var(x, self.axis, self.keepdims))


def _share_among_ties(memory: Memory, dy: Array, x: Array, y: Array, axes: tuple[int, ...]) -> Array:
    """dy to the elements equal to the extreme value y, in equal shares."""
    ties: Array = (x.real == y.real).astype(x.real.dtype)
    ties /= np.maximum(ties.sum(axis=axes, keepdims=True), 1)
    dx = memory.like(x)
    return np.multiply(ties, dy, out=dx)


@dataclass(frozen=True)
class Max(Kernel):
    """y = max x;  dy goes to the largest element, in equal shares where several are."""

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array]]:
        axes = normalize_axes(self.axis, x.ndim)
        top = memory.empty(reduced_shape(x.shape, axes, keepdims=True), x.dtype)
        y = np.maximum.reduce(x, axis=axes, keepdims=True, out=top)
        return y if self.keepdims else np.squeeze(y, axes), (x, y)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array]:
        x, y = saved
        axes = normalize_axes(self.axis, x.ndim)
        return (_share_among_ties(memory, expand(dy, axes, self.keepdims), x, y, axes),)


@dataclass(frozen=True)
class Min(Kernel):
    """y = min x;  dy goes to the smallest element, in equal shares where several are."""

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array]]:
        axes = normalize_axes(self.axis, x.ndim)
        bottom = memory.empty(reduced_shape(x.shape, axes, keepdims=True), x.dtype)
        y = np.minimum.reduce(x, axis=axes, keepdims=True, out=bottom)
        return y if self.keepdims else np.squeeze(y, axes), (x, y)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array]:
        x, y = saved
        axes = normalize_axes(self.axis, x.ndim)
        return (_share_among_ties(memory, expand(dy, axes, self.keepdims), x, y, axes),)


@dataclass(frozen=True)
class Prod(Kernel):
    """y = ∏x;  dxᵢ = dy·∏_{j≠i} xⱼ, as a running product from the left times one from the right.

    Dividing y by xᵢ would be shorter, and wrong where an element is 0.
    """

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.asarray(np.prod(x, axis=self.axis, keepdims=self.keepdims)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        axes = normalize_axes(self.axis, x.ndim)
        last = tuple(range(x.ndim - len(axes), x.ndim))
        moved = np.moveaxis(x, axes, last)
        rows = moved.reshape(*moved.shape[: x.ndim - len(axes)], _count(x.shape, axes))
        others = np.ones_like(rows)
        others[..., 1:] = np.cumprod(rows[..., :-1], axis=-1)
        others[..., :-1] *= np.cumprod(rows[..., :0:-1], axis=-1)[..., ::-1]
        others = np.moveaxis(others.reshape(moved.shape), last, axes)
        return (np.multiply(others, expand(dy, axes, self.keepdims), out=memory.like(x)),)


@dataclass(frozen=True)
class CumSum(Kernel):
    """yᵢ = x₀ + … + xᵢ along `axis`;  dxᵢ = dyᵢ + dyᵢ₊₁ + …"""

    axis: int = 0

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        return np.cumsum(x, axis=self.axis, out=memory.empty(x.shape, sum_dtype(x))), None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[Array]:
        dx = memory.like(dy)
        np.cumsum(np.flip(dy, self.axis), axis=self.axis, out=np.flip(dx, self.axis))
        return (dx,)


def shift_to_max(memory: Memory, x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """x − max x over `axes`, and the maximum with its axes kept: what keeps an exponential from overflowing.

    Where an element equals the maximum the difference is 0, also when both are infinite: a row of −∞ is treated as
    the limit of equal finite numbers. The maximum of nothing is −∞.
    """
    top = memory.empty(reduced_shape(x.shape, axes, keepdims=True), x.dtype)
    np.maximum.reduce(x, axis=axes, keepdims=True, initial=-np.inf, out=top)
    shifted = memory.like(x)
    if np.isfinite(top).all():
        np.subtract(x, top, out=shifted)
    else:
        shifted.fill(0)
        np.subtract(x, top, out=shifted, where=np.isfinite(x.real) | (x.real != top.real))
    return shifted, top


@dataclass(frozen=True)
class LogSumExp(Kernel):
    """y = ln Σ eˣ = m + ln Σ e^(x − m) with m = max x;  dx = e^(x − y)·dy.

    Finite for every finite x. The value of a row of −∞ is −∞, and its gradient is shared equally; the value of
    nothing is −∞.
    """

    axis: Axis = None
    keepdims: bool = False

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        axes = normalize_axes(self.axis, x.ndim)
        if not _count(x.shape, axes):
            empty = np.full(reduced_shape(x.shape, axes, keepdims=True), -np.inf, x.dtype)
            return empty if self.keepdims else np.squeeze(empty, axes), x
        softmax, top = shift_to_max(memory, x, axes)
        np.exp(softmax, out=softmax)
        total = sum_axes(memory, softmax, axes, keepdims=True)
        softmax /= total
        y = np.log(total, out=total)
        y += top
        return y if self.keepdims else np.squeeze(y, axes), softmax

    def backward(self, memory: Memory, dy: Array, softmax: Array) -> tuple[Array]:
        dy = expand(dy, normalize_axes(self.axis, softmax.ndim), self.keepdims)
        return (np.multiply(softmax, dy, out=memory.like(softmax)),)

    def reference(self, ops: Any, x: Any) -> Any:
        """The definition, good where no exponential overflows."""
        return ops.log(ops.sum(ops.exp(x), self.axis, self.keepdims))
