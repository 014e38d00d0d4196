"""Convolution layers beside Keras; what they are made of; arguments and inputs that make no sense."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from minidl import Sequential, initializers, layers, optimizers, utils
from minidl.autodiff import vjp
from minidl.errors import AbstractMethodError, ArgumentError, ShapeError, UnknownNameError
from minidl.initializers.scaling import compute_fans
from minidl.layers import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from minidl.layers.convolution import _Convolutional

with np.load(Path(__file__).parents[1] / "golden" / "convolution.npz") as file:
    GOLDEN = dict(file)
KERAS = json.loads(str(GOLDEN["keras"]))


@pytest.mark.parametrize("case", KERAS)
def test_value_and_gradients_are_those_of_keras(case):
    arguments = dict(KERAS[case])
    layer = getattr(layers, arguments.pop("class_name"))(**arguments, dtype="float64")
    golden = {key.removeprefix(f"{case}__"): array for key, array in GOLDEN.items() if key.startswith(f"{case}__")}
    layer.build(golden["x"].shape)
    assert {"x", "y", "c", "dx"} | {n for w in layer.weights for n in (w.name, f"d{w.name}")} == set(golden)
    assert layer.compute_output_shape(golden["x"].shape) == golden["y"].shape

    values = [golden[w.name] for w in layer.weights]
    y, pull = vjp(lambda x, *weights: layer.stateless_call(weights, [], x)[0], golden["x"], *values)
    expected = [golden["y"], golden["dx"], *(golden[f"d{w.name}"] for w in layer.weights)]
    for ours, theirs in zip((y, *pull(golden["c"])), expected, strict=True):
        # Without an activation all sums are exact.
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


# Layer, shape of the input, names and shapes of the weights.
WEIGHTS = [
    (Conv1D(5, 3), (None, 9, 4), {"kernel": (3, 4, 5), "bias": (5,)}),
    (Conv2D(6, (3, 2), groups=2), (None, 9, 9, 4), {"kernel": (3, 2, 2, 6), "bias": (6,)}),
    (Conv2D(6, 3, data_format="channels_first"), (None, 4, 9, 8), {"kernel": (3, 3, 4, 6), "bias": (6,)}),
    (Conv1DTranspose(5, 3), (None, 9, 4), {"kernel": (3, 5, 4), "bias": (5,)}),
    (Conv2DTranspose(5, (3, 2), use_bias=False), (None, 9, 9, 4), {"kernel": (3, 2, 5, 4)}),
    (DepthwiseConv1D(3, depth_multiplier=2), (None, 9, 4), {"kernel": (3, 4, 2), "bias": (8,)}),
    (DepthwiseConv2D((3, 2)), (None, 9, 9, 4), {"kernel": (3, 2, 4, 1), "bias": (4,)}),
    (
        SeparableConv1D(5, 3, depth_multiplier=2),
        (None, 9, 4),
        {"depthwise_kernel": (3, 4, 2), "pointwise_kernel": (1, 8, 5), "bias": (5,)},
    ),
    (
        SeparableConv2D(5, 3),
        (None, 9, 9, 4),
        {"depthwise_kernel": (3, 3, 4, 1), "pointwise_kernel": (1, 1, 4, 5), "bias": (5,)},
    ),
]


@pytest.mark.parametrize(("layer", "shape", "weights"), WEIGHTS, ids=[type(layer).__name__ for layer, *_ in WEIGHTS])
def test_the_weights_have_the_names_shapes_and_order_of_keras(layer, shape, weights):
    layer.build(shape)
    assert [(w.name, w.shape) for w in layer.weights] == list(weights.items())
    assert all(getattr(layer, name).shape == value for name, value in weights.items())
    assert layer.count_params() == sum(np.prod(value) for value in weights.values())


# What Keras 3 has, but for regularizers, constraints and lora, in its order.
WINDOW = {"kernel_size": inspect.Parameter.empty, "strides": 1, "padding": "valid"}
END = {"activation": None, "use_bias": True}
SIGNATURES = {
    "Conv": {
        "filters": inspect.Parameter.empty, **WINDOW, "data_format": None, "dilation_rate": 1, "groups": 1, **END,
        "kernel_initializer": "glorot_uniform", "bias_initializer": "zeros",
    },
    "DepthwiseConv": {
        **WINDOW, "depth_multiplier": 1, "data_format": None, "dilation_rate": 1, **END,
        "depthwise_initializer": "glorot_uniform", "bias_initializer": "zeros",
    },
    "SeparableConv": {
        "filters": inspect.Parameter.empty, **WINDOW, "data_format": None, "dilation_rate": 1, "depth_multiplier": 1,
        **END, "depthwise_initializer": "glorot_uniform", "pointwise_initializer": "glorot_uniform",
        "bias_initializer": "zeros",
    },
    "ConvTranspose": {
        "filters": inspect.Parameter.empty, **WINDOW, "output_padding": None, "data_format": None, "dilation_rate": 1,
        **END, "kernel_initializer": "glorot_uniform", "bias_initializer": "zeros",
    },
}  # fmt: skip


@pytest.mark.parametrize("axes", ["1D", "2D"])
@pytest.mark.parametrize("family", SIGNATURES)
def test_the_arguments_are_those_of_keras(family, axes):
    name = f"Conv{axes}Transpose" if family == "ConvTranspose" else f"{family}{axes}"
    parameters = inspect.signature(getattr(layers, name)).parameters
    assert list({k: p.default for k, p in parameters.items() if k != "kwargs"}.items()) == list(
        SIGNATURES[family].items()
    )


def test_the_other_names_of_keras():
    assert layers.Convolution1D is Conv1D
    assert layers.Convolution2D is Conv2D
    assert layers.Convolution1DTranspose is Conv1DTranspose
    assert layers.Convolution2DTranspose is Conv2DTranspose
    assert layers.SeparableConvolution1D is SeparableConv1D
    assert layers.SeparableConvolution2D is SeparableConv2D


class TestArguments:
    def test_one_integer_stands_for_every_axis(self):
        layer = Conv2D(4, 3, strides=2, dilation_rate=1)
        assert (layer.kernel_size, layer.strides, layer.dilation_rate) == ((3, 3), (2, 2), (1, 1))
        assert Conv1D(4, [3]).kernel_size == (3,)
        assert Conv2DTranspose(4, 3, 2, output_padding=1).output_padding == (1, 1)
        assert Conv2DTranspose(4, 3, 2).output_padding is None

    def test_padding_in_any_case(self):
        assert Conv2D(4, 3, padding="SAME").padding == "same"

    def test_the_representation_shows_what_is_no_default(self):
        layer = Conv2D(4, 3, padding="same", activation="relu", name="first")
        assert repr(layer) == (
            "Conv2D(filters=4, kernel_size=(3, 3), padding='same', activation='relu', name='first')"
        )

    def test_the_configuration_has_plain_values(self):
        config = Conv2D(4, 3, strides=2, data_format="channels_first", kernel_initializer="he_normal").get_config()
        assert config["kernel_size"] == [3, 3]
        assert config["strides"] == [2, 2]
        assert config["data_format"] == "channels_first"
        assert Conv2D(4, 3).get_config()["data_format"] == "channels_last"
        assert json.loads(json.dumps(config)) == config

    def test_the_initializers_are_used(self):
        layer = SeparableConv2D(
            2, 3, depthwise_initializer="ones", pointwise_initializer="zeros", bias_initializer=initializers.Constant(3)
        )
        layer.build((None, 5, 5, 4))
        assert [set(np.ravel(w)) for w in layer.get_weights()] == [{1}, {0}, {3}]

    def test_the_initial_weights_have_the_variance_of_their_fans(self):
        # Glorot: 2/(fan in + fan out), the fans being a window of 9 times 32 and 64. 18,432 weights: 1 % of error.
        layer = Conv2D(64, 3)
        layer.build((None, 8, 8, 32))
        assert compute_fans(layer.kernel.shape) == (9 * 32, 9 * 64)
        assert np.var(layer.kernel.numpy()) == pytest.approx(2 / (9 * (32 + 64)), rel=0.05)

    def test_strides_and_dilation_of_a_depthwise_convolution_go_together_as_in_keras(self):
        layer = DepthwiseConv2D(2, strides=2, dilation_rate=2)
        assert layer(np.ones((1, 7, 7, 3))).shape == (1, 3, 3, 3)


WRONG = [
    (lambda: Conv2D(0, 3), ArgumentError, "Conv2D: filters must be an integer ≥ 1, got 0"),
    (lambda: Conv2D(4, 0), ArgumentError, "Conv2D: kernel_size must be one integer ≥ 1 or 2 of them, got 0"),
    (lambda: Conv2D(4, (3, 3, 3)), ArgumentError, r"kernel_size must be one integer ≥ 1 or 2 of them, got \(3, 3, 3\)"),
    (lambda: Conv2D(4, "3"), ArgumentError, "kernel_size must be an integer or several of them, got '3'"),
    (lambda: Conv1D(4, 3, strides=(1, 1)), ArgumentError, r"Conv1D: strides must be .* 1 of them, got \(1, 1\)"),
    (lambda: Conv2D(4, 3, dilation_rate=0), ArgumentError, "dilation_rate must be one integer ≥ 1"),
    (lambda: Conv2D(4, 3, groups=0), ArgumentError, "groups must be an integer ≥ 1"),
    (lambda: Conv2D(4, 3, groups=3), ArgumentError, "Conv2D: 4 filters are no multiple of groups=3"),
    (
        lambda: Conv2D(4, 3, strides=2, dilation_rate=(1, 2)),
        ArgumentError,
        r"Conv2D: strides > 1 and dilation_rate > 1 do not go together, got \(2, 2\) and \(1, 2\)",
    ),
    (lambda: Conv1DTranspose(4, 3, 2, dilation_rate=2), ArgumentError, "Conv1DTranspose: strides > 1 and"),
    (lambda: Conv2D(4, 3, padding="causal"), UnknownNameError, "Unknown padding of Conv2D 'causal': known are: same"),
    (lambda: DepthwiseConv1D(3, padding="causal"), UnknownNameError, "Unknown padding of DepthwiseConv1D 'causal'"),
    (lambda: Conv1D(4, 3, padding="sane"), UnknownNameError, "did you mean 'same'"),
    (lambda: Conv1D(4, 3, data_format="channel_last"), UnknownNameError, "did you mean 'channels_last'"),
    (lambda: Conv2D(4, 3, activation="rely"), UnknownNameError, "did you mean 'relu'"),
    (lambda: Conv2D(4, 3, use_bias=1), ArgumentError, "use_bias must be True or False, got 1"),
    (lambda: Conv2D(4, 3, kernel_size_=1), UnknownNameError, "Unknown argument of Conv2D 'kernel_size_'"),
    (lambda: DepthwiseConv2D(3, depth_multiplier=0), ArgumentError, "depth_multiplier must be an integer ≥ 1"),
    (lambda: SeparableConv2D(4, 3, depth_multiplier=1.5), ArgumentError, "depth_multiplier must be an integer ≥ 1"),
    (lambda: SeparableConv1D(0, 3), ArgumentError, "SeparableConv1D: filters must be"),
    (lambda: Conv2DTranspose(0, 3), ArgumentError, "Conv2DTranspose: filters must be"),
    (
        lambda: Conv2DTranspose(4, 3, strides=2, output_padding=(1, 2)),
        ArgumentError,
        r"Conv2DTranspose: output_padding must be smaller than the strides \(2, 2\), got \(1, 2\)",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG, ids=[str(k) for k in range(len(WRONG))])
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


class TestShapes:
    def test_open_sizes_stay_open(self):
        assert Conv2D(4, 3).compute_output_shape((None, None, 8, 3)) == (None, None, 6, 4)
        assert Conv2D(4, 3, 2, "same").compute_output_shape((None, 7, None, 3)) == (None, 4, None, 4)
        first = Conv2D(4, 3, data_format="channels_first")
        assert first.compute_output_shape((None, 3, None, 8)) == (None, 4, None, 6)
        assert Conv1D(4, 3, padding="causal").compute_output_shape((None, None, 3)) == (None, None, 4)
        assert Conv2DTranspose(4, 3, 2, "same").compute_output_shape((None, 5, None, 3)) == (None, 10, None, 4)
        assert DepthwiseConv2D(3, depth_multiplier=2).compute_output_shape((2, None, 5, 3)) == (2, None, 3, 6)
        assert SeparableConv1D(4, 3).compute_output_shape((None, 5, 2)) == (None, 3, 4)

    def test_one_layer_takes_images_of_every_size(self):
        layer = Conv2D(4, 3, padding="same")
        layer.build((None, None, None, 3))
        assert layer(np.ones((2, 5, 6, 3))).shape == (2, 5, 6, 4)
        assert layer(np.ones((1, 9, 3, 3))).shape == (1, 9, 3, 4)

    def test_a_layer_as_activation_is_built_with_it(self):
        layer = Conv2D(4, 3, activation=layers.PReLU())
        layer.build((None, 5, 6, 3))
        assert [w.name for w in layer.weights] == ["kernel", "bias", "alpha"]
        assert layer.weights[2].shape == (3, 4, 4)
        assert layer(np.ones((2, 5, 6, 3))).shape == (2, 3, 4, 4)

    @pytest.mark.parametrize(
        ("layer", "shape", "message"),
        [
            (
                Conv2D(4, 3, name="x"),
                (32, 28, 28),
                r"Conv2D 'x' .* \(batch, height, width, channels\), got \(32, 28, 28\): .*Reshape\(\(28, 28, 1\)\)",
            ),
            (Conv2D(4, 3, data_format="channels_first"), (32, 28, 28), r"\(batch, channels, height.*\(1, 28, 28\)"),
            (Conv1D(4, 3), (5, 7), r"\(batch, steps, channels\), got \(5, 7\)"),
            (Conv1D(4, 3), (5, 7, 3, 2), r"\(batch, steps, channels\), got \(5, 7, 3, 2\)$"),
            (Conv2D(4, 3, name="x"), (None, 5, 5, None), r"Conv2D 'x': the channels must be known, got \(None, 5, 5"),
            (Conv2D(4, 3, groups=2, name="x"), (2, 5, 5, 3), "Conv2D 'x': the 3 channels of the .* groups=2"),
            (
                Conv2D(4, 3, name="x"),
                (2, 2, 5, 3),
                r"Conv2D 'x' .* \(2, 2, 5, 3\): a window of 3 spans 3 .* does not fit into an input of size 2",
            ),
            (Conv1D(4, 3, dilation_rate=4), (2, 8, 3), "a window of 3 with dilation 4 spans 9 elements"),
            (Conv2DTranspose(4, 2, 2, "same", 0, name="x"), (2, 1, 5, 3), r"'x' .* \(2, 1, 5, 3\): a transposed"),
        ],
    )
    def test_wrong_shapes_are_found_before_any_weight_is_made(self, layer, shape, message):
        with pytest.raises(ShapeError, match=message):
            layer.build(shape)
        assert not layer.built
        assert not layer.weights

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((2, 5, 5, 1), r"Conv2D 'x' was built for 3 channels but got 1 in inputs of shape \(2, 5, 5, 1\)"),
            ((2, 5, 3), r"Conv2D 'x' .* got \(2, 5, 3\)"),
            ((2, 5, 2, 3), r"Conv2D 'x' .* \(2, 5, 2, 3\): a window of 3 spans 3 elements"),
        ],
    )
    def test_inputs_that_do_not_fit_a_built_layer(self, shape, message):
        layer = Conv2D(4, 3, name="x")
        layer.build((None, None, None, 3))
        with pytest.raises(ShapeError, match=message):
            layer(np.ones(shape))

    def test_what_a_layer_of_the_readers_own_must_define(self):
        class Mine(_Convolutional):
            axes = 1

        for method, argument in [("add_kernels", 3), ("output_channels", 3), ("convolve", None)]:
            with pytest.raises(AbstractMethodError, match=rf"Mine must define {method}\(self, "):
                getattr(Mine(3), method)(argument)


def test_a_small_network_learns_what_a_linear_model_cannot():
    # Is the line in the image horizontal or vertical? The mean of either kind, over all places, is the same.
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 0.1, (400, 8, 8, 1)).astype("float32"), rng.integers(0, 2, 400)
    for image, vertical, place in zip(x, y, rng.integers(0, 8, 400), strict=True):
        (image.swapaxes(0, 1) if vertical else image)[place] += 1
    utils.set_random_seed(1)
    model = Sequential([
        Conv2D(8, 3, activation="relu"), Conv2D(8, 3, 2, activation="relu"), layers.Flatten(),
        layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x[:300], y[:300], batch_size=20, epochs=10, verbose=0)
    assert model.evaluate(x[300:], y[300:], verbose=0)[1] > 0.95
