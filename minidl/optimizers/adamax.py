"""Adamax: Adam with the largest recent gradient in place of the root of the mean square.

Kingma and Ba (2015), section 7.1, algorithm 2, the limit of Adam when squares become ever higher powers:

    m ← β₁m + (1 − β₁)g
    u ← max(β₂u, |g|)
    θ ← θ − α / (1 − β₁ᵗ) · m/u

Keras divides by u + ε, so that a weight that has only seen gradients of 0 stays as it is, and has a learning rate of
0.001 where the paper has 0.002. So it is here.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from minidl.checks import number
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class Adamax(Optimizer):
    """`m ← β₁m + (1 − β₁)g`, `u ← max(β₂u, |g|)`, `w ← w − η/(1 − β₁ᵗ) · m / (u + ε)`.

    (Kingma and Ba 2015, algorithm 2.) See `Optimizer` for `options`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = number(self, "beta_1", beta_1, "in [0, 1)")
        self.beta_2 = number(self, "beta_2", beta_2, "in [0, 1)")
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")

    def slots(self) -> dict[str, float]:
        """The mean of the gradient, and its largest size, fading."""
        return {"momentum": 0.0, "norm": 0.0}

    def coefficients(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """The step size with the correction of m."""
        return (learning_rate / (1 - self.beta_1**t),)

    def update(self, w: Array, g: Array, alpha: float, momentum: Array, norm: Array) -> None:
        """Change `w` and the slots in place by the rule above."""
        m, u = momentum, norm
        m += (1 - self.beta_1) * (g - m)
        np.maximum(self.beta_2 * u, np.abs(g), out=u)
        w -= alpha * m / (u + self.epsilon)
