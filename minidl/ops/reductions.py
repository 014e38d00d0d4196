"""Reductions over one axis, several, or all (`axis=None`); the formulas stand in `minidl.kernels.reductions`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import kernels
from minidl.autodiff.tensor import Tensor, TensorLike, apply, as_tensor, check_axis, floating
from minidl.errors import ArgumentError, ShapeError

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "cumsum", "logsumexp", "max", "mean", "min", "prod", "std", "sum",
    "var",
]  # fmt: skip

Axis = int | tuple[int, ...] | None


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = Σx."""
    x = as_tensor(x)
    return apply(kernels.Sum(check_axis(axis, x.ndim), keepdims), x)


def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = Σx / n."""
    x = floating(x)
    return apply(kernels.Mean(check_axis(axis, x.ndim), keepdims), x)


def var(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = Σ(x − x̄)² / n, the biased variance, in two passes."""
    x = floating(x)
    return apply(kernels.Variance(check_axis(axis, x.ndim), keepdims), x)


def std(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = √(Σ(x − x̄)² / n); its gradient is 0 where y is."""
    x = floating(x)
    return apply(kernels.StandardDeviation(check_axis(axis, x.ndim), keepdims), x)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = the largest element; several that are equal share its gradient."""
    x = as_tensor(x)
    return apply(kernels.Max(_nonempty("max", x, axis), keepdims), x)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = the smallest element; several that are equal share its gradient."""
    x = as_tensor(x)
    return apply(kernels.Min(_nonempty("min", x, axis), keepdims), x)


amax, amin = max, min


def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = ∏x."""
    x = as_tensor(x)
    return apply(kernels.Prod(check_axis(axis, x.ndim), keepdims), x)


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = ln Σ eˣ, finite for every finite x; −∞ for a row of −∞."""
    x = floating(x)
    return apply(kernels.LogSumExp(check_axis(axis, x.ndim), keepdims), x)


def cumsum(x: TensorLike, axis: int | None = None) -> Tensor:
    """yᵢ = x₀ + … + xᵢ along `axis`, of the flattened tensor by default."""
    x = as_tensor(x)
    if axis is None:
        x, axis = apply(kernels.Reshape((x.size,)), x), 0
    check_axis(axis, x.ndim)
    return apply(kernels.CumSum(axis), x)


def argmax(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the (first) largest element; not differentiable."""
    return _position("argmax", x, axis, keepdims)


def argmin(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the (first) smallest element; not differentiable."""
    return _position("argmin", x, axis, keepdims)


def any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether at least one element is not 0; not differentiable."""
    return _reduce("any", x, axis, keepdims)


def all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether no element is 0; not differentiable."""
    return _reduce("all", x, axis, keepdims)


def _position(name: str, x: TensorLike, axis: int | None, keepdims: bool) -> Tensor:
    if isinstance(axis, tuple):
        raise ArgumentError(f"{name}: expected one axis or None, got {axis}")
    x = as_tensor(x)
    _nonempty(name, x, axis)
    return _reduce(name, x, axis, keepdims)


def _reduce(name: str, x: TensorLike, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    check_axis(axis, x.ndim)
    return apply(kernels.NonDifferentiable(name, (("axis", axis), ("keepdims", keepdims))), x)


def _nonempty(name: str, x: Tensor, axis: Any) -> int | tuple[int, ...] | None:
    """The axis, if there is something along it to choose from."""
    checked = check_axis(axis, x.ndim)
    axes = range(x.ndim) if checked is None else np.atleast_1d(checked)
    if 0 in (x.shape[a] for a in axes):
        raise ShapeError(f"{name}: a tensor of shape {x.shape} has no elements along axis {axis}")
    return checked
