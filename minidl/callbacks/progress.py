"""The progress bar of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import sys
import time
from typing import Any

from minidl.callbacks.callback import Callback, Logs

_BAR = "{percentage:3.0f}%|{bar:14}| {n_fmt}/{total_fmt} {elapsed}{postfix}"


def format_logs(logs: Logs | None) -> str:
    """"accuracy 0.8521, loss 0.4213": four digits, in scientific notation where they would show nothing."""
    return ", ".join(f"{name} {_number(value)}" for name, value in (logs or {}).items())


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"


class ProgressBar(Callback):
    """verbose 1: a bar for every epoch with the running loss and metrics; 2: a line at its end; 0: nothing."""

    def __init__(self, verbose: int) -> None:
        self.verbose = verbose
        self._bar: Any = None
        self._training = False
        self._start = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """From now on evaluations are validations, which have no bar of their own."""
        self._training = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The number of the epoch."""
        if self.verbose:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}", file=sys.stdout)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A new bar, not before the first batch: what other callbacks print at the begin of an epoch comes above it."""
        if batch == 0:
            self._open()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """One batch on."""
        self._advance(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Leave the bar, or the line, with the final numbers."""
        self._close(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """A new bar, unless this is the validation of an epoch."""
        if not self._training:
            self._open()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """One batch on."""
        if not self._training:
            self._advance(logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Leave the bar, or the line, with the final numbers."""
        if not self._training:
            self._close(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """A new bar."""
        self._open()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """One batch on."""
        self._advance(None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Leave the bar, or the line."""
        self._close(None)

    def close(self) -> None:
        """End the line of a bar that an exception or Ctrl-C has cut short."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self) -> None:
        self._start = time.perf_counter()
        if self.verbose == 1:
            from tqdm import tqdm

            # In a log file every refresh would stay, one after the other.
            watched = sys.stdout.isatty() or "ipykernel" in sys.modules
            self._bar = tqdm(
                total=self.params["steps"], bar_format=_BAR, file=sys.stdout, dynamic_ncols=True,
                mininterval=0.1 if watched else 60, miniters=1,
            )  # fmt: skip

    def _advance(self, logs: Logs | None) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(format_logs(logs), refresh=False)
            self._bar.update()

    def _close(self, logs: Logs | None) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(format_logs(logs), refresh=False)
            self.close()
        elif self.verbose == 2:
            line = f"{self.params['steps']} steps, {time.perf_counter() - self._start:.1f} s"
            print(f"{line}, {format_logs(logs)}" if logs else line, file=sys.stdout)
