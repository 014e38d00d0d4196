"""Models as files: what is written of a model, and a model from what was written.

Classes come from the dictionaries of this library and from what the caller hands over, never from a name that a file
makes Python import.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidl import layers, losses, metrics, optimizers
from minidl.errors import ArgumentError, DataFileError, MiniDLWarning, UnknownNameError, look_up
from minidl.layers.layer import Layer
from minidl.saving import read_archive, write_archive

_PUBLIC = {name: getattr(layers, name) for name in layers.__all__}
LAYERS = {name: kind for name, kind in _PUBLIC.items() if isinstance(kind, type) and issubclass(kind, Layer)}


def layer_config(layer: Layer) -> dict[str, Any]:
    """The class and configuration of a layer."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def layer_from_config(part: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new layer, or model inside a model, from what `layer_config` gave."""
    custom = custom_objects or {}
    kind = look_up("layer", part["class_name"], _classes(custom))
    if issubclass(kind, _sequential()):
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
    return {**LAYERS, "Sequential": _sequential(), **custom}


def _sequential() -> Any:
    """`Sequential`, which is made of what is here and so cannot be imported above."""
    from minidl.models.sequential import Sequential

    return Sequential


def compile_config(optimizer: Any, objective: Any) -> dict[str, Any]:
    """The optimizer, the loss and the metrics as plain values; `ArgumentError` for a function without a name."""
    return {
        "optimizer": optimizers.serialize(optimizer),
        "loss": losses.serialize(objective.loss),
        "metrics": [_metric_config(metric) for metric, weighted in objective.asked.values() if not weighted],
        "weighted_metrics": [_metric_config(metric) for metric, weighted in objective.asked.values() if weighted],
    }


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


def save(model: Any, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write a model to a `.minidl` file."""
    if not isinstance(model, _sequential()):
        raise ArgumentError(
            f"save: {model.name!r} is a {type(model).__name__}, and a file can describe a Sequential only: keep its "
            "weights by get_weights(), and its class in your program"
        )
    target = Path(path)
    if target.suffix != ".minidl":
        raise ArgumentError(f"save: expected a path that ends in .minidl, got {str(path)!r}")
    if target.exists() and not overwrite:
        raise ArgumentError(f"save: {str(path)!r} exists: delete it, or leave overwrite=True")
    try:
        compiled = model.get_compile_config()
    except ArgumentError as error:
        warnings.warn(
            f"save: the file does not say how {model.name!r} was compiled: {error}", MiniDLWarning, stacklevel=3
        )
        compiled = None
    config = {**layer_config(model), "compile_config": compiled}
    write_archive(target, config, {name: variable.data for name, variable in _variables(model).items()})


def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Any:
    """The model in a `.minidl` file: its architecture, its weights, and, with `compile`, how it was compiled.

    `custom_objects` has the classes and functions of your own that the model uses, by name. Raises `DataFileError` if
    the file is no such model.
    """
    config, arrays = read_archive(path)
    custom = custom_objects or {}
    try:
        kind = look_up("model", config["class_name"], {"Sequential": _sequential(), **custom})
        model = kind.from_config(config["config"], custom)
        compiled = config["compile_config"]
        if compile and compiled is not None:
            model.compile(
                optimizers.deserialize(compiled["optimizer"], custom),
                losses.deserialize(compiled["loss"], custom),
                [_metric(metric, custom) for metric in compiled["metrics"]],
                [_metric(metric, custom) for metric in compiled["weighted_metrics"]],
            )
    except Exception as error:  # what a hostile file says can fail in as many ways as there are layers
        hint = "; what is your own goes into custom_objects" if isinstance(error, UnknownNameError) else ""
        raise DataFileError(f"{os.fspath(path)!r} holds no model that can be made here: {error!r}{hint}") from error
    named = {name: (variable.shape, variable.dtype) for name, variable in _variables(model).items()}
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if named != found:
        different = sorted(name for name in named.keys() | found.keys() if named.get(name) != found.get(name))
        raise DataFileError(f"{os.fspath(path)!r}: its weights do not fit its model: {', '.join(different[:5])}")
    model.set_weights([arrays[name] for name in named])
    return model


def _variables(model: Any) -> dict[str, Any]:
    """The variables by their place: "2/0/kernel" is the first variable, a kernel, of the third layer."""
    return {
        f"{k}/{j}/{variable.name}": variable
        for k, layer in enumerate(model.layers)
        for j, variable in enumerate(layer.variables)
    }
