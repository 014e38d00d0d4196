"""Activation functions.

x and y have one shape; every formula is for one element, but for softmax and log-softmax, which look along an axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.kernels.elementary import absolute, gaussian, log1p, negative_part, positive_part
from minidl.kernels.kernel import Kernel, normalize_axes, sum_axes, unbroadcast
from minidl.kernels.reductions import shift_to_max
from minidl.memory import Array, Memory
from minidl.threads import in_pieces

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def exp_minus_abs(x: Array, out: Array) -> Array:
    """e^(−|x|), which never overflows."""
    np.negative(absolute(x, out), out=out)
    return np.exp(out, out=out)


def logistic(x: Array, out: Array) -> Array:
    """1 / (1 + e⁻ˣ) as e^min(x, 0) / (1 + e^(−|x|)): nothing overflows, and small results keep their digits."""
    numerator = negative_part(x, np.empty_like(x))
    np.exp(numerator, out=numerator)
    exp_minus_abs(x, out)
    out += 1
    return np.divide(numerator, out, out=out)


def log_one_plus_exp(x: Array, out: Array) -> Array:
    """ln(1 + eˣ) = max(x, 0) + ln(1 + e^(−|x|))."""
    exp_minus_abs(x, out)
    log1p(out, out=out)
    out += positive_part(x, np.empty_like(x))
    return out


def leaky(memory: Memory, dy: Array, positive: Array, slope: Array | float) -> Array:
    """dy where `positive`, slope·dy elsewhere; without branches, which random signs make slow."""
    dx = np.multiply(dy, positive, out=memory.like(dy))
    rest = dy - dx
    rest *= slope
    dx += rest
    return dx


class Sigmoid(Kernel):
    """y = 1 / (1 + e⁻ˣ);  dx = y(1 − y)·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = logistic(x, out=memory.like(x))
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = np.subtract(1, y, out=memory.like(y))
        dx *= y
        dx *= dy
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The definition, good where e⁻ˣ does not overflow."""
        return 1 / (1 + ops.exp(-x))


class HardSigmoid(Kernel):
    """y = min(max(x/6 + ½, 0), 1);  dx = dy/6 where −3 < x < 3, 0 elsewhere."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = np.multiply(x, 1 / 6, out=memory.like(x))
        y += 0.5
        np.maximum(y, 0, out=y)
        np.minimum(y, 1, out=y)
        return y, (x.real > -3) & (x.real < 3)

    def backward(self, memory: Memory, dy: Array, inside: Array) -> tuple[Array]:
        dx = np.multiply(dy, inside, out=memory.like(dy))
        dx *= 1 / 6
        return (dx,)


class Relu(Kernel):
    """y = max(x, 0);  dx = dy where x > 0, 0 elsewhere.  (Nair & Hinton 2010)"""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = memory.like(x)
        in_pieces(positive_part, x, y)
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = memory.like(dy)
        in_pieces(self._pass, dy, y, dx)
        return (dx,)

    @staticmethod
    def _pass(dy: Array, y: Array, dx: Array) -> None:
        """dy where y > 0, as a product with 1 or 0: without branches, which random signs make slow."""
        np.greater(y.real, 0, out=dx)
        dx *= dy


@dataclass(frozen=True)
class GeneralRelu(Kernel):
    """y = max_value where x ≥ max_value, x where threshold ≤ x < max_value, slope·(x − threshold) below.

    dx = 0, dy and slope·dy on these three intervals. Keras calls the slope `negative_slope`.
    """

    negative_slope: float = 0.0
    max_value: float = math.inf
    threshold: float = 0.0

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        slope = np.where(x.real >= self.threshold, 1, self.negative_slope).astype(x.real.dtype)
        slope[x.real >= self.max_value] = 0
        y = np.subtract(x, self.threshold, out=memory.like(x))
        y *= self.negative_slope
        np.copyto(y, x, where=x.real >= self.threshold)
        return np.minimum(y, self.max_value, out=y), slope

    def backward(self, memory: Memory, dy: Array, slope: Array) -> tuple[Array]:
        return (np.multiply(dy, slope, out=memory.like(dy)),)


@dataclass(frozen=True)
class LeakyRelu(Kernel):
    """y = x where x > 0, αx elsewhere;  dx = dy where x > 0, α·dy elsewhere.  (Maas et al. 2013)"""

    negative_slope: float = 0.2

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = negative_part(x, out=memory.like(x))
        y *= self.negative_slope
        y += positive_part(x, out=memory.like(x))
        return y, x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        return (leaky(memory, dy, x.real > 0, self.negative_slope),)


