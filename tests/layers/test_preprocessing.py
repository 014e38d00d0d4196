"""Layers that make good inputs of raw data."""

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, ShapeError
from minidl.layers import Normalization, Rescaling

PIXELS = np.random.default_rng(1).integers(0, 256, (4, 3, 2, 3)).astype(np.uint8)


@pytest.fixture(params=["bytes", "floats"])
def pixels(request):
    return PIXELS if request.param == "bytes" else PIXELS.astype(np.float32)


class TestRescaling:
    def test_multiplies_and_adds(self, pixels):
        outputs = Rescaling(1 / 127.5, offset=-1)(pixels)
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(outputs, PIXELS / 127.5 - 1, atol=1e-6)

    def test_by_channel(self, pixels):
        outputs = Rescaling([1, 2, 3], offset=np.array([0.5, 0, -1]))(pixels)
        np.testing.assert_allclose(outputs, PIXELS * [1.0, 2, 3] + [0.5, 0, -1], rtol=1e-6)

    @pytest.mark.parametrize("value", ["big", [[1.0]], np.nan, [], [1, np.inf], None])
    def test_wants_numbers(self, value):
        with pytest.raises(ArgumentError, match="Rescaling: expected scale to be a finite number or a list of them"):
            Rescaling(value)
        with pytest.raises(ArgumentError, match="Rescaling: expected offset to be a finite number or a list of them"):
            Rescaling(1, offset=value)


class TestNormalization:
    def test_gives_mean_0_and_variance_1(self, pixels):
        outputs = Normalization(mean=PIXELS.mean(), variance=PIXELS.var())(pixels)
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(outputs, (PIXELS - PIXELS.mean()) / PIXELS.std(), atol=1e-5)
        assert abs(float(outputs.numpy().mean())) < 1e-6
        assert float(outputs.numpy().std()) == pytest.approx(1, abs=1e-6)

    def test_by_channel(self, pixels):
        mean, variance = PIXELS.mean(axis=(0, 1, 2)), PIXELS.var(axis=(0, 1, 2))
        outputs = Normalization(mean=mean, variance=variance)(pixels)
        np.testing.assert_allclose(outputs, (PIXELS - mean) / np.sqrt(variance), atol=1e-5)

    def test_inverted_it_goes_back(self, pixels):
        statistics = {"mean": [100.0, 120.0, 140.0], "variance": [900.0, 1600.0, 2500.0]}
        there = Normalization(**statistics)(pixels)
        np.testing.assert_allclose(Normalization(**statistics, invert=True)(there), PIXELS, atol=1e-3)

    def test_what_never_varies_becomes_0(self):
        outputs = Normalization(mean=[7.0, 0.0], variance=[0.0, 1.0])(np.array([[7.0, 1.0], [7.0, 2.0]]))
        np.testing.assert_array_equal(outputs, [[0, 1], [0, 2]])

    def test_values_of_keras(self):
        """What Keras 3 gives; the divisor is √variance, at least 1e-7, without an ε under the root."""
        outputs = Normalization(mean=[1.0, 2.0], variance=[4.0, 0.25])(np.array([[3.0, 3.0], [0.0, 0.0]]))
        np.testing.assert_allclose(outputs, [[1.0, 2.0], [-0.5, -4.0]], rtol=1e-6)

    @pytest.mark.parametrize("given", [{}, {"mean": 1.0}, {"variance": 1.0}])
    def test_wants_both(self, given):
        with pytest.raises(ArgumentError, match=r"Normalization: expected mean and variance, such as x.mean\(axis\)"):
            Normalization(**given)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"mean": "x"}, "Normalization: expected mean to be a finite number or a list of them, got 'x'"),
            ({"variance": np.inf}, "Normalization: expected variance to be a finite number or a list of them, got inf"),
            ({"variance": [1.0, -1.0]}, r"Normalization: expected a variance ≥ 0, got \[1.0, -1.0\]"),
            ({"axis": 1}, "Normalization: expected axis to be -1, the last, or None, got 1"),
            ({"axis": None, "mean": [1.0, 2.0]}, "axis=None has one mean and one variance for all, got several"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            Normalization(**{"mean": 0.0, "variance": 1.0, **arguments})


LAYERS = [Rescaling([1.0, 2.0, 3.0]), Normalization(mean=[1.0, 2.0, 3.0], variance=1.0)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
class TestBoth:
    @pytest.mark.parametrize("shape", [(2, 4), (2, 3, 1), ()])
    def test_want_inputs_that_fit(self, layer, shape):
        with pytest.raises(ShapeError, match="has 3 numbers for the last axis, got inputs"):
            layer.compute_output_shape(shape)
        with pytest.raises(ShapeError, match="has 3 numbers for the last axis, got inputs"):
            layer(np.zeros(shape))

    def test_a_list_of_one_is_for_one_position(self, layer):
        one = Rescaling([2.0]) if isinstance(layer, Rescaling) else Normalization(mean=[2.0], variance=[1.0])
        assert one.compute_output_shape((2, 4, 1)) == (2, 4, 1)
        with pytest.raises(ShapeError, match="has 1 numbers for the last axis, got inputs"):
            one.compute_output_shape((2, 4))

    def test_keep_the_shape_and_have_no_weights(self, layer):
        assert layer.compute_output_shape((None, 5, 3)) == (None, 5, 3)
        assert layer.compute_output_shape((None, None)) == (None, None)
        assert layer(PIXELS).shape == PIXELS.shape
        assert layer.weights == []

    def test_do_not_touch_their_input(self, layer):
        pixels = PIXELS.astype(np.float32)
        pixels.flags.writeable = False
        layer(pixels)

    def test_are_saved_with_their_numbers(self, layer, tmp_path):
        inputs = keras.Input((2, 3))
        model = keras.Model(inputs, type(layer).from_config(layer.get_config())(inputs))
        model.save(tmp_path / "model.minidl")
        again = keras.models.load_model(tmp_path / "model.minidl")
        x = PIXELS[:, 0]
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
