"""Initializers: what the weights of a layer are before it learns anything.

Each is a class, `HeNormal(seed=42)`, and has a string, "he_normal". `get` turns whatever a layer is given into
something to call with a shape and a dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast, overload

import numpy as np
import numpy.typing as npt

from minidl.errors import ArgumentError, look_up
from minidl.initializers.fixed import Constant, Identity, Ones, Zeros
from minidl.initializers.initializer import Initializer
from minidl.initializers.random import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from minidl.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)
from minidl.memory import Array, Shape

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]


class InitializerFunction(Protocol):
    """What a layer calls: an `Initializer`, or any function of a shape and a dtype."""

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """A new array of `shape` and `dtype`."""
        ...


# The strings are names, too: `initializers.he_normal()` makes a HeNormal.
zeros, ones, constant, identity, orthogonal = Zeros, Ones, Constant, Identity, Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

_BY_NAME: dict[str, type[Initializer]] = {
    "zeros": Zeros, "Zeros": Zeros, "zero": Zeros,
    "ones": Ones, "Ones": Ones, "one": Ones,
    "constant": Constant, "Constant": Constant,
    "identity": Identity, "Identity": Identity, "IdentityInitializer": Identity,
    "orthogonal": Orthogonal, "Orthogonal": Orthogonal, "OrthogonalInitializer": Orthogonal,
    "random_normal": RandomNormal, "RandomNormal": RandomNormal, "normal": RandomNormal,
    "random_uniform": RandomUniform, "RandomUniform": RandomUniform, "uniform": RandomUniform,
    "truncated_normal": TruncatedNormal, "TruncatedNormal": TruncatedNormal,
    "variance_scaling": VarianceScaling, "VarianceScaling": VarianceScaling,
    "glorot_normal": GlorotNormal, "GlorotNormal": GlorotNormal,
    "glorot_uniform": GlorotUniform, "GlorotUniform": GlorotUniform,
    "he_normal": HeNormal, "HeNormal": HeNormal,
    "he_uniform": HeUniform, "HeUniform": HeUniform,
    "lecun_normal": LecunNormal, "LecunNormal": LecunNormal,
    "lecun_uniform": LecunUniform, "LecunUniform": LecunUniform,
}  # fmt: skip


@overload
def get(identifier: None) -> None: ...
@overload
def get(identifier: object) -> InitializerFunction: ...
def get(identifier: object) -> InitializerFunction | None:
    """Whatever stands for an initializer, as something to call with a shape and a dtype.

    A name, a config, a class, an initializer, a function, or an array, which becomes a `Constant`; None stays None.
    `UnknownNameError` for an unknown name, with the nearest ones; `ArgumentError` for what is none of these.
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, Mapping)):
        return deserialize(identifier)
    if isinstance(identifier, type):
        if issubclass(identifier, Initializer):
            return identifier.from_config({})
    elif hasattr(identifier, "__array__"):
        return Constant(np.asarray(identifier))
    elif callable(identifier):
        return cast(InitializerFunction, identifier)
    raise ArgumentError(
        "expected an initializer: a name such as 'he_normal', an Initializer, its class or config, an array, or a "
        f"function of shape and dtype; got {identifier!r}"
    )


def serialize(initializer: InitializerFunction | None) -> dict[str, Any] | str | None:
    """Plain data that `deserialize` understands: `{"class_name": ..., "config": ...}`, or the name of a function.

    `ArgumentError` for a lambda, and for a class or function of the user that has the name of one of minidl's: by that
    name the other would be found.
    """
    if initializer is None:
        return None
    cls = type(initializer)
    name = cls.__name__ if isinstance(initializer, Initializer) else str(getattr(initializer, "__name__", ""))
    if not name.isidentifier() or _BY_NAME.get(name, cls) is not cls:
        raise ArgumentError(f"{initializer!r} has no name of its own to be saved under: define it under another name")
    return {"class_name": name, "config": initializer.get_config()} if isinstance(initializer, Initializer) else name


def deserialize(
    config: str | Mapping[str, Any], custom_objects: Mapping[str, object] | None = None
) -> InitializerFunction:
    """What `serialize` described; `custom_objects` adds classes and functions of the user by their names."""
    name, arguments = (config, {}) if isinstance(config, str) else (config.get("class_name"), config.get("config", {}))
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise ArgumentError(f"expected an initializer as {{'class_name': str, 'config': dict}}, got {config!r}")
    found = look_up("initializer", name, {**_BY_NAME, **(custom_objects or {})})
    if isinstance(found, type) and issubclass(found, Initializer):
        return found.from_config(arguments)
    return get(found)