class PRelu(Kernel):
    """y = x where x > 0, αx elsewhere, with α an array that broadcasts to x.  (He et al. 2015, eq. 1)

    dx = dy where x > 0, α·dy elsewhere;  dα = Σ min(x, 0)·dy over the elements that share it (eq. 9).
    """

    def forward(self, memory: Memory, x: Array, alpha: Array) -> tuple[Array, tuple[Array, Array]]:
        y = memory.empty(x.shape, np.result_type(x, alpha))
        np.multiply(negative_part(x, out=memory.like(x)), alpha, out=y)
        y += positive_part(x, out=memory.like(x))
        return y, (x, alpha)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        x, alpha = saved
        dx = leaky(memory, dy, x.real > 0, alpha)
        dalpha = np.multiply(dy, negative_part(x, out=memory.like(x)), out=memory.like(dy))
        return dx, unbroadcast(memory, dalpha, alpha.shape)


def _elu_slope(memory: Memory, y: Array, above: float, at_zero: float) -> Array:
    """`above` where y > 0, y + at_zero elsewhere; without branches, which random signs make slow."""
    slope = negative_part(y, out=memory.like(y))
    slope += at_zero
    if above != at_zero:
        positive = np.greater(y.real, 0, out=memory.like(y))
        positive *= above - at_zero
        slope += positive
    return slope


class TanhShrink(Kernel):
    """y = x − tanh x;  dx = tanh² x·dy, whose digits 1 − (1 − tanh² x) would lose near 0."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        tanh = np.tanh(x, out=memory.like(x))
        return np.subtract(x, tanh, out=memory.like(x)), tanh

    def backward(self, memory: Memory, dy: Array, tanh: Array) -> tuple[Array]:
        dx = np.square(tanh, out=memory.like(tanh))
        dx *= dy
        return (dx,)


@dataclass(frozen=True)
class Elu(Kernel):
    """y = x where x > 0, α(eˣ − 1) elsewhere;  dx = dy where x > 0, (y + α)·dy elsewhere.  (Clevert et al. 2016)"""

    alpha: float = 1.0

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = negative_part(x, out=memory.like(x))
        np.expm1(y, out=y)
        y *= self.alpha
        y += positive_part(x, out=memory.like(x))
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = _elu_slope(memory, y, 1.0, self.alpha)
        dx *= dy
        return (dx,)


class Selu(Kernel):
    """y = λ·elu(x, α) with α ≈ 1.6733, λ ≈ 1.0507;  dx = λ·dy where x > 0, (y + λα)·dy elsewhere.

    (Klambauer et al. 2017, eq. 2.) These constants make mean 0 and variance 1 a fixed point.
    """

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = negative_part(x, out=memory.like(x))
        np.expm1(y, out=y)
        y *= SELU_ALPHA
        y += positive_part(x, out=memory.like(x))
        y *= SELU_SCALE
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = _elu_slope(memory, y, SELU_SCALE, SELU_SCALE * SELU_ALPHA)
        dx *= dy
        return (dx,)


class Gelu(Kernel):
    """y = x·Φ(x) with Φ the normal distribution function;  dx = (Φ(x) + x·φ(x))·dy.  (Hendrycks & Gimpel 2016)

    Φ(x) = ½ erfc(−x/√2), which keeps its digits where x is very negative; 1 + erf(x/√2) would cancel.
    """

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array]]:
        from scipy.special import erfc

        cdf = np.multiply(x, -1 / math.sqrt(2), out=memory.like(x))
        erfc(cdf, out=cdf)
        cdf *= 0.5
        return np.multiply(x, cdf, out=memory.like(x)), (x, cdf)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array]:
        x, cdf = saved
        dx = gaussian(x, 0.5, out=memory.like(x))
        dx *= x
        dx *= 1 / math.sqrt(2 * math.pi)
        dx += cdf
        dx *= dy
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The definition through the error function."""
        return 0.5 * x * (1 + ops.erf(x / math.sqrt(2)))


