"""`CSVLogger`: the numbers of every epoch as a line of a table, on disk as soon as the epoch is over."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from minidl.callbacks.callback import Callback, Logs
from minidl.errors import ArgumentError


class CSVLogger(Callback):
    """Writes `epoch,accuracy,loss,...` and then a line for each epoch, which counts from 0, to `filename`.

    The columns are those of the first epoch, in alphabetical order; if it was not validated, those of a validation,
    too. What an epoch does not have is "NA". With `append` lines are added to an existing file, whose columns they must
    have. A training that goes on appends as well. The file is closed between epochs: a crash loses nothing.
    """

    remembers = ("keys",)

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ArgumentError(f"CSVLogger: expected separator to be one character, got {separator!r}")
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find out whether the file can be written; missing folders are made."""
        self.keys = None
        Path(self.filename).parent.mkdir(parents=True, exist_ok=True)
        with open(self.filename, "a"):
            pass

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line of an epoch, below the names if it is the first."""
        logs = logs or {}
        # A training that goes on knows the columns, and has written their names.
        first = self.keys is None
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):
                self.keys += [f"val_{name}" for name in self.keys]
        with open(self.filename, "w" if first and not self.append else "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.sep)
            if first and file.tell() == 0:
                writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self.keys)])


def _cell(value: Any) -> Any:
    """A value as it is written: several numbers in brackets."""
    return f'"[{", ".join(map(str, value))}]"' if np.ndim(value) else value
