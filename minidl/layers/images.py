"""What layers share that make images of one size into images of another: where the sizes stand and the channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from minidl import ops
from minidl.autodiff.tensor import Tensor
from minidl.errors import ShapeError
from minidl.layers.layer import Layer, OpenShape
from minidl.ops.convolution import check_data_format

_NAMES = {1: ("steps",), 2: ("height", "width")}


class ImageLayer(Layer):
    """(batch, *sizes, channels) → (batch, *other sizes, channels), with as many sizes as `axes` says.

    With data_format "channels_first" the shapes are (batch, channels, *sizes). A subclass tells `output_sizes`.
    """

    axes: ClassVar[int]

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(type(self).__name__, data_format)

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """The sizes that images of these sizes get; an open one stays open."""
        return sizes

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The shape with other sizes, or an error if it is not that of images."""
        self._check_rank(input_shape)
        where = self.spatial
        try:
            sizes = self.output_sizes(input_shape[where])
        except ShapeError as error:
            raise ShapeError(f"{type(self).__name__} {self.name!r} got inputs {input_shape}: {error}") from None
        return (*input_shape[: where.start], *sizes, *input_shape[where.stop :])

    @property
    def spatial(self) -> slice:
        """Where in a shape the sizes stand."""
        first = 2 if self.data_format == "channels_first" else 1
        return slice(first, first + self.axes)

    def is_default(self, name: str, value: Any, default: Any) -> bool:
        """Whether an argument has its default; channels are last."""
        return (name == "data_format" and value == "channels_last") or super().is_default(name, value, default)

    def on_channels_last(self, function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """What `function` makes of the inputs with their channels on the last axis, put back to where they were."""
        if self.data_format == "channels_last":
            return function(inputs)
        last = self.axes + 1
        there, back = (0, *range(2, last + 1), 1), (0, last, *range(1, last))
        return ops.transpose(function(ops.transpose(inputs, there)), back)

    def _check_rank(self, shape: OpenShape) -> None:
        if len(shape) == self.axes + 2:
            return
        names = ["batch", *_NAMES[self.axes]]
        names.insert(1 if self.data_format == "channels_first" else len(names), "channels")
        hint = ""
        if len(shape) == self.axes + 1 and None not in shape[1:]:
            sizes = (1, *shape[1:]) if self.data_format == "channels_first" else (*shape[1:], 1)
            hint = f": for images of one channel add Reshape({sizes}) before it"
        raise ShapeError(f"{type(self).__name__} {self.name!r} needs inputs ({', '.join(names)}), got {shape}{hint}")
