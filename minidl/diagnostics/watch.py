"""`Watch`: a look at every epoch of a training run."""

from __future__ import annotations

import os
from typing import Any

from minidl.callbacks import Callback
from minidl.checks import count
from minidl.diagnostics import picture
from minidl.diagnostics.look import Look, look_at
from minidl.errors import ArgumentError
from minidl.layers import Variable
from minidl.memory import Array


class Watch(Callback):
    """A callback that looks at all layers before training and after every epoch, or every few and the last.

    `x`, `y` are a sample, a few hundred of the training data, the same for every look. `looks[n]` is the look after n
    epochs. It costs a little less than two gradients of the sample, and in the last step of the epoch a copy of the
    weights; training gives the same numbers as without, bit by bit.

        watch = Watch(x_train[:256], y_train[:256])
        model.fit(x_train, y_train, epochs=10, callbacks=[watch])
        print(watch.verdict())
    """

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None, every: int = 1) -> None:
        self._sample = x, y, sample_weight
        self.every = count(self, "every", every)
        self.looks: dict[int, Look] = {}
        self._before: dict[Variable, Array] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check the sample, and forget an earlier run."""
        self._data = self.model._data("Watch", "train_step", *self._sample)
        self.looks = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at what training begins with."""
        self._before = {}
        if not self.looks:
            self.looks[epoch] = look_at(self.model, self._data)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the weights before the last step."""
        if batch == self.params["steps"] - 1:
            self._before = {v: v.data.copy() for v in self.model.trainable_variables}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look."""
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]:
            self.looks[epoch + 1] = look_at(self.model, self._data, self._before)
        self._before = {}

    def report(self, epochs: int | None = None) -> str:
        """A table with a line for every layer: after so many epochs, by default the last look."""
        return self._look(epochs).table()

    def verdict(self) -> str:
        """What is wrong at the end of the run, and what to try.

        Of a run in which numbers stopped being finite: when that was, and what was wrong before.
        """
        failed = [epochs for epochs, look in self.looks.items() if not look.is_finite]
        if not failed:
            return self._look(None).verdict()
        lines = [f"{_when(failed[0])}, {self.looks[failed[0]].verdict()}"]
        lines += [f"{_when(n)}, {self.looks[n].verdict()}" for n in [n for n in self.looks if n < failed[0]][-1:]]
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Activations, saturated and dead units, gradients and updates by layer, a line for every epoch.

        Gives the matplotlib figure; with `path` it is also written there, as PNG. `MissingExtraError` without
        matplotlib.
        """
        self._look(None)
        return picture.draw({epochs: look.layers for epochs, look in self.looks.items()}, path)

    def _look(self, epochs: int | None) -> Look:
        """The look after so many epochs, or the last one."""
        if not self.looks:
            raise ArgumentError("Watch: nothing was seen yet: hand it to fit in callbacks=[…] first")
        wanted = max(self.looks) if epochs is None else epochs
        if wanted not in self.looks:
            raise ArgumentError(f"Watch: no look after {epochs} epochs, there are: {', '.join(map(str, self.looks))}")
        return self.looks[wanted]


def _when(epochs: int) -> str:
    return f"after epoch {epochs}" if epochs else "before the first step"
