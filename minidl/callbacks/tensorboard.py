"""`TensorBoard`: the numbers of a training as event files, which the program of that name draws."""

from __future__ import annotations

import os
import time
from typing import Any

from minidl.callbacks.callback import Callback, Logs
from minidl.checks import count
from minidl.errors import ArgumentError, require


class TensorBoard(Callback):
    """Writes event files to `log_dir`/train and `log_dir`/validation, with the names that Keras gives the curves.

    - "epoch_loss" and so on, for both folders, and "epoch_learning_rate", over epochs;
    - "evaluation_loss_vs_iterations" and so on, for every validation, over steps;
    - with `update_freq` n or "batch" (n = 1) also "batch_loss" and so on, every n steps;
    - with `histogram_freq` n the distribution of every weight, every n epochs;
    - with `write_steps_per_second` "epoch_steps_per_second".

    It needs the package tensorboardX (the extra `tensorboard`); `tensorboard --logdir logs` shows the files. The graph
    of the model is not drawn, whatever `write_graph` says (see `model.summary`). Images, traces (see
    `minidl.profile`) and embeddings are not written: to ask for them is an `ArgumentError`.
    """

    remembers = ("batches",)

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        refused = {
            "write_images": write_images, "profile_batch": profile_batch, "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }  # fmt: skip
        for name, value in refused.items():
            if value:
                raise ArgumentError(f"TensorBoard: {name} is not written here: leave it out, got {value!r}")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = count(self, "histogram_freq", histogram_freq, least=0)
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = update_freq
        if update_freq != "epoch":
            self.update_freq = 1 if update_freq == "batch" else count(self, "update_freq", update_freq)
        self._package = require("tensorboardX", "tensorboard")
        self._writers: dict[str, Any] = {}
        # How many batches were learned from.
        self.batches = 0
        self._start = 0.0, 0
        self._training = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count from 0."""
        self._training, self.batches = True, 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        self._start = time.perf_counter(), self.batches

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the numbers of a batch."""
        self.batches += 1
        if self.update_freq != "epoch" and self.batches % int(self.update_freq) == 0:
            self._write("train", "batch_{}", logs or {}, self.batches)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the numbers of an evaluation."""
        self._write("validation", "evaluation_{}_vs_iterations", logs or {}, int(self.model.optimizer.iterations))
        if not self._training:
            self._close()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the numbers of an epoch, and the weights."""
        logs = logs or {}
        training = {name: value for name, value in logs.items() if not name.startswith("val_")}
        training["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            start, batches = self._start
            training["steps_per_second"] = (self.batches - batches) / (time.perf_counter() - start)
        self._write("train", "epoch_{}", training, epoch)
        validation = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        self._write("validation", "epoch_{}", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for variable in self.model.variables:
                self._writer("train").add_histogram(f"{variable.path}/histogram", variable.data, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        self._training = False
        self._close()

    def _write(self, folder: str, name: str, logs: Logs, step: int) -> None:
        for key, value in logs.items():
            self._writer(folder).add_scalar(name.format(key), value, step)

    def _writer(self, folder: str) -> Any:
        """The writer for a folder; there is no file before there is something to write."""
        if folder not in self._writers:
            self._writers[folder] = self._package.SummaryWriter(os.path.join(self.log_dir, folder))
        return self._writers[folder]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
