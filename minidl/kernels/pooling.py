"""Pooling: the largest or the mean element of each window; channels last, any number of spatial axes.

Windows are never copied. The elements that stand at one position in all windows are a strided slice of x, so that the
maximum over the windows is the element-wise maximum of as many slices as a window has positions. It is taken a few
images at a time, which stay in the cache from the first slice to the last.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from minidl.kernels.kernel import Kernel
from minidl.memory import Array, Memory, Shape
from minidl.threads import in_parallel, workers

Index = tuple[slice, ...]

# How many bytes of x are worked on at once: they, as many of dx, and y fit into a second-level cache.
BLOCK = 2**19


@dataclass(frozen=True)
class Pooling(Kernel):
    """What both poolings share: which element stands where in which window.

    x is (batch, *sizes, channels). For each axis of `sizes`, `window` has the size of a window, `strides` the step to
    the next one, and `padding` how far windows reach beyond the border: (before, after), less than a window. There are
    no elements there: a window holds those inside the border alone.
    """

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def _pooled_shape(self, shape: Shape) -> Shape:
        """One element for each window: ⌊(n + before + after − window)/stride⌋ + 1 of them along n elements."""
        axes = zip(shape[1:-1], self.window, self.strides, self.padding, strict=True)
        return (shape[0], *((n + sum(padding) - size) // stride + 1 for n, size, stride, padding in axes), shape[-1])

    def _axes(self, shape: Shape) -> Iterator[tuple[int, int, int, int, int]]:
        """For each axis: the elements, the windows, their size and stride, how far the first is beyond the border."""
        before = [pair[0] for pair in self.padding]
        return zip(shape[1:-1], self._pooled_shape(shape)[1:-1], self.window, self.strides, before, strict=True)

    def _positions(self, shape: Shape) -> list[tuple[Index, Index]]:
        """For each position in a window, row by row: the windows that have it inside the border, and the elements."""
        axes = self._axes(shape)
        reached = [[_reach(n, m, k, stride, before) for k in range(size)] for n, m, size, stride, before in axes]
        everything = slice(None)
        return [
            ((everything, *(windows for windows, _ in position)), (everything, *(elements for _, elements in position)))
            for position in itertools.product(*reached)
        ]

    def _is_padded(self) -> bool:
        return any(itertools.chain(*self.padding))

    def _combine(self, memory: Memory, pair: np.ufunc, start: float, x: Array) -> Array:
        """The elements of each window combined, from `start`, by a function of two."""
        y = memory.empty(self._pooled_shape(x.shape), x.dtype)
        positions = self._positions(x.shape)

        def combine(worker: int, block: Array, result: Array) -> None:
            if self._is_padded() or len(positions) == 1:
                result.fill(start)
                others = positions
            else:
                # The first two slices reach every window: they need no start.
                pair(block[positions[0][1]], block[positions[1][1]], out=result)
                others = positions[2:]
            for windows, elements in others:
                pair(result[windows], block[elements], out=result[windows])

        _in_blocks(combine, x, y)
        return y

    def _room_for_shares(self, memory: Memory, x: Array, dy: Array) -> Array | None:
        """Room for what the windows of each block give; None if no two give to one element and all are given to."""
        whole = all(n % size == 0 for n, size in zip(x.shape[1:-1], self.window, strict=True))
        if whole and self.window == self.strides and not self._is_padded():
            return None
        return _rooms(memory, x, dy.shape[1:], dy.dtype)


def _reach(n: int, m: int, k: int, stride: int, before: int) -> tuple[slice, slice]:
    """Which of m windows have their k-th element inside the border, and where it is among the n elements there."""
    first = max(0, -((k - before) // stride))
    last = max(first, min(m, (n - 1 + before - k) // stride + 1))
    start = max(0, first * stride + k - before)
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


def _images(x: Array) -> int:
    """How many images make a block."""
    return min(len(x), max(1, BLOCK // max(1, x.itemsize * math.prod(x.shape[1:]))))


def _rooms(memory: Memory, x: Array, each: Shape, dtype: npt.DTypeLike) -> Array:
    """(threads, images of a block, *each): room for each thread."""
    images = _images(x)
    return memory.empty((workers(-(-len(x) // max(1, images))), images, *each), dtype)


def _in_blocks(work: Callable[..., None], *arrays: Array) -> None:
    """Call `work(worker, *arrays)` for a block of images at a time."""
    images = max(1, _images(arrays[0]))
    in_parallel(lambda worker, part: work(worker, *(array[part] for array in arrays)), len(arrays[0]), images)


def _give(dx: Array, dy: Array, weight: Array, room: Array | None) -> None:
    """dx = dy·weight for elements in one window each, else dx += dy·weight."""
    if room is None:
        np.multiply(dy, weight, out=dx)
    else:
        dx += np.multiply(dy, weight, out=room)


class MaxPooling(Pooling):
    """y = the largest element of each window;  dy goes to it: to the first one, row by row, if several are equal.

    PyTorch and XLA choose the first one, too. Where there is a NaN, the largest is NaN.
    """

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array]]:
        y = self._combine(memory, np.maximum, -np.inf, x)
        return y, (x, y)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array]:
        x, y = saved
        dx, rooms = memory.empty(x.shape, dy.dtype), self._room_for_shares(memory, x, dy)
        waiting, won = (_rooms(memory, x, y.shape[1:], np.bool_) for _ in range(2))

        def give(worker: int, block: Array, dblock: Array, largest: Array, slope: Array) -> None:
            images = len(block)
            if rooms is not None:
                dblock.fill(0)
            winners = self._winners(block, largest, waiting[worker, :images], won[worker, :images])
            for windows, elements, here in winners:
                share = None if rooms is None else rooms[worker, :images][windows]
                _give(dblock[elements], slope[windows], here, share)

        _in_blocks(give, x, dx, y, dy)
        return (dx,)

    def _winners(
        self, x: Array, largest: Array, waiting: Array, won: Array
    ) -> Iterator[tuple[Index, Index, Array]]:
        """For each position: the windows, the elements, and whether they are the first ones that are largest.

        `waiting` and `won` are room for truth values. A window that waits till its last element has it there.
        """
        *others, (last_windows, last_elements) = self._positions(x.shape)
        waiting.fill(True)
        for windows, elements in others:
            here = np.equal(x[elements].real, largest[windows].real, out=won[windows])
            here &= waiting[windows]
            waiting[windows] ^= here
            yield windows, elements, here
        yield last_windows, last_elements, waiting[last_windows]


class AveragePooling(Pooling):
    """y = the mean over the elements of each window;  each of n elements gets dy/n.

    As in Keras and TensorFlow, n does not count the padding; PyTorch's `count_include_pad` does so by default.
    """

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Shape]:
        y = self._combine(memory, np.add, 0.0, x)
        y *= self._weights(x)
        return y, x.shape

    def backward(self, memory: Memory, dy: Array, shape: Shape) -> tuple[Array]:
        dx = memory.empty(shape, dy.dtype)
        rooms, positions, weights = self._room_for_shares(memory, dx, dy), self._positions(shape), self._weights(dx)

        def give(worker: int, block: Array, slope: Array) -> None:
            if rooms is not None:
                block.fill(0)
            for windows, elements in positions:
                share = None if rooms is None else rooms[worker, : len(block)][windows]
                _give(block[elements], slope[windows], weights[windows], share)

        _in_blocks(give, dx, dy)
        return (dx,)

    def _weights(self, x: Array) -> Array:
        """1/n for each window, as an array that broadcasts to y."""
        counts = []
        for n, m, size, stride, before in self._axes(x.shape):
            start = np.arange(m) * stride - before
            counts.append(np.minimum(start + size, n) - np.maximum(start, 0))
        weights: Array = 1 / reduce(np.multiply.outer, counts)[None, ..., None]
        return weights.astype(x.real.dtype)
