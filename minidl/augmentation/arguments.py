"""What the arguments of augmentation mean: the functions and the layers ask here."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.checks import interval, number
from minidl.errors import ArgumentError, unknown_name

# A number, or a pair of them.
Factor = Any

FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")
FILL_MODES = ("reflect", "wrap", "nearest", "constant")
INTERPOLATIONS = ("bilinear", "nearest")


def factor_range(owner: object, argument: str, factor: Factor) -> tuple[float, float]:
    """(low, high) of a factor: a number f is (−f, f)."""
    if isinstance(factor, (tuple, list, np.ndarray)):
        return interval(owner, argument, factor, -1, 1)
    f = abs(number(owner, argument, factor))
    return interval(owner, argument, (-f, f), -1, 1)


def zoom_range(owner: object, argument: str, factor: Factor) -> tuple[float, float]:
    """(low, high) of a factor that leaves something of the image."""
    low, high = factor_range(owner, argument, factor)
    if low == -1:
        raise ArgumentError(f"{_title(owner)}: {argument} must be greater than −1, where nothing is left, got {factor}")
    return low, high


def contrast_range(owner: object, factor: Factor) -> tuple[float, float]:
    """(low, high) of a contrast: how far it goes below 1 and above."""
    if isinstance(factor, (tuple, list, np.ndarray)) and len(factor) == 2:
        low, high = (number(owner, "factor", part, "in [0, 1]") for part in factor)
        return low, high
    f = number(owner, "factor", factor, "in [0, 1]")
    return f, f


def erasing_rate(owner: object, factor: Factor) -> float:
    """The probability that an image is erased: a number, or the mean of a pair."""
    if isinstance(factor, (tuple, list, np.ndarray)):
        return sum(interval(owner, "factor", factor, 0, 1)) / 2
    return number(owner, "factor", factor, "in [0, 1]")


def fill_numbers(owner: object, fill_value: Any) -> float | list[float]:
    """What is filled in: a number for all channels, or one for each."""
    if isinstance(fill_value, (tuple, list, np.ndarray)):
        return [number(owner, "fill_value", value) for value in fill_value]
    return number(owner, "fill_value", fill_value)


def check_choice(owner: object, argument: str, value: Any, allowed: tuple[str, ...]) -> str:
    """`value` if it is one of the strings allowed, or an error with the nearest of them."""
    if value not in allowed:
        raise unknown_name(f"{argument} of {_title(owner)}", value, allowed)
    return str(value)


def _title(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__
