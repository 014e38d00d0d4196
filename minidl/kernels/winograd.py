"""Convolution with 3×3 windows, stride 1 and a frame of one zero ("same" padding) by Winograd's minimal filtering.

A direct convolution multiplies nine times for each output and pair of channels. Seen as a product of polynomials on
tiles of m×m outputs, (m + 2)² multiplications for m² outputs are enough: 4 for each at m = 2, 2.25 at m = 4. Three
small matrices lead to the tiles and back:

    y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A        on tiles of (m + 2)×(m + 2) inputs, which overlap by 2

⊙ sums over the channels: it is (m + 2)² products of matrices, tiles × channels with channels × filters. Batches are
worked on in blocks that stay in the cache from the first transformation to the last. (Winograd 1980; Lavin & Gray 2016)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minidl.kernels.kernel import Kernel, ones
from minidl.memory import Array, Memory, Shape
from minidl.threads import in_parallel, workers

# Where the polynomials are evaluated, besides infinity. The powers of √½ and √2 stay between 1/4 and 4, those of the
# usual 1 and 2 reach 16: the error of m = 4 is a fifth of what it would be with those.
POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0))}
# Tiles × channels of a block: the hundred or so numbers for each of them fit into a cache of 2 to 4 MB.
BLOCK = 8192
# The fewest tiles of a block, as products with fewer rows are slow, and the fewest images × channels: the rows above.
TILES, ROW = 64, 256


def toom_cook(outputs: int, taps: int, points: Sequence[float]) -> tuple[Array, Array, Array]:
    """A, G, B with Σₖ gₖ·dᵢ₊ₖ = (Aᵀ[(G g) ⊙ (Bᵀ d)])ᵢ for `outputs` of i and `taps` of k.

    A and G hold the powers of the points pⱼ; column j of B the coefficients of Πₗ(z − pₗ), l ≠ j, by whose value at pⱼ
    row j of G is divided. Last comes the point at infinity. (Toom 1963; Cook 1966)
    """
    p = np.array(points)
    a, g, b = np.zeros((len(p) + 1, outputs)), np.zeros((len(p) + 1, taps)), np.zeros((len(p) + 1, len(p) + 1))
    for j, point in enumerate(p):
        others = np.delete(p, j)
        a[j] = point ** np.arange(outputs)
        g[j] = point ** np.arange(taps) / np.prod(point - others)
        b[:-1, j] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[:, -1] = np.poly(p)[::-1]
    return a, g, b


def _both_sides(matrix: Array, x: Array) -> Array:
    """matrix · x · matrixᵀ over the first two axes of x."""
    half = np.matmul(matrix, x.reshape(len(x), -1)).reshape(len(matrix), x.shape[1], -1)
    whole: Array = np.matmul(matrix, half).reshape(len(matrix), len(matrix), *x.shape[2:])
    return whole


@dataclass(frozen=True)
class _Grid:
    """A block: `images` at a time, of which `down` rows of `across` tiles with m×m outputs each."""

    m: int
    down: int
    across: int
    images: int

    @property
    def tiles(self) -> int:
        """How many they are."""
        return self.down * self.across * self.images

    def blocks(self, shape: Shape) -> list[tuple[slice, int]]:
        """Which images, and from which row on, for batches of this shape. No block needs another."""
        n, height, _, _ = shape
        tops = range(0, height, self.m * self.down)
        return [(slice(i, i + self.images), top) for i in range(0, n, self.images) for top in tops]


class _Tiles:
    """M d Mᵀ for all tiles d of a block.

    In scratch the images lie as (height, width, images, channels). There overlapping tiles are views, and to transform
    them is to multiply a tiny matrix with long rows, which BLAS does at half its speed for large matrices.
    """

    def __init__(self, memory: Memory, matrix: Array, grid: _Grid, channels: int) -> None:
        self.matrix = matrix
        positions, size = matrix.shape
        m, down, across = grid.m, grid.down, grid.across
        height, width, row = m * (down - 1) + size, m * (across - 1) + size, grid.images * channels
        self.border = (size - m) // 2
        self.image = memory.empty((height, width, grid.images, channels), matrix.dtype)
        self.image.fill(0)
        half = memory.empty((positions, down, width, row), matrix.dtype)
        whole = memory.empty((positions, positions, down, across, row), matrix.dtype)
        line, column, item = *self.image.strides[:2], matrix.itemsize
        self._down = as_strided(self.image, (down, size, width * row), (m * line, line, item))
        self._half = half.reshape(positions, down, -1).swapaxes(0, 1)
        self._across = as_strided(
            half, (positions, down, across, size, row), (*half.strides[:2], m * column, column, item)
        )
        self._whole = whole.transpose(0, 2, 3, 1, 4)
        self._tiles = whole.reshape(positions, positions, grid.tiles, channels)

    def of(self, x: Array, top: int) -> Array:
        """For images x (n, height, width, channels) from row `top` on: (positions, positions, tiles, channels)."""
        n, height, width, _ = x.shape
        above = top - self.border
        first, last = max(above, 0), min(above + len(self.image), height)
        inside = self.image[:, self.border : self.border + width]
        inside[: first - above] = inside[last - above :] = inside[:, :, n:] = 0
        inside[first - above : last - above, :, :n] = x[:, first:last].transpose(1, 2, 0, 3)
        np.matmul(self.matrix, self._down, out=self._half)
        np.matmul(self.matrix, self._across, out=self._whole)
        return self._tiles

    def sum(self) -> Array:
        """The sum of each channel over the images, without what is there for the tiles' overlap alone."""
        height, _, n, channels = self.image.shape
        rows = self.image[self.border : height - self.border].reshape(-1, n * channels)
        total: Array = np.matmul(ones(len(rows), rows.dtype), rows).reshape(n, channels).sum(axis=0)
        return total


