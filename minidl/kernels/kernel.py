"""What a kernel is, and the pieces of arithmetic that many of them share."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.errors import NotDifferentiableError
from minidl.memory import Array, Memory, Shape

# How many rows are added up at once, and up to where a last axis is short.
BLOCK, SHORT = 256, 64


@dataclass(frozen=True)
class Kernel:
    """A function of NumPy arrays and its derivative, side by side.

    A kernel is a frozen dataclass of its hyperparameters; one without any need not say so again. It keeps the dtype it
    is given, never modifies its inputs, takes its results from `memory` wherever NumPy can write into given room (or
    returns a view), and works on complex numbers: where it compares, it compares real parts, and it never takes a
    modulus or a conjugate where the real formula has none. The complex step (see `minidl.autodiff`) then differentiates
    it to machine precision.

    A kernel whose gradients are dear, each by itself, is `selective`: its `backward(memory, dy, saved, wanted)` gets a
    truth value for each input and gives None where that is false. (The images that a network starts from need no
    gradient.)

    A fused kernel also has a `reference(ops, *inputs)`: the composition of simpler operations that it replaces.
    """

    selective = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """`forward(memory, *inputs)` gives `(y, saved)`: the output (a tuple for several) and what backward needs."""

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """`backward(memory, dy, saved)` gives a gradient for each input, `None` for one that cannot have any."""
        raise NotDifferentiableError(f"{type(self).__name__.lower()} is not differentiable")


@functools.lru_cache(1024)
def normalize_axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes as sorted non-negative numbers; `None` means all of them."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(sorted(a % ndim for a in axes))


def sum_axes(memory: Memory, x: Array, axes: tuple[int, ...], keepdims: bool = False) -> Array:
    """Σx over the sorted `axes`.

    Over the leading axes of floating-point numbers, and over a short last one, it is a product with a vector of ones,
    which NumPy's own sum is slower than: it would add row after row, or begin anew for every few numbers.
    """
    k, shape = len(axes), reduced_shape(x.shape, axes, keepdims)
    if x.dtype.kind in "fc" and x.flags.c_contiguous and 0 < k < x.ndim:
        if axes[-1] == k - 1:
            return sum_rows(memory, x.reshape(math.prod(x.shape[:k]), math.prod(x.shape[k:]))).reshape(shape)
        if axes == (x.ndim - 1,) and x.shape[-1] < SHORT:
            total = memory.empty(shape, x.dtype)
            np.matmul(x, ones(x.shape[-1], x.dtype), out=total.reshape(x.shape[:-1]))
            return total
    return np.add.reduce(x, axis=axes, keepdims=keepdims, out=memory.empty(shape, sum_dtype(x)))


@functools.lru_cache(1024)
def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape of what is left after a reduction over these axes."""
    return tuple(1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)


def sum_rows(memory: Memory, x: Array) -> Array:
    """Σ over the rows of a matrix: sums of blocks first, then their sum; rounding grows with log n instead of n."""
    rows, columns = x.shape
    blocks, rest = divmod(rows, BLOCK)
    if blocks < 2:
        return np.matmul(ones(rows, x.dtype), x, out=memory.empty((columns,), x.dtype))
    sums = memory.empty((blocks, columns), x.dtype)
    np.matmul(ones(BLOCK, x.dtype), x[: rows - rest].reshape(blocks, BLOCK, columns), out=sums)
    total = sum_rows(memory, sums)
    total += np.matmul(ones(rest, x.dtype), x[rows - rest :])
    return total


@functools.lru_cache(128)
def ones(count: int, dtype: npt.DTypeLike) -> Array:
    """So many ones, always the same that nobody may write to: a product with them is a sum."""
    vector = np.ones(count, dtype)
    vector.flags.writeable = False
    return vector


def sum_dtype(x: Array) -> np.dtype[Any]:
    """The type of sums: that of floating-point numbers; small integers and truth values become larger integers."""
    return x.dtype if x.dtype.kind in "fc" else np.add.reduce(np.empty(0, x.dtype)).dtype


def unbroadcast(memory: Memory, dy: Array, shape: Shape) -> Array:
    """The gradient of an input of `shape` that was broadcast to the shape of `dy`: the sum over its copies."""
    if dy.shape == shape:
        return dy
    new = dy.ndim - len(shape)
    stretched = tuple(a for a in range(dy.ndim) if a < new or shape[a - new] != dy.shape[a])
    return sum_axes(memory, dy, stretched).reshape(shape)


def expand(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """A reduced array with the reduced `axes` back in place as axes of size 1."""
    return x if keepdims else np.expand_dims(x, axes)
