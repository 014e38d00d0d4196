"""Dropout: what it does in training, and that it does nothing else."""

import numpy as np
import pytest

from minidl.autodiff import grad
from minidl.errors import ArgumentError, ShapeError
from minidl.layers import Dense, Dropout
from minidl.ops import sum as total
from minidl.random import set_random_seed

ONES = np.ones((200, 300), "float32")


def test_is_the_identity_at_inference():
    np.testing.assert_array_equal(Dropout(0.9)(ONES), ONES)
    np.testing.assert_array_equal(Dropout(0.9)(ONES, training=False), ONES)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_drops_the_share_it_is_told_and_scales_the_rest(rate):
    y = Dropout(rate, seed=0)(ONES, training=True).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-6)
    # 60,000 draws: the share has a standard deviation of at most 0.5/√60,000 = 0.002.
    assert abs((y == 0).mean() - rate) < 0.01
    assert abs(y.mean() - 1) < 0.01 / (1 - rate)


def test_rate_0_drops_nothing():
    np.testing.assert_array_equal(Dropout(0)(ONES, training=True), ONES)


def test_the_gradient_is_dropped_with_the_value():
    def f(x):
        return total(Dropout(0.5, seed=0)(x, training=True))

    y = Dropout(0.5, seed=0)(ONES, training=True).numpy()
    np.testing.assert_array_equal(grad(f)(ONES), y)


class TestNoiseShape:
    @pytest.mark.parametrize("noise_shape", [(None, 1, None), (2, 1, 4), [None, 1, 4]])
    def test_axes_of_size_1_are_dropped_together(self, noise_shape):
        y = Dropout(0.5, noise_shape, seed=0)(np.ones((2, 3, 4)), training=True).numpy()
        np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
        assert len(np.unique(y)) == 2

    def test_is_plain_in_the_configuration(self):
        assert Dropout(0.5, noise_shape=(None, 1)).get_config()["noise_shape"] == [None, 1]

    @pytest.mark.parametrize("noise_shape", [(1,), (1, 1, 1, 1)])
    def test_needs_as_many_axes_as_the_input(self, noise_shape):
        with pytest.raises(ShapeError, match=r"noise_shape \(1,.*\) does not broadcast to \(2, 3, 4\)"):
            Dropout(0.5, noise_shape)(np.ones((2, 3, 4)), training=True)


class TestSeed:
    def test_fixes_the_sequence_of_draws(self):
        layer, twin, other = Dropout(0.5, seed=1), Dropout(0.5, seed=1), Dropout(0.5, seed=2)
        first, second = (layer(ONES, training=True).numpy() for _ in range(2))
        assert (first != second).any()
        np.testing.assert_array_equal(twin(ONES, training=True), first)
        np.testing.assert_array_equal(twin(ONES, training=True), second)
        assert (other(ONES, training=True).numpy() != first).any()

    def test_of_everything_fixes_it_too(self):
        drawn = []
        for _ in range(2):
            set_random_seed(5)
            drawn.append([Dropout(0.5)(ONES, training=True).numpy() for _ in range(2)])
        np.testing.assert_array_equal(drawn[0], drawn[1])
        assert (drawn[0][0] != drawn[0][1]).any()

    def test_of_everything_gives_the_same_weights_with_and_without_dropout(self):
        kernels = []
        for with_dropout in (False, True):
            set_random_seed(5)
            if with_dropout:
                Dropout(0.5)(ONES, training=True)
            dense = Dense(2)
            dense(ONES)
            kernels.append(dense.kernel.numpy())
        np.testing.assert_array_equal(*kernels)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, np.nan, "half", None, True])
def test_the_rate_is_at_least_0_and_below_1(rate):
    with pytest.raises(ArgumentError, match=r"Dropout: rate must be a number in \[0, 1\), got"):
        Dropout(rate)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_become_floating_point_in_both_modes(training, dtype):
    y = Dropout(0.5, dtype=dtype)(np.full((2, 3), 200, "uint8"), training=training)
    assert y.dtype == dtype


def test_has_no_weights():
    layer = Dropout(0.5)
    layer(ONES, training=True)
    assert layer.weights == []
    assert layer.count_params() == 0
