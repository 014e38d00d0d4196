"""`Layer`: a function with weights.

A layer is three methods: `__init__` takes the hyperparameters, each of which becomes an attribute of the same name;
`build(input_shape)` makes the weights once the input is known; `call(inputs)` computes. The rest follows from these and
is written here, once: configuration and `repr` from the signature of `__init__`, tracking of variables and layers from
the attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from minidl import activations, config, initializers
from minidl.autodiff.graph import no_grad
from minidl.autodiff.tensor import Tensor, TensorLike, as_tensor, cast
from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import ArgumentError, NotBuiltError, ShapeError
from minidl.layers.naming import snake_case, unique_name
from minidl.layers.variable import Variable
from minidl.memory import Array, Shape

# A shape whose batch size, or another size, may be open.
OpenShape = tuple[int | None, ...]

_training: ContextVar[bool] = ContextVar("training", default=False)
_scope: ContextVar[str] = ContextVar("scope", default="")


class Layer:
    """The base of all layers; subclass it and write `__init__`, `build` and `call`.

    `call(self, inputs, training=None)` may leave `training` out where it makes no difference. Calling the layer turns
    the inputs into tensors of the layer's dtype, builds it if need be, and runs `call`. `trainable = False` freezes the
    weights.

    The order of `variables`: the layer's own trainable ones, its own others, then those of the layers inside it, in the
    order in which they became attributes.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
    ) -> None:
        self._trainable_variables: list[Variable] = []
        self._non_trainable_variables: list[Variable] = []
        self._layers: list[Layer] = []
        self._trainable = bool(trainable)
        self.built = False
        self.name = unique_name(snake_case(type(self).__name__)) if name is None else str(name)
        self.dtype = config.floatx() if dtype is None else np.dtype(dtype).name
        # The shape given to a first layer, without the batch: Sequential builds itself from it.
        self.batch_input_shape: OpenShape | None = None
        if input_dim is not None:
            input_shape = (input_dim,)
        if input_shape is not None:
            sizes = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
            self.batch_input_shape = (None, *sizes)

    # What a subclass writes.

    def build(self, input_shape: OpenShape) -> None:
        """Make the weights for inputs of this shape (batch first)."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output: `call(self, inputs)` or `call(self, inputs, training=None)`."""
        raise ArgumentError(f"{type(self).__name__} has no `call` method: define call(self, inputs)")

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The shape of the output for inputs of this shape; found by a trial on zeros unless a subclass knows it."""
        trial = np.zeros([1 if n is None else n for n in input_shape], self.dtype)
        with no_grad():
            shape = self(trial, training=False).shape if self._takes_training() else self(trial).shape
        batch = input_shape[0] if input_shape else None
        return (batch, *shape[1:])

    # Calling.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The output for these inputs; `training=True` makes layers behave as they do while learning."""
        args = map_leaves(self._as_input, args)
        training = kwargs.pop("training", None)
        training = _training.get() if training is None else bool(training)
        if not self.built:
            self.build_for(leaves(args)[0].shape if leaves(args) else ())
        if self._takes_training():
            kwargs["training"] = training
        token = _training.set(training)
        try:
            return self.call(*args, **kwargs)
        finally:
            _training.reset(token)

    def build_for(self, input_shape: OpenShape) -> None:
        """Build once, with the names of the variables below that of this layer."""
        if not self.built:
            with self.naming_scope():
                self.build((None, *input_shape[1:]))
            self.built = True

    @contextmanager
    def naming_scope(self) -> Iterator[None]:
        """What is made inside the block gets a path below this layer's name."""
        token = _scope.set(f"{_scope.get()}{self.name}/")
        try:
            yield
        finally:
            _scope.reset(token)

    def _as_input(self, x: TensorLike) -> Any:
        """Numbers become tensors, floating-point ones of the layer's dtype; other arguments stay as they are."""
        if not isinstance(x, (Tensor, np.ndarray, np.generic, int, float)) or isinstance(x, bool):
            return x
        tensor = as_tensor(x)
        return cast(tensor, self.dtype) if tensor.dtype.kind == "f" else tensor

    def _takes_training(self) -> bool:
        parameters = inspect.signature(self.call).parameters.values()
        return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)

    # Weights.

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        dtype: npt.DTypeLike | None = None,
        trainable: bool = True,
        name: str = "variable",
    ) -> Variable:
        """A new variable of this layer; the initializer is a string, an object, or a function of shape and dtype."""
        make: Callable[..., Any] = initializers.get(initializer)
        variable = Variable(make, tuple(shape), dtype or self.dtype, trainable, name)
        variable.path = f"{_scope.get() or self.name + '/'}{name}"
        self._track(variable)
        return variable

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") or isinstance(value, (Variable, Layer)):
            for item in leaves(value) if isinstance(value, (list, tuple, dict)) else (value,):
                if isinstance(item, (Variable, Layer)):
                    self._track(item)
        object.__setattr__(self, name, value)

    def _track(self, item: Variable | Layer) -> None:
        """Remember a variable or a layer, once."""
        if isinstance(item, Layer):
            known: list[Any] = self._layers
        else:
            known = self._trainable_variables if item.trainable else self._non_trainable_variables
        tracked = (*self._layers, *self._trainable_variables, *self._non_trainable_variables)
        if not any(item is other for other in tracked):
            known.append(item)
            if not self._trainable:
                item.trainable = False

    def __delattr__(self, name: str) -> None:
        value = getattr(self, name)
        object.__delattr__(self, name)
        for known in (self._layers, self._trainable_variables, self._non_trainable_variables):
            known[:] = [item for item in known if item is not value]  # type: ignore[attr-defined]

    @property
    def variables(self) -> list[Variable]:
        """All variables, each once, in the order that the class documents."""
        found = {id(v): v for v in (*self._trainable_variables, *self._non_trainable_variables)}
        for layer in self._layers:
            found.update((id(v), v) for v in layer.variables if id(v) not in found)
        return list(found.values())

    @property
    def weights(self) -> list[Variable]:
        """The same as `variables`."""
        return self.variables

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training changes; none if the layer is frozen."""
        return [v for v in self.variables if v.trainable] if self._trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other variables: moving averages, and what is frozen."""
        return [v for v in self.variables if not v.trainable] if self._trainable else self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The same as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The same as `non_trainable_variables`."""
        return self.non_trainable_variables

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer; setting it also sets every layer inside. It may change at any time."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        object.__setattr__(self, "_trainable", bool(value))
        for item in (*self._trainable_variables, *self._layers):
            item.trainable = value

    def count_params(self) -> int:
        """The number of weights."""
        if not self.built:
            raise NotBuiltError(f"{self.name!r} has no weights yet: call it on data, or build it with an input shape")
        return sum(v.size for v in self.variables)

    def get_weights(self) -> list[Array]:
        """Copies of the values of all variables, in their order."""
        return [v.data.copy() for v in self.variables]

    def set_weights(self, weights: Sequence[TensorLike]) -> None:
        """Assign values to all variables, in their order; nothing changes unless every shape fits."""
        arrays = [np.asarray(w) for w in weights]
        if len(arrays) != len(self.variables):
            raise ShapeError(f"set_weights: {self.name!r} has {len(self.variables)} weights, got {len(arrays)} arrays")
        for variable, array in zip(self.variables, arrays, strict=True):
            if variable.shape != array.shape:
                raise ShapeError(f"set_weights: {variable.path!r} has shape {variable.shape}, got {array.shape}")
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array.astype(variable.dtype, copy=False))

    def stateless_call(
        self, trainable_variables: Sequence[TensorLike], non_trainable_variables: Sequence[TensorLike], *args: Any,
        **kwargs: Any,
    ) -> tuple[Any, list[Tensor]]:  # fmt: skip
        """The output with these values in place of the variables', and the non-trainable values after the call.

        The layer itself stays as it is. It turns a layer into a pure function, which `grad` and `hvp` can differentiate
        with respect to the weights.
        """
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        values = [*trainable_variables, *non_trainable_variables]
        if len(values) != len(variables):
            raise ShapeError(f"stateless_call: {self.name!r} has {len(variables)} variables, got {len(values)} values")
        before = [(v.data, v.output) for v in variables]
        try:
            for variable, value in zip(variables, values, strict=True):
                tensor = as_tensor(value)
                if tensor.shape != variable.shape:
                    raise ShapeError(f"stateless_call: {variable.path!r} has {variable.shape}, got {tensor.shape}")
                # A call may assign to what is not trainable, and must not write into the caller's array.
                variable.data = tensor.data if variable.trainable else tensor.data.copy()
                variable.output = tensor.output
            outputs = self(*args, **kwargs)
            return outputs, [Tensor(v.data) for v in self.non_trainable_variables]
        finally:
            for variable, (data, output) in zip(variables, before, strict=True):
                variable.data, variable.output = data, output

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__` as plain values, from which `from_config` makes an equal layer."""
        values = {name: getattr(self, name) for name in _arguments(type(self))}
        return {name: _plain_value(value) for name, value in values.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer, with new weights, from what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        settings = self.get_config()
        shown = {
            name: settings[name]
            for name, parameter in _arguments(type(self)).items()
            if name not in ("name", "trainable", "dtype") and settings[name] != _plain_value(parameter.default)
        }
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in (*shown.items(), ('name', self.name)))})"


def _arguments(kind: type[Layer]) -> dict[str, inspect.Parameter]:
    """The arguments of a layer's `__init__`, with those it hands on to its base classes by **kwargs, bases first."""
    arguments: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        if "__init__" not in base.__dict__ or base is object:
            continue
        parameters = list(inspect.signature(base.__dict__["__init__"]).parameters.values())[1:]
        own = {p.name: p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        arguments = {**own, **arguments}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return {name: p for name, p in arguments.items() if name not in ("input_shape", "input_dim")}


def _plain_value(value: Any) -> Any:
    """A hyperparameter as what a file can hold: numbers, strings, lists; objects by their configuration."""
    if isinstance(value, initializers.Initializer):
        return initializers.serialize(value)
    if isinstance(value, Layer):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if inspect.isfunction(value):
        return activations.serialize(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain_value(item) for item in value]
    return value


def layer_shape(shape: OpenShape) -> Shape:
    """The sizes after the batch, or an error if one is open."""
    if None in shape[1:]:
        raise ShapeError(f"expected every size but the batch to be known, got {shape}")
    return tuple(n for n in shape[1:] if n is not None)
