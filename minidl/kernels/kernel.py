"""What a kernel is, and the pieces of arithmetic that many of them share."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.errors import NotDifferentiableError
from minidl.memory import Array, Memory, Shape
from minidl.threads import PIECE, matmul

# How many rows are added up at once, from where on a last axis is not short, and what BLAS multiplies.
BLOCK, SHORT, BLAS_TYPES = 256, 16, "fdFD"


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

    Over the leading axes of floating-point numbers, and over a short last one, it is a product with a vector of ones.
    NumPy's own sum would add row after row, or begin anew for every few numbers: it is slower, and over many rows less
    accurate.
    """
    k, shape = len(axes), reduced_shape(x.shape, axes, keepdims)
    if x.dtype.char in BLAS_TYPES and x.flags.c_contiguous and 0 < k < x.ndim:
        if axes[-1] == k - 1:
            return sum_rows(memory, x.reshape(math.prod(x.shape[:k]), math.prod(x.shape[k:]))).reshape(shape)
        if axes == (x.ndim - 1,) and 1 < x.shape[-1] < SHORT:
            total = memory.empty(shape, x.dtype)
            matmul(x, ones(x.shape[-1], x.dtype), total.reshape(x.shape[:-1]))
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
        return matmul(ones(rows, x.dtype), x, memory.empty((columns,), x.dtype))
    sums = memory.empty((blocks, columns), x.dtype)
    matmul(ones(BLOCK, x.dtype), x[: rows - rest].reshape(blocks, BLOCK, columns), sums)
    total = sum_rows(memory, sums)
    total += matmul(ones(rest, x.dtype), x[rows - rest :], memory.empty((columns,), x.dtype))
    return total


def ones(count: int, dtype: np.dtype[Any]) -> Array:
    """So many ones, which nobody may write to: a product with them is a sum."""
    return _many_ones(dtype)[:count] if count <= PIECE else np.ones(count, dtype)


@functools.lru_cache
def _many_ones(dtype: np.dtype[Any]) -> Array:
    vector = np.ones(PIECE, dtype)
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
