"""Layers that make one tensor of several: sums, products, and tensors side by side.

The element-wise ones take a list of at least two tensors. Axes of size 1 are broadcast, and where one tensor has fewer
axes than another, they are added behind its batch axis: (batch, 4) and (batch, 3, 4) give (batch, 3, 4).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl import ops
from minidl.autodiff.tensor import Tensor
from minidl.checks import flag, integers
from minidl.errors import AbstractMethodError, ArgumentError, ShapeError
from minidl.layers.layer import Layer
from minidl.layers.symbolic import OpenShape


class _Merging(Layer):
    """What all of them share: the inputs are a list."""

    def build(self, input_shape: Any) -> None:
        """Check that the inputs are several, and fit."""
        self.compute_output_shape(input_shape)
        super().build(input_shape)

    def shapes(self, input_shape: Any, least: int) -> list[OpenShape]:
        """The shapes of the inputs, or an error for a single tensor or too few of them."""
        name = f"{type(self).__name__} {self.name!r}"
        if not isinstance(input_shape, (list, tuple)) or not all(isinstance(n, (tuple, list)) for n in input_shape):
            raise ArgumentError(f"{name} takes a list of tensors, as in {type(self).__name__}()([a, b]), got one")
        if len(input_shape) < least:
            raise ArgumentError(f"{name} needs a list of at least {least} tensors, got {len(input_shape)}")
        if not all(map(len, input_shape)):
            raise ShapeError(f"{name} needs inputs with a batch axis, got shapes {_listed(input_shape)}")
        return [tuple(shape) for shape in input_shape]


class _ElementWise(_Merging):
    """y = x₁ ∘ x₂ ∘ …, element by element; a subclass says what ∘ is."""

    def operation(self, a: Tensor, b: Tensor) -> Tensor:
        """a ∘ b."""
        raise AbstractMethodError(f"{type(self).__name__} has no `operation` method")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """All inputs merged, from the first to the last."""
        shapes = _shapes_of(inputs)
        self.compute_output_shape(shapes)
        rank = max(map(len, shapes))
        return functools.reduce(self.operation, (x if x.ndim == rank else _with_rank(x, rank) for x in inputs))

    def compute_output_shape(self, input_shape: Any) -> OpenShape:
        """The shape that all inputs broadcast to."""
        shapes = self.shapes(input_shape, least=2)
        rank = max(map(len, shapes))
        aligned = [(*shape[:1], *[1] * (rank - len(shape)), *shape[1:]) for shape in shapes]
        return tuple(self._common(sizes, shapes) for sizes in zip(*aligned, strict=True))

    def _common(self, sizes: tuple[int | None, ...], shapes: list[OpenShape]) -> int | None:
        """The size that these sizes of one axis broadcast to; an open one may be any."""
        known = {n for n in sizes if n not in (None, 1)}
        if len(known) > 1:
            raise ShapeError(f"{type(self).__name__} {self.name!r}: shapes {_listed(shapes)} do not broadcast to one")
        return known.pop() if known else None if None in sizes else 1


class Add(_ElementWise):
    """y = x₁ + x₂ + …: the end of a residual block, `Add()([x, f(x)])`.  (He et al. 2016)"""

    def operation(self, a: Tensor, b: Tensor) -> Tensor:
        """a + b."""
        return ops.add(a, b)


class Subtract(_ElementWise):
    """y = x₁ − x₂, of exactly two."""

    def operation(self, a: Tensor, b: Tensor) -> Tensor:
        """a − b."""
        return ops.subtract(a, b)

    def compute_output_shape(self, input_shape: Any) -> OpenShape:
        """The shape that both inputs broadcast to."""
        if len(self.shapes(input_shape, least=2)) > 2:
            raise ArgumentError(f"Subtract {self.name!r} takes exactly two tensors, got {len(input_shape)}")
        return super().compute_output_shape(input_shape)


class Multiply(_ElementWise):
    """y = x₁·x₂·…"""

    def operation(self, a: Tensor, b: Tensor) -> Tensor:
        """a·b."""
        return ops.multiply(a, b)


class Average(_ElementWise):
    """y = (x₁ + … + xₙ) / n."""

    def operation(self, a: Tensor, b: Tensor) -> Tensor:
        """a + b, which `call` divides in the end."""
        return ops.add(a, b)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The mean of the inputs."""
        return super().call(inputs) / len(inputs)


class Maximum(_ElementWise):
    """y = max(x₁, x₂, …)."""

    def operation(self, a: Tensor, b: Tensor) -> Tensor:
        """max(a, b)."""
        return ops.maximum(a, b)


class Minimum(_ElementWise):
    """y = min(x₁, x₂, …)."""

    def operation(self, a: Tensor, b: Tensor) -> Tensor:
        """min(a, b)."""
        return ops.minimum(a, b)


