"""Hypothesis strategies for shapes, axes and arrays to differentiate at.

Shapes are searched and shrunk by Hypothesis: axes of size 0 and 1 come up all the time. The numbers are noise from a
seed, as a derivative is best tested at generic points, with a few exact integers among them (a sigmoid must be right
at 0, too). Where a function has a kink, the strategy never comes near it, by construction: no tolerance has to be
widened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from minidl.errors import ArgumentError
from minidl.memory import Array, Shape

Strategy = st.SearchStrategy

# The least distance from a kink: far more than the steps of the finite differences in `minidl.testing.measure`.
GAP = 0.1


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3) -> Strategy[Shape]:
    """Shapes, now and then () or with sizes of 1 and 0: about one in six is empty."""
    dims = [*range(max(min_dims, 1), max_dims + 1)] * 3 + [0]
    return st.sampled_from([n for n in dims if min_dims <= n]).flatmap(
        lambda ndim: st.tuples(*[sides(min_side, max_side)] * ndim)
    )


def sides(min_side: int = 0, max_side: int = 3) -> Strategy[int]:
    """The size of an axis: rarely 1, and more rarely 0."""
    population = [*range(2, max_side + 1)] * 4 + [1, 1, 0]
    return st.sampled_from([n for n in population if min_side <= n <= max_side])


@st.composite
def broadcastable(draw: st.DrawFn, count: int, max_dims: int = 3, max_side: int = 3) -> tuple[Shape, ...]:
    """`count` shapes that broadcast to one: without its leading axes, or with axes of size 1, or whole."""
    full = draw(shapes(0, max_dims, 0, max_side))
    ones_and_sizes = [st.sampled_from([n, n, 1]) for n in full]
    starts = st.sampled_from([0, 0, *range(len(full) + 1)])
    return tuple(draw(st.tuples(*ones_and_sizes[draw(starts) :])) for _ in range(count))


@st.composite
def matrices(draw: st.DrawFn, max_dims: int = 3, max_side: int = 3) -> tuple[Shape, Shape]:
    """Two shapes that `matmul` takes: matrices, stacks of matrices that broadcast, vectors."""
    m, k, n = (draw(sides(0, max_side)) for _ in range(3))
    first, second = draw(broadcastable(2, max_dims - 2, max_side))
    left, right = (draw(st.sampled_from([True, True, True, False])) for _ in range(2))
    return (*first, m, k) if left else (k,), (*second, k, n) if right else (k,)


def axis_of(ndim: int) -> Strategy[int]:
    """One axis, counted from the front or, negative, from the back."""
    return st.sampled_from(range(-ndim, ndim))


def axes_of(ndim: int) -> Strategy[int | tuple[int, ...] | None]:
    """What reductions take: one axis, several in any order, or None for all."""
    if not ndim:
        return st.sampled_from([None, ()])
    signs = st.tuples(*[st.sampled_from([0, ndim])] * ndim)
    several = st.tuples(st.permutations(range(ndim)), signs, st.integers(0, ndim)).map(
        lambda drawn: tuple(a - sign for a, sign in zip(drawn[0], drawn[1], strict=True))[: drawn[2]]
    )
    return st.one_of(axis_of(ndim), several, st.none())


def arrays(
    shape: Shape | Strategy[Shape] | None = None,
    low: float = -3.0,
    high: float = 3.0,
    away_from: Sequence[float] = (),
    gap: float = GAP,
    dtype: npt.DTypeLike = np.float64,
) -> Strategy[Array]:
    """Numbers between `low` and `high`, none closer than `gap` to a point of `away_from`; some are exact integers."""
    points = sorted(away_from)
    rooms = np.diff([low - gap, *points, high + gap]) - 2 * gap
    if min(rooms) < 0 or sum(rooms) <= 0:
        raise ArgumentError(f"arrays: no room between {low} and {high} for numbers {gap} away from {points}")
    if shape is None:
        shape = shapes()

    def draw(shape: Shape, rng: np.random.Generator) -> Array:
        def push_away(x: Array) -> Array:
            """The numbers from 0 to the length of all rooms, put into the rooms between the points."""
            x = x + low
            for point in points:
                x = np.where(x > point - gap, x + 2 * gap, x)
            return x

        x = push_away(rng.uniform(0, rooms.sum(), shape))
        nearest = np.round(x)
        allowed = (low <= nearest) & (nearest <= high)
        for point in points:
            allowed &= abs(nearest - point) >= gap
        return np.where(allowed & (rng.uniform(size=shape) < 0.2), nearest, x).astype(dtype)

    return from_noise(draw, shape)


def distinct(
    shape: Shape | Strategy[Shape] | None = None,
    low: float = -3.0,
    high: float = 3.0,
    dtype: npt.DTypeLike = np.float64,
) -> Strategy[Array]:
    """Numbers between `low` and `high`, at least (high − low)/(2·size) from each other: no ties for max or sort."""
    return from_noise(lambda s, rng: _spaced(s, low, high, rng).astype(dtype), shapes() if shape is None else shape)


def apart(
    first: Shape, second: Shape, low: float = -3.0, high: float = 3.0, dtype: npt.DTypeLike = np.float64
) -> Strategy[tuple[Array, Array]]:
    """Two arrays without a number in common: no ties for maximum and minimum."""

    def draw(shape: Shape, rng: np.random.Generator) -> tuple[Array, Array]:
        both = _spaced(shape, low, high, rng).astype(dtype)
        cut = math.prod(first)
        return both[:cut].reshape(first), both[cut:].reshape(second)

    return from_noise(draw, (math.prod(first) + math.prod(second),))


def integers(shape: Shape | Strategy[Shape], low: int, high: int, dtype: npt.DTypeLike = np.int64) -> Strategy[Array]:
    """Integers from `low` to `high`, both included; an array with elements needs low ≤ high."""

    def draw(shape: Shape, rng: np.random.Generator) -> Array:
        return np.asarray(rng.integers(low, max(low, high), shape, endpoint=True)).astype(dtype)

    return from_noise(draw, shape)


def booleans(shape: Shape | Strategy[Shape]) -> Strategy[Array]:
    """Truth values."""
    return integers(shape, 0, 1, np.bool_)


def probabilities(shape: Shape | Strategy[Shape]) -> Strategy[Array]:
    """Numbers from 0.05 up that sum to 1 along the last axis."""

    def draw(shape: Shape, rng: np.random.Generator) -> Array:
        x = rng.uniform(0.1, 1.0, shape)
        total: Array = x / x.sum(axis=-1, keepdims=True)
        return total

    return from_noise(draw, shape)


def from_noise(draw: Callable[[Shape, np.random.Generator], Any], shape: Shape | Strategy[Shape]) -> Strategy[Any]:
    """What `draw(shape, rng)` makes, for a shape and a generator that Hypothesis chooses."""
    chosen = st.just(shape) if isinstance(shape, tuple) else shape
    seeds = st.integers(0, 2**32 - 1)
    return st.tuples(chosen, seeds).map(lambda drawn: draw(drawn[0], np.random.default_rng(drawn[1])))


def _spaced(shape: Shape, low: float, high: float, rng: np.random.Generator) -> Array:
    """Numbers in random order, one from the middle half of each of as many equal intervals."""
    size = math.prod(shape)
    places = rng.permutation(size) + rng.uniform(0.25, 0.75, size)
    spaced: Array = (low + (high - low) * places / max(size, 1)).reshape(shape)
    return spaced
