"""Arithmetic of two arrays, with broadcasting; comparisons that select one of two."""

from __future__ import annotations

import numpy as np

from minidl.kernels.kernel import Kernel, unbroadcast
from minidl.memory import Array, Memory, Shape


def _broadcast(memory: Memory, a: Array, b: Array) -> Array:
    """Room for the result of an element-wise operation on `a` and `b`."""
    shape = a.shape if a.shape == b.shape else np.broadcast_shapes(a.shape, b.shape)
    return memory.empty(shape, np.result_type(a, b))


class Add(Kernel):
    """y = a + b;  da = dy,  db = dy."""

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Shape, Shape]]:
        return np.add(a, b, out=_broadcast(memory, a, b)), (a.shape, b.shape)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Shape, Shape]) -> tuple[Array, Array]:
        a_shape, b_shape = saved
        return unbroadcast(memory, dy, a_shape), unbroadcast(memory, dy, b_shape)


class Subtract(Kernel):
    """y = a − b;  da = dy,  db = −dy."""

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Shape, Shape]]:
        return np.subtract(a, b, out=_broadcast(memory, a, b)), (a.shape, b.shape)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Shape, Shape]) -> tuple[Array, Array]:
        a_shape, b_shape = saved
        db = unbroadcast(memory, dy, b_shape)
        return unbroadcast(memory, dy, a_shape), np.negative(db, out=memory.like(db))


class Multiply(Kernel):
    """y = a·b;  da = dy·b,  db = dy·a."""

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        return np.multiply(a, b, out=_broadcast(memory, a, b)), (a, b)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = saved
        da = np.multiply(dy, b, out=_broadcast(memory, dy, b))
        db = np.multiply(dy, a, out=_broadcast(memory, dy, a))
        return unbroadcast(memory, da, a.shape), unbroadcast(memory, db, b.shape)


class Divide(Kernel):
    """y = a / b;  da = dy / b,  db = −dy·y / b."""

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Shape, Array, Array]]:
        y = np.divide(a, b, out=_broadcast(memory, a, b))
        return y, (a.shape, b, y)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Shape, Array, Array]) -> tuple[Array, Array]:
        a_shape, b, y = saved
        da = np.divide(dy, b, out=_broadcast(memory, dy, b))
        db = np.multiply(da, y, out=_broadcast(memory, da, y))
        np.negative(db, out=db)
        return unbroadcast(memory, da, a_shape), unbroadcast(memory, db, b.shape)


class Power(Kernel):
    """y = xᵃ;  dx = a·xᵃ⁻¹·dy,  da = y·ln x·dy.

    da is 0 where x ≤ 0, where the real logarithm does not exist; dx is 0 where a = 0, also at x = 0.
    """

    def forward(self, memory: Memory, x: Array, a: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        y = np.power(x, a, out=_broadcast(memory, x, a))
        return y, (x, a, y)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        x, a, y = saved
        dx = np.power(x, np.where(a == 0, 1, a - 1), out=_broadcast(memory, x, a))
        dx *= a
        dx = np.multiply(dx, dy, out=_broadcast(memory, dx, dy))
        da = np.multiply(y, dy, out=_broadcast(memory, y, dy))
        da *= np.log(np.where(x.real > 0, x, 1))
        return unbroadcast(memory, dx, x.shape), unbroadcast(memory, da, a.shape)


def _select(memory: Memory, dy: Array, a: Array, b: Array, a_wins: Array) -> tuple[Array, Array]:
    """dy to the operand that was selected; operands that are equal share it."""
    share = np.where(a.real == b.real, 0.5, a_wins).astype(dy.real.dtype)
    da = np.multiply(dy, share, out=memory.like(dy))
    db = np.subtract(dy, da, out=memory.like(dy))
    return unbroadcast(memory, da, a.shape), unbroadcast(memory, db, b.shape)


class Maximum(Kernel):
    """y = max(a, b);  dy goes to the larger of the two, half to each where they are equal."""

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        return np.maximum(a, b, out=_broadcast(memory, a, b)), (a, b)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = saved
        return _select(memory, dy, a, b, np.greater(a.real, b.real))


class Minimum(Kernel):
    """y = min(a, b);  dy goes to the smaller of the two, half to each where they are equal."""

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        return np.minimum(a, b, out=_broadcast(memory, a, b)), (a, b)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = saved
        return _select(memory, dy, a, b, np.less(a.real, b.real))


class Where(Kernel):
    """y = a where the condition holds, b elsewhere;  da = dy where it holds, db = dy elsewhere."""

    def forward(
        self, memory: Memory, condition: Array, a: Array, b: Array
    ) -> tuple[Array, tuple[Array, Shape, Shape]]:
        condition = condition.astype(bool, copy=False)
        y = memory.empty(np.broadcast_shapes(condition.shape, a.shape, b.shape), np.result_type(a, b))
        np.copyto(y, b)
        np.copyto(y, a, where=condition)
        return y, (condition, a.shape, b.shape)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Shape, Shape]
    ) -> tuple[None, Array, Array]:
        condition, a_shape, b_shape = saved
        da = memory.like(dy)
        np.copyto(da, dy)
        np.copyto(da, 0, where=~condition)
        db = memory.like(dy)
        np.copyto(db, dy)
        np.copyto(db, 0, where=condition)
        return None, unbroadcast(memory, da, a_shape), unbroadcast(memory, db, b_shape)
