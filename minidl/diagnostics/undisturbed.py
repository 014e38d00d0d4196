"""Running a model in training mode without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.autodiff.tensor import Tensor
from minidl.autodiff.tree import leaves
from minidl.layers import Layer
from minidl.training import Data


@contextmanager
def undisturbed(model: Layer) -> Iterator[None]:
    """Whatever runs inside the block: moving averages and random generators are afterwards as they were before.

    The generators are those in the layers' attributes; every variable that is not trainable is copied once.
    """
    values = [(v, v.data.copy(), v.version) for v in model.variables if not v.trainable]
    generators = {id(g): g for _, layer in paths(model) for g in leaves(list(vars(layer).values())) if _is_random(g)}
    states = [(g.bit_generator, g.bit_generator.state) for g in generators.values()]
    try:
        yield
    finally:
        for variable, value, version in values:
            np.copyto(variable.data, value)
            variable.version = version
        for bits, state in states:
            bits.state = state


def _is_random(x: Any) -> bool:
    return isinstance(x, np.random.Generator)


def paths(layer: Layer, scope: str = "") -> Iterator[tuple[str, Layer]]:
    """A layer and all those inside it, each with its path as it is while it runs: "model/block/dense/"."""
    path = scope if f"/{scope}".endswith(f"/{layer.name}/") else f"{scope}{layer.name}/"
    yield path, layer
    for inner in layer._layers:
        yield from paths(inner, path)


def training_loss(model: Any, data: Data, outputs: Any) -> Tensor:
    """What training would minimize, for the outputs of a model that has just been called on the data."""
    loss: Tensor = model.objective(data.y, outputs, data.sample_weight)
    return loss
