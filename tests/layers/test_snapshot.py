"""`Snapshot`: back to how things were."""

import numpy as np

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
    before = Snapshot(model.variables, generators(model))
    first, weights = model(x, training=True).numpy(), model.get_weights()
    before.restore()
    assert not np.array_equal(weights[-1], model.get_weights()[-1]), "the moving average had moved"
    np.testing.assert_array_equal(model(x, training=True).numpy(), first)
    assert all(map(np.array_equal, model.get_weights(), weights))


def test_taking_again_remembers_the_new_values():
    variable = keras.Variable(np.zeros(3))
    snapshot = Snapshot([variable])
    variable.assign(np.ones(3))
    snapshot.take()
    variable.assign(np.full(3, 2.0))
    snapshot.restore()
    assert variable.numpy().tolist() == [1, 1, 1]
