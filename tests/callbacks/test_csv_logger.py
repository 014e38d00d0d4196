"""`CSVLogger`: a table on disk; its bytes are compared with Keras's in test_golden.py."""

import csv

import numpy as np
import pytest

from minidl.callbacks import Callback, CSVLogger
from minidl.errors import ArgumentError


def rows(path, separator=","):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "log.csv"


def test_has_the_history_with_all_its_digits(model, x, y, path):
    history = model.fit(x, y, epochs=3, validation_data=(x, y), callbacks=[CSVLogger(path)], verbose=0).history
    found = rows(path)
    assert list(found[0]) == ["epoch", *history]
    assert [row["epoch"] for row in found] == ["0", "1", "2"]
    for name, values in history.items():
        assert [float(row[name]) for row in found] == values


def test_what_an_epoch_does_not_have_is_na(model, x, y, path):
    model.fit(x, y, epochs=4, validation_data=(x, y), validation_freq=2, callbacks=[CSVLogger(path, ";")], verbose=0)
    assert [row["val_loss"] == "NA" for row in rows(path, ";")] == [True, False, True, False]


def test_a_second_training_replaces_or_is_appended(model, x, y, path):
    for _ in range(2):
        model.fit(x, y, epochs=2, callbacks=[CSVLogger(path)], verbose=0)
    assert len(rows(path)) == 2
    model.fit(x, y, epochs=3, callbacks=[CSVLogger(path, append=True)], verbose=0)
    assert [row["epoch"] for row in rows(path)] == ["0", "1", "0", "1", "2"]


def test_with_a_state_it_goes_on(model, x, y, path):
    """Without `append`, and with columns that the first epoch alone would not have."""
    first = CSVLogger(path)
    model.fit(x, y, epochs=2, callbacks=[first], verbose=0)
    second = CSVLogger(path)
    second.on_train_begin()
    second.set_state(first.get_state())
    second.on_epoch_end(2, {"loss": 0.5, "accuracy": 1.0})
    assert [row["epoch"] for row in rows(path)] == ["0", "1", "2"]


def test_every_line_is_there_as_soon_as_its_epoch_is_over(model, x, y, path):
    class Fails(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                assert len(rows(path)) == 2
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=5, callbacks=[CSVLogger(path), Fails()], verbose=0)
    assert len(rows(path)) == 2


def test_several_numbers_are_one_cell(path):
    logger = CSVLogger(path)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"parts": np.array([1.0, 2.5]), "one": np.array(3.0), "text": "a,b"})
    (row,) = rows(path)
    assert (row["parts"], row["one"], row["text"]) == ('"[1.0, 2.5]"', "3.0", "a,b")


def test_a_place_that_cannot_be_written_is_found_out_before_training(model, x, y, tmp_path):
    before = model.get_weights()
    with pytest.raises(IsADirectoryError):
        model.fit(x, y, callbacks=[CSVLogger(tmp_path)], verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("separator", ["", "::", None])
def test_the_separator_is_one_character(separator):
    with pytest.raises(ArgumentError, match="CSVLogger: expected separator to be one character, got"):
        CSVLogger("log.csv", separator)
