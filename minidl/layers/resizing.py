"""Images of another size, in training and at inference alike: resized, or cut to their middle.

Resizing is linear and treats rows and columns one after the other: y = R·x·Cᵀ with a matrix of weights for each. The
pixel i is a square around i + ½, in old and new images alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl import ops
from minidl.augmentation.arguments import check_choice
from minidl.autodiff.tensor import Tensor
from minidl.checks import count, flag, number
from minidl.errors import ArgumentError
from minidl.layers.images import ImageLayer
from minidl.layers.layer import OpenShape, SameShape
from minidl.memory import Array

Size = tuple[int, int]
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class _ResizingLayer(ImageLayer, SameShape):
    """(batch, h, w, channels) → (batch, `height`, `width`, channels); a subclass tells how."""

    axes = 2

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height = count(self, "height", height)
        self.width = count(self, "width", width)

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """(height, width)."""
        return self.height, self.width


class Resizing(_ResizingLayer):
    """Images stretched to `height` and `width`.

    `interpolation` is "nearest", "bilinear", "bicubic" (Keys 1981, a = −½), "lanczos3" or "lanczos5". With
    `antialias`, images that become smaller are smoothed as much as they lose. With `crop_to_aspect_ratio` only the
    largest part in the middle is taken that has the new shape; with `pad_to_aspect_ratio` images get it by bars of
    `fill_value`.
    """

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False, fill_mode: str = "constant", fill_value: float = 0.0,
        antialias: bool = False, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(height, width, data_format, **kwargs)
        self.interpolation = check_choice(self, "interpolation", interpolation, INTERPOLATIONS)
        self.crop_to_aspect_ratio = flag(self, "crop_to_aspect_ratio", crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = flag(self, "pad_to_aspect_ratio", pad_to_aspect_ratio)
        self.fill_mode = check_choice(self, "fill_mode", fill_mode, ("constant",))
        self.fill_value = number(self, "fill_value", fill_value)
        self.antialias = flag(self, "antialias", antialias)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ArgumentError("Resizing: crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other")

    def call(self, inputs: Tensor) -> Tensor:
        """The images in their new size."""
        self.compute_output_shape(inputs.shape)
        return self.on_channels_last(self._resized, inputs)

    def _resized(self, images: Tensor) -> Tensor:
        size = self.height, self.width
        if self.crop_to_aspect_ratio:
            images = largest_window(images, size)
        if self.pad_to_aspect_ratio:
            images = _framed(images, size, self.fill_value)
        return resized(images, size, self.interpolation, self.antialias)


class CenterCrop(_ResizingLayer):
    """The middle of images; of an image that is too small the largest part of the same shape, resized."""

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(height, width, data_format, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """The middle."""
        self.compute_output_shape(inputs.shape)
        return self.on_channels_last(self._cropped, inputs)

    def _cropped(self, images: Tensor) -> Tensor:
        size = self.height, self.width
        if all(new <= old for new, old in zip(size, images.shape[1:3], strict=True)):
            return _middle(images, size)
        return resized(largest_window(images, size), size)


def resized(images: Tensor, size: Size, interpolation: str = "bilinear", antialias: bool = False) -> Tensor:
    """The images (batch, height, width, channels) in another size."""
    for axis, new in zip((1, 2), size, strict=True):
        old = images.shape[axis]
        if new != old:
            images = along_axis(weights_of(old, new, interpolation, antialias), images, axis)
    return images


def along_axis(weights: Array, x: Tensor, axis: int) -> Tensor:
    """yᵢ = Σⱼ wᵢⱼ·xⱼ along `axis`."""
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    y = ops.matmul(weights.astype(x.dtype), ops.reshape(x, (math.prod(before), n, math.prod(after))))
    return ops.reshape(y, (*before, len(weights), *after))


def weights_of(old: int, new: int, interpolation: str, antialias: bool = False) -> Array:
    """wᵢⱼ = k(|pᵢ − j|)/Σⱼ k(|pᵢ − j|): what the new pixel i, at pᵢ = (i + ½)·old/new − ½, takes of the old pixel j.

    Smoothing (`antialias`) means to look as far around as the new pixel is wide.
    """
    places = (np.arange(new) + 0.5) * (old / new) - 0.5
    if interpolation == "nearest":
        chosen: Array = np.floor(places + 0.5)[:, None] == np.arange(old)
        return chosen
    width = max(old / new, 1) if antialias else 1
    weights: Array = _KERNELS[interpolation](abs(places[:, None] - np.arange(old)) / width)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _triangle(x: Array) -> Any:
    return np.maximum(0, 1 - x)


def _cubic(x: Array) -> Any:
    near, far = ((1.5 * x - 2.5) * x) * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(radius: int) -> Callable[[Array], Any]:
    """sinc(x)·sinc(x/radius), cut off at the radius."""
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic, "lanczos3": _lanczos(3), "lanczos5": _lanczos(5)}


def largest_window(images: Tensor, size: Size) -> Tensor:
    """The largest part in the middle whose height and width are to each other as those of `size`."""
    height, width = images.shape[1:3]
    most = (max(1, min(height, width * size[0] // size[1])), max(1, min(width, height * size[1] // size[0])))
    return _middle(images, most)


def _middle(images: Tensor, size: Size) -> Tensor:
    top, left = ((old - new) // 2 for old, new in zip(images.shape[1:3], size, strict=True))
    return images[:, top : top + size[0], left : left + size[1]]


def _framed(images: Tensor, size: Size, value: float) -> Tensor:
    """The images with bars of `value` above and below, or left and right, in the shape of `size`."""
    height, width = images.shape[1:3]
    tall = max(height, width * size[0] // size[1]) - height
    wide = max(width, height * size[1] // size[0]) - width
    bars = ((0, 0), (tall // 2, tall // 2), (wide // 2, wide // 2), (0, 0))
    return ops.pad(images, bars, constant_values=value)
