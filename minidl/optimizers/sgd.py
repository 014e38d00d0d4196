"""Stochastic gradient descent, plain, with momentum, and with Nesterov momentum.

Plain: `w ← w − ηg`. Momentum as Sutskever, Martens, Dahl and Hinton (2013) write it, equations 1 and 2, after Polyak
(1964), and Nesterov's accelerated gradient, equations 3 and 4, which takes the gradient where the momentum is about to
carry the weights:

    v ← μv − η∇f(θ)           v ← μv − η∇f(θ + μv)
    θ ← θ + v                 θ ← θ + v

Keras has the first as it stands. For the second it keeps the point where the gradient is taken, w = θ + μv, in place of
θ (the "simplified" form of Bengio, Boulanger-Lewandowski and Pascanu 2013). Put w into the equations and θ is gone:

    v ← μv − ηg               w ← w + μv − ηg

The steps are the same; the weights one sees are those that the gradient is taken at. So it is here. (PyTorch has
v ← μv + g and w ← w − ηv: the same while η is constant; when it changes, there the whole velocity changes with it, here
only what is added from then on.)
"""

from __future__ import annotations

from typing import Any, Unpack

from minidl.checks import flag, number
from minidl.memory import Array
from minidl.optimizers.optimizer import Optimizer, Options


class SGD(Optimizer):
    """`w ← w − ηg`; with momentum μ: `m ← μm − ηg`, `w ← w + m`; Nesterov: `w ← w + μm − ηg`.

    `momentum` is in [0, 1]. (Sutskever et al. 2013, equations 1 to 4.) See `Optimizer` for `options`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum = number(self, "momentum", momentum, "in [0, 1]")
        self.nesterov = flag(self, "nesterov", nesterov)

    def slots(self) -> dict[str, float]:
        """The velocity, which Keras calls momentum, if there is any."""
        return {"momentum": 0.0} if self.momentum else {}

    def update(self, w: Array, g: Array, learning_rate: float, momentum: Array | None = None) -> None:
        """Change `w` and `momentum` in place by the rule above."""
        step = learning_rate * g
        if momentum is None:
            w -= step
        else:
            momentum *= self.momentum
            momentum -= step
            w += self.momentum * momentum - step if self.nesterov else momentum
