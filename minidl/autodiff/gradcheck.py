"""Proof by measurement: the gradient that the backward pass computes against the derivative measured numerically.

The complex step ∂f/∂x = Im f(x + ih)/h, h = 10⁻²⁰, subtracts nothing and is exact to rounding, so that it can demand
agreement to 1e-10. Central differences (f(x + h) − f(x − h))/2h lose half of the digits; they remain for functions that
leave minidl's operations and cannot take complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.autodiff.graph import no_grad
from minidl.autodiff.tensor import Tensor, TensorLike, as_array, constant
from minidl.autodiff.transforms import STEP, vjp
from minidl.autodiff.tree import leaves
from minidl.errors import ArgumentError, GradcheckError, NonFiniteError
from minidl.memory import Array

# The relative error each method can demand in float64.
TOLERANCES = {"complex": 1e-10, "central": 1e-6}
# Where all gradients are smaller, they are 0 as far as the method can tell: x³ at 0 measures h², not 0.
SMALLEST = {"complex": STEP, "central": 1e-4}


@dataclass(frozen=True)
class GradcheckReport:
    """What `gradcheck` found: the element whose gradient is worst, with both values."""

    passed: bool
    method: str
    tolerance: float
    elements: int
    error: float = 0.0
    input: int = 0
    index: tuple[int, ...] = ()
    backward: float = 0.0
    measured: float = 0.0

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        name = {"complex": "complex step", "central": "central differences"}[self.method]
        verdict = "agree" if self.passed else "DISAGREE"
        place = f"input {self.input}{list(self.index) if self.index else ''}"
        return (
            f"gradients {verdict} with the {name} at {self.elements} elements; worst is {place}: backward pass "
            f"{self.backward:.12g}, measured {self.measured:.12g}, relative error {self.error:.2g} "
            f"(allowed {self.tolerance:.2g})"
        )


def gradcheck(
    f: Callable[..., Any],
    *inputs: TensorLike,
    method: str = "complex",
    tolerance: float | None = None,
    raise_error: bool = True,
    seed: int = 0,
) -> GradcheckReport:
    """Compare the gradient of `f` at the inputs with its numerical measurement, element by element.

    f maps tensors to a tensor, or several; what is differentiated is Σ uᵢ·yᵢ with fixed random weights u, so that every
    element of the output counts. All floating-point inputs are taken in float64 and checked; integers are passed on as
    they are. The error of an element is relative to the largest gradient in its input.

    `method` is "complex" (allowed error 1e-10) or "central" (1e-6). Raises `GradcheckError` with the report if an
    element disagrees (or returns the report if `raise_error` is False); `NonFiniteError` for NaN or infinity.
    """
    if method not in TOLERANCES:
        raise ArgumentError(f"gradcheck: expected method 'complex' or 'central', got {method!r}")
    arrays = [as_array(x) for x in inputs]
    arrays = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays]
    checked = [k for k, x in enumerate(arrays) if x.dtype.kind == "f"]
    if not checked:
        raise ArgumentError("gradcheck: expected at least one floating-point input")

    def of_checked(*values: Tensor) -> Any:
        full = [constant(x) for x in arrays]
        for k, value in zip(checked, values, strict=True):
            full[k] = value
        return f(*full)

    y, pull = vjp(of_checked, *(arrays[k] for k in checked))
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(0.5, 1.5, part.shape) * rng.choice([-1, 1], part.shape) for part in leaves(y)]
    gradients = pull(weights)

    def projection(values: list[Array]) -> Any:
        """Σ uᵢ·yᵢ at these values."""
        with no_grad():
            parts = leaves(of_checked(*(constant(v) for v in values)))
        return sum(np.sum(u * as_array(part)) for u, part in zip(weights, parts, strict=True))

    tolerance = TOLERANCES[method] if tolerance is None else tolerance
    report = GradcheckReport(True, method, tolerance, sum(arrays[k].size for k in checked))
    measure = _complex_step if method == "complex" else _central_difference
    for position, k in enumerate(checked):
        measured = measure(projection, [arrays[j] for j in checked], position)
        report = _worse(report, k, gradients[position].data, measured)
    if raise_error and not report:
        hint = "; a function that leaves minidl's operations needs method='central'" if method == "complex" else ""
        raise GradcheckError(f"{report}{hint}")
    return report


def _worse(report: GradcheckReport, position: int, gradient: Array, measured: Array) -> GradcheckReport:
    """The report that names the worst element of this input, if it is worse than the worst so far."""
    if not gradient.size:
        return report
    if not (np.isfinite(gradient).all() and np.isfinite(measured).all()):
        raise NonFiniteError(f"gradcheck: NaN or infinity in the gradient of input {position}")
    scale = max(np.abs(measured).max(), np.abs(gradient).max(), SMALLEST[report.method])
    errors = np.abs(gradient - measured) / scale
    index = tuple(int(i) for i in np.unravel_index(np.argmax(errors), errors.shape))
    error = float(errors[index])
    if error < report.error:
        return report
    passed = report.passed and error <= report.tolerance
    return GradcheckReport(
        passed, report.method, report.tolerance, report.elements, error, position, index,
        float(gradient[index]), float(measured[index]),
    )  # fmt: skip


def _complex_step(projection: Callable[[list[Array]], Any], values: list[Array], position: int) -> Array:
    """Im f(x + ih)/h for each element of one input."""
    x = values[position].astype(np.complex128)
    measured = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        x.imag[index] = STEP
        y = projection([*values[:position], x, *values[position + 1 :]])
        measured[index] = np.imag(y) / STEP
        x.imag[index] = 0
    return measured


def _central_difference(projection: Callable[[list[Array]], Any], values: list[Array], position: int) -> Array:
    """(f(x + h) − f(x − h))/2h for each element of one input, h = ∛ε·max(1, |x|)."""
    x = values[position].copy()
    measured = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        old = x[index]
        h = np.cbrt(np.finfo(float).eps) * max(1.0, abs(old))
        sides = []
        for side in (old + h, old - h):
            x[index] = side
            sides.append((side, projection([*values[:position], x, *values[position + 1 :]])))
        x[index] = old
        (x_plus, y_plus), (x_minus, y_minus) = sides
        measured[index] = (y_plus - y_minus) / (x_plus - x_minus)
    return measured
