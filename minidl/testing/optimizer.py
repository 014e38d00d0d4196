"""`check_optimizer`: what is proven of an optimizer, whatever its rule."""

from __future__ import annotations

import json

import numpy as np

from minidl.layers import Variable
from minidl.memory import Array
from minidl.optimizers import Optimizer
from minidl.testing.measure import ProofError, expect, expect_close, expect_equal, generic

SIZE = 6
# The bowl ½Σaᵢ(wᵢ − 0.5)², whose steepest axis is four times as steep as its flattest.
STEEPNESS = np.linspace(0.5, 2.0, SIZE)
MINIMUM = 0.5


def check_optimizer(optimizer: Optimizer, steps: int = 1000) -> None:
    """Prove an optimizer; fresh ones are made from its configuration, it is left alone itself.

    - The first step from w = 0 leads downhill: ⟨Δw, ∇f⟩ < 0.
    - `steps` steps from a distance of 0.1 bring a bowl, ½Σaᵢ(wᵢ − ½)² with 0.5 ≤ aᵢ ≤ 2, down to a tenth at least.
    - Gradients are not modified; weights and slots of float32 stay float32, and follow those of float64.
    - All state is in `variables`: an optimizer that is given a copy of it continues bitwise as the first.
    - The rule works element by element: a variable in two parts becomes what it becomes in one (unless `clipnorm` or
      `global_clipnorm` ties its elements together).
    - `from_config(get_config())`, by way of JSON, gives an equal optimizer.

    Raises `ProofError`.
    """
    try:
        _check_configuration(optimizer)
        _check_first_step(optimizer)
        _check_dtypes(optimizer)
        _check_state(optimizer)
        if optimizer.clipnorm is None and optimizer.global_clipnorm is None:
            _check_elements(optimizer)
        _check_descent(optimizer, steps)
    except ProofError as error:
        raise ProofError(f"{optimizer!r}: {error}") from None


def _fresh(optimizer: Optimizer) -> Optimizer:
    return type(optimizer).from_config(optimizer.get_config())


def _start(dtype: str = "float64") -> Variable:
    """Weights on all sides of the minimum, at a distance of 0.05 to 0.1."""
    return Variable((MINIMUM + 0.1 * generic((SIZE,), "v", 0)).astype(dtype), name="w")


def _gradient(w: Array) -> Array:
    """∇f of the bowl, read-only: an optimizer that writes to it gets an error from NumPy."""
    gradient: Array = (STEEPNESS * (w - MINIMUM)).astype(w.dtype)
    gradient.flags.writeable = False
    return gradient


def _walk(optimizer: Optimizer, w: Variable, steps: int) -> None:
    for _ in range(steps):
        optimizer.apply([_gradient(w.data)], [w])


def _check_configuration(optimizer: Optimizer) -> None:
    config = optimizer.get_config()
    again = type(optimizer).from_config(json.loads(json.dumps(config))).get_config()
    expect(again == config, f"the configuration {config} comes back as {again}")


def _check_first_step(optimizer: Optimizer) -> None:
    w, g = Variable(np.zeros(SIZE), name="w"), _gradient(generic((SIZE,), "u", 0))
    _fresh(optimizer).apply([g], [w])
    along = float(np.sum(w.data * g))
    expect(along < 0, f"the first step goes uphill: ⟨Δw, ∇f⟩ = {along:.3g}")


def _check_dtypes(optimizer: Optimizer) -> None:
    walked = {}
    for dtype in ("float32", "float64"):
        walker, w = _fresh(optimizer), _start("float32")
        w = Variable(w.data.astype(dtype), name="w")
        _walk(walker, w, 5)
        expect(w.dtype == dtype, f"weights of {dtype} became {w.dtype}")
        for slot in walker.variables:
            if slot.shape == w.shape:
                expect(slot.dtype == dtype, f"the slot {slot.path} of a {dtype} variable has dtype {slot.dtype}")
        walked[dtype] = w.data.astype(np.float64)
    expect_close(walked["float32"], walked["float64"], 1e-5, "five steps in float32 against float64")


def _check_state(optimizer: Optimizer) -> None:
    first, w = _fresh(optimizer), _start()
    _walk(first, w, 3)
    second, copy = _fresh(optimizer), Variable(w.data.copy(), name="w")
    second.build([copy])
    expect(len(first.variables) == len(second.variables), "build does not make all variables that steps make")
    for own, other in zip(second.variables, first.variables, strict=True):
        own.assign(other.data)
    _walk(first, w, 3)
    _walk(second, copy, 3)
    expect_equal(copy.data, w.data, "an optimizer with a copy of the state continues otherwise: weights")


def _check_elements(optimizer: Optimizer) -> None:
    whole, w = _fresh(optimizer), _start()
    _walk(whole, w, 3)
    parts = [Variable(_start().data[:2], name="a"), Variable(_start().data[2:], name="b")]
    # Each with an optimizer of its own: a single one may treat them as one.
    halves = [_fresh(optimizer) for _ in parts]
    for _ in range(3):
        g = _gradient(np.concatenate([part.data for part in parts]))
        for half, own, part in zip(halves, (g[:2], g[2:]), parts, strict=True):
            half.apply([own], [part])
    expect_equal(np.concatenate([part.data for part in parts]), w.data, "a variable in two parts")


def _check_descent(optimizer: Optimizer, steps: int) -> None:
    def height(w: Variable) -> float:
        return float(0.5 * np.sum(STEEPNESS * (w.data - MINIMUM) ** 2))

    w = _start()
    before = height(w)
    _walk(_fresh(optimizer), w, steps)
    expect(height(w) <= before / 10, f"{steps} steps bring the bowl from {before:.3g} to {height(w):.3g} only")
