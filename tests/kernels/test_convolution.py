"""Convolutions beside PyTorch, in blocks of images, and in float32; the table in test_kernels.py has the rest."""

import json
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minidl import config
from minidl.kernels import Convolution, ConvolutionTranspose, DepthwiseConvolution, convolution
from minidl.memory import Arena, Heap

with np.load(Path(__file__).parents[1] / "golden" / "convolution.npz") as file:
    GOLDEN = dict(file)
TORCH = json.loads(str(GOLDEN["torch"]))
HEAP = Heap()

rng = np.random.default_rng(0)
GEOMETRY = ((2, 1), (1, 2), ((1, 0), (0, 2)))
KERNELS = {
    "convolution": (Convolution(*GEOMETRY, 2), (7, 6, 5, 4), (3, 2, 2, 6)),
    "one by one": (Convolution((1, 1), (1, 1), ((0, 0), (0, 0)), 2), (7, 6, 5, 4), (1, 1, 2, 6)),
    "without a frame": (Convolution((1, 1), (1, 1), ((0, 0), (0, 0)), 1), (7, 6, 5, 4), (3, 3, 4, 2)),
    "transposed": (ConvolutionTranspose(*GEOMETRY, 2, (1, 0)), (7, 4, 5, 6), (3, 2, 2, 6)),
    "depthwise": (DepthwiseConvolution(*GEOMETRY), (7, 6, 5, 3), (3, 2, 3)),
}
every_kernel = pytest.mark.parametrize("name", KERNELS)


def run(kernel, x, w, memory=HEAP):
    """Output and gradients, the cotangent being cos y."""
    y, saved = kernel.forward(memory, x, w)
    return (y, *kernel.backward(memory, np.cos(y), saved))


def drawn(name, dtype="float64"):
    kernel, x, w = KERNELS[name]
    return kernel, rng.normal(size=x).astype(dtype), rng.normal(size=w).astype(dtype)


def per_axis(value, axes):
    return tuple(np.broadcast_to(value, axes).tolist())