class _Outputs:
    """Aᵀ d A + bias for the `products` d of a block.

    The bias is one more row of d: an addition of a vector to short rows would cost more than that.
    """

    def __init__(self, memory: Memory, a: Array, grid: _Grid, channels: int, bias: Array | None = None) -> None:
        positions, m = a.shape
        self.products = memory.empty((positions, positions, grid.tiles, channels), a.dtype)
        self._across = self._down = a.T
        self._half = memory.empty((positions + (bias is not None), m, self.products[0, 0].size), a.dtype)
        if bias is not None:
            self._down = np.hstack([a.T, np.ones((m, 1), a.dtype)])
            self._half[-1].reshape(-1, channels)[:] = bias
        self._tiles = memory.empty((m, m, grid.down, grid.across, grid.images, channels), a.dtype)

    def store(self, y: Array, top: int) -> None:
        """Writes the images from row `top` on, without what lies outside of them."""
        positions = len(self.products)
        np.matmul(self._across, self.products.reshape(positions, positions, -1), out=self._half[:positions])
        m, _, down, across, _, channels = self._tiles.shape
        np.matmul(self._down, self._half.reshape(len(self._half), -1), out=self._tiles.reshape(m, -1))
        y = y[:, top : top + m * down]
        n, height, width, _ = y.shape
        tiles = self._tiles.transpose(4, 2, 0, 3, 1, 5)[:n]
        if (height, width) == (m * down, m * across):
            y.reshape(tiles.shape)[:] = tiles
        else:
            y[:] = tiles.reshape(n, m * down, m * across, channels)[:, :height, :width]


