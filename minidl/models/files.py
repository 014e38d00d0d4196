"""Models as files: what is written of a model, and a model from what was written.

Classes come from the dictionaries of this library and from what the caller hands over, never from a name that a file
makes Python import.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidl import layers, losses, metrics, optimizers
from minidl.errors import ArgumentError, DataFileError, MiniDLError, look_up
from minidl.layers.layer import Layer
from minidl.saving import read_archive, write_archive

_PUBLIC = {name: getattr(layers, name) for name in layers.__all__}
LAYERS = {name: kind for name, kind in _PUBLIC.items() if isinstance(kind, type) and issubclass(kind, Layer)}


def layer_config(layer: Layer) -> dict[str, Any]:
    """The class and configuration of a layer."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def layer_from_config(part: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """A new layer from what `layer_config` gave."""
    kind = look_up("layer", part["class_name"], {**LAYERS, **(custom_objects or {})})
    return kind.from_config(dict(part["config"]))


def compile_config(optimizer: Any, objective: Any) -> dict[str, Any] | None:
    """The optimizer, the loss and the metrics as plain values; None if one is a function that no file can hold."""
    try:
        return {
            "optimizer": optimizers.serialize(optimizer),
            "loss": losses.serialize(objective.loss),
            "metrics": [metrics.serialize(metric) for _, metric, weighted in objective.metrics if not weighted],
            "weighted_metrics": [metrics.serialize(metric) for _, metric, weighted in objective.metrics if weighted],
        }
    except MiniDLError:
        return None


def save(model: Any, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write a model to a `.minidl` file."""
    target = Path(path)
    if target.suffix != ".minidl":
        raise ArgumentError(f"save: expected a path that ends in .minidl, got {str(path)!r}")
    if target.exists() and not overwrite:
        raise ArgumentError(f"save: {str(path)!r} exists: delete it, or leave overwrite=True")
    config = {**layer_config(model), "compile_config": model.get_compile_config()}
    write_archive(target, config, {name: variable.data for name, variable in _variables(model).items()})


def load_model(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model in a `.minidl` file: its architecture, its weights, and how it was compiled.

    `custom_objects` has the classes of your own that the model uses, by name. Raises `DataFileError` if the file is no
    such model.
    """
    from minidl.models.sequential import Sequential

    config, arrays = read_archive(path)
    try:
        kind = look_up("model", config["class_name"], {"Sequential": Sequential, **(custom_objects or {})})
        model = kind.from_config(config["config"], custom_objects)
        compiled = config["compile_config"]
        if compiled is not None:
            model.compile(**compiled)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataFileError(f"{os.fspath(path)!r} holds no model that can be made here: {error}") from error
    named = {name: variable.shape for name, variable in _variables(model).items()}
    found = {name: array.shape for name, array in arrays.items()}
    if named != found:
        different = sorted(name for name in named.keys() | found.keys() if named.get(name) != found.get(name))
        raise DataFileError(f"{os.fspath(path)!r}: its weights do not fit its model: {', '.join(different[:5])}")
    for name, variable in _variables(model).items():
        variable.assign(arrays[name])
    return model


def _variables(model: Any) -> dict[str, Any]:
    """The variables by their place: "2/0/kernel" is the first variable, a kernel, of the third layer."""
    return {
        f"{k}/{j}/{variable.name}": variable
        for k, layer in enumerate(model.layers)
        for j, variable in enumerate(layer.variables)
    }
