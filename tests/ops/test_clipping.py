"""Gradients made shorter by hand: what the optimizers do by themselves, between a tape and `apply_gradients`."""

import numpy as np
import pytest

import minidl as keras
from minidl import ops
from minidl.errors import ArgumentError

GRADIENTS = [np.array([[3.0, -4.0]]), np.array([12.0, 0.0, 0.0])]


class TestNorm:
    def test_along_an_axis(self):
        x = np.array([[3.0, 4.0], [5.0, -12.0]])
        assert ops.norm(x, axis=1).numpy().tolist() == [5, 13]
        assert ops.norm(x, axis=1, keepdims=True).shape == (2, 1)

    def test_of_other_orders(self):
        x = np.array([3.0, -4.0, 1.0])
        assert [float(ops.norm(x, order)) for order in (1, 2, np.inf, -np.inf)] == [8, 26**0.5, 4, 1]
        with pytest.raises(ArgumentError, match="norm: expected ord to be None, 1, 2, inf or -inf, got 'fro'"):
            ops.norm(x, "fro")


class TestByNorm:
    def test_along_an_axis_each_row_by_itself(self):
        y = ops.clip_by_norm(np.array([[3.0, 4.0], [0.3, 0.4]]), 1.0, axes=1)
        np.testing.assert_allclose(y, [[0.6, 0.8], [0.3, 0.4]], rtol=1e-15)

    def test_keeps_float32(self):
        assert ops.clip_by_norm(np.ones(4, np.float32), 1.0).dtype == "float32"

    @pytest.mark.parametrize("limit", [0, -1, np.nan, "1"])
    def test_a_limit_that_makes_no_sense(self, limit):
        with pytest.raises(ArgumentError, match="clip_by_norm: clip_norm must be a number > 0"):
            ops.clip_by_norm(np.ones(4), limit)


class TestByGlobalNorm:
    def test_shortens_all_by_one_factor_and_gives_the_norm_before(self):
        clipped, length = ops.clip_by_global_norm([GRADIENTS[0], None, GRADIENTS[1]], 6.5)
        assert float(length) == float(ops.global_norm(GRADIENTS)) == 13
        assert clipped[1] is None
        for y, g in zip((clipped[0], clipped[2]), GRADIENTS, strict=True):
            np.testing.assert_allclose(y, g / 2, rtol=1e-15)

    def test_leaves_what_is_short_enough(self):
        clipped, _ = ops.clip_by_global_norm(GRADIENTS, 13.5)
        assert all(map(np.array_equal, clipped, GRADIENTS))

    def test_of_an_infinite_gradient_is_nan_everywhere(self):
        clipped, _ = ops.clip_by_global_norm([np.array([np.inf, 1.0]), np.ones(2)], 1.0)
        assert all(np.isnan(y).all() for y in clipped)

    def test_of_nothing(self):
        with pytest.raises(ArgumentError, match="global_norm: expected at least one tensor"):
            ops.clip_by_global_norm([None], 1.0)


def by_value(gradients):
    return [ops.clip_by_value(g, -0.01, 0.01) for g in gradients]


def by_norm(gradients):
    return [ops.clip_by_norm(g, 0.05) for g in gradients]


def by_global_norm(gradients):
    return ops.clip_by_global_norm(gradients, 0.1)[0]


@pytest.mark.parametrize(
    ("clip", "option"),
    [(by_value, {"clipvalue": 0.01}), (by_norm, {"clipnorm": 0.05}), (by_global_norm, {"global_clipnorm": 0.1})],
)
def test_a_training_by_hand_equals_that_of_an_optimizer_that_clips(clip, option):
    """Ten steps of the same network; float32, and the two add up norms in another order."""
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((16, 3)).astype("float32"), generator.standard_normal((16, 1)).astype("float32")

    def network():
        keras.utils.set_random_seed(1)
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])

    model, optimizer = network(), keras.optimizers.SGD(0.1, momentum=0.9)
    for _ in range(10):
        with keras.GradientTape() as tape:
            loss = ops.mean(ops.square(model(x, training=True) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(clip(gradients), model.trainable_variables, strict=True))
    other = network()
    before = other.get_weights()
    other.compile(keras.optimizers.SGD(0.1, momentum=0.9, **option), "mse")
    other.fit(x, y, batch_size=16, epochs=10, shuffle=False, verbose=0)
    for w, expected, start in zip(model.get_weights(), other.get_weights(), before, strict=True):
        np.testing.assert_allclose(w, expected, rtol=0, atol=2e-6)
        assert np.abs(w - start).max() > 1e-3


def test_the_derivative_of_a_norm_is_0_where_there_is_no_direction():
    def clipped(x):
        return ops.sum(ops.clip_by_norm(x, 1.0))

    np.testing.assert_array_equal(keras.grad(ops.norm)(np.zeros(3)).data, np.zeros(3))
    np.testing.assert_array_equal(keras.grad(clipped)(np.zeros(3)).data, np.ones(3))
