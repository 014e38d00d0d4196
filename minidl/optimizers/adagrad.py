"""Adagrad: a learning rate for each weight, which shrinks with every gradient the weight has seen.

Duchi, Hazan and Singer (2011), the diagonal form of equation 1, with δ from their figure 1:

    s ← s + g²
    x ← x − η·g / (δ + √s)

Keras starts the sum at 0.1 instead of 0, which tames the first steps, and has ε inside the root. So it is here.
(PyTorch starts at 0 and has ε outside.) Good values of η are nearer to 1 than to the default of 0.001.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from minidl.checks import number
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class Adagrad(Optimizer):
    """`a ← a + g²`, `w ← w − ηg / √(a + ε)`; a starts at `initial_accumulator_value`.

    (Duchi et al. 2011, equation 1.) See `Optimizer` for `options`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = number(self, "initial_accumulator_value", initial_accumulator_value, "≥ 0")
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")

    def slots(self) -> dict[str, float]:
        """The sum of the squared gradients."""
        return {"accumulator": self.initial_accumulator_value}

    def update(self, w: Array, g: Array, learning_rate: float, accumulator: Array) -> None:
        """Change `w` and `accumulator` in place by the rule above."""
        accumulator += g * g
        w -= learning_rate * g / np.sqrt(accumulator + self.epsilon)
