"""Arithmetic and elementary functions, element by element; the formulas stand in `minidl.kernels`."""

from __future__ import annotations

import math

from minidl import kernels
from minidl.autodiff.tensor import (
    Tensor,
    TensorLike,
    add,
    apply,
    as_tensor,
    check_broadcast,
    compare,
    divide,
    floating,
    matmul,
    maximum,
    minimum,
    multiply,
    power,
    promote,
    subtract,
)
from minidl.errors import ArgumentError

__all__ = [
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "ceil", "clip", "cos",
    "cosh", "divide", "equal", "erf", "exp", "expm1", "floor", "greater", "greater_equal", "isfinite", "isinf", "isnan",
    "less", "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or", "matmul", "maximum", "minimum",
    "multiply", "negative", "not_equal", "power", "reciprocal", "round", "rsqrt", "sign", "sin", "sinh", "sqrt",
    "square", "subtract", "tan", "tanh", "true_divide", "where",
]  # fmt: skip

true_divide = divide


def negative(x: TensorLike) -> Tensor:
    """y = −x."""
    return apply(kernels.Negative(), as_tensor(x))


def absolute(x: TensorLike) -> Tensor:
    """y = |x|."""
    return apply(kernels.Absolute(), as_tensor(x))


abs = absolute


def sign(x: TensorLike) -> Tensor:
    """y = sign(x): −1, 0 or 1; its gradient is 0."""
    return apply(kernels.Sign(), as_tensor(x))


def square(x: TensorLike) -> Tensor:
    """y = x²."""
    return apply(kernels.Square(), as_tensor(x))


def sqrt(x: TensorLike) -> Tensor:
    """y = √x."""
    return apply(kernels.Sqrt(), floating(x))


def rsqrt(x: TensorLike) -> Tensor:
    """y = 1/√x."""
    return divide(1, sqrt(x))


def reciprocal(x: TensorLike) -> Tensor:
    """y = 1/x."""
    return divide(1, x)


def exp(x: TensorLike) -> Tensor:
    """y = eˣ."""
    return apply(kernels.Exp(), floating(x))


def expm1(x: TensorLike) -> Tensor:
    """y = eˣ − 1, accurate for small x."""
    return apply(kernels.Expm1(), floating(x))


def log(x: TensorLike) -> Tensor:
    """y = ln x."""
    return apply(kernels.Log(), floating(x))


def log1p(x: TensorLike) -> Tensor:
    """y = ln(1 + x), accurate for small x."""
    return apply(kernels.Log1p(), floating(x))


def sin(x: TensorLike) -> Tensor:
    """y = sin x, x in radians."""
    return apply(kernels.Sin(), floating(x))


def cos(x: TensorLike) -> Tensor:
    """y = cos x, x in radians."""
    return apply(kernels.Cos(), floating(x))


def tan(x: TensorLike) -> Tensor:
    """y = tan x, x in radians."""
    return apply(kernels.Tan(), floating(x))


def arcsin(x: TensorLike) -> Tensor:
    """y = arcsin x in radians, −1 ≤ x ≤ 1."""
    return apply(kernels.Arcsin(), floating(x))


def arccos(x: TensorLike) -> Tensor:
    """y = arccos x in radians, −1 ≤ x ≤ 1."""
    return apply(kernels.Arccos(), floating(x))


def arctan(x: TensorLike) -> Tensor:
    """y = arctan x in radians."""
    return apply(kernels.Arctan(), floating(x))


def sinh(x: TensorLike) -> Tensor:
    """y = sinh x."""
    return apply(kernels.Sinh(), floating(x))


def cosh(x: TensorLike) -> Tensor:
    """y = cosh x."""
    return apply(kernels.Cosh(), floating(x))


def tanh(x: TensorLike) -> Tensor:
    """y = tanh x."""
    return apply(kernels.Tanh(), floating(x))


def arcsinh(x: TensorLike) -> Tensor:
    """y = arsinh x."""
    return apply(kernels.Arcsinh(), floating(x))


def arccosh(x: TensorLike) -> Tensor:
    """y = arcosh x, x ≥ 1."""
    return apply(kernels.Arccosh(), floating(x))


def arctanh(x: TensorLike) -> Tensor:
    """y = artanh x, −1 < x < 1."""
    return apply(kernels.Arctanh(), floating(x))


def erf(x: TensorLike) -> Tensor:
    """y = 2/√π ∫₀ˣ e^(−t²) dt."""
    return apply(kernels.Erf(), floating(x))


def clip(x: TensorLike, x_min: float | None, x_max: float | None) -> Tensor:
    """y = min(max(x, x_min), x_max); a bound that is None does not bound.  The gradient is 0 outside the bounds."""
    low, high = -math.inf if x_min is None else x_min, math.inf if x_max is None else x_max
    if not low <= high:
        raise ArgumentError(f"clip: expected x_min ≤ x_max, got {x_min} and {x_max}")
    tensor = as_tensor(x)
    if tensor.dtype.kind not in "fc" and all(isinstance(bound, int) for bound in (x_min, x_max)):
        return minimum(maximum(tensor, x_min), x_max)
    return apply(kernels.Clip(float(low), float(high)), floating(tensor))


def where(condition: TensorLike, x1: TensorLike, x2: TensorLike) -> Tensor:
    """y = x1 where the condition holds, x2 elsewhere."""
    x1, x2 = promote(x1, x2)
    condition = as_tensor(condition)
    check_broadcast("where", condition.shape, x1.shape, x2.shape)
    return apply(kernels.Where(), condition, x1, x2)


def equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether x1 = x2; not differentiable."""
    return compare("equal", x1, x2)


def not_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether x1 ≠ x2; not differentiable."""
    return compare("not_equal", x1, x2)


def less(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether x1 < x2; not differentiable."""
    return compare("less", x1, x2)


def less_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether x1 ≤ x2; not differentiable."""
    return compare("less_equal", x1, x2)


def greater(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether x1 > x2; not differentiable."""
    return compare("greater", x1, x2)


def greater_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether x1 ≥ x2; not differentiable."""
    return compare("greater_equal", x1, x2)


def logical_and(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether both hold; not differentiable."""
    return compare("logical_and", x1, x2)


def logical_or(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether at least one holds; not differentiable."""
    return compare("logical_or", x1, x2)


def logical_not(x: TensorLike) -> Tensor:
    """Whether it does not hold; not differentiable."""
    return apply(kernels.NonDifferentiable("logical_not"), as_tensor(x))


def isnan(x: TensorLike) -> Tensor:
    """Whether an element is not a number; not differentiable."""
    return apply(kernels.NonDifferentiable("isnan"), as_tensor(x))


def isinf(x: TensorLike) -> Tensor:
    """Whether an element is ±∞; not differentiable."""
    return apply(kernels.NonDifferentiable("isinf"), as_tensor(x))


def isfinite(x: TensorLike) -> Tensor:
    """Whether an element is neither ±∞ nor NaN; not differentiable."""
    return apply(kernels.NonDifferentiable("isfinite"), as_tensor(x))


def floor(x: TensorLike) -> Tensor:
    """The largest integer ≤ x; not differentiable."""
    return apply(kernels.NonDifferentiable("floor"), floating(x))


def ceil(x: TensorLike) -> Tensor:
    """The smallest integer ≥ x; not differentiable."""
    return apply(kernels.NonDifferentiable("ceil"), floating(x))


def round(x: TensorLike) -> Tensor:
    """The nearest integer, the even one of two; not differentiable."""
    return apply(kernels.NonDifferentiable("round"), floating(x))
