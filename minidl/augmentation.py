"""Images changed at random, so that a network sees a new version of each in every epoch.

Functions on batches of images, (n, height, width) or (n, height, width, channels), of any dtype: uint8 stays uint8. All
randomness comes from the generator they are given, and what they are given is never changed.

    model.fit(x, y, augment=augmentation.crop_and_flip)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minidl.checks import count, number
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.memory import Array


def random_flip(images: Array, generator: np.random.Generator, rate: float = 0.5) -> Array:
    """Mirror images left to right, each with probability `rate`."""
    _check("random_flip", images, generator)
    flipped = generator.random(len(images)) < number("random_flip", "rate", rate, "in [0, 1]")
    result = images.copy()
    result[flipped] = images[flipped, :, ::-1]
    return result


def random_crop(images: Array, generator: np.random.Generator, padding: int = 4) -> Array:
    """Shift each image by up to `padding` pixels in both directions: pad it on all sides, then cut out its size.

    The padding is 0, as is usual for CIFAR-10.  (He et al. 2016, section 4.2)
    """
    _check("random_crop", images, generator)
    padding = count("random_crop", "padding", padding, least=0)
    n, height, width = images.shape[:3]
    padded = np.zeros((n, height + 2 * padding, width + 2 * padding, *images.shape[3:]), images.dtype)
    padded[:, padding : padding + height, padding : padding + width] = images
    top, left = generator.integers(0, 2 * padding, (2, n), endpoint=True)
    # Pixels and channels of a row as one axis: one long piece to copy instead of many short ones.
    channels = math.prod(images.shape[3:])
    rows = padded.reshape(n, height + 2 * padding, (width + 2 * padding) * channels)
    crops = sliding_window_view(rows, (height, width * channels), axis=(1, 2))
    chosen: Array = crops[np.arange(n), top, left * channels]
    return chosen.reshape(images.shape)


def random_erasing(images: Array, generator: np.random.Generator, size: int = 8) -> Array:
    """Cutout: set a square of `size` pixels to 0, its center anywhere in the image.  (DeVries & Taylor 2017)"""
    _check("random_erasing", images, generator)
    size = count("random_erasing", "size", size)
    height, width = images.shape[1:3]
    rows, columns = (
        _within(generator.integers(0, length, len(images)), size, length) for length in (height, width)
    )
    result = images.copy()
    result[rows[:, :, None] & columns[:, None, :]] = 0
    return result


def crop_and_flip(images: Array, generator: np.random.Generator, padding: int = 4) -> Array:
    """`random_flip`, then `random_crop`: what is usual for photographs.  (He et al. 2016, section 4.2)"""
    return random_crop(random_flip(images, generator), generator, padding)


def _within(centers: Array, size: int, length: int) -> Array:
    """Which of the places 0 … length − 1 lie in the pieces of `size` around the centers: (n, length)."""
    places = np.arange(length) - (centers - size // 2)[:, None]
    inside: Array = (places >= 0) & (places < size)
    return inside


def _check(name: str, images: Array, generator: np.random.Generator) -> None:
    """An error for what is no batch of images, or no generator."""
    if not isinstance(images, np.ndarray):
        raise DTypeError(f"{name}: expected images as a NumPy array, got a {type(images).__name__}")
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise ShapeError(
            f"{name}: expected images (n, height, width) or (n, height, width, channels), got shape {images.shape}"
        )
    if not isinstance(generator, np.random.Generator):
        raise ArgumentError(f"{name}: expected a numpy.random.Generator, got {generator!r}")
