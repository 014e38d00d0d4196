"""What optimizers and schedules share: configs that say how to make them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidl.errors import ArgumentError, look_up


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
