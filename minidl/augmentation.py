"""Images changed at random, so that a network sees a new version of each in every epoch.

Functions on batches of images, (n, height, width) or (n, height, width, channels), of any dtype: uint8 stays uint8. All
randomness comes from the generator they are given, and what they are given is never changed.

    model.fit(x, y, augment=augmentation.crop_and_flip)
    model.fit(x, y, augment=augmentation.mixup)             # y in one-hot rows, which are mixed as the images are

The layers of the same names (`layers.RandomFlip`, …) call these functions with tensors, which gradients flow through.

An argument `factor` is a pair (low, high) that a number is drawn from for each image, all equally likely; a number f
stands for (−f, f). What lies beyond the border is told by `fill_mode`, "reflect", "wrap", "nearest" or "constant", as
`kernels.AffineSampling` shows it; `interpolation` is "bilinear" or "nearest".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import kernels, ops
from minidl.autodiff.tensor import Tensor, apply, cast
from minidl.autodiff.tree import leaves, map_leaves
from minidl.checks import count, integers, interval, number
from minidl.errors import ArgumentError, DTypeError, ShapeError, unknown_name
from minidl.memory import Array

Generator = np.random.Generator
# A number, or a pair of them.
Factor = Any

FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")
FILL_MODES = ("reflect", "wrap", "nearest", "constant")
INTERPOLATIONS = ("bilinear", "nearest")


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
                chosen = _drawn(x, generator, _coins, rate)
                x = apply(kernels.Where(), chosen, apply(kernels.Flip(axis), x), x)
        return x

    return _changed("random_flip", images, generator, flip, moved_only=True)


def random_crop(images: Any, generator: Generator, padding: int = 4, size: Any = None) -> Any:
    """Pad each image with `padding` zeros on all sides, then cut out a window of `size` (height, width) anywhere.

    The size is that of the images by default: each is shifted by up to `padding` pixels in both directions, as is usual
    for CIFAR-10.  (He et al. 2016, section 4.2)
    """
    padding = count("random_crop", "padding", padding, least=0)
    window = None if size is None else integers("random_crop", "size", size)

    def crop(x: Tensor) -> Tensor:
        height, width = x.shape[1:3] if window is None else window
        frame = (padding, padding)
        padded = apply(kernels.Pad(((0, 0), frame, frame, (0, 0))), x) if padding else x
        corners = _drawn(padded, generator, _corners, height, width)
        return apply(kernels.Crop((height, width)), padded, corners)

    if window is not None:
        sizes = np.shape(images)[1:3]
        if len(window) != 2 or any(not 0 < n <= m + 2 * padding for n, m in zip(window, sizes, strict=True)):
            raise ArgumentError(f"random_crop: images of {sizes} with padding {padding} have no window of size {size}")
    return _changed("random_crop", images, generator, crop, moved_only=True)


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
    return _sampled("random_translation", images, generator, sampling, _translations, down, right)


def random_rotation(
    images: Any, generator: Generator, factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear",
    fill_value: float = 0.0,
) -> Any:  # fmt: skip
    """Turn each image counterclockwise about its center, by a share in [−1, 1] of a full turn."""
    turns = factor_range("random_rotation", "factor", factor)
    sampling = _sampling("random_rotation", interpolation, fill_mode, fill_value)
    return _sampled("random_rotation", images, generator, sampling, _rotations, turns)


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
    return _sampled("random_zoom", images, generator, sampling, _zooms, height, width)


def random_contrast(images: Any, generator: Generator, factor: Factor, value_range: Any = (0, 255)) -> Any:
    """x ← m + f·(x − m), in `value_range`, with the mean m of each channel of each image and f ~ U[1 − low, 1 + high].

    `factor` is (low, high), both in [0, 1], or one number for both. That is what Keras's documentation says; its code
    takes low = 0 for a number and so never lowers a contrast.
    """
    low, high = contrast_range("random_contrast", factor)
    least, most = interval("random_contrast", "value_range", value_range, -math.inf, math.inf)

    def change(x: Tensor) -> Tensor:
        mean = x.mean(axis=(1, 2), keepdims=True)
        return ops.clip((x - mean) * _uniforms(x, generator, (1 - low, 1 + high)) + mean, least, most)

    return _changed("random_contrast", images, generator, change)


def random_brightness(images: Any, generator: Generator, factor: Factor, value_range: Any = (0, 255)) -> Any:
    """x ← x + f·(high − low), in the `value_range` (low, high); f in [−1, 1]."""
    factors = factor_range("random_brightness", "factor", factor)
    low, high = interval("random_brightness", "value_range", value_range, -math.inf, math.inf)

    def change(x: Tensor) -> Tensor:
        return ops.clip(x + _uniforms(x, generator, factors) * (high - low), low, high)

    return _changed("random_brightness", images, generator, change)


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
        erased = _drawn(x, generator, _rectangles, rate, sides)
        patch = _drawn(x, generator, _noise, low, high) if fill is None else Tensor(np.clip(fill, low, high), x.dtype)
        return apply(kernels.Where(), erased, patch, x)

    return _changed("random_erasing", images, generator, erase)


def cutout(images: Any, generator: Generator, size: int = 8) -> Any:
    """Set a square of `size` pixels to 0, its center anywhere in the image.  (DeVries & Taylor 2017)"""
    size = count("cutout", "size", size)

    def erase(x: Tensor) -> Tensor:
        squares = _drawn(x, generator, _squares, size)
        return apply(kernels.Where(), squares, Tensor(np.zeros((), x.dtype)), x)

    return _changed("cutout", images, generator, erase, moved_only=True)


def mixup(x: Any, y: Any, generator: Generator, alpha: float = 0.2) -> tuple[Any, Any]:
    """x ← λx + (1 − λ)x′ and y ← λy + (1 − λ)y′, with another sample x′ and its target y′; λ ~ Beta(α, α) for each.

    x and y may be several arrays, in lists or dictionaries: all are mixed alike. Targets are floating-point numbers,
    such as one-hot rows (`utils.to_categorical`); a mixture of labels would be no label. An error otherwise.
    (Zhang et al. 2018, with one λ for a batch; one for each sample here, as in Keras.)
    """
    alpha = number("mixup", "alpha", alpha, "> 0")
    _check_generator("mixup", generator)
    samples = leaves((x, y))
    if any(len(part) != len(samples[0]) for part in samples):
        raise ShapeError(f"mixup: expected as many targets as samples, got {', '.join(str(len(p)) for p in samples)}")
    for part in leaves(y):
        if part.dtype.kind not in "fc":
            hint = "make one-hot rows of labels with utils.to_categorical"
            raise DTypeError(f"mixup: expected floating-point targets, got {part.dtype} of shape {part.shape}: {hint}")
    first = samples[0] if isinstance(samples[0], Tensor) else Tensor(samples[0])
    share, order = _drawn(first, generator, _shares, alpha), _drawn(first, generator, _order)

    def mix(part: Any) -> Any:
        old = part if isinstance(part, Tensor) else Tensor(part)
        values = cast(old, _precise(old.dtype))
        weight = ops.reshape(cast(share, values.dtype), (-1, *[1] * (values.ndim - 1)))
        mixed = values * weight + apply(kernels.Take(0), values, order) * (1 - weight)
        return mixed if isinstance(part, Tensor) else _restored(mixed.data, part.dtype)

    return map_leaves(mix, x), map_leaves(mix, y)


# What arguments mean; the layers ask here, too.


def factor_range(owner: object, argument: str, factor: Factor) -> tuple[float, float]:
    """(low, high) of a factor: a number f is (−f, f)."""
    if isinstance(factor, (tuple, list, np.ndarray)):
        return interval(owner, argument, factor, -1, 1)
    f = abs(number(owner, argument, factor))
    return interval(owner, argument, (-f, f), -1, 1)


def zoom_range(owner: object, argument: str, factor: Factor) -> tuple[float, float]:
    """(low, high) of a factor that leaves something of the image."""
    low, high = factor_range(owner, argument, factor)
    if low == -1:
        raise ArgumentError(f"{_title(owner)}: {argument} must be greater than −1, where nothing is left, got {factor}")
    return low, high


def contrast_range(owner: object, factor: Factor) -> tuple[float, float]:
    """(low, high) of a contrast: how far it goes below 1 and above."""
    if isinstance(factor, (tuple, list, np.ndarray)) and len(factor) == 2:
        low, high = (number(owner, "factor", part, "in [0, 1]") for part in factor)
        return low, high
    f = number(owner, "factor", factor, "in [0, 1]")
    return f, f


def erasing_rate(owner: object, factor: Factor) -> float:
    """The probability that an image is erased: a number, or the mean of a pair."""
    if isinstance(factor, (tuple, list, np.ndarray)):
        return sum(interval(owner, "factor", factor, 0, 1)) / 2
    return number(owner, "factor", factor, "in [0, 1]")


def fill_numbers(owner: object, fill_value: Any) -> float | list[float]:
    """What is filled in: a number for all channels, or one for each."""
    if isinstance(fill_value, (tuple, list, np.ndarray)):
        return [number(owner, "fill_value", value) for value in fill_value]
    return number(owner, "fill_value", fill_value)


def check_choice(owner: object, argument: str, value: Any, allowed: tuple[str, ...]) -> str:
    """`value` if it is one of the strings allowed, or an error with the nearest of them."""
    if value not in allowed:
        raise unknown_name(f"{argument} of {_title(owner)}", value, allowed)
    return str(value)


def _title(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__


# How images are changed: as tensors (n, height, width, channels).


def _changed(
    name: str, images: Any, generator: Generator, change: Callable[[Tensor], Tensor], moved_only: bool = False
) -> Any:
    """What `change` makes of the images; arrays come back as arrays of their dtype.

    Integers are calculated with in floating point and rounded, unless their values are `moved_only`.
    """
    _check(name, images, generator)
    if isinstance(images, Tensor):
        return change(images)
    x = Tensor(images if images.ndim == 4 else images[..., None])
    y = change(x if moved_only else cast(x, _precise(x.dtype))).data
    return _restored(y if images.ndim == 4 else y[..., 0], images.dtype)


def _sampled(
    name: str, images: Any, generator: Generator, sampling: kernels.AffineSampling, draw: Callable[..., Array],
    *arguments: Any,
) -> Any:  # fmt: skip
    """The images seen through the transforms that `draw` gives."""

    def change(x: Tensor) -> Tensor:
        return apply(sampling, x, _drawn(x, generator, draw, *arguments))

    return _changed(name, images, generator, change)


def _sampling(name: str, interpolation: str, fill_mode: str, fill_value: float) -> kernels.AffineSampling:
    return kernels.AffineSampling(
        check_choice(name, "interpolation", interpolation, INTERPOLATIONS),
        check_choice(name, "fill_mode", fill_mode, FILL_MODES),
        number(name, "fill_value", fill_value),
    )


def _precise(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A floating-point type that has all values of small integers."""
    return dtype if dtype.kind in "fc" else np.result_type(dtype, np.float32)


