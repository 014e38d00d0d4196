"""The files of Keras: `.keras` archives, `.weights.h5`, and the `.h5` files of Keras 1 to 3. They need h5py.

A `.keras` file is a zip archive of `metadata.json`, `config.json` (see `keras_config`) and `model.weights.h5`. In the
latter, each layer has a group with the attribute `name`, and its own variables are the arrays 0, 1, … in it:

    layers/dense/vars/0                 of a Sequential or a graph: the first Dense, whatever its name
    layers/sequential/layers/dense/…    of a model inside
    hidden/vars/0                       of a model of one's own: the attribute that the layer is
    optimizer/vars/0                    iterations, learning rate, slots

An `.h5` file has the configuration in its attributes `model_config` and `training_config`. `model_weights` has a group
for each layer, by its name, in which the attribute `weight_names` lists its variables, and `optimizer_weights` is such
a group, too. A file with the former's content at its root has weights alone.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from minidl import random
from minidl.configurable import snake_case
from minidl.errors import DataFileError, MiniDLWarning
from minidl.layers import Layer, Variable
from minidl.memory import Array
from minidl.models import files
from minidl.models.files import Assignment
from minidl.models.functional import Functional
from minidl.models.keras_config import compile_from_keras, from_keras, to_keras
from minidl.models.sequential import Sequential
from minidl.optimizers import Optimizer, RMSprop
from minidl.saving import kind_of, plain_json
from minidl.saving.archive import read_members, write_members
from minidl.saving.hdf5 import Attributes, listed, read_hdf5, write_hdf5
from minidl.saving.opening import opened, written

# The version of Keras whose files these are.
_VERSION = "3.15.1"
_CONFIG, _WEIGHTS, _METADATA = "config.json", "model.weights.h5", "metadata.json"


def save(model: Any, path: Path, compiled: Mapping[str, Any] | None) -> None:
    """Write a model to a `.keras` or `.h5` file."""
    config = to_keras(model, compiled)
    optimizer = None if compiled is None else model.optimizer
    if path.suffix == ".keras":
        weights = io.BytesIO()
        write_hdf5(weights, *_to_groups(model, optimizer))
        members = {
            _METADATA: plain_json.encode({"keras_version": _VERSION}, _METADATA),
            _CONFIG: plain_json.encode(config, _CONFIG),
            _WEIGHTS: weights.getvalue(),
        }
        write_members(path, {name: [content] for name, content in members.items()})
        return
    arrays, attributes = _to_lists(model, "model_weights/")
    training = config.pop("compile_config", None)
    about = {"keras_version": _VERSION, "backend": "minidl", "model_config": json.dumps(config)}
    if optimizer is not None and training is not None:
        described = {"optimizer_config": training.pop("optimizer"), **training}
        about["training_config"] = json.dumps(described)
        _list("optimizer_weights", [(v.path, _as_keras(v)) for v in _in_order(optimizer)], arrays, attributes)
    _write(path, arrays, {"": about, **attributes})


def save_weights(model: Any, path: Path) -> None:
    """Write the weights to a `.weights.h5` file, or to an `.h5` file as Keras 1 and 2 have them."""
    _write(path, *(_to_groups(model, None) if path.name.endswith(".weights.h5") else _to_lists(model)))


def _write(path: Path, arrays: Mapping[str, Array], attributes: Attributes) -> None:
    content = io.BytesIO()
    write_hdf5(content, arrays, attributes)
    with written(path) as file:
        file.write(content.getbuffer())


def load_model(path: str | os.PathLike[str], custom: Mapping[str, Any], compile: bool) -> Any:
    """The model in a `.keras` or `.h5` file."""
    config, arrays, attributes = _read(path)
    if config is None:
        raise DataFileError(f"{os.fspath(path)!r} holds weights alone: make the model and call load_weights")
    with files.loading(path, arrays), random.undisturbed():
        model = files.model_from_config(from_keras(config, custom), custom)
        compiled = config.get("compile_config")
        if compile and compiled:
            compile_from_keras(model, compiled, custom)
            model.optimizer.build(model.trainable_variables)
        of_model, of_optimizer = _assignments(model, arrays, attributes)
    files.assign(model, of_model, path)
    if compile and compiled:
        _restore_optimizer(model.optimizer, of_optimizer, path)
    return model


def _restore_optimizer(optimizer: Optimizer, arrays: Sequence[Array], path: str | os.PathLike[str]) -> None:
    """Let the optimizer go on from its arrays; as in Keras, it begins anew, with a warning, if they are not all."""
    variables = _in_order(optimizer)
    if [v.shape for v in variables] == [array.shape for array in arrays]:
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array.astype(variable.dtype))
    elif len(arrays) > 2:
        text = f"the optimizer has {len(variables)} variables, the file {len(arrays)} others: it begins anew"
        warnings.warn(f"load_model: {os.fspath(path)!r}: {text}", MiniDLWarning, stacklevel=4)
    else:  # it had not taken a step
        for variable, array in zip(variables, arrays, strict=False):
            if variable.shape == array.shape:
                variable.assign(array.astype(variable.dtype))


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any] | None, dict[str, Array], Attributes]:
    """The configuration in a file of Keras, if it has one, its arrays and its attributes."""
    name = os.fspath(path)
    if kind_of(path) == "keras":
        members = read_members(path, {_CONFIG: plain_json.MAX_BYTES, _WEIGHTS: None})
        config = plain_json.decode(members[_CONFIG], f"{name}: {_CONFIG}")
        weights = members[_WEIGHTS]
        arrays, attributes = read_hdf5(io.BytesIO(weights), len(weights), f"{name}: {_WEIGHTS}")
        return _checked(config, f"{name}: {_CONFIG}"), arrays, attributes
    with opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        arrays, attributes = read_hdf5(file, size, str(name))
    about = attributes[""]
    if "model_config" not in about:
        return None, arrays, attributes
    config = _json(about, "model_config", name)
    if "training_config" in about:
        training = _json(about, "training_config", name)
        config["compile_config"] = {**training, "optimizer": training.get("optimizer_config")}
    return config, arrays, attributes


def _json(about: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    text = about[key]
    if not isinstance(text, str) or len(text) > plain_json.MAX_BYTES:
        raise DataFileError(f"{name}: {key} is no text of at most {plain_json.MAX_BYTES:,} bytes")
    return _checked(plain_json.decode(text.encode(errors="surrogateescape"), f"{name}: {key}"), f"{name}: {key}")


def _checked(config: Any, where: str) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise DataFileError(f"{where}: expected a dictionary, got {config!r:.80}")
    return config


# Where the variables are.


def _groups(layer: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Layer]]:
    """A layer and all that are inside it, each once, with the paths of their groups in a `.weights.h5` file."""
    seen = set() if seen is None else seen
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield path, layer
    inside = vars(layer).items()
    attributes = sorted(inside, key=lambda item: item[0].replace("_", "~", 1) if item[0][0] == "_" else item[0])
    if isinstance(layer, (Functional, Sequential)):
        attributes = [("layers", layer.layers), *attributes]
    for name, value in attributes:
        if name != "_layers":
            yield from _groups_in(value, f"{path}/{name}".lstrip("/"), seen)


def _groups_in(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Layer]]:
    """Those of the layers in an attribute: a layer, or a list or dictionary of them, which are named by their class."""
    if isinstance(value, Layer):
        yield from _groups(value, path, seen)
    if not isinstance(value, (list, tuple, dict)):
        return
    names: dict[str, None] = {}
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (Layer, list, tuple, dict)):
            kind = snake_case(type(item).__name__) if isinstance(item, Layer) else "container"
            name = files.unique(kind, names)
            names[name] = None
            yield from _groups_in(item, f"{path}/{name}", seen)


def _own(layer: Layer) -> list[Variable]:
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _to_groups(model: Any, optimizer: Optimizer | None) -> tuple[dict[str, Array], Attributes]:
    """What a `.weights.h5` file holds."""
    arrays: dict[str, Array] = {}
    attributes: Attributes = {}
    owners: list[tuple[str, str, list[Variable]]] = [(p, layer.name, _own(layer)) for p, layer in _groups(model)]
    if optimizer is not None:
        owners.append(("optimizer", optimizer.name, _in_order(optimizer)))
    for path, name, variables in owners:
        group = f"{path}/vars".lstrip("/")
        attributes[group] = {"name": name}
        arrays |= {f"{group}/{k}": _as_keras(variable) for k, variable in enumerate(variables)}
    return arrays, attributes


def _to_lists(model: Any, before: str = "") -> tuple[dict[str, Array], Attributes]:
    """What an `.h5` file holds."""
    arrays: dict[str, Array] = {}
    layers = list(model.layers)
    about = {"layer_names": [layer.name for layer in layers], "backend": "minidl", "keras_version": _VERSION}
    attributes: Attributes = {before.rstrip("/"): about}
    inside = {id(v) for layer in layers for v in layer.variables}
    for layer in layers:
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        _list(f"{before}{layer.name}", [(v.path, v.data) for v in variables], arrays, attributes)
    own = [(v.path, v.data) for v in _own(model) if id(v) not in inside]
    _list(f"{before}top_level_model_weights", own, arrays, attributes)
    return arrays, attributes


def _list(
    group: str, named: Sequence[tuple[str, Array]], arrays: dict[str, Array], attributes: Attributes
) -> None:
    """Put arrays into a group that lists their names, which it has to itself."""
    names: dict[str, None] = {}
    for path, array in named:
        name = files.unique(path, names)
        names[name] = None
        arrays[f"{group}/{name}"] = array
    attributes[group] = {"weight_names": list(names)}


def _in_order(optimizer: Optimizer) -> list[Variable]:
    """The variables of an optimizer as Keras has them: the first two slots of each variable together, others apart.

    RMSprop has each of its slots apart.
    """
    slots = list(optimizer.slots())
    together = 1 if isinstance(optimizer, RMSprop) else 2
    kinds = [slots[:together], *([name] for name in slots[together:])]
    of_variables = optimizer.slots_of.values()
    in_order = [found[name] for kind in kinds for found in of_variables for name in kind if name in found]
    known = {id(slot) for found in of_variables for slot in found.values()}
    own = [v for v in optimizer.variables if id(v) not in known]
    first = [v for v in own if v.name in ("iteration", "learning_rate")]
    return [*first, *in_order, *(v for v in own if not any(v is other for other in first))]


def _as_keras(variable: Variable) -> Array:
    """The array of a variable; what an optimizer counts has half the bits there."""
    halves = {"int64": "int32", "float64": "float32"}
    of_optimizer = variable.name in ("iteration", "learning_rate", "u_product")
    return variable.data.astype(halves[variable.dtype.name]) if of_optimizer else variable.data


# From the file to the variables.


def assignments(model: Any, path: str | os.PathLike[str]) -> list[Assignment]:
    """What the weights in a file are for a model."""
    _, arrays, attributes = _read(path)
    with files.loading(path, arrays):
        return _assignments(model, arrays, attributes)[0]


def read_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All weights in a file by the names of their layers."""
    _, arrays, attributes = _read(path)
    found: dict[str, Array] = {}
    for path_in_file, array in arrays.items():
        if not path_in_file.startswith(("optimizer/", "optimizer_weights/")):
            found[files.unique(_readable(path_in_file, attributes), found)] = array
    return found


