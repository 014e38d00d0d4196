"""Distances between numbers.

Each function takes targets y and predictions ŷ of shape (…, d) and gives the mean over d, shape (…); each class reduces
what its function gives. As in Keras, arrays of shape (d,) are one sample of d values, not d samples.
"""

from __future__ import annotations

import math

from minidl import ops
from minidl.autodiff.tensor import Tensor, TensorLike
from minidl.config import epsilon
from minidl.errors import ArgumentError
from minidl.losses.loss import LossFunctionWrapper, matching


def mean_squared_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = mean (ŷ − y)²."""
    y, p = matching("MeanSquaredError", y_true, y_pred)
    return ops.mean(ops.square(p - y), axis=-1)


def mean_absolute_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = mean |ŷ − y|; its gradient is 0 where ŷ = y."""
    y, p = matching("MeanAbsoluteError", y_true, y_pred)
    return ops.mean(ops.abs(p - y), axis=-1)


def mean_absolute_percentage_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = 100·mean |ŷ − y| / max(|y|, ε), in percent."""
    y, p = matching("MeanAbsolutePercentageError", y_true, y_pred)
    return 100 * ops.mean(ops.abs(p - y) / ops.clip(ops.abs(y), epsilon(), None), axis=-1)


def mean_squared_logarithmic_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = mean (ln(1 + max(ŷ, ε)) − ln(1 + max(y, ε)))²: for numbers ≥ 0; below ε they all count as ε."""
    y, p = matching("MeanSquaredLogarithmicError", y_true, y_pred)
    difference = ops.log1p(ops.clip(p, epsilon(), None)) - ops.log1p(ops.clip(y, epsilon(), None))
    return ops.mean(ops.square(difference), axis=-1)


def huber(y_true: TensorLike, y_pred: TensorLike, delta: float = 1.0) -> Tensor:
    """l = mean of ½e² where |e| ≤ δ, δ(|e| − ½δ) elsewhere, e = ŷ − y.  (Huber 1964)

    Computed as c(e − ½c) with c = min(max(e, −δ), δ): the same, and no large e is squared.
    """
    _check_delta(delta)
    y, p = matching("Huber", y_true, y_pred)
    error = p - y
    clipped = ops.clip(error, -delta, delta)
    return ops.mean(clipped * (error - 0.5 * clipped), axis=-1)


def log_cosh(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = mean ln cosh e, e = ŷ − y: near ½e² for small e, |e| − ln 2 for large.

    Computed as e + ln(1 + e^(−2e)) − ln 2, where nothing overflows.
    """
    y, p = matching("LogCosh", y_true, y_pred)
    error = p - y
    return ops.mean(error + ops.softplus(-2 * error) - math.log(2), axis=-1)


def cosine_similarity(y_true: TensorLike, y_pred: TensorLike, axis: int = -1) -> Tensor:
    """l = −y·ŷ / (max(|y|, ε)·max(|ŷ|, ε)) over `axis`: −1 for equal directions, 1 for opposite ones.

    The sign makes it a loss; the metric of this name has the other one.
    """
    y, p = matching("CosineSimilarity", y_true, y_pred)
    return -ops.sum(_unit(y, axis) * _unit(p, axis), axis=axis)


def _unit(x: Tensor, axis: int) -> Tensor:
    """x / max(|x|, ε); x is divided by its largest element first, so that no square overflows."""
    largest = ops.clip(ops.max(ops.abs(x), axis, keepdims=True), epsilon(), None)
    x = x / largest
    square = ops.sum(ops.square(x), axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(square, ops.square(epsilon() / largest)))


def _check_delta(delta: float) -> None:
    if not 0 < delta < math.inf:
        raise ArgumentError(f"Huber: expected delta > 0, got {delta!r}")


class MeanSquaredError(LossFunctionWrapper):
    """`mean_squared_error`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error") -> None:
        super().__init__(mean_squared_error, reduction, name)


class MeanAbsoluteError(LossFunctionWrapper):
    """`mean_absolute_error`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error") -> None:
        super().__init__(mean_absolute_error, reduction, name)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """`mean_absolute_percentage_error`, reduced."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_percentage_error"
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """`mean_squared_logarithmic_error`, reduced."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_logarithmic_error"
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name)


class Huber(LossFunctionWrapper):
    """`huber`, reduced."""

    def __init__(
        self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str = "huber_loss"
    ) -> None:
        _check_delta(delta)
        super().__init__(huber, reduction, name, delta=delta)
        self.delta = delta


class LogCosh(LossFunctionWrapper):
    """`log_cosh`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh") -> None:
        super().__init__(log_cosh, reduction, name)


class CosineSimilarity(LossFunctionWrapper):
    """`cosine_similarity`, reduced."""

    def __init__(
        self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str = "cosine_similarity"
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, axis=axis)
        self.axis = axis
