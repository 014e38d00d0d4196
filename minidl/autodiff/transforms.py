"""Functions of functions: gradients, products with Jacobian and Hessian matrices.

Reverse mode gives vᵀJ (`vjp`, `grad`). The complex step gives the rest from the same kernels: with h = 10⁻²⁰,
f(x + ihv) = f(x) + ih·Jv + O(h²), so Jv = Im f(x + ihv)/h to the last digit, since nothing is subtracted (Squire &
Trapp 1998). Run through the backward pass, it gives Hv = Im ∇f(x + ihv)/h.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import kernels
from minidl.autodiff.graph import Output, backpropagate, is_recording, recording
from minidl.autodiff.tensor import (
    Tensor,
    TensorLike,
    apply,
    as_array,
    as_gradient,
    as_tensor,
    constant,
    differentiable,
    floating,
    seed,
    untracked,
)
from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import ArgumentError, NotDifferentiableError, ShapeError
from minidl.memory import Array

STEP = 1e-20


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that gives ∇f, the gradient of a scalar-valued `f` for its argument `argnums`, or for several.

    Arguments may be nested lists, tuples and dictionaries of tensors; the gradient is nested in the same way. It is
    zero for what `f` does not depend on.
    """
    gradient_and_value = value_and_grad(f, argnums)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        return gradient_and_value(*args, **kwargs)[1]

    return gradient


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Tensor, Any]]:
    """The function that gives f and its gradient; see `grad`."""
    positions = argnums if isinstance(argnums, tuple) else (argnums,)

    def function(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        for k in positions:
            if not -len(args) <= k < len(args):
                raise ArgumentError(f"grad: argnums={argnums}, but the function got {len(args)} positional arguments")
        originals = [args[k] for k in positions]
        tracked = list(args)
        for k in positions:
            tracked[k] = map_leaves(_tracked_copy, args[k])
        with recording(True):
            y = _as_result(f(*tracked, **kwargs))
        start = seed(y, None, "grad")
        gradients = _pull([y], [start], [tracked[k] for k in positions], originals, "grad")
        return _value(y, originals), tuple(gradients) if isinstance(argnums, tuple) else gradients[0]

    return function


def vjp(f: Callable[..., Any], *primals: TensorLike) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """f(primals), and the function `pull` that gives vᵀJ for each primal: the vector-Jacobian product.

    `pull(cotangent)` takes what has the structure and shapes of the output, as often as one likes.
    """
    tracked = [map_leaves(_tracked_copy, primal) for primal in primals]
    with recording(True):
        result = map_leaves(_as_result, f(*tracked))
    ys = leaves(result)

    def pull(cotangent: Any) -> tuple[Any, ...]:
        cotangents = leaves(cotangent)
        if len(cotangents) != len(ys):
            raise ShapeError(f"vjp: expected {len(ys)} cotangents, one for each output, got {len(cotangents)}")
        starts = [seed(y, v, "vjp") for y, v in zip(ys, cotangents, strict=True)]
        return tuple(_pull(ys, starts, tracked, list(primals), "vjp"))

    return map_leaves(lambda y: _value(y, list(primals)), result), pull


def jvp(f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """f(primals), and Jv, its directional derivative along the tangents, by the complex step.

    Each tangent has the shape of its primal. Every operation of minidl is complex-capable; what a function does
    outside of them (in plain NumPy, say) must be, too.
    """
    with recording(False):
        y = map_leaves(as_tensor, f(*_stepped("jvp", primals, tangents)))
    return map_leaves(lambda t: constant(_real(t.data)), y), map_leaves(lambda t: constant(_derivative(t.data)), y)


def hvp(f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """Hv for each primal: the product of the Hessian of a scalar-valued `f` with the tangents, for about two gradients.

    The complex step through the backward pass, exact to rounding.
    """
    arguments = _stepped("hvp", primals, tangents)
    gradients = grad(f, argnums=tuple(range(len(arguments))))(*arguments)
    return tuple(map_leaves(lambda t: constant(_derivative(t.data)), g) for g in gradients)


def jacobian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Tensor]:
    """The function that gives J of shape (*output, *input): one backward pass for each element of the output."""

    def function(*args: Any) -> Tensor:
        of_one, argument = _of_one_argument("jacobian", f, argnums, args)
        y, pull = vjp(of_one, argument)
        if not isinstance(y, Tensor):
            raise NotDifferentiableError(f"jacobian: expected the function to give one tensor, got {type(y).__name__}")
        rows = [pull(unit.reshape(y.shape))[0].data for unit in np.eye(y.size, dtype=y.dtype)]
        return constant(np.array(rows, y.dtype).reshape(*y.shape, *argument.shape))

    return function


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Tensor]:
    """The function that gives H of shape (*input, *input): one `hvp` for each element of the input."""

    def function(*args: Any) -> Tensor:
        of_one, x = _of_one_argument("hessian", f, argnums, args)
        columns = [hvp(of_one, (x,), (unit.reshape(x.shape),))[0].data for unit in np.eye(x.size, dtype=x.dtype)]
        return constant(np.array(columns, x.dtype).reshape(*x.shape, *x.shape))

    return function


def _of_one_argument(
    where: str, f: Callable[..., Any], argnums: int, args: tuple[Any, ...]
) -> tuple[Callable[[Tensor], Any], Tensor]:
    """`f` as a function of its argument `argnums` alone, and that argument."""
    if not -len(args) <= argnums < len(args):
        raise ArgumentError(f"{where}: argnums={argnums}, but the function got {len(args)} positional arguments")
    k = argnums % len(args)
    return lambda x: f(*args[:k], x, *args[k + 1 :]), floating(args[k])


def _tracked_copy(x: TensorLike) -> Tensor:
    """A new tracked tensor with the value of `x`, so that differentiating leaves no trace on the caller's.

    If `x` is tracked itself, the copy depends on it, so that an outer derivative sees through the inner function.
    """
    original = floating(x)
    if original.output is not None and is_recording():
        return apply(kernels.Reshape(original.shape), original)
    copy = untracked(original)
    copy.track()
    return copy


def _as_result(y: Any) -> Tensor:
    """What a function returned: a tensor, or a Python number, which depends on nothing."""
    if isinstance(y, Tensor) or type(y) in (int, float):
        return as_tensor(y)
    raise NotDifferentiableError(
        f"expected the function to return a tensor, got {type(y).__name__}: what leaves the operations of minidl "
        "has lost how it was computed"
    )


def _tracked_outputs(originals: list[Any]) -> list[Output]:
    """Where the caller's own arguments came from, if an outer derivative is being taken."""
    return [x.output for x in leaves(originals) if isinstance(x, Tensor) and x.output is not None]


def _value(y: Tensor, originals: list[Any]) -> Tensor:
    """The value without its graph, unless an outer derivative needs it."""
    return y if is_recording() and _tracked_outputs(originals) else y.detach()


def _pull(ys: list[Tensor], starts: list[Array], tracked: list[Any], originals: list[Any], where: str) -> list[Any]:
    """The gradient for every leaf of the tracked arguments, nested as they are; zeros where nothing depends on it."""
    found = [(differentiable(y, where), start) for y, start in zip(ys, starts, strict=True)]
    targets = [(output, start) for output, start in found if output is not None]
    gradients = backpropagate(targets, [leaf.output for leaf in leaves(tracked)])
    outer = _tracked_outputs(originals)

    def gradient_of(leaf: Tensor) -> Tensor:
        assert leaf.output is not None
        return as_gradient(gradients.get(leaf.output, np.zeros(leaf.shape, leaf.dtype)), outer)

    return [map_leaves(gradient_of, argument) for argument in tracked]


def _stepped(where: str, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """x + ihv for each primal x and its tangent v."""
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentError(f"{where}: primals and tangents are tuples, one entry for each argument of the function")
    if len(primals) != len(tangents):
        raise ArgumentError(f"{where}: got {len(primals)} primals and {len(tangents)} tangents, one for each is needed")

    def step(primal: TensorLike, tangent: TensorLike) -> Tensor:
        x, v = floating(primal).data, as_array(tangent)
        if x.shape != v.shape:
            raise ShapeError(f"{where}: a primal of shape {x.shape} needs a tangent of that shape, got {v.shape}")
        if x.dtype.kind == "c":
            raise NotDifferentiableError(f"{where}: complex arguments are taken by the complex step itself")
        y = x.astype(np.result_type(x.dtype, np.complex64))
        y.imag = STEP * v
        return constant(y)

    return tuple(map_leaves(step, primal, tangent) for primal, tangent in zip(primals, tangents, strict=True))


def _real(y: Array) -> Array:
    return np.array(y.real) if y.dtype.kind == "c" else y


def _derivative(y: Array) -> Array:
    """Im y/h; zero for a real result, which does not depend on the input."""
    return np.asarray(y.imag / y.real.dtype.type(STEP)) if y.dtype.kind == "c" else np.zeros_like(y)
