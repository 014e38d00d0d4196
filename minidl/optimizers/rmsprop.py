"""RMSprop: each gradient divided by the size that gradients of its weight have lately had.

Tieleman and Hinton (2012), Neural Networks for Machine Learning, lecture 6e, which leaves ε unsaid:

    v ← 0.9·v + 0.1·g²
    w ← w − η·g / √v

Graves (2013), equations 38 to 41, subtracts the square of the mean gradient ("centered": what is left is the variance),
adds momentum, and has ε inside the root:

    v ← ρv + (1 − ρ)g²        ḡ ← ρḡ + (1 − ρ)g
    Δ ← μΔ − ηg / √(v − ḡ² + ε)
    w ← w + Δ

Keras follows Graves, with the sign of Δ turned and each part optional. So it is here, with one exception: where the
gradient of a weight hardly changes, rounding can make v − ḡ² negative, and Keras then returns NaN (in float32 a
constant gradient of 316.43787 does it in 130 steps); here a variance is at least 0. (PyTorch has ε outside of the
root, and applies the learning rate after the momentum.)
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from minidl.checks import flag, number
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class RMSprop(Optimizer):
    """`v ← ρv + (1 − ρ)g²`, `w ← w − ηg / √(v + ε)`.

    `centered` divides by `√(v − ḡ² + ε)`, where `ḡ ← ρḡ + (1 − ρ)g`. With momentum μ > 0 the step is added up,
    `m ← μm + ηg / √(...)`, and `w ← w − m`. (Tieleman and Hinton 2012; Graves 2013, equations 38 to 41.)
    See `Optimizer` for `options`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = number(self, "rho", rho, "in [0, 1)")
        self.momentum = number(self, "momentum", momentum, "in [0, 1]")
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")
        self.centered = flag(self, "centered", centered)

    def slots(self) -> dict[str, float]:
        """The mean square of the gradient; the step with momentum, and the mean of the gradient, if they are used."""
        momentum = {"momentum": 0.0} if self.momentum else {}
        average = {"average_gradient": 0.0} if self.centered else {}
        return {"velocity": 0.0, **momentum, **average}

    def update(
        self,
        w: Array,
        g: Array,
        learning_rate: float,
        velocity: Array,
        momentum: Array | None = None,
        average_gradient: Array | None = None,
    ) -> None:
        """Change `w` and the slots in place by the rule above."""
        v = velocity
        v *= self.rho
        v += (1 - self.rho) * (g * g)
        if average_gradient is not None:
            average_gradient *= self.rho
            average_gradient += (1 - self.rho) * g
            v = np.maximum(v - average_gradient * average_gradient, 0)
        step = learning_rate * g / np.sqrt(v + self.epsilon)
        if momentum is not None:
            momentum *= self.momentum
            momentum += step
            step = momentum
        w -= step
