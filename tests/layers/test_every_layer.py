"""What holds of every layer: one table, and the proofs that run over it."""

import copy
import json

import numpy as np
import pytest

from minidl import constraints, initializers, layers, regularizers
from minidl.autodiff import gradcheck
from minidl.layers import Layer
from minidl.testing import proven

L2 = {"class_name": "L2", "config": {"l2": 0.5}}
NON_NEG = {"class_name": "NonNeg", "config": {}}
FILTERS_OF_ONE = {"class_name": "MaxNorm", "config": {"max_value": 1.0, "axis": [0, 1]}}

# Class, arguments, shape of an input, and the points where the function of a single element has a kink.
TABLE = [
    ("Activation", {"activation": "softplus"}, (3, 4), []),
    ("Activation", {"activation": "softmax"}, (3, 4), []),
    ("ActivityRegularization", {"l1": 0.5, "l2": 0.25}, (3, 4), []),
    ("AlphaDropout", {"rate": 0.3, "seed": 3}, (4, 5), []),
    ("AlphaDropout", {"rate": 0.3, "noise_shape": [None, 1, 3], "seed": 3}, (4, 2, 3), []),
    ("AlphaDropout", {"rate": 0.0}, (2, 3), []),
    ("AveragePooling1D", {}, (2, 5, 3), []),
    ("AveragePooling1D", {"pool_size": 3, "padding": "same", "data_format": "channels_first"}, (2, 3, 5), []),
    ("AveragePooling2D", {"pool_size": [2, 3], "strides": [1, 2]}, (2, 4, 5, 2), []),
    ("AveragePooling2D", {"padding": "same"}, (2, 3, 5, 2), []),
    ("BatchNormalization", {}, (5, 3), []),
    ("BatchNormalization", {"momentum": 0.5, "epsilon": 0.1, "scale": False}, (5, 3), []),
    ("BatchNormalization", {"center": False, "trainable": False}, (5, 3), []),
    ("BatchNormalization", {"beta_regularizer": L2, "gamma_constraint": NON_NEG}, (5, 3), []),
    ("BatchNormalization", {"axis": 1, "center": False, "scale": False}, (2, 3, 4), []),
    ("BatchNormalization", {"axis": [-1, 1]}, (4, 2, 3, 2), []),
    ("CenterCrop", {"height": 2, "width": 3}, (2, 5, 4, 2), []),
    ("CenterCrop", {"height": 4, "width": 3, "data_format": "channels_first"}, (2, 1, 3, 5), []),
    ("Conv1D", {"filters": 3, "kernel_size": [2]}, (2, 4, 2), []),
    ("Conv1D", {"filters": 2, "kernel_size": [2], "padding": "causal", "dilation_rate": [2]}, (2, 4, 2), []),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": [3], "strides": [2], "padding": "same"}, (2, 3, 2), []),
    ("Conv2D", {"filters": 2, "kernel_size": [3, 2], "strides": [2, 1], "activation": "tanh"}, (2, 4, 3, 2), []),
    ("Conv2D", {"filters": 4, "kernel_size": [2, 2], "padding": "same", "groups": 2}, (2, 3, 3, 2), []),
    ("Conv2D", {"filters": 2, "kernel_size": [1, 1], "use_bias": False, "trainable": False}, (2, 2, 3, 2), []),
    ("Conv2D", {"filters": 2, "kernel_size": [2, 2], "data_format": "channels_first"}, (2, 3, 4, 3), []),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": [2, 3], "strides": [2, 2]}, (2, 2, 3, 2), []),
    (
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": [3, 1], "strides": [3, 2], "output_padding": [2, 0], "padding": "same"},
        (2, 2, 2, 3), [],
    ),
    ("Conv2DTranspose", {"filters": 1, "kernel_size": [2, 2], "data_format": "channels_first"}, (2, 3, 2, 3), []),
    ("Cropping1D", {"cropping": [2, 1]}, (2, 5, 3), []),
    ("Cropping2D", {"cropping": [[1, 0], [2, 1]]}, (2, 4, 5, 2), []),
    ("Cropping2D", {"cropping": [[1, 1], [0, 0]], "data_format": "channels_first"}, (2, 2, 4, 3), []),
    ("Dense", {"units": 4}, (3, 2), []),
    ("Dense", {"units": 1, "activation": "tanh", "use_bias": False}, (2, 3, 4), []),
    ("Dense", {"units": 2, "activation": "sigmoid", "bias_initializer": "ones"}, (2, 1, 2, 3), []),
    ("Dense", {"units": 3, "kernel_initializer": "he_normal", "trainable": False}, (1, 2), []),
    ("Dense", {"units": 2, "kernel_regularizer": L2, "activity_regularizer": L2}, (3, 2), []),
    ("DepthwiseConv1D", {"kernel_size": [3], "depth_multiplier": 2}, (2, 5, 2), []),
    ("DepthwiseConv2D", {"kernel_size": [2, 2], "strides": [2, 2], "padding": "same"}, (2, 3, 4, 3), []),
    ("DepthwiseConv2D", {"kernel_size": [2, 2], "depthwise_regularizer": L2, "bias_regularizer": L2}, (2, 3, 4, 3), []),
    ("DepthwiseConv2D", {"kernel_size": [2, 2], "data_format": "channels_first"}, (2, 3, 4, 3), []),
    ("Dropout", {"rate": 0.4, "seed": 3}, (4, 5), []),
    ("Dropout", {"rate": 0.4, "noise_shape": [None, 1, 3], "seed": 3}, (4, 2, 3), []),
    ("Dropout", {"rate": 0.0}, (2, 3), []),
    ("ELU", {}, (3, 4), [0]),
    ("ELU", {"alpha": 0.5}, (3, 4), [0]),
    ("Flatten", {}, (2, 3, 4), []),
    ("Flatten", {}, (5,), []),
    ("GaussianDropout", {"rate": 0.3, "seed": 3}, (4, 5), []),
    ("GaussianDropout", {"rate": 0.0}, (2, 3), []),
    ("GaussianNoise", {"stddev": 0.5, "seed": 3}, (4, 5), []),
    ("GaussianNoise", {"stddev": 0.0}, (2, 3), []),
    ("GlobalAveragePooling1D", {}, (2, 4, 3), []),
    ("GlobalAveragePooling2D", {"data_format": "channels_first", "keepdims": True}, (2, 3, 2, 4), []),
    ("GlobalMaxPooling1D", {"keepdims": True}, (2, 4, 3), []),
    ("GlobalMaxPooling2D", {}, (2, 3, 4, 2), []),
    ("GroupNormalization", {"groups": 2}, (2, 3, 4), []),
    ("GroupNormalization", {"groups": -1, "axis": 1, "epsilon": 0.1, "center": False}, (2, 3, 4), []),
    ("GroupNormalization", {"groups": 1, "scale": False}, (2, 3, 2, 4), []),
    ("Identity", {}, (2, 3), []),
    ("InputLayer", {"shape": (None, 4)}, (2, 3, 4), []),
    ("LayerNormalization", {}, (3, 4), []),
    ("LayerNormalization", {"axis": [1, -1], "epsilon": 0.1, "center": False}, (2, 3, 2, 4), []),
    ("LayerNormalization", {"axis": 1, "scale": False}, (2, 3, 4), []),
    ("LayerNormalization", {"axis": 1, "rms_scaling": True}, (2, 3, 4), []),
    ("LeakyReLU", {}, (3, 4), [0]),
    ("LeakyReLU", {"negative_slope": 0.01}, (3, 4), [0]),
    ("MaxPooling1D", {}, (2, 5, 3), []),
    ("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 5, 3), []),
    ("MaxPooling2D", {}, (2, 4, 6, 2), []),
    ("MaxPooling2D", {"pool_size": [3, 2], "strides": [2, 1], "data_format": "channels_first"}, (2, 2, 5, 4), []),
    ("MixUp", {"alpha": 0.7, "seed": 3}, (3, 2, 3, 1), []),
    ("Normalization", {"axis": None, "mean": 3.0, "variance": 4.0}, (3, 4), []),
    ("Normalization", {"mean": [1.0, 2.0], "variance": [4.0, 0.5]}, (3, 4, 2), []),
    ("Normalization", {"mean": 3.0, "variance": [4.0, 0.5], "invert": True}, (3, 2), []),
    ("Normalization", {"axis": 1, "mean": [1.0, 2.0], "variance": 4.0}, (3, 2, 4), []),
    ("Normalization", {"axis": [1, -1], "mean": [[1.0, 2.0]], "variance": [4.0, 0.5]}, (3, 1, 4, 2), []),
    ("PReLU", {}, (3, 4), [0]),
    ("PReLU", {"shared_axes": [1, 2], "alpha_initializer": "ones"}, (2, 3, 4, 2), [0]),
    ("PReLU", {"alpha_regularizer": L2, "alpha_constraint": NON_NEG}, (3, 4), [0]),
    ("Permute", {"dims": [3, 1, 2]}, (2, 3, 4, 5), []),
    ("RMSNormalization", {}, (3, 4), []),
    ("RMSNormalization", {"axis": [1, -1], "epsilon": 0.1}, (2, 3, 2, 4), []),
    ("ReLU", {}, (3, 4), [0]),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.5}, (3, 4), [0.5, 1]),
    ("RReLU", {"seed": 3}, (3, 4), [0]),
    ("RReLU", {"lower": 0.5, "upper": 0.5}, (3, 4), [0]),
    ("RandomBrightness", {"factor": [-0.2, 0.3], "value_range": [-9, 9], "seed": 3}, (2, 3, 2, 2), []),
    ("RandomContrast", {"factor": [0.5, 0.8], "value_range": [-9, 9], "seed": 3}, (2, 3, 2, 2), []),
    ("RandomCrop", {"height": 2, "width": 3, "seed": 3}, (2, 4, 5, 2), []),
    ("RandomCrop", {"height": 2, "width": 3, "data_format": "channels_first", "seed": 3}, (2, 2, 3, 2), []),
    ("RandomErasing", {"factor": 0.5, "scale": [0.2, 0.5], "value_range": [-1, 1], "seed": 3}, (4, 5, 4, 2), []),
    ("RandomErasing", {"factor": 0.75, "fill_value": [0.5, 0.25], "seed": 3}, (4, 5, 4, 2), []),
    ("RandomFlip", {"seed": 3}, (4, 2, 3, 2), []),
    ("RandomFlip", {"mode": "vertical", "data_format": "channels_first", "seed": 3}, (4, 2, 3, 2), []),
    ("RandomRotation", {"factor": [-0.2, 0.1], "seed": 3}, (2, 3, 4, 2), []),
    ("RandomRotation", {"factor": [0, 1], "interpolation": "nearest", "seed": 3}, (2, 3, 4, 2), []),
    (
        "RandomTranslation",
        {"height_factor": [-0.2, 0.1], "width_factor": [0, 1], "fill_mode": "constant", "fill_value": 0.5, "seed": 3},
        (2, 3, 4, 1), [],
    ),
    ("RandomZoom", {"height_factor": [-0.5, 0.5], "fill_mode": "wrap", "seed": 3}, (2, 3, 4, 1), []),
    (
        "RandomZoom",
        {"height_factor": [0, 1], "width_factor": [-0.5, 0], "data_format": "channels_first", "seed": 3},
        (2, 2, 3, 4), [],
    ),
    ("RepeatVector", {"n": 3}, (2, 4), []),
    ("Rescaling", {"scale": 0.5}, (3, 4), []),
    ("Rescaling", {"scale": [0.5, -2.0], "offset": [1.0, 0.0]}, (3, 4, 2), []),
    ("Reshape", {"target_shape": [-1, 2]}, (3, 4, 2), []),
    ("Reshape", {"target_shape": 8}, (3, 4, 2), []),
    ("Resizing", {"height": 3, "width": 2}, (2, 4, 5, 2), []),
    ("Resizing", {"height": 4, "width": 3, "interpolation": "bicubic", "antialias": True}, (2, 3, 5, 1), []),
    ("Resizing", {"height": 2, "width": 4, "crop_to_aspect_ratio": True}, (2, 3, 3, 1), []),
    (
        "Resizing",
        {"height": 3, "width": 3, "interpolation": "nearest", "pad_to_aspect_ratio": True, "fill_value": 2.0},
        (2, 3, 5, 1), [],
    ),
    ("SeparableConv1D", {"filters": 3, "kernel_size": [2], "padding": "same"}, (2, 4, 2), []),
    (
        "SeparableConv1D",
        {"filters": 3, "kernel_size": [2], "depthwise_constraint": FILTERS_OF_ONE, "pointwise_regularizer": L2},
        (2, 4, 2), [],
    ),
    ("SeparableConv2D", {"filters": 2, "kernel_size": [2, 2], "depth_multiplier": 2}, (2, 3, 3, 2), []),
    ("Softmax", {}, (3, 4), []),
    ("Softmax", {"axis": [1, 2]}, (2, 3, 4), []),
    ("SpatialDropout1D", {"rate": 0.4, "seed": 3}, (4, 2, 3), []),
    ("SpatialDropout2D", {"rate": 0.4, "seed": 3}, (4, 2, 2, 3), []),
    ("SpatialDropout2D", {"rate": 0.4, "data_format": "channels_first", "seed": 3}, (4, 3, 2, 2), []),
    ("UnitNormalization", {}, (3, 4), []),
    ("UnitNormalization", {"axis": [1, -1]}, (2, 3, 2, 4), []),
    ("UpSampling1D", {"size": 3}, (2, 4, 3), []),
    ("UpSampling2D", {"size": [2, 3]}, (2, 3, 2, 4), []),
    ("UpSampling2D", {"interpolation": "bilinear", "data_format": "channels_first"}, (2, 3, 4, 2), []),
    ("ZeroPadding1D", {"padding": [1, 2]}, (2, 4, 3), []),
    ("ZeroPadding2D", {"padding": [[1, 0], [2, 1]]}, (2, 3, 2, 4), []),
    ("ZeroPadding2D", {"data_format": "channels_first"}, (2, 3, 2, 4), []),
]  # fmt: skip

