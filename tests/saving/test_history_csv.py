"""The table of a training: a row for each epoch, every digit of every number."""

import csv
import math

import numpy as np
import pytest

from minidl.errors import ArgumentError, DTypeError
from minidl.saving import write_history_csv


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("history") / "history.csv"


def test_the_table(path):
    write_history_csv(path, [0, 1], {"loss": [0.1, 1e-20], "accuracy": [0.5, 1], "val_loss": [math.nan, math.inf]})
    assert path.read_bytes() == b"epoch,accuracy,loss,val_loss\n1,0.5,0.1,nan\n2,1.0,1e-20,inf\n"


def test_a_training_that_was_resumed(path):
    write_history_csv(path, [5, 6], {"loss": [2.0, 1.0]})
    assert path.read_text() == "epoch,loss\n6,2.0\n7,1.0\n"


def test_a_training_without_epochs(path):
    write_history_csv(path, [], {"loss": []})
    assert path.read_text() == "epoch,loss\n"
    write_history_csv(path, [], {})
    assert path.read_text() == "epoch\n"


def test_the_numbers_are_read_back_equal(path):
    doubles = np.frombuffer(np.random.default_rng(0).bytes(8 * 500), np.float64)  # of all sizes
    singles = np.linspace(0, 1, 100, dtype=np.float32)
    special = [0.1 + 0.2, 5e-324, math.inf, -math.inf, math.nan, -0.0, 2**53, -1]
    for values in doubles, doubles.tolist(), singles, special, np.arange(5):
        write_history_csv(path, range(len(values)), {"loss": values})
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == ["epoch", "loss"]
        assert [row[0] for row in rows] == [str(k + 1) for k in range(len(values))]
        np.testing.assert_array_equal([float(row[1]) for row in rows], np.array(values, float))


def test_any_name_of_a_metric(path):
    names = ["a,b", 'say "a"', "two\nlines", "", "é"]
    write_history_csv(path, [0], {name: [1.0] for name in names})
    with open(path, newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == ["epoch", *sorted(names)]


def test_a_number_for_every_epoch_is_needed(path):
    path.write_text("old")
    for count in 1, 3:
        with pytest.raises(ArgumentError, match=rf"history\['val_loss'\] has {count} numbers for 2 epochs"):
            write_history_csv(path, [0, 1], {"loss": [1.0, 2.0], "val_loss": [1.0] * count})
    assert path.read_text() == "old"


@pytest.mark.parametrize("value", ["0.5", None, np.ones(1), 1j])
def test_what_is_no_number_is_refused(path, value):
    path.write_text("old")
    with pytest.raises(DTypeError, match=rf"history\['loss'\]\[1\]: expected a number, got a {type(value).__name__}"):
        write_history_csv(path, [0, 1], {"loss": [1.0, value]})
    assert path.read_text() == "old"
