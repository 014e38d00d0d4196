"""Cross-entropies, of logits and of probabilities.

Fused with the softmax or sigmoid that makes the probabilities they are simple and finite for all finite logits: the
gradient is predicted minus true probability. Taken apart, the logarithm of a rounded probability loses everything once
the network is sure of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.kernels.activations import exp_minus_abs, logistic
from minidl.kernels.elementary import log1p
from minidl.kernels.kernel import Kernel, sum_axes
from minidl.kernels.reductions import shift_to_max
from minidl.memory import Array, Memory


def _log_softmax(memory: Memory, logits: Array) -> tuple[Array, Array]:
    """ln softmax along the last axis, and softmax."""
    last = (logits.ndim - 1,)
    log_p, _ = shift_to_max(memory, logits, last)
    p = np.exp(log_p, out=memory.like(log_p))
    total = sum_axes(memory, p, last, keepdims=True)
    p /= total
    log_p -= np.log(total, out=total)
    return log_p, p


class SoftmaxCrossentropy(Kernel):
    """y = −Σₖ tₖ·ln pₖ, p = softmax(logits), along the last axis;  dlogits = (p·Σt − t)·dy,  dt = −ln p·dy.

    A class with t = 0 contributes 0, also where its logit is −∞.
    """

    def forward(self, memory: Memory, logits: Array, targets: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        log_p, p = _log_softmax(memory, logits)
        terms = memory.empty(logits.shape, np.result_type(logits, targets))
        terms.fill(0)
        np.multiply(log_p, targets, out=terms, where=targets != 0)
        y = sum_axes(memory, terms, (logits.ndim - 1,))
        return np.negative(y, out=y), (log_p, p, targets)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array, Array]
    ) -> tuple[Array, Array]:
        log_p, p, targets = saved
        dy = dy[..., None]
        dlogits = np.multiply(p, targets.sum(axis=-1, keepdims=True), out=memory.empty(p.shape, dy.dtype))
        dlogits -= targets
        dlogits *= dy
        dtargets = np.multiply(log_p, dy, out=memory.empty(p.shape, dy.dtype))
        return dlogits, np.negative(dtargets, out=dtargets)

    def reference(self, ops: Any, logits: Any, targets: Any) -> Any:
        """The definition."""
        return -ops.sum(targets * ops.log_softmax(logits), axis=-1)


class SparseSoftmaxCrossentropy(Kernel):
    """y = −ln p[label], p = softmax(logits) along the last axis;  dlogits = (p − one_hot(label))·dy.

    Labels are integers from 0 to classes − 1, of the shape of the logits without their last axis.
    """

    def forward(self, memory: Memory, logits: Array, labels: Array) -> tuple[Array, tuple[Array, Array]]:
        log_p, p = _log_softmax(memory, logits)
        y = np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
        return np.negative(y, out=memory.like(y)), (p, labels)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array, None]:
        p, labels = saved
        dlogits = memory.like(p)
        np.copyto(dlogits, p)
        rows = dlogits.reshape(labels.size, p.shape[-1])
        rows[np.arange(labels.size), labels.ravel()] -= 1
        dlogits *= dy[..., None]
        return dlogits, None

    def reference(self, ops: Any, logits: Any, labels: Any) -> Any:
        """The definition."""
        one_hot = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        return -ops.sum(one_hot * ops.log_softmax(logits), axis=-1)


@dataclass(frozen=True)
class SparseCrossentropy(Kernel):
    """y = −ln q[label], q = p/Σp along the last axis;  dp = (1/Σp − one_hot(label)/p)·dy.

    As in Keras, Σp is taken to be at least ε, and q is kept in [ε, 1 − ε]: where these bounds act, that part of the
    gradient is 0. Labels as for `SparseSoftmaxCrossentropy`.
    """

    epsilon: float = 1e-7

    def forward(self, memory: Memory, p: Array, labels: Array) -> tuple[Array, tuple[Array, ...]]:
        total = sum_axes(memory, p, (p.ndim - 1,))
        divisor = np.maximum(total, p.dtype.type(self.epsilon))
        rows = p.reshape(labels.size, p.shape[-1])
        q = rows[np.arange(labels.size), labels.ravel()].reshape(labels.shape) / divisor
        kept = np.minimum(np.maximum(q, p.dtype.type(self.epsilon)), p.dtype.type(1 - self.epsilon))
        y = np.log(kept, out=memory.like(total))
        return np.negative(y, out=y), (p, labels, total, divisor, q, kept)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, ...]) -> tuple[Array, None]:
        p, labels, total, divisor, q, kept = saved
        slope = dy * (q == kept) / divisor
        dp = memory.empty(p.shape, slope.dtype)
        dp[...] = (slope * (total == divisor))[..., None]
        rows = dp.reshape(labels.size, p.shape[-1])
        rows[np.arange(labels.size), labels.ravel()] -= (slope / kept).ravel()
        return dp, None

    def reference(self, ops: Any, p: Any, labels: Any) -> Any:
        """The definition."""
        one_hot = ops.one_hot(labels, p.shape[-1], dtype=p.dtype)
        q = ops.sum(one_hot * p, axis=-1) / ops.clip(ops.sum(p, axis=-1), self.epsilon, None)
        return -ops.log(ops.clip(q, self.epsilon, 1 - self.epsilon))


class SigmoidCrossentropy(Kernel):
    """y = −t·ln p − (1 − t)·ln(1 − p), p = σ(logit), as max(x, 0) − x·t + ln(1 + e^(−|x|)).

    dlogits = (p − t)·dy,  dt = −x·dy.
    """

    def forward(self, memory: Memory, logits: Array, targets: Array) -> tuple[Array, tuple[Array, Array]]:
        y = memory.empty(logits.shape, np.result_type(logits, targets))
        exp_minus_abs(logits, out=y)
        log1p(y, out=y)
        y += np.maximum(logits, 0) - logits * targets
        return y, (logits, targets)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        logits, targets = saved
        dlogits = logistic(logits, out=memory.like(dy))
        dlogits -= targets
        dlogits *= dy
        dtargets = np.multiply(logits, dy, out=memory.like(dy))
        return dlogits, np.negative(dtargets, out=dtargets)

    def reference(self, ops: Any, logits: Any, targets: Any) -> Any:
        """The definition, with ln σ(x) = −softplus(−x)."""
        return targets * ops.softplus(-logits) + (1 - targets) * ops.softplus(logits)