class Concatenate(_Merging):
    """y = the inputs one after the other along `axis`; their other sizes are equal."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise ArgumentError(f"Concatenate: expected axis to be an integer, got {axis!r}")
        self.axis = int(axis)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The inputs side by side."""
        self.compute_output_shape(_shapes_of(inputs))
        return ops.concatenate(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> OpenShape:
        """The sum of the sizes on the axis, the common size on the others."""
        shapes = self.shapes(input_shape, least=1)
        name, rank = f"Concatenate {self.name!r}", len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ShapeError(f"{name}: axis {self.axis} does not exist in {shapes[0]}")
        axis = self.axis % rank
        if any(len(shape) != rank for shape in shapes):
            raise ShapeError(f"{name}: shapes {_listed(shapes)} have different numbers of axes")
        result: list[int | None] = []
        for k, sizes in enumerate(zip(*shapes, strict=True)):
            known = [n for n in sizes if n is not None]
            if k != axis and len(set(known)) > 1:
                raise ShapeError(f"{name}: shapes {_listed(shapes)} may differ along axis {self.axis} only")
            if k == axis:
                result.append(sum(known) if len(known) == len(sizes) else None)
            else:
                result.append(known[0] if known else None)
        return tuple(result)


class Dot(_Merging):
    """y = Σₖ x₁[…, k, …]·x₂[…, k, …], sample by sample: the products along one axis of each of exactly two tensors.

    `axes` is that axis, or one for each; the batch, axis 0, is none. (batch, …), (batch, …) → (batch, what is left of
    the first, what is left of the second); (batch, 1) where nothing is left. With `normalize` the vectors along the
    axes are first given length 1, and y is the cosine of the angle between them.
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several = integers(self, "axes", axes)
        if len(several) != (2 if np.iterable(axes) else 1):
            raise ArgumentError(f"Dot: expected axes to be an integer or two, got {axes!r}")
        self.axes = several if np.iterable(axes) else several[0]
        self.normalize = flag(self, "normalize", normalize)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The products."""
        shape = self.compute_output_shape(_shapes_of(inputs))
        chosen = self._axes(_shapes_of(inputs))
        a, b = (ops.normalize(x, axis) if self.normalize else x for x, axis in zip(inputs, chosen, strict=True))
        # Matrices for each sample: (left of the first, summed) and (summed, left of the second).
        a, b = ops.moveaxis(a, chosen[0], -1), ops.moveaxis(b, chosen[1], 1)
        batch, length = a.shape[0], a.shape[-1]
        a = ops.reshape(a, (batch, math.prod(a.shape[1:-1]), length))
        b = ops.reshape(b, (batch, length, math.prod(b.shape[2:])))
        return ops.reshape(ops.matmul(a, b), [n for n in shape if n is not None])

    def compute_output_shape(self, input_shape: Any) -> OpenShape:
        """The batch, and what is left of both shapes."""
        first, second = self._axes(input_shape)
        a, b = self.shapes(input_shape, least=2)
        left = (*a[1:first], *a[first + 1 :], *b[1:second], *b[second + 1 :])
        return (a[0], *(left or (1,)))

    def _axes(self, input_shape: Any) -> tuple[int, int]:
        """The axis of each of the two, counted from the front."""
        shapes, name = self.shapes(input_shape, least=2), f"Dot {self.name!r}"
        if len(shapes) > 2:
            raise ArgumentError(f"{name} takes exactly two tensors, got {len(shapes)}")
        wanted = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        for axis, shape in zip(wanted, shapes, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ShapeError(f"{name}: expected axis {axis} to be one of {shape} after the batch")
        first, second = (axis % len(shape) for axis, shape in zip(wanted, shapes, strict=True))
        batches, sizes = {shape[0] for shape in shapes} - {None}, {shapes[0][first], shapes[1][second]} - {None}
        if len(batches) > 1 or len(sizes) > 1:
            raise ShapeError(f"{name}: shapes {_listed(shapes)} have different sizes on the axes 0 or {self.axes}")
        return first, second


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Add(**kwargs)(inputs)`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes, **kwargs)(inputs)


def _shapes_of(inputs: Any) -> Any:
    """The shapes of a list of tensors, or that of the only one."""
    return [x.shape for x in inputs] if isinstance(inputs, (list, tuple)) else inputs.shape


def _with_rank(x: Tensor, rank: int) -> Tensor:
    """The tensor with axes of size 1 behind that of the batch."""
    return ops.reshape(x, (*x.shape[:1], *[1] * (rank - x.ndim), *x.shape[1:]))


def _listed(shapes: Sequence[Any]) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes)
