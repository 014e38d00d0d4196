"""Second derivatives of a whole model's loss: the Hessian matrix, by its products with vectors.

A model with n weights has a Hessian of n² numbers, 40 GB for 100,000 weights, so nobody writes it down. Its product
with a vector costs about two gradients, by the complex step through the backward pass (see `minidl.hvp`), and is enough
to find out how curved the loss is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.autodiff import Tensor, hvp
from minidl.autodiff.tensor import as_array
from minidl.checks import count, flag, number
from minidl.errors import ArgumentError, NotBuiltError, ShapeError
from minidl.layers import Variable
from minidl.layers.snapshot import Snapshot
from minidl.memory import Array, Shape
from minidl.training.step import loss_of


class Hessian:
    """H = ∂²L/∂w∂w of the loss L of a compiled model on data, for its trainable variables w, laid end to end.

    `H @ v` is the product with a vector (n,), or with the columns of (n, k); `H.product(vectors)` has one array for
    each variable. The object has what SciPy asks of an operator: `scipy.sparse.linalg.eigsh(aslinearoperator(H), k=3)`
    gives the three largest eigenvalues.

    With `training` the loss is that of a step: batch normalization uses, and differentiates, the statistics of the
    batch, and dropout drops the same units in every product. Without, it is that of `evaluate`. The weights may change
    between products: each is taken where they are. The model stays as it is to the last bit.
    """

    def __init__(self, model: Any, x: Any, y: Any = None, sample_weight: Any = None, training: bool = False) -> None:
        self._data = model._data("Hessian", "train_step", x, y, sample_weight)
        self._training = flag("Hessian", "training", training)
        self._model = model
        if not model.built:
            raise NotBuiltError(f"Hessian: {model.name!r} has no weights yet: build it or call it on data first")

    @property
    def shape(self) -> Shape:
        """(n, n), n the number of trainable weights."""
        n = sum(v.size for v in self._variables)
        return n, n

    @property
    def dtype(self) -> np.dtype[Any]:
        """The widest type among the weights."""
        return np.result_type(*(v.dtype for v in self._variables))

    @property
    def _variables(self) -> list[Variable]:
        """The trainable variables, as they are now."""
        variables: list[Variable] = self._model.trainable_variables
        if not variables:
            raise ArgumentError(f"Hessian: {self._model.name!r} has no trainable variables: set trainable = True")
        return variables

    def product(self, vectors: Sequence[Any]) -> list[Array]:
        """Hv for one array of its shape for each trainable variable, as such arrays."""
        model, variables = self._model, self._variables
        if len(vectors) != len(variables):
            raise ShapeError(f"Hessian: expected {len(variables)} arrays, one for each variable, got {len(vectors)}")
        for variable, vector in zip(variables, vectors, strict=True):
            if np.shape(vector) != variable.shape:
                raise ShapeError(f"Hessian: {variable.path!r} has shape {variable.shape}, got {np.shape(vector)}")

        def loss(*weights: Tensor) -> Tensor:
            data = self._data
            with model.values_replaced(weights, model.non_trainable_variables):
                y_pred = model(data.x, training=self._training)
                return loss_of(model, data.x, data.y, y_pred, data.sample_weight, training=self._training)

        with Snapshot(model, model.non_trainable_variables):
            products = hvp(loss, tuple(v.data for v in variables), tuple(as_array(v) for v in vectors))
        return [product.data for product in products]

    def matvec(self, vector: Any) -> Array:
        """Hv for a vector (n,), or a column (n, 1)."""
        flat = as_array(vector)
        if flat.size != self.shape[0] or flat.ndim > 2:
            raise ShapeError(f"Hessian: expected a vector of {self.shape[0]} numbers, got shape {flat.shape}")
        variables = self._variables
        pieces = np.split(flat.ravel(), np.cumsum([v.size for v in variables])[:-1])
        products = self.product([p.reshape(v.shape) for p, v in zip(pieces, variables, strict=True)])
        return np.concatenate([product.ravel() for product in products]).reshape(flat.shape)

    def __matmul__(self, vectors: Any) -> Array:
        array = as_array(vectors)
        if array.ndim == 2:
            return np.stack([self.matvec(column) for column in array.T], axis=1)
        return self.matvec(array)

    def top_eigenvalue(self, iterations: int = 100, tolerance: float = 1e-3, seed: int = 0) -> tuple[float, Array]:
        """The eigenvalue λ that is largest in modulus, and its vector (n,) of length 1, by power iteration.

        v ← Hv / ‖Hv‖, λ = vᵀHv, until ‖Hv − λv‖ ≤ tolerance·|λ|, which bounds the error of λ, or for so many
        `iterations`, each a product. Gradient descent with a learning rate above 2/λ moves away from a minimum.
        """
        iterations = count("top_eigenvalue", "iterations", iterations)
        tolerance = number("top_eigenvalue", "tolerance", tolerance, "> 0")
        v = np.random.default_rng(seed).standard_normal(self.shape[0]).astype(self.dtype)
        eigenvalue = 0.0
        for _ in range(iterations):
            v /= np.linalg.norm(v)
            hv = self.matvec(v)
            eigenvalue = float(v @ hv)
            if np.linalg.norm(hv - eigenvalue * v) <= tolerance * abs(eigenvalue):
                break
            v = hv
        return eigenvalue, v / np.linalg.norm(v)
