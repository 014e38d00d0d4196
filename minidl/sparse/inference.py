"""Dense layers whose zeros are left out: neither stored nor multiplied."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import activations, initializers, kernels, ops
from minidl.autodiff.tensor import Tensor, apply
from minidl.checks import count, flag
from minidl.errors import ArgumentError, NotBuiltError, ShapeError
from minidl.layers.activations import as_activation, build_activation
from minidl.layers.core import Dense
from minidl.layers.layer import Layer, OpenShape
from minidl.layers.variable import Variable
from minidl.models import Functional, Model, Sequential, files
from minidl.models.reusing import copy_of, own_objects, rebuilt


class SparseDense(Layer):
    """y = activation(x·W + b), W a sparse matrix with `nonzeros` elements other than zero; `to_sparse` makes it.

    (…, features) → (…, units). Variables: values (nonzeros,) and their rows, indices; indptr (units + 1,), where each
    column of W begins among them (the CSC format of SciPy); bias (units,). Training changes values and bias: what is
    zero stays zero. In a file it takes the room of what is stored; `load_model` needs
    `custom_objects={"SparseDense": SparseDense}`.
    """

    values: Variable
    indices: Variable
    indptr: Variable
    bias: Variable | None

    def __init__(self, units: int, nonzeros: int, activation: Any = None, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = count(self, "units", units)
        self.nonzeros = count(self, "nonzeros", nonzeros, 0)
        self.activation = as_activation(activation)
        self.use_bias = flag(self, "use_bias", use_bias)

    def build(self, input_shape: OpenShape) -> None:
        """Make room for the matrix, and the bias."""
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(f"SparseDense {self.name!r} needs inputs (batch, …, features), got {input_shape}")
        zeros, self._features = initializers.Zeros(), input_shape[-1]
        self.values = self.add_weight((self.nonzeros,), zeros, name="values")
        self.indices = self.add_weight((self.nonzeros,), zeros, "int32", trainable=False, name="indices")
        self.indptr = self.add_weight((self.units + 1,), zeros, "int32", trainable=False, name="indptr")
        self.bias = self.add_weight((self.units,), zeros, name="bias") if self.use_bias else None
        build_activation(self, self.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """activation(x·W + b)."""
        self.compute_output_shape(inputs.shape)
        bias = ops.zeros(self.units, self.dtype) if self.bias is None else self.bias
        outputs = apply(kernels.SparseAffine(), inputs, self.values, self.indices, self.indptr, bias)
        return outputs if self.activation is activations.linear else self.activation(outputs)

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(…, features) → (…, units)."""
        if len(input_shape) < 2 or input_shape[-1] != self._features:
            raise ShapeError(f"{self.name!r} was built for {self._features} features but got {input_shape}")
        return (*input_shape[:-1], self.units)


def to_sparse(model: Model, min_sparsity: float = 0.5) -> Any:
    """A new model with the same predictions, up to rounding, whose Dense layers leave out the zeros of their kernels.

    Those of which less than `min_sparsity` is zero stay Dense: a product with a sparse matrix takes several times as
    long for each element that it has. The model is Sequential or functional, with such models inside; it stays as it
    is. The new one is for inference: it is not compiled, and its sparse layers have no regularizers and constraints.
    `ArgumentError` if no layer is sparse enough: `prune` it first.
    """
    if not isinstance(model, (Sequential, Functional)):
        raise ArgumentError(f"to_sparse: expected a Sequential or functional model, got a {type(model).__name__}")
    if not model.built:
        raise NotBuiltError(f"to_sparse: {model.name!r} has no weights yet: build it or call it on data first")
    made: dict[Layer, Any] = {}

    def make(layer: Layer) -> Layer:
        sparse = type(layer) is Dense and np.count_nonzero(layer.kernel.data) <= (1 - min_sparsity) * layer.kernel.size
        return _sparse_dense(layer) if sparse else copy_of(layer)  # type: ignore[arg-type, no-any-return]

    new = rebuilt(model, make, made=made)
    if not any(isinstance(layer, SparseDense) for layer in made.values()):
        raise ArgumentError(f"to_sparse: {model.name!r} has no Dense layer with {min_sparsity:.0%} of zeros: prune it")
    for old, layer in made.items():
        if isinstance(layer, SparseDense):
            layer.set_weights(_sparse_weights(old))
        elif not isinstance(layer, Model):
            layer.set_weights(old.get_weights())
    return new


def _sparse_dense(dense: Dense) -> Any:
    """A SparseDense for the kernel of a Dense layer, without weights yet."""
    config = {name: value for name, value in dense.get_config().items() if name in SparseDense.arguments()}
    config["nonzeros"] = int(np.count_nonzero(dense.kernel.data))
    described = {"class_name": "SparseDense", "config": config}
    return files.layer_from_config(described, {**own_objects(dense), "SparseDense": SparseDense})


def _sparse_weights(dense: Any) -> list[Any]:
    """The weights of a Dense layer as those of a SparseDense, in their order."""
    kernel = dense.kernel.data
    columns, rows = np.nonzero(kernel.T)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=dense.units))])
    _, *others = dense.get_weights()
    bias, rest = (others[:1], others[1:]) if dense.use_bias else ([], others)
    return [kernel[rows, columns], *bias, rows.astype(np.int32), indptr.astype(np.int32), *rest]
