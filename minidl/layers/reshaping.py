"""Layers that only change the shape; the batch axis stays first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from minidl import ops
from minidl.autodiff.tensor import Tensor
from minidl.checks import integers
from minidl.errors import ArgumentError, ShapeError
from minidl.layers.layer import Layer, OpenShape

T = TypeVar("T")


class Flatten(Layer):
    """(batch, a, b, …) → (batch, a·b·…); (batch,) → (batch, 1)."""

    def call(self, inputs: Tensor) -> Tensor:
        """All axes but the first in one."""
        return ops.reshape(inputs, (_batch(self, inputs.shape), math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(batch, a, b) → (batch, a·b)."""
        sizes = [n for n in input_shape[1:] if n is not None]
        return (_batch(self, input_shape), math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)


class Reshape(Layer):
    """(batch, …) → (batch, *target_shape); one size of the target may be −1 and is then computed."""

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = integers(self, "target_shape", target_shape)
        if self.target_shape.count(-1) > 1 or any(n < -1 for n in self.target_shape):
            raise ArgumentError(f"Reshape: expected sizes ≥ 0 and at most one −1, got {self.target_shape}")

    def call(self, inputs: Tensor) -> Tensor:
        """The same elements, sample by sample, in the target shape."""
        return ops.reshape(inputs, (_batch(self, inputs.shape), *self._resolved(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(batch, …) → (batch, *target_shape)."""
        batch, known = _batch(self, input_shape), [n for n in input_shape[1:] if n is not None]
        if len(known) < len(input_shape) - 1:
            return (batch, *(None if n == -1 else n for n in self.target_shape))
        return (batch, *self._resolved(tuple(known)))

    def _resolved(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The target shape with −1 replaced by what is left over."""
        elements, fixed = math.prod(sizes), math.prod(n for n in self.target_shape if n != -1)
        open_size = -1 in self.target_shape
        if elements != fixed if not open_size else not fixed or elements % fixed:
            raise ShapeError(
                f"Reshape {self.name!r}: the {elements} elements of a sample {sizes} do not fill {self.target_shape}"
            )
        return tuple(elements // fixed if n == -1 else n for n in self.target_shape)


def _batch(layer: Layer, shape: tuple[T, ...]) -> T:
    """The first size, or an error for a scalar, which has none."""
    if not shape:
        raise ShapeError(f"{type(layer).__name__} {layer.name!r} needs inputs with a batch axis, got a scalar")
    return shape[0]