@pytest.mark.parametrize("case", TORCH)
def test_value_and_gradients_are_those_of_pytorch(case):
    x, w, y, c, dx, dw = (GOLDEN[f"{case}__{key}"] for key in ("x", "w", "y", "c", "dx", "dw"))
    axes = x.ndim - 2
    arguments = dict(TORCH[case])
    name, groups = arguments.pop("function"), arguments.pop("groups", 1)
    strides, dilation = (per_axis(arguments.pop(key, 1), axes) for key in ("stride", "dilation"))
    if arguments.get("padding") == "same":
        spans = [(k - 1) * d for k, d in zip(w.shape[2:], dilation, strict=True)]
        padding = tuple((total // 2, total - total // 2) for total in spans)
    else:
        padding = tuple((n, n) for n in per_axis(arguments.get("padding", 0), axes))
    kernel = Convolution(strides, dilation, padding, groups)
    if "transpose" in name:
        extra = per_axis(arguments.get("output_padding", 0), axes)
        kernel = ConvolutionTranspose(strides, dilation, padding, groups, extra)

    def last(images):
        return np.moveaxis(images, 1, -1)

    # PyTorch has the filters first, or in a transposed convolution the channels; both turned around is our order.
    def turned(weights):
        return np.moveaxis(weights, (0, 1), (-1, -2))

    result, saved = kernel.forward(HEAP, last(x), turned(w))
    gradients = kernel.backward(HEAP, last(c), saved)
    for ours, theirs in zip((result, *gradients), (last(y), last(dx), turned(dw)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


@every_kernel
@pytest.mark.parametrize("images", [1, 2, 3, 7, 100])
def test_the_size_of_the_blocks_makes_no_difference(name, images, monkeypatch):
    kernel, x, w = drawn(name)
    expected = run(kernel, x, w)
    monkeypatch.setattr(convolution, "_images_at_once", lambda total, _: max(1, min(total, images)))
    # The products of the blocks of w's gradient are added in another order.
    for result, whole in zip(run(kernel, x, w), expected, strict=True):
        np.testing.assert_allclose(result, whole, rtol=1e-13, atol=1e-13)


def test_a_block_has_as_many_images_as_fit_into_the_cache():
    assert convolution._images_at_once(100, convolution.CACHE // 10) == 10
    assert convolution._images_at_once(5, convolution.CACHE // 10) == 5
    assert convolution._images_at_once(5, 2 * convolution.CACHE) == 1
    assert convolution._images_at_once(2 * convolution.CACHE, 1) == convolution.CACHE
    assert convolution._images_at_once(0, 0) == 1


class Ledger(Heap):
    """A memory that notes the bytes of each request."""

    def __init__(self):
        self.requests = []

    def empty(self, shape, dtype):
        array = super().empty(shape, dtype)
        self.requests.append(array.nbytes)
        return array


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["convolution", "without a frame", "transposed", "depthwise"])
def test_beside_results_and_frames_each_thread_asks_for_one_cache_of_memory(name, dtype, monkeypatch):
    monkeypatch.setattr(config, "num_threads", lambda: 1)
    kernel, x, w = drawn(name, dtype)
    x = np.concatenate([x] * 9)
    y = kernel.forward(HEAP, x, w)[0]
    small, large = (y, x) if y.size < x.size else (x, y)
    points = 1 if name == "depthwise" else w[..., 0, 0].size
    # Of each image: a number for each channel where the window stands, and the window there.
    product = small[0, ..., 0].size * large.shape[-1] * x.itemsize
    windows = points * product
    frame = np.prod(kernel.framed_sizes(large.shape[1:-1])) * large.shape[-1] * x.itemsize
    monkeypatch.setattr(convolution, "CACHE", 10 * windows)
    ledger = Ledger()
    kernel.backward(ledger, y, kernel.forward(ledger, x, w)[1])
    # Windows are needed twice, for y and for dw, products once, for dx; of them the more fit into the cache.
    at_once = min(10 * points, len(x))
    rooms, frames = [10 * windows, 10 * windows, at_once * product], [10 * frame, 10 * frame, at_once * frame]
    assert Counter(rooms) <= Counter(ledger.requests)
    if name == "without a frame":
        assert 10 * frame not in ledger.requests
    else:
        assert Counter(frames) <= Counter(ledger.requests)


def test_a_window_of_one_point_needs_no_memory_but_for_the_results():
    ledger = Ledger()
    kernel, x, w = drawn("one by one")
    y, saved = kernel.forward(ledger, x, w)
    assert ledger.requests == [y.nbytes]
    kernel.backward(ledger, y, saved)
    assert ledger.requests[1:] == [x.nbytes, w.nbytes]


@pytest.mark.parametrize("padding", [((1, 0), (0, 2)), ((0, 1), (0, 0)), ((0, 0), (2, 0))])
def test_a_window_of_one_point_in_a_frame(padding):
    kernel, x, w = Convolution((1, 1), (1, 1), padding, 1), rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(1, 1, 3, 2))
    y, saved = kernel.forward(HEAP, x, w)
    np.testing.assert_allclose(y, np.pad(x, ((0, 0), *padding, (0, 0))) @ w[0, 0], rtol=1e-13, atol=1e-13)
    dx, _ = kernel.backward(HEAP, y, saved)
    inner = y[:, padding[0][0] : padding[0][0] + 3, padding[1][0] : padding[1][0] + 4]
    np.testing.assert_allclose(dx, inner @ w[0, 0].T, rtol=1e-13, atol=1e-13)


@every_kernel
def test_an_arena_serves_all_but_small_arrays(name, monkeypatch):
    monkeypatch.setattr(convolution, "CACHE", 2**16)
    kernel, x, w = KERNELS[name]
    x, w = rng.normal(size=(10 * x[0], 4 * x[1], 4 * x[2], x[3])), rng.normal(size=w)
    arena = Arena()
    expected = [array.copy() for array in run(kernel, x, w, arena)]
    y, saved = kernel.forward(HEAP, x, w)
    dy = np.cos(y)
    arena.rewind()
    tracemalloc.start()
    try:
        y, saved = kernel.forward(arena, x, w)
        gradients = kernel.backward(arena, dy, saved)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # NumPy's iterators have buffers of 8192 elements, of 64 KB each here; x has 800 KB or more.
    assert peak < x.nbytes / 2
    for result, first in zip((y, *gradients), expected, strict=True):
        np.testing.assert_array_equal(result, first)


@every_kernel
def test_an_empty_batch(name):
    kernel, x, w = drawn(name)
    y, dx, dw = run(kernel, x[:0], w)
    assert y.shape == (0, *kernel.forward(HEAP, x, w)[0].shape[1:])
    assert dx.shape == (0, *x.shape[1:])
    assert dw.shape == w.shape
    assert not dw.any()


@every_kernel
def test_it_is_linear_in_both_and_its_gradients_are_the_adjoints(name):
    kernel, x, w = drawn(name)
    y, saved = kernel.forward(HEAP, x, w)
    c = rng.normal(size=y.shape)
    dx, dw = kernel.backward(HEAP, c, saved)
    # <y(x, w), c> = <x, dx> = <w, dw>, since y is linear in x and in w.
    assert np.vdot(y, c) == pytest.approx(np.vdot(x, dx), rel=1e-12)
    assert np.vdot(y, c) == pytest.approx(np.vdot(w, dw), rel=1e-12)


@pytest.mark.parametrize("name", ["convolution", "depthwise"])
@pytest.mark.parametrize("sign", ["any sign", "one sign"])
def test_the_gradient_of_the_weights_is_accurate_in_float32_over_many_blocks(name, sign, monkeypatch):
    # 400 blocks; one sign makes the sum grow as the blocks are added, so that each addition rounds a larger number.
    monkeypatch.setattr(convolution, "_images_at_once", lambda total, _: 1)
    kernel, x_shape, w_shape = KERNELS[name]
    x, w = rng.normal(size=(400, 16, 16, x_shape[-1])), rng.normal(size=w_shape)
    if sign == "one sign":
        x, w = abs(x), abs(w)
    x, w = x.astype("float32"), w.astype("float32")
    y, saved = kernel.forward(HEAP, x, w)
    dy = (np.cos(y) if sign == "any sign" else abs(y)).astype("float32")
    dw = kernel.backward(HEAP, dy, saved)[1]
    exact = kernel.backward(HEAP, dy.astype("float64"), tuple(a.astype("float64") for a in saved))[1]
    assert dw.dtype == "float32"
    # Σ|x·dy|, about √400·16·16 times the result where signs alternate, is what rounding is relative to: ε = 6e-8.
    size = kernel.backward(HEAP, abs(dy).astype("float64"), (abs(x).astype("float64"), w.astype("float64")))[1]
    assert (abs(dw - exact) / size).max() < 1e-6


def test_a_window_of_one_point_is_a_matrix_product():
    kernel, (x, w) = Convolution((1,), (1,), ((0, 0),), 1), (rng.normal(size=(2, 5, 3)), rng.normal(size=(1, 3, 4)))
    y, saved = kernel.forward(HEAP, x, w)
    np.testing.assert_array_equal(y.reshape(10, 4), x.reshape(10, 3) @ w[0])
    dx, dw = kernel.backward(HEAP, y, saved)
    np.testing.assert_array_equal(dx.reshape(10, 3), y.reshape(10, 4) @ w[0].T)
    np.testing.assert_array_equal(dw[0], x.reshape(10, 3).T @ y.reshape(10, 4))


def test_three_spatial_axes():
    kernel = Convolution((1, 2, 1), (1, 1, 2), ((1, 1), (0, 0), (0, 1)), 1)
    x, w = rng.normal(size=(2, 3, 4, 4, 2)), rng.normal(size=(3, 2, 2, 2, 3))
    y = kernel.forward(HEAP, x, w)[0]
    framed = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 1), (0, 0)))
    assert y.shape == (2, 3, 2, 3, 3)
    for a, b, c in np.ndindex(3, 2, 3):
        seen = framed[:, a : a + 3, 2 * b : 2 * b + 2, c : c + 3 : 2]
        np.testing.assert_allclose(y[:, a, b, c], np.tensordot(seen, w, 4), rtol=1e-13, atol=1e-13)


class TestGeometry:
    def test_how_often_the_window_fits(self):
        kernel = Convolution((1, 2), (1, 2), ((0, 0), (1, 2)), 1)
        assert kernel.spans((3, 3)) == (3, 5)
        assert kernel.framed_sizes((5, 6)) == (5, 9)
        assert kernel.output_sizes((5, 6), (3, 3)) == (3, 3)

    def test_what_a_transposed_convolution_makes_is_what_the_convolution_takes(self):
        for size in (1, 4, 7):
            for rest in (0, 1, 2):
                kernel = ConvolutionTranspose((3,), (2,), ((1, 2),), 1, (rest,))
                (large,) = kernel.transposed_sizes((size,), (4,))
                assert kernel.output_sizes((large,), (4,)) == (size,)
