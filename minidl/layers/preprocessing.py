"""Layers that make good inputs of raw data, batch by batch: a data set of bytes stays one of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl import config
from minidl.autodiff.tensor import Tensor, TensorLike, plain
from minidl.errors import ArgumentError, ShapeError
from minidl.layers.layer import OpenShape, SameShape
from minidl.memory import Array


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
        scaled = inputs * np.asarray(self.scale, inputs.dtype)
        return scaled + np.asarray(self.offset, inputs.dtype) if np.any(self.offset) else scaled

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The same shape, or an error if the numbers do not fit its last axis."""
        _check_last_axis(self, input_shape, self.scale, self.offset)
        return input_shape


class Normalization(SameShape):
    """y = (x − mean)/√variance: mean 0 and variance 1 for data of this mean and variance.

    `mean` and `variance` are numbers, or one number for each position on the last axis, measured beforehand on the
    training data. As in Keras, the divisor is at least `minidl.config.epsilon()`: what never varies becomes 0. With
    `invert` it is x = mean + y·√variance.
    """

    def __init__(
        self,
        axis: int | None = -1,
        mean: float | Sequence[float] | None = None,
        variance: float | Sequence[float] | None = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if axis not in (-1, None):
            raise ArgumentError(f"Normalization: expected axis to be -1, the last, or None, got {axis!r}")
        if mean is None or variance is None:
            raise ArgumentError("Normalization: expected mean and variance, such as x.mean(axis) and x.var(axis)")
        self.axis = axis
        self.mean = _numbers("Normalization", "mean", mean)
        self.variance = _numbers("Normalization", "variance", variance)
        if np.min(self.variance) < 0:
            raise ArgumentError(f"Normalization: expected a variance ≥ 0, got {variance!r}")
        if axis is None and np.size(self.mean) * np.size(self.variance) > 1:
            raise ArgumentError("Normalization: axis=None has one mean and one variance for all, got several")
        self.invert = bool(invert)

    def call(self, inputs: Tensor) -> Tensor:
        """(x − mean)/√variance."""
        self.compute_output_shape(inputs.shape)
        mean = np.asarray(self.mean, inputs.dtype)
        deviation = np.maximum(np.sqrt(np.asarray(self.variance)), config.epsilon()).astype(inputs.dtype)
        outputs: Tensor = inputs * deviation + mean if self.invert else (inputs - mean) * (1 / deviation)
        return outputs

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The same shape, or an error if the numbers do not fit its last axis."""
        _check_last_axis(self, input_shape, self.mean, self.variance)
        return input_shape


def _numbers(owner: str, argument: str, value: TensorLike) -> Any:
    """A finite number, or a list of them, as plain data."""
    try:
        array: Array = np.asarray(plain(value), np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.ndim > 1 or not array.size or not np.isfinite(array).all():
        raise ArgumentError(f"{owner}: expected {argument} to be a finite number or a list of them, got {value!r}")
    return array.tolist()


def _check_last_axis(layer: SameShape, shape: OpenShape, *numbers: Any) -> None:
    """An error unless there is one number for all, or one for each position on the last axis."""
    for found in numbers:
        if isinstance(found, list) and (not shape or shape[-1] not in (None, len(found))):
            raise ShapeError(f"{layer.name!r} has {len(found)} numbers for the last axis, got inputs {tuple(shape)}")
