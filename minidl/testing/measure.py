"""How a derivative is measured without trusting the backward pass, and how two results are compared.

Every check differentiates the same scalar: Φ(f(x)) with Φ(y) = Σ uᵢyᵢ + ½wᵢyᵢ² and fixed generic weights u, w, so that
each element of the output counts differently, and the second derivative of a linear f is not trivially zero.

- First derivatives: the complex step Im Φ(f(x + ih))/h, h = 10⁻²⁰, which subtracts nothing and is exact to rounding.
- Second derivatives: the difference quotient of eighth order of the gradient at real points. It shares nothing with
  `hvp`, which takes complex numbers through the backward pass; its error is about (4h/r)⁸ + ε/h ≈ 10⁻¹², where
  h = 10⁻³ and r is the distance to the nearest singularity.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.autodiff.transforms import STEP
from minidl.errors import MiniDLError
from minidl.memory import Array, Shape

# How many gradients have been compared with a measurement since the import, by kind of check.
proven: Counter[str] = Counter()

# Relative errors that are allowed in float64, see the head of this file.
FIRST_ORDER = 1e-10
SECOND_ORDER = 1e-8

_DIFFERENCE_STEP = 1e-3
_EIGHTH_ORDER = (4 / 5, -1 / 5, 4 / 105, -1 / 280)


class ProofError(MiniDLError, AssertionError):
    """A check found something that does not hold."""


@functools.lru_cache(maxsize=1024)
def generic(shape: Shape, role: str, k: int) -> Array:
    """Numbers of size ½ to 1 and either sign, always the same for the k-th array in a role: "u", "w" or "v"."""
    rng = np.random.default_rng([ord(role), k, *shape])
    numbers: Array = np.asarray(rng.uniform(0.5, 1.0, shape) * rng.choice([-1, 1], shape))
    numbers.flags.writeable = False
    return numbers


def potential(ys: Sequence[Any]) -> Any:
    """Φ(y) = Σ uᵢyᵢ + ½wᵢyᵢ² over all results, which may be arrays or tensors."""
    terms = [((generic(y.shape, "u", k) + 0.5 * generic(y.shape, "w", k) * y) * y).sum() for k, y in enumerate(ys)]
    return sum(terms[1:], start=terms[0])


def slope(ys: Sequence[Array]) -> tuple[Array, ...]:
    """∂Φ/∂y = u + w·y for each result, of its dtype; only u where y is not finite."""

    def of_one(k: int, y: Array) -> Array:
        finite = np.where(np.isfinite(y), y, 0)
        return np.asarray(generic(y.shape, "u", k) + generic(y.shape, "w", k) * finite).astype(y.dtype)

    return tuple(of_one(k, y) for k, y in enumerate(ys))


def is_real(x: Array) -> bool:
    """Whether x can have a gradient."""
    return x.dtype.kind == "f"


def complex_step(f: Callable[..., Any], xs: Sequence[Array], k: int) -> Array:
    """∂f/∂x for each element of the k-th argument of a scalar function: Im f(x + ih)/h."""
    x = xs[k].astype(np.complex128)
    measured = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        x.imag[index] = STEP
        measured[index] = np.imag(f(*xs[:k], x, *xs[k + 1 :])) / STEP
        x.imag[index] = 0
    return measured


def stepped(xs: Sequence[Array], which: Sequence[int]) -> list[Array]:
    """x + ihv with a generic direction v, for the arguments named by `which`."""
    return [np.asarray(x + 1j * STEP * generic(x.shape, "v", k)) if k in which else x for k, x in enumerate(xs)]


def difference(f: Callable[..., Sequence[Array]], xs: Sequence[Array], which: Sequence[int]) -> list[Array]:
    """The derivative of each result of f in the same direction, by the difference quotient of eighth order."""
    total: list[Any] = []
    for k, coefficient in enumerate(_EIGHTH_ORDER, start=1):
        sides = []
        for h in (k * _DIFFERENCE_STEP, -k * _DIFFERENCE_STEP):
            moved = [np.asarray(x + h * generic(x.shape, "v", j)) if j in which else x for j, x in enumerate(xs)]
            sides.append(f(*moved))
        weight = coefficient / _DIFFERENCE_STEP
        parts = [np.asarray(weight * (plus - minus)) for plus, minus in zip(*sides, strict=True)]
        total = [np.asarray(a + b) for a, b in zip(total, parts, strict=True)] if total else parts
    return total


def expect_quotients(
    products: Sequence[Array], quotients: Sequence[Array], gradients: Sequence[Array], inputs: Sequence[int]
) -> None:
    """Hessian-vector products against difference quotients of the gradients for the inputs with these numbers.

    An error is relative to the largest element of the product or gradient for its input, or to 10⁻⁶ of the largest
    gradient of all, whose rounding the quotient magnifies.
    """
    largest = max((np.abs(g).max(initial=0) for g in gradients), default=0)
    for k, product, quotient, gradient in zip(inputs, products, quotients, gradients, strict=True):
        what = f"Hessian-vector product for input {k} against the difference quotient"
        expect_close(product, quotient, SECOND_ORDER, what, scale=max(np.abs(gradient).max(initial=0), 1e-6 * largest))


def expect(condition: object, message: str) -> None:
    """A `ProofError` with the message unless the condition holds."""
    if not condition:
        raise ProofError(message)


def expect_close(actual: Array, expected: Array, tolerance: float, what: str, scale: float = 0.0) -> None:
    """No error beyond `tolerance` times the largest element (or `scale`); NaN and infinities in the same places.

    Where all elements are 0, the complex step leaves terms of the order of its h² (x³ at 0), and h is allowed.
    """
    if actual.shape != expected.shape:
        raise ProofError(f"{what}: got shape {actual.shape}, expected {expected.shape}")
    if not actual.size:
        return
    finite = np.isfinite(expected)
    if not finite.all():
        same = np.array_equal(actual[~finite], expected[~finite], equal_nan=True)
        expect(same, f"{what}: got\n{actual}\nexpected\n{expected}")
        actual, expected = np.where(finite, actual, 0), np.where(finite, expected, 0)
    expect(np.isfinite(actual).all(), f"{what}: not finite")
    errors = np.abs(actual - expected)
    scale = max(scale, np.abs(actual).max(initial=0), np.abs(expected).max(initial=0))
    if not errors.max(initial=0) <= tolerance * scale + STEP:
        index = np.unravel_index(np.argmax(errors), errors.shape)
        raise ProofError(
            f"{what}: at {[int(i) for i in index]} got {actual[index]:.17g}, expected {expected[index]:.17g}, an error "
            f"of {errors[index] / scale:.2g} relative to the largest element (allowed {tolerance:.2g})"
        )


def expect_equal(actual: Array, expected: Array, what: str) -> None:
    """Bitwise equality of values (NaN equals NaN), of shape and of dtype."""
    same = actual.dtype == expected.dtype and np.array_equal(actual, expected, equal_nan=actual.dtype.kind in "fc")
    if not same:
        raise ProofError(f"{what}: got\n{actual!r}\nexpected\n{expected!r}")


def describe(inputs: Sequence[Array]) -> str:
    """The dtypes and shapes of arrays, for a message."""
    return ", ".join(f"{x.dtype}{list(x.shape)}" for x in inputs)
