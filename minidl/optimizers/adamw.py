"""AdamW: Adam with weight decay that bypasses it.

An L2 penalty added to the loss goes through Adam's division, which takes most of it away where gradients are large.
Loshchilov and Hutter (2019), algorithm 2, line 12, subtract the decay λ from the weights directly; α is Adam's step
size and ηₜ a schedule that multiplies both:

    θ ← θ − ηₜ·(α·m̂ / (√v̂ + ε) + λθ)

In Keras the learning rate is η = ηₜ·α, and the decay is multiplied by all of it: w ← w − η·λ·w, then Adam's update. A
paper's λ is thus Keras's λ·α. So it is here (and in PyTorch, with 0.01 for λ where Keras has 0.004). All variables
decay, biases and scales too, unless `exclude_from_weight_decay` spares them.
"""

from __future__ import annotations

from typing import Any, Unpack

from minidl.errors import ArgumentError
from minidl.optimizers.adam import Adam
from minidl.optimizers.optimizer import Common


class AdamW(Adam):
    """`w ← w − η·λ·w`, then Adam's update; λ is `weight_decay`.

    (Loshchilov and Hutter 2019, algorithm 2.) See `Adam`, and `Optimizer` for `options`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Common],
    ) -> None:
        if weight_decay is None:
            raise ArgumentError("AdamW: weight_decay must be a number ≥ 0, got None: Adam is AdamW without decay")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options)
