"""Winograd's convolution beside the direct one in blocks of every kind, and which blocks are chosen."""

import numpy as np
import pytest

from minidl import config
from minidl.kernels import Convolution, winograd
from minidl.kernels.winograd import WinogradConvolution
from minidl.memory import Arena, Heap

HEAP = Heap()
DIRECT = Convolution((1, 1), (1, 1), ((1, 1), (1, 1)), 1)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(config, "num_threads", lambda: 1)


def run(kernel, memory, x, w, *bias):
    """Output and gradients, the cotangent being cos y."""
    y, saved = kernel.forward(memory, x, w, *bias)
    return (y, *kernel.backward(memory, np.cos(y), saved))


def direct(x, w, *bias):
    """The same by the direct convolution."""
    y, saved = DIRECT.forward(HEAP, x, w)
    y = y + sum(bias)
    return (y, *DIRECT.backward(HEAP, np.cos(y), saved), *(np.cos(y).sum(axis=(0, 1, 2)) for _ in bias))


# Rows of tiles and images at a time; 7 images of 17 × 10 leave a rest of both, for tiles of 2 and of 4, and 8 × 8 none.
@pytest.mark.parametrize(("block", "row"), [(1, 1), (30, 6), (36, 12), (10**6, 1)])
@pytest.mark.parametrize("shape", [(7, 17, 10, 3), (4, 8, 8, 3)], ids=["rest", "whole"])
@pytest.mark.parametrize("filters", [2, 5])
@pytest.mark.parametrize("m", [2, 4])
def test_blocks_of_rows_and_of_images(m, filters, shape, block, row, monkeypatch):
    monkeypatch.setattr(winograd, "BLOCK", max(3, filters) * block)
    monkeypatch.setattr(winograd, "TILES", 1)
    monkeypatch.setattr(winograd, "ROW", row)
    rng = np.random.default_rng(1)
    x, w, bias = rng.normal(size=shape), rng.normal(size=(3, 3, 3, filters)), rng.normal(size=filters)
    arena = Arena()
    for arguments in ((x, w, bias), (x, w)):
        arena.rewind()
        for found, expected in zip(run(WinogradConvolution(m), arena, *arguments), direct(*arguments), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    ("shape", "channels", "m", "expected"),
    [
        # Down, across and images. 8192/32 = 256 tiles a block, 256/32 = 8 images in a row: 4 of 7 rows of 7.
        ((128, 28, 28, 3), 32, 4, (4, 7, 8)),
        ((128, 25, 27, 3), 32, 4, (4, 7, 8)),
        # One image has more than a block, even in one row of tiles.
        ((1, 400, 4000, 3), 32, 4, (1, 1000, 1)),
        ((1, 40, 40, 3), 256, 4, (6, 10, 1)),
        # 512 tiles a block: of 64 images with 4 tiles all, of 300 three equal blocks.
        ((64, 8, 8, 3), 16, 4, (2, 2, 64)),
        ((300, 8, 8, 3), 16, 4, (2, 2, 100)),
        ((64, 8, 8, 3), 16, 2, (4, 4, 32)),
        # Many channels: at least 64 tiles, so that the 392 make seven blocks, of two images at most.
        ((8, 28, 28, 3), 512, 4, (7, 7, 2)),
        # Fewer images than a row has.
        ((2, 28, 28, 3), 8, 4, (7, 7, 2)),
    ],
)
def test_which_blocks_are_chosen(shape, channels, m, expected):
    grid = WinogradConvolution(m)._grid(shape, channels)
    assert (grid.m, grid.down, grid.across, grid.images) == (m, *expected)
    assert grid.tiles == np.prod(expected)


def test_blocks_are_equal_for_each_thread(monkeypatch):
    monkeypatch.setattr(winograd, "workers", lambda count: min(count, 4))
    assert WinogradConvolution()._grid((300, 8, 8, 3), 16).images == 75
    assert WinogradConvolution()._grid((3, 8, 8, 3), 16).images == 1


def test_the_more_of_channels_and_filters_decides(monkeypatch):
    asked = []
    grid = WinogradConvolution._grid
    monkeypatch.setattr(WinogradConvolution, "_grid", lambda *args: asked.append(args[-1]) or grid(*args))
    for channels, filters in ((2, 5), (5, 2)):
        run(WinogradConvolution(), HEAP, np.ones((1, 4, 4, channels)), np.ones((3, 3, channels, filters)))
    assert asked == [5, 5, 5, 5]


def test_tiles_have_four_outputs_a_side_unless_told_otherwise():
    assert WinogradConvolution().m == 4
