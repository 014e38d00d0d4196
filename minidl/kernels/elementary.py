"""Elementary functions of one array, element by element.

Those whose derivative is cheapest in terms of the result save y; the others save x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minidl.kernels.kernel import Kernel
from minidl.memory import Array, Memory


def log1p(x: Array, out: Array) -> Array:
    """ln(1 + x), accurate for small x; NumPy's own is not where x is complex."""
    if x.dtype.kind != "c":
        return np.log1p(x, out=out)
    from scipy.special import log1p as complex_log1p

    return complex_log1p(x, out=out)  # type: ignore[no-any-return]


def absolute(x: Array, out: Array) -> Array:
    """|x| as the larger of x and −x, which for complex numbers is the one with the larger real part."""
    np.negative(x, out=out)
    return np.maximum(x, out, out=out)


def positive_part(x: Array, out: Array) -> Array:
    """max(x, 0). Compared with an array of zeros, NumPy is three times as fast as with the number 0."""
    out.fill(0)
    return np.maximum(x, out, out=out)


def negative_part(x: Array, out: Array) -> Array:
    """min(x, 0), as fast."""
    out.fill(0)
    return np.minimum(x, out, out=out)


class Negative(Kernel):
    """y = −x;  dx = −dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        return np.negative(x, out=memory.like(x)), None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[Array]:
        return (np.negative(dy, out=memory.like(dy)),)


class Square(Kernel):
    """y = x²;  dx = 2x·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.square(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.multiply(dy, x, out=memory.like(x))
        dx *= 2
        return (dx,)


class Sqrt(Kernel):
    """y = √x;  dx = dy / 2y."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = np.sqrt(x, out=memory.like(x))
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = np.divide(dy, y, out=memory.like(y))
        dx *= 0.5
        return (dx,)


class Absolute(Kernel):
    """y = |x|;  dx = sign(x)·dy, with sign(0) = 0."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return absolute(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        return (np.multiply(dy, np.sign(x.real), out=memory.like(dy)),)


class Sign(Kernel):
    """y = sign(x): −1, 0 or 1;  dx = 0."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, None]:
        y = memory.like(x)
        np.copyto(y, np.sign(x.real))
        return y, None

    def backward(self, memory: Memory, dy: Array, saved: None) -> tuple[Array]:
        dx = memory.like(dy)
        dx.fill(0)
        return (dx,)


@dataclass(frozen=True)
class Clip(Kernel):
    """y = min(max(x, low), high);  dx = dy where low ≤ x ≤ high, 0 elsewhere."""

    low: float
    high: float

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        inside = (x.real >= self.low) & (x.real <= self.high)
        y = np.maximum(x, x.dtype.type(self.low), out=memory.like(x))
        np.minimum(y, x.dtype.type(self.high), out=y)
        return y, inside

    def backward(self, memory: Memory, dy: Array, inside: Array) -> tuple[Array]:
        return (np.multiply(dy, inside, out=memory.like(dy)),)


class Exp(Kernel):
    """y = eˣ;  dx = y·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = np.exp(x, out=memory.like(x))
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        return (np.multiply(dy, y, out=memory.like(y)),)


class Expm1(Kernel):
    """y = eˣ − 1, accurate for small x;  dx = (y + 1)·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = np.expm1(x, out=memory.like(x))
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = np.add(y, 1, out=memory.like(y))
        dx *= dy
        return (dx,)


class Log(Kernel):
    """y = ln x;  dx = dy / x."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.log(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        return (np.divide(dy, x, out=memory.like(x)),)


class Log1p(Kernel):
    """y = ln(1 + x), accurate for small x;  dx = dy / (1 + x)."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return log1p(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.add(x, 1, out=memory.like(x))
        return (np.divide(dy, dx, out=dx),)


class Sin(Kernel):
    """y = sin x;  dx = cos x·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.sin(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.cos(x, out=memory.like(x))
        dx *= dy
        return (dx,)


class Cos(Kernel):
    """y = cos x;  dx = −sin x·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.cos(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.sin(x, out=memory.like(x))
        np.negative(dx, out=dx)
        dx *= dy
        return (dx,)


class Tan(Kernel):
    """y = tan x;  dx = (1 + y²)·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = np.tan(x, out=memory.like(x))
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = np.square(y, out=memory.like(y))
        dx += 1
        dx *= dy
        return (dx,)


class Arcsin(Kernel):
    """y = arcsin x;  dx = dy / √((1 − x)(1 + x))."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.arcsin(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.sqrt((1 - x) * (1 + x), out=memory.like(x))
        return (np.divide(dy, dx, out=dx),)


class Arccos(Kernel):
    """y = arccos x;  dx = −dy / √((1 − x)(1 + x))."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.arccos(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.sqrt((1 - x) * (1 + x), out=memory.like(x))
        np.divide(dy, dx, out=dx)
        return (np.negative(dx, out=dx),)


class Arctan(Kernel):
    """y = arctan x;  dx = dy / (1 + x²)."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.arctan(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.square(x, out=memory.like(x))
        dx += 1
        return (np.divide(dy, dx, out=dx),)


class Sinh(Kernel):
    """y = sinh x;  dx = cosh x·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.sinh(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.cosh(x, out=memory.like(x))
        dx *= dy
        return (dx,)


class Cosh(Kernel):
    """y = cosh x;  dx = sinh x·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.cosh(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.sinh(x, out=memory.like(x))
        dx *= dy
        return (dx,)


class Tanh(Kernel):
    """y = tanh x;  dx = (1 − y)(1 + y)·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        y = np.tanh(x, out=memory.like(x))
        return y, y

    def backward(self, memory: Memory, dy: Array, y: Array) -> tuple[Array]:
        dx = np.subtract(1, y, out=memory.like(y))
        dx *= 1 + y
        dx *= dy
        return (dx,)


class Arcsinh(Kernel):
    """y = arsinh x;  dx = dy / √(1 + x²)."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.arcsinh(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.square(x, out=memory.like(x))
        dx += 1
        np.sqrt(dx, out=dx)
        return (np.divide(dy, dx, out=dx),)


class Arccosh(Kernel):
    """y = arcosh x for x > 1;  dx = dy / √((x − 1)(x + 1))."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.arccosh(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.sqrt((x - 1) * (x + 1), out=memory.like(x))
        return (np.divide(dy, dx, out=dx),)


class Arctanh(Kernel):
    """y = artanh x for |x| < 1;  dx = dy / ((1 − x)(1 + x))."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        return np.arctanh(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = np.multiply(1 - x, 1 + x, out=memory.like(x))
        return (np.divide(dy, dx, out=dx),)


class Erf(Kernel):
    """y = 2/√π ∫₀ˣ e^(−t²) dt;  dx = 2/√π·e^(−x²)·dy."""

    def forward(self, memory: Memory, x: Array) -> tuple[Array, Array]:
        from scipy.special import erf

        return erf(x, out=memory.like(x)), x

    def backward(self, memory: Memory, dy: Array, x: Array) -> tuple[Array]:
        dx = gaussian(x, 1.0, out=memory.like(x))
        dx *= 2 / math.sqrt(math.pi)
        dx *= dy
        return (dx,)


def gaussian(x: Array, scale: float, out: Array) -> Array:
    """e^(−scale·x²); beyond |x| = 40 it is 0 in every dtype, and x² is kept from overflowing."""
    np.minimum(np.maximum(x, -40), 40, out=out)
    np.square(out, out=out)
    out *= -scale
    return np.exp(out, out=out)
