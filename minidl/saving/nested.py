"""Nested values with arrays in them, taken apart into plain JSON and named arrays, which is what files hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, DataFileError
from minidl.memory import Array

# What JSON lacks stands there as a dictionary with one of these keys.
_ARRAY = "__array__"
_FLOAT = "__float__"


def taken_apart(value: Any, name: str) -> tuple[Any, dict[str, Array]]:
    """`value` without its arrays, and these by names that begin with `name`; tuples become lists."""
    arrays: dict[str, Array] = {}

    def plain(x: Any) -> Any:
        if isinstance(x, np.ndarray) and x.ndim:
            key = f"{name}/{len(arrays)}"
            arrays[key] = x
            return {_ARRAY: key}
        if isinstance(x, (np.ndarray, np.generic)):
            x = x.item()
        if isinstance(x, float) and not math.isfinite(x):
            return {_FLOAT: str(x)}
        if isinstance(x, (list, tuple)):
            return [plain(item) for item in x]
        if isinstance(x, dict):
            if x.keys() & {_ARRAY, _FLOAT}:
                raise ArgumentError(f"{name}: the keys {_ARRAY!r} and {_FLOAT!r} have a meaning of their own")
            return {key: plain(item) for key, item in x.items()}
        return x

    return plain(value), arrays


def put_together(value: Any, arrays: Mapping[str, Array], where: str) -> Any:
    """The value that `taken_apart` has taken apart; a `DataFileError` begins with `where`."""
    if isinstance(value, list):
        return [put_together(item, arrays, where) for item in value]
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        if value[_ARRAY] not in arrays:
            raise DataFileError(f"{where}: the array {value[_ARRAY]!r:.80} is missing")
        return arrays[value[_ARRAY]]
    if _FLOAT in value:
        return float(value[_FLOAT])
    return {key: put_together(item, arrays, where) for key, item in value.items()}
