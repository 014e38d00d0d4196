"""`check_kernel`: everything that is proven of a kernel, at one set of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl import ops
from minidl.autodiff import vjp
from minidl.autodiff.transforms import STEP
from minidl.autodiff.tree import leaves
from minidl.kernels import Kernel
from minidl.memory import Arena, Array, Heap, Memory
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
    stepped,
)

Layout = Callable[[Array], Array]

# Another order of summation, or another path through BLAS, changes the last digits of float64.
REORDERED = 1e-12
# Rounding of float32, ε = 1.2e-7, with room for a few dozen operations or a bad condition.
SINGLE = 1e-5


def check_kernel(
    kernel: Kernel,
    inputs: Sequence[Array],
    reference: Callable[..., Any] | None = None,
    *,
    wrt: Sequence[int] | None = None,
    twice: bool = True,
) -> None:
    """Prove a kernel at these inputs: float64 arrays to differentiate for, and any others.

    - The value equals `reference(*inputs)`, a naive formulation.
    - The gradient for each input is that of the complex step, to 1e-10 of its largest element.
    - The Hessian-vector product, by the complex step through `backward`, is that of a difference quotient (`twice`).
    - float32 gives float32, and the result of float64 within its rounding.
    - A selective kernel gives each gradient by itself, and then no other.
    - Inputs, cotangents and saved arrays are not modified; `backward` can be called again.
    - Heap and Arena give bitwise equal results, also when the buffers held NaN before.
    - Fortran order, reversed and strided inputs and cotangents give the same.
    - A kernel with a `reference(ops, …)` equals that composition in value and gradients (unless an input is empty).

    `wrt` names the inputs that are differentiated for, by default all of floating point. A point where the function has
    a kink has no derivative to compare with: `minidl.testing.strategies` never draws one. Raises `ProofError`.
    """
    proof = _Proof(kernel, [_read_only(x) for x in inputs], tuple(wrt if wrt is not None else _real_positions(inputs)))
    try:
        if reference is not None:
            proof.value_equals(reference)
        proof.gradient_is_the_complex_step()
        if twice:
            proof.second_derivative_is_the_difference_quotient()
        proof.backward_can_be_called_again()
        if kernel.selective:
            proof.gradients_can_be_asked_for_one_by_one()
        proof.float32_stays_float32()
        proof.memories_agree()
        proof.layouts_agree()
        if hasattr(kernel, "reference") and all(x.size for x in inputs):
            proof.equals_the_composition()
    except ProofError as error:
        raise ProofError(f"{kernel} of {describe(inputs)}: {error}") from None
    proven["kernels"] += 1


def check_forward(kernel: Kernel, inputs: Sequence[Array], reference: Callable[..., Any]) -> None:
    """Prove a kernel that has no derivative: value, inputs unmodified, Heap equals Arena, any layout, real parts."""
    frozen = [_read_only(x) for x in inputs]
    y = kernel.forward(_HEAP, *frozen)[0]
    expect(isinstance(y, np.ndarray), f"{kernel}: the result is no array: {type(y).__name__}")
    y_complex = kernel.forward(_HEAP, *stepped(frozen, _real_positions(frozen)))[0]
    expect_equal(y_complex, y, f"{kernel}: value of complex inputs, of which only the real parts count,")
    expect_equal(y, np.asarray(reference(*frozen), y.dtype), f"{kernel}: value")
    arena = PoisonedArena()
    for _ in range(2):
        expect_equal(kernel.forward(arena, *frozen)[0], y, f"{kernel}: value from an Arena")
        arena.rewind()
    for layout in LAYOUTS:
        expect_equal(kernel.forward(_HEAP, *map(layout, frozen))[0], y, f"{kernel}: value of {layout.__name__} inputs")


class PoisonedArena(Arena):
    """An Arena whose buffers hold NaN after each rewind: whoever reads before writing is found out."""

    def rewind(self) -> None:
        """Start again at the first buffer."""
        super().rewind()
        for buffer in self._buffers:
            buffer.fill(np.nan if buffer.dtype.kind in "fc" else 1)


def fortran_ordered(x: Array) -> Array:
    """x with its first axis contiguous."""
    return np.array(x, order="F")


def reversed_in_memory(x: Array) -> Array:
    """x with negative strides on all axes."""
    return np.asarray(np.flip(np.array(np.flip(x))))


def strided(x: Array) -> Array:
    """x as every second element, on all axes, of an array that holds 99 in between."""
    room: Array = np.full([2 * n for n in x.shape], 99).astype(x.dtype)
    every_second: Any = (*(slice(1, None, 2) for _ in x.shape), ...)
    room[every_second] = x
    view: Array = room[every_second]
    return view


LAYOUTS: tuple[Layout, ...] = (fortran_ordered, reversed_in_memory, strided)

_HEAP = Heap()


def _real_positions(inputs: Sequence[Array]) -> list[int]:
    return [k for k, x in enumerate(inputs) if is_real(x)]


def _read_only(x: Array) -> Array:
    """A copy that cannot be written to: a kernel that modifies its inputs gets an error from NumPy."""
    copy = np.array(x)
    copy.flags.writeable = False
    return copy


def _same(x: Array) -> Array:
    return x


@dataclass(frozen=True)
class _Proof:
    """A kernel at some inputs, and the inputs to differentiate for."""

    kernel: Kernel
    inputs: list[Array]
    wrt: tuple[int, ...]

    def values(self, *inputs: Array) -> tuple[Array, ...]:
        y = self.kernel.forward(_HEAP, *inputs)[0]
        return y if isinstance(y, tuple) else (y,)

    def potential(self, *inputs: Array) -> Any:
        """Φ of the kernel's results, a scalar function of the inputs."""
        return potential(self.values(*inputs))

    def run(
        self, inputs: Sequence[Array], memory: Memory = _HEAP, layout: Layout = _same
    ) -> tuple[tuple[Array, ...], list[Array]]:
        """The results, and the gradient of Φ for each input of `wrt`."""
        ys, pull = self.run_forward([layout(x) for x in inputs], memory)
        gradients = pull(layout)
        expect(len(gradients) == len(inputs), f"{len(gradients)} gradients for {len(inputs)} inputs")
        chosen = [gradients[k] for k in self.wrt]
        for k, gradient in zip(self.wrt, chosen, strict=True):
            expect(isinstance(gradient, np.ndarray), f"gradient of input {k} is no array: {type(gradient).__name__}")
        return ys, chosen

    def run_forward(self, inputs: Sequence[Array], memory: Memory) -> tuple[tuple[Array, ...], Callable[[Layout], Any]]:
        """The results, and the function that runs `backward` from ∂Φ/∂y, laid out in memory as told."""
        y, saved = self.kernel.forward(memory, *inputs)
        ys = y if isinstance(y, tuple) else (y,)
        for part in ys:
            expect(isinstance(part, np.ndarray), f"the result is no array: {type(part).__name__}")

        def pull(layout: Layout) -> Any:
            dys = tuple(_read_only_view(layout(dy)) for dy in slope(ys))
            return self.kernel.backward(memory, dys if isinstance(y, tuple) else dys[0], saved)

        return ys, pull

    def gradients(self, *inputs: Array) -> list[Array]:
        return self.run(inputs)[1]

    def value_equals(self, reference: Callable[..., Any]) -> None:
        expected = reference(*self.inputs)
        for k, (y, value) in enumerate(zip(self.values(*self.inputs), _as_tuple(expected), strict=True)):
            expect_close(y, np.asarray(value), REORDERED, f"result {k} against the reference", scale=1.0)

    def gradient_is_the_complex_step(self) -> None:
        gradients = self.gradients(*self.inputs)
        along = 0.0
        for k, gradient in zip(self.wrt, gradients, strict=True):
            x = self.inputs[k]
            if gradient.dtype != x.dtype:
                raise ProofError(f"gradient of input {k} has dtype {gradient.dtype}, not {x.dtype}")
            measured = complex_step(self.potential, self.inputs, k)
            expect_close(gradient, measured, FIRST_ORDER, f"gradient of input {k} against the complex step")
            along += np.sum(gradient * generic(x.shape, "v", k))
        if self.inputs and all(x.size for x in self.inputs):
            together = np.imag(self.potential(*stepped(self.inputs, self.wrt))) / STEP
            size = sum(np.abs(gradient).sum() for gradient in gradients)
            expect_close(
                np.asarray(together), np.asarray(along), FIRST_ORDER, "forward mode along all inputs at once", size
            )

    def second_derivative_is_the_difference_quotient(self) -> None:
        gradients = self.gradients(*self.inputs)
        for which in [(k,) for k in self.wrt] + [self.wrt]:
            products = [np.asarray(g.imag / STEP) for g in self.gradients(*stepped(self.inputs, which))]
            expect_quotients(products, difference(self.gradients, self.inputs, which), gradients, self.wrt)

    def backward_can_be_called_again(self) -> None:
        _, pull = self.run_forward(self.inputs, _HEAP)
        first = [_copy(g) for g in pull(_same)]
        for k, (again, before) in enumerate(zip(pull(_same), first, strict=True)):
            if before is not None:
                expect_equal(again, before, f"gradient of input {k} from a second backward pass")

    def gradients_can_be_asked_for_one_by_one(self) -> None:
        y, saved = self.kernel.forward(_HEAP, *self.inputs)
        (dy,) = slope((y,))
        together = self.kernel.backward(_HEAP, dy, saved, (True,) * len(self.inputs))
        for k, expected in enumerate(together):
            wanted = tuple(position == k for position in range(len(self.inputs)))
            for position, dx in enumerate(self.kernel.backward(_HEAP, dy, saved, wanted)):
                if position == k and expected is not None:
                    expect_equal(dx, expected, f"gradient of input {k}, the only one wanted,")
                else:
                    expect(dx is None, f"a gradient of input {position} where only that of input {k} was wanted")

    def float32_stays_float32(self) -> None:
        single = [x.astype(np.float32) if is_real(x) else x for x in self.inputs]
        double = [x.astype(np.float64) if is_real(x) else x for x in single]
        ys, gradients = self.run(single)
        ys_double, gradients_double = self.run(double)
        names = [f"result {k}" for k in range(len(ys))] + [f"gradient of input {k}" for k in self.wrt]
        for name, a, b in zip(names, [*ys, *gradients], [*ys_double, *gradients_double], strict=True):
            expected = getattr(self.kernel, "dtype", np.float32) if name.startswith("result") else np.float32
            if a.dtype != expected:
                raise ProofError(f"{name} of float32 inputs has dtype {a.dtype}, not {np.dtype(expected)}")
            expect_close(a.astype(np.float64), b, SINGLE, f"{name} in float32 against float64", scale=1.0)
        for k, y in enumerate(self.values(*(x.astype(np.complex64) if is_real(x) else x for x in single))):
            expected = np.result_type(getattr(self.kernel, "dtype", np.float32), np.complex64)
            if y.dtype != expected:
                raise ProofError(f"result {k} of complex64 inputs has dtype {y.dtype}, not {expected}")

    def memories_agree(self) -> None:
        ys, gradients = self.run(self.inputs)
        arena = PoisonedArena()
        for step in range(3):
            arena_ys, arena_gradients = self.run(self.inputs, arena)
            for a, b in zip([*arena_ys, *arena_gradients], [*ys, *gradients], strict=True):
                expect_equal(a, b, f"from an Arena in step {step}")
            arena.rewind()

    def layouts_agree(self) -> None:
        ys, gradients = self.run(self.inputs)
        for layout in LAYOUTS:
            other_ys, other_gradients = self.run(self.inputs, layout=layout)
            for a, b in zip([*other_ys, *other_gradients], [*ys, *gradients], strict=True):
                expect_close(a, b, REORDERED, f"with {layout.__name__} arrays", scale=1.0)

    def equals_the_composition(self) -> None:
        def composition(*checked: Any) -> Any:
            full: list[Any] = list(self.inputs)
            for k, x in zip(self.wrt, checked, strict=True):
                full[k] = x
            return self.kernel.reference(ops, *full)  # type: ignore[attr-defined]

        ys, gradients = self.run(self.inputs)
        composed, pull = vjp(composition, *(self.inputs[k] for k in self.wrt))
        for y, other in zip(ys, leaves(composed), strict=True):
            expect_close(y, other.data, FIRST_ORDER, "value against its composition", scale=1.0)
        for k, gradient, other in zip(self.wrt, gradients, pull(slope(ys)), strict=True):
            what = f"gradient of input {k} against that of its composition"
            expect_close(gradient, other.data, FIRST_ORDER, what, scale=1.0)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _copy(x: Array | None) -> Array | None:
    return None if x is None else x.copy()


def _read_only_view(x: Array) -> Array:
    view = np.asarray(x).view()
    view.flags.writeable = False
    return view
