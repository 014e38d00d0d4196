"""Adam: momentum divided by the size of recent gradients, both corrected for having started at zero.

Kingma and Ba (2015), algorithm 1:

    m ← β₁m + (1 − β₁)g       m̂ = m / (1 − β₁ᵗ)
    v ← β₂v + (1 − β₂)g²      v̂ = v / (1 − β₂ᵗ)
    θ ← θ − α·m̂ / (√v̂ + ε)

and, at the end of their section 2, the same with both corrections in the step size, "at the expense of clarity":

    αₜ = α·√(1 − β₂ᵗ) / (1 − β₁ᵗ)
    θ ← θ − αₜ·m / (√v + ε̂)

Keras has the second form. Its ε = 1e-7 is ε̂: in terms of algorithm 1, ε = ε̂/√(1 − β₂ᵗ), 30 times larger in the first
step and the same in the end. So it is here. (PyTorch has the first form with ε = 1e-8.)

AMSGrad, Reddi, Kale and Kumar (2018), algorithm 2, never lets the divisor shrink: v̂ ← max(v̂, v), θ ← θ − α·m/√v̂,
without ε or corrections. Keras takes the maximum of the uncorrected v and then goes on with αₜ and ε̂ as above. So it is
here.
"""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from minidl.checks import flag, number
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class Adam(Optimizer):
    """`m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `w ← w − αₜm / (√v + ε)`, `αₜ = η√(1 − β₂ᵗ)/(1 − β₁ᵗ)`.

    With `amsgrad` the divisor has the largest v so far. (Kingma and Ba 2015, end of section 2; Reddi et al. 2018.)
    See `Optimizer` for `options`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = number(self, "beta_1", beta_1, "in [0, 1)")
        self.beta_2 = number(self, "beta_2", beta_2, "in [0, 1)")
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")
        self.amsgrad = flag(self, "amsgrad", amsgrad)

    def slots(self) -> dict[str, float]:
        """The mean of the gradient, the mean of its square, and the largest of these if AMSGrad needs it."""
        largest = {"velocity_hat": 0.0} if self.amsgrad else {}
        return {"momentum": 0.0, "velocity": 0.0, **largest}

    def coefficients(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """The step size with both corrections, αₜ."""
        return (learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t),)

    def update(
        self, w: Array, g: Array, alpha: float, momentum: Array, velocity: Array, velocity_hat: Array | None = None
    ) -> None:
        """Change `w` and the slots in place by the rule above."""
        m, v = momentum, velocity
        m += (1 - self.beta_1) * (g - m)
        v += (1 - self.beta_2) * (g * g - v)
        if velocity_hat is not None:
            v = np.maximum(velocity_hat, v, out=velocity_hat)
        w -= alpha * m / (np.sqrt(v) + self.epsilon)
