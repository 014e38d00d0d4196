"""Images cut out of images, and images turned, shifted and stretched: for each pixel of the new one, where in the old.

Images are (n, height, width, channels). Each comes with parameters of its own, which are constants: a gradient flows to
the images alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minidl.kernels.kernel import Kernel
from minidl.memory import Array, Memory, Shape

# How many places are looked up at once.
PIXELS = 2**13


@dataclass(frozen=True)
class AffineSampling(Kernel):
    """y[i, j] = x[a·i + b·j + c, d·i + e·j + f];  dx = each dy given back to the pixels it was taken from.

    `transforms` (n, 2, 3) hold (a, b, c) and (d, e, f) for each image. The place that is asked for lies between four
    pixels: "bilinear" weighs them by nearness, "nearest" takes the one. Beyond the border stand

        constant  k k k k | a b c d | k k k k     k = `fill_value`
        nearest   a a a a | a b c d | d d d d
        reflect   d c b a | a b c d | d c b a
        wrap      a b c d | a b c d | a b c d

    With "constant", a place less than a pixel beyond the border is still half in the image, as in Keras. All this is
    linear in x: y = S·x with a sparse matrix of one or four numbers a row, and so dx = Sᵀ·dy. "nearest" keeps integers.
    """

    interpolation: str = "bilinear"
    fill_mode: str = "reflect"
    fill_value: float = 0.0

    def forward(self, memory: Memory, x: Array, transforms: Array) -> tuple[Array, tuple[Array, Array, Shape]]:
        images, height, width, channels = x.shape
        shape = (images, height, width, 1 if self.interpolation == "nearest" else 4)
        whole = np.int32 if math.prod(shape) < 2**31 else np.int64
        indices, weights = memory.empty(shape, whole), memory.empty(shape, x.real.dtype)
        # As many images at once as let everything about them stay in the cache.
        some = max(1, PIXELS // (height * width))
        for first in range(0, images, some):
            part = slice(first, first + some)
            self._locate(first, transforms.real[part], indices[part], weights[part])
        y = memory.like(x)
        y.reshape(-1, channels)[:] = _sparse(indices, weights) @ x.reshape(-1, channels)
        if self.fill_mode == "constant" and self.fill_value:
            y += (self.fill_value * (1 - weights.sum(axis=-1, keepdims=True))).astype(x.real.dtype)
        return y, (indices, weights, x.shape)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array, Shape]) -> tuple[Array, None]:
        indices, weights, shape = saved
        dx = memory.empty(shape, dy.dtype)
        dx.reshape(-1, shape[-1])[:] = _sparse(indices, weights).T @ dy.reshape(-1, shape[-1])
        return dx, None

    def _locate(self, first: int, transforms: Array, indices: Array, weights: Array) -> None:
        """Fill in which pixels are taken, counted through all images, for some of the images from `first` on."""
        images, height, width, _ = indices.shape
        rows, columns = (self._neighbours(axis, transforms, (height, width), weights.dtype) for axis in (0, 1))
        above = np.arange(first, first + images, dtype=indices.dtype)[:, None, None] * height
        starts = [((above + row) * width, weight) for row, weight in rows]
        for k, ((start, row_weight), (column, column_weight)) in enumerate(product(starts, columns)):
            np.add(start, column, out=indices[..., k])
            np.multiply(row_weight, column_weight, out=weights[..., k])

    def _neighbours(
        self, axis: int, transforms: Array, sizes: tuple[int, int], dtype: np.dtype[Any]
    ) -> list[tuple[Array, Array]]:
        """The pixels along an axis that each place lies between, as (index, weight), each of (n, height, width)."""
        a, b, c = transforms[:, axis, :, None].swapaxes(0, 1)
        places = (a * np.arange(sizes[0]))[:, :, None] + (b * np.arange(sizes[1]) + c)[:, None, :]
        if self.interpolation == "nearest":
            places += 0.5
        below = np.floor(places)
        lowest, highest = int(below.min(initial=0)), int(below.max(initial=0)) + 1
        asked, share = (below - lowest).astype(np.intp), (places - below).astype(dtype)
        parts = [(asked, 1 - share), (asked + 1, share)]
        if self.interpolation == "nearest":
            parts = [(asked, np.ones_like(share))]
        # What stands in for a place beyond the border is found once for each and then looked up.
        index, counts = self._standing_in(np.arange(lowest, highest + 1, dtype=np.int32), sizes[axis])
        if self.fill_mode == "constant":
            parts = [(at, weight * counts[at]) for at, weight in parts]
        return [(index[at], weight) for at, weight in parts]

    def _standing_in(self, asked: Array, size: int) -> tuple[Array, Array]:
        """Which pixels 0 … size − 1 stand for these, and whether these are inside."""
        inside = np.clip(asked, 0, size - 1)
        counts = inside == asked
        if self.fill_mode == "wrap":
            return asked % size, counts
        if self.fill_mode == "reflect":
            folded = asked % (2 * size)
            return np.minimum(folded, 2 * size - 1 - folded), counts
        return inside, counts


def _sparse(indices: Array, weights: Array) -> Any:
    """The square matrix that has, in each row, these weights in these columns."""
    from scipy.sparse import csr_array

    rows = math.prod(indices.shape[:-1])
    starts = np.arange(0, weights.size + 1, indices.shape[-1], dtype=indices.dtype)
    return csr_array((weights.reshape(-1), indices.reshape(-1), starts), shape=(rows, rows))


@dataclass(frozen=True)
class FlipSome(Kernel):
    """y = x with the order along `axis` reversed in the images that are chosen;  dx = dy with theirs reversed."""

    axis: int

    def forward(self, memory: Memory, x: Array, chosen: Array) -> tuple[Array, Array]:
        chosen = chosen.real.astype(bool)
        y = memory.like(x)
        np.copyto(y, x)
        y[chosen] = np.flip(x[chosen], self.axis)
        return y, chosen

    def backward(self, memory: Memory, dy: Array, chosen: Array) -> tuple[Array, None]:
        return self.forward(memory, dy, chosen)[0], None


@dataclass(frozen=True)
class Crop(Kernel):
    """y = a window of `size` in each image, from the corner (top, left) on;  dx = dy in that window, 0 elsewhere."""

    size: tuple[int, int]

    def forward(self, memory: Memory, x: Array, corners: Array) -> tuple[Array, tuple[Array, Shape]]:
        y = self._windows(x)[self._places(corners, x.shape)]
        return y.reshape(len(x), *self.size, x.shape[-1]), (corners, x.shape)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Shape]) -> tuple[Array, None]:
        corners, shape = saved
        dx = memory.empty(shape, dy.dtype)
        dx.fill(0)
        self._windows(dx)[self._places(corners, shape)] = dy.reshape(len(dy), self.size[0], self.size[1] * shape[-1])
        return dx, None

    def _windows(self, x: Array) -> Array:
        """All windows, with pixels and channels of a row as one axis: one long piece to copy, not many short ones."""
        images, height, width, channels = x.shape
        rows = x.reshape(images, height, width * channels)
        return sliding_window_view(rows, (self.size[0], self.size[1] * channels), axis=(1, 2), writeable=True)

    def _places(self, corners: Array, shape: Shape) -> tuple[Array, Array, Array]:
        return np.arange(shape[0]), corners[:, 0], corners[:, 1] * shape[-1]
