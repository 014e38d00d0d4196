"""Callbacks: when each hook is called, with what, and what it may do."""

import re

import pytest

import minidl as keras
from minidl.callbacks import CallbackList
from minidl.errors import ArgumentError

HOOKS = [
    f"on_{kind}_{when}" for kind in ("train", "test", "predict", "epoch", "batch") for when in ("begin", "end")
] + [f"on_{kind}_batch_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")]


class Recorder(keras.callbacks.Callback):
    """Writes down each hook with its arguments, of the logs only the names."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _recording(hook):
    def record(self, *args):
        getattr(super(Recorder, self), hook)(*args)
        self.calls.append((hook, *(sorted(arg) if isinstance(arg, dict) else arg for arg in args)))

    return record


for _hook in HOOKS:
    setattr(Recorder, _hook, _recording(_hook))

NUMBERS = ["accuracy", "loss"]
ALL_NUMBERS = ["accuracy", "loss", "val_accuracy", "val_loss"]


def train_batch(k):
    return [
        ("on_batch_begin", k, []),
        ("on_train_batch_begin", k, []),
        ("on_batch_end", k, NUMBERS),
        ("on_train_batch_end", k, NUMBERS),
    ]


def evaluation(batches):
    calls = [("on_test_begin", [])]
    for k in range(batches):
        calls += [("on_test_batch_begin", k, []), ("on_test_batch_end", k, NUMBERS)]
    return [*calls, ("on_test_end", NUMBERS)]


class TestOrder:
    """As Keras 3.15 calls them, seen by running it."""

    def test_of_fit(self, model, x, y):
        recorder = Recorder()
        model.fit(x, y, batch_size=5, epochs=2, validation_data=(x, y), callbacks=[recorder], verbose=0)
        expected = [("on_train_begin", [])]
        for epoch in range(2):
            expected += [("on_epoch_begin", epoch, []), *train_batch(0), *train_batch(1), *evaluation(2)]
            expected += [("on_epoch_end", epoch, ALL_NUMBERS)]
        assert recorder.calls == [*expected, ("on_train_end", ALL_NUMBERS)]
        assert recorder.params == {"verbose": 0, "epochs": 2, "steps": 2}

    def test_of_fit_without_validation(self, model, x, y):
        recorder = Recorder()
        model.fit(x, y, epochs=1, callbacks=recorder, verbose=0)
        expected = [("on_train_begin", []), ("on_epoch_begin", 0, []), *train_batch(0), ("on_epoch_end", 0, NUMBERS)]
        assert recorder.calls == [*expected, ("on_train_end", NUMBERS)]

    def test_of_evaluate(self, model, x, y):
        recorder = Recorder()
        model.evaluate(x, y, batch_size=5, callbacks=[recorder], verbose=0)
        assert recorder.calls == evaluation(2)
        assert recorder.params == {"verbose": 0, "epochs": 1, "steps": 2}

    def test_of_predict(self, model, x):
        recorder = Recorder()
        model.predict(x, batch_size=5, callbacks=[recorder], verbose=0)
        expected = [("on_predict_begin", [])]
        for k in range(2):
            expected += [("on_predict_batch_begin", k, []), ("on_predict_batch_end", k, ["outputs"])]
        assert recorder.calls == [*expected, ("on_predict_end", [])]

    def test_of_several_callbacks_is_that_of_the_list(self, model, x, y):
        told = []

        class Named(keras.callbacks.Callback):
            def __init__(self, name):
                self.name = name

            def on_epoch_end(self, epoch, logs=None):
                told.append((self.name, epoch))

        model.fit(x, y, epochs=2, callbacks=(Named(name) for name in "ab"), verbose=0)
        assert told == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


class TestStopping:
    def stop_at(self, hook, at=None):
        """A recorder that ends training in a hook."""

        class Stop(Recorder):
            pass

        def stop(self, number, logs=None):
            getattr(super(Stop, self), hook)(number, logs)
            if at in (None, number):
                self.model.stop_training = True

        setattr(Stop, hook, stop)
        return Stop()

    def test_at_the_end_of_an_epoch(self, model, x, y):
        history = model.fit(x, y, epochs=9, callbacks=[self.stop_at("on_epoch_end", at=1)], verbose=0)
        assert history.epoch == [0, 1]

    def test_after_a_batch_ends_the_epoch_there(self, model, x, y):
        """As in Keras 3: the validation still takes place, and the epoch is in the history."""
        stop = self.stop_at("on_train_batch_end", at=1)
        history = model.fit(x, y, batch_size=2, epochs=3, validation_data=(x, y), callbacks=[stop], verbose=0)
        assert [call[1] for call in stop.calls if call[0] == "on_train_batch_end"] == [0, 1]
        assert stop.calls[-14:-2] == evaluation(5)
        assert [call[0] for call in stop.calls[-2:]] == ["on_epoch_end", "on_train_end"]
        assert list(history.history) == ALL_NUMBERS

    def test_does_not_last(self, model, x, y):
        model.fit(x, y, epochs=3, callbacks=[self.stop_at("on_epoch_end")], verbose=0)
        assert model.fit(x, y, epochs=3, verbose=0).epoch == [0, 1, 2]


class TestLogs:
    def test_have_the_running_means_of_the_epoch(self, model, x, y):
        """The last batch shows what the history has; the first one what the batch has by itself."""
        seen = []

        class Seen(keras.callbacks.Callback):
            def on_batch_end(self, batch, logs=None):
                seen.append(dict(logs))

        expected = model.test_on_batch(x[:4], y[:4], return_dict=True)
        history = model.fit(x, y, batch_size=4, shuffle=False, callbacks=[Seen()], verbose=0).history
        assert seen[0] == pytest.approx(expected, rel=1e-6)
        assert {name: [value] for name, value in seen[-1].items()} == history

    def test_of_an_epoch_may_be_added_to_and_the_history_keeps_it(self, model, x, y):
        class Rate(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                logs["learning_rate"] = float(self.model.optimizer.learning_rate)

        history = model.fit(x, y, epochs=2, callbacks=[Rate()], verbose=0)
        assert history.history["learning_rate"] == [0.01, 0.01]
        assert list(history.history) == ["accuracy", "loss", "learning_rate"]


class TestErrors:
    @pytest.mark.parametrize(
        ("callbacks", "message"),
        [
            ([keras.callbacks.History], "history.History'>: make an instance of it"),
            ([print], "expected Callback objects, got <built-in function print>"),
            ([None], "expected Callback objects, got None"),
        ],
    )
    def test_what_is_no_callback(self, model, x, y, callbacks, message):
        for call in (model.fit, model.evaluate):
            with pytest.raises(ArgumentError, match=re.escape(message)):
                call(x, y, callbacks=callbacks, verbose=0)
        with pytest.raises(ArgumentError, match=re.escape(message)):
            model.predict(x, callbacks=callbacks, verbose=0)

    def test_in_a_hook_go_through(self, model, x, y):
        class Fails(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            model.fit(x, y, callbacks=[Fails()], verbose=0)
        assert model.fit(x, y, verbose=0).epoch == [0]


def test_a_callback_needs_no_init_and_knows_its_model(model, x, y):
    class Simple(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            assert self.model is model
            assert self.params["epochs"] == 1

    model.fit(x, y, callbacks=[Simple()], verbose=0)


def test_the_base_does_nothing(model, x, y):
    before = model.predict(x, verbose=0, callbacks=keras.callbacks.Callback())
    model.evaluate(x, y, verbose=0, callbacks=keras.callbacks.Callback())
    assert (model.predict(x, verbose=0) == before).all()


class TestHook:
    """Which callbacks a hook is called of: those that do something there. The others cost nothing."""

    def callbacks_of(self, callback, hook):
        return CallbackList([keras.callbacks.Callback(), callback], None, {}).hook(hook)

    @pytest.mark.parametrize("hook", HOOKS)
    def test_of_a_callback_that_overrides_nothing(self, hook):
        assert self.callbacks_of(keras.callbacks.Callback(), hook) == []

    @pytest.mark.parametrize("hook", HOOKS)
    def test_of_a_callback_that_overrides_it(self, hook):
        callback = type("Own", (keras.callbacks.Callback,), {hook: lambda self, *args: None})()
        assert self.callbacks_of(callback, hook) == [getattr(callback, hook)]
        others = [other for other in HOOKS if self.callbacks_of(callback, other)]
        called = {"on_batch_begin": "on_train_batch_begin", "on_batch_end": "on_train_batch_end"}
        assert sorted(others) == sorted({hook, called.get(hook, hook)})

    @pytest.mark.parametrize("hook", HOOKS)
    def test_inherited_from_a_class_in_between(self, hook):
        between = type("Between", (keras.callbacks.Callback,), {hook: lambda self, *args: None})
        callback = type("Own", (between,), {})()
        assert self.callbacks_of(callback, hook) == [getattr(callback, hook)]

    @pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end", "on_batch_end"])
    def test_set_on_a_callback_itself(self, hook):
        """An attribute of the object, not of its class, is a hook as well."""
        told = []
        callback = keras.callbacks.Callback()
        setattr(callback, hook, lambda *args: told.append(args))
        for call in self.callbacks_of(callback, "on_train_batch_end" if hook == "on_batch_end" else hook):
            call(3, {})
        assert told == [(3, {})]

    def test_a_hook_of_batches_that_is_added_between_epochs_is_called(self, model, x, y):
        told = []

        class Late(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    self.on_train_batch_end = lambda batch, logs=None: told.append(batch)

        model.fit(x, y, batch_size=5, epochs=2, callbacks=[Late()], verbose=0)
        assert told == [0, 1]

    def test_the_numbers_of_a_batch_are_not_computed_for_nobody(self, model, x, y):
        """Only once an epoch, unless somebody listens to each batch."""
        asked = []

        class Asked(keras.metrics.Mean):
            def update_state(self, y_true, y_pred, sample_weight=None):
                super().update_state(y_pred)

            def result(self):
                asked.append(None)
                return super().result()

        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[Asked()])
        model.fit(x, y, batch_size=2, verbose=0)
        assert len(asked) == 1
        model.fit(x, y, batch_size=2, verbose=0, callbacks=[Recorder()])
        assert len(asked) == 1 + 5 + 1


def test_what_is_put_into_the_logs_of_a_batch_is_seen_by_the_next_callback(model, x, y):
    seen = []

    class Adds(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            logs["extra"] = batch

    class Sees(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["extra"])

    model.fit(x, y, batch_size=5, callbacks=[Adds(), Sees()], verbose=0)
    assert seen == [0, 1]
