"""Layers that act in training only, to keep a network from learning its data by heart."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from minidl import ops, random, regularizers
from minidl.autodiff.tensor import Tensor
from minidl.checks import number
from minidl.layers.layer import SameShape


class Dropout(SameShape):
    """In training y = x/(1 − rate) with probability 1 − rate, else 0; at inference y = x.  (Srivastava et al. 2014)

    `noise_shape` has size 1 (or None for the input's) on each axis; along an axis of size 1 elements are dropped
    together.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = number(self, "rate", rate, "in [0, 1)")
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self._generator = random.spawn("dropout", seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The input, thinned out in training."""
        if not training or self.rate == 0:
            return inputs
        return ops.dropout(inputs, self.rate, self.noise_shape, seed=self._generator)


class ActivityRegularization(SameShape):
    """y = x, and l1·Σ|x| + l2·Σx², divided by the size of the batch, is added to the loss.

    The outputs of the layer before it are kept small, or, by `l1`, sparse.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1 = number(self, "l1", l1, "≥ 0")
        self.l2 = number(self, "l2", l2, "≥ 0")

    @classmethod
    def arguments(cls) -> dict[str, inspect.Parameter]:
        """The arguments of `__init__`: `activity_regularizer` is made of them."""
        found = super().arguments()
        del found["activity_regularizer"]
        return found

    def call(self, inputs: Tensor) -> Tensor:
        """The input."""
        return inputs
