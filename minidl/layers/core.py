"""The layers that every network has: input, dense, an activation by itself, and any function as a layer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
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


class Identity(Layer):
    """y = x: a placeholder."""

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The same shape."""
        return input_shape


class Lambda(Layer):
    """y = function(x, **arguments), any function of tensors that is made of `minidl.ops` and operators.

    Where the function has an argument `training`, it is told. `output_shape`, the sizes without the batch or a function
    of the whole input shape, is believed; it is found by a trial if it is not given. Weights that the function uses are
    not the layer's: for these, write a layer of your own.

    A file holds no code, only the function's name, and `load_model(path, custom_objects={"name": function})` hands the
    function over again. (The name of a `lambda` is "<lambda>": one of its own is better.)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: None = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(function, str):
            handed_over = f"custom_objects={{{function!r}: …}}"
            raise ArgumentError(f"Lambda: a file has no code, only a name: hand the function over by {handed_over}")
        if not callable(function):
            raise ArgumentError(f"Lambda: expected a function, got {function!r}")
        if mask is not None:
            raise ArgumentError("Lambda: masks are not supported: leave out mask")
        self.function = function
        self.announced_shape = list(output_shape) if isinstance(output_shape, tuple) else output_shape
        self.mask = None
        self.keywords = dict(arguments or {})

    def call(self, inputs: Any, training: bool = False) -> Any:
        """What the function gives."""
        told = {"training": training} if _has_training(self.function) else {}
        return self.function(inputs, **self.keywords, **told)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape that was given, or else the one of a trial on zeros."""
        if self.announced_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self.announced_shape):
            return self.announced_shape(input_shape)
        return (input_shape[0], *_sizes(self.announced_shape))

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`; of functions their names."""
        return {name: self.shown(name) for name in self.arguments()}

    def shown(self, name: str) -> Any:
        """What `repr` shows of an argument; two are kept under other names, which mean something else in a layer."""
        kept = {"output_shape": "announced_shape", "arguments": "keywords"}
        value = super().shown(kept.get(name, name))
        return activations.serialize(value) if name == "function" and hasattr(value, "__name__") else value

    def is_default(self, name: str, value: Any, default: Any) -> bool:
        """Whether an argument has its default."""
        if name in ("output_shape", "arguments"):
            return not value
        return name != "function" and super().is_default(name, value, default)


def _has_training(function: Callable[..., Any]) -> bool:
    """Whether a function has an argument of that name; `**kwargs` may be meant for others."""
    try:
        return "training" in inspect.signature(function).parameters
    except ValueError:  # what is not written in Python may have no signature
        return False
