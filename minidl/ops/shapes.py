"""Moving elements without changing them, picking some out, and linear algebra."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl import config, kernels
from minidl.autodiff.tensor import (
    Tensor,
    TensorLike,
    apply,
    apply_several,
    as_tensor,
    cast,
    check_axis,
    check_broadcast,
    constant,
    matmul,
    perform,
    plain,
    promote,
    reshape,
)
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.memory import Array

__all__ = [
    "arange", "argsort", "broadcast_to", "cast", "concatenate", "convert_to_numpy", "convert_to_tensor", "dot",
    "einsum", "expand_dims", "eye", "flip", "full", "moveaxis", "one_hot", "ones", "ones_like", "pad", "ravel",
    "repeat", "reshape", "shape", "size", "sort", "split", "squeeze", "stack", "stop_gradient", "swapaxes", "take",
    "take_along_axis", "tile", "transpose", "zeros", "zeros_like",
]  # fmt: skip


def convert_to_tensor(x: TensorLike, dtype: npt.DTypeLike | None = None) -> Tensor:
    """`x` as a tensor; `x` itself if it is one of that dtype."""
    return as_tensor(x, dtype)


def convert_to_numpy(x: TensorLike) -> npt.NDArray[Any]:
    """`x` as a plain array."""
    return np.asarray(plain(x))


def shape(x: TensorLike) -> tuple[int, ...]:
    """The sizes of the axes; None for those that are open in a symbolic tensor."""
    sizes: tuple[int, ...] = x.shape if hasattr(x, "shape") else as_tensor(x).shape
    return sizes


def size(x: TensorLike) -> int | None:
    """The number of elements; None for a symbolic tensor that has an open axis."""
    sizes = shape(x)
    return None if None in sizes else math.prod(sizes)


def zeros(shape: int | Sequence[int], dtype: npt.DTypeLike | None = None) -> Tensor:
    """A tensor of zeros, `floatx` by default."""
    return constant(np.zeros(shape, dtype or config.floatx()))


def ones(shape: int | Sequence[int], dtype: npt.DTypeLike | None = None) -> Tensor:
    """A tensor of ones, `floatx` by default."""
    return constant(np.ones(shape, dtype or config.floatx()))


def full(shape: int | Sequence[int], fill_value: float, dtype: npt.DTypeLike | None = None) -> Tensor:
    """A tensor in which every element is `fill_value`, `floatx` by default."""
    return constant(np.full(shape, fill_value, dtype or config.floatx()))


def eye(n: int, m: int | None = None, dtype: npt.DTypeLike | None = None) -> Tensor:
    """A tensor of shape (n, m) with ones on the diagonal and zeros elsewhere, `floatx` by default."""
    return constant(np.eye(n, m, dtype=dtype or config.floatx()))


def arange(start: float, stop: float | None = None, step: float = 1, dtype: npt.DTypeLike | None = None) -> Tensor:
    """The numbers from `start` (0 if only one is given) up to and without `stop`."""
    numbers = np.arange(start, step=step) if stop is None else np.arange(start, stop, step)
    return constant(numbers.astype(dtype or (config.floatx() if numbers.dtype.kind == "f" else numbers.dtype)))


def zeros_like(x: TensorLike, dtype: npt.DTypeLike | None = None) -> Tensor:
    """Zeros of the shape of `x`, and of its dtype by default."""
    tensor = as_tensor(x)
    return constant(np.zeros(tensor.shape, dtype or tensor.dtype))


def ones_like(x: TensorLike, dtype: npt.DTypeLike | None = None) -> Tensor:
    """Ones of the shape of `x`, and of its dtype by default."""
    tensor = as_tensor(x)
    return constant(np.ones(tensor.shape, dtype or tensor.dtype))


def stop_gradient(x: TensorLike) -> Tensor:
    """The value of `x` as a constant: no gradient flows through it."""
    return as_tensor(x).detach()


def dot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Σₖ x1[…, k]·x2[…, k, …] over the last axis of x1 and the last but one of x2 (its only one, if a vector)."""
    a, b = promote(x1, x2)
    if not a.ndim or not b.ndim:
        return a * b
    contracted = max(b.ndim - 2, 0)
    if a.shape[-1] != b.shape[contracted]:
        raise ShapeError(f"dot: axis −1 of {a.shape} and axis {contracted} of {b.shape} differ in size")
    columns = moveaxis(b, contracted, 0)
    rows = reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))
    product = matmul(rows, reshape(columns, (columns.shape[0], math.prod(columns.shape[1:]))))
    return reshape(product, (*a.shape[:-1], *columns.shape[1:]))


