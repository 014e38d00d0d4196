"""Hinge losses: a score has to be right by a margin of 1, then it costs nothing.  (Cortes & Vapnik 1995)

Each function takes labels y and scores ŷ of shape (…, d) and gives shape (…); each class reduces what its function
gives. Binary labels are −1 and 1; as in Keras, a batch whose labels are all 0 or 1 is taken to mean −1 and 1.
"""

from __future__ import annotations

from minidl import ops
from minidl.autodiff.tensor import Tensor, TensorLike
from minidl.losses.loss import LossFunctionWrapper, matching


def hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = mean max(0, 1 − y·ŷ) over the last axis."""
    return ops.mean(_shortfall("Hinge", y_true, y_pred), axis=-1)


def squared_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = mean max(0, 1 − y·ŷ)² over the last axis."""
    return ops.mean(ops.square(_shortfall("SquaredHinge", y_true, y_pred)), axis=-1)


def categorical_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """l = max(0, 1 + max (1 − y)·ŷ − Σ y·ŷ) over the last axis, y one-hot: the best wrong class against the right one.

    (Crammer & Singer 2001; like Keras, it lets the right class compete with score 0.)
    """
    y, p = matching("CategoricalHinge", y_true, y_pred)
    return ops.maximum(ops.max((1 - y) * p, axis=-1) - ops.sum(y * p, axis=-1) + 1, 0)


def _shortfall(owner: str, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """max(0, 1 − y·ŷ), with labels 0 and 1 turned into −1 and 1."""
    y, p = matching(owner, y_true, y_pred)
    binary = ops.all(ops.logical_or(ops.equal(y, 0), ops.equal(y, 1)))
    return ops.maximum(1 - ops.where(binary, 2 * y - 1, y) * p, 0)


class Hinge(LossFunctionWrapper):
    """`hinge`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge") -> None:
        super().__init__(hinge, reduction, name)


class SquaredHinge(LossFunctionWrapper):
    """`squared_hinge`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge") -> None:
        super().__init__(squared_hinge, reduction, name)


class CategoricalHinge(LossFunctionWrapper):
    """`categorical_hinge`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge") -> None:
        super().__init__(categorical_hinge, reduction, name)