def _readable(path: str, attributes: Attributes) -> str:
    """"layers/dense/vars/0" → "hidden/0", with the names that the groups on the way have as attributes.

    In an `.h5` file it is the path of the variable, from its layer on: "hidden/net/hidden/kernel:0" → "hidden/kernel".
    """
    *groups, name = path.removeprefix("model_weights/").split("/")
    if "vars" not in groups:
        layer, *parts = [*groups, name.removesuffix(":0")]
        if layer == "top_level_model_weights":
            return "/".join(parts)
        return "/".join(parts[parts.index(layer) :] if layer in parts else [layer, *parts])
    ways = ["/".join(groups[:k]) for k in range(1, len(groups))]
    names = [attributes.get(f"{way}/vars", {}).get("name") for way in ways]
    return "/".join([*(str(part) for part in names if part), name])


def _assignments(
    model: Any, arrays: Mapping[str, Array], attributes: Attributes
) -> tuple[list[Assignment], list[Array]]:
    """What belongs to each layer, and to the optimizer."""
    root = "model_weights" if "model_weights" in attributes else ""
    if "layer_names" in attributes[root] or "layer_names0" in attributes[root]:
        return _from_lists(model, arrays, attributes, f"{root}/".lstrip("/")), _listed_arrays(
            "optimizer_weights", arrays, attributes
        )
    groups = {f"{path}/vars".lstrip("/"): layer for path, layer in _groups(model)}
    found = [files.paired(f"{x.name!r} ({group})", _own(x), _numbered(group, arrays)) for group, x in groups.items()]
    # Random generators of Keras are not those here.
    others = {path.rpartition("/")[0] for path in arrays if path.startswith("layers/") and "seed_gen" not in path}
    found += [files.paired(group, [], _numbered(group, arrays)) for group in sorted(others - groups.keys())]
    return found, _numbered("optimizer/vars", arrays)


