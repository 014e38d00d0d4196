"""The networks of the command line."""

import numpy as np
import pytest

import minidl as keras
from minidl import layers
from minidl.applications import NETWORKS, Recipe, build_network
from minidl.errors import ShapeError, UnknownNameError

FROM_784_TO_10 = (784 * 300 + 300) + (300 * 100 + 100) + (100 * 10 + 10)

# Layers after Flatten, and parameters. BN: γ, β and two moving averages.
DENSE = {
    "mlp": ("Dense Dense Dense", FROM_784_TO_10),
    "leaky_relu": ("Dense LeakyReLU Dense LeakyReLU Dense", FROM_784_TO_10),
    "prelu": ("Dense PReLU Dense PReLU Dense", FROM_784_TO_10 + 300 + 100),
    "elu": ("Dense Dense Dense", FROM_784_TO_10),
    "selu": ("Dense Dense Dense", FROM_784_TO_10),
    "bn": (
        "BatchNormalization Dense BatchNormalization Dense BatchNormalization Dense",
        FROM_784_TO_10 + 4 * (784 + 300 + 100),
    ),
    "bn_before": (
        "BatchNormalization Dense BatchNormalization Activation Dense BatchNormalization Activation Dense",
        FROM_784_TO_10 - 300 - 100 + 4 * (784 + 300 + 100),
    ),
}

# The filters of the convolutions in their order, and the features of the dense layer, for images 32 × 32 × 3.
CONVOLUTIONAL = {
    "cnn": ([32, 64, 64, 128], 4 * 4 * 128),
    "resnet9": ([24, 48, 48, 48, 96, 192, 192, 192], 192),
    "resnet20": ([16] * 7 + [32] * 7 + [64] * 7, 64),
}


def of_kind(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_every_network_is_specified():
    assert list(NETWORKS) == [*DENSE, *CONVOLUTIONAL]


@pytest.mark.parametrize("name", list(DENSE))
def test_layers_and_parameters_of_dense_networks(name):
    model = build_network(name, (28, 28), 10)
    expected, parameters = DENSE[name]
    assert [type(layer).__name__ for layer in model.layers[2:]] == ["Flatten", *expected.split()]
    assert model.count_params() == parameters


@pytest.mark.parametrize("name", list(CONVOLUTIONAL))
def test_layers_and_parameters_of_convolutional_networks(name):
    """A kernel a convolution, which has no bias, and four numbers for each of its filters in a batch normalization."""
    model = build_network(name, (32, 32, 3), 10)
    filters, features = CONVOLUTIONAL[name]
    convolutions = of_kind(model, layers.Conv2D)
    assert sorted(layer.filters for layer in convolutions) == filters
    assert not any(layer.use_bias for layer in convolutions)
    assert len(of_kind(model, layers.BatchNormalization)) == len(filters)
    assert {type(layer.kernel_initializer).__name__ for layer in convolutions} == {"HeNormal"}
    kernels = sum(layer.kernel.size for layer in convolutions)
    assert model.count_params() == kernels + 4 * sum(filters) + (features + 1) * 10


def test_resnet20_has_the_parameters_of_its_paper():
    """0.27 million, says table 6 of He et al. 2016: 269,722 with the shortcuts of option A, and with the projections of

    option B their kernels, 16·32 + 32·64, and γ and β of 32 + 64 filters on top of it.
    """
    model = build_network("resnet20", (32, 32, 3), 10)
    assert sum(variable.size for variable in model.trainable_variables) == 269_722 + 16 * 32 + 32 * 64 + 2 * (32 + 64)


def test_resnet20_halves_the_image_twice_and_adds_in_every_block():
    model = build_network("resnet20", (32, 32, 3), 10)
    shapes = [layer.output.shape for layer in of_kind(model, layers.Add)]
    assert shapes == [(None, 32, 32, 16)] * 3 + [(None, 16, 16, 32)] * 3 + [(None, 8, 8, 64)] * 3
    assert sorted({layer.kernel_size for layer in of_kind(model, layers.Conv2D)}) == [(1, 1), (3, 3)]


def test_resnet9_adds_twice():
    model = build_network("resnet9", (32, 32, 3), 10)
    assert [layer.output.shape for layer in of_kind(model, layers.Add)] == [(None, 16, 16, 48), (None, 4, 4, 192)]


@pytest.mark.parametrize("name", list(CONVOLUTIONAL))
def test_grey_images_need_no_axis_for_their_channel(name):
    first, second = build_network(name, (28, 28), 10), build_network(name, (28, 28, 1), 10)
    assert first.input_shape == (None, 28, 28)
    assert first.count_params() == second.count_params()


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3)])
def test_shapes_and_name(name, shape):
    model = build_network(name, shape, 7)
    assert model.name == name
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, 7)


@pytest.mark.parametrize(
    ("name", "activation", "initializer"),
    [
        ("mlp", "relu", "HeNormal"),
        ("leaky_relu", "linear", "HeNormal"),
        ("elu", "elu", "HeNormal"),
        ("selu", "selu", "LecunNormal"),
        ("bn", "relu", "HeNormal"),
    ],
)
def test_activations_and_initializers(name, activation, initializer):
    *hidden, last = of_kind(build_network(name, (4,), 3), layers.Dense)
    for layer in hidden:
        assert layer.get_config()["activation"] == activation
        assert type(layer.kernel_initializer).__name__ == initializer
    assert last.get_config()["activation"] == "softmax"


def test_a_bias_before_batch_normalization_would_be_superfluous():
    model = build_network("bn_before", (4,), 3)
    assert [layer.use_bias for layer in of_kind(model, layers.Dense)] == [False, False, True]


@pytest.mark.parametrize("name", list(NETWORKS))
def test_each_gives_probabilities_and_makes_no_layer_twice(name):
    first, second = build_network(name, (8, 8, 3), 3), build_network(name, (8, 8, 3), 3)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    outputs = first.predict(pixels, verbose=0)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-6)
    assert not {id(layer) for layer in first.layers} & {id(layer) for layer in second.layers}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_bytes_and_floats_are_the_same_pixels(name):
    model = build_network(name, (8, 8, 3), 3)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(model(pixels), model(pixels.astype(np.float32)))


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_pixels_are_divided_by_255_or_standardized(name):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    by_default = build_network(name, (8, 8, 3), 3).layers[1](pixels)
    np.testing.assert_allclose(by_default, pixels / 255, atol=1e-6)
    standardized = build_network(name, (8, 8, 3), 3, [10.0, 20, 30], [400.0, 900, 1600]).layers[1](pixels)
    np.testing.assert_allclose(standardized, (pixels - [10, 20, 30]) / [20, 30, 40], atol=1e-5)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_recipe_is_one_that_works(name):
    recipe = NETWORKS[name].recipe
    assert isinstance(recipe, Recipe)
    first, second = recipe.optimizer(), recipe.optimizer()
    assert isinstance(first, keras.optimizers.Optimizer)
    assert first is not second
    assert recipe.augment == (name in CONVOLUTIONAL)
    assert recipe.standardize == (name in (*CONVOLUTIONAL, "selu"))


def test_images_too_small_for_the_poolings():
    with pytest.raises(ShapeError, match="MaxPooling2D"):
        build_network("cnn", (4, 4), 3)


def test_an_unknown_network():
    with pytest.raises(UnknownNameError, match="Unknown network 'sleu': did you mean 'selu'"):
        build_network("sleu", (4,), 3)
