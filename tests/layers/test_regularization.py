"""Dropout of all kinds, and noise: what they do in training, and that they do nothing else."""

import numpy as np
import pytest

from minidl.autodiff import grad
from minidl.errors import ArgumentError, ShapeError
from minidl.layers import (
    AlphaDropout,
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
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


KINDS = [Dropout, AlphaDropout, GaussianDropout, SpatialDropout1D, SpatialDropout2D]


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def input(self, kind):
        return np.ones((2, 3, 4, 5)[: 3 if kind is SpatialDropout1D else 4], "float32")

    def test_is_the_identity_at_inference_and_new_at_each_call(self, kind):
        layer, x = kind(0.5, seed=1), self.input(kind)
        np.testing.assert_array_equal(layer(x), x)
        first, second = (layer(x, training=True).numpy() for _ in range(2))
        assert (first != second).any()
        np.testing.assert_array_equal(kind(0.5, seed=1)(x, training=True), first)

    def test_rate_0_does_nothing(self, kind):
        np.testing.assert_array_equal(kind(0)(self.input(kind), training=True), self.input(kind))

    @pytest.mark.parametrize("rate", [-0.1, 1, np.nan, "half"])
    def test_the_rate_is_at_least_0_and_below_1(self, kind, rate):
        with pytest.raises(ArgumentError, match=rf"{kind.__name__}: rate must be a number in \[0, 1\), got"):
            kind(rate)


class TestAlphaDropout:
    @pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
    def test_keeps_mean_0_and_variance_1(self, rate):
        """Of 400,000 numbers: the mean has a standard error of 0.0016, the variance one of at most about 0.006.

        (The kurtosis is largest for the rate 0.9, where few elements are far away from the many that are saturated.)
        """
        x = np.random.default_rng(3).standard_normal(400_000)
        y = AlphaDropout(rate, seed=4, dtype="float64")(x, training=True).numpy()
        assert abs(y.mean()) < 4 * 0.0016
        assert abs(y.var() - 1) < 4 * 0.006

    def test_keeps_them_through_twenty_layers_of_selu(self):
        """What alpha dropout is for: dropout of the usual kind lets the variance grow layer by layer."""

        def spread(kind):
            set_random_seed(1)
            x = np.random.default_rng(5).standard_normal((500, 200)).astype("float32")
            for _ in range(20):
                x = Dense(200, activation="selu", kernel_initializer="lecun_normal")(kind(0.2)(x, training=True))
            return x.numpy().mean(), x.numpy().std()

        mean, deviation = spread(AlphaDropout)
        assert abs(mean) < 0.05
        assert 0.95 < deviation < 1.05
        assert spread(Dropout)[1] > 1.4

    def test_what_is_dropped_is_saturated(self):
        y = AlphaDropout(0.5, seed=0, dtype="float64")(np.zeros(1000), training=True).numpy()
        a = (0.5 * (1 + 0.5 * 1.7580993408473766**2)) ** -0.5
        np.testing.assert_allclose(np.unique(y), [a * 1.7580993408473766 * (0.5 - 1), a * 1.7580993408473766 * 0.5])


class TestGaussian:
    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
    def test_dropout_has_the_mean_and_variance_of_dropout(self, rate):
        y, dropped = (kind(rate, seed=1)(2 * ONES, training=True).numpy() for kind in (GaussianDropout, Dropout))
        # 60,000 draws.
        assert y.mean() == pytest.approx(2, abs=0.05)
        assert y.std() == pytest.approx(2 * np.sqrt(rate / (1 - rate)), rel=0.02)
        assert dropped.std() == pytest.approx(y.std(), rel=0.02)

    def test_noise_is_added(self):
        noise = GaussianNoise(0.3, seed=1)(ONES, training=True).numpy() - ONES
        assert noise.mean() == pytest.approx(0, abs=0.005)
        assert noise.std() == pytest.approx(0.3, rel=0.01)

    def test_noise_has_no_negative_spread(self):
        with pytest.raises(ArgumentError, match="GaussianNoise: stddev must be a number ≥ 0, got -1"):
            GaussianNoise(-1)


class TestSpatial:
    @pytest.mark.parametrize(
        ("layer", "shape", "places"),
        [
            (SpatialDropout1D(0.5, seed=0), (4, 6, 5), (1,)),
            (SpatialDropout2D(0.5, seed=0), (4, 3, 2, 5), (1, 2)),
            (SpatialDropout2D(0.5, data_format="channels_first", seed=0), (4, 5, 3, 2), (2, 3)),
        ],
    )
    def test_drops_whole_channels(self, layer, shape, places):
        y = layer(np.ones(shape), training=True).numpy()
        assert set(np.unique(y)) == {0, 2}
        np.testing.assert_array_equal(y.min(places), y.max(places))
        assert len(np.unique(y.max(places), axis=0)) > 1

    @pytest.mark.parametrize("training", [False, True])
    def test_wants_images(self, training):
        with pytest.raises(ShapeError, match=r"SpatialDropout2D 'd' needs inputs with 4 axes, got \(None, 3, 4\)"):
            SpatialDropout2D(0.5, name="d")(np.ones((2, 3, 4)), training=training)

    def test_knows_two_data_formats(self):
        with pytest.raises(ArgumentError, match="data_format"):
            SpatialDropout2D(0.5, data_format="channels")
