"""Running a model in training mode without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minidl.layers import Layer
from minidl.layers.snapshot import Snapshot, generators


@contextmanager
def undisturbed(model: Layer) -> Iterator[None]:
    """Whatever runs inside the block: moving averages and random generators are afterwards as they were before."""
    before = Snapshot([v for v in model.variables if not v.trainable], generators(model))
    try:
        yield
    finally:
        before.restore()


def paths(layer: Layer, scope: str = "") -> Iterator[tuple[str, Layer]]:
    """A layer and all those inside it, each with its path as it is while it runs: "model/block/dense/"."""
    path = scope if f"/{scope}".endswith(f"/{layer.name}/") else f"{scope}{layer.name}/"
    yield path, layer
    for inner in layer._layers:
        yield from paths(inner, path)
