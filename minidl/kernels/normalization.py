"""Batch normalization. (Ioffe & Szegedy 2015)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.kernels.kernel import Kernel, sum_axes
from minidl.memory import Array, Memory, Shape


def _layout(axis: tuple[int, ...], x: Array) -> tuple[tuple[int, ...], Shape, int]:
    """The axes that are averaged over, the shape that lets a parameter broadcast to x, and how many are averaged."""
    kept = {a % x.ndim for a in axis}
    averaged = tuple(a for a in range(x.ndim) if a not in kept)
    broadcastable = tuple(n if a in kept else 1 for a, n in enumerate(x.shape))
    return averaged, broadcastable, math.prod(x.shape[a] for a in averaged)


@dataclass(frozen=True)
class BatchNormalization(Kernel):
    """y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + ε), with μ and σ² over all axes but `axis`.  (Algorithm 1)

    σ² is biased and taken in two passes. Gives (y, μ, σ²), the last two for the moving averages. The derivative
    (section 3, in one pass): dγ = Σ x̂·dy,  dβ = Σ dy,  dx = γ/√(σ² + ε)·(dy − dβ/n − x̂·dγ/n) + dμ/n + 2(x − μ)dσ²/n.

    The parameters and both statistics have the sizes of x on `axis`. Over an empty batch μ = σ² = 0.
    """

    epsilon: float = 1e-3
    axis: tuple[int, ...] = (-1,)

    def forward(
        self, memory: Memory, x: Array, gamma: Array, beta: Array
    ) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        averaged, broadcastable, count = _layout(self.axis, x)
        mean = sum_axes(memory, x, averaged, keepdims=True)
        mean /= max(count, 1)
        x_hat = np.subtract(x, mean, out=memory.like(x))
        variance = sum_axes(memory, np.square(x_hat, out=memory.like(x)), averaged, keepdims=True)
        variance /= max(count, 1)
        std = np.add(variance, self.epsilon, out=memory.like(variance))
        np.sqrt(std, out=std)
        x_hat /= std
        y = memory.empty(x.shape, np.result_type(x, gamma, beta))
        np.multiply(x_hat, gamma.reshape(broadcastable), out=y)
        y += beta.reshape(broadcastable)
        return (y, mean.reshape(gamma.shape), variance.reshape(gamma.shape)), (x_hat, std, gamma)

    def backward(
        self, memory: Memory, dys: tuple[Array, Array, Array], saved: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array]:
        dy, dmean, dvariance = dys
        x_hat, std, gamma = saved
        averaged, broadcastable, count = _layout(self.axis, x_hat)
        n = max(count, 1)
        dx = np.multiply(dy, x_hat, out=memory.like(dy))
        dgamma = sum_axes(memory, dx, averaged, keepdims=True)
        dbeta = sum_axes(memory, dy, averaged, keepdims=True)
        scale = gamma.reshape(broadcastable) / std
        # dx is linear in dy and x̂ with one coefficient a channel each: dx = scale·dy + slope·x̂ + offset.
        slope = (2 * std * dvariance.reshape(broadcastable) - scale * dgamma) / n
        offset = (dmean.reshape(broadcastable) - scale * dbeta) / n
        np.multiply(x_hat, slope, out=dx)
        dx += dy * scale
        dx += offset
        return dx, dgamma.reshape(gamma.shape), dbeta.reshape(gamma.shape)

    def reference(self, ops: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """The composition that the fused kernel replaces."""
        averaged, broadcastable, _ = _layout(self.axis, x)
        mean, variance = ops.mean(x, averaged, keepdims=True), ops.var(x, averaged, keepdims=True)
        x_hat = (x - mean) / ops.sqrt(variance + self.epsilon)
        y = x_hat * ops.reshape(gamma, broadcastable) + ops.reshape(beta, broadcastable)
        return y, ops.reshape(mean, gamma.shape), ops.reshape(variance, gamma.shape)


@dataclass(frozen=True)
class Standardization(Kernel):
    """y = γ·(x − μ)/√(σ² + ε) + β with given μ and σ²: batch normalization at inference.  (Algorithm 2, line 11)

    dx = γ/√(σ² + ε)·dy, and the sums of the corresponding terms for the four parameters.
    """

    epsilon: float = 1e-3
    axis: tuple[int, ...] = (-1,)

    def forward(
        self, memory: Memory, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        _, broadcastable, _ = _layout(self.axis, x)
        std = np.sqrt(variance + self.epsilon)
        dtype = np.result_type(x, gamma, beta, mean, variance)
        x_hat = np.subtract(x, mean.reshape(broadcastable), out=memory.empty(x.shape, dtype))
        x_hat /= std.reshape(broadcastable)
        y = np.multiply(x_hat, gamma.reshape(broadcastable), out=memory.like(x_hat))
        y += beta.reshape(broadcastable)
        return y, (x_hat, std, gamma)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array, Array, Array]:
        x_hat, std, gamma = saved
        averaged, broadcastable, _ = _layout(self.axis, x_hat)
        dx = np.multiply(dy, x_hat, out=memory.like(dy))
        dgamma = sum_axes(memory, dx, averaged)
        dbeta = sum_axes(memory, dy, averaged)
        scale = gamma / std
        np.multiply(dy, scale.reshape(broadcastable), out=dx)
        dmean = np.multiply(dbeta, -scale, out=memory.like(dbeta))
        dvariance = np.multiply(dgamma, -0.5 * scale / std, out=memory.like(dgamma))
        return dx, dgamma, dbeta, dmean, dvariance

    def reference(self, ops: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        """The composition that the fused kernel replaces."""
        _, broadcastable, _ = _layout(self.axis, x)
        gamma, beta, mean, variance = (ops.reshape(p, broadcastable) for p in (gamma, beta, mean, variance))
        return (x - mean) / ops.sqrt(variance + self.epsilon) * gamma + beta
