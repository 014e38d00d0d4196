"""Models as files: what is written of a model, and a model from what was written.

Classes come from the dictionaries of this library and from what the caller hands over, never from a name that a file
makes Python import.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain, count
from pathlib import Path
from typing import Any

from minidl import layers, losses, metrics, optimizers, random
from minidl.errors import ArgumentError, DataFileError, MiniDLWarning, UnknownNameError, look_up
from minidl.layers.layer import Layer, weights_limited_to
from minidl.layers.operation import Operation
from minidl.layers.symbolic import map_shapes
from minidl.layers.variable import Variable
from minidl.memory import Array
from minidl.models.state import restore_training, training_state
from minidl.saving import kind_of, read_archive, write_archive
from minidl.training import Objective, Objectives

# The names of arrays that are no weights begin so.
_STATE = ("optimizer/", "run/", "generators/")
# Whose variables they are, what is to be assigned to them, and why it cannot be: how a file fits a model.
Assignment = tuple[str, list[tuple[Variable, Array]], str]
_own_objects: ContextVar[Mapping[str, Any]] = ContextVar("own_objects", default={})  # noqa: B039 (never changed)
_PUBLIC = {name: getattr(layers, name) for name in layers.__all__}
LAYERS = {name: kind for name, kind in _PUBLIC.items() if isinstance(kind, type) and issubclass(kind, Layer)}


def layer_config(layer: Layer) -> dict[str, Any]:
    """The class and configuration of a layer."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def layer_from_config(part: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new layer, or model inside a model, from what `layer_config` gave."""
    custom = custom_objects or {}
    kind = look_up("layer", part["class_name"], _classes(custom))
    if issubclass(kind, tuple(_models().values())):
        return kind.from_config(part["config"], custom)
    return kind.from_config({name: _argument(name, value, custom) for name, value in part["config"].items()})


def _argument(name: str, value: Any, custom: Mapping[str, Any]) -> Any:
    """A hyperparameter: the caller's function of that name, a layer from its configuration, or as it is."""
    if isinstance(value, str) and name != "name":
        return custom.get(value, value)
    if isinstance(value, dict) and value.get("class_name") in _classes(custom):
        return layer_from_config(value, custom)
    return value


def _classes(custom: Mapping[str, Any]) -> dict[str, Any]:
    return {**LAYERS, "Operation": Operation, **_models(), **custom}


def _models() -> dict[str, Any]:
    """The models that are made of layers, which are made of what is here and so cannot be imported above."""
    from minidl.models.functional import Functional
    from minidl.models.sequential import Sequential

    return {"Functional": Functional, "Sequential": Sequential}


def compile_config(optimizer: Any, objective: Objective | Objectives) -> dict[str, Any]:
    """The optimizer, the losses and the metrics as plain values; `ArgumentError` for a function without a name."""
    if isinstance(objective, Objective):
        return {"optimizer": optimizers.serialize(optimizer), **_objective_config(objective)}
    parts = zip(objective.output_names, objective.parts, objective.has_loss, strict=True)
    configs = {name: _objective_config(part) | ({} if has else {"loss": None}) for name, part, has in parts}
    return {
        "optimizer": optimizers.serialize(optimizer),
        "loss": {name: found["loss"] for name, found in configs.items()},
        "metrics": {name: found["metrics"] for name, found in configs.items()},
        "weighted_metrics": {name: found["weighted_metrics"] for name, found in configs.items()},
        "loss_weights": dict(zip(objective.output_names, objective.weights, strict=True)),
    }


def _objective_config(objective: Objective) -> dict[str, Any]:
    """The loss and the metrics of one output."""
    return {
        "loss": None if objective.loss is None else losses.serialize(objective.loss),
        "metrics": [_metric_config(metric) for metric, weighted in objective.asked.values() if not weighted],
        "weighted_metrics": [_metric_config(metric) for metric, weighted in objective.asked.values() if weighted],
    }


def compile_from_config(model: Any, config: Mapping[str, Any], custom: Mapping[str, Any]) -> None:
    """Compile a model as `compile_config` says."""

    def loss(part: Any) -> Any:
        return None if part is None else losses.deserialize(part, custom)

    def several(parts: Any) -> list[Any]:
        return [_metric(part, custom) for part in parts]

    def each(function: Callable[[Any], Any], key: str) -> Any:
        """What the function makes of the entry, or, if there are weights, of that of each output."""
        parts = config[key]
        return {name: function(part) for name, part in parts.items()} if weights else function(parts)

    weights = config.get("loss_weights")
    model.compile(
        optimizers.deserialize(config["optimizer"], custom),
        each(loss, "loss"), weights, each(several, "metrics"), each(several, "weighted_metrics"),
        run_eagerly=config.get("run_eagerly", False),
    )  # fmt: skip


def _metric_config(identifier: Any) -> Any:
    """A metric as plain values: a string as it was given, a function by its name."""
    if isinstance(identifier, str):
        return identifier
    if inspect.isfunction(identifier):
        if not identifier.__name__.isidentifier():
            raise ArgumentError(f"the metric {identifier!r} has no name to be saved under")
        return identifier.__name__
    return metrics.serialize(metrics.get(identifier))


