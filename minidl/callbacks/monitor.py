"""`Monitor`: what callbacks share that watch one number of the logs and ask whether it got better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.callbacks.callback import Callback, Logs
from minidl.callbacks.logs import name_today
from minidl.checks import number
from minidl.errors import ArgumentError, look_up, warn_caller

_DIRECTIONS = {"auto": None, "min": "down", "max": "up"}


class Monitor(Callback):
    """Watches `logs[monitor]`: a value is better if it is below the best so far by more than `min_delta`.

    In `mode` "max" it must be above; "auto" asks the metric which way is better, and losses are better below. Without
    a best so far every value is better. NaN and infinity never are: a first epoch gone wrong is not what later ones
    are compared with.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        look_up(f"mode of {type(self).__name__}", mode, _DIRECTIONS)
        self.mode = mode
        # Its sign says nothing: in mode "min" some write -0.01.
        self.min_delta = abs(number(self, "min_delta", min_delta))
        self.best: float | None = None
        self._sign = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find out which way is better, and begin anew."""
        direction = _DIRECTIONS[self.mode] or self._direction(self.monitor.removeprefix("val_"))
        self._sign = 1 if direction == "up" else -1
        self.reset()

    def reset(self) -> None:
        """Forget what was seen in another training."""
        self.best = None

    def current(self, logs: Logs | None) -> float | None:
        """The watched number; None if the logs have none, as epochs without validation. `ArgumentError` for arrays."""
        value = (logs or {}).get(self.monitor)
        if value is not None and np.ndim(value):
            raise ArgumentError(
                f"{type(self).__name__}: {self.monitor!r} must be one number, got an array of shape {np.shape(value)}"
            )
        return None if value is None else float(value)

    def is_better(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`."""
        if reference is None or not math.isfinite(value):
            return math.isfinite(value)
        return self._sign * value - self.min_delta > self._sign * reference

    def warn(self, message: str) -> None:
        """Say that an epoch has not been judged."""
        warn_caller(message)

    def _direction(self, name: str) -> str:
        """"up" or "down"."""
        if name == "loss":
            return "down"
        own = {metric.name: metric.direction for metric in getattr(self.model, "metrics", ())}
        direction: Any = None
        for known in dict.fromkeys((name, name_today(name))):
            direction = direction or own.get(known) or self.model.objective.direction(known)
        if direction is None:
            raise ArgumentError(
                f"{type(self).__name__}: nobody knows whether monitor={self.monitor!r} is better when it goes up or "
                f'down: pass mode="max" or mode="min"; the model reports {", ".join(self.model.metrics_names)}'
            )
        return str(direction)
