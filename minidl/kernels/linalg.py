"""Products of matrices, and sums of products in Einstein's notation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minidl.kernels.kernel import Kernel, unbroadcast
from minidl.memory import Array, Memory


def _transpose(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


@dataclass(frozen=True)
class MatMul(Kernel):
    """Y = A·B for (…, m, k) and (…, k, n);  dA = dY·Bᵀ,  dB = Aᵀ·dY.

    Leading axes broadcast. A vector on the left stands for one row, on the right for one column.
    """

    def forward(self, memory: Memory, a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        y = memory.empty(batch + rows + columns, np.result_type(a, b))
        return np.matmul(a, b, out=y), (a, b)

    def backward(self, memory: Memory, dy: Array, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = saved
        if b.ndim == 1:
            dy = dy[..., None]
        if a.ndim == 1:
            dy = dy[..., None, :]
        a_matrix = a if a.ndim > 1 else a[None, :]
        b_matrix = b if b.ndim > 1 else b[:, None]
        da = self._product(memory, dy, _transpose(b_matrix))
        if b.ndim == 2 and a.ndim > 2:
            # One large product sums over the leading axes by itself.
            rows = math.prod(a.shape[:-1])
            db = self._product(memory, a.reshape(rows, a.shape[-1]).T, dy.reshape(rows, dy.shape[-1]))
        else:
            db = self._product(memory, _transpose(a_matrix), dy)
        da = unbroadcast(memory, da, a_matrix.shape)
        db = unbroadcast(memory, db, b_matrix.shape)
        return da.reshape(a.shape), db.reshape(b.shape)

    def _product(self, memory: Memory, a: Array, b: Array) -> Array:
        return self.forward(memory, a, b)[0]


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
