"""Nadam: Adam with Nesterov momentum.

Dozat (2016), algorithm 2, where the momentum μₜ = μ(1 − ½·0.96^(t/250)) grows from μ/2 to μ:

    m ← μₜm + (1 − μₜ)g       m̂ = μₜ₊₁·m / (1 − Πᵢ₌₁ᵗ⁺¹ μᵢ) + (1 − μₜ)·g / (1 − Πᵢ₌₁ᵗ μᵢ)
    n ← νn + (1 − ν)g²        n̂ = ν·n / (1 − νᵗ)
    θ ← θ − α·m̂ / (√n̂ + ε)

The look ahead is in m̂: the momentum counts with the weight it will have in the next step, and the gradient is put in
once more.

Keras differs in three places. The average m itself uses the constant β₁ = μ; the schedule, there called u, appears in
m̂ only. n̂ lacks the factor ν = β₂. And in Keras 3 the exponent is t, not t/250, so that u has all but reached β₁ after a
hundred steps. So it is here. (PyTorch agrees with Keras but for the exponent, which is t/250.)
"""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from minidl.checks import number
from minidl.layers.variable import Variable
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class Nadam(Optimizer):
    """`m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `w ← w − ηm̂ / (√v̂ + ε)`, `v̂ = v/(1 − β₂ᵗ)`.

    `m̂ = uₜ₊₁·m/(1 − u₁⋯uₜ₊₁) + (1 − uₜ)·g/(1 − u₁⋯uₜ)` with `uₜ = β₁(1 − ½·0.96ᵗ)`. (Dozat 2016, algorithm 2.)
    See `Optimizer` for `options`.
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
        self.u_product = self._state("u_product", 1.0, "float64")

    @property
    def variables(self) -> list[Variable]:
        """The state: that of every optimizer, then the product u₁⋯uₜ."""
        return [*super().variables, self.u_product]

    def slots(self) -> dict[str, float]:
        """The mean of the gradient and the mean of its square."""
        return {"momentum": 0.0, "velocity": 0.0}

    def coefficients(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """What η·m̂ has before m and before g, and √(1 − β₂ᵗ); moves the product u₁⋯uₜ on by one step."""
        u, u_next = (self.beta_1 * (1 - 0.5 * 0.96**i) for i in (t, t + 1))
        product = float(self.u_product.assign(float(self.u_product) * u))
        of_m = learning_rate * u_next / (1 - product * u_next)
        of_g = learning_rate * (1 - u) / (1 - product)
        return of_m, of_g, math.sqrt(1 - self.beta_2**t)

    def update(
        self, w: Array, g: Array, of_m: float, of_g: float, correction: float, momentum: Array, velocity: Array
    ) -> None:
        """Change `w` and the slots in place by the rule above."""
        m, v = momentum, velocity
        m += (1 - self.beta_1) * (g - m)
        v += (1 - self.beta_2) * (g * g - v)
        w -= (of_m * m + of_g * g) / (np.sqrt(v) / correction + self.epsilon)
