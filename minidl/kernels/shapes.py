"""Kernels that move elements and leave their values alone; most return a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.kernels.kernel import Kernel, sum_axes, unbroadcast
from minidl.memory import Array, Memory, Shape


@dataclass(frozen=True)
class Cast(Kernel):
    """y = x with another dtype;  dx = dy with the dtype of x.  A complex number stays complex, of that precision."""

    dtype: npt.DTypeLike

    def forward(self, memory: Memory, x: Array) -> tuple[Array, np.dtype]:
        return self._convert(memory, x, np.dtype(self.dtype)), x.dtype

    def backward(self, memory: Memory, dy: Array, dtype: np.dtype) -> tuple[Array | None]:
        return (self._convert(memory, dy, dtype) if dtype.kind in "fc" else None,)

    def _convert(self, memory: Memory, x: Array, dtype: np.dtype) -> Array:
        if x.dtype.kind == "c" and dtype.kind == "f":
            dtype = np.result_type(dtype, np.complex64)
        y = memory.empty(x.shape, dtype)
        np.copyto(y, x if dtype.kind == "c" else x.real, casting="unsafe")
        return y


@dataclass(frozen=True)
class Reshape(Kernel):
    """y = x with another shape;  dx = dy with the shape of x."""

    shape: Shape

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        return x.reshape(self.shape), x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        return (dy.reshape(shape),)


@dataclass(frozen=True)
class Transpose(Kernel):
    """y = x with its axes in the order `axes`, reversed by default;  dx = dy with them put back."""

    axes: tuple[int, ...] | None = None

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        return x.transpose(self.axes), None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[Array]:
        back = None if self.axes is None else tuple(np.argsort([a % dy.ndim for a in self.axes]))
        return (dy.transpose(back),)


@dataclass(frozen=True)
class BroadcastTo(Kernel):
    """y = copies of x that fill `shape`;  dx = Σ dy over the copies."""

    shape: Shape

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        return np.broadcast_to(x, self.shape), x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        return (unbroadcast(memory, dy, shape),)


@dataclass(frozen=True)
class Concatenate(Kernel):
    """y = the arrays one after the other along `axis`;  each gets its part of dy."""

    axis: int = 0

    def forward(self, memory: Memory, *xs: Array) -> tuple[Array, list[int]]:
        axis = self.axis % xs[0].ndim
        lengths = [x.shape[axis] for x in xs]
        shape = (*xs[0].shape[:axis], sum(lengths), *xs[0].shape[axis + 1 :])
        y = np.concatenate(xs, axis=axis, out=memory.empty(shape, np.result_type(*xs)))
        return y, np.cumsum(lengths)[:-1].tolist()

    def backward(self, memory: Memory, dy: Array, cuts: list[int]) -> tuple[Array, ...]:
        return tuple(np.split(dy, cuts, axis=self.axis))


@dataclass(frozen=True)
class Stack(Kernel):
    """y = the arrays side by side along a new `axis`;  each gets its slice of dy."""

    axis: int = 0

    def forward(self, memory: Memory, *xs: Array) -> tuple[Array, None]:
        axis = self.axis % (xs[0].ndim + 1)
        shape = (*xs[0].shape[:axis], len(xs), *xs[0].shape[axis:])
        return np.stack(xs, axis=axis, out=memory.empty(shape, np.result_type(*xs))), None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[Array, ...]:
        first = np.moveaxis(dy, self.axis, 0)
        return tuple(first[k, ...] for k in range(len(first)))


@dataclass(frozen=True)
class Split(Kernel):
    """(y₀, y₁, …) = x cut before each of `cuts` along `axis`;  dx = the dy one after the other."""

    cuts: tuple[int, ...]
    axis: int = 0

    def forward(self, memory: Memory, x: Array) -> tuple[tuple[Array, ...], None]:
        return tuple(np.split(x, self.cuts, axis=self.axis)), None

    def backward(self, memory: Memory, dys: tuple[Array, ...], saved: None) -> tuple[Array]:
        return (Concatenate(self.axis).forward(memory, *dys)[0],)


@dataclass(frozen=True)
class Pad(Kernel):
    """y = x framed with `value`: `widths` has (before, after) for each axis;  dx = dy without its frame."""

    widths: tuple[tuple[int, int], ...]
    value: float = 0.0

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Any]:
        inner: Any = (*(slice(before, before + n) for (before, _), n in zip(self.widths, x.shape, strict=True)), ...)
        shape = tuple(before + n + after for (before, after), n in zip(self.widths, x.shape, strict=True))
        y = memory.empty(shape, x.dtype)
        y.fill(self.value)
        y[inner] = x
        return y, inner

    def backward(self, memory: Memory, dy: Array, inner: Any) -> tuple[Array]:
        return (dy[inner],)


@dataclass(frozen=True)
class Flip(Kernel):
    """y = x with the order along `axis` (all axes by default) reversed;  dx = dy reversed."""

    axis: int | tuple[int, ...] | None = None

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        return np.asarray(np.flip(x, self.axis)), None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[Array]:
        return (np.asarray(np.flip(dy, self.axis)),)


@dataclass(frozen=True)
class Repeat(Kernel):
    """y = every element `repeats` times in a row along `axis`;  dx = Σ dy over its copies."""

    repeats: int
    axis: int = 0

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        return np.repeat(x, self.repeats, axis=self.axis), x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        axis = self.axis % len(shape)
        copies = dy.reshape(*shape[: axis + 1], self.repeats, *shape[axis + 1 :])
        return (sum_axes(memory, copies, (axis + 1,)),)


@dataclass(frozen=True)
class Tile(Kernel):
    """y = `repeats[a]` copies of all of x along each axis a;  dx = Σ dy over the copies."""

    repeats: tuple[int, ...]

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        return np.tile(x, self.repeats), x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        new = len(self.repeats) - len(shape)
        repeats = (1,) * -new + self.repeats
        full = (1,) * new + shape
        copies = dy.reshape([n for pair in zip(repeats, full, strict=True) for n in pair])
        return (sum_axes(memory, copies, tuple(range(0, 2 * len(full), 2))).reshape(shape),)
