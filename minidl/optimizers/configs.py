"""What optimizers and schedules share: arguments that are checked, and configs that say how to make them again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from minidl.autodiff.tensor import plain
from minidl.errors import ArgumentError, look_up

_RANGES: dict[str, Callable[[float], bool]] = {
    "≥ 0": lambda x: 0 <= x < math.inf,
    "> 0": lambda x: 0 < x < math.inf,
    "≥ 1": lambda x: 1 <= x < math.inf,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "in [0, 1]": lambda x: 0 <= x <= 1,
}


def number(owner: object, argument: str, value: Any, allowed: str) -> float:
    """`value` as a Python number in the range `allowed`, or an `ArgumentError` that names the `argument` of `owner`.

    NumPy scalars and tensors without axes count as numbers. A Python number is weak: it never changes an array's dtype.
    """
    x = plain(value)
    x = x.item() if isinstance(x, (np.ndarray, np.generic)) and x.ndim == 0 else x
    if isinstance(x, bool) or not isinstance(x, Real) or not _RANGES[allowed](float(x)):
        raise ArgumentError(f"{type(owner).__name__}: {argument} must be a number {allowed}, got {value!r}")
    return int(x) if isinstance(x, Integral) else float(x)


def flag(owner: object, argument: str, value: object) -> bool:
    """`value` as True or False, or an `ArgumentError` that names the `argument` of `owner`."""
    if not isinstance(value, (bool, np.bool)):
        raise ArgumentError(f"{type(owner).__name__}: {argument} must be True or False, got {value!r}")
    return bool(value)


def described(kind: str, thing: Any, table: Mapping[str, type]) -> dict[str, Any]:
    """`thing` as the plain data `{"class_name": ..., "config": ...}`.

    `ArgumentError` for a class of the user that has the name of one in `table`: by that name the other would be found.
    """
    cls = type(thing)
    name = cls.__name__
    if table.get(name, table.get(name.lower(), cls)) is not cls:
        raise ArgumentError(f"your {kind} {name} has the name of one of minidl's: define it under another name")
    return {"class_name": name, "config": thing.get_config()}


def class_and_config(
    kind: str, description: object, table: Mapping[str, type], custom_objects: Mapping[str, Any] | None
) -> tuple[Any, dict[str, Any]]:
    """The class that a description means, found in `custom_objects` or in `table`, and the config to make it from."""
    name = description.get("class_name") if isinstance(description, Mapping) else None
    config = description.get("config", {}) if isinstance(description, Mapping) else None
    if not isinstance(name, str) or not isinstance(config, Mapping):
        raise ArgumentError(f"expected the {kind} as {{'class_name': str, 'config': dict}}, got {description!r}")
    known = {**table, **(custom_objects or {})}
    return look_up(kind, name if name in known else name.lower(), known), dict(config)
