"""The one rule that configurations follow from: each argument of `__init__` is kept as an attribute of the same name.

Layers, initializers, losses, metrics and optimizers can be shown, copied, saved and made again because they keep it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, Self

from minidl.errors import ArgumentError

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


def snake_case(name: str) -> str:
    """"BatchNormalization" → "batch_normalization", spelled as Keras does ("PReLU" → "p_re_lu")."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
