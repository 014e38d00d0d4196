"""What callbacks share that set the learning rate: it must be a number, and the history is told of it."""

from __future__ import annotations

from typing import Any

from minidl.callbacks.callback import Callback, Logs
from minidl.errors import ArgumentError
from minidl.layers.variable import Variable


def check_rate_can_be_set(callback: Callback) -> None:
    """`ArgumentError` if the optimizer has a schedule: two masters of one number."""
    optimizer: Any = callback.model.optimizer
    if not isinstance(optimizer.learning_rate, Variable):
        name = type(callback).__name__
        raise ArgumentError(f"{name}: the optimizer has a schedule already: give it a number, got {optimizer!r}")


def log_rate(callback: Callback, logs: Logs | None) -> None:
    """Write the learning rate into the logs as "learning_rate"."""
    if logs is not None:
        logs["learning_rate"] = float(callback.model.optimizer.learning_rate)
