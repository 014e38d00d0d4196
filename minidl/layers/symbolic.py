"""Symbolic tensors: what stands for data while a model is being drawn.

`Input((784,))` is a tensor of which the shape and the dtype are known, but no values. A layer that is called on it
computes nothing: it makes its weights, notes the call in a `Node`, and gives the next symbolic tensor. A model is what
lies between such tensors: `Model(inputs, outputs)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from minidl.autodiff.graph import no_grad
from minidl.autodiff.tensor import Tensor
from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import ArgumentError, ShapeError, SymbolicError
from minidl.layers.naming import unique_name

# A shape whose batch size, or another size, may be open.
OpenShape = tuple[int | None, ...]

# The sizes that a trial puts where a shape is open: neither is 1, which would broadcast or be squeezed away.
_TRIAL_SIZES = (2, 3)


class KerasTensor:
    """A tensor without values: what a layer will give once the model that it is part of is called.

    Layers take it, and so do operators, the functions of `minidl.ops`, and the activations: each of them becomes a
    layer of the model. A size that is open, as that of the batch is, is None. `==` compares identity; use `ops.equal`.
    """

    # `array + tensor` asks the tensor.
    __array_ufunc__ = None

    def __init__(self, shape: OpenShape, dtype: npt.DTypeLike = "float32", name: str | None = None) -> None:
        self.shape: OpenShape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.name = unique_name("keras_tensor") if name is None else name
        # Where the tensor comes from: the call of a layer, and which of its results it is.
        self.node: Node | None = None
        self.position = 0

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def T(self) -> Any:
        """The tensor with its axes reversed."""
        return self.record("transpose", self)

    def record(self, function: str, /, *args: Any, **kwargs: Any) -> Any:
        """The symbolic result of a function of `minidl.ops`, of which this tensor is an argument."""
        from minidl.layers.operation import Operation  # a layer, and layers know symbolic tensors

        floats = [x.dtype.name for x in leaves((args, kwargs)) if isinstance(x, KerasTensor) and x.dtype.kind == "f"]
        return Operation(function, dtype=floats[0] if floats else None)(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    # What needs values.

    def _no_values(self, *_: Any, **__: Any) -> NoReturn:
        raise SymbolicError(
            f"{self!r} has no values until its model is called: compute with it by layers, functions of minidl.ops, or "
            "operators with it on the left",
            self,
        )

    __array__ = __bool__ = __float__ = __int__ = __index__ = __iter__ = __len__ = _no_values

    # What becomes a layer.

    def __getitem__(self, index: Any) -> Any:
        return self.record("get_item", self, index)

    def __add__(self, other: Any) -> Any:
        return self.record("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.record("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self.record("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.record("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self.record("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.record("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.record("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.record("true_divide", other, self)

    def __pow__(self, other: Any) -> Any:
        return self.record("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.record("power", other, self)

    def __matmul__(self, other: Any) -> Any:
        return self.record("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self.record("matmul", other, self)

    def __neg__(self) -> Any:
        return self.record("negative", self)

    def __abs__(self) -> Any:
        return self.record("absolute", self)

    def __lt__(self, other: Any) -> Any:
        return self.record("less", self, other)

    def __le__(self, other: Any) -> Any:
        return self.record("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return self.record("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return self.record("greater_equal", self, other)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Σx over `axis`."""
        return self.record("sum", self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Σx / n over `axis`."""
        return self.record("mean", self, axis, keepdims)

    def reshape(self, *shape: Any) -> Any:
        """The same elements with another shape; one size may be −1."""
        return self.record("reshape", self, shape[0] if len(shape) == 1 else shape)

    def squeeze(self, axis: Any = None) -> Any:
        """The tensor without its axes of size 1, or without those in `axis`."""
        return self.record("squeeze", self, axis)

    def astype(self, dtype: npt.DTypeLike) -> Any:
        """The tensor with another dtype."""
        return self.record("cast", self, np.dtype(dtype).name)


class Node:
    """One call of a layer on symbolic tensors: what it was given, and the tensors it gave.

    A layer that is used several times has several nodes. Arguments that are no symbolic tensors are kept as they are.
    """

    def __init__(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        self.layer, self.args, self.kwargs, self.outputs = layer, args, kwargs, outputs
        self.inputs = [x for x in leaves((args, kwargs)) if isinstance(x, KerasTensor)]
        for position, tensor in enumerate(leaves(outputs)):
            tensor.node, tensor.position = self, position

    @property
    def index(self) -> int:
        """Which call of its layer this is."""
        index: int = self.layer.inbound_nodes.index(self)
        return index


def record(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a layer on symbolic tensors: nothing is computed, the call is noted, its symbolic results come back."""
    args, kwargs = map_leaves(_constant, args), map_leaves(_constant, kwargs)
    outputs = map_leaves(_anew, layer.compute_output_spec(*args, **kwargs))
    layer.inbound_nodes.append(Node(layer, args, kwargs, outputs))
    return outputs


def _constant(x: Any) -> Any:
    """A tensor among the arguments as an array; an error if training is to change it."""
    if isinstance(x, Tensor) and x.requires_grad:
        raise ArgumentError(
            f"{x!r} would be a constant of the model and not be trained: a layer of your own, with the variable as its "
            "attribute, can compute with it"
        )
    return x.data if isinstance(x, Tensor) else x


def _anew(x: Any) -> Any:
    """A tensor that comes from nowhere yet: a layer may give back what it was given."""
    return KerasTensor(x.shape, x.dtype) if x.node is not None else x


def trial(where: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The symbolic results of a function on symbolic tensors, found by two calls on zeros.

    What differs in size between the two calls is open.
    """

    def zeros(size: int) -> Callable[[Any], Any]:
        return lambda x: (
            np.zeros([size if n is None else n for n in x.shape], x.dtype) if isinstance(x, KerasTensor) else x
        )

    def compare(a: Any, b: Any) -> KerasTensor:
        if not isinstance(a, Tensor):
            raise ArgumentError(f"{where}: expected tensors as results, got a {type(a).__name__}")
        if a.ndim != b.ndim:
            raise ShapeError(f"{where}: the number of axes depends on the size of the batch: {a.shape} and {b.shape}")
        return KerasTensor(tuple(n if n == m else None for n, m in zip(a.shape, b.shape, strict=True)), a.dtype)

    # The values do not matter, nor does it that 1/0 is infinite.
    with no_grad(), np.errstate(all="ignore"):
        a, b = (function(*map_leaves(zeros(n), args), **map_leaves(zeros(n), kwargs)) for n in _TRIAL_SIZES)
    return map_leaves(compare, a, b)


def map_shapes(function: Callable[[OpenShape], Any], shapes: Any) -> Any:
    """`function` of each shape in nested lists, tuples and dictionaries of shapes."""
    if isinstance(shapes, dict):
        return {key: map_shapes(function, shape) for key, shape in shapes.items()}
    if isinstance(shapes, (list, tuple)) and any(isinstance(n, (list, tuple, dict)) for n in shapes):
        return type(shapes)(map_shapes(function, shape) for shape in shapes)
    return None if shapes is None else function(tuple(shapes))


def with_open_batch(shapes: Any) -> Any:
    """The shapes with None for the size of the batch: what a layer is built for."""
    return map_shapes(lambda shape: (None, *shape[1:]) if shape else (), shapes)


def symbolic(shapes: Any, dtype: npt.DTypeLike) -> Any:
    """Symbolic tensors of these shapes, which come from nowhere."""
    return map_shapes(lambda shape: KerasTensor(shape, dtype), shapes)
