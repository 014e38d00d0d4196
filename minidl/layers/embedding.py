"""Integers, such as the numbers of words, as vectors that are learned."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minidl import initializers, ops
from minidl.autodiff.tensor import Tensor, cast, perform
from minidl.checks import count
from minidl.errors import ArgumentError, warn_old_name
from minidl.layers.layer import Layer, OpenShape
from minidl.layers.variable import Variable
from minidl.memory import Array


class Embedding(Layer):
    """y = the row of E that the integer names: (batch, …) → (batch, …, output_dim), E of shape (input_dim, output_dim).

    The same as a product of E with one-hot vectors, without making them. The integers are 0 … input_dim − 1; whole
    floating-point numbers will do. `weights` is an array to start from. Masks are not supported: `mask_zero`, which
    would have later layers skip zeros, is an error instead of a silently different result. Variables: embeddings.
    """

    regularizable = ("embeddings",)

    embeddings: Variable

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        *,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        if "input_length" in kwargs:
            del kwargs["input_length"]
            warn_old_name("Embedding(input_length=…)", "no longer needed")
        super().__init__(**kwargs)
        self.input_dim = count(self, "input_dim", input_dim)
        self.output_dim = count(self, "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        if mask_zero:
            raise ArgumentError(
                "Embedding: masks are not supported, so that mask_zero must be False: later layers would see the zeros"
            )
        self.mask_zero = False
        if weights is not None:
            self.build_for((None,))
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    @classmethod
    def arguments(cls) -> dict[str, inspect.Parameter]:
        """The arguments of `__init__` but for the array to start from, which is data."""
        return {name: parameter for name, parameter in super().arguments().items() if name != "weights"}

    def build(self, input_shape: OpenShape) -> None:
        """Make E."""
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(
            shape, self.embeddings_initializer, name="embeddings", **self.rules("embeddings")
        )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """The rows."""
        perform(self._check, inputs)
        whole = inputs if inputs.dtype.kind in "iu" else cast(inputs, np.int64)
        return ops.take(self.embeddings, whole, axis=0)

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(batch, …) → (batch, …, output_dim)."""
        return (*input_shape, self.output_dim)

    def _check(self, numbers: Array) -> None:
        """An error unless all are whole and name a row."""
        x = numbers.real
        if x.size and not (x.min() >= 0 and x.max() < self.input_dim and np.array_equal(x, np.rint(x))):
            wanted = f"integers from 0 to {self.input_dim - 1}"
            raise ArgumentError(f"Embedding {self.name!r} expects {wanted}, got numbers from {x.min()} to {x.max()}")
