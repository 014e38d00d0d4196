"""Pooling layers: images become smaller, window by window or all at once. They have no weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from minidl import ops
from minidl.autodiff.tensor import Tensor
from minidl.checks import flag
from minidl.layers.images import ImageLayer
from minidl.layers.layer import OpenShape
from minidl.ops.convolution import PerAxis, check_padding, output_size, per_axis


class _Pooling(ImageLayer):
    """One number for each window of an image; `operation` says which."""

    operation: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        pool_size: PerAxis = 2,
        strides: PerAxis | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.pool_size = per_axis(self, "pool_size", pool_size, self.axes)
        self.strides = self.pool_size if strides is None else per_axis(self, "strides", strides, self.axes)
        self.padding = check_padding(type(self).__name__, padding, ("valid", "same"))

    def call(self, inputs: Tensor) -> Tensor:
        """The number of each window."""
        self.compute_output_shape(inputs.shape)
        return type(self).operation(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """How many windows there are: ⌊(size − pool)/stride⌋ + 1, with padding "same" ⌈size/stride⌉."""
        each = zip(sizes, self.pool_size, self.strides, strict=True)
        return [output_size(size, window, stride, 1, self.padding) for size, window, stride in each]


class MaxPooling1D(_Pooling):
    """y = the largest of `pool_size` steps: (batch, steps, channels) → (batch, windows, channels).

    Windows start `strides` apart, by default `pool_size`. With padding "valid" all of them are inside,
    ⌊(steps − pool)/stride⌋ + 1; with "same" there are ⌈steps/stride⌉, and the first and the last reach beyond the ends.
    Of equal elements the first one gets the gradient. With data_format "channels_first" the channels are on axis 1.
    """

    axes = 1
    operation = staticmethod(ops.max_pool)


class MaxPooling2D(_Pooling):
    """y = the largest of a window: (batch, height, width, channels) → (batch, rows, columns, channels).

    `pool_size` and `strides` are one number or (vertical, horizontal); all else is as in `MaxPooling1D`.
    """

    axes = 2
    operation = staticmethod(ops.max_pool)


class AveragePooling1D(_Pooling):
    """y = the mean of a window, with windows as in `MaxPooling1D`; what is beyond the ends does not count."""

    axes = 1
    operation = staticmethod(ops.average_pool)


class AveragePooling2D(_Pooling):
    """y = the mean of a window, with windows as in `MaxPooling2D`; what is beyond the border does not count."""

    axes = 2
    operation = staticmethod(ops.average_pool)


class _GlobalPooling(ImageLayer):
    """One number for each channel of an image; `operation` says which. `keepdims` keeps the sizes, as 1."""

    operation: ClassVar[Callable[..., Tensor]]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.keepdims = flag(self, "keepdims", keepdims)

    def call(self, inputs: Tensor) -> Tensor:
        """The number of each channel."""
        self.compute_output_shape(inputs.shape)
        where = self.spatial
        return type(self).operation(inputs, tuple(range(where.start, where.stop)), self.keepdims)

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """None are left, or ones."""
        return (1,) * len(sizes) if self.keepdims else ()


class GlobalAveragePooling1D(_GlobalPooling):
    """y = the mean over all steps: (batch, steps, channels) → (batch, channels), or (batch, 1, channels)."""

    axes = 1
    operation = staticmethod(ops.mean)


class GlobalAveragePooling2D(_GlobalPooling):
    """y = the mean over the image: (batch, height, width, channels) → (batch, channels), or (batch, 1, 1, channels).

    After it a classifier needs one weight for each channel and class, however large the image is. (Lin et al. 2014)
    """

    axes = 2
    operation = staticmethod(ops.mean)


class GlobalMaxPooling1D(_GlobalPooling):
    """y = the largest of all steps: (batch, steps, channels) → (batch, channels), or (batch, 1, channels)."""

    axes = 1
    operation = staticmethod(ops.max)


class GlobalMaxPooling2D(_GlobalPooling):
    """y = the largest of the image: (batch, height, width, channels) → (batch, channels), or (batch, 1, 1, channels).

    Equal elements share the gradient.
    """

    axes = 2
    operation = staticmethod(ops.max)


MaxPool1D, MaxPool2D = MaxPooling1D, MaxPooling2D
AvgPool1D, AvgPool2D = AveragePooling1D, AveragePooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
