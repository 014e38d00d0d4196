"""Finding a learning rate: train for a while with one that grows, and look where the loss turns.

    found = minidl.find_learning_rate(model, x, y)
    found.plot("rates.png")
    model.optimizer.learning_rate = found.suggestion

From step to step the rate is multiplied by a constant, from `min_rate` to `max_rate`. While it is too small the loss
hardly moves; then it falls, faster and faster; and from some rate on it climbs. A good rate is below that turning
point, by a factor of about ten.  (Smith 2017, section 3.3, who lets the rate grow linearly)
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl import plots
from minidl.callbacks import Callback, CallbackList
from minidl.callbacks.callback import Logs
from minidl.checks import count, number
from minidl.errors import ArgumentError, MiniDLWarning, NonFiniteError
from minidl.layers.snapshot import Snapshot, generators
from minidl.memory import Array
from minidl.threads import one_blas_thread
from minidl.training import as_data, fit, rehearse

# A loss of so many times the first one has exploded.
_EXPLODED = 4
# How much of the average of the losses so far is kept with each new one, to see through the noise of batches.
_MEMORY = 0.9


@dataclass(frozen=True, eq=False)
class LearningRates:
    """The `losses` of batches that were learned from at growing `rates`, each (steps,), up to an explosion.

    `smoothed` are means of the losses over a twentieth of all steps. `turning_point` is the rate where they are lowest:
    from there on the loss climbs.
    """

    rates: Array
    losses: Array
    smoothed: Array
    turning_point: float

    @property
    def suggestion(self) -> float:
        """A tenth of the turning point: where the loss falls fast, and well below where it climbs."""
        return self.turning_point / 10

    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
        """The loss over the rate as a matplotlib figure, also written to `path` as PNG."""
        return plots.plot_learning_rates(self, path, title)

    def __repr__(self) -> str:
        return f"<LearningRates: the loss climbs from {self.turning_point:.3g} on, suggested is {self.suggestion:.3g}>"


@one_blas_thread
def find_learning_rate(
    model: Any,
    x: Any,
    y: Any = None,
    min_rate: float = 1e-5,
    max_rate: float = 10.0,
    batch_size: int = 32,
    epochs: int = 1,
    steps: int | None = None,
    sample_weight: Any = None,
    seed: int = 0,
) -> LearningRates:
    """Train with rates from `min_rate` to `max_rate`, leave the model as it was, and tell what the loss did.

    There are `steps` steps, or as many as `epochs` have; some hundreds show most. They end early when the smoothed
    loss is four times the first one, or not finite. `seed` shuffles the samples. The model must be compiled; its
    weights, moving averages, random generators, and all that its optimizer remembers are afterwards what they were,
    and a schedule, which is not asked here, has its place back.

    A warning says when the loss did not turn between the two rates. `NonFiniteError` if it is not finite to begin with.
    """
    name = "find_learning_rate"
    low, high = number(name, "min_rate", min_rate, "> 0"), number(name, "max_rate", max_rate, "> 0")
    if low >= high:
        raise ArgumentError(f"{name}: expected min_rate < max_rate, got {low} and {high}")
    size, epochs = count(name, "batch_size", batch_size), count(name, "epochs", epochs)
    data = as_data(name, x, y, sample_weight, model.input_names, model.objective.output_names)
    total = count(name, "steps", epochs * data.steps(size) if steps is None else steps, least=3)
    rehearse(model, name, data, size)
    sweep = _Sweep(np.geomspace(low, high, total))
    told = CallbackList([sweep], model, {"verbose": 0, "epochs": 1, "steps": total})
    # An explosion is what is looked for.
    with _unchanged(model), np.errstate(over="ignore", invalid="ignore"):
        fit(
            model, data, None, told, batch_size=size, epochs=range(1), generator=np.random.default_rng(seed),
            augment=None, steps=total, validation_batch_size=size, validation_freq=1,
        )  # fmt: skip
    return sweep.result()


class _Sweep(Callback):
    """Sets the rate of every step, writes its loss down, and stops when it has exploded."""

    def __init__(self, rates: Array) -> None:
        self._rates = rates
        self._losses: list[float] = []
        self._average = 0.0

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """The rate of this step; the loss shall be its alone."""
        self.model.optimizer.learning_rate = self._rates[batch]
        self.model.objective.reset()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The loss of this step."""
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            self.model.stop_training = True
            return
        self._losses.append(loss)
        self._average = loss if batch == 0 else _MEMORY * self._average + (1 - _MEMORY) * loss
        if self._average > _EXPLODED * abs(self._losses[0]):
            self.model.stop_training = True

    def result(self) -> LearningRates:
        """What was seen, with a warning if the loss did not turn."""
        losses = np.array(self._losses)
        if not len(losses):
            raise NonFiniteError("find_learning_rate: the loss is not finite before anything has been learned")
        smoothed = _smoothed(losses, len(self._rates) // 20)
        turn = int(smoothed.argmin())
        if turn in (0, len(self._rates) - 1):
            did, advice = ("did not fall", "lower min_rate") if turn == 0 else ("still fell", "raise max_rate")
            warnings.warn(
                f"find_learning_rate: at {self._rates[turn]:.3g} the loss {did}: {advice}, or take more steps",
                MiniDLWarning, stacklevel=4,
            )  # fmt: skip
        return LearningRates(self._rates[: len(losses)], losses, smoothed, float(self._rates[turn]))


def _smoothed(values: Array, width: int) -> Array:
    """Means over `width` neighbours, fewer at both ends."""
    # Odd, so that a value has as many neighbours before it as after it.
    window = np.ones(min(width, len(values) - 1) // 2 * 2 + 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


@contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Whatever is learned inside the block is forgotten after it."""
    optimizer, stopped = model.optimizer, model.stop_training
    optimizer.build(model.trainable_variables)
    rate = optimizer._learning_rate
    before = Snapshot([*model.variables, *optimizer.variables], generators(model))
    try:
        yield
    finally:
        optimizer._learning_rate = rate
        before.restore()
        model.objective.reset()
        model.stop_training = stopped
