"""Regularizers: what is added to the loss so that weights, or the outputs of a layer, stay small.

Each is a class, `L2(0.01)`, and has a string, "l2". So is any function of a weight that gives one number. A layer takes
them as `kernel_regularizer`, `bias_regularizer` and so on, and, for its outputs, as `activity_regularizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minidl.autodiff.tensor import TensorLike
from minidl.configurable import Configurable, Family
from minidl.regularizers.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip

# What a layer calls: a `Regularizer`, or any function of a weight.
RegularizerFunction = Callable[[TensorLike], TensorLike]

# The strings are names, too: `regularizers.l2(0.01)` makes an L2.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def _family() -> Family:
    by_name: dict[str, type[Configurable]] = {
        "l1": L1, "L1": L1, "l2": L2, "L2": L2, "l1_l2": L1L2, "l1l2": L1L2, "L1L2": L1L2,
        "orthogonal": OrthogonalRegularizer, "orthogonal_regularizer": OrthogonalRegularizer,
        "OrthogonalRegularizer": OrthogonalRegularizer,
    }  # fmt: skip
    return Family("regularizer", Regularizer, by_name, "l2")


_FAMILY = _family()


def get(identifier: Any) -> RegularizerFunction | None:
    """Whatever stands for a regularizer, as something to call with a weight.

    A name, a config, a class, a regularizer or a function; None stays None. The name "l1_l2" means both factors 0.01,
    as Keras's documentation says (`L1L2()` itself, as there, begins with 0 for both). `UnknownNameError` for an unknown
    name, with the nearest ones; `ArgumentError` for what is none of these.
    """
    found: RegularizerFunction | None = _FAMILY.get(identifier)
    return L1L2(0.01, 0.01) if isinstance(identifier, str) and isinstance(found, L1L2) else found


def serialize(regularizer: RegularizerFunction | None) -> dict[str, Any] | str | None:
    """Plain data that `deserialize` understands: `{"class_name": ..., "config": ...}`, or the name of a function.

    `ArgumentError` for a lambda, and for a class or function of the user that has the name of one of minidl's.
    """
    return _FAMILY.serialize(regularizer)


def deserialize(
    config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> RegularizerFunction | None:
    """What `serialize` described; `custom_objects` adds classes and functions of the user by their names."""
    name = config if isinstance(config, str) else None
    return get(name) if name in _FAMILY.by_name else _FAMILY.deserialize(config, custom_objects)
