"""Checks of arguments that many classes share: each gives the plain value or an error that names the argument."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, unknown_name, warn_old_name

_RANGES: dict[str, Callable[[float], bool]] = {
    "": math.isfinite,
    "≥ 0": lambda x: 0 <= x < math.inf,
    "> 0": lambda x: 0 < x < math.inf,
    "≥ 1": lambda x: 1 <= x < math.inf,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "in [0, 1]": lambda x: 0 <= x <= 1,
}


def _name(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__


def number(owner: object, argument: str, value: Any, allowed: str = "") -> float:
    """`value` as a Python number, finite and in the range `allowed`.

    NumPy scalars and tensors without axes count as numbers. A Python number is weak: it never changes an array's dtype.
    """
    scalar = hasattr(value, "item") and getattr(value, "ndim", None) == 0
    x = value.item() if scalar else value
    if isinstance(x, bool) or not isinstance(x, Real) or not _RANGES[allowed](float(x)):
        wanted = f"a number {allowed}" if allowed else "a finite number"
        raise ArgumentError(f"{_name(owner)}: {argument} must be {wanted}, got {value!r}")
    return int(x) if isinstance(x, Integral) else float(x)


def count(owner: object, argument: str, value: Any, least: int = 1) -> int:
    """`value` as an integer ≥ `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(f"{_name(owner)}: {argument} must be an integer ≥ {least}, got {value!r}")
    return int(value)


def flag(owner: object, argument: str, value: object) -> bool:
    """`value` as True or False."""
    if not isinstance(value, (bool, np.bool)):
        raise ArgumentError(f"{_name(owner)}: {argument} must be True or False, got {value!r}")
    return bool(value)


def integers(owner: object, argument: str, value: Any) -> tuple[int, ...]:
    """`value`, one integer or several, as a tuple of Python integers."""
    try:
        return tuple(operator.index(n) for n in (value if np.iterable(value) else (value,)))
    except TypeError:
        raise ArgumentError(
            f"{_name(owner)}: {argument} must be an integer or several of them, got {value!r}"
        ) from None


def renamed(owner: Any, argument: str, value: Any, old_name: str, old: Mapping[str, Any]) -> Any:
    """What a constructor was given as `argument`, or, with a warning, as `old_name`: the only other name in `old`."""
    kind = type(owner).__name__
    for name in old:
        if name != old_name:
            raise unknown_name(f"argument of {kind}", name, type(owner).arguments())
        warn_old_name(f"{kind}({old_name}=…)", f"{kind}({argument}=…)")
    return old.get(old_name, value)


def axes(owner: object, value: Any) -> int | tuple[int, ...]:
    """An axis as a Python integer, several as a tuple of them."""
    several = integers(owner, "axis", value)
    return several if np.iterable(value) else several[0]


def interval(owner: object, argument: str, value: Any, least: float, most: float) -> tuple[float, float]:
    """`value`, two numbers in [least, most] the smaller first, as a tuple of Python numbers."""
    pair = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
    if len(pair) == 2:
        low, high = (number(owner, argument, end) for end in pair)
        if least <= low <= high <= most:
            return low, high
    raise ArgumentError(
        f"{_name(owner)}: {argument} must be a pair (low, high) with {least:g} ≤ low ≤ high ≤ {most:g}, got {value!r}"
    )
