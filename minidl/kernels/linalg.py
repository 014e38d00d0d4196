"""Products of matrices, and sums of products in Einstein's notation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.kernels.kernel import Kernel, sum_rows, unbroadcast
from minidl.memory import Array, Memory
from minidl.threads import matmul


def _transpose(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


class MatMul(Kernel):
    """Y = A·B for (…, m, k) and (…, k, n);  dA = dY·Bᵀ,  dB = Aᵀ·dY.

    Leading axes broadcast. A vector on the left stands for one row, on the right for one column.
    """

    selective = True

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        y = memory.empty(batch + rows + columns, np.result_type(a, b))
        return matmul(a, b, out=y), (a, b)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array], wanted: Sequence[bool] = (True, True)
    ) -> tuple[Array | None, Array | None]:
        a, b = saved
        if b.ndim == 1:
            dy = dy[..., None]
        if a.ndim == 1:
            dy = dy[..., None, :]
        a_matrix = a if a.ndim > 1 else a[None, :]
        b_matrix = b if b.ndim > 1 else b[:, None]
        da = db = None
        if wanted[0]:
            da = self._product(memory, dy, _transpose(b_matrix))
            da = unbroadcast(memory, da, a_matrix.shape).reshape(a.shape)
        if wanted[1]:
            if b.ndim == 2 and a.ndim > 2:
                # One large product sums over the leading axes by itself.
                rows = math.prod(a.shape[:-1])
                db = self._product(memory, a.reshape(rows, a.shape[-1]).T, dy.reshape(rows, dy.shape[-1]))
            else:
                db = self._product(memory, _transpose(a_matrix), dy)
            db = unbroadcast(memory, db, b_matrix.shape).reshape(b.shape)
        return da, db

    def _product(self, memory: Memory, a: Array, b: Array) -> Array:
        return self.forward(memory, a, b)[0]


class Affine(Kernel):
    """Y = X·W + b for (…, k), (k, n) and (n,);  dX = dY·Wᵀ,  dW = Xᵀ·dY,  db = Σ dY over all rows.

    A matrix product and an addition in one, which spares the memory between them.
    """

    selective = True

    def forward(self, memory: Memory, x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        y = memory.empty((*x.shape[:-1], w.shape[1]), np.result_type(x, w, b))
        rows = math.prod(x.shape[:-1])
        matmul(x.reshape(rows, w.shape[0]), w, out=y.reshape(rows, w.shape[1]))
        y += b
        return y, (x, w)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array], wanted: Sequence[bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        x, w = saved
        dx = dw = db = None
        rows = dy.reshape(math.prod(x.shape[:-1]), w.shape[1])
        if wanted[0]:
            dx = memory.empty(x.shape, np.result_type(dy, w))
            matmul(rows, w.T, out=dx.reshape(len(rows), w.shape[0]))
        if wanted[1]:
            dw = matmul(x.reshape(len(rows), w.shape[0]).T, rows, memory.empty(w.shape, np.result_type(x, dy)))
        if wanted[2]:
            db = sum_rows(memory, rows)
        return dx, dw, db

    def reference(self, ops: Any, x: Any, w: Any, b: Any) -> Any:
        """The composition that the fused kernel replaces."""
        return ops.matmul(x, w) + b


@dataclass(frozen=True)
class Einsum(Kernel):
    """Y = einsum(subscripts, A, B, …);  dA = einsum of dY and the other operands, back to the letters of A.

    A letter that A alone has was summed, so its gradient is copied along it; a letter that A repeats reads a
    diagonal, so its gradient is written on that diagonal. `subscripts` name every axis (no ellipsis) and the output.
    """

    subscripts: str

    def forward(self, memory: Memory, *operands: Array) -> tuple[Array, tuple[Array, ...]]:
        return np.asarray(np.einsum(self.subscripts, *operands, optimize=len(operands) > 2)), operands

    def backward(self, memory: Memory, dy: Array, operands: tuple[Array, ...]) -> tuple[Array, ...]:
        inputs, output = self.subscripts.split("->")
        names = inputs.split(",")
        gradients = []
        for k, (letters, operand) in enumerate(zip(names, operands, strict=True)):
            others = [output, *names[:k], *names[k + 1 :]]
            reachable = "".join(c for c in dict.fromkeys(letters) if any(c in other for other in others))
            terms = f"{','.join(others)}->{reachable}"
            slope = np.einsum(terms, dy, *operands[:k], *operands[k + 1 :], optimize=len(operands) > 2)
            gradients.append(self._spread(memory, slope, reachable, letters, operand))
        return tuple(gradients)

    def _spread(self, memory: Memory, slope: Array, reachable: str, letters: str, operand: Array) -> Array:
        """The gradient on all letters of the operand: copied along the missing, on the diagonal of the repeated."""
        gradient = memory.empty(operand.shape, slope.dtype)
        gradient.fill(0)
        unique = "".join(dict.fromkeys(letters))
        missing = tuple(k for k, c in enumerate(unique) if c not in reachable)
        diagonal = gradient if letters == unique else np.einsum(f"{letters}->{unique}", gradient)
        diagonal[...] = np.expand_dims(slope, missing)
        return gradient
