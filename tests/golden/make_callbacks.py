"""What the callbacks of Keras 3 decide, print and write: callbacks.json, and the schedules over 120 steps.

`pip install "keras>=3.15" jax`, then `KERAS_BACKEND=jax python tests/golden/make_callbacks.py`. Each case is a
callback, told of epochs with numbers that were drawn once; `drive` and `hooks` are the same as in
tests/callbacks/test_golden.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras
import numpy as np

FOLDER = Path(__file__).parent
generator = np.random.default_rng(8)


def losses(count):
    """Falling with noise, then rising."""
    k = np.arange(count)
    return [round(float(v), 4) for v in 1 / (1 + k) + 0.02 * k + generator.normal(0, 0.05, count)]


CURVES = {"long": losses(30), "plateau": [1.0, 0.9, 0.9, 0.89995, 0.9, 0.85, 0.86, 0.85, 0.851, 0.85, 0.849, 0.8],
          "worse": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0], "one": [0.7]}  # fmt: skip

CASES = [
    (name, arguments, curve)
    for curve in CURVES
    for name, arguments in [
        ("EarlyStopping", {}),
        ("EarlyStopping", {"patience": 1, "verbose": 1}),
        ("EarlyStopping", {"patience": 3, "restore_best_weights": True, "verbose": 1}),
        ("EarlyStopping", {"patience": 2, "min_delta": 0.05, "restore_best_weights": True}),
        ("EarlyStopping", {"patience": 2, "min_delta": -0.05, "mode": "min"}),
        ("EarlyStopping", {"patience": 4, "baseline": 0.6, "restore_best_weights": True, "verbose": 1}),
        ("EarlyStopping", {"patience": 2, "baseline": 0.1, "restore_best_weights": True, "verbose": 1}),
        ("EarlyStopping", {"patience": 2, "mode": "max", "restore_best_weights": True, "verbose": 1}),
        ("EarlyStopping", {"patience": 1, "start_from_epoch": 5, "restore_best_weights": True}),
        ("EarlyStopping", {"patience": 30, "restore_best_weights": True, "verbose": 1}),
        ("ReduceLROnPlateau", {"patience": 1, "factor": 0.3, "verbose": 1}),
        ("ReduceLROnPlateau", {"patience": 2, "factor": 0.5, "verbose": 1}),
        ("ReduceLROnPlateau", {"patience": 0, "factor": 0.5}),
        ("ReduceLROnPlateau", {"patience": 2, "factor": 0.5, "min_delta": 0.05, "cooldown": 3}),
        ("ReduceLROnPlateau", {"patience": 1, "factor": 0.25, "min_lr": 0.03, "verbose": 1}),
        ("ReduceLROnPlateau", {"patience": 1, "factor": 0.5, "mode": "max", "cooldown": 1}),
        ("ModelCheckpoint", {"filepath": "{epoch:02d}-{val_loss:.2f}.keras", "verbose": 1}),
        ("ModelCheckpoint", {"filepath": "best.keras", "save_best_only": True, "verbose": 1}),
        ("ModelCheckpoint", {"filepath": "b{epoch}.keras", "save_best_only": True, "mode": "max", "verbose": 1}),
        ("ModelCheckpoint", {"filepath": "b{epoch}.keras", "save_best_only": True, "initial_value_threshold": 0.6}),
        ("ModelCheckpoint", {"filepath": "{epoch}-{batch}.keras", "save_freq": 4, "verbose": 1}),
        ("ModelCheckpoint", {"filepath": "w{epoch}.weights.h5", "save_weights_only": True, "save_best_only": True}),
        ("CSVLogger", {"filename": "log.csv"}),
        ("CSVLogger", {"filename": "log.csv", "separator": ";", "append": True}),
    ]
]


class Model:
    """Stands for a model: the weights are the number of the epoch."""

    def __init__(self, learning_rate):
        self.optimizer = SimpleNamespace(learning_rate=learning_rate)
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


def drive(callback, model, curve, batches=3):
    """Two trainings on a curve: what the callback did in each epoch, and what is left at the end."""
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
        callback.on_train_end({})
        decisions.append([int(model.weights[0]), list(model.saved)])
    return decisions


def record(name, arguments, curve):
    """What Keras does in one case."""
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        callback = getattr(keras.callbacks, name)(**arguments)
        decisions = drive(callback, Model(0.5), CURVES[curve])
        files = {path: Path(path).read_bytes().decode() for path in os.listdir()}
    return {"class_name": name, "arguments": arguments, "curve": curve, "decisions": decisions,
            "printed": printed.getvalue(), "files": files}  # fmt: skip


SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 1e-2}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [10, 60, 61], "values": [0.1, 0.05, 0.2, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 25, "power": 2.0, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 90, "alpha": 0.05}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 80, "warmup_target": 0.1, "warmup_steps": 20}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 15}),
    ("CosineDecayRestarts",
     {"initial_learning_rate": 0.1, "first_decay_steps": 30, "t_mul": 1.0, "m_mul": 0.7, "alpha": 0.1}),
]  # fmt: skip


def values(name, arguments):
    """The schedule at steps 0 to 119; Keras computes it in float32."""
    schedule = getattr(keras.optimizers.schedules, name)(**arguments)
    return [float(f"{float(schedule(step)):.7g}") for step in range(120)]


FITS = [
    {"epochs": 3, "batch_size": 4, "validation": True, "validation_freq": 2},
    {"epochs": 4, "initial_epoch": 2, "batch_size": 3},
    {"epochs": 2, "batch_size": 5, "validation_split": 0.3, "validation_batch_size": 2},
    {"epochs": 2, "batch_size": 4, "validation": True, "validation_steps": 1},
    {"epochs": 2, "validation_split": 0.2, "rate": 0.1},
]


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


if __name__ == "__main__":
    found = {
        "curves": CURVES,
        "cases": [record(*case) for case in CASES],
        "schedules": [
            {"class_name": name, "config": config, "values": values(name, config)} for name, config in SCHEDULES
        ],
    }
    calls = json.dumps({"fits": FITS, "calls": hooks(keras, FITS)})
    lines = {key: ",\n".join(json.dumps(part) for part in found[key]) for key in ("cases", "schedules")}
    parts = f'"cases": [{lines["cases"]}],\n"schedules": [{lines["schedules"]}],\n"hooks": {calls}'
    text = f'{{"curves": {json.dumps(CURVES)},\n{parts}}}\n'
    (FOLDER / "callbacks.json").write_text(text)
