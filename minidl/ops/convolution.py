"""Convolutions, as in `keras.ops`; the formulas stand in `minidl.kernels`.

Images are (n, *sizes, channels), over one or more spatial axes; with data_format "channels_first" they are
(n, channels, *sizes) and are transposed on the way in and out, so that there is one kernel for both. `strides` and
`dilation_rate` are one integer or one for each spatial axis. What `padding` means is resolved to numbers here:

- "valid": none;
- "same": as much as makes ⌈size/stride⌉ outputs, half of it on each side, an odd one at the end (as in TensorFlow
  and Keras; PyTorch has "same" for stride 1 only, and otherwise pads both sides alike);
- "causal" (one spatial axis): all of it in front, so that no output sees what comes later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl import config, kernels
from minidl.autodiff.tensor import Tensor, TensorLike, apply, as_tensor, floating, promote
from minidl.checks import integers
from minidl.errors import ArgumentError, ShapeError, unknown_name
from minidl.memory import Shape
from minidl.ops.shapes import moveaxis, repeat

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]

DATA_FORMATS = ("channels_last", "channels_first")
PADDINGS = ("valid", "same", "causal")
# With fewer channels or filters than these the windows' matrix is small, and its product faster than the detour; as it
# is with fewer places (images × rows × columns) × channels than these.
WINOGRAD_CHANNELS, WINOGRAD_SIZE = 8, 2**15
# To transform the kernel, and its gradient back, takes as long as so many tiles.
KERNEL_TILES = 128
# With more channels than these the products rule, and the larger tile, whose transformed kernel is larger, is slower.
LARGE_TILE_CHANNELS = 256

PerAxis = int | Sequence[int]
Margins = tuple[int, int]


def conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    bias: TensorLike | None = None,
    exact: bool | None = None,
) -> Tensor:
    """y = the convolution of images with a kernel (*window, channels/groups, filters), plus a bias (filters,).

    The number of groups follows from the kernel: it is the channels of the input over those of the kernel.
    `kernels.WinogradConvolution` takes the place of the sum in its order of definition where it is faster, unless the
    result is to be `exact` (None: as `minidl.config.set_exact_convolution` says). Which is faster depends on the number
    of images, too: one alone may differ from the same in a large batch, by 3e-6 of the largest result in float32.
    """
    x, w, geometry = _prepare("conv", inputs, kernel, strides, padding, data_format, dilation_rate)
    channels, inside, filters = x.shape[-1], *w.shape[-2:]
    groups = channels // inside if inside else 0
    if not groups or channels % inside:
        raise ShapeError(f"conv: {channels} channels are no multiple of the {inside} that the kernel {w.shape} takes")
    if filters % groups:
        raise ShapeError(f"conv: the {filters} filters of the kernel {w.shape} are no multiple of {groups} groups")
    if bias is not None:
        (bias,) = promote(bias, x)[:1]
        if bias.shape != (filters,):
            raise ShapeError(f"conv: expected a bias of shape {(filters,)} for {filters} filters, got {bias.shape}")
    if not (config.exact_convolution() if exact is None else exact) and _suits_winograd(x, w, geometry, groups):
        y = apply(kernels.WinogradConvolution(_tile(x, w)), x, w, *(() if bias is None else (bias,)))
    else:
        y = apply(kernels.Convolution(*geometry, groups), x, w)
        y = y if bias is None else y + bias
    return _like_inputs(y, data_format)


def _suits_winograd(x: Tensor, w: Tensor, geometry: Any, groups: int) -> bool:
    """Whether it is a 3×3 convolution that keeps the size, with enough to do to be faster that way."""
    plain = w.shape[:-2] == (3, 3) and groups == 1 and geometry == ((1, 1), (1, 1), ((1, 1), (1, 1)))
    channels = min(w.shape[-2:])
    return plain and channels >= WINOGRAD_CHANNELS and math.prod(x.shape[:-1]) * channels >= WINOGRAD_SIZE


def _tile(x: Tensor, w: Tensor) -> int:
    """How many rows and columns of outputs a tile should have: 4 or 2, whichever takes fewer multiplications.

    Each of the tiles, and the kernel, is transformed to (m + 2)² numbers.
    """

    def multiplications(m: int) -> int:
        images, height, width, _ = x.shape
        return (m + 2) ** 2 * (images * math.ceil(height / m) * math.ceil(width / m) + KERNEL_TILES)

    return min((4, 2), key=multiplications) if max(w.shape[-2:]) <= LARGE_TILE_CHANNELS else 2


def depthwise_conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
) -> Tensor:
    """y = each channel convolved by itself with each of its kernels, w (*window, channels, multiplier).

    Output channel c·multiplier + k comes from input channel c.
    """
    x, w, geometry = _prepare("depthwise_conv", inputs, kernel, strides, padding, data_format, dilation_rate)
    channels, multiplier = w.shape[-2:]
    _check_channels("depthwise_conv", x, channels, w)
    if multiplier != 1:
        x = repeat(x, multiplier, axis=-1)
    w = w.reshape(*w.shape[:-2], channels * multiplier)
    return _like_inputs(apply(kernels.DepthwiseConvolution(*geometry), x, w), data_format)


def separable_conv(
    inputs: TensorLike,
    depthwise_kernel: TensorLike,
    pointwise_kernel: TensorLike,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
) -> Tensor:
    """y = a depthwise convolution, then one with a window of one point, which mixes the channels."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    w = as_tensor(pointwise_kernel)
    channels = y.shape[1 if data_format == "channels_first" else -1]
    if w.shape[:-1] != (*[1] * (y.ndim - 2), channels):
        raise ShapeError(f"separable_conv: expected a pointwise kernel (1, …, {channels}, filters), got {w.shape}")
    return conv(y, w, data_format=data_format)


