"""Constraints: what weights must not become, whatever the gradient says.

Each is a class, `MaxNorm(2)`, and has a string, "max_norm". So is any function of a weight that gives one of its shape.
A layer takes them as `kernel_constraint`, `bias_constraint` and so on; the optimizer applies them after each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minidl.autodiff.tensor import TensorLike
from minidl.configurable import Configurable, Family
from minidl.constraints.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "maxnorm",
    "min_max_norm", "non_neg", "nonneg", "serialize", "unit_norm", "unitnorm",
]  # fmt: skip

# What an optimizer calls: a `Constraint`, or any function of a weight.
ConstraintFunction = Callable[[TensorLike], TensorLike]

# The strings are names, too: `constraints.max_norm(2)` makes a MaxNorm. Those without a line between are older.
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
maxnorm, nonneg, unitnorm = MaxNorm, NonNeg, UnitNorm


def _family() -> Family:
    by_name: dict[str, type[Configurable]] = {
        "max_norm": MaxNorm, "MaxNorm": MaxNorm, "maxnorm": MaxNorm,
        "non_neg": NonNeg, "NonNeg": NonNeg, "nonneg": NonNeg,
        "unit_norm": UnitNorm, "UnitNorm": UnitNorm, "unitnorm": UnitNorm,
        "min_max_norm": MinMaxNorm, "MinMaxNorm": MinMaxNorm,
    }  # fmt: skip
    return Family("constraint", Constraint, by_name, "max_norm")


_FAMILY = _family()


def get(identifier: Any) -> ConstraintFunction | None:
    """Whatever stands for a constraint, as something to call with a weight.

    A name, a config, a class, a constraint or a function; None stays None. `UnknownNameError` for an unknown name, with
    the nearest ones; `ArgumentError` for what is none of these.
    """
    found: ConstraintFunction | None = _FAMILY.get(identifier)
    return found


def serialize(constraint: ConstraintFunction | None) -> dict[str, Any] | str | None:
    """Plain data that `deserialize` understands: `{"class_name": ..., "config": ...}`, or the name of a function.

    `ArgumentError` for a lambda, and for a class or function of the user that has the name of one of minidl's.
    """
    return _FAMILY.serialize(constraint)


def deserialize(
    config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> ConstraintFunction | None:
    """What `serialize` described; `custom_objects` adds classes and functions of the user by their names."""
    found: ConstraintFunction | None = _FAMILY.deserialize(config, custom_objects)
    return found
