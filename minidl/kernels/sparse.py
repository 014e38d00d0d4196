"""A matrix product with a matrix that is mostly zeros, of which only the other elements are stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.errors import ShapeError
from minidl.kernels.kernel import Kernel, sum_axes
from minidl.memory import Array, Memory

# So many rows of the input are taken at a time: a block of it is to stay in the cache.
_ROWS = 128

_Saved = tuple[Array, Array, Array, Array]


class SparseAffine(Kernel):
    """Y = X·W + b, W of shape (k, n) sparse;  dX = dY·Wᵀ,  dv = elements of Xᵀ·dY,  db = Σ dY over all rows.

    W is stored column by column (CSC): `values` v has its elements other than zero, `indices` their rows, and those of
    column j are at `indptr[j]`, …, `indptr[j + 1]` − 1. Only these elements are ever changed by training.
    """

    selective = True

    def forward(
        self, memory: Memory, x: Array, values: Array, indices: Array, indptr: Array, b: Array
    ) -> tuple[Array, _Saved]:
        rows, features = math.prod(x.shape[:-1]), x.shape[-1]
        y = memory.empty((*x.shape[:-1], len(b)), np.result_type(x, values, b))
        _product(_transposed(values, indices, indptr, features), x.reshape(rows, features), y.reshape(rows, len(b)))
        y += b
        return y, (x, values, indices, indptr)

    def backward(
        self, memory: Memory, dy: Array, saved: _Saved, wanted: Sequence[bool] = (True, True, False, False, True)
    ) -> tuple[Array | None, ...]:
        x, values, indices, indptr = saved
        features, units = x.shape[-1], dy.shape[-1]
        rows = dy.reshape(math.prod(dy.shape[:-1]), units)
        dx = dv = db = None
        if wanted[0]:
            dx = memory.empty(x.shape, np.result_type(dy, values))
            _product(_transposed(values, indices, indptr, features).T, rows, dx.reshape(len(rows), features))
        if wanted[1]:
            dw = memory.empty((features, units), np.result_type(x, dy))
            np.matmul(x.reshape(len(rows), features).T, rows, out=dw)
            dv = memory.empty(values.shape, dw.dtype)
            dv[...] = dw[indices, np.repeat(np.arange(units), np.diff(indptr))]
        if wanted[4]:
            db = sum_axes(memory, rows, (0,))
        return dx, dv, None, None, db


def _transposed(values: Array, indices: Array, indptr: Array, features: int) -> Any:
    """Wᵀ as a matrix of SciPy, which would read anywhere in memory if an index were wrong."""
    from scipy.sparse import csr_array

    ends = indptr[0] == 0 and indptr[-1] == len(indices) == len(values) and (np.diff(indptr) >= 0).all()
    if not ends or (len(indices) and not (indices.min() >= 0 and indices.max() < features)):
        raise ShapeError(f"a sparse matrix of {len(values)} elements has indices outside of its {features} rows")
    return csr_array((values, indices, indptr), shape=(len(indptr) - 1, features))


def _product(transposed: Any, x: Array, out: Array) -> None:
    """X·W from Wᵀ, a block of rows after the other."""
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows] = (transposed @ x[rows].T).T
