"""`OneCycle`: the learning rate goes up and down once in a whole training, and the momentum down and up."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from minidl.callbacks.callback import Callback, Logs
from minidl.callbacks.rates import check_rate_can_be_set, log_rate
from minidl.checks import count, number
from minidl.errors import ArgumentError
from minidl.optimizers import schedules


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
        self.steps = None if steps is None else count(self, "steps", steps)
        # How long it is may be known only when training begins.
        self._cycle = schedules.OneCycle(
            max_learning_rate, self.steps or 1, start_learning_rate, last_learning_rate, rise, annealing
        )
        self.max_learning_rate = self._cycle.max_learning_rate
        self.start_learning_rate = self._cycle.start_learning_rate
        self.last_learning_rate = self._cycle.last_learning_rate
        self.rise, self.annealing = self._cycle.rise, self._cycle.annealing
        self.momentum = None if momentum is None else _high_and_low(momentum)
        self._total = self.steps
        self._first = 0

    def learning_rate_at(self, step: Any) -> Any:
        """The learning rate of a step, which counts from 0, or of an array of them."""
        return self._of_known_length()(step)

    def momentum_at(self, step: Any) -> Any:
        """The momentum of a step, or of an array of them."""
        high, low = self.momentum or (0.0, 0.0)
        return self._of_known_length().along(step, high, low, high)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count the steps, and find out whether the optimizer has what is to be set."""
        self._total = self.steps or self.params["epochs"] * self.params["steps"]
        self._cycle = dataclasses.replace(self._cycle, steps=self._total)
        check_rate_can_be_set(self)
        optimizer = self.model.optimizer
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
        log_rate(self, logs)

    def _of_known_length(self) -> schedules.OneCycle:
        if self._total is None:
            raise ArgumentError("OneCycle: how many steps there are is known once fit has begun: give it steps=")
        return self._cycle


class OneCycleScheduler(OneCycle):
    """`OneCycle` by the names of the book "Hands-On Machine Learning", chapter 11, with the rates of its class.

    Of `iterations` steps the last `last_iterations` (a tenth, and one, unless given) go on to `last_rate`, and up and
    down have half of the others each. The end of the last line is one step after the last.
    """

    def __init__(
        self,
        iterations: int,
        max_rate: float,
        start_rate: float | None = None,
        last_iterations: int | None = None,
        last_rate: float | None = None,
    ) -> None:
        total = count(self, "iterations", iterations)
        last = total // 10 + 1 if last_iterations is None else count(self, "last_iterations", last_iterations)
        half = (total - last) // 2
        if half < 1:
            raise ArgumentError(f"OneCycleScheduler: {total} iterations leave no way up before the last {last}")
        super().__init__(max_rate, total + 1, start_rate, last_rate, half / total, 1 - 2 * half / total)


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
