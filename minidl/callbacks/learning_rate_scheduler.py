"""`LearningRateScheduler`: a function of the epoch says what the learning rate is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from minidl.callbacks.callback import Callback, Logs
from minidl.callbacks.rates import check_rate_can_be_set, log_rate
from minidl.checks import number
from minidl.errors import ArgumentError


class LearningRateScheduler(Callback):
    """Sets the learning rate at the begin of every epoch to `schedule(epoch, rate)`, or to `schedule(epoch)`.

    `epoch` counts from 0, `rate` is the present learning rate: a function of both can be given to a training that goes
    on, one of the epoch alone also needs its `initial_epoch`. `verbose` 1 says what the rate becomes. The rate is added
    to the logs of every epoch as "learning_rate".

        model.fit(x, y, epochs=25, callbacks=[LearningRateScheduler(lambda epoch: 0.01 * 0.1 ** (epoch / 20))])
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise ArgumentError(
                f"LearningRateScheduler: expected schedule as a function of (epoch) or (epoch, rate), got {schedule!r}"
            )
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _accepts(schedule, 0, 0.1)
        if not self._takes_rate and not _accepts(schedule, 0):
            raise ArgumentError(f"LearningRateScheduler: schedule must take (epoch) or (epoch, rate), got {schedule!r}")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find out whether there is a rate to set."""
        check_rate_can_be_set(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate of this epoch."""
        optimizer = self.model.optimizer
        rate = self.schedule(epoch, float(optimizer.learning_rate)) if self._takes_rate else self.schedule(epoch)
        rate = number(self, f"what schedule gives for epoch {epoch}", rate, "≥ 0")
        optimizer.learning_rate = rate
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the rate into the logs."""
        log_rate(self, logs)


def _accepts(function: Callable[..., Any], *args: Any) -> bool:
    """Whether a function can be called with these arguments."""
    try:
        inspect.signature(function).bind(*args)
    except TypeError:
        return False
    except ValueError:  # Some that are written in C do not say.
        return True
    return True
