"""`check_function`: what is proven of a function on tensors, whatever it is composed of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.autodiff import Tensor, grad, hvp, jvp, no_grad, vjp
from minidl.autodiff.tree import leaves
from minidl.memory import Array
from minidl.testing.kernel import REORDERED, SINGLE
from minidl.testing.measure import (
    FIRST_ORDER,
    ProofError,
    complex_step,
    describe,
    difference,
    expect,
    expect_close,
    expect_equal,
    expect_quotients,
    generic,
    is_real,
    potential,
    proven,
    slope,
)


def check_function(
    f: Callable[..., Any],
    inputs: Sequence[Array],
    reference: Callable[..., Any] | None = None,
    *,
    wrt: Sequence[int] | None = None,
    twice: bool = True,
    single: bool = True,
    kind: str = "functions",
) -> None:
    """Prove a function of tensors at these inputs: float64 arrays to differentiate for, and any others.

    - The value equals `reference(*inputs)` in plain NumPy.
    - Reverse mode (`vjp`) gives the gradient that the complex step measures, to 1e-10 of its largest element.
    - Forward mode (`jvp`) agrees with reverse mode: uᵀ(Jv) = (Jᵀu)ᵀv.
    - `hvp` gives the Hessian-vector product that a difference quotient of `grad` measures (`twice`).
    - float32 stays float32, with the value of float64 within its rounding (`single`).
    - The inputs are not modified.

    f takes tensors and returns one, or several nested as one likes. `wrt` names the inputs that are differentiated for,
    by default all of floating point. At a kink there is no derivative to compare with: let the strategies of
    `minidl.testing` keep away from it. Raises `ProofError`. `kind` is what the case is counted as.
    """
    positions = tuple(wrt if wrt is not None else (k for k, x in enumerate(inputs) if is_real(x)))
    proof = _Proof(f, list(inputs), positions)
    before = [x.copy() for x in inputs]
    try:
        if reference is not None:
            proof.value_equals(reference)
        proof.reverse_mode_is_the_complex_step()
        proof.forward_mode_agrees()
        if twice:
            proof.second_derivative_is_the_difference_quotient()
        if single:
            proof.float32_stays_float32()
        for k, (x, old) in enumerate(zip(inputs, before, strict=True)):
            expect_equal(x, old, f"input {k} after all this")
    except ProofError as error:
        raise ProofError(f"{getattr(f, '__name__', f)} of {describe(inputs)}: {error}") from None
    proven[kind] += 1


@dataclass(frozen=True)
class _Proof:
    """A function at some inputs, and the inputs to differentiate for."""

    f: Callable[..., Any]
    inputs: list[Array]
    wrt: tuple[int, ...]

    @property
    def primals(self) -> tuple[Array, ...]:
        return tuple(self.inputs[k] for k in self.wrt)

    @property
    def tangents(self) -> tuple[Array, ...]:
        return tuple(generic(x.shape, "v", k) for k, x in enumerate(self.primals))

    def of_primals(self, *primals: Any) -> list[Tensor]:
        """All floating-point results, as a function of the inputs that are differentiated for."""
        full: list[Any] = [Tensor(x) for x in self.inputs]
        for k, x in zip(self.wrt, primals, strict=True):
            full[k] = x
        return [y for y in leaves(self.f(*full)) if y.dtype.kind in "fc"]

    def values(self, *primals: Array) -> list[Array]:
        with no_grad():
            return [y.data for y in self.of_primals(*(Tensor(x) for x in primals))]

    def potential(self, *primals: Any) -> Any:
        return potential(self.of_primals(*primals))

    def gradients(self, *primals: Array) -> list[Array]:
        wanted = tuple(range(len(primals)))
        return [g.data for g in grad(self.potential, argnums=wanted)(*(Tensor(x) for x in primals))]

    def value_equals(self, reference: Callable[..., Any]) -> None:
        ys = [y.data for y in leaves(self.f(*(Tensor(x) for x in self.inputs)))]
        for k, (y, expected) in enumerate(zip(ys, leaves(reference(*self.inputs)), strict=True)):
            expect_close(y, np.asarray(expected), REORDERED, f"result {k} against the reference", scale=1.0)

    def reverse_mode_is_the_complex_step(self) -> None:
        ys, pull = vjp(self.of_primals, *self.primals)
        for k, (x, dx) in enumerate(zip(self.primals, pull(slope([y.data for y in ys])), strict=True)):
            if dx.dtype != x.dtype:
                raise ProofError(f"gradient of input {self.wrt[k]} has dtype {dx.dtype}, not {x.dtype}")
            measured = complex_step(lambda *xs: potential(self.values(*xs)), self.primals, k)
            expect_close(dx.data, measured, FIRST_ORDER, f"gradient of input {self.wrt[k]} against the complex step")

    def forward_mode_agrees(self) -> None:
        _, dys = jvp(self.of_primals, self.primals, self.tangents)
        us = slope(self.values(*self.primals))
        forward = sum(np.sum(u * dy.data) for u, dy in zip(us, dys, strict=True))
        gradients = self.gradients(*self.primals)
        reverse = sum(np.sum(g * v) for g, v in zip(gradients, self.tangents, strict=True))
        size = float(sum(np.abs(g).sum() for g in gradients))
        expect_close(np.asarray(forward), np.asarray(reverse), FIRST_ORDER, "forward against reverse mode", size)

    def second_derivative_is_the_difference_quotient(self) -> None:
        products = hvp(self.potential, self.primals, self.tangents)
        quotients = difference(self.gradients, self.primals, range(len(self.primals)))
        expect_quotients([h.data for h in products], quotients, self.gradients(*self.primals), self.wrt)

    def float32_stays_float32(self) -> None:
        single = [x.astype(np.float32) if is_real(x) else x for x in self.inputs]
        double = [x.astype(np.float64) if is_real(x) else x for x in single]
        ys, wide = (leaves(self.f(*(Tensor(x) for x in xs))) for xs in (single, double))
        for k, (y, expected) in enumerate(zip(ys, wide, strict=True)):
            if expected.dtype.kind == "f":
                expect(y.dtype == np.float32, f"result {k} of float32 inputs has dtype {y.dtype}")
                expect_close(y.data.astype(np.float64), expected.data, SINGLE, f"result {k} in float32", scale=1.0)