@dataclass(frozen=True)
class WinogradConvolution(Kernel):
    """y[n, i, j, f] = Σ x[n, i + p − 1, j + q − 1, c]·w[p, q, c, f] + b[f] over p, q < 3 and c, with zeros around x.

    dx is the convolution of dy with w, turned by 180° and with channels and filters exchanged. Σ x·dy is symmetric in x
    and dy, so the weights' gradient uses dy as dx needs it, dw = Gᵀ[Σ (Bᵀ dy B) ⊙ (A x Aᵀ)]G turned by 180°, and
    nothing but x and w is saved. The bias may be left out.

    The largest error in float32, relative to the largest |y|, is 3e-6 with m = 4 and 5e-7 with m = 2; the sum in the
    order of its definition has 1e-6. `ops.conv` knows from which sizes on it is the faster one.
    """

    selective = True

    m: int = 4

    def forward(self, memory: Memory, x: Array, w: Array, *bias: Array) -> tuple[Array, tuple[Array, ...]]:
        a, g, b = self._matrices(np.result_type(x, w, *bias))
        channels, filters = w.shape[2:]
        y = memory.empty((*x.shape[:3], filters), a.dtype)
        grid = self._grid(x.shape, max(channels, filters))
        blocks = grid.blocks(x.shape)
        u = _both_sides(g, w)
        rooms = [
            (_Tiles(memory, b.T, grid, channels), _Outputs(memory, a, grid, filters, *bias))
            for _ in range(workers(len(blocks)))
        ]

        def convolve(worker: int, block: slice) -> None:
            (v, out), (images, top) = rooms[worker], blocks[block.start]
            np.matmul(v.of(x[images], top), u, out=out.products)
            out.store(y[images], top)

        in_parallel(convolve, len(blocks))
        return y, (x, w, *bias)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, ...], wanted: Sequence[bool] = (True, True, True)
    ) -> tuple[Array | None, ...]:
        x, w, *bias = saved
        a, g, b = self._matrices(np.result_type(x, w, dy))
        channels, filters = w.shape[2:]
        grid = self._grid(x.shape, max(channels, filters))
        blocks = grid.blocks(x.shape)
        u = _both_sides(g, _turned(w))
        threads = workers(len(blocks))
        dx = memory.empty(x.shape, a.dtype) if wanted[0] else None
        du, db = memory.empty((threads, *u.shape), a.dtype), memory.empty((threads, filters), a.dtype)
        du.fill(0)
        db.fill(0)
        rooms = [
            (
                _Tiles(memory, b.T, grid, filters), _Tiles(memory, a, grid, channels),
                _Outputs(memory, a, grid, channels), memory.empty(u.shape, a.dtype),
            )
            for _ in range(threads)
        ]  # fmt: skip

        def convolve(worker: int, block: slice) -> None:
            (v, e, out, product), (images, top) = rooms[worker], blocks[block.start]
            tiles = v.of(dy[images], top)
            du[worker] += np.matmul(tiles.swapaxes(2, 3), e.of(x[images], top), out=product)
            if dx is not None:
                np.matmul(tiles, u, out=out.products)
                out.store(dx[images], top)
            db[worker] += v.sum()

        in_parallel(convolve, len(blocks))
        dw = memory.empty(w.shape, a.dtype)
        np.copyto(dw, _turned(_both_sides(g.T, du.sum(axis=0))))
        gradients = (dx, dw if wanted[1] else None)
        return (*gradients, db.sum(axis=0) if wanted[2] else None) if bias else gradients

    def reference(self, ops: Any, x: Any, w: Any, *bias: Any) -> Any:
        """The sum in the order of its definition."""
        y = ops.conv(x, w, padding="same", exact=True)
        return y + bias[0] if bias else y

    def _matrices(self, dtype: Any) -> tuple[Array, ...]:
        return tuple(matrix.astype(dtype) for matrix in toom_cook(self.m, 3, POINTS[self.m]))

    def _grid(self, shape: Shape, channels: int) -> _Grid:
        """Whole images, as many as make a block; of large images, a few rows of tiles."""
        n, height, width, _ = shape
        down, across = math.ceil(height / self.m), math.ceil(width / self.m)
        tiles = max(BLOCK // channels, TILES)
        images = min(n, math.ceil(ROW / channels))
        if down * across * images > tiles:
            return _Grid(self.m, max(1, tiles // (across * images)), across, images)
        threads = workers(n)
        blocks = math.ceil(n * down * across / (tiles * threads)) * threads
        return _Grid(self.m, down, across, math.ceil(n / blocks))


def _turned(w: Array) -> Array:
    """w turned by 180°, channels and filters exchanged."""
    return w[::-1, ::-1].swapaxes(2, 3)
