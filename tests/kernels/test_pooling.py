"""Pooling where something special happens: ties, NaN, borders, and images that do not fit into one block."""

import numpy as np
import pytest

from minidl.kernels import AveragePooling, MaxPooling, pooling
from minidl.memory import Arena, Heap

HEAP = Heap()
NONE = ((0, 0), (0, 0))
ONE_AROUND = ((1, 1), (1, 1))


def image(rows):
    """One image of one channel."""
    return np.array(rows, dtype=np.float32)[None, :, :, None]


def pooled(kernel, x):
    return kernel.forward(HEAP, x)[0][0, :, :, 0].tolist()


def gradient(kernel, x, dy=None):
    y, saved = kernel.forward(HEAP, x)
    (dx,) = kernel.backward(HEAP, np.ones_like(y) if dy is None else dy, saved)
    return dx


class TestTies:
    """The first of several largest elements gets the gradient, row by row."""

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ([[5, 5], [5, 5]], [[1, 0], [0, 0]]),
            ([[0, 5], [5, 0]], [[0, 1], [0, 0]]),
            ([[0, 0], [5, 5]], [[0, 0], [1, 0]]),
            ([[-0.0, 0.0], [0.0, 0.0]], [[1, 0], [0, 0]]),
        ],
    )
    def test_in_one_window(self, rows, expected):
        assert gradient(MaxPooling((2, 2), (2, 2), NONE), image(rows))[0, :, :, 0].tolist() == expected

    def test_in_windows_that_overlap(self):
        # Three of the four windows find their first 5 at the places of (0, 0), (0, 1), (1, 0); the last one at (1, 1).
        dx = gradient(MaxPooling((2, 2), (1, 1), NONE), image(np.full((3, 3), 5)))
        assert dx[0, :, :, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]

    def test_only_real_parts_count(self):
        x = image([[5, 5], [5, 5]]).astype(np.complex128)
        x[0, 1, 1, 0] += 1e-20j
        assert gradient(MaxPooling((2, 2), (2, 2), NONE), x)[0, :, :, 0].real.tolist() == [[1, 0], [0, 0]]


class TestBorders:
    def test_padding_is_never_the_largest(self):
        x = image([[-3, -4], [-5, -np.inf]])
        kernel = MaxPooling((2, 2), (2, 2), ONE_AROUND)
        assert pooled(kernel, x) == [[-3, -4], [-5, -np.inf]]
        assert gradient(kernel, x)[0, :, :, 0].tolist() == [[1, 1], [1, 1]]

    def test_padding_does_not_count_in_a_mean(self):
        x = image([[1, 2, 6], [4, 5, 6]])
        kernel = AveragePooling((2, 2), (2, 2), ((0, 0), (0, 1)))
        assert pooled(kernel, x) == [[3, 6]]
        assert gradient(kernel, x)[0, :, :, 0].tolist() == [[0.25, 0.25, 0.5], [0.25, 0.25, 0.5]]

    @pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
    def test_what_no_window_reaches_has_no_gradient(self, kind):
        kernel = kind((1, 2), (2, 2), NONE)
        dx = gradient(kernel, image([[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0]]))[0, :, :, 0]
        np.testing.assert_array_equal(dx[1::2], 0)
        np.testing.assert_array_equal(dx[:, 2], 0)
        assert dx.sum() == 2

    @pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
    @pytest.mark.parametrize("padding", [NONE, ONE_AROUND])
    @pytest.mark.parametrize("strides", [(1, 1), (1, 2), (2, 2), (3, 2)])
    def test_each_window_gives_all_of_its_gradient(self, kind, strides, padding):
        kernel, x = kind((2, 2), strides, padding), image(np.random.default_rng(0).normal(size=(4, 4)))
        y = kernel.forward(HEAP, x)[0]
        assert gradient(kernel, x).sum() == pytest.approx(y.size)

    @pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
    def test_no_images_and_no_channels(self, kind):
        kernel = kind((2, 2), (2, 2), NONE)
        for shape in ((0, 4, 6, 3), (2, 4, 6, 0)):
            x = np.zeros(shape, np.float32)
            assert kernel.forward(HEAP, x)[0].shape == (shape[0], 2, 3, shape[3])
            assert gradient(kernel, x).shape == shape


class TestNaN:
    @pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
    @pytest.mark.parametrize("padding", [NONE, ONE_AROUND])
    @pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
    def test_is_never_hidden(self, kind, padding, place):
        x = image(np.arange(16).reshape(4, 4))
        x[0, *place, 0] = np.nan
        y = np.array(pooled(kind((2, 2), (2, 2), padding), x))
        assert np.isnan(y).sum() == 1


class TestBlocks:
    """Images are worked on a few at a time; how many has no influence on the result."""

    @pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
    @pytest.mark.parametrize("geometry", [((2, 2), (2, 2), NONE), ((3, 3), (2, 2), ONE_AROUND)], ids=["tiles", "over"])
    @pytest.mark.parametrize("images", [1, 2, 3])
    def test_of_any_size(self, monkeypatch, kind, geometry, images):
        x = np.random.default_rng(0).normal(size=(5, 6, 4, 3)).astype(np.float32)
        kernel = kind(*geometry)
        y, dx = kernel.forward(HEAP, x)[0], gradient(kernel, x)
        monkeypatch.setattr(pooling, "BLOCK", images * x[0].nbytes)
        arena = Arena()
        for _ in range(2):
            again, saved = kernel.forward(arena, x)
            np.testing.assert_array_equal(again, y)
            np.testing.assert_array_equal(kernel.backward(arena, np.ones_like(y), saved)[0], dx)
            arena.rewind()


def test_a_mean_of_a_large_window_is_exact_to_float32():
    x = np.full((1, 64, 64, 1), 0.1, np.float32)
    y = AveragePooling((64, 64), (64, 64), NONE).forward(HEAP, x)[0]
    # 4096 additions one after the other, each rounded by at most half of 2⁻²⁴ of a growing sum.
    assert abs(y.item() - np.float32(0.1)) < 1e-4 * 0.1
