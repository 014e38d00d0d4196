"""The trained models that come with minidl do what their docstrings say."""

import re
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl import applications
from minidl.applications.zoo import weights_of
from minidl.errors import ArgumentError, DataFileError, DataNotFoundError
from minidl.saving import safetensors

FOLDER = Path(applications.__file__).parent
MODELS = {"fashion_mnist_dense": (109_962, 64), "fashion_mnist_cnn": (38_746, 576)}
SHIPPED = [name for name in MODELS if (FOLDER / f"{name}.safetensors").exists()]


@pytest.fixture(scope="module")
def images():
    """2,000 of the 10,000 test images."""
    return keras.datasets.fashion_mnist.load_sample()[1]


def test_one_at_least_is_shipped():
    assert "fashion_mnist_dense" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_has_the_accuracy_of_its_docstring(name, images):
    """On a fifth of the images that it was measured on: three standard deviations of such a sample are 0.019."""
    function = getattr(applications, name)
    measured = float(re.search(r"test accuracy (0\.\d+)", function.__doc__)[1])
    model = function()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert model.evaluate(*images, verbose=0)[1] == pytest.approx(measured, abs=0.019)
    assert measured > 0.88


@pytest.mark.parametrize("name", SHIPPED)
def test_is_small_as_a_file(name):
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 300_000


@pytest.mark.parametrize("name", SHIPPED)
def test_does_not_depend_on_which_layers_were_made_before(name, images):
    keras.layers.Dense(1)
    first, second = getattr(applications, name)(), getattr(applications, name)()
    np.testing.assert_array_equal(first.predict(images[0][:9], verbose=0), second.predict(images[0][:9], verbose=0))


@pytest.mark.parametrize("name", list(MODELS))
class TestEach:
    def test_has_so_many_weights_and_features(self, name):
        function = getattr(applications, name)
        weights, features = MODELS[name]
        model = function(weights=None, name="mine")
        assert model.count_params() == weights
        assert model.name == "mine"
        assert (model.input_shape, model.output_shape) == ((None, 28, 28), (None, 10))
        assert function(weights=None, include_top=False).output_shape == (None, features)

    def test_reads_weights_from_a_file(self, name, tmp_path):
        function, path = getattr(applications, name), tmp_path / "weights.safetensors"
        model = function(weights=None)
        path.write_bytes(safetensors.dump(weights_of(model)))
        for a, b in zip(function(weights=path).get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b.astype(np.float16))

    def test_refuses_what_are_no_weights_of_it(self, name, tmp_path):
        function, path = getattr(applications, name), tmp_path / "weights.safetensors"
        path.write_bytes(safetensors.dump({"0/kernel": np.ones(3)}))
        with pytest.raises(DataFileError, match=f"holds no weights of {name}"):
            function(weights=path)
        with pytest.raises(ArgumentError, match=r'weights are "fashion_mnist", None or a \.safetensors file'):
            function(weights="imagenet")


def test_missing_weights_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("minidl.applications.zoo.resources.files", lambda package: tmp_path)
    with pytest.raises(DataNotFoundError, match=r"no weights of fashion_mnist_dense come with .*train_zoo.py"):
        applications.fashion_mnist_dense()


def test_layers_can_be_taken_for_another_task(images):
    """Shirts or not: the hidden layers stay as they are."""
    base = applications.fashion_mnist_dense(include_top=False)
    base.trainable = False
    model = keras.Sequential([base, keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Nadam(0.01), "binary_crossentropy", metrics=["accuracy"])
    x, y = images
    before = base.get_weights()
    model.fit(x[:1000], y[:1000] == 6, epochs=2, verbose=0)
    assert model.evaluate(x[1000:], y[1000:] == 6, verbose=0)[1] > 0.91
    for a, b in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
