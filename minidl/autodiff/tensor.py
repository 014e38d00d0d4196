"""`Tensor`: a NumPy array that remembers how it was computed."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl import config, kernels
from minidl.autodiff.graph import HEAP, Node, Output, SecondDerivative, active_trace, backpropagate, is_recording
from minidl.autodiff.tree import leaves
from minidl.errors import DTypeError, GraphError, NotDifferentiableError, ShapeError
from minidl.kernels import Kernel
from minidl.memory import Array, Shape

# What every operation takes for a tensor.
TensorLike = Any


class Tensor:
    """A NumPy array that remembers how it was computed, so that it can be differentiated.

    `Tensor(data)` keeps the dtype of a NumPy array and turns Python floats into `minidl.config.floatx()`. A tensor with
    `requires_grad=True` is tracked: `loss.backward()` adds the gradient of the loss to its `.grad`. `ndarray + tensor`
    is a tensor; `np.asarray(tensor)`, and NumPy's functions other than element-wise ones, see the plain array.
    """

    __slots__ = ("__weakref__", "data", "grad", "output", "version")
    __hash__ = object.__hash__
    # Whether it can be given another value, which what was computed from it must notice.
    assignable = False

    def __init__(self, data: TensorLike, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> None:
        self.data = as_array(data, dtype)
        self.grad: Tensor | None = None
        self.version = 0
        self.output: Output | None = None
        if requires_grad:
            self.track()

    def track(self) -> Output:
        """Make the tensor a leaf that gradients can be asked for, if it is not the result of a recorded operation."""
        if self.dtype.kind not in "fc":
            raise DTypeError(f"only floating-point tensors have gradients, this one has dtype {self.dtype}")
        if self.output is None:
            self.output = (Leaf(self), 0)
        return self.output

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        return self.output is not None

    @property
    def shape(self) -> Shape:
        """The sizes of the axes."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return apply(kernels.Transpose(), self)

    def numpy(self) -> Array:
        """The plain array (not a copy)."""
        trace = active_trace() if self.assignable else None
        if trace is not None:
            # What Python makes of a value that may change cannot be replayed.
            trace.observed = True
        return self.data

    def item(self) -> Any:
        """The single element as a Python number."""
        return self.numpy().item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.numpy().tolist()

    def detach(self) -> Tensor:
        """The same array as a constant."""
        return untracked(self)

    def backward(self, gradient: TensorLike = None) -> None:
        """Add the gradient of this tensor to `.grad` of every tracked leaf it depends on.

        `gradient` is that of some later scalar with respect to this tensor; 1 for a scalar. Errors: the tensor is not
        a scalar and no gradient is given, or it depends on nothing that is tracked.
        """
        output = differentiable(self, "backward")
        if output is None:
            raise GraphError(
                "backward: nothing this tensor was computed from is tracked: make an input with requires_grad=True, "
                "use a trainable variable, or leave no_grad"
            )
        for (node, _), dx in backpropagate([(output, seed(self, gradient, "backward"))]).items():
            leaf = node.tensor() if isinstance(node, Leaf) else None
            if leaf is not None:
                leaf.grad = Tensor(dx) if leaf.grad is None else Tensor(leaf.grad.data + dx)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        operation = _UFUNCS.get(ufunc)
        if operation is not None and method == "__call__" and not kwargs:
            return operation(*inputs)
        return getattr(ufunc, method)(*(plain(x) for x in inputs), **{k: plain(v) for k, v in kwargs.items()})

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return func(*plain(args), **plain(kwargs))

    def __repr__(self) -> str:
        tracked = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self.data, separator=', ', prefix='Tensor(')}, dtype={self.dtype}{tracked})"

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec and self.size == 1 else self.numpy(), spec)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise ShapeError("a tensor without axes cannot be iterated over")
        return (self[k] for k in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self.numpy().__index__()

    def __getitem__(self, index: Any) -> Tensor:
        return apply(kernels.GetItem(plain(index)), self)

    def __add__(self, other: TensorLike) -> Tensor:
        return add(self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return add(other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return subtract(self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return subtract(other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return multiply(self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return multiply(other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return divide(self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return divide(other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return power(self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return power(other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return matmul(other, self)

    def __neg__(self) -> Tensor:
        return apply(kernels.Negative(), self)

    def __abs__(self) -> Tensor:
        return apply(kernels.Absolute(), self)

    def __eq__(self, other: object) -> Any:
        return compare("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return compare("not_equal", self, other)

    def __lt__(self, other: TensorLike) -> Tensor:
        return compare("less", self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return compare("less_equal", self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return compare("greater", self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return compare("greater_equal", self, other)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Σx over `axis`."""
        return apply(kernels.Sum(check_axis(axis, self.ndim), keepdims), self)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Σx / n over `axis`."""
        return apply(kernels.Mean(check_axis(axis, self.ndim), keepdims), floating(self))

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements with another shape; one size may be −1."""
        return reshape(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def astype(self, dtype: npt.DTypeLike) -> Tensor:
        """The tensor with another dtype."""
        return cast(self, dtype)


class Leaf(Node):
    """A tensor that gradients are asked for. It refers to its tensor weakly, so that both are freed at once."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        super().__init__()
        self.tensor = weakref.ref(tensor)


def as_array(data: TensorLike, dtype: npt.DTypeLike | None = None) -> Array:
    """The array of a tensor, array, number or nested list; Python floats become `floatx`, not float64."""
    if isinstance(data, Tensor):
        data = data.data
    array = np.asarray(data)
    if array.dtype.kind not in "fciub":
        raise DTypeError(f"expected numbers, got {type(data).__name__} of dtype {array.dtype}")
    if dtype is None and array.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic)):
        dtype = _dtype_of_list(data)
    return array if dtype is None or array.dtype == dtype else array.astype(dtype)


def _dtype_of_list(data: Any) -> npt.DTypeLike:
    """The dtype of nested Python numbers, arrays and tensors: `floatx`, unless an array inside is float64."""
    pending = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, (list, tuple)):
            pending.extend(item)
        elif getattr(item, "dtype", None) == np.float64:
            return np.float64
    return config.floatx()


def plain(value: Any) -> Any:
    """Tensors replaced by their arrays, also inside tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        return value.numpy()
    if type(value) in (tuple, list):
        return type(value)(plain(item) for item in value)
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    return value


def as_tensor(value: TensorLike, dtype: npt.DTypeLike | None = None) -> Tensor:
    """`value` itself if it is a tensor of the dtype, otherwise a new one.

    A list of tensors is stacked, so that a gradient finds its way back to each.
    """
    if isinstance(value, (list, tuple)) and any(isinstance(leaf, Tensor) and leaf.output for leaf in leaves(value)):
        value = apply(kernels.Stack(0), *promote(*(as_tensor(item) for item in value)))
    if isinstance(value, Tensor):
        return value if dtype is None or value.dtype == dtype else cast(value, dtype)
    return Tensor(value, dtype)


def constant(data: Array) -> Tensor:
    """A tensor around `data` as it is, without the checks of `Tensor(data)`."""
    tensor = object.__new__(Tensor)
    tensor.data, tensor.grad, tensor.version, tensor.output = data, None, 0, None
    return tensor


def untracked(tensor: Tensor) -> Tensor:
    """A tensor with the array of another, and without its history."""
    trace = active_trace()
    return constant(tensor.data) if trace is None else trace.tensor(trace.array(tensor))


def perform(function: Callable[..., Any], *values: Any, into: Sequence[Array] | None = None) -> None:
    """Call `function` with the plain arrays of tensors, nested ones too, for what it does: it returns nothing.

    This is how a step changes something that is no tensor: a moving average, a metric, the weights. A replayed step
    (`minidl.function`) calls the function again, with the arrays of that time. `into` says where the arrays had best be
    written from the start.
    """
    trace = active_trace()
    if trace is None:
        function(*plain(values))
    else:
        trace.perform(function, values, into)


def apply(kernel: Kernel, *inputs: Tensor) -> Tensor:
    """Run a kernel on tensors; the result is recorded if recording is on and an input is tracked."""
    trace = active_trace()
    if trace is None:
        y, saved = kernel.forward(HEAP, *[x.data for x in inputs])
        result = constant(y)
    else:
        y, saved = trace.forward(kernel, inputs)
        result = trace.tensor(y)
    node = _record(kernel, saved, inputs, None)
    if node is not None:
        result.output = (node, 0)
    return result


def apply_several(kernel: Kernel, *inputs: Tensor) -> tuple[Tensor, ...]:
    """`apply` for a kernel with several results."""
    trace = active_trace()
    if trace is None:
        ys, saved = kernel.forward(HEAP, *[x.data for x in inputs])
        results = tuple(constant(y) for y in ys)
    else:
        ys, saved = trace.forward(kernel, inputs)
        results = tuple(trace.tensor(y) for y in ys)
    node = _record(kernel, saved, inputs, ys)
    if node is not None:
        for slot, result in enumerate(results):
            result.output = (node, slot)
    return results


def _record(kernel: Kernel, saved: Any, inputs: tuple[Tensor, ...], ys: tuple[Array, ...] | None) -> Node | None:
    """The node of an operation on `inputs`, None if there is nothing to differentiate."""
    if not is_recording():
        return None
    parents = tuple(x.output if x.dtype.kind in "fc" else None for x in inputs)
    if not any(parents):
        return None
    # Only variables, a subclass, can be assigned to; forgetting the other inputs frees their memory.
    versions = tuple((x, x.version) for x in inputs if x.assignable)
    return Node(kernel, saved, parents, ys, versions)


def as_gradient(dx: Array, outputs: Sequence[Output | None]) -> Tensor:
    """A gradient as a tensor; differentiating it again for what it was computed from, `outputs`, is an error."""
    trace = active_trace()
    gradient = constant(dx) if trace is None else trace.tensor(dx)
    if is_recording() and any(outputs):
        gradient.output = (Node(SecondDerivative(), parents=tuple(outputs)), 0)
    return gradient


def seed(tensor: Tensor, gradient: TensorLike, where: str) -> Array:
    """The gradient to start with: the one given, of the tensor's shape, or 1 for a scalar."""
    if gradient is None:
        if tensor.size != 1:
            raise ShapeError(f"{where}: a tensor of shape {tensor.shape} is no scalar: give a gradient to start with")
        return np.ones(tensor.shape, tensor.dtype)
    array = np.asarray(plain(gradient))
    if array.shape != tensor.shape:
        raise ShapeError(f"{where}: expected a gradient of shape {tensor.shape}, got {array.shape}")
    keep_complex = array.dtype.kind == "c"
    return array.astype(np.result_type(tensor.dtype, array.dtype) if keep_complex else tensor.dtype, copy=False)


def differentiable(tensor: Tensor, where: str) -> Output | None:
    """Where the tensor came from, or an error that names the operation whose result has no derivative."""
    if tensor.dtype.kind not in "fc":
        kernel = tensor.output[0].kernel if tensor.output else None
        origin = f"the result of {getattr(kernel, 'name', type(kernel).__name__)}" if kernel else "a tensor"
        raise NotDifferentiableError(f"{where}: {origin} has dtype {tensor.dtype} and is not differentiable")
    return tensor.output


def floating(x: TensorLike) -> Tensor:
    """`x` as a floating-point tensor: integers become `floatx`."""
    tensor = as_tensor(x)
    return tensor if tensor.dtype.kind in "fc" else cast(tensor, config.floatx())


def cast(x: TensorLike, dtype: npt.DTypeLike) -> Tensor:
    """`x` with another dtype, `x` itself if it has it already."""
    tensor = as_tensor(x)
    return tensor if tensor.dtype == dtype else apply(kernels.Cast(np.dtype(dtype)), tensor)


def promote(*values: TensorLike) -> list[Tensor]:
    """The values as tensors of one dtype.

    Python numbers take the dtype of the others ("weak" scalars, as in NumPy 2). Of the rest the widest floating-point
    type wins; integers become that type, never float64 by themselves.
    """
    if len(values) == 2 and isinstance(values[0], Tensor) and isinstance(values[1], Tensor):
        a, b = values
        if a.dtype == b.dtype:
            return [a, b]
    weak = (int, float, complex)
    strong = [as_tensor(v) for v in values if type(v) not in weak]
    dtypes = [t.dtype for t in strong if t.dtype.kind in "fc"]
    if not dtypes and any(type(v) is float for v in values):
        dtypes = [np.dtype(config.floatx())]
    if not dtypes:
        dtypes = [t.dtype for t in strong] or [np.asarray(v).dtype for v in values]
    dtype = np.result_type(*dtypes)
    if dtype.kind == "b" and any(type(v) is int for v in values):
        dtype = np.result_type(dtype, int)
    if any(type(v) is complex for v in values):
        dtype = np.result_type(dtype, np.complex64)
    others = iter(strong)
    return [constant(np.asarray(v, dtype)) if type(v) in weak else cast(next(others), dtype) for v in values]


def check_axis(axis: Any, ndim: int) -> int | tuple[int, ...] | None:
    """`axis` with plain integers, or an error for one that does not exist or is named twice."""
    if axis is None:
        return None
    many = isinstance(axis, (tuple, list))
    axes = tuple(a.__index__() for a in (axis if many else (axis,)))
    if any(not -ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) < len(axes):
        raise ShapeError(f"expected axes from {-ndim} to {ndim - 1}, each once, got axis={axis} for {ndim} axes")
    return axes if many else axes[0]


def check_broadcast(name: str, *shapes: Shape) -> None:
    """An error that shows the shapes if they do not broadcast to one."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(str(shape) for shape in shapes)
        raise ShapeError(f"{name}: {listed} do not broadcast: sizes must be equal or 1, from the right") from None


def binary(kernel: Kernel, a: TensorLike, b: TensorLike) -> Tensor:
    """A kernel of two arrays that broadcast, on tensors promoted to one dtype."""
    a, b = promote(a, b)
    if a.shape != b.shape:
        check_broadcast(type(kernel).__name__.lower(), a.shape, b.shape)
    return apply(kernel, a, b)


def add(a: TensorLike, b: TensorLike) -> Tensor:
    """y = a + b."""
    return binary(kernels.Add(), a, b)


def subtract(a: TensorLike, b: TensorLike) -> Tensor:
    """y = a − b."""
    return binary(kernels.Subtract(), a, b)


def multiply(a: TensorLike, b: TensorLike) -> Tensor:
    """y = a·b."""
    return binary(kernels.Multiply(), a, b)


def divide(a: TensorLike, b: TensorLike) -> Tensor:
    """y = a / b; integers become `floatx` first."""
    a, b = promote(a, b)
    return binary(kernels.Divide(), floating(a), floating(b))


def power(x: TensorLike, exponent: TensorLike) -> Tensor:
    """y = xᵃ."""
    if type(exponent) is int and exponent == 2:
        return apply(kernels.Square(), as_tensor(x))
    if type(exponent) is int and exponent < 0:
        x = floating(x)
    return binary(kernels.Power(), x, exponent)


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """y = the larger of a and b; where they are equal each gets half of the gradient."""
    return binary(kernels.Maximum(), a, b)


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """y = the smaller of a and b; where they are equal each gets half of the gradient."""
    return binary(kernels.Minimum(), a, b)


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """Y = A·B over the last two axes; leading axes broadcast; a vector is a row on the left, a column on the right."""
    a, b = promote(a, b)
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        raise ShapeError(f"matmul: expected (…, m, k) and (…, k, n), got {a.shape} and {b.shape}")
    check_broadcast("matmul (leading axes)", a.shape[:-2], b.shape[:-2])
    return apply(kernels.MatMul(), a, b)


def compare(name: str, a: TensorLike, b: TensorLike) -> Tensor:
    """The truth value of a comparison for each pair of elements."""
    return binary(kernels.NonDifferentiable(name), a, b)


def reshape(x: TensorLike, shape: int | Sequence[int]) -> Tensor:
    """y = the elements of x with another shape; one size may be −1 and is then computed."""
    tensor = as_tensor(x)
    sizes = tuple(n.__index__() for n in ((shape,) if isinstance(shape, (int, np.integer)) else shape))
    known = math.prod(n for n in sizes if n != -1)
    computed = sizes.count(-1) == 1 and known > 0 and tensor.size % known == 0
    if any(n < -1 for n in sizes) or not (computed or (sizes.count(-1) == 0 and known == tensor.size)):
        raise ShapeError(f"reshape: {tensor.size} elements of shape {tensor.shape} do not fill the shape {sizes}")
    return apply(kernels.Reshape(sizes), tensor)


def _unary(kernel: Kernel) -> Callable[[TensorLike], Tensor]:
    """A kernel of one array as a function of a floating-point tensor."""

    def function(x: TensorLike) -> Tensor:
        return apply(kernel, floating(x))

    return function


# NumPy's element-wise functions on a tensor are operations on tensors: np.exp(t), ndarray + t.
_UFUNCS: dict[np.ufunc, Callable[..., Tensor]] = {
    np.add: add, np.subtract: subtract, np.multiply: multiply, np.divide: divide, np.power: power, np.matmul: matmul,
    np.maximum: maximum, np.minimum: minimum, np.negative: _unary(kernels.Negative()), np.exp: _unary(kernels.Exp()),
    np.log: _unary(kernels.Log()), np.sqrt: _unary(kernels.Sqrt()), np.square: _unary(kernels.Square()),
    np.absolute: _unary(kernels.Absolute()), np.tanh: _unary(kernels.Tanh()), np.sin: _unary(kernels.Sin()),
    np.cos: _unary(kernels.Cos()), np.expm1: _unary(kernels.Expm1()), np.log1p: _unary(kernels.Log1p()),
    **{getattr(np, name): (lambda a, b, name=name: compare(name, a, b))
       for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")},
}  # fmt: skip
