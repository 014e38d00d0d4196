"""Gradients on their way into an optimizer: everything that can be wrong with them is found before anything changes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.autodiff.tensor import plain
from minidl.errors import ArgumentError, DTypeError, MiniDLWarning, ShapeError
from minidl.layers.variable import Variable
from minidl.memory import Array


def fitting(owner: str, gradients: Sequence[Any], variables: Sequence[Any]) -> list[tuple[Array, Variable]]:
    """The gradients, arrays of the shapes and dtypes of their variables, each with its variable.

    Variables whose gradient is None are left out, with a warning that names them. Errors speak in the name of `owner`.
    """
    if len(gradients) != len(variables):
        raise ArgumentError(f"{owner}: got {len(gradients)} gradients for {len(variables)} variables")
    _check_variables(owner, variables)
    missing = [variable.path for g, variable in zip(gradients, variables, strict=True) if g is None]
    if missing and len(missing) == len(variables):
        raise ArgumentError(
            f"{owner}: no gradients for any variable: does the loss depend on {', '.join(missing)}, "
            "and was it computed on the tape?"
        )
    given = [(_as_array(owner, g, v), v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    if missing:
        warnings.warn(
            f"{owner}: no gradients for {', '.join(missing)}: the loss does not depend on them, they stay as they are",
            MiniDLWarning,
            stacklevel=3,
        )
    return _unshared(given)


def _check_variables(owner: str, variables: Sequence[Any]) -> None:
    """Each a floating-point variable, none of them twice."""
    for k, variable in enumerate(variables):
        if not isinstance(variable, Variable):
            raise DTypeError(f"{owner}: expected a Variable in place {k}, got {type(variable).__name__}")
        if variable.dtype.kind != "f":
            raise DTypeError(
                f"{owner}: {variable.path!r} has dtype {variable.dtype}: only real floating-point variables can be "
                "optimized"
            )
    if len({id(variable) for variable in variables}) < len(variables):
        paths = ", ".join(variable.path for variable in variables)
        raise ArgumentError(f"{owner}: a variable comes twice, add its gradients: {paths}")


def _as_array(owner: str, gradient: Any, variable: Variable) -> Array:
    """The gradient as an array of the variable's shape and dtype."""
    g = np.asarray(plain(gradient))
    if g.shape != variable.shape:
        expected = f"must have its shape, {variable.shape}"
        raise ShapeError(f"{owner}: the gradient of {variable.path!r} {expected}, got {g.shape}")
    if g.dtype.kind not in "fiu":
        raise DTypeError(f"{owner}: the gradient of {variable.path!r} must be real, got {g.dtype}")
    return g.astype(variable.dtype, copy=False)


def _unshared(pairs: list[tuple[Array, Variable]]) -> list[tuple[Array, Variable]]:
    """The pairs, gradients copied that lie in a variable's own memory and would change while the step is taken."""
    owned = {id(_holder(variable.data)) for _, variable in pairs}
    return [(g.copy() if id(_holder(g)) in owned else g, variable) for g, variable in pairs]


def _holder(array: Array) -> object:
    """What holds the memory of the array."""
    return array if array.base is None else array.base
