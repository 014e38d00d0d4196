"""`OneCycle`: the learning rate goes up and down once in a whole training, and the momentum down and up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.callbacks.callback import Callback, Logs
from minidl.checks import count, number
from minidl.errors import ArgumentError
from minidl.layers.variable import Variable


class OneCycle(Callback):
    """Sets the learning rate of every batch, on three straight lines: large rates regularize.  (Smith 2018, section 4)

    Of S steps the first `rise`·S go from `start_learning_rate` up to `max_learning_rate`, the next back down, and the
    last `annealing`·S on to `last_learning_rate`. `momentum` as (high, low) goes the other way, high → low → high, and
    stays there; of SGD and RMSprop it is `momentum`, of the family of Adam `beta_1`.

    - `steps`: S; all steps of `fit` (epochs × batches) unless given. After S steps the last values stay.
    - `start_learning_rate`: a tenth of the maximum unless given. `last_learning_rate`: a thousandth of the start.
    - `rise`, `annealing`: fractions of S. With their defaults, 0.45 and 0.1, up and down take equally long.

    The lines are straight as Smith has them; PyTorch's OneCycleLR has half cosines unless told otherwise. At the end of
    training the rate and the momentum stay at their last values. The rate is added to the logs of every epoch as
    "learning_rate".

        model.fit(x, y, epochs=10, callbacks=[OneCycle(0.1, momentum=(0.95, 0.85))])
    """

    def __init__(
        self,
        max_learning_rate: float,
        steps: int | None = None,
        start_learning_rate: float | None = None,
        last_learning_rate: float | None = None,
        rise: float = 0.45,
        annealing: float = 0.1,
        momentum: Sequence[float] | None = None,
    ) -> None:
        self.max_learning_rate = number(self, "max_learning_rate", max_learning_rate, "> 0")
        self.steps = None if steps is None else count(self, "steps", steps)
        start = self.max_learning_rate / 10 if start_learning_rate is None else start_learning_rate
        self.start_learning_rate = number(self, "start_learning_rate", start, "≥ 0")
        last = self.start_learning_rate / 1000 if last_learning_rate is None else last_learning_rate
        self.last_learning_rate = number(self, "last_learning_rate", last, "≥ 0")
        self.rise = number(self, "rise", rise, "in [0, 1]")
        self.annealing = number(self, "annealing", annealing, "in [0, 1]")
        if self.rise + self.annealing >= 1:
            raise ArgumentError(f"OneCycle: rise + annealing must be < 1, got {self.rise} + {self.annealing}")
        self.momentum = None if momentum is None else _high_and_low(momentum)
        self._total = self.steps
        self._first = 0

    def learning_rate_at(self, step: Any) -> Any:
        """The learning rate of a step, which counts from 0, or of an array of them."""
        return self._on_lines(step, self.start_learning_rate, self.max_learning_rate, self.last_learning_rate)

    def momentum_at(self, step: Any) -> Any:
        """The momentum of a step, or of an array of them."""
        high, low = self.momentum or (0.0, 0.0)
        return self._on_lines(step, high, low, high)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count the steps, and find out whether the optimizer has what is to be set."""
        self._total = self.steps or self.params["epochs"] * self.params["steps"]
        optimizer = self.model.optimizer
        if not isinstance(optimizer.learning_rate, Variable):
            raise ArgumentError(f"OneCycle: the optimizer has a schedule already: give it a number, got {optimizer!r}")
        if self.momentum is not None and not getattr(optimizer, _momentum_name(optimizer), None):
            raise ArgumentError(f"OneCycle: there is no momentum to set: use SGD(momentum=0.9), got {optimizer!r}")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The number of steps before the epoch: a training that goes on at `initial_epoch` goes on in the cycle."""
        self._first = epoch * self.params["steps"]

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Set the learning rate of this step, and the momentum."""
        step, optimizer = self._first + batch, self.model.optimizer
        optimizer.learning_rate.assign(self.learning_rate_at(step))
        if self.momentum is not None:
            setattr(optimizer, _momentum_name(optimizer), float(self.momentum_at(step)))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the learning rate into the logs."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)

    def _on_lines(self, step: Any, start: float, middle: float, last: float) -> Any:
        """start → middle → start → last at the corners of the cycle, straight lines in between."""
        if self._total is None:
            raise ArgumentError("OneCycle: how many steps there are is known once fit has begun: give it steps=")
        end = self._total - 1
        # Whole steps: the greatest rate is reached.
        top = round(self.rise * end)
        # Of few steps, rounding may leave none for the way down.
        corners = [0, top, max(top, end - round(self.annealing * end)), end]
        return np.interp(step, corners, [start, middle, start, last])


def _momentum_name(optimizer: Any) -> str:
    return "beta_1" if hasattr(optimizer, "beta_1") else "momentum"


def _high_and_low(momentum: Any) -> tuple[float, float]:
    """The two momenta, checked."""
    try:
        high, low = momentum
    except (TypeError, ValueError):
        raise ArgumentError(f"OneCycle: expected momentum as (high, low), got {momentum!r}") from None
    # A momentum of 0 would take the optimizer's memory of it away.
    high, low = (number("OneCycle", "momentum", value, "in [0, 1)") for value in (high, low))
    if not 0 < low <= high:
        raise ArgumentError(f"OneCycle: expected momentum as (high, low), both > 0, got {momentum!r}")
    return high, low
