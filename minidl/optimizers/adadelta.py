"""Adadelta: steps of the size that steps had before, so that no learning rate needs to be found.

Zeiler (2012), algorithm 1, with RMS[x] = √(E[x²] + ε):

    E[g²] ← ρE[g²] + (1 − ρ)g²
    Δx = −RMS[Δx]/RMS[g]·g
    E[Δx²] ← ρE[Δx²] + (1 − ρ)Δx²
    x ← x + η·Δx

The paper has η = 1. Keras has 0.001, as for its other optimizers, with which this one hardly moves: give it 1. So it
is here.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from minidl.checks import number
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class Adadelta(Optimizer):
    """`v ← ρv + (1 − ρ)g²`, `Δ = −√(u + ε)/√(v + ε)·g`, `u ← ρu + (1 − ρ)Δ²`, `w ← w + ηΔ`.

    (Zeiler 2012, algorithm 1, with a learning rate.) See `Optimizer` for `options`.
    """

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **options: Unpack[Options]
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = number(self, "rho", rho, "in [0, 1)")
        self.epsilon = number(self, "epsilon", epsilon, "> 0")

    def slots(self) -> dict[str, float]:
        """The mean squares of the gradient and of the steps."""
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update(
        self, w: Array, g: Array, learning_rate: float, accumulated_grad: Array, accumulated_delta_var: Array
    ) -> None:
        """Change `w` and the slots in place by the rule above."""
        v, u = accumulated_grad, accumulated_delta_var
        v += (1 - self.rho) * (g * g - v)
        delta = np.sqrt((u + self.epsilon) / (v + self.epsilon)) * g
        u += (1 - self.rho) * (delta * delta - u)
        w -= learning_rate * delta
