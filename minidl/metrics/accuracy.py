"""Accuracies: the share of predictions that are right, for every form that labels and predictions come in.

Each is a function of a batch that returns 1 or 0 for a prediction, and a metric of the same name that is its mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minidl.checks import count
from minidl.config import floatx
from minidl.errors import ShapeError
from minidl.memory import Array
from minidl.metrics.metric import DType, MeanMetricWrapper, as_numbers, matching

FOR_INTEGERS = ": for integer labels there is the metric of the same name with 'sparse' in front"


def accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """1 where `y = ŷ`, else 0, element by element."""
    y, p = matching("accuracy", y_true, y_pred)
    return _ones_and_zeros(y == p)


def binary_accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, threshold: float = 0.5) -> Array:
    """1 where `y = [ŷ > threshold]`, else 0, element by element; y is 0 or 1."""
    y, p = matching("binary_accuracy", y_true, y_pred)
    return _ones_and_zeros(y == (p > threshold))


def categorical_accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """1 where `argmax y = argmax ŷ` over the last axis, else 0: one-hot labels; (..., classes) gives (...)."""
    y, p = matching("categorical_accuracy", y_true, y_pred, FOR_INTEGERS)
    return _ones_and_zeros(y.argmax(-1) == p.argmax(-1))


def sparse_categorical_accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """1 where `y = argmax ŷ` over the last axis, else 0: integer labels; (..., classes) gives (...).

    Labels have the shape (...) or (..., 1). One that is none of the classes is never right.
    """
    y, p = labels_and_scores("sparse_categorical_accuracy", y_true, y_pred)
    return _ones_and_zeros(y == p.argmax(-1))


def top_k_categorical_accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, k: int = 5) -> Array:
    """1 where the class of the one-hot label is among the `k` of highest score, else 0; (..., classes) gives (...)."""
    y, p = matching("top_k_categorical_accuracy", y_true, y_pred, FOR_INTEGERS)
    return sparse_top_k_categorical_accuracy(y.argmax(-1), p, k)


def sparse_top_k_categorical_accuracy(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """1 where fewer than `k` classes have a higher score than the label's, else 0; (..., classes) gives (...).

    So ties count in the label's favour. A label that is none of the classes, or whose score is NaN, is never right.
    With `from_sorted_ids`, `y_pred` holds the classes themselves, best first, in place of scores.
    """
    count("sparse_top_k_categorical_accuracy", "k", k)
    y, p = labels_and_scores("sparse_top_k_categorical_accuracy", y_true, y_pred)
    if from_sorted_ids:
        return _ones_and_zeros((y[..., None] == p[..., :k]).any(-1))
    is_label = y[..., None] == np.arange(p.shape[-1])
    own = np.where(is_label, p, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    return _ones_and_zeros((own[..., 0] > -np.inf) & ((p > own).sum(-1) < k))


def _ones_and_zeros(right: Array) -> Array:
    return right.astype(floatx())


class Accuracy(MeanMetricWrapper):
    """How often the predictions equal the labels: the mean of `accuracy`."""

    direction = "up"

    def __init__(self, name: str = "accuracy", dtype: DType = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions above the threshold have the label 1 and the others 0: the mean of `binary_accuracy`."""

    direction = "up"

    def __init__(self, name: str = "binary_accuracy", dtype: DType = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the highest score is that of the one-hot label: the mean of `categorical_accuracy`."""

    direction = "up"

    def __init__(self, name: str = "categorical_accuracy", dtype: DType = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the highest score is that of the integer label: the mean of `sparse_categorical_accuracy`."""

    direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: DType = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot label is among the `k` highest scores: the mean of `top_k_categorical_accuracy`."""

    direction = "up"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: DType = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=count(name, "k", k))
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label is among the `k` highest scores: the mean of `sparse_top_k_categorical_accuracy`."""

    direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: DType = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            sparse_top_k_categorical_accuracy, name, dtype, k=count(name, "k", k), from_sorted_ids=from_sorted_ids
        )
        self.k = k
        self.from_sorted_ids = from_sorted_ids


def labels_and_scores(owner: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[Array, Array]:
    """Labels of shape (...) and scores of shape (..., classes), or a `ShapeError`; labels may come as (..., 1)."""
    labels, scores = as_numbers(owner, "y_true", y_true), as_numbers(owner, "y_pred", y_pred)
    if labels.ndim == scores.ndim > 0 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != scores.shape[:-1] or scores.ndim == 0:
        raise ShapeError(
            f"{owner}: expected integer labels y_true of shape (n,) or (n, 1) beside scores y_pred of shape "
            f"(n, classes), got {np.shape(y_true)} and {scores.shape}: for one-hot labels there is the metric of the "
            "same name without 'sparse'"
        )
    return labels, scores