# What an argument such as `kernel_regularizer` may be.
RULES = {**vars(regularizers), **vars(constraints)}

every_layer = pytest.mark.parametrize(
    ("name", "arguments", "shape", "kinks"), TABLE, ids=[f"{name}-{k}" for k, (name, *_) in enumerate(TABLE)]
)
in_both_modes = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])


def make(name, arguments, shape, dtype="float64"):
    """The layer of a line of the table, built, with the weights of every layer made like it."""
    layer = getattr(layers, name)(**arguments, dtype=dtype)
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(5)
    layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    return layer


def draw(shape, kinks=(), dtype="float64"):
    """Numbers at least 0.1 away from every kink."""
    x = np.random.default_rng(4).normal(size=shape)
    for kink in kinks:
        x = np.where(abs(x - kink) < 0.1, x + 0.25, x)
    return x.astype(dtype)


def test_the_table_lists_every_public_layer():
    classes = [getattr(layers, name) for name in layers.__all__]
    public = {kind.__name__ for kind in classes if isinstance(kind, type) and issubclass(kind, Layer)}
    # Those that merge several inputs have a table of their own; one takes integers, one a function.
    merging = {kind for kind in public if getattr(layers, kind).__module__ == "minidl.layers.merging"}
    assert public - {"Layer", "Embedding", "Lambda"} - merging == {name for name, *_ in TABLE}


