"""Distances between distributions: the losses of classification, and of counts.

The cross-entropies take probabilities or, with `from_logits=True`, what a softmax or sigmoid would make them of. Logits
are the better choice: a probability in float32 is exactly 1 from a logit of 18 on, and has no gradient any more.

Probabilities are divided by their sum and kept in [ε, 1 − ε], ε = `minidl.config.epsilon()`, as in Keras: the loss is
at most −ln ε ≈ 16, and where the bounds act the gradient is 0. (The sum is taken to be at least ε, too.)
"""

from __future__ import annotations

import math

import numpy as np

from minidl import kernels, ops
from minidl.autodiff.tensor import Tensor, TensorLike, apply, as_tensor, cast, floating, perform
from minidl.config import epsilon
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.losses.loss import AVERAGES, LossFunctionWrapper, matching
from minidl.memory import Array

# How far a probability computed in float32 may leave [0, 1].
ROUNDING = 1e-6

_SPARSE = "SparseCategoricalCrossentropy"
_FROM_LOGITS = "end the model with an activation that makes probabilities, or use from_logits=True"


def sparse_categorical_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """l = −ln p[y], p the distribution along `axis` that `y_pred` holds, as probabilities or as logits.

    Labels y are integers and have the shape of `y_pred` without `axis`, or with size 1 there. Those equal to
    `ignore_class` have loss 0; any other that is none of the classes is an `ArgumentError`.
    """
    labels, y_pred = _labels_and_predictions(y_true, y_pred, ignore_class, axis)
    if ignore_class is not None:
        counted = ops.not_equal(labels, ignore_class)
        return ops.where(counted, _of_labels(ops.where(counted, labels, 0), y_pred, from_logits), 0)
    return _of_labels(labels, y_pred, from_logits)


def categorical_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """l = −Σ y·ln p over the classes along `axis`, y one-hot or any distribution, p as probabilities or as logits.

    `label_smoothing` s replaces y by (1 − s)·y + s/classes.  (Szegedy et al. 2016, section 7)
    """
    owner = "CategoricalCrossentropy"
    _check_label_smoothing(owner, label_smoothing)
    p = floating(y_pred)
    y = as_tensor(y_true, p.dtype)
    sparse = y.ndim < p.ndim or (y.ndim and y.shape[-1] == 1)
    y, p = matching(owner, y, p, ": for integer labels use sparse_categorical_crossentropy" if sparse else "")
    y, p = _last(y, axis), _last(p, axis)
    classes = _classes(owner, p)
    if label_smoothing:
        y = y * (1 - label_smoothing) + label_smoothing / classes
    if from_logits:
        return ops.softmax_crossentropy(p, y)
    _check_range(owner, p, math.inf, _FROM_LOGITS)
    total = ops.sum(p, axis=-1, keepdims=True)
    return ops.sum(y * _minus_log(p / ops.clip(total, epsilon(), None)), axis=-1)


def binary_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """l = −mean (y·ln p + (1 − y)·ln(1 − p)) over `axis`, y from 0 to 1, p a probability or the sigmoid of a logit.

    `label_smoothing` s replaces y by (1 − s)·y + s/2.
    """
    owner = "BinaryCrossentropy"
    _check_label_smoothing(owner, label_smoothing)
    y, p = matching(owner, y_true, y_pred)
    perform(_check_binary_labels, y)
    if label_smoothing:
        y = y * (1 - label_smoothing) + label_smoothing / 2
    if from_logits:
        return ops.mean(ops.sigmoid_crossentropy(p, y), axis=axis)
    _check_range(owner, p, 1, _FROM_LOGITS)
    p = ops.clip(p, epsilon(), 1 - epsilon())
    return -ops.mean(y * ops.log(p) + (1 - y) * ops.log(1 - p), axis=axis)


