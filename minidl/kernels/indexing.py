"""Picking elements by position, sorting, and the questions that have an integer or a truth value as their answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.errors import NotDifferentiableError
from minidl.kernels.kernel import Kernel
from minidl.memory import Array, Memory, Shape


def _zeros(memory: Memory, shape: Shape, dtype: np.dtype) -> Array:
    x = memory.empty(shape, dtype)
    x.fill(0)
    return x


@dataclass(frozen=True)
class GetItem(Kernel):
    """y = x[index];  dx = dy added at those positions, 0 elsewhere.

    `index` is anything NumPy indexes with. An array of integers may name a position twice, hence the addition.
    """

    index: Any

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        return np.asarray(x[self.index]), x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        dx = _zeros(memory, shape, dy.dtype)
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        if any(isinstance(part, (list, np.ndarray)) for part in parts):
            np.add.at(dx, self.index, dy)
        else:
            dx[self.index] = dy
        return (dx,)


@dataclass(frozen=True)
class Take(Kernel):
    """y = the slices of x at `indices` along `axis`;  dx = dy added at those slices, 0 elsewhere."""

    axis: int = 0

    def forward(self, memory: Memory, x: Array, indices: Array) -> tuple[Array, tuple[Array, Shape]]:
        return np.asarray(np.take(x, indices, axis=self.axis)), (indices, x.shape)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Shape]) -> tuple[Array, None]:
        indices, shape = saved
        axis = self.axis % len(shape)
        dx = _zeros(memory, shape, dy.dtype)
        where: Any = (*[slice(None)] * axis, indices)
        np.add.at(dx, where, dy)
        return dx, None


@dataclass(frozen=True)
class Sort(Kernel):
    """y = x in ascending order along `axis`;  dx = dy put back in the old order.  Equal elements keep their order."""

    axis: int = -1

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        order = np.argsort(x.real, axis=self.axis, kind="stable")
        return np.take_along_axis(x, order, self.axis), order

    def backward(self, memory: Memory, dy: Array, order: Array) -> tuple[Array]:
        dx = memory.like(dy)
        np.put_along_axis(dx, order, dy, self.axis)
        return (dx,)


@dataclass(frozen=True)
class OneHot(Kernel):
    """y = 1 in the column that the integer names, 0 in the `classes` − 1 others; not differentiable.

    An integer outside 0 … `classes` − 1 gives a row of zeros, as in Keras.
    """

    classes: int
    dtype: npt.DTypeLike = np.float32

    def forward(self, memory: Memory, labels: Array) -> tuple[Array, None]:
        y = memory.empty((*labels.shape, self.classes), self.dtype)
        np.copyto(y, labels[..., None] == np.arange(self.classes))
        return y, None


@dataclass(frozen=True)
class NonDifferentiable(Kernel):
    """y = the NumPy function `name` of the real parts of its inputs; it has no derivative and says so.

    `arguments` are keyword arguments of that function.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def forward(self, memory: Memory, *xs: Array) -> tuple[Array, None]:
        return np.asarray(getattr(np, self.name)(*(x.real for x in xs), **dict(self.arguments))), None

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotDifferentiableError(f"{self.name} is not differentiable: stop_gradient makes it a constant")
