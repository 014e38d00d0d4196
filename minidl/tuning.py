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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np

from minidl import plots
from minidl.checks import count, number
from minidl.errors import ArgumentError, NonFiniteError, warn_caller
from minidl.layers.snapshot import Snapshot
from minidl.memory import Array
from minidl.training import rehearse

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

    def __iter__(self) -> Iterator[Array]:
        """The rates and the losses: `rates, losses = find_learning_rate(model, x, y)`."""
        return iter((self.rates, self.losses))

    def __repr__(self) -> str:
        return f"<LearningRates: the loss climbs from {self.turning_point:.3g} on, suggested is {self.suggestion:.3g}>"


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
    data = model._data(name, "train_step", x, y, sample_weight)
    total = count(name, "steps", epochs * data.steps(size) if steps is None else steps, least=3)
    rehearse(model, name, data, size)
    sweep = _Sweep(np.geomspace(low, high, total))
    generator = np.random.default_rng(seed)
    passes = chain.from_iterable(data.batches(size, generator) for _ in repeat(None))
    # An explosion is what is looked for.
    with _unchanged(model), np.errstate(over="ignore", invalid="ignore"):
        for rate, batch in zip(sweep.rates, passes, strict=False):
            model.optimizer.learning_rate = rate
            if sweep.explodes(model.train_on_batch(*batch, return_dict=True)["loss"]):
                break
    return sweep.result()


class _Sweep:
    """The losses of the batches so far."""

    def __init__(self, rates: Array) -> None:
        self.rates = rates
        self._losses: list[float] = []
        self._average = 0.0

    def explodes(self, loss: float) -> bool:
        """Add the loss of a batch, if it is finite, and tell whether that is enough."""
        if not math.isfinite(loss):
            return True
        self._average = _MEMORY * self._average + (1 - _MEMORY) * loss if self._losses else loss
        self._losses.append(loss)
        return self._average > _EXPLODED * abs(self._losses[0])

    def result(self) -> LearningRates:
        """What was seen, with a warning if the loss did not turn."""
        losses = np.array(self._losses)
        if not len(losses):
            raise NonFiniteError("find_learning_rate: the loss is not finite before anything has been learned")
        smoothed = _smoothed(losses, len(self.rates) // 20)
        self._warn_unless_it_turned(smoothed, float(np.median(abs(losses - smoothed))))
        return LearningRates(self.rates[: len(losses)], losses, smoothed, float(self.rates[smoothed.argmin()]))

    def _warn_unless_it_turned(self, smoothed: Array, noise: float) -> None:
        """It should fall, and climb again, by more than it trembles."""
        start, lowest, end = smoothed[0], smoothed.min(), smoothed[-1]
        much = max(0.1 * abs(start), 3 * noise)
        if len(smoothed) == len(self.rates) and end - lowest < much:
            problem = "the loss did not climb: raise max_rate"
        elif start - lowest < much:
            problem = "the loss climbed, but did not fall before: lower min_rate"
        else:
            return
        warn_caller(f"find_learning_rate: {problem}, or take more steps")


def _smoothed(values: Array, width: int) -> Array:
    """Means over `width` neighbours, fewer at both ends."""
    # Odd, so that a value has as many neighbours before it as after it.
    window = np.ones(min(width, len(values) - 1) // 2 * 2 + 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


@contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Whatever is learned inside the block is forgotten after it."""
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    rate = optimizer._learning_rate
    with Snapshot(model, [*model.variables, *optimizer.variables]):
        try:
            yield
        finally:
            optimizer._learning_rate = rate
