"""Layers that change the shape, and how large images are; the batch axis stays first. They have no weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from minidl import ops
from minidl.autodiff.tensor import Tensor, floating
from minidl.checks import count, integers
from minidl.errors import ArgumentError, ShapeError, unknown_name
from minidl.layers.images import ImageLayer
from minidl.layers.layer import Layer, OpenShape
from minidl.layers.resizing import along_axis, weights_of
from minidl.ops.convolution import PerAxis, per_axis

T = TypeVar("T")


class Flatten(Layer):
    """(batch, a, b, …) → (batch, a·b·…); (batch,) → (batch, 1)."""

    def call(self, inputs: Tensor) -> Tensor:
        """All axes but the first in one."""
        return ops.reshape(inputs, (_batch(self, inputs.shape), math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(batch, a, b) → (batch, a·b)."""
        sizes = [n for n in input_shape[1:] if n is not None]
        return (_batch(self, input_shape), math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)


class Reshape(Layer):
    """(batch, …) → (batch, *target_shape); one size of the target may be −1 and is then computed."""

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = integers(self, "target_shape", target_shape)
        if self.target_shape.count(-1) > 1 or any(n < -1 for n in self.target_shape):
            raise ArgumentError(f"Reshape: expected sizes ≥ 0 and at most one −1, got {self.target_shape}")

    def call(self, inputs: Tensor) -> Tensor:
        """The same elements, sample by sample, in the target shape."""
        return ops.reshape(inputs, (_batch(self, inputs.shape), *self._resolved(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(batch, …) → (batch, *target_shape)."""
        batch, known = _batch(self, input_shape), [n for n in input_shape[1:] if n is not None]
        if len(known) < len(input_shape) - 1:
            return (batch, *(None if n == -1 else n for n in self.target_shape))
        return (batch, *self._resolved(tuple(known)))

    def _resolved(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The target shape with −1 replaced by what is left over."""
        elements, fixed = math.prod(sizes), math.prod(n for n in self.target_shape if n != -1)
        open_size = -1 in self.target_shape
        if elements != fixed if not open_size else not fixed or elements % fixed:
            raise ShapeError(
                f"Reshape {self.name!r}: the {elements} elements of a sample {sizes} do not fill {self.target_shape}"
            )
        return tuple(elements // fixed if n == -1 else n for n in self.target_shape)


class Permute(Layer):
    """(batch, …) → (batch, …) with its axes, counted from 1, in the order `dims`: (2, 1) exchanges two."""

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = integers(self, "dims", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(f"Permute: dims must be the axes 1, 2, … in some order, got {dims!r}")

    def call(self, inputs: Tensor) -> Tensor:
        """The axes in their new order."""
        self.compute_output_shape(inputs.shape)
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The sizes in their new order."""
        if len(input_shape) != len(self.dims) + 1:
            wanted = f"inputs with {len(self.dims)} axes after the batch"
            raise ShapeError(f"Permute {self.name!r} with dims={self.dims} needs {wanted}, got {input_shape}")
        return (input_shape[0], *(input_shape[a] for a in self.dims))


class RepeatVector(Layer):
    """(batch, features) → (batch, n, features): n copies of each sample, one for each step of a sequence."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = count(self, "n", n)

    def call(self, inputs: Tensor) -> Tensor:
        """The copies."""
        self.compute_output_shape(inputs.shape)
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(batch, features) → (batch, n, features)."""
        if len(input_shape) != 2:
            raise ShapeError(f"RepeatVector {self.name!r} needs inputs (batch, features), got {input_shape}")
        return (input_shape[0], self.n, input_shape[1])


# ---- Images of other sizes -----------------------------------------------------------------------------------------


class _ZeroPadding(ImageLayer):
    """Images inside a frame of zeros."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.padding = _widths(self, "padding", padding)

    def call(self, inputs: Tensor) -> Tensor:
        """The framed images."""
        self.compute_output_shape(inputs.shape)
        widths = [(0, 0)] * inputs.ndim
        widths[self.spatial] = _pairs(self.padding)
        return ops.pad(inputs, widths)

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """The sizes with the frame."""
        each = zip(sizes, _pairs(self.padding), strict=True)
        return [None if n is None else n + before + after for n, (before, after) in each]


class ZeroPadding1D(_ZeroPadding):
    """(batch, steps, channels) → (batch, before + steps + after, channels): zeros at both ends.

    `padding` is one number or (before, after). With data_format "channels_first" the channels are on axis 1.
    """

    axes = 1


class ZeroPadding2D(_ZeroPadding):
    """(batch, height, width, channels) → (batch, top + height + bottom, left + width + right, channels).

    `padding` is one number, (vertical, horizontal) or ((top, bottom), (left, right)). With data_format "channels_first"
    the channels are on axis 1.
    """

    axes = 2


class _Cropping(ImageLayer):
    """Images without their border."""

    def __init__(self, cropping: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.cropping = _widths(self, "cropping", cropping)

    def call(self, inputs: Tensor) -> Tensor:
        """What is left of the images."""
        self.compute_output_shape(inputs.shape)
        kept = [slice(None)] * inputs.ndim
        each = zip(inputs.shape[self.spatial], _pairs(self.cropping), strict=True)
        kept[self.spatial] = [slice(before, n - after) for n, (before, after) in each]
        return inputs[tuple(kept)]

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """The sizes without the border; something must be left."""
        each = zip(sizes, _pairs(self.cropping), strict=True)
        left = [None if n is None else n - before - after for n, (before, after) in each]
        if any(n is not None and n < 1 for n in left):
            raise ShapeError(f"cropping={self.cropping} leaves nothing")
        return left


class Cropping1D(_Cropping):
    """(batch, steps, channels) → (batch, steps − before − after, channels): `cropping` is one number or two."""

    axes = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)


class Cropping2D(_Cropping):
    """(batch, height, width, channels) → (batch, height − top − bottom, width − left − right, channels).

    `cropping` is one number, (vertical, horizontal) or ((top, bottom), (left, right)). With data_format
    "channels_first" the channels are on axis 1.
    """

    axes = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


class UpSampling1D(ImageLayer):
    """(batch, steps, channels) → (batch, size·steps, channels): every step `size` times."""

    axes = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = count(self, "size", size)

    def call(self, inputs: Tensor) -> Tensor:
        """The longer sequence."""
        self.compute_output_shape(inputs.shape)
        return ops.repeat(inputs, self.size, self.spatial.start)

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """size·steps."""
        return [None if n is None else n * self.size for n in sizes]


class UpSampling2D(ImageLayer):
    """(batch, height, width, channels) → (batch, a·height, b·width, channels) with `size` (a, b) or one number.

    With interpolation "nearest" every pixel becomes a·b equal ones. With "bilinear" a new pixel lies between old ones,
    and its value does, too: pixel i is a square around i + ½, in old and new images alike, and there is nothing new
    beyond the centers of the outer pixels. With data_format "channels_first" the channels are on axis 1.
    """

    axes = 2

    def __init__(
        self, size: PerAxis = 2, data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.size = per_axis(self, "size", size, self.axes)
        self.interpolation = interpolation
        if interpolation not in ("nearest", "bilinear"):
            raise unknown_name("interpolation of UpSampling2D", interpolation, ("nearest", "bilinear"))

    def call(self, inputs: Tensor) -> Tensor:
        """The larger images."""
        self.compute_output_shape(inputs.shape)
        enlarged = _interpolate if self.interpolation == "bilinear" else ops.repeat
        for axis, factor in enumerate(self.size, self.spatial.start):
            inputs = enlarged(inputs, factor, axis)
        return inputs

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """(a·height, b·width)."""
        return [None if n is None else n * factor for n, factor in zip(sizes, self.size, strict=True)]


def _interpolate(x: Tensor, factor: int, axis: int) -> Tensor:
    """The images with `factor` times the pixels along `axis`."""
    n = x.shape[axis]
    return along_axis(weights_of(n, n * factor, "bilinear"), floating(x), axis)


def _widths(layer: ImageLayer, argument: str, value: Any) -> Any:
    """(before, after) for one axis, or such a pair for each of several; one width stands for all."""
    several = tuple(value) if np.iterable(value) and layer.axes > 1 else (value,) * layer.axes
    if len(several) != layer.axes:
        wanted = "one width, one for each axis, or a pair (before, after) for each axis"
        raise ArgumentError(f"{type(layer).__name__}: {argument} must be {wanted}, got {value!r}")
    pairs = tuple(per_axis(layer, argument, widths, 2, least=0) for widths in several)
    return pairs if layer.axes > 1 else pairs[0]


def _pairs(widths: Any) -> Sequence[tuple[int, int]]:
    """What `_widths` gave as (before, after) for each axis."""
    return widths if isinstance(widths[0], tuple) else (widths,)


def _batch(layer: Layer, shape: tuple[T, ...]) -> T:
    """The first size, or an error for a scalar, which has none."""
    if not shape:
        raise ShapeError(f"{type(layer).__name__} {layer.name!r} needs inputs with a batch axis, got a scalar")
    return shape[0]
