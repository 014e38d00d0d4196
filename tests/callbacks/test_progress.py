"""What `fit`, `evaluate` and `predict` print: a bar, a line, or nothing."""

import io
import re
import sys

import numpy as np
import pytest

import minidl as keras
from minidl.callbacks.progress import format_logs


@pytest.mark.parametrize(
    ("logs", "text"),
    [
        ({"accuracy": 0.85214, "loss": 0.42134}, "accuracy 0.8521, loss 0.4213"),
        ({"loss": 0.0}, "loss 0.0000"),
        ({"loss": 1e-3}, "loss 0.0010"),
        ({"learning_rate": 1e-4}, "learning_rate 1.000e-04"),
        ({"loss": 123456.789}, "loss 1.235e+05"),
        ({"loss": -2e-7}, "loss -2.000e-07"),
        ({"loss": float("nan"), "mae": float("inf")}, "loss nan, mae inf"),
        ({"epoch": 3}, "epoch 3"),
        ({}, ""),
        (None, ""),
    ],
)
def test_numbers_show_four_digits(logs, text):
    assert format_logs(logs) == text


def last_states(out):
    """The lines as they are left on a terminal: what stands after the last carriage return."""
    return [line.rsplit("\r", 1)[-1].rstrip() for line in out.removesuffix("\n").split("\n")]


class TestFit:
    @pytest.mark.parametrize("verbose", [1, "auto", True])
    def test_shows_a_bar_for_every_epoch(self, model, x, y, capsys, verbose):
        history = model.fit(x, y, batch_size=4, epochs=2, validation_data=(x, y), verbose=verbose).history
        captured = capsys.readouterr()
        lines = last_states(captured.out)
        assert captured.err == ""
        assert lines[0] == "Epoch 1/2"
        assert lines[2] == "Epoch 2/2"
        for epoch, line in enumerate((lines[1], lines[3])):
            numbers = ", ".join(f"{name} {values[epoch]:.4f}" for name, values in history.items())
            assert re.fullmatch(rf"100%\|█+\| 3/3 \d\d:\d\d, {numbers}", line)
        assert len(lines) == 4

    def test_shows_a_line_for_every_epoch(self, model, x, y, capsys):
        history = model.fit(x, y, batch_size=4, epochs=2, verbose=2).history
        lines = capsys.readouterr().out.splitlines()
        assert [lines[0], lines[2]] == ["Epoch 1/2", "Epoch 2/2"]
        for epoch, line in enumerate((lines[1], lines[3])):
            numbers = ", ".join(f"{name} {values[epoch]:.4f}" for name, values in history.items())
            assert re.fullmatch(rf"3 steps, \d+\.\d s, {numbers}", line)

    def test_shows_nothing(self, model, x, y, capsys):
        model.fit(x, y, validation_data=(x, y), verbose=0)
        assert capsys.readouterr() == ("", "")

    def test_counts_epochs_from_the_initial_one(self, model, x, y, capsys):
        model.fit(x, y, epochs=5, initial_epoch=3, verbose=2)
        assert re.findall(r"Epoch .*", capsys.readouterr().out) == ["Epoch 4/5", "Epoch 5/5"]

    def test_what_a_callback_prints_around_an_epoch_has_lines_of_its_own(self, model, x, y, capsys):
        class Ratio(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                print("learning rate", float(self.model.optimizer.learning_rate))

            def on_epoch_end(self, epoch, logs=None):
                print(f"val/train: {logs['val_loss'] / logs['loss']:.2f}")

        model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[Ratio()], verbose=1)
        lines = last_states(capsys.readouterr().out)
        assert [line[:5] for line in lines] == ["Epoch", "learn", "100%|", "val/t"] * 2

    def test_in_a_log_file_does_not_fill_it(self, model, capsys):
        """On a terminal the bar is drawn over and over; a file keeps the first state and the last."""
        model.fit(np.zeros((300, 4)), np.zeros(300), batch_size=1, verbose=1)
        header, first, last = re.split(r"[\r\n]+", capsys.readouterr().out.strip())
        assert (header, first[:4], last[:4]) == ("Epoch 1/1", "  0%", "100%")

    def test_an_error_ends_the_line_of_the_bar(self, model, x, y, capsys):
        class Fails(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            model.fit(x, y, callbacks=[Fails()], verbose=1)
        assert caught.tb  # which keeps the bar alive: it has been closed, not forgotten
        assert capsys.readouterr().out.endswith("\n")

    def test_writes_to_where_stdout_is_at_the_time(self, model, x, y, monkeypatch):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        model.fit(x, y, verbose=1)
        assert "100%" in stream.getvalue()


class TestEvaluateAndPredict:
    def test_show_a_bar(self, model, x, y, capsys):
        loss, accuracy = model.evaluate(x, y, batch_size=4)
        (line,) = last_states(capsys.readouterr().out)
        assert re.fullmatch(rf"100%\|█+\| 3/3 \d\d:\d\d, accuracy {accuracy:.4f}, loss {loss:.4f}", line)
        model.predict(x, batch_size=4)
        (line,) = last_states(capsys.readouterr().out)
        assert re.fullmatch(r"100%\|█+\| 3/3 \d\d:\d\d", line)

    def test_show_a_line(self, model, x, y, capsys):
        loss, accuracy = model.evaluate(x, y, batch_size=4, verbose=2)
        numbers = f"accuracy {accuracy:.4f}, loss {loss:.4f}"
        assert re.fullmatch(rf"3 steps, \d+\.\d s, {numbers}\n", capsys.readouterr().out)
        model.predict(x, batch_size=4, verbose=2)
        assert re.fullmatch(r"3 steps, \d+\.\d s\n", capsys.readouterr().out)

    def test_show_nothing(self, model, x, y, capsys):
        model.evaluate(x, y, verbose=0)
        model.predict(x, verbose=0)
        model.train_on_batch(x, y)
        model.test_on_batch(x, y)
        model.predict_on_batch(x)
        assert capsys.readouterr() == ("", "")

    def test_an_error_ends_the_line_of_the_bar(self, model, x, capsys):
        class Fails(keras.callbacks.Callback):
            def on_predict_batch_end(self, batch, logs=None):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            model.predict(x, callbacks=[Fails()])
        assert caught.tb
        assert capsys.readouterr().out.endswith("\n")
