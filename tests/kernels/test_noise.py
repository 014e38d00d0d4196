"""`RandomUniform`, `RandomNormal` and `Drawn` draw from the generator they hold."""

import numpy as np
import pytest
from scipy import stats

from minidl.kernels import Drawn, RandomNormal, RandomUniform
from minidl.memory import Heap


def draw(kernel, x):
    return kernel.forward(Heap(), x)[0]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.125, 0.25), (-2.0, 3.0), (0.0, 4.0), (-1.0, 1.0)])
def test_distribution(low, high):
    u = draw(RandomUniform(np.random.default_rng(0), low, high), np.empty(20_000))
    assert u.min() >= low
    assert u.max() < high
    # Kolmogorov and Smirnov, for a fixed seed.
    assert stats.kstest(u, stats.uniform(low, high - low).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("mean", "stddev"), [(0.0, 1.0), (1.0, 0.5), (-2.0, 3.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_distribution(mean, stddev, dtype):
    x = draw(RandomNormal(np.random.default_rng(0), mean, stddev), np.empty(20_000, dtype))
    assert stats.kstest(x, stats.norm(mean, stddev).cdf).pvalue > 1e-3


kinds = pytest.mark.parametrize("kind", [RandomUniform, RandomNormal])


@kinds
@pytest.mark.parametrize(
    ("dtype", "drawn"),
    [("float32", "float32"), ("float64", "float64"), ("complex64", "float32"), ("complex128", "float64")],
)
def test_dtype_and_shape_of_the_input(kind, dtype, drawn):
    u = draw(kind(np.random.default_rng(0)), np.empty((2, 3), dtype))
    assert u.dtype == drawn
    assert u.shape == (2, 3)


def test_shape_of_its_own():
    assert draw(RandomUniform(np.random.default_rng(0), shape=(1, 4)), np.empty((3, 4))).shape == (1, 4)


@kinds
def test_every_draw_is_new_and_the_generator_decides(kind):
    kernel, x = kind(np.random.default_rng(7)), np.empty(5)
    first, second = draw(kernel, x), draw(kernel, x)
    assert not np.array_equal(first, second)
    again = kind(np.random.default_rng(7))
    assert np.array_equal(draw(again, x), first)


@kinds
def test_no_gradient_flows_through_it(kind):
    assert kind(np.random.default_rng(0)).backward(Heap(), np.ones(3), None) == (None,)


def gaussian(generator, x, low):
    return low + generator.standard_normal(x.shape)


def test_what_a_function_draws():
    kernel, x = Drawn(np.random.default_rng(7), gaussian, (3.0,)), np.empty((2, 5))
    expected = np.random.default_rng(7)
    for _ in range(2):
        np.testing.assert_array_equal(draw(kernel, x), 3.0 + expected.standard_normal((2, 5)))
    assert kernel.backward(Heap(), np.ones((2, 5)), None) == (None,)
