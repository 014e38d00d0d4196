"""`Numbers`: logs and histories by the names that they had in other years."""

import pytest

import minidl as keras
from minidl.callbacks.logs import Numbers
from minidl.errors import ArgumentError, MiniDLWarning


class TestNumbers:
    @pytest.mark.parametrize(
        ("old", "new"),
        [("acc", "accuracy"), ("val_acc", "val_accuracy"), ("digit_acc", "digit_accuracy"), ("lr", "learning_rate")],
    )
    def test_are_found_by_old_names_with_a_warning(self, old, new):
        logs = Numbers({new: 0.5})
        for read in (logs.__getitem__, logs.get):
            with pytest.warns(MiniDLWarning, match=f'"{old}" is an old spelling, which works; today it is "{new}"'):
                assert read(old) == 0.5
        assert list(logs) == [new]

    def test_that_are_there_are_not_replaced(self):
        logs = Numbers({"acc": 0.1, "accuracy": 0.9, "lr": 1.0, "learning_rate": 2.0})
        assert (logs["acc"], logs.get("lr")) == (0.1, 1.0)

    @pytest.mark.parametrize("name", ["acc", "lr", "loss", "vacc"])
    def test_that_are_missing_stay_missing(self, name):
        logs = Numbers({"vaccuracy": 1.0})
        assert logs.get(name) is None
        assert logs.get(name, 3) == 3
        with pytest.raises(KeyError, match=name):
            logs[name]


class TestInTraining:
    def test_the_history_has_them(self, model, x, y):
        plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss")
        history = model.fit(x, y, validation_split=0.5, epochs=2, verbose=0, callbacks=[plateau]).history
        with pytest.warns(MiniDLWarning) as caught:
            old = history["acc"], history["val_acc"], history["lr"]
        assert old == (history["accuracy"], history["val_accuracy"], history["learning_rate"])
        assert {warning.filename for warning in caught} == {__file__}

    @pytest.mark.filterwarnings("ignore:.*old spelling:minidl.errors.MiniDLWarning")
    def test_callbacks_ask_for_them(self, model, x, y):
        class Stop(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = logs.get("acc") >= 0

        assert model.fit(x, y, epochs=3, verbose=0, callbacks=[Stop()]).epoch == [0]

    @pytest.mark.filterwarnings("ignore:.*old spelling:minidl.errors.MiniDLWarning")
    def test_monitors_watch_them_in_the_right_direction(self, model, x, y):
        """As `val_accuracy`, of which more is better: the best of the history."""
        stopping = keras.callbacks.EarlyStopping("val_acc", patience=9)
        history = model.fit(x, y, validation_split=0.5, epochs=5, verbose=0, callbacks=[stopping])
        assert stopping.best == max(history.history["val_accuracy"])

    def test_a_monitor_without_its_metric_says_so(self, model, x, y):
        model.compile("sgd", "sparse_categorical_crossentropy")
        with pytest.raises(ArgumentError, match="nobody knows whether monitor='val_acc'"):
            model.fit(x, y, verbose=0, callbacks=[keras.callbacks.EarlyStopping("val_acc")])
