"""The constraints: the nearest weight that is allowed, or a step towards it.

Norms n = √Σw² are taken over `axis`. A Dense kernel (inputs, units) has one for each unit with axis 0; a convolution
kernel (height, width, channels, filters) has one for each filter with axis [0, 1, 2]. As in Keras every norm that
something is divided by has ε = 1e-7 (`minidl.config.epsilon()`) added to it: zeros stay zeros, and everything else gets
shorter by 1e-7 than it should.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl import config, ops
from minidl.autodiff.tensor import Tensor, TensorLike, floating
from minidl.checks import axes, number, renamed
from minidl.configurable import Configurable
from minidl.errors import AbstractMethodError, ArgumentError


class Constraint(Configurable):
    """What makes an allowed weight, of the same shape, of any weight.

    A subclass defines `__call__(self, w)` and keeps each argument of its `__init__` as an attribute of the same name:
    `get_config`, `from_config` and `repr` follow from that one rule.
    """

    def __call__(self, w: TensorLike) -> TensorLike:
        """The allowed weight."""
        raise AbstractMethodError(f"{type(self).__name__} must define __call__(self, w)")


class NonNeg(Constraint):
    """w ← max(w, 0): no weight is negative."""

    def __call__(self, w: TensorLike) -> Tensor:
        """max(w, 0)."""
        return ops.maximum(floating(w), 0)


class _Norm(Constraint):
    """What constraints on norms share: the axis, and what follows from the norm that is wanted."""

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        checked = axes(self, axis)
        self.axis = checked if isinstance(checked, int) else list(checked)

    def wanted(self, norms: Tensor) -> TensorLike:
        """The norms that are wanted in place of these."""
        raise AbstractMethodError(f"{type(self).__name__} must define wanted(self, norms)")

    def __call__(self, w: TensorLike) -> Tensor:
        """w·wanted/(n + ε)."""
        w = floating(w)
        norms = ops.sqrt(ops.sum(ops.square(w), axis=self.axis, keepdims=True))  # type: ignore[arg-type]
        return ops.multiply(w, ops.divide(self.wanted(norms), norms + config.epsilon()))


class MaxNorm(_Norm):
    """w ← w·min(n, max_value)/(n + ε): no norm is longer than `max_value`. (Srebro et al. 2005)

    `m` is an old name of `max_value`.
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0, **old: Any) -> None:
        super().__init__(axis)
        self.max_value = number(self, "max_value", renamed(self, "max_value", max_value, "m", old), "≥ 0")

    def wanted(self, norms: Tensor) -> Tensor:
        """min(n, max_value)."""
        return ops.minimum(norms, self.max_value)


class UnitNorm(_Norm):
    """w ← w/(n + ε): every norm is 1."""

    def wanted(self, norms: Tensor) -> float:
        """1."""
        return 1.0


class MinMaxNorm(_Norm):
    """w ← w·(rate·n' + (1 − rate)·n)/(n + ε) with n' = min(max(n, min_value), max_value).

    With `rate` 1 every norm is from `min_value` to `max_value`; with less it moves there by this part of the way in
    each step.
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        super().__init__(axis)
        self.min_value = number(self, "min_value", min_value, "≥ 0")
        self.max_value = number(self, "max_value", max_value, "≥ 0")
        self.rate = number(self, "rate", rate, "in [0, 1]")
        if self.min_value > self.max_value:
            raise ArgumentError(f"MinMaxNorm: expected min_value ≤ max_value, got {min_value} and {max_value}")

    def wanted(self, norms: Tensor) -> Tensor:
        """rate·n' + (1 − rate)·n."""
        return self.rate * ops.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
