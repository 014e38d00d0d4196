"""`LearningRateScheduler` and `ReduceLROnPlateau` in a training, and what a callback of one's own may set."""

import functools
import itertools
import re

import numpy as np
import pytest

import minidl as keras
from minidl.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau
from minidl.errors import ArgumentError, MiniDLWarning
from minidl.optimizers import schedules


class Rates(Callback):
    """The rate in every step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


def halved(epoch, rate):
    return rate / 2


class TestScheduler:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            (lambda epoch: 0.1 * 0.5**epoch, [0.1, 0.05, 0.025]),
            (lambda epoch, lr: lr * 0.1 if epoch else lr, [0.01, 0.001, 0.0001]),
            (halved, [0.005, 0.0025, 0.00125]),
            (functools.partial(halved, rate=0.4), [0.2, 0.2, 0.2]),
            (lambda epoch, rate=0.5: rate * 2, [0.02, 0.04, 0.08]),
            (schedules.ExponentialDecay(0.1, 1, 0.5), [0.1, 0.05, 0.025]),
            (lambda epoch: np.float32(0.25), [0.25] * 3),
            (lambda epoch: keras.Tensor(1.0), [1.0] * 3),
        ],
    )
    def test_sets_the_rate_of_every_epoch(self, model, x, y, schedule, expected):
        """Two steps an epoch, from 0.01."""
        rates = Rates()
        history = model.fit(
            x, y, batch_size=5, epochs=3, callbacks=[LearningRateScheduler(schedule), rates], verbose=0
        ).history
        np.testing.assert_allclose(rates.seen, np.repeat(expected, 2), rtol=1e-12)
        np.testing.assert_allclose(history["learning_rate"], expected, rtol=1e-12)

    def test_the_steps_are_taken_with_it(self, model, x, y):
        """A rate of 0 in the second epoch: nothing is learned there."""
        weights = []
        keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
        model.fit(x, y, epochs=3, callbacks=[LearningRateScheduler(lambda epoch: epoch % 2), keep], verbose=0)
        model.fit(x, y, epochs=3, callbacks=[LearningRateScheduler(lambda epoch: 1 - epoch % 2), keep], verbose=0)
        changed = [not np.array_equal(a[0], b[0]) for a, b in itertools.pairwise(weights)]
        assert changed == [True, False, True, False, True]

    def test_says_what_it_sets(self, model, x, y, capsys):
        model.fit(x, y, callbacks=[LearningRateScheduler(lambda epoch: 0.25, verbose=1)], verbose=0)
        assert capsys.readouterr().out == "\nEpoch 1: LearningRateScheduler setting learning rate to 0.25.\n"

    def test_an_error_in_the_function_is_its_own(self, model, x, y):
        """Keras takes a TypeError for a sign that the function wants the epoch alone, and calls it again."""

        def broken(epoch, rate):
            raise TypeError("mine")

        with pytest.raises(TypeError, match="mine"):
            model.fit(x, y, callbacks=[LearningRateScheduler(broken)], verbose=0)

    @pytest.mark.parametrize("rate", [None, "0.1", -0.1, np.nan, True, np.ones(2)])
    def test_what_is_no_rate(self, model, x, y, rate):
        message = "LearningRateScheduler: what schedule gives for epoch 0 must be a number ≥ 0, got "
        with pytest.raises(ArgumentError, match=f"{message}|what schedule gives for epoch 0 must be a number ≥ 0"):
            model.fit(x, y, callbacks=[LearningRateScheduler(lambda epoch: rate)], verbose=0)

    @pytest.mark.parametrize(
        ("schedule", "message"),
        [
            (0.1, r"expected schedule as a function of \(epoch\) or \(epoch, rate\), got 0.1"),
            (lambda: 0.1, r"schedule must take \(epoch\) or \(epoch, rate\), got <function"),
            (lambda a, b, c: 0.1, r"schedule must take \(epoch\) or \(epoch, rate\), got <function"),
        ],
    )
    def test_what_is_no_schedule(self, schedule, message):
        with pytest.raises(ArgumentError, match=message):
            LearningRateScheduler(schedule)


class TestPlateau:
    def test_of_a_metric_that_should_go_up(self, model, x, y):
        """An accuracy that all but stands still."""
        callback = ReduceLROnPlateau("accuracy", factor=0.5, patience=2, min_delta=1.0)
        history = model.fit(x, y, epochs=6, callbacks=[callback], verbose=0).history
        assert history["learning_rate"] == [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]
        assert float(model.optimizer.learning_rate) == 0.00125 * 2

    def test_without_the_number_it_warns(self, model, x, y):
        message = (
            "Learning rate reduction is conditioned on metric `val_loss` which is not available. "
            "Available metrics are: accuracy,loss,learning_rate."
        )
        with pytest.warns(MiniDLWarning, match=re.escape(message)):
            model.fit(x, y, callbacks=[ReduceLROnPlateau()], verbose=0)

    def test_epsilon_is_an_old_name(self):
        with pytest.warns(MiniDLWarning, match="ReduceLROnPlateau: epsilon is an old spelling, .* it is min_delta"):
            assert ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"factor": 1.0}, "ReduceLROnPlateau does not support a factor >= 1.0. Received factor=1.0"),
            ({"factor": -0.1}, "ReduceLROnPlateau: factor must be a number ≥ 0, got -0.1"),
            ({"patience": "3"}, "ReduceLROnPlateau: patience must be an integer ≥ 0, got '3'"),
            ({"cooldown": -1}, "ReduceLROnPlateau: cooldown must be an integer ≥ 0, got -1"),
            ({"min_lr": -1}, "ReduceLROnPlateau: min_lr must be a number ≥ 0, got -1"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            ReduceLROnPlateau(**arguments)


@pytest.mark.parametrize("callback", [LearningRateScheduler(lambda epoch: 0.1), ReduceLROnPlateau("loss")])
def test_a_schedule_is_not_overruled(model, x, y, callback):
    model.compile(keras.optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.5)), "sparse_categorical_crossentropy")
    with pytest.raises(ArgumentError, match=f"{type(callback).__name__}: the optimizer has a schedule already"):
        model.fit(x, y, callbacks=[callback], verbose=0)


@pytest.mark.filterwarnings("ignore:.*lr is an old spelling")
@pytest.mark.parametrize("name", ["learning_rate", "lr"])
def test_a_callback_of_ones_own_sets_the_rate_by_either_name(model, x, y, name):
    """As the book's ExponentialLearningRate does."""

    class Growing(Callback):
        def on_batch_end(self, batch, logs):
            optimizer = self.model.optimizer
            setattr(optimizer, name, float(getattr(optimizer, name)) * 2)

    rates = Rates()
    model.fit(x, y, batch_size=2, callbacks=[rates, Growing()], verbose=0)
    np.testing.assert_allclose(rates.seen, 0.01 * 2 ** np.arange(5), rtol=1e-12)
