"""Clipping on plain arrays: by value, by the norm of each, by the norm of all."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl.optimizers.clipping import clip_by_global_norm, clip_by_norm, clip_by_value, global_norm

NAN, INF = math.nan, math.inf
arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


def test_by_value_is_element_wise():
    g = np.array([-3.0, -0.5, 0.0, 0.5, 3.0, INF, -INF])
    np.testing.assert_array_equal(clip_by_value(g, 0.5), [-0.5, -0.5, 0, 0.5, 0.5, 0.5, -0.5])
    assert np.isnan(clip_by_value(np.array([NAN]), 1.0)).all()


def test_by_norm_keeps_the_direction():
    np.testing.assert_allclose(clip_by_norm(np.array([[3.0, 0.0], [0.0, 4.0]]), 1.0), [[0.6, 0.0], [0.0, 0.8]])


def test_by_global_norm_scales_all_by_one_factor():
    a, b = clip_by_global_norm([np.array([3.0]), np.array([[4.0]])], 1.0)
    np.testing.assert_allclose(a, [0.6])
    np.testing.assert_allclose(b, [[0.8]])


def test_what_is_short_enough_is_returned_as_it_is():
    g = np.array([3.0, 4.0])
    assert clip_by_norm(g, 5.0) is g
    assert clip_by_global_norm([g], 5.0)[0] is g


@given(st.lists(arrays, max_size=3), st.floats(1e-3, 1e3))
def test_the_norm_is_at_most_the_limit(gradients, limit):
    before = [g.copy() for g in gradients]
    clipped = clip_by_global_norm(gradients, limit)
    assert global_norm(clipped) <= limit * (1 + 1e-6)  # rounding in float32
    for g, old, new in zip(gradients, before, clipped, strict=True):
        np.testing.assert_array_equal(g, old)
        assert (new.shape, new.dtype) == (g.shape, g.dtype)
        assert clip_by_value(g, limit).dtype == g.dtype


def test_norms_do_not_overflow_in_float32():
    """The square of 1e30 is beyond float32."""
    g = np.full(4, 1e30, np.float32)
    assert global_norm([g]) == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(clip_by_norm(g, 1.0), 0.5, rtol=1e-6)


def test_norms_do_not_overflow_in_float64():
    """The square of 1e200 is beyond float64."""
    assert global_norm([np.array([3e200, 4e200]), np.array([12e200])]) == pytest.approx(13e200)
    np.testing.assert_allclose(clip_by_norm(np.array([3e200, 4e200]), 10.0), [6.0, 8.0])


def test_norms_of_many_float32_are_accurate():
    """Added up in float32, 10⁷ ones and a 4096² would leave most of the ones out."""
    g = np.ones(10**6, np.float32)
    g[0] = 4096
    assert global_norm([g]) == math.sqrt(4096**2 + 10**6 - 1)


def test_norm_of_nothing_is_zero():
    assert global_norm([]) == 0
    assert global_norm([np.zeros((0, 3))]) == 0
    np.testing.assert_array_equal(clip_by_norm(np.zeros(3), 1.0), np.zeros(3))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_norm_that_is_not_finite_makes_nan(bad):
    for clipped in clip_by_global_norm([np.array([1.0, bad]), np.ones(2, np.float32)], 1.0):
        assert np.isnan(clipped).all()
    assert np.isnan(clip_by_norm(np.array([1.0, bad]), 1.0)).all()


def test_views_that_are_not_contiguous():
    g = np.arange(24.0).reshape(4, 6)[::2, ::-3]
    assert global_norm([g]) == pytest.approx(np.linalg.norm(g))
