"""The speed of the kernels, each beside a plain NumPy formulation of the same thing.

    pip install ".[bench]"
    pytest benchmarks

Each pair is one group of pytest-benchmark's table: `kernel` with its results in an arena, as in training, and `numpy`,
the lines that somebody would write by hand. Sizes are those of an MLP on Fashion-MNIST with batches of 128.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minidl import kernels
from minidl.memory import Arena

rng = np.random.default_rng(0)
X = rng.standard_normal((128, 784), np.float32)
H = rng.standard_normal((128, 300), np.float32)
W = rng.standard_normal((784, 300), np.float32)
B = rng.standard_normal(300, np.float32)
LOGITS = rng.standard_normal((128, 10), np.float32)
LABELS = rng.integers(0, 10, 128)
IMAGES = rng.standard_normal((32, 14, 14, 32), np.float32)
FILTERS = rng.standard_normal((3, 3, 32, 32), np.float32)
GAMMA, BETA = np.ones(784, np.float32), np.zeros(784, np.float32)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def batch_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, ...]:
    mean, variance = x.mean(axis=0), x.var(axis=0)
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta, mean, variance


def crossentropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


# name: kernel, inputs, the plain formulation of its forward pass.
FORWARD: dict[str, tuple[kernels.Kernel, tuple[np.ndarray, ...], Callable[..., Any]]] = {
    "add bias": (kernels.Add(), (H, B), lambda x, b: x + b),
    "multiply": (kernels.Multiply(), (H, H), lambda a, b: a * b),
    "matmul": (kernels.MatMul(), (X, W), lambda a, b: a @ b),
    "relu": (kernels.Relu(), (H,), lambda x: np.maximum(x, 0)),
    "leaky relu": (kernels.LeakyRelu(), (H,), lambda x: np.where(x > 0, x, np.float32(0.2) * x)),
    "elu": (kernels.Elu(), (H,), lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "selu": (kernels.Selu(), (H,), lambda x: 1.0507 * np.where(x > 0, x, 1.6733 * np.expm1(np.minimum(x, 0)))),
    "sigmoid": (kernels.Sigmoid(), (H,), lambda x: 1 / (1 + np.exp(-x))),
    "tanh": (kernels.Tanh(), (H,), np.tanh),
    "softplus": (kernels.Softplus(), (H,), lambda x: np.logaddexp(x, 0)),
    "softmax": (kernels.Softmax(), (LOGITS,), softmax),
    "crossentropy": (kernels.SparseSoftmaxCrossentropy(), (LOGITS, LABELS), crossentropy),
    "batch normalization": (kernels.BatchNormalization(), (X, GAMMA, BETA), batch_norm),
    "sum of rows": (kernels.Sum(0), (X,), lambda x: x.sum(axis=0)),
    "mean": (kernels.Mean(), (X,), np.mean),
    "variance": (kernels.Variance(0), (X,), lambda x: x.var(axis=0)),
    "max": (kernels.Max(-1), (X,), lambda x: x.max(axis=-1)),
    "transpose": (kernels.Transpose((0, 3, 1, 2)), (IMAGES,), lambda x: x.transpose(0, 3, 1, 2)),
    "pad": (
        kernels.Pad(((0, 0), (1, 1), (1, 1), (0, 0))),
        (IMAGES,),
        lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))),
    ),
    "dropout": (
        kernels.Dropout(0.5),
        (H, rng.random(H.shape, np.float32)),
        lambda x, u: np.where(u >= 0.5, x / np.float32(0.5), np.float32(0)),
    ),
}


def windows_product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    return (windows.reshape(-1, w[..., 0].size) @ w.reshape(-1, w.shape[-1])).reshape(*x.shape[:3], w.shape[-1])


def max_of_four(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), 7, 2, 7, 2, -1).max(axis=(2, 4))


FORWARD |= {
    "affine": (kernels.Affine(), (X, W, B), lambda x, w, b: x @ w + b),
    "crossentropy of probabilities": (
        kernels.SparseCrossentropy(),
        (softmax(LOGITS), LABELS),
        lambda p, y: -np.log(np.clip(p[np.arange(len(y)), y] / p.sum(axis=-1), 1e-7, 1 - 1e-7)),
    ),
    "convolution": (kernels.Convolution((1, 1), (1, 1), ((1, 1), (1, 1)), 1), (IMAGES, FILTERS), windows_product),
    "winograd": (kernels.WinogradConvolution(), (IMAGES, FILTERS), windows_product),
    "max pooling": (kernels.MaxPooling((2, 2), (2, 2), ((0, 0), (0, 0))), (IMAGES,), max_of_four),
}


def matmul_backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
    return dy @ W.T, X.T @ dy


def batch_norm_backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
    std = np.sqrt(X.var(axis=0) + 1e-3)
    x_hat = (X - X.mean(axis=0)) / std
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    return (dy - dbeta / len(X) - x_hat * dgamma / len(X)) * GAMMA / std, dgamma, dbeta


# The backward passes that training spends its time in: the plain formulation gets dy alone.
BACKWARD: dict[str, Callable[..., Any]] = {
    "add bias": lambda dy: (dy, dy.sum(axis=0)),
    "matmul": matmul_backward,
    "relu": lambda dy: dy * (H > 0),
    "elu": lambda dy: dy * np.where(H > 0, 1, np.exp(np.minimum(H, 0))),
    "batch normalization": batch_norm_backward,
}


@pytest.mark.parametrize("side", ["kernel", "numpy"])
@pytest.mark.parametrize("name", FORWARD)
def test_forward(benchmark: Any, name: str, side: str) -> None:
    benchmark.group = f"{name}, forward"
    kernel, inputs, plain = FORWARD[name]
    benchmark(in_arena(lambda arena: kernel.forward(arena, *inputs)) if side == "kernel" else lambda: plain(*inputs))


@pytest.mark.parametrize("side", ["kernel", "numpy"])
@pytest.mark.parametrize("name", BACKWARD)
def test_backward(benchmark: Any, name: str, side: str) -> None:
    benchmark.group = f"{name}, backward"
    kernel, inputs, _ = FORWARD[name]
    y, saved = kernel.forward(Arena(), *inputs)
    ys = y if isinstance(y, tuple) else (y,)
    dys = tuple(rng.standard_normal(part.shape).astype(part.dtype) for part in ys)
    dy = dys if isinstance(y, tuple) else dys[0]
    plain = BACKWARD[name]
    benchmark(in_arena(lambda arena: kernel.backward(arena, dy, saved)) if side == "kernel" else lambda: plain(dys[0]))


# How many times as long as the plain formulation a kernel may take. Most take less time than that; small arrays cost a
# kernel some microseconds for its memory, and a busy machine takes its share.
SLOWEST = 4.0


@pytest.mark.parametrize("name", FORWARD)
def test_no_kernel_is_much_slower_than_the_plain_formulation(name: str) -> None:
    """A guard against regressions: the fastest of many short turns, of which one suffices."""
    kernel, inputs, plain = FORWARD[name]
    sides = in_arena(lambda arena: kernel.forward(arena, *inputs)), lambda: plain(*inputs)
    fastest = [math.inf, math.inf]
    for turn in range(200):
        for k, run in enumerate(sides):
            start = time.thread_time_ns()
            run()
            fastest[k] = min(fastest[k], time.thread_time_ns() - start)
        if turn >= 10 and fastest[0] < SLOWEST * fastest[1]:
            return
    raise AssertionError(f"{name}: {fastest[0] / fastest[1]:.1f} times as long as in plain NumPy")


def in_arena(run: Callable[[Arena], Any]) -> Callable[[], Any]:
    """`run` again and again on the same memory."""
    arena = Arena()

    def once() -> Any:
        arena.rewind()
        return run(arena)

    return once


@pytest.mark.parametrize("name", FORWARD)
def test_both_sides_compute_the_same(name: str) -> None:
    """What is compared above must be equal, or the comparison says nothing; the tolerance is float32 rounding."""
    kernel, inputs, plain = FORWARD[name]
    y, _ = kernel.forward(Arena(), *inputs)
    expected = plain(*inputs)
    for got, wanted in zip(*((y, expected) if isinstance(y, tuple) else ((y,), (expected,))), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-4)