def kl_divergence(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = Σ y·ln(y / p) over the last axis, with y and p kept in [ε, 1].  (Kullback & Leibler 1951)"""
    y, p = matching("KLDivergence", y_true, y_pred)
    _check_range("KLDivergence", p, 1, "end the model with a softmax")
    y, p = ops.clip(y, epsilon(), 1), ops.clip(p, epsilon(), 1)
    return ops.sum(y * ops.log(y / p), axis=-1)


def poisson(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = mean (ŷ − y·ln(ŷ + ε)) over the last axis: counts y, their expectations ŷ ≥ 0, ln y! left out."""
    y, p = matching("Poisson", y_true, y_pred)
    _check_range("Poisson", p, math.inf, "end the model with exponential or softplus", rounding=0)
    return ops.mean(p - y * ops.log(p + epsilon()), axis=-1)


def _check_label_smoothing(owner: str, label_smoothing: float) -> None:
    """Raise an `ArgumentError` unless 0 ≤ s ≤ 1."""
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{owner}: expected label_smoothing from 0 to 1, got {label_smoothing!r}")


def _of_labels(labels: Tensor, y_pred: Tensor, from_logits: bool) -> Tensor:
    """−ln p[label] along the last axis."""
    if from_logits:
        return ops.sparse_softmax_crossentropy(y_pred, labels)
    _check_range(_SPARSE, y_pred, math.inf, _FROM_LOGITS)
    return apply(kernels.SparseCrossentropy(epsilon()), y_pred, labels)


def _minus_log(p: Tensor) -> Tensor:
    """−ln p, p kept in [ε, 1 − ε]."""
    return -ops.log(ops.clip(p, epsilon(), 1 - epsilon()))


def _labels_and_predictions(
    y_true: TensorLike, y_pred: TensorLike, ignore_class: int | None, axis: int
) -> tuple[Tensor, Tensor]:
    """Integer labels (…) and predictions (…, classes), checked."""
    labels, y_pred = as_tensor(y_true), floating(y_pred)
    predictions = _last(y_pred, axis)
    classes = _classes(_SPARSE, predictions)
    expected = predictions.shape[:-1]
    if labels.ndim == y_pred.ndim and labels.shape[axis] == 1:
        labels = ops.squeeze(labels, axis)
    if labels.shape != expected:
        hint = ": for one-hot labels use categorical_crossentropy" if labels.shape == y_pred.shape else ""
        raise ShapeError(
            f"{_SPARSE}: expected labels of shape {expected} for y_pred of shape {y_pred.shape}, "
            f"got {labels.shape}{hint}"
        )
    perform(_check_labels, labels, classes, ignore_class)
    return labels if labels.dtype.kind == "i" else cast(labels, np.int64), predictions


def _check_labels(labels: Array, classes: int, ignore_class: int | None) -> None:
    """Raise the error that labels deserve which are no integers or none of the classes."""
    if labels.dtype.kind == "c":
        raise DTypeError(f"{_SPARSE}: expected integer labels, got dtype {labels.dtype}")
    if labels.dtype.kind == "f" and (fractions := labels != np.floor(labels)).any():
        raise ArgumentError(f"{_SPARSE}: expected integer labels, got {_first(labels, fractions)}")
    # Mostly all are right, which two numbers tell.
    if not labels.size or (labels.min() >= 0 and labels.max() < classes):
        return
    wrong = (labels < 0) | (labels >= classes)
    if ignore_class is not None:
        wrong &= labels != ignore_class
    if wrong.any():
        raise ArgumentError(f"{_SPARSE}: expected labels from 0 to {classes - 1}, got {_first(labels, wrong)}")


def _check_binary_labels(y_true: Array) -> None:
    y = y_true.real
    wrong = (y < 0) | (y > 1)
    if wrong.any():
        raise ArgumentError(f"BinaryCrossentropy: expected labels from 0 to 1, got {_first(y, wrong)}")


def _check_range(owner: str, y_pred: Tensor, high: float, advice: str, rounding: float = ROUNDING) -> None:
    """Raise an `ArgumentError` that ends with `advice` if predictions leave [0, high]."""
    perform(_check_values, owner, y_pred, high, advice, rounding)


def _check_values(owner: str, y_pred: Array, high: float, advice: str, rounding: float) -> None:
    values = y_pred.real
    least, most = values.min(initial=0), values.max(initial=0)
    if least < -rounding or most > high + rounding:
        raise ArgumentError(
            f"{owner}: expected y_pred from 0 to {high:g}, but it goes from {least:.6g} to {most:.6g}: {advice}"
        )


def _first(values: Array, where: Array) -> str:
    """The first of the values selected by `where`, and its position."""
    index = tuple(int(i) for i in np.argwhere(where)[0])
    return f"{values[index]!s} at position {index[0] if len(index) == 1 else index}"


def _last(x: Tensor, axis: int) -> Tensor:
    """x with `axis` moved to the end."""
    return x if axis in (-1, x.ndim - 1) else ops.moveaxis(x, axis, -1)


def _classes(owner: str, y_pred: Tensor) -> int:
    """The number of classes, at least 2."""
    if not y_pred.ndim or y_pred.shape[-1] < 2:
        raise ShapeError(
            f"{owner}: expected predictions for at least 2 classes, got y_pred of shape {y_pred.shape}: "
            "for the probability of yes or no use binary_crossentropy"
        )
    return y_pred.shape[-1]


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`sparse_categorical_crossentropy`, reduced; labels equal to `ignore_class` are not counted in a mean."""

    integer_targets = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy, reduction, name,
            from_logits=from_logits, ignore_class=ignore_class, axis=axis,
        )  # fmt: skip
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def check(self, y_true: TensorLike, y_pred: TensorLike) -> None:
        """Raise an error for labels that are no integers or none of the classes."""
        _labels_and_predictions(y_true, y_pred, self.ignore_class, self.axis)

    def _weights(self, y_true: Tensor, losses: Tensor, sample_weight: TensorLike) -> Tensor | None:
        """`sample_weight`, and 0 where the class is ignored."""
        weights = super()._weights(y_true, losses, sample_weight)
        if self.ignore_class is None:
            return weights
        labels = ops.reshape(cast(y_true, np.int64), losses.shape)
        counted = cast(ops.not_equal(labels, self.ignore_class), losses.dtype)
        if self.reduction in AVERAGES:
            # The mean divides by the number of all labels: make up for those that are ignored.
            counted = counted / ops.clip(ops.mean(counted), 1 / losses.size, None)
        return counted if weights is None else counted * weights


class CategoricalCrossentropy(LossFunctionWrapper):
    """`categorical_crossentropy`, reduced."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
    ) -> None:
        _check_label_smoothing("CategoricalCrossentropy", label_smoothing)
        super().__init__(
            categorical_crossentropy, reduction, name,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class BinaryCrossentropy(LossFunctionWrapper):
    """`binary_crossentropy`, reduced."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
    ) -> None:
        _check_label_smoothing("BinaryCrossentropy", label_smoothing)
        super().__init__(
            binary_crossentropy, reduction, name,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def check(self, y_true: TensorLike, y_pred: TensorLike) -> None:
        """Raise an error for labels that are not from 0 to 1."""
        perform(_check_binary_labels, as_tensor(y_true))


class KLDivergence(LossFunctionWrapper):
    """`kl_divergence`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence") -> None:
        super().__init__(kl_divergence, reduction, name)


class Poisson(LossFunctionWrapper):
    """`poisson`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson") -> None:
        super().__init__(poisson, reduction, name)
