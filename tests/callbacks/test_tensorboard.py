"""`TensorBoard`: event files, read back here record by record."""

import struct
import sys
from collections import defaultdict

import numpy as np
import pytest

from minidl.callbacks import TensorBoard
from minidl.errors import ArgumentError, MissingExtraError


def events(folder):
    """The values of every curve, by tag: (step, value) each; of a histogram its number of values."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = defaultdict(list)
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            # A record is its length, a checksum, the bytes and another checksum.
            (length,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            for value in event.summary.value:
                content = value.histo.num if value.HasField("histo") else value.simple_value
                found[value.tag].append((event.step, content))
            data = data[12 + length + 4 :]
    return dict(found)


@pytest.fixture
def board(tmp_path):
    pytest.importorskip("tensorboardX")
    return lambda **options: TensorBoard(tmp_path, **options)


class TestCurves:
    def test_of_epochs(self, model, x, y, board, tmp_path):
        history = model.fit(x, y, epochs=3, validation_data=(x, y), callbacks=[board()], verbose=0).history
        train, validation = events(tmp_path / "train"), events(tmp_path / "validation")
        assert sorted(train) == ["epoch_accuracy", "epoch_learning_rate", "epoch_loss"]
        assert [step for step, _ in train["epoch_loss"]] == [0, 1, 2]
        for found, prefix in ((train, ""), (validation, "val_")):
            for name in ("loss", "accuracy"):
                values = [value for _, value in found[f"epoch_{name}"]]
                np.testing.assert_allclose(values, history[prefix + name], rtol=1e-6)
        np.testing.assert_allclose([value for _, value in train["epoch_learning_rate"]], 0.01, rtol=1e-6)

    def test_of_validations_over_steps(self, model, x, y, board, tmp_path):
        history = model.fit(
            x, y, batch_size=5, epochs=3, validation_data=(x, y), callbacks=[board()], verbose=0
        ).history
        found = events(tmp_path / "validation")["evaluation_loss_vs_iterations"]
        assert [step for step, _ in found] == [2, 4, 6]
        np.testing.assert_allclose([value for _, value in found], history["val_loss"], rtol=1e-6)

    @pytest.mark.parametrize(("update_freq", "steps"), [("batch", [1, 2, 3, 4]), (1, [1, 2, 3, 4]), (3, [3])])
    def test_of_batches(self, model, x, y, board, tmp_path, update_freq, steps):
        model.fit(x, y, batch_size=5, epochs=2, callbacks=[board(update_freq=update_freq)], verbose=0)
        found = events(tmp_path / "train")
        assert [step for step, _ in found["batch_loss"]] == [step for step, _ in found["batch_accuracy"]] == steps

    def test_of_speed(self, model, x, y, board, tmp_path):
        model.fit(x, y, callbacks=[board(write_steps_per_second=True)], verbose=0)
        ((_, speed),) = events(tmp_path / "train")["epoch_steps_per_second"]
        assert speed > 0

    def test_of_an_evaluation_alone(self, model, x, y, board, tmp_path):
        loss, _ = model.evaluate(x, y, callbacks=[board()], verbose=0)
        ((step, value),) = events(tmp_path / "validation")["evaluation_loss_vs_iterations"]
        assert step == 0
        assert value == pytest.approx(loss, rel=1e-6)
        assert not (tmp_path / "train").exists()


def test_histograms_of_all_weights(model, x, y, board, tmp_path):
    model.fit(x, y, epochs=3, callbacks=[board(histogram_freq=2)], verbose=0)
    found = events(tmp_path / "train")
    for variable in model.variables:
        assert found[f"{variable.path}/histogram"] == [(0, variable.size), (2, variable.size)]


def test_the_count_of_batches_is_its_state(model, x, y, board):
    first = board(update_freq=1)
    model.fit(x, y, batch_size=5, epochs=2, callbacks=[first], verbose=0)
    assert first.get_state() == {"batches": 4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"write_images": True}, "TensorBoard: write_images is not written here: leave it out, got True"),
        ({"profile_batch": (2, 4)}, r"TensorBoard: profile_batch is not written here: leave it out, got \(2, 4\)"),
        ({"embeddings_freq": 1}, "TensorBoard: embeddings_freq is not written here: leave it out, got 1"),
        ({"update_freq": "step"}, "TensorBoard: update_freq must be an integer ≥ 1, got 'step'"),
        ({"histogram_freq": -1}, "TensorBoard: histogram_freq must be an integer ≥ 0, got -1"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        TensorBoard(**arguments)


def test_without_the_package_one_line_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError) as caught:
        TensorBoard()
    assert str(caught.value) == "this needs the package 'tensorboardX': pip install \"minidl[tensorboard]\""