def einsum(subscripts: str, *operands: TensorLike) -> Tensor:
    """The sum of products that `subscripts` spell in Einstein's notation, as in `numpy.einsum`."""
    tensors = promote(*operands)
    return apply(kernels.Einsum(_spelled_out(subscripts, tensors)), *tensors)


def _spelled_out(subscripts: str, tensors: list[Tensor]) -> str:
    """The subscripts with letters for an ellipsis, and with the output."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    names = inputs.split(",")
    if len(names) != len(tensors):
        raise ShapeError(f"einsum: {subscripts!r} names {len(names)} operands, got {len(tensors)}")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    hidden = [
        t.ndim - len(name.replace("...", "")) if "..." in name else 0 for name, t in zip(names, tensors, strict=True)
    ]
    ellipsis = "".join(spare[: max(hidden)])
    names = [name.replace("...", ellipsis[len(ellipsis) - n :]) for name, n in zip(names, hidden, strict=True)]
    letters = "".join(names)
    if not arrow:
        output = ellipsis + "".join(sorted(c for c in set(letters) - set(ellipsis) if letters.count(c) == 1))
    output = output.replace("...", ellipsis)
    sizes: dict[str, int] = {}
    for name, tensor in zip(names, tensors, strict=True):
        if len(name) != tensor.ndim:
            raise ShapeError(f"einsum: {subscripts!r} names {len(name)} axes of an operand of shape {tensor.shape}")
        for letter, size in zip(name, tensor.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ShapeError(f"einsum: {subscripts!r}: axis {letter!r} has sizes {sizes[letter]} and {size}")
    if not set(output) <= set(letters) or len(set(output)) < len(output):
        raise ShapeError(f"einsum: the output of {subscripts!r} must name axes of the operands, each once")
    return f"{','.join(names)}->{output}"


def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """y = x with its axes in the order `axes`, reversed by default."""
    x = as_tensor(x)
    if axes is not None:
        axes = check_axis(tuple(axes), x.ndim)  # type: ignore[assignment]
        if len(axes or ()) != x.ndim:
            raise ShapeError(f"transpose: expected each of {x.ndim} axes once, got {axes}")
    return apply(kernels.Transpose(None if axes is None else tuple(axes)), x)


def moveaxis(x: TensorLike, source: int, destination: int) -> Tensor:
    """y = x with one axis moved to another place."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    check_axis(source, x.ndim)
    check_axis(destination, x.ndim)
    order.insert(destination % x.ndim, order.pop(source % x.ndim))
    return apply(kernels.Transpose(tuple(order)), x)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """y = x with two axes exchanged."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    check_axis(axis1, x.ndim)
    check_axis(axis2, x.ndim)
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return apply(kernels.Transpose(tuple(order)), x)


def ravel(x: TensorLike) -> Tensor:
    """y = the elements of x on one axis."""
    x = as_tensor(x)
    return reshape(x, (x.size,))


def _shaped_like(x: Tensor) -> Array:
    """An array without memory of the same shape, to ask NumPy for shapes."""
    return np.broadcast_to(np.int8(0), x.shape)


def expand_dims(x: TensorLike, axis: int | Sequence[int]) -> Tensor:
    """y = x with a new axis of size 1 at each place of `axis`."""
    x = as_tensor(x)
    many = (axis,) if isinstance(axis, int) else tuple(axis)
    check_axis(many, x.ndim + len(many))
    return apply(kernels.Reshape(np.expand_dims(_shaped_like(x), many).shape), x)


def squeeze(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """y = x without its axes of size 1, or without those in `axis`."""
    x = as_tensor(x)
    many = tuple(a for a, n in enumerate(x.shape) if n == 1) if axis is None else np.atleast_1d(axis)
    axes = tuple(int(a) for a in many)
    check_axis(axes, x.ndim)
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze: expected axes of size 1, got axis={axis} for shape {x.shape}")
    return apply(kernels.Reshape(np.squeeze(_shaped_like(x), axes).shape), x)


def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """y = copies of x that fill `shape`."""
    x = as_tensor(x)
    target = tuple(shape)
    check_broadcast("broadcast_to", x.shape, target)
    if np.broadcast_shapes(x.shape, target) != target:
        raise ShapeError(f"broadcast_to: {x.shape} does not broadcast to {target}")
    return apply(kernels.BroadcastTo(target), x)


def concatenate(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """y = the tensors one after the other along `axis`; their other sizes are equal."""
    tensors = _alike("concatenate", xs)
    check_axis(axis, tensors[0].ndim)
    rests = {(t.ndim, tuple(n for a, n in enumerate(t.shape) if a != axis % t.ndim)) for t in tensors}
    if len(rests) > 1:
        shapes = ", ".join(str(t.shape) for t in tensors)
        raise ShapeError(f"concatenate: shapes may differ along axis {axis} only, got {shapes}")
    return apply(kernels.Concatenate(axis), *tensors)


def stack(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """y = the tensors, all of one shape, side by side along a new `axis`."""
    tensors = _alike("stack", xs)
    if len({t.shape for t in tensors}) > 1:
        raise ShapeError(f"stack: expected equal shapes, got {', '.join(str(t.shape) for t in tensors)}")
    check_axis(axis, tensors[0].ndim + 1)
    return apply(kernels.Stack(axis), *tensors)


def _alike(name: str, xs: Sequence[TensorLike]) -> list[Tensor]:
    if not len(xs):
        raise ArgumentError(f"{name}: expected at least one tensor, got none")
    return promote(*xs)


def split(x: TensorLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along `axis` into that many equal parts, or before each of the positions given."""
    x = as_tensor(x)
    check_axis(axis, x.ndim)
    length = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or length % indices_or_sections:
            raise ShapeError(f"split: axis {axis} of size {length} has no {indices_or_sections} equal parts")
        part = length // indices_or_sections
        cuts = tuple(part * k for k in range(1, indices_or_sections))
    else:
        cuts = tuple(int(cut) for cut in indices_or_sections)
        if list(cuts) != sorted(cuts) or any(not 0 <= cut <= length for cut in cuts):
            raise ShapeError(f"split: expected rising positions from 0 to {length}, got {cuts}")
    return list(apply_several(kernels.Split(cuts, axis), x))


