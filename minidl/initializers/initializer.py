"""What every initializer has in common: a call that returns a NumPy array, and a config that says how to make it again.

Initializers stand below the layers and know neither tensors nor variables. A layer calls one when it is built, with the
shape and the dtype of the weight it needs.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from minidl.config import floatx
from minidl.configurable import Configurable
from minidl.errors import AbstractMethodError, DTypeError, ShapeError
from minidl.memory import Array, Shape


class Initializer(Configurable):
    """What fills a new weight: called with a shape and a dtype, it returns an array of them.

    A subclass defines `__call__(self, shape, dtype=None)` and keeps each argument of its `__init__` as an attribute of
    the same name: `get_config`, `from_config`, `clone`, `repr` and `==` follow from that one rule.
    """

    def __call__(self, shape: Sequence[int], dtype: npt.DTypeLike | None = None) -> Array:
        """A new array of `shape` and `dtype` (None: `minidl.config.floatx()`)."""
        raise AbstractMethodError(f"{type(self).__name__} must define __call__(self, shape, dtype=None)")

    def clone(self) -> Self:
        """Another initializer of the same config."""
        return self.from_config(self.get_config())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer) or type(self) is not type(other):
            return NotImplemented
        return self.get_config() == other.get_config()


def as_shape(owner: Initializer, shape: Sequence[int]) -> Shape:
    """`shape` as a tuple of integers ≥ 0, or a `ShapeError` in the name of `owner`."""
    try:
        checked = tuple(operator.index(size) for size in shape)
    except TypeError:
        checked = None
    if checked is None or min(checked, default=0) < 0:
        raise ShapeError(f"{type(owner).__name__}: expected a shape, a tuple of integers ≥ 0, got {shape!r}")
    return checked


def as_dtype(owner: Initializer, dtype: npt.DTypeLike | None, kinds: str) -> np.dtype[Any]:
    """`dtype` (None: `minidl.config.floatx()`) as a NumPy dtype whose kind is one of `kinds`, or a `DTypeError`."""
    try:
        checked = np.dtype(floatx() if dtype is None else dtype)
    except TypeError:
        checked = None
    if checked is None or checked.kind not in kinds:
        wanted = "a float dtype" if kinds == "f" else "a float, integer or boolean dtype"
        raise DTypeError(f"{type(owner).__name__}: expected {wanted}, got {dtype!r}")
    return checked
