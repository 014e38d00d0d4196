"""What a model needs to go on training as if it had never stopped, beside its weights.

That is what its optimizer remembers, where the random generators of its layers stand, and where the training itself
stands (see `minidl.training.run`): as plain values, and as arrays by name:

    {"optimizer": {"variables": ["0/0/kernel", …], "excluded": […], "excluded_names": […]},
     "generators": {"3/_generator": {…}},
     "run": {"epoch": 6, "batches": 60, "shuffling": {…}, "augmentation": {…}, "callbacks": {…}},
     "random": {"initialization": {…}, …}}

    optimizer/iteration, optimizer/learning_rate, optimizer/0/0/kernel/momentum, …, run/0, …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minidl import random
from minidl.autodiff.graph import new_generation
from minidl.errors import DataFileError
from minidl.layers import Layer, Variable
from minidl.memory import Array
from minidl.optimizers import Optimizer
from minidl.saving.nested import put_together, taken_apart
from minidl.training import Run


def training_state(model: Any, places: Mapping[str, Variable]) -> tuple[dict[str, Any], dict[str, Array]]:
    """The state of a compiled model as plain values and arrays; `places` are its variables by their places."""
    of_optimizer, arrays = _optimizer_state(model.optimizer, places)
    run, of_run = taken_apart(None if model._run is None else model._run.get_state(), "run")
    generators = {name: generator.bit_generator.state for name, generator in _generators(model)}
    described, of_generators = taken_apart(generators, "generators")
    state = {"optimizer": of_optimizer, "generators": described, "run": run, "random": random.get_state()}
    return state, {**arrays, **of_run, **of_generators}


def restore_training(
    model: Any, places: Mapping[str, Variable], state: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Let a compiled model go on where `training_state` was taken."""
    _restore_optimizer(model.optimizer, places, state["optimizer"], arrays)
    generators = dict(_generators(model))
    found = put_together(state["generators"], arrays, "generators")
    if generators.keys() != found.keys():
        raise DataFileError(f"its layers have the generators {sorted(generators)}, it has {sorted(found)!r:.80}")
    for name, generator in generators.items():
        generator.bit_generator.state = found[name]
    run = put_together(state["run"], arrays, "run")
    model._run = None if run is None else Run.from_state(run)


def _generators(model: Layer) -> Iterator[tuple[str, np.random.Generator]]:
    """The generators of random numbers among the attributes of the layers: "3/_generator" is one of the fourth."""
    for k, layer in enumerate(_all_layers(model)):
        for name, value in sorted(vars(layer).items()):
            if isinstance(value, np.random.Generator):
                yield f"{k}/{name}", value


def _all_layers(model: Layer) -> list[Layer]:
    """The model, and every layer inside it, once."""
    found: dict[int, Layer] = {}
    pending = [model]
    while pending:
        layer = pending.pop()
        if id(layer) not in found:
            found[id(layer)] = layer
            pending.extend(reversed(layer._layers))
    return list(found.values())


def _optimizer_state(
    optimizer: Optimizer, places: Mapping[str, Variable]
) -> tuple[dict[str, Any], dict[str, Array]]:
    names = {id(variable): place for place, variable in places.items()}
    optimizer.build(optimizer.slots_of)  # with the slots of an argument that has been changed since
    # It may be that of several models: each keeps what is its own.
    slots = {names[id(v)]: found for v, found in optimizer.slots_of.items() if id(v) in names}
    excluded, excluded_names = optimizer.excluded
    state = {
        "variables": list(slots),
        "excluded": [names[id(variable)] for variable in excluded if id(variable) in names],
        "excluded_names": list(excluded_names),
    }
    return state, {name: variable.data for name, variable in _optimizer_variables(optimizer, slots).items()}


def _restore_optimizer(
    optimizer: Optimizer, places: Mapping[str, Variable], state: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    chosen = {place: places[place] for place in state["variables"]}
    optimizer.build(chosen.values())
    slots = {place: optimizer.slots_of[variable] for place, variable in chosen.items()}
    for name, variable in _optimizer_variables(optimizer, slots).items():
        if name not in arrays or arrays[name].dtype != variable.dtype:
            raise DataFileError(f"{name!r} of the optimizer is missing, or of another dtype than {variable.dtype}")
        variable.assign(arrays[name])
    if state["excluded"] or state["excluded_names"]:
        optimizer.exclude_from_weight_decay([places[place] for place in state["excluded"]], state["excluded_names"])
    new_generation()


def _optimizer_variables(optimizer: Optimizer, slots: Mapping[str, Mapping[str, Variable]]) -> dict[str, Variable]:
    """The variables of an optimizer by their names in a file: what it counts, and these slots."""
    of_variables = {id(slot) for found in optimizer.slots_of.values() for slot in found.values()}
    own = {f"optimizer/{v.name}": v for v in optimizer.variables if id(v) not in of_variables}
    used = optimizer.slots()
    return own | {
        f"optimizer/{place}/{name}": slot
        for place, found in slots.items()
        for name, slot in found.items()
        if name in used
    }
