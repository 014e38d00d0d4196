"""Convolution layers: features found wherever they are in a sequence or an image, with the same few weights.

All of them are one class with three questions left open: which kernels, how many filters, which operation. They come
for sequences (batch, steps, channels) and images (batch, height, width, channels); with data_format "channels_first"
the channels stand right after the batch. Sizes are one integer or one for each spatial axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from minidl import activations, initializers, ops
from minidl.autodiff.tensor import Tensor
from minidl.checks import count, flag
from minidl.errors import AbstractMethodError, ArgumentError, ShapeError
from minidl.layers.activations import as_activation, build_activation
from minidl.layers.images import ImageLayer
from minidl.layers.symbolic import OpenShape
from minidl.layers.variable import Variable
from minidl.ops.convolution import (
    PADDINGS,
    PerAxis,
    check_padding,
    output_size,
    per_axis,
    transposed_arguments,
    transposed_size,
)


class _Convolutional(ImageLayer):
    """What the layers of this file share: a window on the spatial axes, a bias, an activation."""

    paddings: ClassVar[Sequence[str]] = PADDINGS[:2]

    bias: Variable | None

    def __init__(
        self,
        kernel_size: PerAxis,
        strides: PerAxis = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: PerAxis = 1,
        activation: Any = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.kernel_size = per_axis(self, "kernel_size", kernel_size, self.axes)
        self.strides = per_axis(self, "strides", strides, self.axes)
        self.dilation_rate = per_axis(self, "dilation_rate", dilation_rate, self.axes)
        self.padding = check_padding(type(self).__name__, padding, self.paddings)
        self.activation = as_activation(activation)
        self.use_bias = flag(self, "use_bias", use_bias)
        self.bias_initializer = initializers.get(bias_initializer)

    # What a subclass writes.

    def add_kernels(self, channels: int) -> None:
        """Make the kernels for inputs with so many channels."""
        raise AbstractMethodError(f"{type(self).__name__} must define add_kernels(self, channels)")

    def output_channels(self, channels: int) -> int:
        """How many channels the output has."""
        raise AbstractMethodError(f"{type(self).__name__} must define output_channels(self, channels)")

    def convolve(self, inputs: Tensor) -> Tensor:
        """The convolution, without the bias."""
        raise AbstractMethodError(f"{type(self).__name__} must define convolve(self, inputs)")

    def convolve_with_bias(self, inputs: Tensor) -> Tensor:
        """The convolution and, if there is one, the bias; to be overridden where one kernel does both."""
        outputs = self.convolve(inputs)
        if self.bias is None:
            return outputs
        last = self.data_format == "channels_last"
        return outputs + (self.bias if last else ops.reshape(self.bias, (-1, *[1] * self.axes)))

    def output_sizes(self, sizes: OpenShape) -> list[int | None]:
        """How often the window fits on each axis."""
        each = zip(sizes, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        return [output_size(*axis, self.padding) for axis in each]

    # What follows.

    def build(self, input_shape: OpenShape) -> None:
        """Make the kernels, and the bias."""
        output_shape, channels = self.compute_output_shape(input_shape), self._channels(input_shape)
        self.add_kernels(channels)
        biases = self.output_channels(channels)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((biases,), self.bias_initializer, name="bias", **self.rules("bias"))
        self._built_channels = channels
        build_activation(self, output_shape)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """activation(convolution + bias)."""
        # An input that does not fit gets an error that names this layer.
        self.compute_output_shape(inputs.shape)
        outputs = self.convolve_with_bias(inputs)
        return outputs if self.activation is activations.linear else self.activation(outputs)

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The batch, the sizes that the window leaves, and the channels; a size of None stays open."""
        shape = list(super().compute_output_shape(input_shape))
        channels = self._channels(input_shape)
        if self.built and channels != self._built_channels:
            built = f"{type(self).__name__} {self.name!r} was built for {self._built_channels} channels"
            raise ShapeError(f"{built} but got {channels} in inputs of shape {input_shape}")
        shape[self._channel_axis] = self.output_channels(channels)
        return tuple(shape)

    def is_default(self, name: str, value: Any, default: Any) -> bool:
        """Whether an argument is what `__init__` makes of its default: one integer stands for each axis."""
        return set(value) == {1} if name in ("strides", "dilation_rate") else super().is_default(name, value, default)

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _channels(self, input_shape: OpenShape) -> int:
        """How many channels an input has."""
        channels = input_shape[self._channel_axis]
        if channels is None:
            raise ShapeError(f"{type(self).__name__} {self.name!r}: the channels must be known, got {input_shape}")
        return channels

    def _refuse_strides_with_dilation(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"{type(self).__name__}: strides > 1 and dilation_rate > 1 do not go together, got {self.strides} and "
                f"{self.dilation_rate}"
            )


