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

    @pytest.mark.parametrize("given", [{"mean": 1.0}, {"variance": 1.0}])
    def test_wants_both_or_none(self, given):
        with pytest.raises(ArgumentError, match=r"Normalization: expected mean and variance, such as x.mean\(axis\)"):
            Normalization(**given)

    def test_by_row_and_by_row_and_channel(self):
        mean, variance = PIXELS.mean(axis=(0, 2, 3)), PIXELS.var(axis=(0, 2, 3))
        outputs = Normalization(axis=1, mean=mean, variance=variance)(PIXELS)
        expected = (PIXELS - mean[:, None, None]) / np.sqrt(variance)[:, None, None]
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
        mean, variance = PIXELS.mean(axis=(0, 2)), PIXELS.var(axis=(0, 2))
        outputs = Normalization(axis=(3, 1), mean=mean, variance=variance)(PIXELS)
        np.testing.assert_allclose(outputs, (PIXELS - mean[:, None]) / np.sqrt(variance)[:, None], rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"mean": "x"}, "Normalization: expected mean to be a finite number or a list of them, got 'x'"),
            ({"variance": np.inf}, "Normalization: expected variance to be a finite number or a list of them, got inf"),
            ({"variance": [1.0, -1.0]}, r"Normalization: expected a variance ≥ 0, got \[1.0, -1.0\]"),
            ({"axis": "last"}, "Normalization: axis must be an integer or several of them, got 'last'"),
            ({"axis": None, "mean": [1.0, 2.0]}, r"expected mean to be a finite number, got \[1.0, 2.0\]"),
            ({"axis": (1, 2), "mean": np.ones((1, 1, 1))}, "or an array of them with up to 2 axes, got array"),
            ({"invert": 1}, "Normalization: invert must be True or False, got 1"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            Normalization(**{"mean": 0.0, "variance": 1.0, **arguments})


class TestAdapting:
    """`adapt` measures; 3000 samples are measured in several pieces."""

    X = np.random.default_rng(2).normal([1.0, -20.0, 1000.0], [1.0, 0.1, 30.0], (3000, 2, 3)).astype(np.float32)

    @pytest.mark.parametrize(("axis", "over"), [(-1, (0, 1)), (1, (0, 2)), ((1, 2), 0), (None, None)])
    def test_gives_mean_0_and_variance_1(self, axis, over):
        layer = Normalization(axis)
        layer.adapt(self.X)
        y = layer(self.X).numpy().astype(np.float64)
        assert y.shape == self.X.shape
        # The data lie up to 200 standard deviations from 0, and float32 has seven digits.
        np.testing.assert_allclose(y.mean(over), 0, atol=1e-5)
        np.testing.assert_allclose(y.var(over), 1, rtol=1e-5)
        np.testing.assert_allclose(layer.mean, self.X.mean(over, np.float64), rtol=1e-6)
        np.testing.assert_allclose(layer.variance, self.X.var(over, np.float64), rtol=1e-6)

    def test_of_bytes_and_integers(self, pixels):
        layer = Normalization()
        layer.adapt(pixels)
        np.testing.assert_allclose(layer.mean, PIXELS.mean((0, 1, 2)), rtol=1e-6)
        assert layer(pixels).dtype == np.float32

    def test_batches_of_any_size_are_as_good_as_the_whole(self):
        whole, parts = Normalization(), Normalization()
        whole.adapt(self.X)
        parts.adapt(iter(np.split(self.X, [1, 5, 2000])))
        for a, b in zip(whole.weights, parts.weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)

    def test_starts_anew_each_time(self):
        layer, fresh = Normalization(), Normalization()
        layer.adapt(self.X + 5)
        layer.adapt(self.X)
        fresh.adapt(self.X)
        np.testing.assert_array_equal(layer.variance, fresh.variance)

    def test_passes_its_input_on_before(self):
        np.testing.assert_array_equal(Normalization()(PIXELS), PIXELS)

    def test_its_statistics_are_weights_that_do_not_train(self):
        layer = Normalization(name="n")
        assert layer.mean is layer.variance is None
        layer.adapt(self.X)
        assert [w.path for w in layer.weights] == ["n/mean", "n/variance", "n/count"]
        assert layer.trainable_variables == []
        assert layer.get_config()["mean"] is layer.get_config()["variance"] is None
        assert repr(layer) == "Normalization(name='n')"

    def test_is_saved_with_its_model(self, tmp_path):
        inputs = keras.Input((2, 3))
        layer = Normalization()
        layer.adapt(self.X)
        model = keras.Model(inputs, layer(inputs))
        model.save(tmp_path / "model.minidl")
        again = keras.models.load_model(tmp_path / "model.minidl")
        np.testing.assert_array_equal(again.predict(self.X, verbose=0), model.predict(self.X, verbose=0))

    def test_may_follow_the_recording_of_a_step(self):
        model = keras.Sequential([keras.Input((2, 3)), Normalization(name="n")])
        for _ in range(3):
            model.predict(self.X, verbose=0)
        model.get_layer("n").adapt(self.X)
        assert abs(model.predict(self.X, verbose=0).mean()) < 1e-4

    @pytest.mark.parametrize("data", [np.array(["a"]), np.array([[1.0, np.nan]])])
    def test_wants_finite_numbers(self, data):
        with pytest.raises(ArgumentError, match="'n': adapt expects finite numbers, got"):
            Normalization(name="n").adapt(data)

    def test_errors(self):
        with pytest.raises(ArgumentError, match="'n': adapt expects an array, or batches, got nothing"):
            Normalization(name="n").adapt([])
        with pytest.raises(ArgumentError, match="'n': adapt expects an array, or batches, got nothing"):
            Normalization(name="n").adapt(np.zeros((0, 3)))
        with pytest.raises(ArgumentError, match="'n' was given mean and variance: leave them out"):
            Normalization(mean=0.0, variance=1.0, name="n").adapt(PIXELS)
        layer = Normalization(name="n")
        layer.adapt(self.X)
        with pytest.raises(ShapeError, match=r"'n' was built for sizes \(3,\) on axis -1, got \(4, 2\)"):
            layer.adapt(np.ones((4, 2)))
        with pytest.raises(ShapeError, match=r"'n': expected axes of \(None, 2\), each once, got axis=\(4,\)"):
            Normalization(4, name="n")(np.ones((3, 2)))
        with pytest.raises(ShapeError, match="'n': the size of axis 0 must be known"):
            Normalization(0, name="n")(np.ones((3, 2)))


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
