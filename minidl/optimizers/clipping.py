"""Clipping: gradients that are too long are shortened before an optimizer sees them.

    by value          g ← min(max(g, −c), c)             each element by itself; changes the direction
    by norm           g ← g·c / max(‖g‖, c)              each variable by itself
    by global norm    g ← g·c / max(‖all g‖, c)          all variables by one factor; keeps the direction
                                                          (Pascanu, Mikolov, Bengio 2013, algorithm 1)

Norms are Euclidean and added up in float64: squares of float32 can then neither overflow nor get lost, and those of
float64 are scaled by the largest element where they would overflow. A gradient that is short enough is returned as it
is; otherwise a new array of the same dtype. A norm that is infinite or NaN makes NaN of everything it scales, so that
a step gone wrong can be seen and not merely gets short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minidl.memory import Array


def clip_by_value(gradient: Array, limit: float) -> Array:
    """`min(max(g, −limit), limit)`, element by element; NaN stays NaN."""
    return np.clip(gradient, -limit, limit)


def clip_by_norm(gradient: Array, limit: float) -> Array:
    """The gradient, shortened to the norm `limit` if it is longer."""
    return clip_by_global_norm([gradient], limit)[0]


def clip_by_global_norm(gradients: Sequence[Array], limit: float) -> list[Array]:
    """The gradients, shortened by one factor so that their global norm is at most `limit`."""
    norm = global_norm(gradients)
    if norm <= limit:
        return list(gradients)
    factor = limit / norm if math.isfinite(norm) else math.nan
    return [g * factor for g in gradients]


def global_norm(gradients: Sequence[Array]) -> float:
    """`√Σg²` over all elements of all the arrays, as one vector."""
    return math.hypot(*(_norm(g) for g in gradients))


def _norm(x: Array) -> float:
    """`√Σx²` in float64."""
    square = float(np.einsum("i,i->", x.ravel(), x.ravel(), dtype=np.float64))
    largest = float(np.abs(x).max(initial=0.0)) if math.isinf(square) else 0.0
    if not 0.0 < largest < math.inf:
        return math.sqrt(square)
    return largest * _norm(x / largest)
