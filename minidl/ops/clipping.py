"""Norms, and gradients made shorter by hand, between `GradientTape.gradient` and `apply_gradients`.

The names are those of TensorFlow. An optimizer does the same by itself when it is told `clipvalue`, `clipnorm` or
`global_clipnorm`; see `minidl.optimizers.clipping`.
"""

from __future__ import annotations

import builtins
import math as numbers
from collections.abc import Sequence

from minidl.autodiff.tensor import Tensor, TensorLike, as_tensor
from minidl.checks import number
from minidl.errors import ArgumentError
from minidl.ops.math import absolute, clip, greater, isfinite, maximum, sqrt, square, where
from minidl.ops.reductions import max, min, sum

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm", "norm"]

Axis = int | tuple[int, ...] | None


def norm(x: TensorLike, ord: int | float | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`√Σx²` along the axes, all unless given; with `ord` 1 `Σ|x|`, with ±inf the largest or smallest `|x|`."""
    if ord in (None, 2):
        return _root(sum(square(x), axis, keepdims))
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    if ord in (numbers.inf, -numbers.inf):
        return max(absolute(x), axis, keepdims) if ord > 0 else min(absolute(x), axis, keepdims)
    raise ArgumentError(f"norm: expected ord to be None, 1, 2, inf or -inf, got {ord!r}")


def clip_by_value(x: TensorLike, clip_value_min: float, clip_value_max: float) -> Tensor:
    """`min(max(x, clip_value_min), clip_value_max)`, element by element."""
    return clip(x, clip_value_min, clip_value_max)


def clip_by_norm(x: TensorLike, clip_norm: float, axes: Axis = None) -> Tensor:
    """`x·c / max(‖x‖, c)`: shortened to the norm c = `clip_norm` if it is longer; with `axes` along these alone."""
    tensor = as_tensor(x)
    return tensor * _factor("clip_by_norm", norm(tensor, axis=axes, keepdims=axes is not None), clip_norm)


def clip_by_global_norm(t_list: Sequence[TensorLike | None], clip_norm: float) -> tuple[list[Tensor | None], Tensor]:
    """`x·c / max(‖all x‖, c)` for every x of the list, and the norm ‖all x‖ that they had before.

    One factor for all keeps the direction of the step. None, a gradient that does not exist, stays None.
    (Pascanu, Mikolov, Bengio 2013, algorithm 1)
    """
    length = global_norm(t_list)
    factor = _factor("clip_by_global_norm", length, clip_norm)
    return [None if x is None else as_tensor(x) * factor for x in t_list], length


def global_norm(t_list: Sequence[TensorLike | None]) -> Tensor:
    """`√Σx²` over all elements of all tensors; None counts nothing."""
    given = [x for x in t_list if x is not None]
    if not given:
        raise ArgumentError("global_norm: expected at least one tensor")
    return _root(builtins.sum((sum(square(x)) for x in given[1:]), sum(square(given[0]))))


def _root(squares: Tensor) -> Tensor:
    """√s, with the derivative 0 at 0, where the shortest of all vectors has no direction."""
    positive = greater(squares, 0)
    return where(positive, sqrt(where(positive, squares, 1)), 0)


def _factor(name: str, length: Tensor, limit: float) -> Tensor:
    """What to multiply by; NaN if the length is infinite, so that a step gone wrong can be seen."""
    limit = number(name, "clip_norm", limit, "> 0")
    return where(isfinite(length), limit / maximum(length, limit), numbers.nan)
