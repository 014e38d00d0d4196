"""The one rule that configurations follow from: each argument of `__init__` is kept as an attribute of the same name.

Layers, initializers, losses, metrics and optimizers can be shown, copied, saved and made again because they keep it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from minidl.errors import ArgumentError, look_up

MISSING = inspect.Parameter.empty


class Configurable:
    """What can be made again from the arguments it was made with.

    A subclass keeps each argument of its `__init__` as an attribute of the same name and passes `**kwargs`, if it takes
    any, on to its base class.
    """

    @classmethod
    def arguments(cls) -> dict[str, inspect.Parameter]:
        """The arguments of `__init__`, and those of the base classes that `**kwargs` stands for."""
        found: dict[str, inspect.Parameter] = {}
        for base in cls.__mro__:
            if base is object or "__init__" not in vars(base):
                continue
            _, *parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            found |= {p.name: p for p in named if p.name not in found}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
        return found

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__` by name."""
        missing = [name for name in self.arguments() if not hasattr(self, name)]
        if missing:
            raise ArgumentError(
                f"{type(self).__name__}: its __init__ keeps no attribute for its argument {', '.join(missing)}: "
                "set an attribute of the same name or define get_config()"
            )
        return {name: getattr(self, name) for name in self.arguments()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new one from what `get_config` gave."""
        try:
            return cls(**config)
        except TypeError as error:
            raise ArgumentError(f"{cls.__name__}: cannot be made from the config {dict(config)}: {error}") from error

    def __repr__(self) -> str:
        """The class and the arguments that are not their default; a name only if it is not that of the class."""
        arguments = {name: (self.shown(name), parameter.default) for name, parameter in self.arguments().items()}
        shown = [
            f"{name}={value!r}"
            for name, (value, default) in arguments.items()
            if value is not MISSING and not self.is_default(name, value, default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def shown(self, name: str) -> Any:
        """What `repr` shows of an argument; `MISSING` if it became no attribute."""
        return getattr(self, name, MISSING)

    def is_default(self, name: str, value: Any, default: Any) -> bool:
        """Whether an argument that is shown as `value` has its default."""
        if name == "name" and value in (snake_case(type(self).__name__), type(self).__name__.lower()):
            return True
        plain = isinstance(value, (bool, int, float, str, tuple, list))
        return value is default or (plain and type(value) is type(default) and bool(value == default))


@dataclass(frozen=True)
class Family:
    """Classes of functions of a weight, all of one `kind`: what stands for one of them in an argument or in a file.

    They derive from `base` and are found in `by_name`; error messages name the `example`.
    """

    kind: str
    base: type[Configurable]
    by_name: Mapping[str, type[Configurable]]
    example: str

    def get(self, identifier: Any) -> Any:
        """Something to call, from a name, a config, a class, an object or a function; None stays None.

        `UnknownNameError` for an unknown name, with the nearest ones; `ArgumentError` for what is none of these.
        """
        if isinstance(identifier, (str, Mapping)):
            return self.deserialize(identifier)
        if isinstance(identifier, type):
            if issubclass(identifier, self.base):
                return identifier.from_config({})
        elif identifier is None or callable(identifier):
            return identifier
        raise ArgumentError(
            f"expected a {self.kind}: a name such as {self.example!r}, a {self.base.__name__}, its class or config, or "
            f"a function of a weight; got {identifier!r}"
        )

    def serialize(self, thing: Any) -> dict[str, Any] | str | None:
        """Plain data that `deserialize` understands: `{"class_name": ..., "config": ...}`, or the name of a function.

        `ArgumentError` for a lambda, and for a class or function of the user that has the name of one of minidl's: by
        that name the other would be found.
        """
        if thing is None:
            return None
        cls = type(thing)
        own = isinstance(thing, self.base)
        name = cls.__name__ if own else str(getattr(thing, "__name__", ""))
        if not name.isidentifier() or self.by_name.get(name, cls) is not cls:
            raise ArgumentError(f"{thing!r} has no name of its own to be saved under: define it under another name")
        return {"class_name": name, "config": thing.get_config()} if own else name

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """What `serialize` described; `custom_objects` adds classes and functions of the user by their names."""
        name, arguments = config, {}
        if isinstance(config, Mapping):
            name, arguments = config.get("class_name"), config.get("config", {})
        if not isinstance(name, str) or not isinstance(arguments, Mapping):
            raise ArgumentError(f"expected a {self.kind} as {{'class_name': str, 'config': dict}}, got {config!r}")
        found = look_up(self.kind, name, {**self.by_name, **(custom_objects or {})})
        if isinstance(found, type) and issubclass(found, self.base):
            return found.from_config(arguments)
        return self.get(found)


def snake_case(name: str) -> str:
    """"BatchNormalization" → "batch_normalization", spelled as Keras does ("PReLU" → "p_re_lu")."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
