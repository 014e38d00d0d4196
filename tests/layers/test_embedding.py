"""Embedding: rows of a matrix by number."""

import json

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, MiniDLWarning
from minidl.layers import Embedding
from minidl.testing import check_layer

TABLE = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 2), (0, 3)])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
def test_gives_the_rows(shape, dtype):
    numbers = np.random.default_rng(0).integers(0, 4, shape).astype(dtype)
    layer = Embedding(4, 3, weights=TABLE)
    y = layer(numbers)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, TABLE[numbers.astype(int)])
    assert layer.compute_output_shape(shape) == y.shape
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *y.shape[1:])


def test_gradient_is_that_of_the_product_with_one_hot_vectors():
    numbers = np.array([[0, 3], [3, 3]])
    layer = Embedding(4, 3, weights=TABLE, dtype="float64")
    c = np.random.default_rng(1).standard_normal((2, 2, 3))
    (dw,) = keras.vjp(lambda w: layer.stateless_call([w], [], numbers)[0], TABLE)[1](c)
    np.testing.assert_allclose(dw, np.einsum("bik,bij->kj", np.eye(4)[numbers], c))


@pytest.mark.parametrize("numbers", [np.array([[1, 0, 1]]), np.array([[1.0, 0.0]])])
def test_derivatives(numbers):
    check_layer(Embedding(3, 2), numbers.astype(int))


def test_starts_small_and_uniform():
    layer = Embedding(500, 20)
    layer(np.zeros((1, 2), int))
    values = layer.embeddings.numpy()
    assert abs(values).max() <= 0.05
    assert values.std() == pytest.approx(0.1 / np.sqrt(12), rel=0.05)
    assert [w.path for w in layer.weights] == [f"{layer.name}/embeddings"]


def test_its_configuration_makes_it_again():
    layer = Embedding(4, 3, embeddings_initializer="he_normal", weights=[TABLE], name="e")
    config = json.loads(json.dumps(layer.get_config()))
    assert Embedding.from_config(config).get_config() == config
    assert (config["input_dim"], config["output_dim"], config["mask_zero"]) == (4, 3, False)
    assert repr(Embedding(4, 3, name="e")) == "Embedding(input_dim=4, output_dim=3, name='e')"


def test_learns_in_a_model_recorded_as_eagerly():
    """Whether a sentence of four words has the word 3, told by sums of learned numbers."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 20, (200, 4))
    y = (x == 3).any(1).astype("float32")
    weights = []
    for eagerly in (True, False):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([
            keras.Input((4,), dtype="int32"), Embedding(20, 5), keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ])  # fmt: skip
        model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"], run_eagerly=eagerly)
        history = model.fit(x, y, epochs=15, verbose=0).history
        weights.append(model.get_weights())
    assert history["accuracy"][-1] > 0.97
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_is_saved_with_its_model(tmp_path):
    model = keras.Sequential([keras.Input((4,)), Embedding(20, 5), keras.layers.Flatten()])
    x = np.arange(8).reshape(2, 4)
    model.save(tmp_path / "model.minidl")
    again = keras.models.load_model(tmp_path / "model.minidl")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("numbers", [[[0, 4]], [[-1, 2]], [[0.5, 1.0]], [[np.nan]]])
def test_numbers_without_a_row(numbers):
    with pytest.raises(ArgumentError, match="Embedding 'e' expects integers from 0 to 3, got numbers from"):
        Embedding(4, 3, name="e")(np.array(numbers))


def test_numbers_without_a_row_in_a_recorded_step():
    model = keras.Sequential([keras.Input((2,)), Embedding(4, 3, name="e")])
    for _ in range(3):
        model.predict_on_batch(np.array([[0, 3]]))
    with pytest.raises(ArgumentError, match="Embedding 'e' expects integers from 0 to 3, got numbers from 0 to 4"):
        model.predict_on_batch(np.array([[0, 4]]))


class TestArguments:
    @pytest.mark.parametrize("size", [0, -1, 1.5, None, True])
    def test_sizes_are_at_least_1(self, size):
        with pytest.raises(ArgumentError, match="Embedding: input_dim must be an integer ≥ 1, got"):
            Embedding(size, 3)
        with pytest.raises(ArgumentError, match="Embedding: output_dim must be an integer ≥ 1, got"):
            Embedding(3, size)

    def test_masks_are_refused(self):
        with pytest.raises(ArgumentError, match="masks are not supported, so that mask_zero must be False"):
            Embedding(4, 3, mask_zero=True)

    def test_the_length_of_the_input_is_an_old_argument(self):
        with pytest.warns(MiniDLWarning, match="input_length"):
            Embedding(4, 3, input_length=10)
