"""`EarlyStopping` in a training; its decisions are compared with Keras's in test_golden.py."""

import re

import numpy as np
import pytest

import minidl as keras
from minidl.callbacks import Callback, EarlyStopping
from minidl.errors import ArgumentError, MiniDLWarning


class Weights(Callback):
    """Keeps the weights of every epoch."""

    def __init__(self):
        self.of = []

    def on_epoch_end(self, epoch, logs=None):
        self.of.append(self.model.get_weights())


@pytest.fixture
def diverging(model):
    """A model whose loss falls and then rises: the rate grows tenfold in every epoch."""
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


GROWING = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 * 10**epoch)


def test_the_best_weights_come_back(diverging, x, y):
    weights, stopping = Weights(), EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = diverging.fit(x, y, epochs=30, callbacks=[GROWING, weights, stopping], verbose=0).history["loss"]
    best = int(np.argmin(history))
    assert 0 < best == stopping.best_epoch
    assert len(history) == best + 3 == stopping.stopped_epoch + 1
    assert stopping.best == history[best]
    assert all(map(np.array_equal, diverging.get_weights(), weights.of[best]))


def test_without_restoring_the_last_weights_stay(diverging, x, y):
    weights = Weights()
    diverging.fit(x, y, epochs=30, callbacks=[GROWING, weights, EarlyStopping("loss", patience=2)], verbose=0)
    assert len(weights.of) < 30
    assert all(map(np.array_equal, diverging.get_weights(), weights.of[-1]))


def test_a_training_to_its_last_epoch_is_restored_as_well(diverging, x, y):
    weights, stopping = Weights(), EarlyStopping("loss", patience=50, restore_best_weights=True)
    diverging.fit(x, y, epochs=8, callbacks=[GROWING, weights, stopping], verbose=0)
    assert stopping.stopped_epoch == 0
    assert all(map(np.array_equal, diverging.get_weights(), weights.of[stopping.best_epoch]))


def test_moving_averages_are_weights_too(x, y):
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    weights, stopping = Weights(), EarlyStopping("loss", mode="max", patience=3, restore_best_weights=True)
    model.fit(x, np.eye(3)[y], epochs=5, callbacks=[weights, stopping], verbose=0)
    assert stopping.best_epoch == 0
    assert all(map(np.array_equal, model.get_weights(), weights.of[0]))
    assert not np.array_equal(weights.of[0][2], weights.of[1][2])


def test_a_second_training_begins_anew(model, x, y):
    stopping = EarlyStopping("loss", mode="max", patience=3)
    for _ in range(2):
        assert model.fit(x, y, epochs=9, callbacks=[stopping], verbose=0).epoch == [0, 1, 2, 3]


def test_an_epoch_without_validation_is_passed_over_with_a_warning(model, x, y):
    stopping = EarlyStopping(mode="max", patience=1)
    message = (
        "Early stopping conditioned on metric `val_loss` which is not available. Available metrics are: accuracy,loss"
    )
    with pytest.warns(MiniDLWarning, match=re.escape(message)):
        history = model.fit(
            x, y, epochs=9, validation_data=(x, y), validation_freq=2, callbacks=[stopping], verbose=0
        )
    assert history.epoch == [0, 1, 2, 3]


def test_its_state_is_plain_and_holds_the_best_weights(model, x, y):
    stopping = EarlyStopping("loss", patience=5, restore_best_weights=True)
    model.fit(x, y, epochs=2, callbacks=[stopping], verbose=0)
    state = stopping.get_state()
    assert {name: type(value) for name, value in state.items()} == {
        "best": float, "wait": int, "stopped_epoch": int, "best_epoch": int, "best_weights": list,
    }  # fmt: skip
    assert all(map(np.array_equal, state["best_weights"], stopping.best_weights))
    state["best_weights"][0][:] = 0
    assert stopping.best_weights[0].any(), "the state is a copy"


def test_with_a_state_it_goes_on(model, x, y):
    """Two epochs that were no better are behind it, so that it stops at once; the next training begins anew."""
    state = {"best": 1e9, "wait": 2, "stopped_epoch": 0, "best_epoch": 0, "best_weights": None}
    stopping = EarlyStopping("loss", mode="max", patience=3)
    going_on = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: epoch == 2 and stopping.set_state(state))
    first = model.fit(x, y, epochs=9, initial_epoch=2, callbacks=[stopping, going_on], verbose=0)
    second = model.fit(x, y, epochs=2, callbacks=[stopping], verbose=0)
    assert (first.epoch, second.epoch) == ([2], [0, 1])


def test_the_state_of_another_callback_is_refused():
    expected = "EarlyStopping: expected a state with best, wait, stopped_epoch, best_epoch, best_weights, got one with "
    with pytest.raises(ArgumentError, match=f"{expected}keys"):
        EarlyStopping().set_state({"keys": []})
    with pytest.raises(ArgumentError, match="History: expected a state with nothing, got one with best"):
        keras.callbacks.History().set_state({"best": 1.0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": -1}, "EarlyStopping: patience must be an integer ≥ 0, got -1"),
        ({"patience": 2.5}, "EarlyStopping: patience must be an integer ≥ 0, got 2.5"),
        ({"min_delta": "0.1"}, "EarlyStopping: min_delta must be a finite number, got '0.1'"),
        ({"baseline": np.nan}, "EarlyStopping: baseline must be a finite number, got nan"),
        ({"restore_best_weights": 1}, "EarlyStopping: restore_best_weights must be True or False, got 1"),
        ({"start_from_epoch": None}, "EarlyStopping: start_from_epoch must be an integer ≥ 0, got None"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        EarlyStopping(**arguments)
