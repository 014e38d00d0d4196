"""Optimizers: how gradients change weights.

Each is a class, `SGD(0.01, momentum=0.9)`, and has a string, "sgd". `get` turns whatever `compile` is given into one.
Learning-rate schedules are in `minidl.optimizers.schedules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from minidl.errors import ArgumentError
from minidl.optimizers import legacy, schedules
from minidl.optimizers.adadelta import Adadelta
from minidl.optimizers.adagrad import Adagrad
from minidl.optimizers.adam import Adam
from minidl.optimizers.adamax import Adamax
from minidl.optimizers.adamw import AdamW
from minidl.optimizers.configs import class_and_config, described
from minidl.optimizers.lion import Lion
from minidl.optimizers.nadam import Nadam
from minidl.optimizers.optimizer import Optimizer
from minidl.optimizers.rmsprop import RMSprop
from minidl.optimizers.sgd import SGD

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "Nadam", "Optimizer", "RMSprop",
    "deserialize", "get", "legacy", "schedules", "serialize",
]  # fmt: skip

_BY_NAME: dict[str, type[Optimizer]] = {
    "sgd": SGD, "adagrad": Adagrad, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW, "adamax": Adamax, "nadam": Nadam,
    "adadelta": Adadelta, "lion": Lion,
}  # fmt: skip


@overload
def get(identifier: None) -> None: ...
@overload
def get(identifier: object) -> Optimizer: ...
def get(identifier: object) -> Optimizer | None:
    """Whatever stands for an optimizer: a name in any case, a config, a class, an optimizer; None stays None.

    `UnknownNameError` for an unknown name, with the nearest ones; `ArgumentError` for what is none of these.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier})
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier.from_config({})
    raise ArgumentError(
        f"expected an optimizer: a name such as 'adam', an Optimizer, its class or its config; got {identifier!r}"
    )


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The optimizer without its state as plain data, `{"class_name": ..., "config": ...}`."""
    return described("optimizer", optimizer, _BY_NAME)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer that `serialize` described; `custom_objects` adds classes of the user by their names."""
    cls, arguments = class_and_config("optimizer", config, _BY_NAME, custom_objects)
    optimizer: Optimizer = cls.from_config(arguments, custom_objects)
    return optimizer