class _Conv(_Convolutional):
    """`Conv1D` and `Conv2D`."""

    regularizable = ("kernel", "bias")

    kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: PerAxis,
        strides: PerAxis = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: PerAxis = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer, **kwargs
        )
        self.filters = count(self, "filters", filters)
        self.groups = count(self, "groups", groups)
        self.kernel_initializer = initializers.get(kernel_initializer)
        if self.filters % self.groups:
            raise ArgumentError(f"{type(self).__name__}: {filters} filters are no multiple of groups={groups}")
        self._refuse_strides_with_dilation()

    def add_kernels(self, channels: int) -> None:
        """W of shape (*kernel_size, channels/groups, filters)."""
        if channels % self.groups:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: the {channels} channels of the input are no multiple of "
                f"groups={self.groups}"
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel", **self.rules("kernel"))

    def output_channels(self, channels: int) -> int:
        """`filters`."""
        return self.filters

    def convolve_with_bias(self, inputs: Tensor) -> Tensor:
        """The convolution and the bias."""
        return ops.conv(
            inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate, bias=self.bias
        )


class Conv1D(_Conv):
    """y = activation(x * W + b) along a sequence: (batch, steps, channels) → (batch, outputs, filters).

    A window of `kernel_size` steps moves on by `strides`, its elements `dilation_rate` apart. `padding` is "valid"
    (none), "same" (outputs = ⌈steps/strides⌉) or "causal" (the same number, and no output sees a later input). The
    channels and the filters are in `groups` parts that do not see each other. Variables: kernel (window,
    channels/groups, filters), bias (filters,).
    """

    axes = 1
    paddings = PADDINGS


class Conv2D(_Conv):
    """y = activation(x * W + b) over images: (batch, height, width, channels) → (batch, outputs, outputs, filters).

    A window of `kernel_size` pixels moves on by `strides`, its elements `dilation_rate` apart. `padding` is "valid"
    (none) or "same" (outputs = ⌈size/strides⌉). The channels and the filters are in `groups` parts that do not see each
    other. Variables: kernel (window, window, channels/groups, filters), bias (filters,).
    """

    axes = 2


class _ConvTranspose(_Convolutional):
    """`Conv1DTranspose` and `Conv2DTranspose`."""

    regularizable = ("kernel", "bias")

    kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: PerAxis,
        strides: PerAxis = 1,
        padding: str = "valid",
        output_padding: PerAxis | None = None,
        data_format: str | None = None,
        dilation_rate: PerAxis = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer, **kwargs
        )
        self.filters = count(self, "filters", filters)
        self.output_padding = transposed_arguments(self, self.axes, strides, dilation_rate, output_padding)[2]
        self.kernel_initializer = initializers.get(kernel_initializer)
        self._refuse_strides_with_dilation()

    def add_kernels(self, channels: int) -> None:
        """W of shape (*kernel_size, filters, channels)."""
        shape = (*self.kernel_size, self.filters, channels)
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel", **self.rules("kernel"))

    def output_channels(self, channels: int) -> int:
        """`filters`."""
        return self.filters

    def output_sizes(self, sizes: OpenShape) -> list[int | None]:
        """What each axis becomes."""
        extra = self.output_padding or [None] * self.axes
        each = zip(sizes, self.kernel_size, self.strides, self.dilation_rate, extra, strict=True)
        return [transposed_size(n, k, s, d, self.padding, e) for n, k, s, d, e in each]

    def convolve(self, inputs: Tensor) -> Tensor:
        """The transposed convolution, without the bias."""
        return ops.conv_transpose(
            inputs, self.kernel, self.strides, self.padding, self.output_padding, self.data_format, self.dilation_rate
        )


class Conv1DTranspose(_ConvTranspose):
    """What the gradient of a Conv1D does, as a layer: (batch, steps, channels) → (batch, outputs, filters).

    Every input adds its multiple of the window to the output, `strides` after that of the one before. outputs =
    steps·strides with padding "same" and (steps − 1)·strides + max(kernel_size, strides) with "valid";
    `output_padding` < strides chooses another size (see `minidl.ops.convolution.transposed_size`). Variables: kernel
    (window, filters, channels), bias (filters,).
    """

    axes = 1


