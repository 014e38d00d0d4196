"""The layers that every network has: input, dense, and an activation by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl import activations, initializers, ops
from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, ShapeError, warn_old_name
from minidl.layers.activations import as_activation, build_activation
from minidl.layers.layer import Layer, OpenShape, SameShape
from minidl.layers.symbolic import KerasTensor, Node
from minidl.layers.variable import Variable


class InputLayer(Layer):
    """Says which shape a network expects; passes its input on.

    `shape` has the sizes without the batch, None for one that is open; `batch_shape` with it.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_shape: Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs:
            warn_old_name("InputLayer(input_shape=…)", "InputLayer(shape=…)")
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            warn_old_name("InputLayer(batch_input_shape=…)", "InputLayer(batch_shape=…)")
            batch_shape = kwargs.pop("batch_input_shape")
        super().__init__(**kwargs)
        if (shape is None) == (batch_shape is None):
            raise ArgumentError("Input: expected either shape (without the batch) or batch_shape (with it)")
        full = (batch_size, *_sizes(shape)) if batch_shape is None else tuple(batch_shape)  # type: ignore[arg-type]
        if any(n is not None and (not isinstance(n, (int, np.integer)) or n < 0) for n in full):
            raise ArgumentError(f"Input: expected sizes ≥ 0, or None for an open one, got {full}")
        self.batch_shape = self.batch_input_shape = full
        self.built = True
        self.inbound_nodes.append(Node(self, (), {}, KerasTensor(full, self.dtype, self.name)))

    def call(self, inputs: Tensor) -> Tensor:
        """The input itself, if its shape fits."""
        same_rank = len(self.batch_shape) == inputs.ndim
        if not same_rank or any(n not in (None, m) for n, m in zip(self.batch_shape, inputs.shape, strict=True)):
            raise ShapeError(f"{self.name!r} expects inputs of shape {self.batch_shape}, got {inputs.shape}")
        return inputs

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The shape, with the batch."""
        return {"batch_shape": list(self.batch_shape), "dtype": self.dtype, "name": self.name}


def _sizes(shape: Sequence[int | None] | int) -> tuple[int | None, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
    batch_shape: Sequence[int | None] | None = None,
) -> KerasTensor:
    """A symbolic tensor of this shape, the batch left out: where a model begins.

    It is the first entry of a `Sequential([Input((28, 28)), Flatten(), …])`, or what the first layers of a
    `Model(inputs, outputs)` are called on.
    """
    tensor: KerasTensor = InputLayer(shape, batch_size, batch_shape, dtype=dtype, name=name).output
    return tensor


class Dense(Layer):
    """y = activation(x·W + b): every output sees every input feature.

    (…, features) → (…, units), W of shape (features, units), b of shape (units,). `activation` is a string, a function
    or a layer.
    """

    regularizable = ("kernel", "bias")

    kernel: Variable
    bias: Variable | None

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)) or units < 1:
            raise ArgumentError(f"Dense: expected units to be an integer ≥ 1, got {units!r}")
        self.units = int(units)
        self.activation = as_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape: OpenShape) -> None:
        """Make W and b."""
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(f"Dense {self.name!r} needs inputs (batch, …, features), got {input_shape}")
        kernel_shape, bias_shape = (input_shape[-1], self.units), (self.units,)
        self.kernel = self.add_weight(kernel_shape, self.kernel_initializer, name="kernel", **self.rules("kernel"))
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(bias_shape, self.bias_initializer, name="bias", **self.rules("bias"))
        build_activation(self, self.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """activation(x·W + b)."""
        self._check(inputs.shape)
        if self.bias is None:
            outputs = ops.matmul(inputs, self.kernel)
        else:
            outputs = ops.affine(inputs, self.kernel, self.bias)
        return outputs if self.activation is activations.linear else self.activation(outputs)

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """(…, features) → (…, units)."""
        if self.built:
            self._check(input_shape)
        return (*input_shape[:-1], self.units)

    def _check(self, shape: OpenShape) -> None:
        features = self.kernel.shape[0]
        if len(shape) < 2 or shape[-1] != features:
            fits_flat = None not in shape[1:] and math.prod(n or 0 for n in shape[1:]) == features
            hint = "add Flatten() before it" if fits_flat else f"expected (batch, …, {features})"
            raise ShapeError(f"Dense {self.name!r} was built for {features} features but got {shape}: {hint}")


class Activation(SameShape):
    """y = activation(x), the activation a string, a function or a layer."""

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = as_activation(activation)

    def build(self, input_shape: OpenShape) -> None:
        """Make the weights of the activation, if it is a layer."""
        build_activation(self, input_shape)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """activation(x)."""
        result: Tensor = self.activation(inputs)
        return result