@every_layer
@in_both_modes
@pytest.mark.parametrize("batch", ["batch", "one sample", "no sample"])
def test_gradients_for_inputs_and_weights_are_those_of_the_complex_step(name, arguments, shape, kinks, training, batch):
    shape = ({"batch": shape[0], "one sample": 1, "no sample": 0}[batch], *shape[1:])
    layer = make(name, arguments, shape)
    trainable = len(layer.trainable_variables)
    weights = [w.data for w in (*layer.trainable_variables, *layer.non_trainable_variables)]

    def f(x, *weights):
        # A layer made anew draws the same random numbers.
        same = make(name, arguments, shape)
        return same.stateless_call(weights[:trainable], weights[trainable:], x, training=training)[0]

    gradcheck(f, draw(shape, kinks), *weights)
    proven["layers"] += 1


@every_layer
@in_both_modes
def test_the_output_has_the_shape_that_was_announced(name, arguments, shape, kinks, training):
    layer = make(name, arguments, shape)
    batch, *sizes = layer(draw(shape), training=training).shape
    assert layer.compute_output_shape(shape) == (batch, *sizes)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *sizes)


@every_layer
@in_both_modes
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_output_has_the_dtype_of_the_layer_and_the_input_stays_as_it_is(
    name, arguments, shape, kinks, training, dtype
):
    layer = make(name, arguments, shape, dtype)
    for x in (draw(shape, dtype="float32"), draw(shape, dtype="float64")):
        x.flags.writeable = False
        assert layer(x, training=training).dtype == dtype
    assert {w.dtype for w in layer.weights} <= {np.dtype(dtype)}


