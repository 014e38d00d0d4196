"""The networks of the command line."""

import numpy as np
import pytest

import minidl as keras
from minidl.applications import NETWORKS, build_network
from minidl.errors import UnknownNameError

FROM_784_TO_10 = (784 * 300 + 300) + (300 * 100 + 100) + (100 * 10 + 10)

# Layers after Flatten, and parameters. BN: γ, β and two moving averages.
EXPECTED = {
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


def test_every_network_is_specified():
    assert list(NETWORKS) == list(EXPECTED)


@pytest.mark.parametrize("name", list(EXPECTED))
def test_layers_and_parameters(name):
    model = build_network(name, (28, 28), 10)
    layers, parameters = EXPECTED[name]
    assert [type(layer).__name__ for layer in model.layers] == ["Flatten", *layers.split()]
    assert model.name == name
    assert model.input_shape == (None, 28, 28)
    assert model.output_shape == (None, 10)
    assert model.count_params() == parameters


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
    *hidden, last = (layer for layer in build_network(name, (4,), 3).layers if isinstance(layer, keras.layers.Dense))
    for layer in hidden:
        assert layer.get_config()["activation"] == activation
        assert type(layer.kernel_initializer).__name__ == initializer
    assert last.get_config()["activation"] == "softmax"


def test_a_bias_before_batch_normalization_would_be_superfluous():
    model = build_network("bn_before", (4,), 3)
    assert [layer.use_bias for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [False, False, True]


@pytest.mark.parametrize("name", list(EXPECTED))
def test_each_gives_probabilities_and_makes_no_layer_twice(name):
    first, second = build_network(name, (2, 2, 3), 3), build_network(name, (2, 2, 3), 3)
    outputs = first.predict(np.random.default_rng(1).random((5, 2, 2, 3)), verbose=0)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-6)
    assert not {id(layer) for layer in first.layers} & {id(layer) for layer in second.layers}


def test_an_unknown_network():
    with pytest.raises(UnknownNameError, match="Unknown network 'sleu': did you mean 'selu'"):
        build_network("sleu", (4,), 3)