class Conv2DTranspose(_ConvTranspose):
    """What the gradient of a Conv2D does, as a layer: (batch, height, width, channels) → (batch, …, …, filters).

    Every input pixel adds its multiple of the window to the output, `strides` from that of its neighbour. An axis of
    size n becomes n·strides with padding "same" and (n − 1)·strides + max(kernel_size, strides) with "valid";
    `output_padding` < strides chooses another size (see `minidl.ops.convolution.transposed_size`). Variables: kernel
    (window, window, filters, channels), bias (filters,).
    """

    axes = 2


class _DepthwiseConv(_Convolutional):
    """`DepthwiseConv1D` and `DepthwiseConv2D`."""

    regularizable = ("depthwise", "bias")

    kernel: Variable

    def __init__(
        self,
        kernel_size: PerAxis,
        strides: PerAxis = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: PerAxis = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer, **kwargs
        )
        self.depth_multiplier = count(self, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)

    def add_kernels(self, channels: int) -> None:
        """W of shape (*kernel_size, channels, depth_multiplier)."""
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.add_weight(shape, self.depthwise_initializer, name="kernel", **self.rules("depthwise"))

    def output_channels(self, channels: int) -> int:
        """channels·depth_multiplier."""
        return channels * self.depth_multiplier

    def convolve(self, inputs: Tensor) -> Tensor:
        """The depthwise convolution, without the bias."""
        return ops.depthwise_conv(
            inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )


class DepthwiseConv1D(_DepthwiseConv):
    """A Conv1D of each channel by itself: (batch, steps, channels) → (batch, outputs, channels·depth_multiplier).

    Each channel has `depth_multiplier` windows; output channel c·depth_multiplier + k comes from input channel c.
    Variables: kernel (window, channels, depth_multiplier), bias (channels·depth_multiplier,).
    """

    axes = 1


class DepthwiseConv2D(_DepthwiseConv):
    """A Conv2D of each channel by itself: (batch, height, width, channels) → (batch, …, …, channels·depth_multiplier).

    Each channel has `depth_multiplier` windows; output channel c·depth_multiplier + k comes from input channel c.
    Variables: kernel (window, window, channels, depth_multiplier), bias (channels·depth_multiplier,).
    """

    axes = 2


class _SeparableConv(_Convolutional):
    """`SeparableConv1D` and `SeparableConv2D`."""

    regularizable = ("depthwise", "pointwise", "bias")

    depthwise_kernel: Variable
    pointwise_kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: PerAxis,
        strides: PerAxis = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: PerAxis = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer, **kwargs
        )
        self.filters = count(self, "filters", filters)
        self.depth_multiplier = count(self, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)

    def add_kernels(self, channels: int) -> None:
        """Two kernels: (*kernel_size, channels, depth_multiplier) and (1, …, channels·depth_multiplier, filters)."""
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.depthwise_kernel = self.add_weight(
            shape, self.depthwise_initializer, name="depthwise_kernel", **self.rules("depthwise")
        )
        shape = (*[1] * self.axes, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.add_weight(
            shape, self.pointwise_initializer, name="pointwise_kernel", **self.rules("pointwise")
        )

    def output_channels(self, channels: int) -> int:
        """`filters`."""
        return self.filters

    def convolve(self, inputs: Tensor) -> Tensor:
        """Both convolutions, without the bias."""
        return ops.separable_conv(
            inputs, self.depthwise_kernel, self.pointwise_kernel, self.strides, self.padding, self.data_format,
            self.dilation_rate,
        )  # fmt: skip


class SeparableConv1D(_SeparableConv):
    """A DepthwiseConv1D, then a Conv1D with a window of one: (batch, steps, channels) → (batch, outputs, filters).

    The first finds features in each channel, the second mixes the channels: far fewer weights and products than one
    Conv1D. Variables: depthwise_kernel (window, channels, depth_multiplier), pointwise_kernel (1,
    channels·depth_multiplier, filters), bias (filters,).
    """

    axes = 1


class SeparableConv2D(_SeparableConv):
    """A DepthwiseConv2D, then a Conv2D with a window of one pixel: (batch, height, width, channels) → (…, filters).

    The first finds features in each channel, the second mixes the channels: far fewer weights and products than one
    Conv2D. (Chollet 2017) Variables: depthwise_kernel (window, window, channels, depth_multiplier), pointwise_kernel
    (1, 1, channels·depth_multiplier, filters), bias (filters,).
    """

    axes = 2


Convolution1D, Convolution2D = Conv1D, Conv2D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
