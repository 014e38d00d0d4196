"""Distances between distributions: cross-entropies, Kullback-Leibler divergence, Poisson.

Each metric is the mean of the function of the same name. Where probabilities enter a logarithm they are clipped to
[ε, 1 − ε] as in Keras, so that a certain and wrong prediction costs about 16.1 instead of infinity; `from_logits=True`
needs no clipping and is exact. What is no probability is an error here: Keras clips it, and so hides logits passed
without `from_logits=True`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minidl.config import epsilon
from minidl.errors import ArgumentError
from minidl.memory import Array
from minidl.metrics.accuracy import FOR_INTEGERS, labels_and_scores
from minidl.metrics.metric import (
    DType,
    MeanMetricWrapper,
    as_numbers,
    as_weights,
    check_probabilities,
    matching,
    mean_over,
)

FROM_LOGITS = "apply a sigmoid or softmax, or pass from_logits=True"


def binary_crossentropy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """`−mean (y·ln p + (1 − y)·ln(1 − p))` over `axis`; y is in [0, 1], p is `y_pred` or the sigmoid of logits.

    `label_smoothing` s replaces y by `(1 − s)·y + s/2`.
    """
    y, p = matching("binary_crossentropy", y_true, y_pred)
    y = _smooth("binary_crossentropy", y, label_smoothing, 2)
    if from_logits:  # −ln sigmoid(x) = ln(1 + exp(−x))
        return mean_over(y * np.logaddexp(0, -p) + (1 - y) * np.logaddexp(0, p), axis)
    check_probabilities("binary_crossentropy", p, FROM_LOGITS)
    p = np.clip(p, epsilon(), 1 - epsilon())
    return mean_over(-y * np.log(p) - (1 - y) * np.log(1 - p), axis)


def categorical_crossentropy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """`−Σ y·ln p` over the classes along `axis`; p is `y_pred` divided by its sum, or the softmax of logits.

    `label_smoothing` s replaces y by `(1 − s)·y + s/classes`.
    """
    owner = "categorical_crossentropy"
    y, p = matching(owner, y_true, y_pred, FOR_INTEGERS)
    y = _smooth(owner, y, label_smoothing, y.shape[axis])
    entropy: Array = np.sum(-y * _log_probabilities(owner, p, from_logits, axis), axis=axis)
    return entropy


def sparse_categorical_crossentropy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Array:
    """`−ln p[y]`, for integer labels y; p as in `categorical_crossentropy`.

    Labels have the shape of `y_pred` without `axis`, or with size 1 there. Those equal to `ignore_class` give 0; any
    other that is none of the classes is an `ArgumentError`.
    """
    owner = "sparse_categorical_crossentropy"
    y, p = _classes_last(owner, y_true, y_pred, axis)
    kept = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    wrong = kept & ((y < 0) | (y >= p.shape[-1]) | (y % 1 != 0))
    if wrong.any():
        raise ArgumentError(f"{owner}: y_true must hold classes, 0 to {p.shape[-1] - 1}, but there is {y[wrong][0]}")
    label = np.where(kept, y, 0).astype(np.intp)[..., None]
    log_p = np.take_along_axis(_log_probabilities(owner, p, from_logits, -1), label, -1)[..., 0]
    return np.where(kept, -log_p, 0)


def kl_divergence(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`Σ y·ln(y / p)` over the last axis, with y and p clipped to [ε, 1]."""
    y, p = matching("kl_divergence", y_true, y_pred)
    check_probabilities("kl_divergence", p, "apply a softmax")
    y, p = np.clip(y, epsilon(), 1), np.clip(p, epsilon(), 1)
    divergence: Array = np.sum(y * np.log(y / p), axis=-1)
    return divergence


def poisson(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """`mean (ŷ − y·ln(ŷ + ε))` over the last axis, for counts y and their expectations ŷ ≥ 0."""
    y, p = matching("poisson", y_true, y_pred)
    if p.min(initial=0) < 0:
        raise ArgumentError(f"poisson: y_pred must be ≥ 0, but there is {p.min():.6g}: apply exp or softplus")
    return mean_over(p - y * np.log(p + epsilon()))


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of `binary_crossentropy`."""

    direction = "down"

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: DType = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `categorical_crossentropy`."""

    direction = "down"

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: DType = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            categorical_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `sparse_categorical_crossentropy` over the samples whose label is not `ignore_class`.

    (Keras counts the ignored samples as well, unless sample weights are given.)
    """

    direction = "down"

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: DType = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def update_state(  # type: ignore[override]  # see MeanMetricWrapper
        self, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> None:
        """Take in a batch; `sample_weight` as for `Mean`."""
        if self.ignore_class is not None:
            kept = _classes_last(self.name, y_true, y_pred, self.axis)[0] != self.ignore_class
            sample_weight = kept * as_weights(self.name, 1 if sample_weight is None else sample_weight, kept.shape)
        super().update_state(y_true, y_pred, sample_weight)


class KLDivergence(MeanMetricWrapper):
    """The mean of `kl_divergence`."""

    direction = "down"

    def __init__(self, name: str = "kl_divergence", dtype: DType = None) -> None:
        super().__init__(kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """The mean of `poisson`."""

    direction = "down"

    def __init__(self, name: str = "poisson", dtype: DType = None) -> None:
        super().__init__(poisson, name, dtype)


def _smooth(owner: str, y: Array, s: float, classes: int) -> Array:
    """`(1 − s)·y + s/classes`."""
    if not 0 <= s <= 1:
        raise ArgumentError(f"{owner}: label_smoothing must be in [0, 1], got {s!r}")
    smoothed: Array = (1 - s) * y + s / classes
    return smoothed


def _log_probabilities(owner: str, y_pred: Array, from_logits: bool, axis: int) -> Array:
    """`ln p` of the distributions along `axis` that `y_pred` holds as probabilities or as logits."""
    if from_logits:
        shifted = y_pred - y_pred.max(axis, keepdims=True)
        log_p: Array = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    else:
        check_probabilities(owner, y_pred, FROM_LOGITS)
        p = y_pred / np.maximum(y_pred.sum(axis, keepdims=True), epsilon())
        log_p = np.log(np.clip(p, epsilon(), 1 - epsilon()))
    return log_p


def _classes_last(owner: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, axis: int) -> tuple[Array, Array]:
    """Labels (...) and scores (..., classes) from arrays whose classes lie along `axis`."""
    y, p = as_numbers(owner, "y_true", y_true), as_numbers(owner, "y_pred", y_pred)
    if y.ndim == p.ndim:
        y = np.moveaxis(y, axis, -1)
    return labels_and_scores(owner, y, np.moveaxis(p, axis, -1))
