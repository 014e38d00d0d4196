"""Where results live: kernels ask a memory for every array they return.

`Heap` is `np.empty`. `Arena` hands out the k-th buffer for the k-th request and rewinds after each training step, so
that a step that asks for the same arrays in the same order allocates nothing. Both give bitwise equal results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

    def __init__(self, buffers: Iterable[Array] = ()) -> None:
        self._buffers = list(buffers)
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


@dataclass
class Request:
    """An array asked for in step `born` of a recorded computation and last used in step `died`."""

    shape: Shape
    dtype: np.dtype[Any]
    born: int
    died: int
    # Where it must be, if that is not left to `allocate`.
    place: Array | None = None

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


ALIGNMENT = 64
"""The bytes of a cache line, at whose multiples the vector units read fastest."""


def allocate(requests: Sequence[Request]) -> list[Array]:
    """An array for each request, in the order of their birth; those whose lives do not overlap share memory.

    Greedy: a request gets the smallest block that is free and large enough; else the largest free one is made larger.
    """
    sizes: list[int] = []
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    blocks: list[int] = []
    for request in requests:
        free += [block for died, block in busy if died < request.born]
        busy = [(died, block) for died, block in busy if died >= request.born]
        if request.place is not None:
            blocks.append(-1)
            continue
        if free:
            # Of equally good blocks the one freed last, which is most likely still in the cache.
            fits = [block for block in reversed(free) if sizes[block] >= request.nbytes]
            block = min(fits, key=sizes.__getitem__) if fits else max(free, key=sizes.__getitem__)
            free.remove(block)
        else:
            block = len(sizes)
            sizes.append(0)
        sizes[block] = max(sizes[block], request.nbytes)
        busy.append((request.died, block))
        blocks.append(block)
    memory = [_aligned(size) for size in sizes]
    arrays = []
    for request, block in zip(requests, blocks, strict=True):
        if request.place is not None:
            same = request.place.shape == request.shape
            arrays.append(request.place if same else request.place.reshape(request.shape))
        else:
            arrays.append(memory[block][: request.nbytes].view(request.dtype).reshape(request.shape))
    return arrays


def _aligned(nbytes: int) -> Array:
    """So many bytes, beginning at a multiple of `ALIGNMENT`."""
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + nbytes]