def _restored(y: Array, dtype: np.dtype[Any]) -> Array:
    """As an array of the dtype: for integers rounded, and cut to what they can be."""
    if y.dtype != dtype:
        limits = np.iinfo(dtype)
        y = np.clip(np.rint(y), limits.min, limits.max).astype(dtype)
    return np.ascontiguousarray(y)


def _check(name: str, images: Any, generator: Generator) -> None:
    """An error for what is no batch of images, or no generator."""
    if not isinstance(images, (np.ndarray, Tensor)):
        raise DTypeError(f"{name}: expected images as a NumPy array, got a {type(images).__name__}")
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise ShapeError(
            f"{name}: expected images (n, height, width) or (n, height, width, channels), got shape {images.shape}"
        )
    if images.dtype.kind not in "fciu":
        raise DTypeError(f"{name}: expected images of integers or floating-point numbers, got dtype {images.dtype}")
    _check_generator(name, generator)


def _check_generator(name: str, generator: Any) -> None:
    if not isinstance(generator, np.random.Generator):
        raise ArgumentError(f"{name}: expected a numpy.random.Generator, got {generator!r}")


# What is drawn: functions draw(generator, x, …) of the shape and dtype of x.


def _drawn(x: Tensor, generator: Generator, draw: Callable[..., Array], *arguments: Any) -> Tensor:
    """What `draw` gives, in a recorded step anew each time."""
    return apply(kernels.Drawn(generator, draw, arguments), x.detach())


