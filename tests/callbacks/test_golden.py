"""Every decision, message and file of a callback equals that of Keras 3; see tests/golden/make_callbacks.py."""

import json
from pathlib import Path

import numpy as np
import pytest

import minidl as keras

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "callbacks.json").read_text())
IDS = [f"{case['class_name']}-{k}-{case['curve']}" for k, case in enumerate(GOLDEN["cases"])]


class Model:
    """Stands for a model: the weights are the number of the epoch."""

    def __init__(self, learning_rate):
        self.optimizer = keras.optimizers.SGD(learning_rate)
        self.stop_training = False
        self.weights = [np.array(-1)]
        self.saved = []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite):
        self.saved.append(path)

    def save_weights(self, path, overwrite):
        self.saved.append(path)


def drive(callback, model, curve, batches=3, between=lambda callback: callback):
    """Two trainings on a curve: what the callback did in each epoch, and what is left at the end.

    `between` gives the callback that goes on after an epoch.
    """
    decisions = []
    callback.set_model(model)
    for _ in range(2):
        model.stop_training = False
        callback.on_train_begin({})
        for epoch, value in enumerate(curve):
            callback.on_epoch_begin(epoch, {})
            for batch in range(batches):
                callback.on_train_batch_begin(batch, {})
                callback.on_train_batch_end(batch, {"loss": value / 2})
            model.weights = [np.array(epoch)]
            logs = {"loss": value / 2, "val_loss": value}
            callback.on_epoch_end(epoch, logs)
            rate = float(f"{float(model.optimizer.learning_rate):.6g}")
            decisions.append([epoch, bool(model.stop_training), rate, sorted(logs)])
            if model.stop_training:
                break
            callback = between(callback)
        callback.on_train_end({})
        decisions.append([int(model.weights[0]), list(model.saved)])
    return decisions


def make(case):
    return getattr(keras.callbacks, case["class_name"])(**case["arguments"])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=IDS)
def test_decisions_messages_and_files(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert drive(make(case), Model(0.5), GOLDEN["curves"][case["curve"]]) == case["decisions"]
    assert capsys.readouterr().out == case["printed"]
    assert {path.name: path.read_bytes().decode() for path in tmp_path.iterdir()} == case["files"]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=IDS)
def test_another_callback_goes_on_with_the_state_of_the_first(case, tmp_path, monkeypatch):
    """After every epoch a new one takes over, as in a process that reads what another has written."""
    monkeypatch.chdir(tmp_path)
    model = Model(0.5)

    def successor(callback):
        state = callback.get_state()
        assert all(isinstance(value, (int, float, str, list, type(None))) for value in state.values())
        new = make(case)
        new.set_model(model)
        new.on_train_begin({})
        new.set_state(state)
        return new

    assert drive(make(case), model, GOLDEN["curves"][case["curve"]], between=successor) == case["decisions"]
    assert {path.name: path.read_bytes().decode() for path in tmp_path.iterdir()} == case["files"]


def hooks(keras, fits):
    """Every hook with its arguments, of the logs only the names: of some trainings, an evaluation and a prediction."""
    calls = []

    class Recorder(keras.callbacks.Callback):
        pass

    def recording(hook):
        def record(self, *args, **kwargs):
            getattr(super(Recorder, self), hook)(*args, **kwargs)
            given = [*args, *kwargs.values()]
            calls.append([hook, *(sorted(value) if isinstance(value, dict) else value for value in given)])

        return record

    for hook in [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]:
        setattr(Recorder, hook, recording(hook))
    x, y = np.random.default_rng(0).standard_normal((10, 4)).astype("float32"), np.arange(10) % 3
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    for fit in fits:
        options, recorder = dict(fit), Recorder()
        rate = options.pop("rate", None)
        before = [] if rate is None else [keras.callbacks.LearningRateScheduler(lambda epoch, rate=rate: rate)]
        if options.pop("validation", False):
            options["validation_data"] = (x, y)
        history = model.fit(x, y, verbose=0, callbacks=[*before, recorder], **options)
        calls.append([recorder.params, history.epoch, list(history.history)])
    recorder = Recorder()
    model.evaluate(x, y, batch_size=4, verbose=0, callbacks=[recorder])
    model.predict(x, batch_size=4, verbose=0, callbacks=[recorder])
    return calls


def test_the_order_of_the_hooks_and_the_names_in_the_logs():
    golden = GOLDEN["hooks"]
    calls = hooks(keras, golden["fits"])
    assert len(calls) == len(golden["calls"])
    for k, (call, expected) in enumerate(zip(calls, golden["calls"], strict=True)):
        assert call == expected, f"call {k}"
