"""Initializers without chance: constants and the identity matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.checks import number
from minidl.errors import ArgumentError, ShapeError
from minidl.initializers.initializer import Initializer, as_dtype, as_shape
from minidl.memory import Array

_NUMERIC = "fiub"


class Zeros(Initializer):
    """Every element is 0: the usual start of biases."""

    def __call__(self, shape: Sequence[int], dtype: npt.DTypeLike | None = None) -> Array:
        """Zeros of `shape` and `dtype`."""
        return np.zeros(as_shape(self, shape), as_dtype(self, dtype, _NUMERIC))


class Ones(Initializer):
    """Every element is 1: the usual start of scales."""

    def __call__(self, shape: Sequence[int], dtype: npt.DTypeLike | None = None) -> Array:
        """Ones of `shape` and `dtype`."""
        return np.ones(as_shape(self, shape), as_dtype(self, dtype, _NUMERIC))


class Constant(Initializer):
    """Every element is `value`; or, where `value` is an array, the weight is a copy of it.

    An array must have the very shape of the weight (pretrained embeddings are given so). Keras broadcasts it, and so
    hides a row passed where a matrix was meant.
    """

    def __init__(self, value: npt.ArrayLike = 0.0) -> None:
        try:
            array = np.array(value)
        except ValueError:  # rows of different lengths
            array = np.array(None)
        if array.dtype.kind not in _NUMERIC:
            raise ArgumentError(f"Constant: value must be a real number or an array of such, got {value!r}")
        self.value = array if array.ndim else array.item()

    def __call__(self, shape: Sequence[int], dtype: npt.DTypeLike | None = None) -> Array:
        """The constant in `shape` and `dtype`."""
        shape = as_shape(self, shape)
        if np.ndim(self.value) and np.shape(self.value) != shape:
            raise ShapeError(f"Constant: its value has shape {np.shape(self.value)}, the weight needs {shape}")
        return np.full(shape, _held(self, self.value, as_dtype(self, dtype, _NUMERIC)))

    def get_config(self) -> dict[str, Any]:
        """The value as a number or nested lists of numbers."""
        return {"value": np.asarray(self.value).tolist()}


class Identity(Initializer):
    """`gain` on the main diagonal of a matrix, square or not, and 0 elsewhere.  (Le et al. 2015, for recurrent kernels)

    Keras forgets the gain in its config; here it is kept.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = number(self, "gain", gain)

    def __call__(self, shape: Sequence[int], dtype: npt.DTypeLike | None = None) -> Array:
        """The matrix of `shape` and `dtype`; `ShapeError` unless there are two axes."""
        shape = as_shape(self, shape)
        if len(shape) != 2:
            raise ShapeError(f"Identity: expected the shape of a matrix, got {shape}")
        gain = _held(self, self.gain, as_dtype(self, dtype, _NUMERIC))
        matrix = np.zeros(shape, gain.dtype)
        np.fill_diagonal(matrix, gain)
        return matrix


def _held(owner: Initializer, value: npt.ArrayLike, dtype: np.dtype[Any]) -> Array:
    """`value` as an array of `dtype`, which may round it to a float but not to an integer or boolean."""
    given = np.asarray(value)
    with np.errstate(invalid="ignore"):  # NaN and infinity have no integer; the comparison finds them
        held = given.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(held, given):
        raise ArgumentError(f"{type(owner).__name__}: {value!r} cannot be held by the dtype {dtype}")
    return held
