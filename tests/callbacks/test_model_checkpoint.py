"""`ModelCheckpoint` with real files; its decisions are compared with Keras's in test_golden.py."""

import re

import numpy as np
import pytest

import minidl as keras
from minidl.callbacks import Callback, ModelCheckpoint
from minidl.errors import ArgumentError, MiniDLWarning


class Weights(Callback):
    """Keeps the weights of every epoch and batch."""

    def __init__(self):
        self.of, self.after = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.after.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.of.append(self.model.get_weights())


def loaded(path):
    return keras.models.load_model(path).get_weights()


def test_every_epoch_has_a_file_with_its_numbers_in_the_name(model, x, y, tmp_path):
    weights, path = Weights(), tmp_path / "new" / "folder" / "{epoch:02d}-{val_loss:.3f}.minidl"
    history = model.fit(
        x, y, epochs=3, validation_data=(x, y), callbacks=[weights, ModelCheckpoint(path)], verbose=0
    ).history
    names = [f"{epoch + 1:02d}-{loss:.3f}.minidl" for epoch, loss in enumerate(history["val_loss"])]
    assert sorted(file.name for file in path.parent.iterdir()) == names
    for name, expected in zip(names, weights.of, strict=True):
        assert all(map(np.array_equal, loaded(path.parent / name), expected))


def test_the_best_only(model, x, y, tmp_path):
    """The rate grows until the loss does."""
    weights, path = Weights(), tmp_path / "best.minidl"
    growing = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 * 10**epoch)
    checkpoint = ModelCheckpoint(path, "loss", save_best_only=True)
    history = model.fit(x, y, epochs=8, callbacks=[growing, weights, checkpoint], verbose=0).history["loss"]
    best = int(np.argmin(history))
    assert 0 < best < 7
    assert checkpoint.best == history[best]
    assert all(map(np.array_equal, loaded(path), weights.of[best]))


def test_by_batches_also_before_the_first_epoch_is_over(model, x, y, tmp_path):
    """Five batches an epoch; every third step, counted over epochs."""
    weights, path = Weights(), tmp_path / "{epoch}-{batch}.minidl"
    checkpoint = ModelCheckpoint(path, "loss", save_freq=3, save_best_only=True, mode="auto")
    model.fit(x, y, batch_size=2, epochs=3, callbacks=[weights, checkpoint], verbose=0)
    names = {file.name for file in tmp_path.iterdir()}
    assert {"1-3.minidl"} <= names <= {"1-3.minidl", "2-1.minidl", "2-4.minidl", "3-2.minidl", "3-5.minidl"}
    assert all(map(np.array_equal, loaded(tmp_path / "1-3.minidl"), weights.after[2]))


def test_weights_only(model, x, y, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        type(model), "save_weights", lambda model, path, overwrite: calls.append((path, overwrite)), raising=False
    )
    path = str(tmp_path / "w{epoch}.weights.h5")
    model.fit(x, y, epochs=2, callbacks=[ModelCheckpoint(path, save_weights_only=True)], verbose=0)
    assert calls == [(path.format(epoch=1), True), (path.format(epoch=2), True)]


def test_a_second_training_does_not_overwrite_a_better_model(model, x, y, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "best.minidl", "loss", save_best_only=True)
    model.fit(x, y, epochs=3, callbacks=[checkpoint], verbose=0)
    before = (tmp_path / "best.minidl").read_bytes()
    model.set_weights([-5 * w for w in model.get_weights()])
    model.fit(x, y, epochs=1, callbacks=[checkpoint], verbose=0)
    assert (tmp_path / "best.minidl").read_bytes() == before


def test_an_epoch_without_the_number_is_saved_with_a_warning(model, x, y, tmp_path):
    with pytest.warns(MiniDLWarning, match="Can save best model only with val_loss available"):
        model.fit(x, y, callbacks=[ModelCheckpoint(tmp_path / "m.minidl", save_best_only=True)], verbose=0)
    assert (tmp_path / "m.minidl").exists()


def test_without_save_best_only_nobody_asks_for_a_direction(model, x, y, tmp_path):
    model.fit(x, y, callbacks=[ModelCheckpoint(tmp_path / "m.minidl", monitor="my own")], verbose=0)
    assert (tmp_path / "m.minidl").exists()


@pytest.mark.parametrize("name", ["{val_loss:.2f}.minidl", "{}.minidl", "{loss:d}.minidl"])
def test_a_place_that_nothing_fills(model, x, y, tmp_path, name):
    message = re.escape("Failed to format this callback filepath") + ".*there are epoch, accuracy, loss"
    with pytest.raises(ArgumentError, match=message):
        model.fit(x, y, callbacks=[ModelCheckpoint(tmp_path / name)], verbose=0)


def test_a_folder_in_its_place(model, x, y, tmp_path):
    (tmp_path / "m.minidl").mkdir()
    with pytest.raises(ArgumentError, match=r"expected filepath to name a file, .*m.minidl' is a folder"):
        model.fit(x, y, callbacks=[ModelCheckpoint(tmp_path / "m.minidl")], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "model.txt"}, r"expected filepath to end in .minidl or .keras or .h5, got 'model.txt'"),
        ({"filepath": "m.keras", "save_weights_only": True}, r"end in .weights.h5 or .h5 or .minidl, got 'm.keras'"),
        ({"save_freq": "batch"}, "ModelCheckpoint: save_freq must be an integer ≥ 1, got 'batch'"),
        ({"save_freq": 0}, "ModelCheckpoint: save_freq must be an integer ≥ 1, got 0"),
        ({"save_best_only": "yes"}, "ModelCheckpoint: save_best_only must be True or False, got 'yes'"),
        ({"initial_value_threshold": "1"}, "ModelCheckpoint: initial_value_threshold must be a finite number, got '1'"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        ModelCheckpoint(**{"filepath": "m.minidl", **arguments})
