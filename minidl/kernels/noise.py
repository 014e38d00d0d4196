"""Random arrays, and the kinds of dropout that use one.

A kernel that draws holds its generator: run again, it draws again. What is done with the draw is a kernel of its own,
without randomness, and is differentiated like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.kernels.activations import SELU_ALPHA, SELU_SCALE
from minidl.kernels.kernel import Kernel
from minidl.memory import Array, Memory, Shape

# α′, what SELU tends to far to the left.
_SATURATED = -SELU_SCALE * SELU_ALPHA


@dataclass(frozen=True)
class RandomUniform(Kernel):
    """y ~ U[low, high), of the dtype of x and of its shape, or of `shape`; not differentiable, constant in x."""

    generator: np.random.Generator
    low: float = 0.0
    high: float = 1.0
    shape: Shape | None = None

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        dtype = np.float32 if x.real.dtype == np.float32 else np.float64
        y = memory.empty(x.shape if self.shape is None else self.shape, dtype)
        self.generator.random(dtype=dtype, out=y)
        if (self.low, self.high) != (0.0, 1.0):
            y *= self.high - self.low
            y += self.low
        return y, None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[None]:
        return (None,)


@dataclass(frozen=True)
class Drawn(Kernel):
    """y = draw(generator, x, *arguments): what is drawn for a batch x; not differentiable, constant in x.

    `draw` is a plain function that looks at the shape and dtype of x alone.
    """

    generator: np.random.Generator
    draw: Callable[..., Array]
    arguments: tuple[Any, ...] = ()

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        return self.draw(self.generator, x, *self.arguments), None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[None]:
        return (None,)


@dataclass(frozen=True)
class RandomNormal(Kernel):
    """y ~ N(mean, stddev²), of the dtype and shape of x; not differentiable, constant in x."""

    generator: np.random.Generator
    mean: float = 0.0
    stddev: float = 1.0

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        dtype = np.float32 if x.real.dtype == np.float32 else np.float64
        y = memory.empty(x.shape, dtype)
        self.generator.standard_normal(dtype=dtype, out=y)
        y *= self.stddev
        y += self.mean
        return y, None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[None]:
        return (None,)


@dataclass(frozen=True)
class Dropout(Kernel):
    """y = x/(1 − rate) where u ≥ rate, 0 elsewhere, with u uniform in [0, 1);  dx = dy/(1 − rate) where kept.

    "Inverted" dropout: scaling in training keeps the expected value, and inference needs nothing. (Srivastava et al.
    2014 scale at inference instead.) u broadcasts to x.
    """

    rate: float

    def forward(self, memory: Memory, x: Array, u: Array) -> tuple[Array, Array]:
        keep = u.real >= self.rate
        return self._drop(memory, x, keep), keep

    def backward(self, memory: Memory, dy: Array, keep: Array) -> tuple[Array, None]:
        return self._drop(memory, dy, keep), None

    def _drop(self, memory: Memory, x: Array, keep: Array) -> Array:
        y = np.multiply(x, keep, out=memory.like(x))
        y *= 1 / (1 - self.rate)
        return y


@dataclass(frozen=True)
class AlphaDropout(Kernel):
    """y = a·x̃ + b with x̃ = x where u ≥ rate, α′ elsewhere;  dx = a·dy where kept.  (Klambauer et al. 2017, section 3)

    α′ = −λα ≈ −1.7581 is what SELU tends to far to the left. With q = 1 − rate, a = (q + α′²·q·(1 − q))^(−½) and
    b = −a·(1 − q)·α′ give back mean 0 and variance 1 to what had them. u, uniform in [0, 1), broadcasts to x.
    """

    rate: float

    def forward(self, memory: Memory, x: Array, u: Array) -> tuple[Array, Array]:
        keep = u.real >= self.rate
        y = memory.like(x)
        y.fill(_SATURATED)
        np.copyto(y, x, where=keep)
        y *= self._scale
        y -= self._scale * self.rate * _SATURATED
        return y, keep

    def backward(self, memory: Memory, dy: Array, keep: Array) -> tuple[Array, None]:
        dx = np.multiply(dy, keep, out=memory.like(dy))
        dx *= self._scale
        return dx, None

    @property
    def _scale(self) -> float:
        """a."""
        q = 1 - self.rate
        return 1 / math.sqrt(q + _SATURATED**2 * q * (1 - q))
