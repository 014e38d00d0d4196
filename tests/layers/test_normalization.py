"""Batch normalization: what it computes in its three modes, beside Keras and beside its definition.

Group normalization: beside its definition; test_pooling.py has it beside Keras.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl.autodiff import vjp
from minidl.errors import ArgumentError, ShapeError
from minidl.layers import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)

with np.load(Path(__file__).parents[1] / "golden" / "batch_normalization.npz") as file:
    GOLDEN = dict(file)
CASES = json.loads(str(GOLDEN["cases"]))

# float32: sums of up to 36 products of size 10. float64: Keras itself is off by 4e-15.
TOLERANCE = {"float32": 1e-5, "float64": 1e-14}

X = np.random.default_rng(0).normal(3, 2, (6, 4)).astype("float32")


def moving(layer):
    return layer.moving_mean.numpy().copy(), layer.moving_variance.numpy().copy()


class TestBesideKeras:
    @pytest.fixture(params=["float32", "float64"])
    def dtype(self, request):
        return request.param

    @pytest.fixture(params=CASES)
    def case(self, request):
        return request.param

    @pytest.fixture
    def golden(self, case, dtype):
        """The arrays of the case: inputs in the dtype, results as computed in it."""
        arrays = {key.removeprefix(f"{case}__"): a for key, a in GOLDEN.items() if key.startswith(f"{case}__")}
        inputs = {key: arrays[key].astype(dtype) for key in ("x", "c", "gamma", "beta")}
        return inputs | {key.removesuffix(f"_{dtype}"): a for key, a in arrays.items() if key.endswith(f"_{dtype}")}

    @pytest.fixture
    def layer(self, case, dtype, golden):
        layer = BatchNormalization(**CASES[case], dtype=dtype)
        layer.build(golden["x"][0].shape)
        for w in layer.trainable_variables:
            w.assign(golden[w.name])
        return layer

    @pytest.fixture
    def check(self, golden, dtype):
        def check(key, value):
            assert value.dtype == dtype
            np.testing.assert_allclose(value, golden[key], TOLERANCE[dtype], TOLERANCE[dtype], err_msg=key)

        return check

    def check_gradients(self, layer, golden, check, mode, training):
        def f(x, *weights):
            return layer.stateless_call(weights, layer.non_trainable_variables, x, training=training)[0]

        y, pull = vjp(f, golden["x"][0], *layer.trainable_variables)
        dx, *gradients = pull(golden["c"])
        check(f"y_{mode}", y)
        check(f"dx_{mode}", dx)
        for w, dw in zip(layer.trainable_variables, gradients, strict=True):
            check(f"d{w.name}_{mode}", dw)

    def test_training(self, layer, golden, check):
        self.check_gradients(layer, golden, check, "training", training=True)

    def test_moving_averages_inference_and_frozen(self, layer, golden, check):
        for step, x in enumerate(golden["x"], start=1):
            layer(x, training=True)
            check(f"moving_mean_{step}", layer.moving_mean)
            check(f"moving_variance_{step}", layer.moving_variance)
        self.check_gradients(layer, golden, check, "inference", training=False)
        layer.trainable = False
        check("y_frozen", layer(golden["x"][0], training=True))
        check("moving_mean_frozen", layer.moving_mean)


class TestTraining:
    def test_gives_mean_beta_and_standard_deviation_gamma(self):
        layer = BatchNormalization(beta_initializer="ones", gamma_initializer=np.full(4, 2.0), epsilon=0)
        y = layer(X, training=True).numpy()
        np.testing.assert_allclose(y.mean(0), 1, atol=1e-6)
        np.testing.assert_allclose(y.std(0), 2, rtol=1e-6)

    def test_averages_follow_with_the_biased_variance(self):
        layer = BatchNormalization(momentum=0.75)
        layer(X, training=True)
        mean, variance = moving(layer)
        np.testing.assert_allclose(mean, 0.25 * X.mean(0), rtol=1e-6)
        np.testing.assert_allclose(variance, 0.75 + 0.25 * X.var(0), rtol=1e-6)

    @pytest.mark.parametrize(("momentum", "share"), [(0, 1), (1, 0)])
    def test_momentum_says_how_much_is_kept(self, momentum, share):
        layer = BatchNormalization(momentum=momentum)
        layer(X, training=True)
        mean, variance = moving(layer)
        np.testing.assert_allclose(mean, share * X.mean(0), rtol=1e-6)
        np.testing.assert_allclose(variance, share * X.var(0) + 1 - share, rtol=1e-6)

    def test_is_exact_far_from_zero(self):
        # E[x²] − E[x]² is NaN or noise here: x² has no digits left for the variance in float32.
        x = X + np.float32(10_000)
        layer = BatchNormalization(epsilon=0, momentum=0)
        y = layer(x, training=True).numpy()
        np.testing.assert_allclose(y, (x - x.mean(0, dtype="float64")) / x.std(0, dtype="float64"), atol=2e-3)
        np.testing.assert_allclose(layer.moving_variance, x.var(0, dtype="float64"), rtol=1e-3)

    def test_one_sample_gives_beta(self):
        layer = BatchNormalization(beta_initializer="ones")
        np.testing.assert_array_equal(layer(X[:1], training=True), np.ones((1, 4)))

    def test_no_samples_leave_the_averages_alone(self):
        layer = BatchNormalization()
        layer(X, training=True)
        before = moving(layer)
        assert layer(X[:0], training=True).shape == (0, 4)
        np.testing.assert_array_equal(before, moving(layer))


class TestInference:
    def test_uses_the_averages_and_keeps_them(self):
        layer = BatchNormalization(epsilon=0.5)
        layer(X, training=True)
        mean, variance = before = moving(layer)
        np.testing.assert_allclose(layer(X), (X - mean) / np.sqrt(variance + 0.5), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(before, moving(layer))

    def test_is_nearly_the_identity_before_any_training(self):
        np.testing.assert_allclose(BatchNormalization()(X), X / np.sqrt(1.001), rtol=1e-6)

    def test_is_what_frozen_means(self):
        layer = BatchNormalization()
        layer(X, training=True)
        layer.trainable = False
        before = moving(layer)
        np.testing.assert_array_equal(layer(X, training=True), layer(X, training=False))
        np.testing.assert_array_equal(before, moving(layer))
        layer.trainable = True
        layer(X, training=True)
        assert (moving(layer)[0] != before[0]).all()


class TestParameters:
    def test_are_four_in_this_order(self):
        layer = BatchNormalization()
        layer.build((None, 4))
        assert [w.name for w in layer.trainable_variables] == ["gamma", "beta"]
        assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
        assert [w.numpy().tolist() for w in layer.weights] == [[1] * 4, [0] * 4, [0] * 4, [1] * 4]
        assert layer.count_params() == 16

    @pytest.mark.parametrize(
        ("center", "scale", "names"), [(False, True, ["gamma"]), (True, False, ["beta"]), (False, False, [])]
    )
    def test_can_be_left_out(self, center, scale, names):
        layer = BatchNormalization(center=center, scale=scale)
        layer(X, training=True)
        assert [w.name for w in layer.trainable_variables] == names
        assert (layer.gamma is None, layer.beta is None) == (not scale, not center)
        twin = BatchNormalization()
        twin(X, training=True)
        np.testing.assert_array_equal(layer(X, training=True), twin(X, training=True))

    def test_come_from_their_initializers(self):
        layer = BatchNormalization(
            beta_initializer=np.full(4, 1.0), gamma_initializer=np.full(4, 2.0),
            moving_mean_initializer=np.full(4, 3.0), moving_variance_initializer=np.full(4, 4.0),
        )  # fmt: skip
        np.testing.assert_allclose(layer(X), 2 * (X - 3) / np.sqrt(4.001) + 1, rtol=1e-5, atol=1e-6)


class TestAxis:
    @pytest.mark.parametrize(
        ("axis", "over", "shape"),
        [
            (-1, (0, 1, 2), (2,)), (3, (0, 1, 2), (2,)), (1, (0, 2, 3), (3,)), (np.int64(-2), (0, 1, 3), (5,)),
            ([1, -1], (0, 2), (3, 2)), ((3, 1), (0, 2), (3, 2)), ([1, 2, 3], 0, (3, 5, 2)),
        ],
    )  # fmt: skip
    def test_has_statistics_for_each_position(self, axis, over, shape):
        x = np.random.default_rng(1).normal(size=(4, 3, 5, 2))
        layer = BatchNormalization(axis=axis, momentum=0, epsilon=0, dtype="float64")
        y = layer(x, training=True).numpy()
        assert layer.gamma.shape == shape
        np.testing.assert_allclose(y, (x - x.mean(over, keepdims=True)) / x.std(over, keepdims=True), rtol=1e-12)
        np.testing.assert_allclose(layer.moving_mean, x.mean(over), rtol=1e-12)
        np.testing.assert_allclose(layer(x), y, rtol=1e-12)

    @pytest.mark.parametrize("axis", [2, -3, [0, 2], [-1, 1], [1, 1]])
    def test_that_does_not_exist_or_comes_twice_is_an_error(self, axis):
        layer = BatchNormalization(axis=axis, name="b")
        with pytest.raises(ShapeError, match=r"'b': expected axes of \(None, 4\), each once, got axis="):
            layer(X)
        assert layer.weights == []

    @pytest.mark.parametrize(("axis", "shape"), [(0, (6, 4)), (-1, (None, None)), ([0, 1], (6, 4))])
    def test_of_unknown_size_is_an_error(self, axis, shape):
        with pytest.raises(ShapeError, match=r"'b': the size of axis .* must be known, got"):
            BatchNormalization(axis=axis, name="b").build_for(shape)

    @pytest.mark.parametrize("shape", [(6, 5), (6,)])
    def test_of_another_size_than_it_was_built_for_is_an_error(self, shape):
        layer = BatchNormalization(name="b")
        layer(X)
        before = moving(layer)
        with pytest.raises(ShapeError, match="'b'"):
            layer(np.ones(shape), training=True)
        np.testing.assert_array_equal(before, moving(layer))

    @pytest.mark.parametrize("axis", ["last", 1.0, None, [0.5]])
    def test_is_an_integer_or_several(self, axis):
        with pytest.raises(ArgumentError, match="BatchNormalization: axis must be an integer or several of them, got"):
            BatchNormalization(axis=axis)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.5}, r"momentum must be a number in \[0, 1\], got 1.5"),
        ({"momentum": -0.1}, r"momentum must be a number in \[0, 1\], got -0.1"),
        ({"momentum": "high"}, r"momentum must be a number in \[0, 1\], got 'high'"),
        ({"epsilon": -1e-3}, "epsilon must be a number ≥ 0, got -0.001"),
        ({"epsilon": np.nan}, "epsilon must be a number ≥ 0, got nan"),
    ],
)
def test_settings_out_of_range_are_errors(arguments, message):
    with pytest.raises(ArgumentError, match=f"BatchNormalization: {message}"):
        BatchNormalization(**arguments)


def test_numpy_settings_change_no_dtype():
    layer = BatchNormalization(momentum=np.float64(0.9), epsilon=np.float64(1e-3))
    assert layer(X, training=True).dtype == "float32"
    assert {str(w.dtype) for w in layer.weights} == {"float32"}


class TestGroupNormalization:
    IMAGES = np.random.default_rng(1).normal(3, 2, (2, 5, 4, 6)).astype("float32")

    def test_gives_each_group_of_a_sample_mean_0_and_variance_1(self):
        y = GroupNormalization(3, epsilon=0)(self.IMAGES).numpy().reshape(2, 20, 3, 2)
        np.testing.assert_allclose(y.mean((1, 3)), 0, atol=1e-6)
        np.testing.assert_allclose(y.var((1, 3)), 1, rtol=1e-5)

    @pytest.mark.parametrize(("groups", "averaged"), [(1, (1, 2, 3)), (6, (1, 2)), (-1, (1, 2))])
    def test_one_group_is_layer_and_one_a_channel_instance_normalization(self, groups, averaged):
        x = self.IMAGES
        expected = (x - x.mean(averaged, keepdims=True)) / np.sqrt(x.var(averaged, keepdims=True) + 1e-3)
        np.testing.assert_allclose(GroupNormalization(groups)(x), expected, rtol=1e-5, atol=1e-6)

    def test_the_channels_may_be_first(self):
        last, first = GroupNormalization(2), GroupNormalization(2, axis=1)
        y = first(np.moveaxis(self.IMAGES, -1, 1)).numpy()
        np.testing.assert_allclose(np.moveaxis(y, 1, -1), last(self.IMAGES), rtol=1e-5, atol=1e-6)

    def test_training_makes_no_difference(self):
        layer = GroupNormalization(2)
        np.testing.assert_array_equal(layer(self.IMAGES, training=True), layer(self.IMAGES, training=False))

    def test_is_exact_far_from_zero(self):
        x = self.IMAGES + np.float32(10_000)
        exact = GroupNormalization(2, dtype="float64")(x.astype("float64"))
        # x itself has its last digit at 0.001, half of a thousandth of the standard deviation.
        np.testing.assert_allclose(GroupNormalization(2)(x), exact, atol=2e-3)

    def test_variables(self):
        layer = GroupNormalization(3)
        layer.build((None, 5, 4, 6))
        assert [(w.name, w.shape, w.trainable) for w in layer.weights] == [("gamma", (6,), True), ("beta", (6,), True)]
        bare = GroupNormalization(3, center=False, scale=False)
        bare.build((None, 6))
        assert not bare.weights

    def test_channels_that_are_no_multiple_of_the_groups(self):
        with pytest.raises(ShapeError, match=r"'g': the 6 channels of .* are no multiple of groups=32"):
            GroupNormalization(name="g")(self.IMAGES)

    def test_other_shapes_than_it_was_built_for(self):
        layer = GroupNormalization(2, name="g")
        layer(self.IMAGES)
        with pytest.raises(ShapeError, match=r"'g' was built for 6 channels on axis -1 but got \(2, 5, 4, 4\)"):
            layer(self.IMAGES[..., :4])

    @pytest.mark.parametrize("axis", [0, 4, -4, -5])
    def test_the_axis_is_one_after_the_batch(self, axis):
        with pytest.raises(ShapeError, match=r"expected axis=-?\d to be one of .* after the batch"):
            GroupNormalization(1, axis=axis)(self.IMAGES)

    def test_the_channels_must_be_known(self):
        with pytest.raises(ShapeError, match="the size of axis -1 must be known"):
            GroupNormalization(1).build((None, 5, None))

    @pytest.mark.parametrize("groups", [0, -2, 1.5, "2", (1, 2), None])
    def test_groups_are_a_positive_integer_or_minus_one(self, groups):
        with pytest.raises(ArgumentError, match="GroupNormalization: groups must be an integer ≥ 1"):
            GroupNormalization(groups)

    def test_one_axis(self):
        with pytest.raises(ArgumentError, match=r"GroupNormalization: axis must be one axis, got \(1, 2\)"):
            GroupNormalization(1, axis=(1, 2))


class TestRenormalization:
    """Beside Keras it stands in test_more_golden.py."""

    def test_begins_as_plain_normalization_of_data_like_its_averages(self):
        """With μ = 0 and σ = 1, what r and d make of a batch is the input itself, as at inference."""
        layer = BatchNormalization(renorm=True, epsilon=0.0)
        np.testing.assert_allclose(layer(X, training=True), X, rtol=1e-5, atol=1e-5)

    def test_without_freedom_it_is_batch_normalization(self):
        layer = BatchNormalization(renorm=True, renorm_clipping={"rmin": 1, "rmax": 1, "dmax": 0})
        np.testing.assert_allclose(layer(X, training=True), BatchNormalization()(X, training=True), rtol=1e-6)

    def test_an_empty_batch_leaves_the_averages(self):
        layer = BatchNormalization(renorm=True)
        layer(X, training=True)
        before = layer.get_weights()
        layer(X[:0], training=True)
        for w, value in zip(layer.get_weights(), before, strict=True):
            np.testing.assert_array_equal(w, value)

    def test_starts_from_the_initializers_of_the_averages(self):
        four = keras.initializers.Constant(4)
        layer = BatchNormalization(renorm=True, moving_mean_initializer="ones", moving_variance_initializer=four)
        layer.build((None, 2))
        assert [w.data[0] for w in layer.non_trainable_variables] == [1, 4, 2, 1, 2]

    def test_is_in_the_configuration(self):
        layer = BatchNormalization(renorm=True, renorm_clipping={"dmax": 5}, renorm_momentum=0.9)
        config = json.loads(json.dumps(layer.get_config()))
        assert (config["renorm"], config["renorm_clipping"], config["renorm_momentum"]) == (True, {"dmax": 5}, 0.9)
        assert BatchNormalization.from_config(config).get_config() == config

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"renorm_clipping": {"max": 1}}, "Unknown limit in renorm_clipping of BatchNormalization 'max'"),
            ({"renorm_clipping": {"rmin": 2, "rmax": 1}}, "BatchNormalization: expected rmin ≤ rmax"),
            ({"renorm_clipping": {"dmax": -1}}, r"renorm_clipping\['dmax'\] must be a number ≥ 0, got -1"),
            ({"renorm_momentum": 2}, "renorm_momentum must be a number in"),
            ({"renorm": 1}, "renorm must be True or False, got 1"),
            ({"synchronized": True}, "synchronized=True is for several devices, and there is one"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            BatchNormalization(**arguments)

    def test_masks_are_refused(self):
        with pytest.raises(ArgumentError, match="'n': masks are not supported: every element counts"):
            BatchNormalization(name="n")(X, mask=np.ones(6, bool))


class TestNormalizationOfSamples:
    """LayerNormalization, RMSNormalization, UnitNormalization; beside Keras they stand in test_more_golden.py."""

    def test_rows_get_mean_0_and_variance_1(self):
        y = LayerNormalization(epsilon=0.0)(X).numpy()
        np.testing.assert_allclose(y.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(y.std(1), 1, rtol=1e-5)

    def test_far_from_zero(self):
        """Two passes: E[x²] − E[x]² would give nonsense in float32."""
        x = (1000 + X / 10).astype("float32")
        exact = x.astype("float64")
        expected = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
        np.testing.assert_allclose(LayerNormalization(epsilon=0.0)(x), expected, rtol=1e-2, atol=1e-3)

    def test_the_mean_square_becomes_1(self):
        y = RMSNormalization(epsilon=0.0)(X).numpy()
        np.testing.assert_allclose((y**2).mean(1), 1, rtol=1e-5)
        np.testing.assert_allclose(y / X, (y / X)[:, :1] * np.ones(4), rtol=1e-5)

    def test_vectors_get_length_1_but_for_zeros(self):
        x = np.concatenate([X, np.zeros((1, 4), "float32")])
        np.testing.assert_allclose(np.linalg.norm(UnitNormalization()(x), axis=1), [1] * 6 + [0], rtol=1e-6)

    @pytest.mark.parametrize("kind", [LayerNormalization, RMSNormalization])
    def test_wants_the_sizes_it_was_built_for(self, kind):
        layer = kind(name="n")
        layer(X)
        with pytest.raises(ShapeError, match=r"'n' was built for sizes \(4,\) on axis -1 but got \(2, 3\)"):
            layer(np.ones((2, 3)))

    @pytest.mark.parametrize("kind", [LayerNormalization, RMSNormalization, UnitNormalization])
    def test_wants_axes_that_exist(self, kind):
        with pytest.raises(ShapeError, match=r"'n': expected axes of \(.*, 4\), each once, got axis=\(1, -1\)"):
            kind((1, -1), name="n")(X)
