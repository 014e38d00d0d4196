"""Layers that make good inputs of raw data, batch by batch: a data set of bytes stays one of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minidl import config, ops
from minidl.autodiff.tensor import Tensor, TensorLike, plain
from minidl.checks import axes, flag
from minidl.errors import ArgumentError, ShapeError
from minidl.layers.layer import OpenShape, SameShape
from minidl.layers.variable import Variable
from minidl.memory import Array

# How many samples are measured at a time: their squares are float64 and need room.
_PIECE = 1024


class Rescaling(SameShape):
    """y = x·scale + offset: `Rescaling(1 / 255)` makes 0 … 1 of pixels.

    `scale` and `offset` are numbers, or one number for each position on the last axis. Integers become floating-point
    numbers first.
    """

    def __init__(self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = _numbers("Rescaling", "scale", scale)
        self.offset = _numbers("Rescaling", "offset", offset)

    def call(self, inputs: Tensor) -> Tensor:
        """x·scale + offset."""
        self.compute_output_shape(inputs.shape)
        scaled = ops.multiply(inputs, _spread(self.scale, inputs, (-1,)))
        return ops.add(scaled, _spread(self.offset, inputs, (-1,))) if np.any(self.offset) else scaled

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The same shape, or an error if the numbers do not fit its last axis."""
        _check_fit(self, input_shape, (-1,), self.scale, self.offset)
        return input_shape


