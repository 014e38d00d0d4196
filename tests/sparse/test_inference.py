"""Without the zeros, the same predictions."""

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, DataFileError, NotBuiltError, ShapeError
from minidl.layers import BatchNormalization, Dense, Input, LeakyReLU, PReLU
from minidl.models import clone_model, load_model
from minidl.sparse import SparseDense, prune, sparsity, to_sparse

X = np.random.default_rng(1).standard_normal((300, 8)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 300)


def pruned(share=0.8):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        Input((8,)), Dense(10, activation=PReLU(), bias_initializer="ones"), BatchNormalization(),
        Dense(9, activation=LeakyReLU(0.1), use_bias=False), keras.Sequential([Dense(5, activation="selu")]),
        Dense(3, activation="softmax"),
    ])  # fmt: skip
    prune(model, share)
    return model


def assert_same_predictions(a, b):
    """Other orders of summation: a few roundings of float32."""
    np.testing.assert_allclose(a.predict(X, verbose=0), b.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_clone_has_sparse_layers_too():
    sparse = to_sparse(pruned())
    clone = clone_model(sparse)
    clone.set_weights(sparse.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), sparse.predict(X, verbose=0))


@pytest.mark.parametrize("share", [0.6, 0.9, 1.0])
def test_predictions_are_the_same(share):
    model = pruned(share)
    before = model.get_weights()
    sparse = to_sparse(model)
    assert_same_predictions(sparse, model)
    assert [type(layer).__name__ for layer in sparse.layers] == [
        "SparseDense", "BatchNormalization", "SparseDense", "Sequential", "SparseDense",
    ]  # fmt: skip
    assert isinstance(sparse.layers[3].layers[0], SparseDense)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_of_a_functional_model_and_of_inputs_with_more_axes():
    x = Input((4, 8))
    model = keras.Model(x, Dense(6)(Dense(7, activation="relu")(x)) + 1)
    prune(model, 0.7)
    data = np.random.default_rng(3).standard_normal((5, 4, 8)).astype(np.float32)
    np.testing.assert_allclose(
        to_sparse(model).predict(data, verbose=0), model.predict(data, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_layers_with_too_few_zeros_stay_dense():
    model = pruned(0.9)
    model.layers[0].kernel.assign(np.ones((8, 10)))
    sparse = to_sparse(model)
    assert [isinstance(layer, SparseDense) for layer in sparse.layers] == [False, False, True, False, True]
    assert_same_predictions(sparse, model)


def test_training_changes_values_and_never_zeros_also_in_steps_that_are_replayed():
    weights = []
    for eagerly in (False, True):
        model = to_sparse(pruned())
        first = model.layers[0]
        indices, indptr, values = (v.numpy().copy() for v in (first.indices, first.indptr, first.values))
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=eagerly)
        losses = model.fit(X, Y, epochs=3, shuffle=False, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.indices.numpy(), indices)
    np.testing.assert_array_equal(first.indptr.numpy(), indptr)
    assert (first.values.numpy() != values).any()


def test_a_step_is_that_of_a_dense_model_with_masks():
    dense = pruned()
    sparse = to_sparse(dense)
    masks = prune(dense, 0.8)
    for model, callbacks in ((dense, [masks]), (sparse, [])):
        model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    np.testing.assert_allclose(sparse.predict(X, verbose=0), dense.predict(X, verbose=0), rtol=1e-4, atol=1e-5)
    assert min(sparsity(dense).values()) > 0.7
    assert sparse.layers[2].bias is None


def test_can_be_saved_and_is_smaller(tmp_path):
    model = keras.Sequential([Input((100,)), Dense(100)])
    prune(model, 0.9)
    sparse = to_sparse(model)
    model.save(tmp_path / "dense.minidl")
    sparse.save(tmp_path / "sparse.minidl")
    assert (tmp_path / "sparse.minidl").stat().st_size < 0.3 * (tmp_path / "dense.minidl").stat().st_size
    loaded = load_model(tmp_path / "sparse.minidl", {"SparseDense": SparseDense})
    x = np.ones((2, 100), np.float32)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), sparse.predict(x, verbose=0))
    with pytest.raises(DataFileError, match="SparseDense"):
        load_model(tmp_path / "sparse.minidl")


@pytest.mark.parametrize(
    ("name", "value"), [("indices", [8, 0]), ("indices", [-1, 0]), ("indptr", [0, 3, 2]), ("indptr", [0, 1, 1])]
)
def test_indices_from_a_bad_file_are_not_followed(name, value):
    layer = SparseDense(2, 2)
    layer.build((None, 8))
    layer.set_weights([np.ones(2), np.zeros(2), np.array([0, 1]), np.array([0, 1, 2])])
    assert layer(X).shape == (300, 2)
    getattr(layer, name).assign(np.array(value))
    with pytest.raises(ShapeError, match="indices outside of its 8 rows"):
        layer(X)


def test_errors_say_what_is_needed():
    with pytest.raises(ArgumentError, match=r"has no Dense layer with 50% of zeros: prune it"):
        to_sparse(keras.Sequential([Input((8,)), Dense(3)]))
    with pytest.raises(NotBuiltError, match="no weights yet"):
        to_sparse(keras.Sequential([Dense(3)]))
    with pytest.raises(ArgumentError, match="expected a Sequential or functional model"):
        to_sparse(keras.Model())
    with pytest.raises(ShapeError, match="was built for 8 features but got"):
        to_sparse(pruned()).layers[0](X[:, :5])
