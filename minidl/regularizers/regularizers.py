"""The regularizers: penalties on large weights, and on rows that point in the same direction.

A network that fits noise needs large weights of opposite signs to do so. A penalty makes them cost something: L2 pulls
each weight towards 0 in proportion to its size, which gives many small ones; L1 pulls all of them equally hard, which
leaves few that are not 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import config, ops
from minidl.autodiff.tensor import Tensor, TensorLike, floating
from minidl.checks import number, renamed
from minidl.configurable import Configurable
from minidl.errors import AbstractMethodError, ShapeError, unknown_name

_MODES = ("rows", "columns")


class Regularizer(Configurable):
    """What makes one number, to be added to the loss, of a weight or of what a layer gives.

    A subclass defines `__call__(self, x)` from differentiable operations and keeps each argument of its `__init__` as
    an attribute of the same name: `get_config`, `from_config` and `repr` follow from that one rule.
    """

    def __call__(self, x: TensorLike) -> TensorLike:
        """The penalty on x."""
        raise AbstractMethodError(f"{type(self).__name__} must define __call__(self, x)")


class L1(Regularizer):
    """y = l1·Σ|x|: makes weights sparse. (Tibshirani 1996, the lasso)

    `l` is an old name of `l1`.
    """

    def __init__(self, l1: float = 0.01, **old: Any) -> None:
        self.l1 = number(self, "l1", renamed(self, "l1", l1, "l", old), "≥ 0")

    def __call__(self, x: TensorLike) -> Tensor:
        """l1·Σ|x|."""
        return ops.sum(ops.absolute(floating(x))) * self.l1


class L2(Regularizer):
    """y = l2·Σx², without the ½ that papers have: makes weights small. (Hoerl & Kennard 1970, ridge regression)

    With plain gradient descent it is weight decay by 2·l2·η a step; with adaptive optimizers it is not (see `AdamW`).
    `l` is an old name of `l2`.
    """

    def __init__(self, l2: float = 0.01, **old: Any) -> None:
        self.l2 = number(self, "l2", renamed(self, "l2", l2, "l", old), "≥ 0")

    def __call__(self, x: TensorLike) -> Tensor:
        """l2·Σx²."""
        return ops.sum(ops.square(floating(x))) * self.l2


class L1L2(Regularizer):
    """y = l1·Σ|x| + l2·Σx²: both at once. (Zou & Hastie 2005, the elastic net)"""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = number(self, "l1", l1, "≥ 0")
        self.l2 = number(self, "l2", l2, "≥ 0")

    def __call__(self, x: TensorLike) -> Tensor:
        """l1·Σ|x| + l2·Σx²."""
        return L1(self.l1)(x) + L2(self.l2)(x)


class OrthogonalRegularizer(Regularizer):
    """y = factor·mean over all pairs of |uᵢ·uⱼ|, i ≠ j, u the rows of a matrix at length 1: 0 if all are orthogonal.

    `mode` "rows" compares the rows, "columns" the columns, which for a Dense kernel are the weights of its units.
    `ShapeError` for what is no matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = number(self, "factor", factor, "≥ 0")
        if mode not in _MODES:
            raise unknown_name("mode of OrthogonalRegularizer", mode, _MODES)
        self.mode = mode

    def __call__(self, x: TensorLike) -> Tensor:
        """factor·Σᵢ≠ⱼ |uᵢ·uⱼ| / (n(n − 1))."""
        x = floating(x)
        if x.ndim != 2:
            raise ShapeError(f"OrthogonalRegularizer: expected a matrix, got a weight of shape {x.shape}")
        rows = x if self.mode == "rows" else x.T
        # Not of length 1, but 0, is a row that is shorter than ε: it has no direction.
        squares = ops.maximum(ops.sum(ops.square(rows), axis=1, keepdims=True), config.epsilon() ** 2)
        unit = rows / ops.sqrt(squares)
        n = len(rows)
        others = 1 - np.eye(n, dtype=rows.dtype)
        return ops.sum(ops.absolute(ops.matmul(unit, unit.T)) * others) * (self.factor / max(n * (n - 1), 1))