def conv_transpose(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: PerAxis = 1,
    padding: str = "valid",
    output_padding: PerAxis | None = None,
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
) -> Tensor:
    """y = the gradient, for its input, of a convolution with w (*window, filters, channels): images become larger.

    See `transposed_size` for how large.
    """
    x, w = _images("conv_transpose", inputs, kernel, data_format)
    _check_channels("conv_transpose", x, w.shape[-1], w)
    sizes, window = x.shape[1:-1], w.shape[:-2]
    steps, dilations, output_padding = transposed_arguments(
        "conv_transpose", len(sizes), strides, dilation_rate, output_padding
    )
    mode = check_padding("conv_transpose", padding, PADDINGS[:2])
    each = list(zip(window, steps, dilations, output_padding or [None] * len(sizes), strict=True))
    for n, (k, s, d, extra) in zip(sizes, each, strict=True):
        transposed_size(n, k, s, d, mode, extra)
    cuts = [_cut(_span(k, d), s, mode, extra) for k, s, d, extra in each]
    paddings = tuple((before, max(after, 0)) for before, after in cuts)
    missing = tuple(max(-after, 0) for _, after in cuts)
    return _like_inputs(apply(kernels.ConvolutionTranspose(steps, dilations, paddings, 1, missing), x, w), data_format)


# ---- Sizes, which layers ask for, too ------------------------------------------------------------------------------


def output_size(size: int | None, window: int, stride: int, dilation: int, padding: str) -> int | None:
    """The outputs of a convolution along one axis: ⌈size/stride⌉, or ⌊(size − span)/stride⌋ + 1 without padding.

    None, an open size, stays open. An input that the window does not fit into is a `ShapeError`.
    """
    if size is None:
        return None
    span = _span(window, dilation)
    outputs = (size - span) // stride + 1 if padding == "valid" else -(-size // stride)
    if outputs < 1:
        dilated = f" with dilation {dilation}" if dilation > 1 else ""
        raise ShapeError(
            f"a window of {window}{dilated} spans {span} elements and does not fit into an input of size {size}: "
            'take a smaller window, a larger input, or padding="same"'
        )
    return outputs


def transposed_size(
    size: int | None, window: int, stride: int, dilation: int, padding: str, output_padding: int | None
) -> int | None:
    """The outputs of a transposed convolution along one axis.

    By default (`output_padding` None) size·stride for "same" and (size − 1)·stride + max(span, stride) for "valid";
    with one, (size − 1)·stride + output_padding + span for "valid", and span mod 2 in place of span for "same".
    """
    if size is None:
        return None
    span = _span(window, dilation)
    outputs = (size - 1) * stride + span - sum(_cut(span, stride, padding, output_padding))
    if size < 1 or outputs < 1:
        raise ShapeError(f"a transposed convolution of an input of size {size} has no output: take a larger input")
    return outputs