def _from_lists(model: Any, arrays: Mapping[str, Array], attributes: Attributes, root: str) -> list[Assignment]:
    """Those of an `.h5` file: the layers that have weights, in their order."""
    groups = [f"{root}{name}" for name in listed(attributes[root.rstrip("/")], "layer_names")]
    stored = [(group, _listed_arrays(group, arrays, attributes)) for group in groups]
    stored = [(group, found) for group, found in stored if found]
    layers = [layer for layer in model.layers if layer.variables]
    if len(stored) != len(layers):
        raise DataFileError(f"it has weights of {len(stored)} layers, the model has {len(layers)} layers with weights")
    inside = {id(v) for layer in layers for v in layer.variables}
    result = [
        files.paired(f"{layer.name!r} ({group})", [*layer.trainable_variables, *layer.non_trainable_variables], found)
        for layer, (group, found) in zip(layers, stored, strict=True)
    ]
    own = [v for v in _own(model) if id(v) not in inside]
    top = f"{root}top_level_model_weights"
    return [*result, files.paired(repr(model.name), own, _listed_arrays(top, arrays, attributes))]


def _numbered(group: str, arrays: Mapping[str, Array]) -> list[Array]:
    """The arrays 0, 1, … of a group."""
    found: list[Array] = []
    while f"{group}/{len(found)}" in arrays:
        found.append(arrays[f"{group}/{len(found)}"])
    return found


def _listed_arrays(group: str, arrays: Mapping[str, Array], attributes: Attributes) -> list[Array]:
    """The arrays of a group that its attribute lists."""
    names = listed(attributes.get(group, {}), "weight_names")
    missing = [name for name in names if f"{group}/{name}" not in arrays]
    if missing:
        raise DataFileError(f"{group}: lists {missing[0]!r:.80}, which is not there")
    return [arrays[f"{group}/{name}"] for name in names]