def pad(x: TensorLike, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """y = x framed: `pad_width` is n, (before, after), or one such pair for each axis.

    `mode` is "constant", or "reflect", "symmetric", "edge", "wrap", which copy elements as `numpy.pad` does.
    """
    x = as_tensor(x)
    if mode not in ("constant", "reflect", "symmetric", "edge", "wrap"):
        raise ArgumentError(f"pad: expected mode constant, reflect, symmetric, edge or wrap, got {mode!r}")
    try:
        widths = tuple((int(before), int(after)) for before, after in np.broadcast_to(pad_width, (x.ndim, 2)))
    except ValueError:
        raise ShapeError(f"pad: expected one pair for each of {x.ndim} axes, got {pad_width}") from None
    if any(width < 0 for pair in widths for width in pair):
        raise ArgumentError(f"pad: expected widths ≥ 0, got {pad_width}")
    if mode == "constant":
        return apply(kernels.Pad(widths, constant_values), x)
    positions = np.pad(np.arange(x.size).reshape(x.shape), widths, mode=mode)  # type: ignore[call-overload]
    return take(ravel(x), positions)


def flip(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """y = x with the order along `axis`, all axes by default, reversed."""
    x = as_tensor(x)
    return apply(kernels.Flip(check_axis(axis, x.ndim)), x)


def repeat(x: TensorLike, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """y = each element `repeats` times in a row along `axis`, of the flattened tensor by default.

    A sequence says how often for each position.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    check_axis(axis, x.ndim)
    counts = np.atleast_1d(plain(repeats))
    counts = counts if counts.size else counts.astype(np.int64)
    if counts.dtype.kind not in "iu" or counts.min(initial=0) < 0 or counts.size not in (1, x.shape[axis]):
        raise ArgumentError(f"repeat: expected a count ≥ 0 or one for each of {x.shape[axis]} positions, got {repeats}")
    if counts.size == 1:
        return apply(kernels.Repeat(int(counts[0]), axis), x)
    return take(x, np.repeat(np.arange(x.shape[axis]), counts), axis)


def tile(x: TensorLike, repeats: int | Sequence[int]) -> Tensor:
    """y = `repeats[a]` copies of all of x along each axis a."""
    x = as_tensor(x)
    counts = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    if any(n < 0 for n in counts):
        raise ArgumentError(f"tile: expected counts ≥ 0, got {repeats}")
    return apply(kernels.Tile(counts), x)


def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """y = the slices of x at `indices` along `axis`, of the flattened tensor by default."""
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    check_axis(axis, x.ndim)
    return apply(kernels.Take(axis), x, _positions("take", indices, x.shape[axis]))


def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """yᵢⱼ = x at position `indices`ᵢⱼ of the row ij along `axis`; indices have the shape of x but for that axis."""
    x = as_tensor(x)
    check_axis(axis, x.ndim)
    axis %= x.ndim
    chosen = _positions("take_along_axis", indices, x.shape[axis]).data
    if chosen.ndim != x.ndim:
        raise ShapeError(f"take_along_axis: expected indices with {x.ndim} axes, got shape {chosen.shape}")
    grid = np.ogrid[tuple(slice(n) for n in chosen.shape)]
    return apply(kernels.GetItem((*grid[:axis], chosen, *grid[axis + 1 :])), x)


def _positions(name: str, indices: TensorLike, length: int) -> Tensor:
    """The indices as integers that all exist on an axis of that length."""
    tensor = as_tensor(indices)
    if tensor.dtype.kind not in "iu":
        if tensor.size:
            raise DTypeError(f"{name}: expected integer indices, got dtype {tensor.dtype}")
        tensor = cast(tensor, np.int64)
    perform(_check_positions, name, tensor, length)
    return tensor


def _check_positions(name: str, indices: Array, length: int) -> None:
    if indices.size and not (-length <= indices.min() and indices.max() < length):
        raise ShapeError(
            f"{name}: expected indices from {-length} to {length - 1}, got {indices.min()} to {indices.max()}"
        )


def sort(x: TensorLike, axis: int = -1) -> Tensor:
    """y = x in ascending order along `axis`."""
    x = as_tensor(x)
    check_axis(axis, x.ndim)
    return apply(kernels.Sort(axis), x)


def argsort(x: TensorLike, axis: int = -1) -> Tensor:
    """The positions that would sort x along `axis`, equal elements in their old order; not differentiable."""
    x = as_tensor(x)
    check_axis(axis, x.ndim)
    return apply(kernels.NonDifferentiable("argsort", (("axis", axis), ("kind", "stable"))), x)


def one_hot(x: TensorLike, num_classes: int, dtype: npt.DTypeLike | None = None) -> Tensor:
    """y = 1 in the column that the integer names, 0 elsewhere; an integer outside 0 … num_classes − 1 gives zeros."""
    labels = as_tensor(x)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: expected integers, got dtype {labels.dtype}")
    return apply(kernels.OneHot(num_classes, np.dtype(dtype or config.floatx())), labels)