class TanhGelu(Kernel):
    """y = ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³), close to x·Φ(x).  (Hendrycks & Gimpel 2016, section 2)

    dx = ½(1 + t + x(1 − t²)u′)·dy with t = tanh u, u′ = √(2/π)(1 + 0.134145x²). Beyond |x| = 20 the tanh is ±1 in every
    dtype, and u is kept from overflowing.
    """

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array]]:
        near = np.minimum(np.maximum(x, -20), 20)
        t = np.multiply(near * near, 0.044715, out=memory.like(x))
        t += 1
        t *= near
        t *= math.sqrt(2 / math.pi)
        np.tanh(t, out=t)
        y = np.add(t, 1, out=memory.like(x))
        y *= x
        y *= 0.5
        return y, (x, t)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array]:
        x, t = saved
        near = np.minimum(np.maximum(x, -20), 20)
        dx = np.multiply(near * near, 3 * 0.044715, out=memory.like(x))
        dx += 1
        dx *= math.sqrt(2 / math.pi)
        dx *= near * (1 - t)
        dx += 1
        dx *= 1 + t
        dx *= 0.5
        dx *= dy
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The definition, good where x³ does not overflow."""
        return 0.5 * x * (1 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@dataclass(frozen=True)
class Silu(Kernel):
    """y = x·σ(βx), also called swish;  dx = (σ + βxσ(1 − σ))·dy.  (Ramachandran et al. 2017)"""

    beta: float = 1.0

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array]]:
        s = np.multiply(x, self.beta, out=memory.like(x))
        logistic(s.copy(), out=s)
        return np.multiply(x, s, out=memory.like(x)), (x, s)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array]:
        x, s = saved
        dx = np.subtract(1, s, out=memory.like(x))
        dx *= self.beta
        dx *= x
        dx += 1
        dx *= s
        dx *= dy
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The product it is."""
        return x * ops.sigmoid(self.beta * x)


class Mish(Kernel):
    """y = x·t, t = tanh(ln(1 + eˣ));  dx = (t + x(1 − t²)σ(x))·dy.  (Misra 2019)"""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, tuple[Array, Array]]:
        t = log_one_plus_exp(x, out=memory.like(x))
        np.tanh(t, out=t)
        return np.multiply(x, t, out=memory.like(x)), (x, t)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array]:
        x, t = saved
        dx = logistic(x, out=memory.like(x))
        dx *= 1 + t
        dx *= 1 - t
        dx *= x
        dx += t
        dx *= dy
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The composition it is."""
        return x * ops.tanh(ops.softplus(x))


class Softplus(Kernel):
    """y = ln(1 + eˣ) = max(x, 0) + ln(1 + e^(−|x|));  dx = σ(x)·dy.  (Dugas et al. 2001)"""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return log_one_plus_exp(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = logistic(x, out=memory.like(x))
        dx *= dy
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The definition, good where eˣ does not overflow."""
        return ops.log1p(ops.exp(x))


class Softsign(Kernel):
    """y = x / (1 + |x|);  dx = dy / (1 + |x|)²."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        inverse = absolute(x, out=memory.like(x))
        inverse += 1
        np.divide(1, inverse, out=inverse)
        return np.multiply(x, inverse, out=memory.like(x)), inverse

    def backward(self, memory: Memory, dy: Array, inverse: Array) -> tuple[Array]:
        dx = np.multiply(dy, inverse, out=memory.like(inverse))
        dx *= inverse
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The quotient it is."""
        return x / (1 + ops.abs(x))


@dataclass(frozen=True)
class Softmax(Kernel):
    """yᵢ = e^(xᵢ − m) / Σⱼ e^(xⱼ − m) along `axis`, m = max x;  dx = y·(dy − Σ y·dy).

    Finite for every finite x. A row that is −∞ throughout gives 1/n for each of its n elements: the limit of equal
    finite numbers.
    """

    axis: int | tuple[int, ...] = -1

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        axes = normalize_axes(self.axis, x.ndim)
        y, _ = shift_to_max(memory, x, axes)
        np.exp(y, out=y)
        y /= sum_axes(memory, y, axes, keepdims=True)
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = np.multiply(dy, y, out=memory.like(y))
        dx -= y * sum_axes(memory, dx, normalize_axes(self.axis, y.ndim), keepdims=True)
        return (dx,)

    def reference(self, ops: Any, x: Any) -> Any:
        """The definition, good where no exponential overflows."""
        return ops.exp(x) / ops.sum(ops.exp(x), self.axis, keepdims=True)


@dataclass(frozen=True)
class LogSoftmax(Kernel):
    """yᵢ = xᵢ − m − ln Σⱼ e^(xⱼ − m) along `axis`, m = max x;  dx = dy − eʸ·Σ dy.

    Finite for every finite x; −ln n in a row of n times −∞, as for softmax.
    """

    axis: int | tuple[int, ...] = -1

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        axes = normalize_axes(self.axis, x.ndim)
        y, _ = shift_to_max(memory, x, axes)
        if x.size:
            total = sum_axes(memory, np.exp(y), axes, keepdims=True)
            y -= np.log(total, out=total)
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = np.exp(y, out=memory.like(y))
        dx *= sum_axes(memory, dy, normalize_axes(self.axis, y.ndim), keepdims=True)
        return (np.subtract(dy, dx, out=dx),)

    def reference(self, ops: Any, x: Any) -> Any:
        """The difference it is."""
        return x - ops.logsumexp(x, self.axis, keepdims=True)
