"""`Layer`: a function with weights.

A layer is three methods: `__init__` takes the hyperparameters, each of which becomes an attribute of the same name;
`build(input_shape)` makes the weights once the input is known; `call(inputs)` computes. The rest follows from these and
is written here, once: configuration and `repr` from the signature of `__init__`, tracking of variables and layers from
the attributes.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from minidl import activations, config, constraints, initializers, ops, regularizers
from minidl.autodiff.graph import active_trace, layer_path, new_generation, training_mode
from minidl.autodiff.recording import TracedTensor
from minidl.autodiff.tensor import Tensor, TensorLike, as_tensor, cast
from minidl.autodiff.tree import leaves, map_leaves
from minidl.configurable import MISSING, Configurable, snake_case
from minidl.errors import ArgumentError, DTypeError, NotBuiltError, ShapeError, unknown_name
from minidl.layers.naming import also_name_first, unique_name
from minidl.layers.symbolic import KerasTensor, Node, record, symbolic, trial, with_open_batch
from minidl.layers.symbolic import OpenShape as OpenShape
from minidl.layers.variable import Variable
from minidl.memory import Array, Shape
from minidl.scopes import during

# How many bytes of weights may still be made; None: any.
_allowance: ContextVar[int | None] = ContextVar("allowance", default=None)

# Whether a call is running: one inside it is not the outermost. And whether what calls add to the loss is kept.
_calling: ContextVar[bool] = ContextVar("calling", default=False)
_keeping_losses: ContextVar[bool] = ContextVar("keeping_losses", default=True)

# What a layer computes with.
_ARRAYS = (Tensor, np.ndarray, np.generic)

# The attributes in which a layer remembers what it found in its other attributes.
_TRACKED = ("_layers", "_trainable_variables", "_non_trainable_variables")


class Layer(Configurable):
    """The base of all layers; subclass it and write `__init__`, `build` and `call`.

    `call(self, inputs, training=None)` may leave `training` out where it makes no difference. Calling the layer turns
    the inputs into tensors of the layer's dtype, builds it if need be, and runs `call`. `trainable = False` freezes the
    weights.

    The order of `variables`: the layer's own trainable ones, its own others, then those of the layers inside it, in the
    order in which they became attributes.

    Every layer has an `activity_regularizer`, which makes its outputs cost something, divided by the size of the batch;
    and, for each of its `regularizable` weights, arguments such as `kernel_regularizer` and `kernel_constraint`: names,
    objects or functions, see `minidl.regularizers` and `minidl.constraints`.
    """

    # The weights that have arguments for a regularizer and a constraint; `rules` gives their values to `build`.
    regularizable: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        **others: Any,
    ) -> None:
        rules = {name: get(others.pop(name, None)) for name, get in self._rule_arguments().items()}
        if others:
            raise unknown_name(f"argument of {type(self).__name__}", next(iter(others)), self.arguments())
        self._trainable_variables: list[Variable] = []
        self._non_trainable_variables: list[Variable] = []
        self._layers: list[Layer] = []
        self._losses: list[Tensor] = []
        self._trainable = bool(trainable)
        self.built = False
        self.name = unique_name(snake_case(type(self).__name__)) if name is None else str(name)
        self.dtype = _dtype_name(dtype)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        for argument, rule in rules.items():
            setattr(self, argument, rule)
        # The shape given to a first layer, without the batch: Sequential builds itself from it.
        self.batch_input_shape: OpenShape | None = None
        # The shape, or nested shapes, that it was built for; and its calls on symbolic tensors.
        self.built_shape: Any = None
        self.inbound_nodes: list[Node] = []
        if input_dim is not None:
            input_shape = (input_dim,)
        if input_shape is not None:
            sizes = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
            self.batch_input_shape = (None, *sizes)

    # What a subclass writes.

    def build(self, input_shape: OpenShape) -> None:
        """Make the weights for inputs of this shape (batch first)."""
        # Lists may have grown since they became attributes.
        for value in list(vars(self).values()):
            self._track_leaves(value)
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output: `call(self, inputs)` or `call(self, inputs, training=None)`."""
        raise ArgumentError(f"{type(self).__name__} has no `call` method: define call(self, inputs)")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for inputs of this shape; found by trials on zeros unless a subclass knows it.

        Several inputs have nested shapes, and so have several outputs.
        """
        self.build_for(input_shape)
        return map_leaves(lambda output: output.shape, self._trial((symbolic(input_shape, self.dtype),), {}))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic outputs for symbolic inputs; the layer is built if need be, and nothing is computed.

        A layer that knows its output shape is asked for it. That is not enough for integers, which some layers turn
        into floating-point numbers, nor for symbolic tensors in several arguments: there, zeros are tried.
        """
        shape = _shape_of_inputs(args, kwargs)
        self.build_for(shape)
        alone = not _is_symbolic((args[1:], kwargs))
        floats = all(isinstance(x, KerasTensor) and x.dtype.kind == "f" for x in leaves(args[:1]))
        if type(self).compute_output_shape is Layer.compute_output_shape or not (alone and floats):
            return self._trial(args, kwargs)
        return symbolic(self.compute_output_shape(shape), self.dtype)

    def _trial(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with without_losses():
            return trial(f"{self.name!r}", self, args, {**kwargs, "training": False})

    @property
    def input(self) -> Any:
        """The symbolic tensors of the first call: one, or nested as they were."""
        node = self._first_node("input")
        given = [value for value in (*node.args, *node.kwargs.values()) if _is_symbolic(value)]
        return given[0] if given else node.outputs

    @property
    def output(self) -> Any:
        """The symbolic results of the first call."""
        return self._first_node("output").outputs

    def _first_node(self, what: str) -> Node:
        if not self.inbound_nodes:
            raise NotBuiltError(f"{self.name!r} has no {what}: it was never called on a symbolic tensor")
        return self.inbound_nodes[0]

    # Calling.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The output for these inputs; `training=True` makes layers behave as they do while learning.

        Symbolic tensors, as `Input` gives them, are an answer as well: then the call becomes a part of a model.
        """
        inputs = leaves((args, kwargs))
        if any(isinstance(x, KerasTensor) for x in inputs):
            return record(self, args, kwargs)
        if inputs and not any(isinstance(x, _ARRAYS) for x in inputs):
            kind = type(inputs[0]).__name__
            raise ArgumentError(f"{self.name!r}: expected arrays or tensors as inputs, got {kind}: use np.array(…)")
        training = kwargs.pop("training", None)
        training = training_mode.get() if training is None else bool(training)
        args = map_leaves(self._as_input, args)
        kwargs = map_leaves(self._as_input, kwargs)
        if not self.built:
            self.build_for(_shape_of_inputs(args, kwargs))
        if takes_training(getattr(self.call, "__func__", self.call)):
            kwargs["training"] = training
        if not _calling.get():
            self.forget_losses()
        mode, calling = training_mode.set(training), _calling.set(True)
        try:
            with self.naming_scope():
                outputs = self.call(*args, **kwargs)
                if self.activity_regularizer is not None:
                    self._add_activity(self.activity_regularizer, outputs)
                return outputs
        finally:
            training_mode.reset(mode)
            _calling.reset(calling)

    def build_for(self, input_shape: Any) -> None:
        """Build once, with the names of the variables below that of this layer."""
        if not self.built:
            shape = with_open_batch(input_shape)
            with self.naming_scope():
                self.build(shape)
            # For subclasses that leave out super().build.
            Layer.build(self, shape)
            self.built_shape = shape

    def naming_scope(self) -> AbstractContextManager[None]:
        """What is made inside the block gets a path below this layer's name."""
        scope = layer_path.get()
        inside = f"/{scope}".endswith(f"/{self.name}/")
        return during(layer_path, scope if inside else f"{scope}{self.name}/")

    def _as_input(self, x: TensorLike) -> Any:
        """Arrays become tensors, floating-point ones of the layer's dtype; other arguments stay as they are."""
        if not isinstance(x, _ARRAYS):
            return x
        tensor = as_tensor(x)
        return cast(tensor, self.dtype) if tensor.dtype.kind == "f" and self.dtype.startswith("float") else tensor

    # Weights.

    @also_name_first
    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        dtype: npt.DTypeLike | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str = "variable",
    ) -> Variable:
        """A new variable of this layer.

        The initializer is a string, an object, or a function of shape and dtype; regularizer and constraint are
        strings, objects, or functions of the variable.
        """
        _spend(math.prod(shape) * np.dtype(dtype or self.dtype).itemsize)
        make: Callable[..., Any] = initializers.get(initializer)
        variable = Variable(make, tuple(shape), dtype or self.dtype, trainable, name)
        with self.naming_scope():
            variable.path = f"{layer_path.get()}{name}"
        if regularizer is not None:
            variable.regularizer = regularizers.get(regularizer)
        if constraint is not None:
            variable.constraint = constraints.get(constraint)
        self._track(variable)
        return variable

    def rules(self, weight: str) -> dict[str, Any]:
        """The regularizer and the constraint of one of the `regularizable` weights, as `add_weight` takes them."""
        return {rule: getattr(self, f"{weight}_{rule}") for rule in ("regularizer", "constraint")}

    @classmethod
    def _rule_arguments(cls) -> dict[str, Callable[[Any], Any]]:
        """The names of the arguments that `regularizable` stands for, with what makes a function of their value."""
        penalties = {f"{weight}_regularizer": regularizers.get for weight in cls.regularizable}
        return {**penalties, **{f"{weight}_constraint": constraints.get for weight in cls.regularizable}}

    def __setattr__(self, name: str, value: Any) -> None:
        new_generation()
        replaced = vars(self).get(name)
        described = getattr(type(self), name, None)
        if isinstance(described, property) and described.fset is None:
            raise ArgumentError(f"{type(self).__name__}: {name!r} is what a layer tells of itself: use another name")
        object.__setattr__(self, name, value)
        self._track_leaves(value)
        self._forget_leaves(replaced)

    def __delattr__(self, name: str) -> None:
        new_generation()
        value = getattr(self, name)
        object.__delattr__(self, name)
        self._forget_leaves(value)

    def _track_leaves(self, value: Any) -> None:
        """Remember the variables and layers in an attribute."""
        for item in leaves(value):
            if isinstance(item, (Variable, Layer)):
                self._track(item)

    def _forget_leaves(self, value: Any) -> None:
        """Forget what was in an attribute and is in none any more."""
        for item in leaves(value):
            if isinstance(item, (Variable, Layer)):
                attributes = [value for name, value in vars(self).items() if name not in _TRACKED]
                if not any(item is other for other in leaves(attributes)):
                    for known in map(vars(self).__getitem__, _TRACKED):
                        known[:] = [other for other in known if other is not item]

    def _track(self, item: Any) -> None:
        """Remember a variable or a layer, once; in a frozen layer it is frozen, too."""
        if any(name not in vars(self) for name in _TRACKED):
            raise ArgumentError(f"{type(self).__name__}: call super().__init__() before anything else in __init__")
        if isinstance(item, Layer):
            known: list[Any] = self._layers
        else:
            known = self._trainable_variables if item.trainable else self._non_trainable_variables
        if not any(item is other for name in _TRACKED for other in vars(self)[name]):
            known.append(item)
            if not self._trainable:
                item.trainable = False

    @property
    def variables(self) -> list[Variable]:
        """All variables, each once, in the order that the class documents."""
        found = {id(v): v for v in (*self._trainable_variables, *self._non_trainable_variables)}
        for layer in self._layers:
            found.update((id(v), v) for v in layer.variables)
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
        new_generation()
        object.__setattr__(self, "_trainable", bool(value))
        inside: list[Any] = [*self._trainable_variables, *self._layers]
        for item in inside:
            item.trainable = value

    # What is added to the loss.

    def add_loss(self, loss: Any) -> None:
        """Have a tensor, or several, added to the loss that training minimizes: to be called inside of `call`.

        It stays in `losses` until the next call of the layer, or of the model that it is in, begins. `ArgumentError`
        for what is no tensor.
        """
        for tensor in leaves(loss):
            if not isinstance(tensor, Tensor):
                raise ArgumentError(
                    f"add_loss: {self.name!r} expected a tensor, computed inside of `call`, got a "
                    f"{type(tensor).__name__}: {tensor!r}"
                )
            if _keeping_losses.get():
                self._losses.append(tensor)

    @property
    def losses(self) -> list[Tensor]:
        """What training adds to the loss, a tensor for each reason: in a loop of one's own, add their sum.

        First what the last call added by `add_loss` and activity regularizers, in this layer and in those inside; then
        what the regularizers make of the weights that are trained. A call inside of a recorded step (`minidl.function`)
        adds to the losses inside of that step only: a replay would not renew them.
        """
        trace = active_trace()
        added = [loss for layer in layers_of(self) for loss in layer._losses]
        added = [loss for loss in added if not isinstance(loss, TracedTensor) or loss.trace is trace]
        return added + [as_tensor(v.regularizer(v)) for v in self.trainable_variables if v.regularizer is not None]

    def forget_losses(self) -> None:
        """Drop what calls have added to the loss: what follows is a new batch."""
        for layer in layers_of(self):
            layer._losses.clear()

    def _add_activity(self, regularizer: Callable[[TensorLike], TensorLike], outputs: Any) -> None:
        """Add the penalty on each output, divided by the size of the batch, which it is not to depend on."""
        if not _keeping_losses.get():
            return
        for output in (x for x in leaves(outputs) if isinstance(x, Tensor)):
            # An empty batch has nothing to be divided.
            samples = max(len(output), 1) if output.ndim else 1
            self.add_loss(ops.divide(regularizer(output), samples))

    def count_params(self) -> int:
        """The number of weights."""
        if not self.built:
            raise NotBuiltError(f"{self.name!r} has no weights yet: call it on data, or build it with an input shape")
        return sum(v.size for v in self.variables)

    def get_weights(self) -> list[Array]:
        """Copies of the values of all variables, in their order."""
        return [v.data.copy() for v in self.variables]

    def set_weights(self, weights: Sequence[TensorLike]) -> None:
        """Assign values to all variables, in their order; nothing changes unless all of them fit."""
        if len(weights) != len(self.variables):
            hint = "" if self.built else ": build the layer, or call it on data, first"
            raise ShapeError(
                f"set_weights: {self.name!r} has {len(self.variables)} weights, got {len(weights)} arrays{hint}"
            )
        arrays = [variable.accept(value) for variable, value in zip(self.variables, weights, strict=True)]
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array)

    def stateless_call(
        self, trainable_variables: Sequence[TensorLike], non_trainable_variables: Sequence[TensorLike], *args: Any,
        return_losses: bool = False, **kwargs: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """The output with these values in place of the variables', and the non-trainable values after the call.

        With `return_losses` a third: what `losses` is then. The layer itself stays as it is. It turns a layer into a
        pure function, which `grad` and `hvp` can differentiate with respect to the weights.
        """
        with self.values_replaced(trainable_variables, non_trainable_variables):
            outputs = self(*args, **kwargs)
            results = outputs, [Tensor(v.data) for v in self.non_trainable_variables]
            return (*results, self.losses) if return_losses else results

    @contextmanager
    def values_replaced(self, trainable: Sequence[TensorLike], non_trainable: Sequence[TensorLike]) -> Iterator[None]:
        """Inside the block the variables have these values; afterwards their own again."""
        if not self.built:
            raise NotBuiltError(f"stateless_call: {self.name!r} has no weights yet: call it on data first")
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        values = [*trainable, *non_trainable]
        if len(values) != len(variables):
            raise ShapeError(f"stateless_call: {self.name!r} has {len(variables)} variables, got {len(values)} values")
        before = [(v.data, v.output) for v in variables]
        try:
            for variable, value in zip(variables, values, strict=True):
                tensor = as_tensor(value)
                if tensor.shape != variable.shape:
                    wrong = f"{variable.path!r} has shape {variable.shape}, got {tensor.shape}"
                    raise ShapeError(f"stateless_call: {wrong}")
                # A call may assign to what is not trainable, and must not write into the caller's array.
                variable.data = tensor.data if variable.trainable else tensor.data.copy()
                variable.output = tensor.output
            yield
        finally:
            for variable, (data, output) in zip(variables, before, strict=True):
                variable.data, variable.output = data, output
            self.forget_losses()

    # Configuration.

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes over: not what the last call has computed."""
        return {**vars(self), "_losses": []}

    @classmethod
    def arguments(cls) -> dict[str, inspect.Parameter]:
        """The arguments of `__init__`, but for the input shape, which is the model's to keep."""
        found, of_all = super().arguments(), inspect.signature(Layer).parameters
        for name in cls._rule_arguments():
            found.setdefault(name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None))
        # Those that all layers have come last; a layer may have one of its own that is called `input_dim`.
        own = {name: p for name, p in found.items() if of_all.get(name) != p}
        shared = {name: p for name, p in found.items() if name not in (*own, "input_shape", "input_dim")}
        return own | shared

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__` as plain values, from which `from_config` makes an equal layer."""
        found = super().get_config()
        # As in Keras: one that is not there is not mentioned.
        if found.get("activity_regularizer", False) is None:
            del found["activity_regularizer"]
        return {name: _plain_argument(name, value) for name, value in found.items()}

    def shown(self, name: str) -> Any:
        """What `repr` shows of an argument: of an activation its name."""
        value = super().shown(name)
        return activations.serialize(value) if inspect.isfunction(value) else value

    def is_default(self, name: str, value: Any, default: Any) -> bool:
        """Whether an argument is what `__init__` makes of its default, which may be the name of an object."""
        if isinstance(value, initializers.Initializer) and isinstance(default, str):
            return bool(value == initializers.get(default))
        if inspect.isfunction(getattr(self, name)) and default is not MISSING:
            return bool(value == activations.serialize(activations.get(default)))
        return name != "name" and (name in ("trainable", "dtype") or bool(_plain_value(value) == _plain_value(default)))


class SameShape(Layer):
    """A layer whose output has the shape of its input and is of floating point: integers are converted first."""

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The same shape."""
        return input_shape

    def _as_input(self, x: TensorLike) -> Any:
        tensor = super()._as_input(x)
        return cast(tensor, self.dtype) if isinstance(tensor, Tensor) and tensor.dtype.kind in "iub" else tensor


def layers_of(layer: Layer) -> list[Layer]:
    """A layer, those inside it, those inside them, each once, in their order."""
    found = {id(layer): layer}
    for inside in layer._layers:
        found.update((id(part), part) for part in layers_of(inside))
    return list(found.values())


def without_losses() -> AbstractContextManager[None]:
    """Inside the block nothing that calls add to the loss is kept, as nobody will ask for it."""
    return during(_keeping_losses, False)


def weights_limited_to(nbytes: int) -> AbstractContextManager[None]:
    """Inside the block, weights of more than `nbytes` bytes are refused before there is memory for them.

    A file says how large its weights are twice, as a layer's size and by the weights themselves: it is not to claim
    more of the first than it brings of the second.
    """
    return during(_allowance, nbytes)


def _spend(nbytes: int) -> None:
    allowed = _allowance.get()
    if allowed is not None:
        if nbytes > allowed:
            raise ArgumentError(f"a layer needs {nbytes:,} bytes of weights where {allowed:,} are left")
        _allowance.set(allowed - nbytes)


def _dtype_name(dtype: str | None) -> str:
    try:
        return np.dtype(config.floatx() if dtype is None else dtype).name
    except TypeError:
        raise DTypeError(f"expected a dtype such as 'float32', got {dtype!r}") from None


@functools.lru_cache
def takes_training(call: Callable[..., Any]) -> bool:
    """Whether a `call` has an argument `training`."""
    parameters = inspect.signature(call).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)


def _plain_argument(name: str, value: Any) -> Any:
    """An argument as what a file can hold; a function by the name under which its role finds it again."""
    if inspect.isfunction(value) and name.endswith("_regularizer"):
        return regularizers.serialize(value)
    if inspect.isfunction(value) and name.endswith("_constraint"):
        return constraints.serialize(value)
    return _plain_value(value)


def _plain_value(value: Any) -> Any:
    """A hyperparameter as what a file can hold: numbers, strings, lists; objects by their configuration."""
    if isinstance(value, initializers.Initializer):
        return initializers.serialize(value)
    if isinstance(value, regularizers.Regularizer):
        return regularizers.serialize(value)
    if isinstance(value, constraints.Constraint):
        return constraints.serialize(value)
    if isinstance(value, Layer):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if inspect.isfunction(value):
        return activations.serialize(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain_value(item) for item in value]
    return value


def _is_symbolic(value: Any) -> bool:
    return any(isinstance(x, KerasTensor) for x in leaves(value))


def _shape_of_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The shape, or nested shapes, of the first argument that has one: what a layer is built for."""
    for value in (*args, *kwargs.values()):
        if any(hasattr(x, "shape") for x in leaves(value)):
            return map_leaves(lambda x: getattr(x, "shape", None), value)
    return ()


def layer_shape(shape: OpenShape) -> Shape:
    """The sizes after the batch, or an error if one is open."""
    if None in shape[1:]:
        raise ShapeError(f"expected every size but the batch to be known, got {shape}")
    return tuple(n for n in shape[1:] if n is not None)