def per_axis(owner: object, argument: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """`value`, one integer or one for each spatial axis, as one for each."""
    several = integers(owner, argument, value)
    if not np.iterable(value):
        several *= axes
    if len(several) != axes or min(several) < least:
        name = owner if isinstance(owner, str) else type(owner).__name__
        raise ArgumentError(f"{name}: {argument} must be one integer ≥ {least} or {axes} of them, got {value!r}")
    return several


def transposed_arguments(
    owner: object, axes: int, strides: Any, dilation_rate: Any, output_padding: Any
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]:
    """Strides, dilation and output padding of a transposed convolution, each for each axis."""
    steps = per_axis(owner, "strides", strides, axes)
    dilations = per_axis(owner, "dilation_rate", dilation_rate, axes)
    if output_padding is None:
        return steps, dilations, None
    extra = per_axis(owner, "output_padding", output_padding, axes, least=0)
    if any(e >= s for e, s in zip(extra, steps, strict=True)):
        name = owner if isinstance(owner, str) else type(owner).__name__
        raise ArgumentError(f"{name}: output_padding must be smaller than the strides {steps}, got {output_padding!r}")
    return steps, dilations, extra


def check_padding(owner: str, padding: str, allowed: Sequence[str]) -> str:
    """The padding in lower case."""
    if not isinstance(padding, str) or padding.lower() not in allowed:
        raise unknown_name(f"padding of {owner}", padding, allowed)
    return padding.lower()


def check_data_format(owner: str, data_format: str | None) -> str:
    """The data format, "channels_last" by default."""
    if data_format is None:
        return "channels_last"
    if data_format not in DATA_FORMATS:
        raise unknown_name(f"data_format of {owner}", data_format, DATA_FORMATS)
    return data_format


def _span(window: int, dilation: int) -> int:
    return (window - 1) * dilation + 1


def margins(size: int, window: int, stride: int, dilation: int, padding: str) -> Margins:
    """How far the window reaches beyond the input, before and after it."""
    span = _span(window, dilation)
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return span - 1, 0
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def _cut(span: int, stride: int, padding: str, output_padding: int | None) -> Margins:
    """What a transposed convolution cuts off before and after; elements to add at the end count as negative."""
    if padding == "valid":
        total = -max(stride - span, 0) if output_padding is None else -output_padding
    else:
        total = span - stride if output_padding is None else span - span % 2 - output_padding
    before = max(total // 2, 0)
    return before, total - before


def _images(name: str, inputs: TensorLike, kernel: TensorLike, data_format: str | None) -> tuple[Tensor, Tensor]:
    """Images with their channels last, and a kernel with as many axes."""
    x, w = promote(floating(inputs), kernel)
    if x.ndim < 3 or w.ndim != x.ndim:
        raise ShapeError(
            f"{name}: expected images (n, *sizes, channels) and a kernel with as many axes, got {x.shape} and {w.shape}"
        )
    return (moveaxis(x, 1, -1) if check_data_format(name, data_format) == "channels_first" else x), w


def _prepare(
    name: str, inputs: TensorLike, kernel: TensorLike, strides: PerAxis, padding: str, data_format: str | None,
    dilation_rate: PerAxis,
) -> tuple[Tensor, Tensor, tuple[tuple[int, ...], tuple[int, ...], tuple[Margins, ...]]]:  # fmt: skip
    """Images with their channels last, the kernel, and the geometry: strides, dilation and padding of each axis."""
    x, w = _images(name, inputs, kernel, data_format)
    sizes: Shape = x.shape[1:-1]
    mode = check_padding(name, padding, PADDINGS if len(sizes) == 1 else PADDINGS[:2])
    steps = per_axis(name, "strides", strides, len(sizes))
    dilations = per_axis(name, "dilation_rate", dilation_rate, len(sizes))
    each = list(zip(sizes, w.shape, steps, dilations, strict=False))
    for axis in each:
        output_size(*axis, mode)
    return x, w, (steps, dilations, tuple(margins(*axis, mode) for axis in each))


def _check_channels(name: str, x: Tensor, expected: int, w: Tensor) -> None:
    if x.shape[-1] != expected:
        raise ShapeError(f"{name}: the kernel {w.shape} takes {expected} channels, got images with {x.shape[-1]}")


def _like_inputs(y: Tensor, data_format: str | None) -> Tensor:
    """Images with their channels back where the inputs had them."""
    return moveaxis(y, -1, 1) if data_format == "channels_first" else y
