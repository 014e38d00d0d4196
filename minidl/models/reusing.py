"""Making new models of old ones: clones with fresh weights, and which of the variables training changes.

A layer may be in several models: `Sequential(model_a.layers[:-1])` shares its weights with model_a, and training either
changes both. `clone_model` makes layers of their own.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import Any

from minidl import activations
from minidl.autodiff.tree import leaves, map_leaves
from minidl.configurable import Configurable
from minidl.errors import ArgumentError, NotBuiltError, warn_caller
from minidl.layers import Input, InputLayer, Layer
from minidl.layers.layer import layers_of
from minidl.layers.symbolic import KerasTensor
from minidl.layers.variable import Variable
from minidl.models import files
from minidl.models.functional import Functional
from minidl.models.model import Model
from minidl.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model of the same layers with weights of its own, which are fresh: `clone.set_weights(model.get_weights())`.

    - `input_tensors`: the symbolic tensors, as `Input` gives them, that the clone begins with, nested as `model.input`.
    - `clone_function(layer)` gives what takes the place of a layer: the layer itself shares its weights, another one
      changes the model. By default a new layer of the same configuration. Inputs are always made anew.
    - `call_function(layer, *args, **kwargs)` calls the new layers of a functional model, and may do more.
    - `recursive`: models inside the model are gone through as well, instead of being handed to `clone_function`.

    The clone is compiled as the model was, with an optimizer that remembers nothing. A model of a class of one's own is
    made from its `get_config`; what is in its `call` is not known, so none of the arguments can be given for it.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"clone_model: expected a model, got {model!r}")
    known = type(model) in (Sequential, Functional)
    if not known and any(x is not None for x in (input_tensors, clone_function, call_function)):
        raise ArgumentError(
            f"clone_model: {model.name!r} is a {type(model).__name__}, of which only the class knows how its layers "
            "are called: input_tensors, clone_function and call_function are for Sequential and functional models"
        )
    if isinstance(model, Sequential) and call_function is not None:
        raise ArgumentError("clone_model: call_function is for functional models: a Sequential calls layer after layer")
    if known:
        clone = rebuilt(model, _gives_layers(clone_function or copy_of), input_tensors, call_function, recursive, {})
    else:
        clone = copy_of(model)
        if model.built and not clone.built:
            clone.build(model.built_shape)
    _compile_alike(clone, model)
    return clone


def _gives_layers(clone_function: Callable[[Layer], Any]) -> Callable[[Layer], Layer]:
    """The function, with an error if what it gives is no layer."""

    def make(layer: Layer) -> Layer:
        new = clone_function(layer)
        if not isinstance(new, Layer):
            raise ArgumentError(f"clone_model: clone_function({layer.name!r}) must give a layer, got {new!r}")
        return new

    return make


def rebuilt(
    model: Model,
    make: Callable[[Layer], Layer | None],
    inputs: Any = None,
    call: Callable[..., Any] | None = None,
    recursive: bool = True,
    made: dict[Layer, Layer | None] | None = None,
) -> Model:
    """A Sequential or functional model anew, with `make(layer)` in the place of each layer; None leaves a layer out.

    `made` is filled with the layers and what took their places: each once, however often it is called.
    """
    made = {} if made is None else made

    def replacement(layer: Layer) -> Layer | None:
        if layer not in made:
            inside = recursive and type(layer) in (Sequential, Functional)
            made[layer] = rebuilt(layer, make, None, call, recursive, made) if inside else make(layer)  # type: ignore[arg-type]
        return made[layer]

    if isinstance(model, Sequential):
        return _sequential(model, replacement, inputs)
    if isinstance(model, Functional):
        return _functional(model, replacement, inputs, call)
    raise ArgumentError(f"{model.name!r} is a {type(model).__name__}: expected a Sequential or functional model")


def _sequential(model: Sequential, replacement: Callable[[Layer], Layer | None], inputs: Any) -> Sequential:
    clone = Sequential(name=model.name)
    given = leaves(inputs) if inputs is not None else []
    if inputs is not None and not (len(given) == 1 and _is_input(given[0])):
        raise ArgumentError(f"clone_model: expected one symbolic tensor of Input(…) as input_tensors, got {inputs!r}")
    if given:
        clone.add(given[0])
    elif model.batch_input_shape is not None:
        name = model.input_names[0] if model.built else None
        clone.add(InputLayer(batch_shape=model.batch_input_shape, name=name))
    for layer in map(replacement, model.layers):
        if layer is not None:
            clone.add(layer)
    # Not by `trainable`, which would set all that is inside: each layer knows for itself.
    clone._trainable = model._trainable
    return clone


def _functional(
    model: Functional, replacement: Callable[[Layer], Layer | None], inputs: Any, call: Callable[..., Any] | None
) -> Functional:
    inputs = map_leaves(_input_like, model.input) if inputs is None else _nested_as(model.input, inputs)

    def runs(layer: Layer) -> Callable[..., Any]:
        """What stands for a layer in the new graph."""
        new = None if isinstance(layer, InputLayer) else replacement(layer)
        if new is None:
            return lambda x: x
        return new if call is None else lambda *args, **kwargs: call(new, *args, **kwargs)

    outputs = model.graph.run(leaves(inputs), runs)
    clone = Functional(inputs, outputs, name=model.name)
    clone._trainable = model._trainable
    return clone


def _nested_as(tree: Any, inputs: Any) -> Any:
    """The symbolic tensors that are given, in the order of those in `tree`; an error if they are nested otherwise."""
    if isinstance(tree, dict) and isinstance(inputs, dict) and tree.keys() == inputs.keys():
        inputs = {key: inputs[key] for key in tree}
    alike = isinstance(tree, dict) == isinstance(inputs, dict) and len(leaves(tree)) == len(leaves(inputs))
    if not alike or not all(isinstance(x, KerasTensor) for x in leaves(inputs)):
        raise ArgumentError(
            f"clone_model: expected {len(leaves(tree))} symbolic tensors as input_tensors, nested as model.input, got "
            f"{inputs!r}"
        )
    return inputs


def _is_input(x: Any) -> bool:
    return isinstance(x, KerasTensor) and x.node is not None and isinstance(x.node.layer, InputLayer)


def _input_like(x: KerasTensor) -> KerasTensor:
    name = x.node.layer.name if x.node is not None and _is_input(x) else x.name
    return Input(batch_shape=x.shape, dtype=x.dtype.name, name=name)


def copy_of(layer: Layer, **changes: Any) -> Any:
    """A new layer of the same class and configuration, but for the `changes`, with weights of its own."""
    if type(layer) in (Sequential, Functional):
        # Layer by layer: what two of them are made with may have the same name.
        return rebuilt(layer, copy_of)  # type: ignore[arg-type]
    described = files.layer_config(layer)
    return files.layer_from_config({**described, "config": {**described["config"], **changes}}, own_objects(layer))


def own_objects(layer: Layer) -> dict[str, Any]:
    """The classes and functions, by their names, that a layer and those inside it are made with and no file knows."""
    found: dict[str, Any] = {}
    for part in layers_of(layer):
        values = [getattr(part, name, None) for name in part.arguments()]
        for value in (part, *values):
            kind = value if inspect.isfunction(value) else type(value)
            if isinstance(value, Configurable) or inspect.isfunction(value):
                # A layer of ours may be one that files know by `custom_objects` only.
                known = files._classes({}).get(kind.__name__) is kind if isinstance(value, Layer) else _is_ours(kind)
                if not known:
                    name = activations.serialize(kind) if inspect.isfunction(kind) else kind.__name__
                    if found.setdefault(name, kind) is not kind:
                        raise ArgumentError(f"{layer.name!r} is made with two different {name!r}: rename one of them")
    return found


def _is_ours(kind: Any) -> bool:
    return f"{kind.__module__}.".startswith("minidl.")


def _compile_alike(clone: Model, model: Model) -> None:
    """Compile the clone as the model was; with a warning not at all if the optimizer cannot be made again."""
    if model.optimizer is None or clone.optimizer is not None:
        return
    try:
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    except ArgumentError as error:
        warn_caller(f"clone_model: the clone is not compiled: {error}")
        return
    clone.compile(optimizer, model.loss, run_eagerly=model.run_eagerly)
    # The metrics, too, may be functions, which no configuration describes.
    clone._objective = copy.deepcopy(model.objective)
    clone._objective.reset()


# Which variables training changes.


def variables_matching(model: Layer, pattern: str) -> list[Variable]:
    """The variables in whose path the regular expression `pattern` is found, in their order; an error if it is none.

    A path is "dense_1/kernel", in a Sequential "sequential/dense_1/kernel"; `v.path` tells it. It is for steps that
    change some variables only: `optimizer.minimize(loss, var_list=variables_matching(model, r"dense_[23]/"))`.
    """
    return _found(pattern, model, lambda model: model.variables)


def freeze(model: Layer, pattern: str = "") -> list[str]:
    """Keep training from changing the variables in whose path `pattern` is found; gives their paths.

    A layer that has nothing left to train is frozen as a whole: batch normalization then uses its moving averages. It
    takes effect with the next step, also of a compiled model; an error if the pattern is found nowhere.

        freeze(model, r"dense(_1)?/")            # the first two layers
        freeze(model, r"batch_normalization")    # with the moving averages
        freeze(model, r"kernel$")                # all but biases and normalizations
    """
    frozen = _found(pattern, model, _trained)
    for variable in frozen:
        variable.trainable = False
    for layer in layers_of(model):
        if layer._trainable_variables and not any(v.trainable for v in _trained(layer)):
            layer._trainable = False
    return [v.path for v in frozen]


def unfreeze(model: Layer, pattern: str = "") -> list[str]:
    """Let training change the variables in whose path `pattern` is found again; gives their paths.

    Moving averages stay what they are. The layers that the variables are in, and the models around them, become
    trainable; their other variables stay as they are.
    """
    thawed = _found(pattern, model, _trained)
    for variable in thawed:
        variable.trainable = True
    chosen = {id(v) for v in thawed}
    for layer in layers_of(model):
        # Not by `trainable`, which would set all that is inside.
        if any(id(v) in chosen for v in layer.variables):
            layer._trainable = True
    return [v.path for v in thawed]


def _found(pattern: str, model: Layer, variables_of: Callable[[Layer], list[Variable]]) -> list[Variable]:
    """Those of the variables of a model in whose path the pattern is found."""
    if not isinstance(model, Layer):
        raise ArgumentError(f"expected a model or a layer, got {model!r}")
    if not model.built:
        raise NotBuiltError(f"{model.name!r} has no variables yet: build it or call it on data first")
    expression, variables = regular_expression(pattern), variables_of(model)
    found = [v for v in variables if expression.search(v.path)]
    if not found:
        paths = ", ".join([v.path for v in variables[:8]] + ["…"] * (len(variables) > 8)) or "it has none"
        raise ArgumentError(f"{pattern!r} is found in no path of a variable of {model.name!r}: {paths}")
    return found


def regular_expression(pattern: str) -> re.Pattern[str]:
    """The pattern compiled, or an error if it is none."""
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ArgumentError(f"expected a regular expression, got {pattern!r}: {error}") from None


def _trained(model: Layer) -> list[Variable]:
    """The variables that training changes unless they are frozen, which moving averages are not."""
    found = {id(v): v for layer in layers_of(model) for v in layer._trainable_variables}
    return list(found.values())