def _uniforms(x: Tensor, generator: Generator, limits: tuple[float, float]) -> Tensor:
    """A number for each image, in its dtype, to calculate with."""
    return _drawn(x, generator, _numbers, limits)


def _numbers(generator: Generator, x: Array, limits: tuple[float, float]) -> Array:
    numbers: Array = generator.uniform(*limits, (len(x), 1, 1, 1)).astype(x.real.dtype)
    return numbers


def _coins(generator: Generator, x: Array, rate: float) -> Array:
    heads: Array = generator.random((len(x), 1, 1, 1)) < rate
    return heads


def _corners(generator: Generator, x: Array, height: int, width: int) -> Array:
    """(top, left) of a window in each image."""
    return np.stack([generator.integers(0, n - m, len(x), endpoint=True)
                     for n, m in zip(x.shape[1:3], (height, width), strict=True)], axis=1)  # fmt: skip


def _translations(
    generator: Generator, x: Array, down: tuple[float, float], right: tuple[float, float]
) -> Array:
    """Where a pixel comes from: from further up and to the left, if the image moves down and to the right."""
    transforms = np.zeros((len(x), 2, 3))
    for axis, (factor, size) in enumerate(zip((down, right), x.shape[1:3], strict=True)):
        transforms[:, axis, axis] = 1
        transforms[:, axis, 2] = -size * generator.uniform(*factor, len(x))
    return transforms


