"""Pooling, as in `keras.ops`: one number for each window of an image; the formulas stand in `minidl.kernels`."""

from __future__ import annotations

from minidl import kernels
from minidl.autodiff.tensor import Tensor, TensorLike, apply, floating
from minidl.errors import ShapeError
from minidl.ops.convolution import PerAxis, check_data_format, check_padding, margins, output_size, per_axis
from minidl.ops.shapes import moveaxis

__all__ = ["average_pool", "max_pool"]


def max_pool(
    inputs: TensorLike,
    pool_size: PerAxis,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """y = the largest element of each window: (batch, *sizes, channels) → (batch, *windows, channels).

    A window has `pool_size` elements along each axis, and the next one starts `strides` further, by default
    `pool_size`. With padding "valid" all windows are inside; with "same" there are ⌈size/stride⌉, which reach beyond
    both ends by as much, or by one more at the second: there is nothing there. With data_format "channels_first" the
    shapes are (batch, channels, *sizes).

    Of several equal elements, the first one gets the gradient.
    """
    return _pool("max_pool", kernels.MaxPooling, inputs, pool_size, strides, padding, data_format)


def average_pool(
    inputs: TensorLike,
    pool_size: PerAxis,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """y = the mean of each window, as `max_pool` has them; what is beyond the ends does not count."""
    return _pool("average_pool", kernels.AveragePooling, inputs, pool_size, strides, padding, data_format)


def _pool(
    name: str,
    kernel: type[kernels.MaxPooling | kernels.AveragePooling],
    inputs: TensorLike,
    pool_size: PerAxis,
    strides: PerAxis | None,
    padding: str,
    data_format: str | None,
) -> Tensor:
    x = floating(inputs)
    if x.ndim < 3:
        raise ShapeError(f"{name}: expected images (n, *sizes, channels), got {x.shape}")
    channels_first = check_data_format(name, data_format) == "channels_first"
    x = moveaxis(x, 1, -1) if channels_first else x
    mode, axes = check_padding(name, padding, ("valid", "same")), x.ndim - 2
    window = per_axis(name, "pool_size", pool_size, axes)
    steps = window if strides is None else per_axis(name, "strides", strides, axes)
    each = list(zip(x.shape[1:-1], window, steps, strict=True))
    for size, length, step in each:
        # An error where the window does not fit.
        output_size(size, length, step, 1, mode)
    y = apply(kernel(window, steps, tuple(margins(*axis, 1, mode) for axis in each)), x)
    return moveaxis(y, -1, 1) if channels_first else y
