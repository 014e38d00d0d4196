"""`Snapshot`: back to how things were."""

import numpy as np
import pytest

import minidl as keras
from minidl.layers.snapshot import Snapshot, generators


def network():
    keras.utils.set_random_seed(2)
    shared = keras.layers.Dropout(0.2)
    inside = keras.Sequential([shared, keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    return keras.Sequential([keras.Input((4,)), shared, inside, keras.layers.BatchNormalization()])


def test_generators_are_found_in_layers_inside_layers_and_each_once():
    model = network()
    found = generators(model)
    shared, inside, _ = model.layers
    assert [id(g) for g in found] == [id(shared._generator), id(inside.layers[2]._generator)]
    assert generators(keras.layers.Dense(3)) == []


def test_restoring_makes_everything_as_it_was():
    """Weights, moving averages and what dropout draws next."""
    model, x = network(), np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    before = Snapshot(model)
    first, weights = model(x, training=True).numpy(), model.get_weights()
    before.restore()
    assert not np.array_equal(weights[-1], model.get_weights()[-1]), "the moving average had moved"
    np.testing.assert_array_equal(model(x, training=True).numpy(), first)
    assert all(map(np.array_equal, model.get_weights(), weights))


def test_taking_again_remembers_the_new_values():
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, 3))
    snapshot = Snapshot(layer)
    layer.kernel.assign(np.ones((3, 1)))
    snapshot.take()
    layer.kernel.assign(np.full((3, 1), 2.0))
    snapshot.restore()
    assert layer.kernel.numpy().ravel().tolist() == [1, 1, 1]


def test_after_a_block_the_variables_that_are_named_are_as_they_were_and_no_others():
    model, x = network(), np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    weights = model.get_weights()
    with pytest.raises(ZeroDivisionError), Snapshot(model, model.non_trainable_variables):
        model(x, training=True)
        model.variables[0].assign(np.zeros_like(weights[0]))
        raise ZeroDivisionError
    assert not model.get_weights()[0].any()
    assert all(map(np.array_equal, model.get_weights()[1:], weights[1:]))
