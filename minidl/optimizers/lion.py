"""Lion: steps of one size, in the direction of a momentum's sign.

Chen et al. (2023), algorithm 2, found by a search over programs:

    c ← β₁m + (1 − β₁)g
    θ ← θ − η·sign(c)
    m ← β₂m + (1 − β₂)g

Every weight moves by η, so that η is best 3 to 10 times smaller than Adam's, and weight decay as much larger.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from minidl.checks import number
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class Lion(Optimizer):
    """`w ← w − η·sign(β₁m + (1 − β₁)g)`, then `m ← β₂m + (1 − β₂)g`.

    (Chen et al. 2023, algorithm 2.) See `Optimizer` for `options`.
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **options: Unpack[Options]
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = number(self, "beta_1", beta_1, "in [0, 1)")
        self.beta_2 = number(self, "beta_2", beta_2, "in [0, 1)")

    def slots(self) -> dict[str, float]:
        """The mean of the gradient."""
        return {"momentum": 0.0}

    def update(self, w: Array, g: Array, learning_rate: float, momentum: Array) -> None:
        """Change `w` and `momentum` in place by the rule above."""
        w -= learning_rate * np.sign(self.beta_1 * momentum + (1 - self.beta_1) * g)
        momentum += (1 - self.beta_2) * (g - momentum)
