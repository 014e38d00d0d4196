"""Weights from elsewhere: those whose names match go into a model, and a report says what became of each.

The rest of a model keeps its weights: half of a pretrained network, or arrays of another library, can be the beginning
of a new one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minidl.autodiff.tensor import plain
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.layers.layer import Layer
from minidl.layers.variable import Variable
from minidl.memory import Array
from minidl.models.files import read_weights, variables_by_path
from minidl.models.reusing import regular_expression
from minidl.saving import safetensors
from minidl.saving.npz import read_npz
from minidl.saving.opening import opened

# The files that `read_weights` reads.
_KINDS = (".minidl", ".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class LoadReport:
    """What became of each variable and of each array; print it.

    - `loaded`: the paths of the variables that got a value, and the names of the arrays that it came from.
    - `missing`: those that `pattern` chose and no array is named for.
    - `unfit`: those whose array has another shape, or a dtype that does not fit, and what is wrong.
    - `skipped`: those that `pattern` did not choose.
    - `unused`: the names of the arrays that went nowhere.
    """

    loaded: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unfit: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """A line for each variable and each array that was not used."""
        lines = [
            *(("loaded", path, f"from {name}" if name != path else "") for path, name in self.loaded.items()),
            *(("missing", path, "no array has this name") for path in self.missing),
            *(("unfit", path, reason) for path, reason in self.unfit.items()),
            *(("skipped", path, "the pattern is not found in it") for path in self.skipped),
            *(("unused", name, "no variable has this name, or the pattern leaves it out") for name in self.unused),
        ]
        width = max((len(path) for _, path, _ in lines), default=0)
        return "\n".join(f"{what:<8} {path:<{width}}  {why}".rstrip() for what, path, why in lines)


def load_weights_matching(
    model: Layer,
    source: Mapping[str, Any] | str | os.PathLike[str],
    pattern: str = "",
    rename: Mapping[str, str] | Callable[[str], str] | None = None,
) -> LoadReport:
    """Give the variables in whose path `pattern` is found the values that `source` has under their names.

    `source` is a dictionary of arrays by name, or a file: `.npz`, `.safetensors`, or whatever `read_weights` reads
    (`.minidl`, `.keras`, `.h5`, `.weights.h5`), of which no class is needed. A name is the path of a variable,
    "net/dense/kernel", with or without the name of the model it begins with, or, as in files of Keras 3, with its
    number in its layer, "dense/0". `rename` makes names of those in the source: a function, or regular expressions and
    their replacements, {r"^encoder/": ""}, one after the other.

    A value of another shape is left out, and the report says so; so that two arrays do not get one name is checked.
    Nothing changes before all is known. `ArgumentError`, with the report, if nothing at all fits.

        report = load_weights_matching(model, "pretrained.minidl", r"dense(_1)?/")
        print(report)
    """
    if not model.built:
        raise ArgumentError(f"load_weights_matching: {model.name!r} has no variables yet: call it on data first")
    expression = regular_expression(pattern)
    arrays = _renamed(_arrays(source), rename)
    report, values, names = LoadReport(), [], _names(model)
    for variable in model.variables:
        path = variable.path
        known = [name for name in names[variable] if name in arrays]
        if not expression.search(path):
            report.skipped.append(path)
        elif not known:
            report.missing.append(path)
        else:
            original, array = arrays[known[0]]
            try:
                values.append((variable, variable.accept(array)))
                report.loaded[path] = original
            except (ShapeError, DTypeError) as error:
                report.unfit[path] = str(error).partition(": ")[2]
    used = set(report.loaded.values())
    report.unused.extend(name for name, _ in arrays.values() if name not in used)
    if not values:
        raise ArgumentError(f"load_weights_matching: nothing in the source fits {model.name!r}:\n{report}")
    for variable, array in values:
        variable.assign(array)
    return report


def _names(model: Layer) -> dict[Variable, list[str]]:
    """What an array for each variable may be called."""
    names = {v: [v.path, v.path.removeprefix(f"{model.name}/")] for v in model.variables}
    for numbered in (False, True):
        for name, variable in variables_by_path(model, numbered=numbered).items():
            names[variable].append(name)
    return names


def _arrays(source: Any) -> dict[str, Array]:
    """The arrays of a source by their names."""
    if isinstance(source, Mapping):
        return {str(name): np.asarray(plain(value)) for name, value in source.items()}
    suffix = Path(source).suffix if isinstance(source, (str, os.PathLike)) else ""
    if suffix == ".npz":
        return read_npz(source)
    if suffix == ".safetensors":
        with opened(source) as file:
            return safetensors.load(file.read(), str(source))
    if suffix in _KINDS:
        return read_weights(source)
    raise ArgumentError(
        "load_weights_matching: expected a dictionary of arrays, or a file whose name ends in .npz, .safetensors, "
        f"{', '.join(_KINDS)}; got {source!r}"
    )


def _renamed(arrays: Mapping[str, Array], rename: Any) -> dict[str, tuple[str, Array]]:
    """The arrays by their new names, with their old ones; an error if two of them got the same."""
    if not (rename is None or callable(rename) or isinstance(rename, Mapping)):
        raise ArgumentError(f"rename: expected a function or {{pattern: replacement}}, got {rename!r}")
    found: dict[str, tuple[str, Array]] = {}
    for name, array in arrays.items():
        new = name
        if callable(rename):
            new = rename(name)
        for before, after in {} if rename is None or callable(rename) else dict(rename).items():
            new = re.sub(regular_expression(before), after, new)
        if new in found:
            raise ArgumentError(f"rename: {found[new][0]!r} and {name!r} both become {new!r}")
        found[new] = name, array
    return found