@every_layer
@in_both_modes
def test_float32_is_float64_within_rounding(name, arguments, shape, kinks, training):
    x = draw(shape, kinks, "float32")
    # The random layers draw other numbers in float32.
    training = training and "seed" not in arguments
    single, double = (make(name, arguments, shape, dtype)(x, training=training) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-5)


@every_layer
@in_both_modes
def test_takes_an_empty_batch(name, arguments, shape, kinks, training):
    layer = make(name, arguments, shape)
    before = layer.get_weights()
    expected = (0, *layer.compute_output_shape(shape)[1:])
    assert layer(np.zeros((0, *shape[1:])), training=training).shape == expected
    for w, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(w, value)


@every_layer
def test_a_batch_is_its_samples_one_by_one_at_inference(name, arguments, shape, kinks):
    layer, x = make(name, arguments, shape), draw(shape)
    one_by_one = np.concatenate([layer(x[k : k + 1]) for k in range(len(x))])
    # Matrix products of other shapes may round differently.
    np.testing.assert_allclose(layer(x), one_by_one, rtol=1e-14, atol=1e-14)


@every_layer
def test_survives_its_configuration_as_json(name, arguments, shape, kinks):
    layer = make(name, arguments, shape)
    config = layer.get_config()
    twin = type(layer).from_config(json.loads(json.dumps(config)))
    assert type(twin) is type(layer)
    assert twin.get_config() == config
    twin.build(shape)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(draw(shape)), layer(draw(shape)))
    assert [w.trainable for w in twin.weights] == [w.trainable for w in layer.weights]


