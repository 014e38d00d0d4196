"""Where results live: kernels ask a memory for every array they return.

`Heap` is `np.empty`. `Arena` hands out the k-th buffer for the k-th request and rewinds after each training step, so
that a step that asks for the same arrays in the same order allocates nothing. Both give bitwise equal results.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Memory(Protocol):
    """What hands out output arrays; their contents are undefined until written."""

    def empty(self, shape: Shape, dtype: npt.DTypeLike) -> Array:
        """An array of `shape` and `dtype` with undefined contents."""
        ...

    def like(self, x: Array) -> Array:
        """An array of the shape and dtype of `x` with undefined contents."""
        ...


class Heap:
    """Every request is a new array."""

    def empty(self, shape: Shape, dtype: npt.DTypeLike) -> Array:
        """An array of `shape` and `dtype` with undefined contents."""
        return np.empty(shape, dtype)

    def like(self, x: Array) -> Array:
        """An array of the shape and dtype of `x` with undefined contents."""
        return np.empty(x.shape, x.dtype)


class Arena:
    """The k-th request after `rewind` gets the k-th buffer again.

    An array handed out is valid until the next `rewind`. A request that differs in shape or dtype from what its buffer
    was made for gets a new buffer in that place.
    """

    def __init__(self) -> None:
        self._buffers: list[Array] = []
        self._next = 0

    def empty(self, shape: Shape, dtype: npt.DTypeLike) -> Array:
        """The next buffer, which has `shape` and `dtype` and undefined contents."""
        k, self._next = self._next, self._next + 1
        if k == len(self._buffers):
            self._buffers.append(np.empty(shape, dtype))
        buffer = self._buffers[k]
        if buffer.shape != shape or buffer.dtype != dtype:
            buffer = self._buffers[k] = np.empty(shape, dtype)
        return buffer

    def like(self, x: Array) -> Array:
        """The next buffer, which has the shape and dtype of `x` and undefined contents."""
        return self.empty(x.shape, x.dtype)

    def rewind(self) -> None:
        """Start again at the first buffer; everything handed out before may be overwritten."""
        self._next = 0

    @property
    def nbytes(self) -> int:
        """The bytes held by all buffers."""
        return sum(buffer.nbytes for buffer in self._buffers)
