"""`ModelCheckpoint`: the model goes to a file as it is trained, or only when it is better than ever."""

from __future__ import annotations

import os

from minidl.callbacks.callback import Logs
from minidl.callbacks.monitor import Monitor
from minidl.checks import count, flag, number
from minidl.errors import ArgumentError

_MODELS = (".minidl", ".keras", ".h5")
_WEIGHTS = (".weights.h5", ".h5", ".minidl")


class ModelCheckpoint(Monitor):
    """Calls `model.save(filepath)`, or `save_weights` with `save_weights_only`, after every epoch.

    - `filepath` may have places for the epoch (from 1) and for what the logs have: "{epoch:02d}-{val_loss:.2f}.minidl".
      With an integer `save_freq` there is {batch} (from 1), too. Missing folders are made.
    - `save_best_only`: only if `monitor` is better than ever before, also than in trainings before this one and than
      `initial_value_threshold`. `mode` is "min", "max", or "auto", which asks the metric. An epoch without the
      monitored number is saved, with a warning.
    - `save_freq`: "epoch", or the number of batches after which to save; the count goes on over epochs. The logs of a
      batch are the running means of its epoch.
    - `verbose`: 1 says what is saved and why.
    """

    remembers = ("best", "batches")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = flag(self, "save_best_only", save_best_only)
        self.save_weights_only = flag(self, "save_weights_only", save_weights_only)
        endings = _WEIGHTS if save_weights_only else _MODELS
        if not self.filepath.endswith(endings):
            raise ArgumentError(
                f"ModelCheckpoint: expected filepath to end in {' or '.join(endings)}, got {self.filepath!r}"
            )
        self.save_freq = save_freq if save_freq == "epoch" else count(self, "save_freq", save_freq)
        if initial_value_threshold is not None:
            self.best = number(self, "initial_value_threshold", initial_value_threshold)
        # How many were learned from since the last file.
        self.batches = 0
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find out which way is better, if that is asked."""
        if self.save_best_only:
            super().on_train_begin(logs)

    def reset(self) -> None:
        """The best stays the best: a second training must not overwrite a better model."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The number of the epoch, for the name of the file."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if there were enough batches."""
        if self.save_freq == "epoch":
            return
        self.batches += 1
        if self.batches >= int(self.save_freq):
            self.batches = 0
            self._save({"batch": batch + 1, **(logs or {})}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save the model after an epoch."""
        if self.save_freq == "epoch":
            self._save(logs or {}, logs)

    def _save(self, places: Logs, logs: Logs | None) -> None:
        """Write the file if it is due."""
        path = self._path(places)
        if not self._is_due(path, logs):
            return
        if os.path.isdir(path):
            raise ArgumentError(f"ModelCheckpoint: expected filepath to name a file, {path!r} is a folder")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)
        self._say(f"finished saving model to {path}")

    def _is_due(self, path: str, logs: Logs | None) -> bool:
        if not self.save_best_only:
            self._say(f"saving model to {path}")
            return True
        value = self.current(logs)
        if value is None:
            self.warn(f"Can save best model only with {self.monitor} available.")
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_better(value, self.best):
            self._say(f"{self.monitor} did not improve from {before}")
            return False
        self._say(f"{self.monitor} improved from {before} to {value:.5f}, saving model to {path}")
        self.best = value
        return True

    def _path(self, places: Logs) -> str:
        """The name of the file with its places filled."""
        try:
            return self.filepath.format(epoch=self._epoch + 1, **places)
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(["epoch", *places])
            raise ArgumentError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}; there are {known}'
            ) from error

    def _say(self, message: str) -> None:
        if self.verbose:
            print(f"\nEpoch {self._epoch + 1}: {message}")