class Normalization(SameShape):
    """y = (x − mean)/√variance: mean 0 and variance 1 for data of this mean and variance.

    `Normalization().adapt(data)` measures them on the training data, one of each for every position on `axis`: the last
    axis, another, several, or None for one mean and one variance of everything. Or they are given, as numbers or as
    arrays of the sizes on `axis`. The variance is biased, and as in Keras the divisor is at least
    `minidl.config.epsilon()`: what never varies becomes 0. With `invert` it is x = mean + y·√variance.

    Variables, unless mean and variance are given: mean, variance, and count, which Keras has and does not use.
    """

    adapt_mean: Variable
    adapt_variance: Variable
    count: Variable

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: float | Sequence[Any] | None = None,
        variance: float | Sequence[Any] | None = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = None if axis is None else axes(self, axis)
        if (mean is None) != (variance is None):
            raise ArgumentError(
                "Normalization: expected mean and variance, such as x.mean(axis) and x.var(axis), or none of them and "
                "a call of adapt(x)"
            )
        self.input_mean = None if mean is None else _numbers("Normalization", "mean", mean, len(self._kept))
        self.input_variance = (
            None if variance is None else _numbers("Normalization", "variance", variance, len(self._kept))
        )
        if self.input_variance is not None and np.min(self.input_variance) < 0:
            raise ArgumentError(f"Normalization: expected a variance ≥ 0, got {variance!r}")
        self.invert = flag(self, "invert", invert)

    def build(self, input_shape: OpenShape) -> None:
        """Make the variables, if mean and variance are to be measured."""
        self.sizes = self._sizes(input_shape)
        if self.input_mean is None:
            if None in self.sizes:
                raise ShapeError(f"{self.name!r}: the size of axis {self.axis} must be known, got {input_shape}")
            self.adapt_mean = self.add_weight(self.sizes, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(self.sizes, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")
        super().build(input_shape)

    def adapt(self, data: Any) -> None:
        """Measure mean and variance: of an array, or of batches, one array after the other. What was before is gone.

        Pieces of the data are joined as Chan, Golub & LeVeque (1983) do: with δ = μ_b − μ and w = n_b/n of a new piece,
        σ² ← (1 − w)·σ² + w·σ_b² + w·(1 − w)·δ² and μ ← μ + w·δ.
        """
        if self.input_mean is not None:
            raise ArgumentError(f"{self.name!r} was given mean and variance: leave them out to have them measured")
        seen, mean, variance = 0, np.zeros(()), np.zeros(())
        for x in _pieces(self.name, data, whole=0 in self._kept):
            self.build_for(x.shape)
            self.compute_output_shape(x.shape)
            kept = {a % x.ndim for a in self._kept}
            averaged = tuple(a for a in range(x.ndim) if a not in kept)
            count = math.prod(x.shape[a] for a in averaged)
            seen += count
            w, distance = count / seen, x.mean(averaged, np.float64) - mean
            variance = (1 - w) * variance + w * x.var(averaged, np.float64) + w * (1 - w) * np.square(distance)
            mean = mean + w * distance
        if not seen:
            raise ArgumentError(f"{self.name!r}: adapt expects an array, or batches, got nothing")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    @property
    def mean(self) -> Any:
        """The mean: as it was given, or as a variable with the sizes on `axis`; None before the layer is built."""
        return getattr(self, "adapt_mean", None) if self.input_mean is None else self.input_mean

    @property
    def variance(self) -> Any:
        """The variance, as the mean."""
        return getattr(self, "adapt_variance", None) if self.input_variance is None else self.input_variance

    def call(self, inputs: Tensor) -> Tensor:
        """(x − mean)/√variance."""
        self.compute_output_shape(inputs.shape)
        mean = _spread(self.mean, inputs, self._kept)
        deviation = ops.maximum(ops.sqrt(ops.cast(self.variance, inputs.dtype)), config.epsilon())
        if self.invert:
            return ops.add(ops.multiply(inputs, _spread(deviation, inputs, self._kept)), mean)
        return ops.multiply(ops.subtract(inputs, mean), _spread(1 / deviation, inputs, self._kept))

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The same shape, or an error if its sizes on the axis are not those of the mean."""
        _check_fit(self, input_shape, self._kept, self.input_mean, self.input_variance)
        if self.input_mean is None and self.built and self._sizes(input_shape) != self.sizes:
            raise ShapeError(f"{self.name!r} was built for sizes {self.sizes} on axis {self.axis}, got {input_shape}")
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`: mean and variance only if they were given."""
        return {**super().get_config(), "mean": self.input_mean, "variance": self.input_variance}

    def shown(self, name: str) -> Any:
        """What `repr` shows of an argument."""
        return super().shown({"mean": "input_mean", "variance": "input_variance"}.get(name, name))

    @property
    def _kept(self) -> tuple[int, ...]:
        """The axes with statistics of their own."""
        return () if self.axis is None else (self.axis,) if isinstance(self.axis, int) else self.axis

    def _sizes(self, shape: OpenShape) -> Any:
        """The sizes on these axes, in their order."""
        return tuple(shape[a] for a in _positions(self, shape, self._kept))


def _numbers(owner: str, argument: str, value: TensorLike, most_axes: int = 1) -> Any:
    """A finite number, or nested lists of them, as plain data."""
    try:
        array: Array = np.asarray(plain(value), np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.ndim > most_axes or not array.size or not np.isfinite(array).all():
        lists = ("", " or a list of them", f" or an array of them with up to {most_axes} axes")[min(most_axes, 2)]
        raise ArgumentError(f"{owner}: expected {argument} to be a finite number{lists}, got {value!r}")
    return array.tolist()


def _positions(layer: SameShape, shape: OpenShape, kept: tuple[int, ...]) -> list[int]:
    """Where in the shape the axes stand, from front to back."""
    positions = sorted({a % len(shape) for a in kept if -len(shape) <= a < len(shape)})
    if len(positions) < len(kept):
        raise ShapeError(f"{layer.name!r}: expected axes of {tuple(shape)}, each once, got axis={kept}")
    return positions


def _check_fit(layer: SameShape, shape: OpenShape, kept: tuple[int, ...], *numbers: Any) -> None:
    """An error unless there is one number for all, or one for each position on the axes."""
    for found in numbers:
        wanted = np.shape(found)
        if found is None or wanted == ():
            continue
        sizes = [shape[a] for a in _positions(layer, shape, kept)[-len(wanted) :]] if shape else []
        if len(sizes) != len(wanted) or any(n not in (None, m) for n, m in zip(sizes, wanted, strict=True)):
            count, where = "×".join(map(str, wanted)), "the last axis" if kept == (-1,) else f"axis {kept}"
            raise ShapeError(f"{layer.name!r} has {count} numbers for {where}, got inputs {tuple(shape)}")


def _spread(values: TensorLike, inputs: Tensor, kept: tuple[int, ...]) -> Tensor:
    """Numbers for the axes as an array of the size of a sample.

    A loop over as few elements as there often are channels is slow: written out for a whole sample they are few still.
    """
    numbers = ops.cast(values, inputs.dtype)
    if not numbers.ndim:
        return numbers
    positions = sorted(a % inputs.ndim for a in kept)[-numbers.ndim :]
    broadcastable = [inputs.shape[a] if a in positions else 1 for a in range(inputs.ndim)]
    return ops.reshape(numbers, broadcastable) + ops.zeros((1, *inputs.shape[1:]), inputs.dtype)


def _pieces(name: str, data: Any, whole: bool) -> Iterator[Array]:
    """The data as arrays of some samples each, checked."""
    for batch in [data] if hasattr(data, "shape") else data:
        array: Array = np.asarray(plain(batch))
        for start in range(0, len(array) if array.ndim else 1, len(array) if whole else _PIECE):
            x = array[start : start + _PIECE] if array.ndim and not whole else array
            if x.dtype.kind not in "iufb" or not x.size or not np.isfinite(x).all():
                raise ArgumentError(f"{name!r}: adapt expects finite numbers, got {x.dtype} of shape {array.shape}")
            yield x