@every_layer
def test_its_repr_makes_it_again(name, arguments, shape, kinks):
    layer = getattr(layers, name)(**{k: v for k, v in arguments.items() if k != "trainable"})
    assert repr(layer).endswith(f"name={layer.name!r})")
    assert eval(repr(layer), {**vars(initializers), **vars(layers), **RULES}).get_config() == layer.get_config()


@every_layer
def test_a_deep_copy_is_a_layer_of_its_own(name, arguments, shape, kinks):
    layer, x = make(name, arguments, shape), draw(shape)
    twin = copy.deepcopy(layer)
    y = layer(x).numpy()
    np.testing.assert_array_equal(twin(x), y)
    assert [w.path for w in twin.weights] == [w.path for w in layer.weights]
    assert [w.trainable for w in twin.weights] == [w.trainable for w in layer.weights]
    twin.set_weights([np.full(w.shape, 7.0) for w in twin.weights])
    np.testing.assert_array_equal(layer(x), y)


@every_layer
def test_its_configuration_holds_its_arguments(name, arguments, shape, kinks):
    config = getattr(layers, name)(**arguments).get_config()
    for argument, value in arguments.items():
        if not argument.endswith("initializer") and name != "InputLayer":
            assert np.array_equal(np.ravel(config[argument]), np.ravel(value))
