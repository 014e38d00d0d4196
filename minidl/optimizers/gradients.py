"""Gradients on their way into an optimizer: everything that can be wrong with them is found before anything changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.autodiff.tensor import Tensor, cast, constant, plain
from minidl.errors import ArgumentError, DTypeError, ShapeError, warn_caller
from minidl.layers.variable import Variable


def fitting(owner: str, gradients: Sequence[Any], variables: Sequence[Any]) -> list[tuple[Tensor, Variable]]:
    """The gradients, tensors of the shapes and dtypes of their variables, each with its variable.

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
    given = [(_as_fitting(owner, g, v), v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    if missing:
        warn_caller(
            f"{owner}: no gradients for {', '.join(missing)}: the loss does not depend on them, they stay as they are"
        )
    return given


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


def _as_fitting(owner: str, gradient: Any, variable: Variable) -> Tensor:
    """The gradient as a tensor of the variable's shape and dtype."""
    g = gradient if isinstance(gradient, Tensor) else constant(np.asarray(plain(gradient)))
    if g.shape != variable.shape:
        expected = f"must have its shape, {variable.shape}"
        raise ShapeError(f"{owner}: the gradient of {variable.path!r} {expected}, got {g.shape}")
    if g.dtype.kind not in "fiu":
        raise DTypeError(f"{owner}: the gradient of {variable.path!r} must be real, got {g.dtype}")
    return cast(g, variable.dtype)
