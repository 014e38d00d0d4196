"""Batches of images as tensors (n, height, width, channels), whatever they come as; and draws that a step records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import kernels
from minidl.autodiff.tensor import Tensor, apply, as_tensor, cast
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.memory import Array

if TYPE_CHECKING:  # numpy.random takes a while to import
    from numpy.random import Generator


def changed(
    name: str, images: Any, generator: Generator, change: Callable[[Tensor], Tensor], moved_only: bool = False
) -> Any:
    """What `change` makes of the images; arrays come back as arrays of their dtype.

    Integers are calculated with in floating point and rounded, unless their values are `moved_only`.
    """
    _check(name, images, generator)
    with_channels = images.ndim == 4
    x = as_tensor(images) if with_channels else as_tensor(images)[..., None]
    y = change(x if moved_only else cast(x, precise(x.dtype)))
    y = y if with_channels else y[..., 0]
    return y if isinstance(images, Tensor) else restored(y.data, images.dtype)


def drawn(x: Tensor, generator: Generator, draw: Callable[..., Array], *arguments: Any) -> Tensor:
    """What `draw` gives, in a recorded step anew each time."""
    return apply(kernels.Drawn(generator, draw, arguments), x.detach())


def precise(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A floating-point type that has all values of small integers."""
    return dtype if dtype.kind in "fc" else np.result_type(dtype, np.float32)


def restored(y: Array, dtype: np.dtype[Any]) -> Array:
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
    check_generator(name, generator)


def check_generator(name: str, generator: Any) -> None:
    """An error for what is no generator."""
    if not isinstance(generator, np.random.Generator):
        raise ArgumentError(f"{name}: expected a numpy.random.Generator, got {generator!r}")
