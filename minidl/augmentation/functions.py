"""The functions of `minidl.augmentation`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import kernels, ops
from minidl.augmentation import draws
from minidl.augmentation.arguments import (
    FILL_MODES,
    FLIPS,
    INTERPOLATIONS,
    Factor,
    check_choice,
    contrast_range,
    erasing_rate,
    factor_range,
    fill_numbers,
    zoom_range,
)
from minidl.augmentation.batches import changed, check_generator, drawn, precise, restored
from minidl.autodiff.tensor import Tensor, apply, cast
from minidl.autodiff.tree import leaves, map_leaves
from minidl.checks import count, integers, interval, number
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.memory import Array

if TYPE_CHECKING:  # numpy.random takes a while to import
    from numpy.random import Generator


def random_flip(images: Any, generator: Generator, rate: float = 0.5, mode: str = "horizontal") -> Any:
    """Mirror images, each with probability `rate`.

    `mode` is "horizontal" (left becomes right), "vertical" (top becomes bottom) or "horizontal_and_vertical", where
    each of the two has its own coin, so that there are four versions of an image. (Keras 3 tosses one for both.)
    """
    rate = number("random_flip", "rate", rate, "in [0, 1]")
    check_choice("random_flip", "mode", mode, FLIPS)

    def flip(x: Tensor) -> Tensor:
        for axis, direction in ((1, "vertical"), (2, "horizontal")):
            if direction in mode:
                chosen = drawn(x, generator, draws.coins, rate)
                x = apply(kernels.FlipSome(axis), x, chosen)
        return x

    return changed("random_flip", images, generator, flip, moved_only=True)


def random_crop(images: Any, generator: Generator, padding: int = 4, size: Any = None) -> Any:
    """Pad each image with `padding` zeros on all sides, then cut out a window of `size` (height, width) anywhere.

    The size is that of the images by default: each is shifted by up to `padding` pixels in both directions, as is usual
    for CIFAR-10.  (He et al. 2016, section 4.2)
    """
    padding = count("random_crop", "padding", padding, least=0)
    window = None if size is None else integers("random_crop", "size", size)

    def crop(x: Tensor) -> Tensor:
        size = x.shape[1:3] if window is None else window
        frame = (padding, padding)
        padded = apply(kernels.Pad(((0, 0), frame, frame, (0, 0))), x) if padding else x
        if len(size) != 2 or any(not 0 < n <= m for n, m in zip(size, padded.shape[1:3], strict=True)):
            raise ShapeError(f"random_crop: images of {padded.shape[1:3]} have no window of size {size}")
        corners = drawn(padded, generator, draws.corners, *size)
        return apply(kernels.Crop((size[0], size[1])), padded, corners)

    return changed("random_crop", images, generator, crop, moved_only=True)


def crop_and_flip(images: Any, generator: Generator, padding: int = 4) -> Any:
    """`random_flip`, then `random_crop`: what is usual for photographs.  (He et al. 2016, section 4.2)"""
    return random_crop(random_flip(images, generator), generator, padding)


def random_translation(
    images: Any, generator: Generator, height_factor: Factor, width_factor: Factor, fill_mode: str = "reflect",
    interpolation: str = "bilinear", fill_value: float = 0.0,
) -> Any:  # fmt: skip
    """Shift each image down and to the right by a share of its height and of its width, in [−1, 1]."""
    down = factor_range("random_translation", "height_factor", height_factor)
    right = factor_range("random_translation", "width_factor", width_factor)
    sampling = _sampling("random_translation", interpolation, fill_mode, fill_value)
    return _sampled("random_translation", images, generator, sampling, draws.translations, down, right)


def random_rotation(
    images: Any, generator: Generator, factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear",
    fill_value: float = 0.0,
) -> Any:  # fmt: skip
    """Turn each image counterclockwise about its center, by a share in [−1, 1] of a full turn."""
    turns = factor_range("random_rotation", "factor", factor)
    sampling = _sampling("random_rotation", interpolation, fill_mode, fill_value)
    return _sampled("random_rotation", images, generator, sampling, draws.rotations, turns)


def random_zoom(
    images: Any, generator: Generator, height_factor: Factor, width_factor: Factor | None = None,
    fill_mode: str = "reflect", interpolation: str = "bilinear", fill_value: float = 0.0,
) -> Any:  # fmt: skip
    """Show 1 + f times the height and width of each image in its frame: f > 0 zooms out, f < 0 zooms in.

    The factors lie in (−1, 1]. Without `width_factor` the width changes as the height does.
    """
    height = zoom_range("random_zoom", "height_factor", height_factor)
    width = None if width_factor is None else zoom_range("random_zoom", "width_factor", width_factor)
    sampling = _sampling("random_zoom", interpolation, fill_mode, fill_value)
    return _sampled("random_zoom", images, generator, sampling, draws.zooms, height, width)


def random_contrast(images: Any, generator: Generator, factor: Factor, value_range: Any = (0, 255)) -> Any:
    """x ← m + f·(x − m), in `value_range`, with the mean m of each channel of each image and f ~ U[1 − low, 1 + high].

    `factor` is (low, high), both in [0, 1], or one number for both. That is what Keras's documentation says; its code
    takes low = 0 for a number and so never lowers a contrast.
    """
    low, high = contrast_range("random_contrast", factor)
    least, most = interval("random_contrast", "value_range", value_range, -math.inf, math.inf)

    def change(x: Tensor) -> Tensor:
        mean = x.mean(axis=(1, 2), keepdims=True)
        contrast = drawn(x, generator, draws.factors, (1 - low, 1 + high))
        return ops.clip((x - mean) * contrast + mean, least, most)

    return changed("random_contrast", images, generator, change)


def random_brightness(images: Any, generator: Generator, factor: Factor, value_range: Any = (0, 255)) -> Any:
    """x ← x + f·(high − low), in the `value_range` (low, high); f in [−1, 1]."""
    factors = factor_range("random_brightness", "factor", factor)
    low, high = interval("random_brightness", "value_range", value_range, -math.inf, math.inf)

    def change(x: Tensor) -> Tensor:
        return ops.clip(x + drawn(x, generator, draws.factors, factors) * (high - low), low, high)

    return changed("random_brightness", images, generator, change)


def random_erasing(
    images: Any, generator: Generator, factor: Factor = 1.0, scale: Any = (0.02, 0.33), fill_value: Any = None,
    value_range: Any = (0, 255),
) -> Any:  # fmt: skip
    """Put a rectangle of noise, or of `fill_value`, somewhere on each image, with probability `factor`.

    Its height and its width are √s of the image's, s ~ U[scale] for each, and it lies inside the image. The noise is
    that of Keras, one N(0, high²) for each number, cut to the `value_range` (low, high). `fill_value` is a number, or
    one for each channel. Of a pair of factors the mean is the probability. (In Keras's code a number f stands for the
    pair (0, f), although its documentation says of 1 that it always erases.)  (Zhong et al. 2020)
    """
    rate = erasing_rate("random_erasing", factor)
    sides = interval("random_erasing", "scale", scale, 0, 1)
    low, high = interval("random_erasing", "value_range", value_range, -math.inf, math.inf)
    fill = None if fill_value is None else fill_numbers("random_erasing", fill_value)

    def erase(x: Tensor) -> Tensor:
        if isinstance(fill, list) and len(fill) != x.shape[-1]:
            raise ShapeError(f"random_erasing: {len(fill)} fill values for images of {x.shape[-1]} channels")
        erased = drawn(x, generator, draws.rectangles, rate, sides)
        if fill is None:
            patch = drawn(x, generator, draws.noise, low, high)
        else:
            patch = Tensor(np.clip(fill, low, high), x.dtype)
        return apply(kernels.Where(), erased, patch, x)

    return changed("random_erasing", images, generator, erase)


def cutout(images: Any, generator: Generator, size: int = 8) -> Any:
    """Set a square of `size` pixels to 0, its center anywhere in the image.  (DeVries & Taylor 2017)"""
    size = count("cutout", "size", size)

    def erase(x: Tensor) -> Tensor:
        squares = drawn(x, generator, draws.squares, size)
        return apply(kernels.Where(), squares, Tensor(np.zeros((), x.dtype)), x)

    return changed("cutout", images, generator, erase, moved_only=True)


def mixup(x: Any, y: Any, generator: Generator, alpha: float = 0.2) -> tuple[Any, Any]:
    """x ← λx + (1 − λ)x′ and y ← λy + (1 − λ)y′, with another sample x′ and its target y′; λ ~ Beta(α, α) for each.

    x and y may be several arrays, in lists or dictionaries: all are mixed alike. Targets are floating-point numbers,
    such as one-hot rows (`utils.to_categorical`); a mixture of labels would be no label. An error otherwise.
    (Zhang et al. 2018, with one λ for a batch; one for each sample here, as in Keras.)
    """
    alpha = number("mixup", "alpha", alpha, "> 0")
    check_generator("mixup", generator)
    samples = leaves((x, y))
    for part in samples:
        if not isinstance(part, (np.ndarray, Tensor)):
            raise DTypeError(f"mixup: expected NumPy arrays, got a {type(part).__name__}")
    if any(len(part) != len(samples[0]) for part in samples):
        raise ShapeError(f"mixup: expected as many targets as samples, got {', '.join(str(len(p)) for p in samples)}")
    for part in leaves(y):
        if part.dtype.kind not in "fc":
            hint = "make one-hot rows of labels with utils.to_categorical"
            raise DTypeError(f"mixup: expected floating-point targets, got {part.dtype} of shape {part.shape}: {hint}")
    first = samples[0] if isinstance(samples[0], Tensor) else Tensor(samples[0])
    share, order = drawn(first, generator, draws.shares, alpha), drawn(first, generator, draws.order)

    def mix(part: Any) -> Any:
        old = part if isinstance(part, Tensor) else Tensor(part)
        values = cast(old, precise(old.dtype))
        weight = ops.reshape(cast(share, values.dtype), (-1, *[1] * (values.ndim - 1)))
        mixed = values * weight + apply(kernels.Take(0), values, order) * (1 - weight)
        return mixed if isinstance(part, Tensor) else restored(mixed.data, part.dtype)

    return map_leaves(mix, x), map_leaves(mix, y)


def _sampled(
    name: str, images: Any, generator: Generator, sampling: kernels.AffineSampling, draw: Callable[..., Array],
    *arguments: Any,
) -> Any:  # fmt: skip
    """The images seen through the transforms that `draw` gives."""
    dtype = getattr(images, "dtype", np.dtype(float))
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= sampling.fill_value <= np.iinfo(dtype).max:
        raise ArgumentError(f"{name}: images of dtype {dtype} have no fill_value {sampling.fill_value}")

    def change(x: Tensor) -> Tensor:
        return apply(sampling, x, drawn(x, generator, draw, *arguments))

    return changed(name, images, generator, change)


def _sampling(name: str, interpolation: str, fill_mode: str, fill_value: float) -> kernels.AffineSampling:
    return kernels.AffineSampling(
        check_choice(name, "interpolation", interpolation, INTERPOLATIONS),
        check_choice(name, "fill_mode", fill_mode, FILL_MODES),
        number(name, "fill_value", fill_value),
    )
