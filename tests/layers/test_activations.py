"""Activations that are layers: their formulas, settings, weights and randomness."""

import numpy as np
import pytest

from minidl.errors import ArgumentError, MiniDLWarning, ShapeError
from minidl.layers import ELU, LeakyReLU, PReLU, ReLU, RReLU, Softmax

X = np.array([[-2.0, -0.5, 0.0], [0.25, 1.0, 7.0]], "float32")


class TestReLU:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({}, [[0, 0, 0], [0.25, 1, 7]]),
            ({"max_value": 6}, [[0, 0, 0], [0.25, 1, 6]]),
            ({"negative_slope": 0.5}, [[-1, -0.25, 0], [0.25, 1, 7]]),
            ({"threshold": 0.5}, [[0, 0, 0], [0, 1, 7]]),
            ({"max_value": 6, "negative_slope": 0.5, "threshold": 0.5}, [[-1.25, -0.5, -0.25], [-0.125, 1, 6]]),
        ],
    )
    def test_has_three_settings(self, settings, expected):
        np.testing.assert_array_equal(ReLU(**settings)(X), expected)

    @pytest.mark.parametrize("setting", ["max_value", "negative_slope", "threshold"])
    @pytest.mark.parametrize("value", [-1, np.nan, np.inf, "1", True])
    def test_that_are_numbers_from_zero_up(self, setting, value):
        with pytest.raises(ArgumentError, match=f"ReLU: {setting} must be a number ≥ 0, got {value!r}"):
            ReLU(**{setting: value})

    def test_of_which_one_may_be_left_open(self):
        assert ReLU(max_value=None).max_value is None
        with pytest.raises(ArgumentError, match="ReLU: threshold must be a number ≥ 0, got None"):
            ReLU(threshold=None)


class TestLeakyReLU:
    def test_has_slope_0_3_like_keras(self):
        np.testing.assert_allclose(LeakyReLU()(X), np.where(X > 0, X, 0.3 * X), rtol=1e-6)

    def test_knows_its_old_name_for_the_slope(self):
        with pytest.warns(MiniDLWarning, match=r"LeakyReLU\(alpha=…\) is an old.*LeakyReLU\(negative_slope=…\)"):
            layer = LeakyReLU(alpha=0.1)
        assert layer.negative_slope == 0.1
        assert "alpha" not in layer.get_config()

    def test_the_slope_is_a_number_from_zero_up(self):
        with pytest.raises(ArgumentError, match=r"LeakyReLU: negative_slope must be a number ≥ 0, got -0\.1"):
            LeakyReLU(-0.1)

    def test_a_numpy_slope_changes_no_dtype(self):
        layer = LeakyReLU(np.float64(0.1))
        assert layer(X).dtype == "float32"
        assert type(layer.negative_slope) is float


class TestELU:
    @pytest.mark.parametrize("alpha", [1.0, 0.5])
    def test_formula(self, alpha):
        np.testing.assert_allclose(ELU(alpha)(X), np.where(X > 0, X, alpha * np.expm1(X)), rtol=1e-6)

    @pytest.mark.parametrize("alpha", ["x", None, np.inf, -0.5])
    def test_alpha_is_a_number(self, alpha):
        with pytest.raises(ArgumentError, match=f"ELU: alpha must be a number ≥ 0, got {alpha!r}"):
            ELU(alpha)


class TestSoftmax:
    @pytest.mark.parametrize("axis", [-1, 0, (1, 2), [0, -1]])
    def test_adds_up_to_one_along_its_axis(self, axis):
        x = np.random.default_rng(0).normal(size=(2, 3, 4))
        y = Softmax(axis, dtype="float64")(x).numpy()
        along = axis if isinstance(axis, int) else tuple(axis)
        np.testing.assert_allclose(y.sum(along), 1, rtol=1e-14)
        np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(along, keepdims=True), rtol=1e-12)

    def test_axis_must_exist(self):
        with pytest.raises(ShapeError, match="expected axes from -2 to 1, each once, got axis=2"):
            Softmax(2)(X)

    def test_axis_is_an_integer_or_several(self):
        with pytest.raises(ArgumentError, match=r"Softmax: axis must be an integer or several of them, got 0\.5"):
            Softmax(0.5)


