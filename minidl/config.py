"""The few documented defaults that the whole library reads: float type and epsilon."""

from __future__ import annotations

import math

from minidl.errors import ArgumentError

_FLOAT_TYPES = ("float32", "float64")
_floatx = "float32"
_epsilon = 1e-7


def floatx() -> str:
    """The name of the float type that new tensors and variables get: "float32" unless changed."""
    return _floatx


def set_floatx(dtype: str) -> None:
    """Make `dtype`, "float32" or "float64", the default float type."""
    global _floatx
    if dtype not in _FLOAT_TYPES:
        raise ArgumentError(f"set_floatx: expected one of {_FLOAT_TYPES}, got {dtype!r}")
    _floatx = dtype


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite: 1e-7 unless changed."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Make `value` the default epsilon."""
    global _epsilon
    if not (math.isfinite(value) and value > 0):
        raise ArgumentError(f"set_epsilon: expected a small positive number, got {value!r}")
    _epsilon = float(value)
