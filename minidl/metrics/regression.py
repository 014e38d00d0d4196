"""Distances between numbers: the losses of regression, measured over many batches.

Each function takes targets y and predictions ŷ of shape (..., d) and gives the mean over d, shape (...); each metric
is the mean of its function. As in Keras, arrays of shape (d,) are one sample of d values, not d samples.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.config import epsilon
from minidl.memory import Array
from minidl.metrics.metric import DType, MeanMetricWrapper, matching, mean_over


def squared_error(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`(y − ŷ)²`, element by element."""
    y, p = matching("squared_error", y_true, y_pred)
    error: Array = np.square(y - p)
    return error


def mean_squared_error(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`mean (y − ŷ)²` over the last axis."""
    y, p = matching("mean_squared_error", y_true, y_pred)
    return mean_over(np.square(y - p))


def mean_absolute_error(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`mean |y − ŷ|` over the last axis."""
    y, p = matching("mean_absolute_error", y_true, y_pred)
    return mean_over(np.abs(y - p))


def mean_absolute_percentage_error(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`100 · mean |y − ŷ| / max(|y|, ε)` over the last axis, in percent."""
    y, p = matching("mean_absolute_percentage_error", y_true, y_pred)
    return mean_over(100 * np.abs(y - p) / np.maximum(np.abs(y), epsilon()))


def mean_squared_logarithmic_error(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`mean (ln(1 + max(y, ε)) − ln(1 + max(ŷ, ε)))²` over the last axis."""
    y, p = matching("mean_squared_logarithmic_error", y_true, y_pred)
    return mean_over(np.square(np.log1p(np.maximum(y, epsilon())) - np.log1p(np.maximum(p, epsilon()))))


def log_cosh(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`mean ln cosh(y − ŷ)` over the last axis, as `|x| + ln(1 + exp(−2|x|)) − ln 2`, which cannot overflow."""
    y, p = matching("log_cosh", y_true, y_pred)
    x = np.abs(y - p)
    return mean_over(x + np.log1p(np.exp(-2 * x)) - math.log(2))


def cosine_similarity(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, axis: int = -1) -> Array:
    """`y·ŷ / (|y||ŷ|)` over `axis`: 1 for equal directions, 0 for a right angle or a zero vector, −1 for opposite.

    A length is taken to be at least ε. (The loss of this name has the opposite sign.)
    """
    y, p = matching("cosine_similarity", y_true, y_pred)
    similarity: Array = np.sum(_unit(y, axis) * _unit(p, axis), axis=axis)
    return similarity


def _unit(x: Array, axis: int) -> Array:
    unit: Array = x / np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), epsilon())
    return unit


class MeanSquaredError(MeanMetricWrapper):
    """The mean of `mean_squared_error`."""

    direction = "down"

    def __init__(self, name: str = "mean_squared_error", dtype: DType = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


class RootMeanSquaredError(MeanMetricWrapper):
    """`√ mean (y − ŷ)²`: the root of the mean over everything seen, not the mean of the batches' roots."""

    direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: DType = None) -> None:
        super().__init__(squared_error, name, dtype)

    def result(self) -> Any:
        """The root of the mean so far."""
        return np.sqrt(super().result())


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of `mean_absolute_error`."""

    direction = "down"

    def __init__(self, name: str = "mean_absolute_error", dtype: DType = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean of `mean_absolute_percentage_error`."""

    direction = "down"

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: DType = None) -> None:
        super().__init__(mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean of `mean_squared_logarithmic_error`."""

    direction = "down"

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: DType = None) -> None:
        super().__init__(mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """The mean of `log_cosh`."""

    direction = "down"

    def __init__(self, name: str = "logcosh", dtype: DType = None) -> None:
        super().__init__(log_cosh, name, dtype)


class CosineSimilarity(MeanMetricWrapper):
    """The mean of `cosine_similarity`."""

    direction = "up"

    def __init__(self, name: str = "cosine_similarity", dtype: DType = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)
        self.axis = axis