class TestPReLU:
    def test_starts_as_relu_and_learns_alpha(self):
        layer = PReLU()
        np.testing.assert_array_equal(layer(X), np.maximum(X, 0))
        layer.alpha.assign([1.0, 2.0, 3.0])
        np.testing.assert_array_equal(layer(X), [[-2, -1, 0], [0.25, 1, 7]])
        assert [w.name for w in layer.trainable_variables] == ["alpha"]

    @pytest.mark.parametrize(
        ("shared_axes", "shape"),
        [
            (None, (3, 4, 5)), ([], (3, 4, 5)), (1, (1, 4, 5)), ([1, 2], (1, 1, 5)), ((3,), (3, 4, 1)),
            ([1, 2, 3], (1, 1, 1)),
        ],
    )  # fmt: skip
    def test_alpha_has_size_1_along_shared_axes(self, shared_axes, shape):
        layer = PReLU("ones", shared_axes)
        x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
        np.testing.assert_array_equal(layer(x), x)
        assert layer.alpha.shape == shape

    def test_a_shared_axis_may_be_of_any_size(self):
        layer = PReLU(shared_axes=1)
        layer.build((None, None, 4))
        assert layer.alpha.shape == (1, 4)
        for steps in (3, 5):
            assert layer(np.ones((2, steps, 4))).shape == (2, steps, 4)

    def test_other_axes_must_be_known(self):
        with pytest.raises(ShapeError, match=r"expected every size but the batch to be known, got \(None, None, 4\)"):
            PReLU().build((None, None, 4))

    @pytest.mark.parametrize("shared_axes", [0, -1, 3, [1, 3]])
    def test_shared_axes_must_exist_beside_the_batch(self, shared_axes):
        layer = PReLU(shared_axes=shared_axes, name="p")
        with pytest.raises(ShapeError, match=r"PReLU 'p': shared_axes \[.*\] do not exist in \(None, 4, 5\)"):
            layer.build((None, 4, 5))
        assert layer.weights == []

    @pytest.mark.parametrize("shape", [(2, 5), (2, 2, 1), (2,)])
    def test_alpha_never_spreads_over_inputs_it_was_not_built_for(self, shape):
        layer = PReLU(name="p")
        layer.build((None, 1))
        with pytest.raises(ShapeError, match=r"PReLU 'p' has α of shape \(1,\), got inputs \(2"):
            layer(np.ones(shape))


class TestRReLU:
    def test_has_the_mean_slope_at_inference(self):
        np.testing.assert_array_equal(RReLU(0.25, 0.75)(X), np.where(X > 0, X, X / 2))
        assert RReLU().lower == 1 / 8
        assert RReLU().upper == 1 / 3

    def test_draws_a_slope_for_each_element_in_training(self):
        x = -np.ones((100, 100), "float32")
        slopes = -RReLU(0.25, 0.75, seed=0)(x, training=True).numpy()
        assert slopes.min() >= 0.25
        assert slopes.max() < 0.75
        # The mean of 10,000 draws with σ = 0.5/√12 = 0.144 is within 4·0.00144.
        assert abs(slopes.mean() - 0.5) < 0.006
        assert len(np.unique(slopes)) > 9000

    def test_leaves_positive_inputs_alone(self):
        np.testing.assert_array_equal(RReLU()(abs(X), training=True), abs(X))

    def test_draws_anew_at_every_call_and_the_same_from_the_same_seed(self):
        layer, twin = RReLU(seed=1), RReLU(seed=1)
        first, second = (layer(X, training=True).numpy() for _ in range(2))
        assert (first != second).any()
        np.testing.assert_array_equal(twin(X, training=True), first)

    @pytest.mark.parametrize(
        ("lower", "upper", "message"),
        [
            (0.5, 0.25, r"expected lower ≤ upper, got 0\.5 and 0\.25"),
            (-0.1, 0.25, r"lower must be a number ≥ 0, got -0\.1"),
            (0.1, None, "upper must be a number ≥ 0, got None"),
        ],
    )
    def test_bounds_are_in_order(self, lower, upper, message):
        with pytest.raises(ArgumentError, match=f"RReLU: {message}"):
            RReLU(lower, upper)


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(), ELU(), Softmax(), RReLU(), PReLU()])
@pytest.mark.parametrize("training", [False, True])
def test_bytes_become_floating_point(layer, training):
    x = np.full((2, 3), 200, "uint8")
    y = layer(x, training=training)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y, 1 / 3 if isinstance(layer, Softmax) else 200, rtol=1e-6)
