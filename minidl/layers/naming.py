"""Names that layers and models get by themselves: "dense", "dense_1", … as in Keras."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from minidl.errors import warn_old_name

F = TypeVar("F", bound=Callable[..., Any])

_counts: dict[str, int] = {}


def unique_name(base: str) -> str:
    """`base`, and after that base_1, base_2, …"""
    count = _counts.get(base, 0)
    _counts[base] = count + 1
    return f"{base}_{count}" if count else base


def reset_names() -> None:
    """Start counting anew: the next Dense is "dense" again."""
    _counts.clear()


def also_name_first(add_weight: F) -> F:
    """An `add_weight` that takes (name, shape, dtype, initializer), the order of Keras 2, as well, and warns of it."""

    @functools.wraps(add_weight)
    def either(self: Any, *args: Any, **options: Any) -> Any:
        if not (args and isinstance(args[0], str)):
            return add_weight(self, *args, **options)
        warn_old_name(f"add_weight({args[0]!r}, shape)", f"add_weight(shape, name={args[0]!r})")
        old = dict(zip(("name", "shape", "dtype", "initializer"), args, strict=False))
        return add_weight(self, **old, **options)

    return cast(F, either)