def _rotations(generator: Generator, x: Array, turns: tuple[float, float]) -> Array:
    """Rows count downwards: the matrix that turns places clockwise shows what was turned counterclockwise."""
    angles = 2 * math.pi * generator.uniform(*turns, len(x))
    cos, sin = np.cos(angles), np.sin(angles)
    return _about_the_center(np.array([[cos, sin], [-sin, cos]]).transpose(2, 0, 1), x)


def _zooms(
    generator: Generator, x: Array, height: tuple[float, float], width: tuple[float, float] | None
) -> Array:
    matrices = np.zeros((len(x), 2, 2))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1 + generator.uniform(*height, len(x))
    if width is not None:
        matrices[:, 1, 1] = 1 + generator.uniform(*width, len(x))
    return _about_the_center(matrices, x)


def _about_the_center(matrices: Array, x: Array) -> Array:
    """p ← c + A·(p − c), with the center c of the images."""
    center = (np.array(x.shape[1:3]) - 1) / 2
    return np.concatenate([matrices, (center - matrices @ center)[:, :, None]], axis=2)


def _rectangles(generator: Generator, x: Array, rate: float, scale: tuple[float, float]) -> Array:
    """Which pixels are erased: (n, height, width, 1)."""
    rows, columns = (_between(generator, len(x), n, np.sqrt(generator.uniform(*scale, len(x)))) for n in x.shape[1:3])
    chosen = _coins(generator, x, rate)[:, 0, 0]
    region: Array = (rows & chosen)[:, :, None] & columns[:, None, :]
    return region[..., None]


def _between(generator: Generator, images: int, length: int, shares: Array) -> Array:
    """Which of the places 0 … length − 1 lie in a piece somewhere that is this share of them: (images, length)."""
    start = generator.random(images) * (length - shares * length)
    places = np.arange(length)
    inside: Array = (places >= start[:, None]) & (places < (start + shares * length)[:, None])
    return inside


def _squares(generator: Generator, x: Array, size: int) -> Array:
    """Squares of which a part may lie outside: (n, height, width, 1)."""
    rows, columns = (_within(generator.integers(0, length, len(x)), size, length) for length in x.shape[1:3])
    region: Array = rows[:, :, None] & columns[:, None, :]
    return region[..., None]


def _within(centers: Array, size: int, length: int) -> Array:
    """Which of the places 0 … length − 1 lie in the pieces of `size` around the centers: (n, length)."""
    places = np.arange(length) - (centers - size // 2)[:, None]
    inside: Array = (places >= 0) & (places < size)
    return inside


def _noise(generator: Generator, x: Array, low: float, high: float) -> Array:
    noise: Array = generator.standard_normal(x.shape, np.float64 if x.real.dtype == np.float64 else np.float32)
    noise *= high
    return np.clip(noise, low, high, out=noise).astype(x.real.dtype, copy=False)


def _shares(generator: Generator, x: Array, alpha: float) -> Array:
    shares: Array = generator.beta(alpha, alpha, len(x))
    return shares


def _order(generator: Generator, x: Array) -> Array:
    return generator.permutation(len(x))