def _metric(config: Any, custom: Mapping[str, Any]) -> Any:
    """What `_metric_config` described."""
    return custom.get(config, config) if isinstance(config, str) else metrics.deserialize(config, custom)


def save_model(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """The same as `model.save(filepath)`."""
    model.save(filepath, overwrite, include_optimizer)


def save(model: Any, path: str | os.PathLike[str], overwrite: bool, include_optimizer: bool) -> None:
    """Write a model to a file of the kind that its name ends in."""
    target = checked_target("save", path, overwrite, (".minidl", ".keras", ".h5", ".hdf5"))
    compiled = None
    if include_optimizer:
        try:
            compiled = model.get_compile_config()
        except ArgumentError as error:
            warnings.warn(
                f"save: the file does not say how {model.name!r} was compiled: {error}", MiniDLWarning, stacklevel=3
            )
    places = variables_by_place(model)
    if target.suffix != ".minidl":
        from minidl.models import keras_files

        keras_files.save(model, target, compiled)
        return
    training, arrays = (None, {}) if compiled is None else training_state(model, places)
    config = {**model_config(model), "paths": _paths(model, places), "compile_config": compiled, "training": training}
    write_archive(target, config, {name: variable.data for name, variable in places.items()} | arrays)


def _paths(model: Any, places: Mapping[str, Variable]) -> dict[str, str]:
    """The readable name of every place: {"2/0/kernel": "dense_1/kernel"}."""
    paths = {id(variable): path for path, variable in variables_by_path(model).items()}
    return {place: paths[id(variable)] for place, variable in places.items()}


def checked_target(where: str, path: str | os.PathLike[str], overwrite: bool, endings: tuple[str, ...]) -> Path:
    """The path of a file that may be written, or an error that says why not."""
    target = Path(path)
    if not target.name.endswith(endings):
        raise ArgumentError(f"{where}: expected a path that ends in {' or '.join(endings)}, got {str(path)!r}")
    if target.exists() and not overwrite:
        raise ArgumentError(f"{where}: {str(path)!r} exists: delete it, or leave overwrite=True")
    return target


@contextmanager
def custom_object_scope(objects: Mapping[str, Any]) -> Iterator[None]:
    """Inside the block, classes and functions of your own are known by these names to whatever is loaded."""
    token = _own_objects.set({**_own_objects.get(), **objects})
    try:
        yield
    finally:
        _own_objects.reset(token)


def load_model(
    path: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    *,
    random_state: bool = False,
) -> Any:
    """The model in a `.minidl`, `.keras` or `.h5` file: its architecture, its weights, and how it was compiled.

    With `compile` it is compiled as it was, and its optimizer remembers what it did. A `.minidl` file also says where
    the training was: `model.fit(…, initial_epoch=model.epoch, epochs=10)` goes on with it, bitwise as if it had never
    stopped, given the same data and callbacks like those before. With `random_state` the streams of `minidl.random`, of
    which new layers and new trainings get their randomness, go on where they were, too; otherwise they are left alone.

    `custom_objects` has the classes and functions of your own that the model uses, by name: nothing else of a file is
    ever looked up or run. Raises `DataFileError` if the file is no such model.
    """
    custom = {**_own_objects.get(), **(custom_objects or {})}
    if kind_of(path) != "minidl":
        from minidl.models import keras_files

        return keras_files.load_model(path, custom, compile)
    config, arrays = read_archive(path)
    with loading(path, arrays), random.undisturbed():
        model = model_from_config(config, custom)
        if compile and config["compile_config"] is not None:
            compile_from_config(model, config["compile_config"], custom)
    assign(model, _fitting(model, arrays), path)
    training = config.get("training")
    if compile and training is not None and model.optimizer is not None:
        with loading(path, arrays):
            restore_training(model, variables_by_place(model), training, arrays)
            if random_state:
                random.set_state(training["random"])
    return model


def save_weights(model: Any, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write the weights of a model to a file of the kind that its name ends in."""
    target = checked_target("save_weights", path, overwrite, (".minidl", ".h5", ".hdf5"))
    if target.suffix != ".minidl":
        from minidl.models import keras_files

        keras_files.save_weights(model, target)
        return
    places = variables_by_place(model)
    write_archive(target, {"paths": _paths(model, places)}, {name: v.data for name, v in places.items()})


def load_weights(model: Any, path: str | os.PathLike[str], skip_mismatch: bool) -> None:
    """Take the weights of a model from a file of any kind."""
    if kind_of(path) == "minidl":
        _, arrays = read_archive(path)
        assignments = _fitting(model, arrays)
    else:
        from minidl.models import keras_files

        assignments = keras_files.assignments(model, path)
    assign(model, assignments, path, skip_mismatch)


def read_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All weights in a file by readable names, whatever wrote it: "inner/dense_1/kernel".

    Files of Keras 3 have numbers in place of the names of variables: "inner/dense_1/0".
    """
    if kind_of(path) != "minidl":
        from minidl.models import keras_files

        return keras_files.read_weights(path)
    config, arrays = read_archive(path)
    weights = {name: array for name, array in arrays.items() if not name.startswith(_STATE)}
    paths: Any = config.get("paths")
    found: dict[str, Array] = {}
    for name, array in weights.items():
        found[unique(str(paths.get(name, name)) if isinstance(paths, dict) else name, found)] = array
    return found


def _fitting(model: Any, arrays: Mapping[str, Array]) -> list[Assignment]:
    """The variables of a model with the arrays of a `.minidl` file that stand in their places."""
    weights = {name: array for name, array in arrays.items() if not name.startswith(_STATE)}
    places = variables_by_place(model)
    return [
        paired(name, [places[name]] if name in places else [], [weights[name]] if name in weights else [])
        for name in sorted(places.keys() | weights.keys())
    ]


def paired(what: str, variables: list[Variable], arrays: list[Array]) -> Assignment:
    """The variables of something with their arrays, or why they do not fit."""
    here, there = ([f"{x.dtype}{x.shape}" for x in several] for several in (variables, arrays))
    if here != there:
        expected, found = (", ".join(several) or "nothing" for several in (here, there))
        return what, [], f"{what}: expected {expected}, the file has {found}"
    return what, list(zip(variables, arrays, strict=True)), ""


def assign(
    model: Any, assignments: list[Assignment], path: str | os.PathLike[str], skip_mismatch: bool = False
) -> None:
    """Give the variables their arrays, if all of them fit, or else those that do."""
    wrong = "; ".join([reason for _, _, reason in assignments if reason][:3])
    if wrong and not skip_mismatch:
        raise DataFileError(f"{os.fspath(path)!r}: its weights do not fit its model: {wrong}")
    if wrong:
        warnings.warn(f"load_weights: {os.fspath(path)!r}: left out: {wrong}", MiniDLWarning, stacklevel=4)
    for _, pairs, _ in assignments:
        for variable, array in pairs:
            variable.assign(array)


@contextmanager
def loading(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> Iterator[None]:
    """Inside the block a model is made of what a file says, which is not to be believed: any error is the file's."""
    try:
        # With leeway: weights that are no more than of another shape get a better error later.
        with weights_limited_to(8 * sum(array.nbytes for array in arrays.values()) + (1 << 20)):
            yield
    except Exception as error:  # what a hostile file says can fail in as many ways as there are layers
        hint = "; what is your own goes into custom_objects" if isinstance(error, UnknownNameError) else ""
        raise DataFileError(f"{os.fspath(path)!r} holds no model that can be made here: {error!r}{hint}") from error


def model_config(model: Any) -> dict[str, Any]:
    """The class and configuration of a model; of a class of one's own also the shape that it was built for."""
    own: Any = tuple(_models().values())
    if isinstance(model, own):
        return layer_config(model)
    try:
        return {**layer_config(model), "input_shape": map_shapes(list, model.input_shape)}
    except ArgumentError as error:
        raise ArgumentError(
            f"save: {model.name!r} is a {type(model).__name__}, which a file can describe only by its get_config(): "
            f"{error}; or keep its weights by get_weights(), and its class in your program"
        ) from error


def model_from_config(config: Mapping[str, Any], custom: Mapping[str, Any]) -> Any:
    """What `model_config` described, with new weights."""
    own = _models()
    kind = look_up("model", config["class_name"], {**own, **custom})
    if issubclass(kind, tuple(own.values())):
        return kind.from_config(config["config"], custom)
    model: Any = layer_from_config(config, custom)
    model.build(map_shapes(tuple, config["input_shape"]))
    return model


def variables_by_place(model: Any) -> dict[str, Variable]:
    """The variables by their place: "2/0/kernel" is the first variable, a kernel, of the third layer.

    Those that the model has itself come first: "own/0/scale".
    """
    inside = [layer.variables for layer in model.layers]
    places = {id(variable): f"{k}/{j}" for k, found in enumerate(inside) for j, variable in enumerate(found)}
    if len(places) < sum(map(len, inside)):
        raise ArgumentError(f"save: {model.name!r} has a layer that is also in a model inside it: they would be parted")
    return {
        f"{places.get(id(variable), f'own/{j}')}/{variable.name}": variable
        for j, variable in enumerate(model.variables)
    }


def variables_by_path(layer: Layer, before: str = "", numbered: bool = False) -> dict[str, Variable]:
    """The variables by the names of the layers that they are in: "inner/dense_1/kernel", or, numbered, "…/0"."""
    found: dict[str, Variable] = {}
    inside = layer.layers if not before and hasattr(layer, "layers") else layer._layers
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    named = [(f"{before}{k if numbered else variable.name}", variable) for k, variable in enumerate(own)]
    named += [item for part in inside for item in variables_by_path(part, f"{before}{part.name}/", numbered).items()]
    known: set[int] = set()
    for path, variable in named:
        if id(variable) not in known:
            known.add(id(variable))
            found[unique(path, found)] = variable
    return found


def unique(name: str, taken: Container[str]) -> str:
    """The name, or with a number if it is taken: "dense", "dense_1", …"""
    names = chain([name], (f"{name}_{k}" for k in count(1)))
    return next(found for found in names if found not in taken)
