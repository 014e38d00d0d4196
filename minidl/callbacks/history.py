"""`History`: the numbers of every epoch; what `fit` returns."""

from __future__ import annotations

from typing import Any

from minidl.callbacks.callback import Callback, Logs
from minidl.callbacks.logs import Numbers


class History(Callback):
    """`history["loss"]` has the loss of every epoch, and so on; `epoch` has their numbers, from 0.

    Not every epoch has every number: `epochs["val_loss"]` has the numbers of those that have this one.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = Numbers()
        self.epoch: list[int] = []
        self.epochs: dict[str, list[int]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew."""
        self.history, self.epoch, self.epochs = Numbers(), [], {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch down."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self.epochs.setdefault(name, []).append(epoch)
