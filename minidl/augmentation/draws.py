"""What is drawn at random for a batch of images: functions of a generator, of the shape and dtype of x, and of limits.

Everything is drawn for all images at once, from NumPy's generator; what comes out are constants of the calculation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minidl.memory import Array

if TYPE_CHECKING:  # numpy.random takes a while to import
    from numpy.random import Generator

# (low, high): all numbers between them are equally likely.
Range = tuple[float, float]


def factors(generator: Generator, x: Array, limits: Range) -> Array:
    """A number for each image, to calculate with: (n, 1, 1, 1)."""
    drawn: Array = generator.uniform(*limits, (len(x), 1, 1, 1)).astype(x.real.dtype)
    return drawn


def coins(generator: Generator, x: Array, rate: float) -> Array:
    """Yes with probability `rate`, for each image: (n,)."""
    heads: Array = generator.random(len(x)) < rate
    return heads


def corners(generator: Generator, x: Array, height: int, width: int) -> Array:
    """(top, left) of a window in each image."""
    room = [x.shape[1] - height, x.shape[2] - width]
    return generator.integers(0, room, (len(x), 2), endpoint=True)


def translations(generator: Generator, x: Array, down: Range, right: Range) -> Array:
    """Transforms (n, 2, 3): an image moves down and to the right if pixels come from further up and to the left."""
    transforms = np.zeros((len(x), 2, 3))
    for axis, (factor, size) in enumerate(zip((down, right), x.shape[1:3], strict=True)):
        transforms[:, axis, axis] = 1
        transforms[:, axis, 2] = -size * generator.uniform(*factor, len(x))
    return transforms


def rotations(generator: Generator, x: Array, turns: Range) -> Array:
    """Transforms (n, 2, 3): an image turns counterclockwise if places do clockwise; rows count downwards."""
    angles = 2 * math.pi * generator.uniform(*turns, len(x))
    cos, sin = np.cos(angles), np.sin(angles)
    return _about_the_center(np.array([[cos, sin], [-sin, cos]]).transpose(2, 0, 1), x)


def zooms(generator: Generator, x: Array, height: Range, width: Range | None) -> Array:
    """Transforms (n, 2, 3): an image shrinks if its pixels come from further out; with one number without `width`."""
    matrices = np.zeros((len(x), 2, 2))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1 + generator.uniform(*height, len(x))
    if width is not None:
        matrices[:, 1, 1] = 1 + generator.uniform(*width, len(x))
    return _about_the_center(matrices, x)


def _about_the_center(matrices: Array, x: Array) -> Array:
    """p ← c + A·(p − c), with the center c of the images."""
    center = (np.array(x.shape[1:3]) - 1) / 2
    return np.concatenate([matrices, (center - matrices @ center)[:, :, None]], axis=2)


def rectangles(generator: Generator, x: Array, rate: float, scale: Range) -> Array:
    """Which pixels are erased: (n, height, width, 1)."""
    rows, columns = (_between(generator, len(x), n, np.sqrt(generator.uniform(*scale, len(x)))) for n in x.shape[1:3])
    chosen = coins(generator, x, rate)
    region: Array = (rows & chosen[:, None])[:, :, None] & columns[:, None, :]
    return region[..., None]


def _between(generator: Generator, images: int, length: int, shares: Array) -> Array:
    """Which of the places 0 … length − 1 lie in a piece somewhere that is this share of them: (images, length)."""
    start = generator.random(images) * (length - shares * length)
    places = np.arange(length)
    inside: Array = (places >= start[:, None]) & (places < (start + shares * length)[:, None])
    return inside


def squares(generator: Generator, x: Array, size: int) -> Array:
    """Squares of which a part may lie outside: (n, height, width, 1)."""
    rows, columns = (_within(generator.integers(0, length, len(x)), size, length) for length in x.shape[1:3])
    region: Array = rows[:, :, None] & columns[:, None, :]
    return region[..., None]


def _within(centers: Array, size: int, length: int) -> Array:
    """Which of the places 0 … length − 1 lie in the pieces of `size` around the centers: (n, length)."""
    places = np.arange(length) - (centers - size // 2)[:, None]
    inside: Array = (places >= 0) & (places < size)
    return inside


def noise(generator: Generator, x: Array, low: float, high: float) -> Array:
    """N(0, high²) for each number of x, cut to low … high."""
    normal: Array = generator.standard_normal(x.shape, np.float64 if x.real.dtype == np.float64 else np.float32)
    normal *= high
    return np.clip(normal, low, high, out=normal).astype(x.real.dtype, copy=False)


def shares(generator: Generator, x: Array, alpha: float) -> Array:
    """Beta(α, α) for each sample."""
    return generator.beta(alpha, alpha, len(x))


def order(generator: Generator, x: Array) -> Array:
    """The samples in another order: their numbers."""
    return generator.permutation(len(x))
