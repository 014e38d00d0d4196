"""`Monitor`: which way is better, and what is better."""

import math
import re

import numpy as np
import pytest

import minidl as keras
from minidl.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from minidl.callbacks.monitor import Monitor
from minidl.errors import ArgumentError, MiniDLWarning

NAN, INF = math.nan, math.inf


def scored(y_true, y_pred):
    return y_pred[:, 0]


def up(model, monitor, mode="auto"):
    """Whether the monitor of a model holds more for better."""
    watcher = Monitor(monitor, mode)
    watcher.set_model(model)
    watcher.on_train_begin()
    return watcher.is_better(2.0, 1.0)


class TestDirection:
    @pytest.mark.parametrize(
        ("metric", "name", "expected"),
        [
            ("accuracy", "val_accuracy", True),
            ("acc", "acc", True),
            ("mae", "mae", False),
            (keras.metrics.AUC(), "val_auc", True),
            (keras.metrics.SparseCategoricalCrossentropy(name="ce"), "ce", False),
            ("accuracy", "val_loss", False),
            (scored, "loss", False),
        ],
    )
    def test_is_that_of_the_metric(self, model, metric, name, expected):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric])
        assert up(model, name) is expected

    def test_is_what_one_says(self, model):
        assert up(model, "val_accuracy", "min") is False
        assert up(model, "val_loss", "max") is True

    def test_of_weighted_metrics(self, model):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"], weighted_metrics=["acc"])
        assert up(model, "val_weighted_acc") is True

    @pytest.mark.parametrize(
        ("name", "expected"), [("val_a_loss", False), ("a_mae", False), ("val_a_b_accuracy", True), ("loss", False)]
    )
    def test_of_several_outputs(self, name, expected):
        x = keras.Input((2,))
        outputs = [keras.layers.Dense(1, name=name)(x) for name in ("a", "a_b")]
        model = keras.Model(x, outputs)
        model.compile("sgd", ["mse", "mse"], metrics=[["mae"], ["accuracy"]])
        assert up(model, name) is expected

    @pytest.mark.parametrize("name", ["val_scored", "val_acc", "learning_rate"])
    def test_that_nobody_knows_is_an_error_before_training(self, model, x, y, name):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[scored])
        before = model.get_weights()
        message = f"EarlyStopping: nobody knows whether monitor={name!r} is better when it goes up or down: pass mode="
        with pytest.raises(ArgumentError, match=f"{message}.*the model reports loss, scored"):
            model.fit(x, y, callbacks=[EarlyStopping(name)], verbose=0)
        assert all(map(np.array_equal, before, model.get_weights()))
        with pytest.warns(MiniDLWarning) if name == "val_acc" else pytest.warns(MiniDLWarning, match="not available"):
            model.fit(x, y, callbacks=[EarlyStopping(name, mode="max")], verbose=0)

    @pytest.mark.parametrize("callback", [EarlyStopping, ReduceLROnPlateau, lambda **k: ModelCheckpoint("a.h5", **k)])
    def test_of_another_name(self, callback):
        with pytest.raises(ArgumentError, match=r"Unknown mode of .*'maxx': did you mean 'max'"):
            callback(mode="maxx")


class TestBetter:
    def watcher(self, mode="min", min_delta=0.0):
        watcher = Monitor("val_loss", mode, min_delta)
        watcher.on_train_begin()
        return watcher

    @pytest.mark.parametrize("sign", [1, -1])
    def test_is_by_more_than_min_delta(self, sign):
        """0.25 can be written in binary: the difference is exactly it."""
        watcher = self.watcher("max" if sign > 0 else "min", min_delta=-0.25)
        assert watcher.is_better(sign * 1.5, sign * 1.0)
        assert not watcher.is_better(sign * 1.25, sign * 1.0)
        assert not watcher.is_better(sign * 0.5, sign * 1.0)

    def test_is_everything_than_nothing(self):
        assert self.watcher(min_delta=5).is_better(1e9, None)

    @pytest.mark.parametrize("value", [NAN, INF, -INF])
    @pytest.mark.parametrize("mode", ["min", "max"])
    def test_is_nothing_that_is_not_finite(self, mode, value):
        assert not self.watcher(mode).is_better(value, None)
        assert not self.watcher(mode).is_better(value, 1.0)


def test_a_first_epoch_gone_wrong_is_not_the_best():
    """Keras would compare every later epoch with NaN, and stop."""
    stopping = EarlyStopping(patience=2)
    stopping.set_model(keras.Sequential())
    stopping.on_train_begin()
    for epoch, value in enumerate([NAN, 0.9, 0.8, 0.7]):
        stopping.on_epoch_end(epoch, {"val_loss": value})
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (0.7, 3, 0)


def test_several_numbers_cannot_be_compared():
    stopping = EarlyStopping("val_parts", mode="min")
    stopping.on_train_begin()
    with pytest.raises(ArgumentError, match=re.escape("EarlyStopping: 'val_parts' must be one number, got an array")):
        stopping.on_epoch_end(0, {"val_parts": np.zeros(3)})
