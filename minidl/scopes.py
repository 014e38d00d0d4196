"""Settings that hold inside of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def during(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Inside the block, in this thread, the variable has this value; afterwards the one that it had before."""
    before = variable.set(value)
    try:
        yield
    finally:
        variable.reset(before)
