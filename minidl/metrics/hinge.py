"""Hinge errors: how far predictions are from being right by a margin of 1.

Each function takes labels y and scores ŷ of shape (..., d) and gives shape (...); each metric is the mean of its
function. Binary labels are −1 and 1; as in Keras, a batch whose labels are all 0 or 1 is taken to mean −1 and 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minidl.memory import Array
from minidl.metrics.metric import DType, MeanMetricWrapper, matching, mean_over


def hinge(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`mean max(0, 1 − y·ŷ)` over the last axis."""
    return mean_over(_shortfall(*matching("hinge", y_true, y_pred)))


def squared_hinge(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`mean max(0, 1 − y·ŷ)²` over the last axis."""
    return mean_over(np.square(_shortfall(*matching("squared_hinge", y_true, y_pred))))


def categorical_hinge(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`max(0, 1 + max (1 − y)·ŷ − Σ y·ŷ)` over the last axis: the best wrong class against the right one."""
    y, p = matching("categorical_hinge", y_true, y_pred)
    shortfall: Array = np.maximum(0, 1 + np.max((1 - y) * p, axis=-1) - np.sum(y * p, axis=-1))
    return shortfall


def _shortfall(y: Array, p: Array) -> Array:
    """`max(0, 1 − y·ŷ)`, with labels 0 and 1 turned into −1 and 1."""
    if np.all((y == 0) | (y == 1)):
        y = 2 * y - 1
    shortfall: Array = np.maximum(0, 1 - y * p)
    return shortfall


class Hinge(MeanMetricWrapper):
    """The mean of `hinge`."""

    direction = "down"

    def __init__(self, name: str = "hinge", dtype: DType = None) -> None:
        super().__init__(hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """The mean of `squared_hinge`."""

    direction = "down"

    def __init__(self, name: str = "squared_hinge", dtype: DType = None) -> None:
        super().__init__(squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """The mean of `categorical_hinge`."""

    direction = "down"

    def __init__(self, name: str = "categorical_hinge", dtype: DType = None) -> None:
        super().__init__(categorical_hinge, name, dtype)
