"""Checks of hyperparameters that several layers share."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from minidl.errors import ArgumentError

_RANGES: dict[str, Callable[[float], bool]] = {
    "": math.isfinite,
    " ≥ 0": lambda x: 0 <= x < math.inf,
    " in [0, 1)": lambda x: 0 <= x < 1,
    " in [0, 1]": lambda x: 0 <= x <= 1,
}


def number(owner: object, argument: str, value: Any, allowed: str = "") -> Any:
    """`value` as a Python number, which changes no array's dtype, in the range `allowed`, or an `ArgumentError`."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool) or not isinstance(plain, Real) or not _RANGES[allowed](float(plain)):
        raise ArgumentError(f"{type(owner).__name__}: {argument} must be a number{allowed}, got {value!r}")
    return plain


def integers(owner: object, argument: str, value: Any) -> tuple[int, ...]:
    """`value`, one integer or several, as a tuple of Python integers, or an `ArgumentError`."""
    try:
        return tuple(operator.index(n) for n in (value if np.iterable(value) else (value,)))
    except TypeError:
        raise ArgumentError(
            f"{type(owner).__name__}: {argument} must be an integer or several of them, got {value!r}"
        ) from None


def axes(owner: object, value: Any) -> int | tuple[int, ...]:
    """An axis as a Python integer, several as a tuple of them, or an `ArgumentError`."""
    several = integers(owner, "axis", value)
    return several if np.iterable(value) else several[0]
