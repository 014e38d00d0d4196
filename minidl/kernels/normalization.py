"""Batch normalization (Ioffe & Szegedy 2015), group (Wu & He 2018) and layer normalization (Ba et al. 2016)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.kernels.kernel import Kernel, normalize_axes, ones, sum_axes, sum_rows
from minidl.memory import Array, Memory, Shape
from minidl.threads import division, in_parallel, matmul


def _layout(axis: tuple[int, ...], x: Array) -> tuple[tuple[int, ...], Shape, int]:
    """The axes that are averaged over, the shape that lets a parameter broadcast to x, and how many are averaged."""
    kept = {a % x.ndim for a in axis}
    averaged = tuple(a for a in range(x.ndim) if a not in kept)
    broadcastable = tuple(n if a in kept else 1 for a, n in enumerate(x.shape))
    return averaged, broadcastable, math.prod(x.shape[a] for a in averaged)


@functools.lru_cache
def _side_by_side(places: int, channels: int) -> int:
    """How many places, each with its channels, are put into one row.

    NumPy's loops run along the last axis, and are slow where that is as short as the channels often are. With several
    places side by side a row is longer; what is one number for each channel is then repeated as often.
    """
    row = min(max(places * channels // 64, 128), 8192)
    most = min(max(1, row // max(1, channels)), max(1, places))
    return next(k for k in range(most, 0, -1) if places % k == 0)


class _Columns:
    """Arrays of `shape` as matrices with a column for each position on `axis`, and one number for each such position.

    The batch is one place among others: statistics are those of all samples together, and threads share the rows.
    """

    def __init__(self, shape: Shape, axis: tuple[int, ...]) -> None:
        self.shape = shape
        self.kept = tuple(sorted(a % len(shape) for a in axis))
        self.last = tuple(range(len(shape) - len(axis), len(shape)))
        self.others = tuple(n for a, n in enumerate(shape) if a not in self.kept)
        self.channels = math.prod(shape[a] for a in self.kept)
        # How many elements a channel has.
        self.count = math.prod(self.others)
        self.side_by_side = _side_by_side(self.count, self.channels)
        self.rows, self.columns = self.count // max(1, self.side_by_side), self.side_by_side * self.channels

    def matrix(self, x: Array) -> Array:
        """x as (rows, channels side by side); a copy only where the channels are not last."""
        moved = x if self.kept == self.last else np.moveaxis(x, self.kept, self.last)
        return moved.reshape(self.rows, self.columns)

    def array(self, matrix: Array) -> Array:
        """A matrix as an array of the shape."""
        if self.kept == self.last:
            return matrix.reshape(self.shape)
        return np.moveaxis(matrix.reshape(*self.others, *(self.shape[a] for a in self.kept)), self.last, self.kept)

    def repeat(self, numbers: Array) -> Array:
        """A number for each channel as a row of the matrix."""
        row = numbers.reshape(self.channels)
        return row if self.side_by_side == 1 else np.tile(row, self.side_by_side)

    def each(self, work: Callable[[int, slice], Any]) -> None:
        """Call `work(worker, rows)` for some rows after the other."""
        in_parallel(work, self.rows, *division(self.rows, self.columns))

    def sums_of(self, memory: Memory, *terms: Callable[[int, slice], Array], dtype: Any) -> list[Array]:
        """For each of the terms, Σ over the rows of what `term(worker, rows)` gives for some of them, by channel.

        One after the other they go over the same rows, which are then in the cache.
        """
        grain, _ = division(self.rows, self.columns)
        sums = memory.empty((len(terms), -(-self.rows // grain), self.columns), dtype)

        def add(worker: int, part: slice) -> None:
            for own, term in zip(sums, terms, strict=True):
                matmul(ones(part.stop - part.start, dtype), term(worker, part), own[part.start // grain])

        self.each(add)
        return [sum_rows(memory, own.reshape(len(own) * self.side_by_side, self.channels)) for own in sums]

    def room(self, memory: Memory, dtype: Any) -> Array:
        """For each worker, room for as many rows as it works on at a time."""
        grain, threads = division(self.rows, self.columns)
        return memory.empty((threads, min(self.rows, grain), self.columns), dtype)


_columns = functools.lru_cache(_Columns)


@dataclass(frozen=True)
class BatchNormalization(Kernel):
    """y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + ε), with μ and σ² over all axes but `axis`.  (Algorithm 1)

    σ² is biased and taken in two passes. Gives (y, μ, σ²), the last two for the moving averages. The derivative
    (section 3, in one pass): dγ = Σ x̂·dy,  dβ = Σ dy,  dx = γ/√(σ² + ε)·(dy − dβ/n − x̂·dγ/n) + dμ/n + 2(x − μ)dσ²/n.

    The parameters and both statistics have the sizes of x on `axis`. Over an empty batch μ = σ² = 0.
    """

    epsilon: float = 1e-3
    axis: tuple[int, ...] = (-1,)

    def forward(
        self, memory: Memory, x: Array, gamma: Array, beta: Array
    ) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        columns = _columns(x.shape, self.axis)
        matrix, n = columns.matrix(x), max(columns.count, 1)
        mean = columns.sums_of(memory, lambda _, part: matrix[part], dtype=x.dtype)[0] / n
        centre, centred, room = columns.repeat(mean), memory.empty(matrix.shape, x.dtype), columns.room(memory, x.dtype)

        def squared_distance(worker: int, part: slice) -> Array:
            rows = np.subtract(matrix[part], centre, out=centred[part])
            return np.square(rows, out=room[worker, : len(rows)])

        variance = columns.sums_of(memory, squared_distance, dtype=x.dtype)[0] / n
        std = np.sqrt(variance + self.epsilon)
        y = memory.empty(matrix.shape, np.result_type(x, gamma, beta))
        scale, shift = columns.repeat(gamma.reshape(std.shape) / std), columns.repeat(beta)

        def normalize(worker: int, part: slice) -> None:
            rows = np.multiply(centred[part], scale, out=y[part])
            rows += shift

        columns.each(normalize)
        statistics = mean.reshape(gamma.shape), variance.reshape(gamma.shape)
        return (columns.array(y), *statistics), (centred, std, gamma)

    def backward(
        self, memory: Memory, dys: tuple[Array, Array, Array], saved: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array]:
        centred, std, gamma = saved
        columns = _columns(dys[0].shape, self.axis)
        n, dy = max(columns.count, 1), columns.matrix(dys[0])
        dmean, dvariance = (d.reshape(std.shape) for d in dys[1:])
        dx = memory.empty(dy.shape, np.result_type(centred, dy, gamma))
        room = columns.room(memory, dx.dtype)

        def share_of_scale(worker: int, part: slice) -> Array:
            return np.multiply(centred[part], dy[part], out=room[worker, : part.stop - part.start])

        dgamma, dbeta = columns.sums_of(memory, share_of_scale, lambda _, part: dy[part], dtype=dx.dtype)
        dgamma /= std
        # dx is linear in dy and x − μ with one coefficient a channel each: dx = slope·(x − μ) + offset + scale·dy.
        of_dy = gamma.reshape(std.shape) / std
        slope = columns.repeat((2 * dvariance - of_dy * dgamma / std) / n)
        offset = columns.repeat((dmean - of_dy * dbeta) / n)
        scale = columns.repeat(of_dy)

        def combine(worker: int, part: slice) -> None:
            rows = np.multiply(centred[part], slope, out=dx[part])
            rows += offset
            rows += np.multiply(dy[part], scale, out=room[worker, : len(rows)])

        columns.each(combine)
        return columns.array(dx), dgamma.reshape(gamma.shape), dbeta.reshape(gamma.shape)

    def reference(self, ops: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """The composition that the fused kernel replaces."""
        averaged, broadcastable, _ = _layout(self.axis, x)
        mean, variance = ops.mean(x, averaged, keepdims=True), ops.var(x, averaged, keepdims=True)
        x_hat = (x - mean) / ops.sqrt(variance + self.epsilon)
        y = x_hat * ops.reshape(gamma, broadcastable) + ops.reshape(beta, broadcastable)
        return y, ops.reshape(mean, gamma.shape), ops.reshape(variance, gamma.shape)


@dataclass(frozen=True)
class Standardization(Kernel):
    """y = γ·(x − μ)/√(σ² + ε) + β with given μ and σ²: batch normalization at inference.  (Algorithm 2, line 11)

    dx = γ/√(σ² + ε)·dy, and the sums of the corresponding terms for the four parameters.
    """

    epsilon: float = 1e-3
    axis: tuple[int, ...] = (-1,)

    def forward(
        self, memory: Memory, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        _, broadcastable, _ = _layout(self.axis, x)
        std = np.sqrt(variance + self.epsilon)
        dtype = np.result_type(x, gamma, beta, mean, variance)
        x_hat = np.subtract(x, mean.reshape(broadcastable), out=memory.empty(x.shape, dtype))
        x_hat /= std.reshape(broadcastable)
        y = np.multiply(x_hat, gamma.reshape(broadcastable), out=memory.like(x_hat))
        y += beta.reshape(broadcastable)
        return y, (x_hat, std, gamma)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array, Array, Array]:
        x_hat, std, gamma = saved
        averaged, broadcastable, _ = _layout(self.axis, x_hat)
        dx = np.multiply(dy, x_hat, out=memory.like(dy))
        dgamma = sum_axes(memory, dx, averaged)
        dbeta = sum_axes(memory, dy, averaged)
        scale = gamma / std
        np.multiply(dy, scale.reshape(broadcastable), out=dx)
        dmean = np.multiply(dbeta, -scale, out=memory.like(dbeta))
        dvariance = np.multiply(dgamma, -0.5 * scale / std, out=memory.like(dgamma))
        return dx, dgamma, dbeta, dmean, dvariance

    def reference(self, ops: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        """The composition that the fused kernel replaces."""
        _, broadcastable, _ = _layout(self.axis, x)
        gamma, beta, mean, variance = (ops.reshape(p, broadcastable) for p in (gamma, beta, mean, variance))
        return (x - mean) / ops.sqrt(variance + self.epsilon) * gamma + beta


@dataclass(frozen=True)
class _PerChannel:
    """Arrays of `shape` with one number for each sample and channel, (batch, channels): sums, and back to all elements.

    Unlike `_Columns` it keeps samples apart and channels where they are: only where these are last are rows joined.
    """

    shape: Shape
    axis: int

    @property
    def channels(self) -> int:
        return self.shape[self.axis]

    @property
    def places(self) -> int:
        """How many elements a channel of a sample has."""
        return math.prod(self.shape[1:]) // max(1, self.channels)

    @property
    def side_by_side(self) -> int:
        """How many places are in one row."""
        channels_last = self.axis % len(self.shape) == len(self.shape) - 1
        return _side_by_side(self.places, self.channels) if channels_last else 1

    def rows(self, x: Array) -> Array:
        """x as (batch, rows, channels of the places side by side, what is after the channels)."""
        axis, repeats = self.axis % len(self.shape), self.side_by_side
        before, after = math.prod(self.shape[1:axis]), math.prod(self.shape[axis + 1 :])
        return x.reshape(self.shape[0], before // repeats, repeats * self.channels, after)

    def sums(self, memory: Memory, rows: Array) -> Array:
        """Σ over the places: (batch, channels)."""
        batch, length, columns, after = rows.shape
        total = memory.empty((batch, columns), rows.dtype)
        if after == 1:
            matmul(ones(length, rows.dtype), rows[..., 0], total)
        else:
            np.add.reduce(rows, axis=(1, 3), out=total)
        folded: Array = total.reshape(batch, self.side_by_side, self.channels).sum(axis=1)
        return folded

    def spread(self, numbers: Array) -> Array:
        """(batch, channels) as an array that broadcasts to the rows."""
        return np.tile(numbers, (1, self.side_by_side))[:, None, :, None]


@dataclass(frozen=True)
class GroupNormalization(Kernel):
    """y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + ε), with μ and σ² for each sample and group of channels.  (Wu & He 2018, eq. 1)

    The channels, on `axis`, are cut into `groups` equal parts; μ and σ² (biased, in two passes) are taken over a part
    and all other axes but the batch. γ and β are one number for each channel. With n numbers in a group and g = γ·dy:
    dγ = Σ x̂·dy,  dβ = Σ dy,  dx = (g − Σg/n − x̂·Σ(x̂·g)/n)/√(σ² + ε).

    y is linear in x − μ, dx in x − μ and dy, with coefficients for each sample and channel.
    """

    groups: int
    epsilon: float = 1e-3
    axis: int = -1

    def forward(
        self, memory: Memory, x: Array, gamma: Array, beta: Array
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        per = _PerChannel(x.shape, self.axis)
        rows = per.rows(x)
        mean = self._group_means(per, per.sums(memory, rows))
        centred = np.subtract(rows, per.spread(mean), out=memory.like(rows))
        y = memory.empty(rows.shape, np.result_type(x, gamma, beta))
        squares = np.square(centred, out=y if y.dtype == x.dtype else memory.like(rows))
        std = np.sqrt(self._group_means(per, per.sums(memory, squares)) + self.epsilon)
        np.multiply(centred, per.spread(gamma / std), out=y)
        y += per.spread(np.broadcast_to(beta, std.shape))
        return y.reshape(x.shape), (centred, std, gamma)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array]:
        centred, std, gamma = saved
        per = _PerChannel(dy.shape, self.axis)
        rows = per.rows(dy)
        dx = np.multiply(rows, centred, out=memory.empty(rows.shape, np.result_type(dy, centred, gamma)))
        # For each sample.
        dgamma, dbeta = per.sums(memory, dx) / std, per.sums(memory, rows)
        scale = gamma / std
        slope = self._group_means(per, scale * dgamma) / -std
        offset = -self._group_means(per, scale * dbeta)
        np.multiply(centred, per.spread(slope), out=dx)
        dx += per.spread(offset)
        dx += np.multiply(rows, per.spread(scale), out=memory.like(dx))
        return dx.reshape(dy.shape), dgamma.sum(axis=0), dbeta.sum(axis=0)

    def _group_means(self, per: _PerChannel, sums: Array) -> Array:
        """The means over groups from the sums of their channels, repeated for each channel: (batch, channels)."""
        size = per.channels // self.groups
        means = sums.reshape(len(sums), self.groups, size).sum(axis=-1) / max(1, size * per.places)
        return np.repeat(means, size, axis=-1)

    def reference(self, ops: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """The composition that the fused kernel replaces."""
        axis = self.axis % x.ndim
        shape = x.shape
        size = shape[axis] // self.groups
        parts = ops.reshape(x, (*shape[:axis], self.groups, size, *shape[axis + 1 :]))
        averaged = tuple(a for a in range(1, parts.ndim) if a != axis)
        per_channel = tuple(n if a in (axis, axis + 1) else 1 for a, n in enumerate(parts.shape))
        mean, variance = ops.mean(parts, averaged, keepdims=True), ops.var(parts, averaged, keepdims=True)
        x_hat = (parts - mean) / ops.sqrt(variance + self.epsilon)
        return ops.reshape(x_hat * ops.reshape(gamma, per_channel) + ops.reshape(beta, per_channel), shape)


@dataclass(frozen=True)
class LayerNormalization(Kernel):
    """y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + ε), with μ and σ² over `axis` alone.  (Ba et al. 2016, eq. 4)

    σ² is biased and taken in two passes. γ and β have the sizes of x on `axis`, in the order of the axes. With n
    numbers on `axis` and g = γ·dy: dγ = Σ x̂·dy,  dβ = Σ dy,  dx = (g − Σg/n − x̂·Σ(x̂·g)/n)/√(σ² + ε).

    With `center` False μ is 0, so that σ² is the mean square: x̂ = x/√(Σx²/n + ε), root mean square normalization, and
    dx loses its middle term.  (Zhang & Sennrich 2019, eq. 4)
    """

    epsilon: float = 1e-3
    axis: tuple[int, ...] = (-1,)
    center: bool = True

    def forward(
        self, memory: Memory, x: Array, gamma: Array, beta: Array
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        rows = self._rows(x)
        x_hat, y = (memory.empty(rows.shape, np.result_type(x, gamma, beta)) for _ in range(2))
        std, scale, shift = memory.empty((len(rows), 1), x_hat.dtype), gamma.reshape(-1), beta.reshape(-1)

        def normalize(worker: int, part: slice) -> None:
            centred, squares = x_hat[part], y[part]
            np.subtract(rows[part], self._means(rows[part]) if self.center else 0, out=centred)
            np.sqrt(self._means(np.square(centred, out=squares)) + self.epsilon, out=std[part])
            centred /= std[part]
            np.multiply(centred, scale, out=y[part])
            y[part] += shift

        in_parallel(normalize, len(rows), *division(*rows.shape))
        return self._array(y, x.shape), (x_hat, std, gamma)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array]:
        x_hat, std, gamma = saved
        rows, scale = self._rows(dy), gamma.reshape(-1)
        dx = memory.empty(rows.shape, np.result_type(rows, x_hat, gamma))
        grain, threads = division(*rows.shape)
        room = memory.empty((threads, min(len(rows), grain), rows.shape[1]), dx.dtype)
        # The shares of dγ and dβ of each piece.
        sums = memory.empty((2, -(-len(rows) // grain), rows.shape[1]), dx.dtype)

        def differentiate(worker: int, part: slice) -> None:
            out, g = dx[part], room[worker, : part.stop - part.start]
            np.multiply(rows[part], x_hat[part], out=out)
            matmul(ones(len(out), out.dtype), out, sums[0, part.start // grain])
            matmul(ones(len(out), out.dtype), rows[part], sums[1, part.start // grain])
            slope = self._means(out, gamma)
            np.multiply(rows[part], scale, out=g)
            np.multiply(x_hat[part], slope, out=out)
            np.subtract(g, out, out=out)
            if self.center:
                out -= self._means(rows[part], gamma)
            out /= std[part]

        in_parallel(differentiate, len(rows), grain, threads)
        dgamma, dbeta = np.add.reduce(sums, axis=1)
        return self._array(dx, dy.shape), dgamma.reshape(gamma.shape), dbeta.reshape(gamma.shape)

    def _rows(self, x: Array) -> Array:
        """x as a matrix, all that is averaged over in a row; a copy only where `axis` is not last."""
        kept, last = self._axes(x.ndim)
        features = math.prod(x.shape[a] for a in kept)
        samples = math.prod(n for a, n in enumerate(x.shape) if a not in kept)
        return np.moveaxis(x, kept, last).reshape(samples, features)

    def _array(self, rows: Array, shape: Shape) -> Array:
        """The matrix as an array of this shape."""
        kept, last = self._axes(len(shape))
        others = [n for a, n in enumerate(shape) if a not in kept]
        return np.moveaxis(rows.reshape(*others, *(shape[a] for a in kept)), last, kept)

    def _axes(self, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The axes that are averaged over, and as many at the end."""
        return normalize_axes(self.axis, ndim), tuple(range(ndim - len(self.axis), ndim))

    def _means(self, rows: Array, weights: Array | None = None) -> Array:
        """The mean of each row, weighted or not, as a column."""
        features = rows.shape[1]
        each = ones(features, rows.dtype) if weights is None else weights.reshape(features)
        means: Array = np.matmul(rows, each[:, None]) / max(1, features)
        return means

    def reference(self, ops: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """The composition that the fused kernel replaces."""
        averaged = normalize_axes(self.axis, x.ndim)
        broadcastable = tuple(n if a in averaged else 1 for a, n in enumerate(x.shape))
        centred = x - ops.mean(x, averaged, keepdims=True) if self.center else x
        x_hat = centred / ops.sqrt(ops.mean(centred * centred, averaged, keepdims=True) + self.epsilon)
        return x_hat * ops.reshape(gamma, broadcastable) + ops.reshape(beta, broadcastable)
