"""How the layers of a functional model are called, as plain values that a file can hold, and back again.

    {"layers": [{"class_name": …, "config": …}, …],
     "calls": [{"layer": 0, "args": …, "kwargs": …}, …],
     "inputs": …, "outputs": …}

The calls are in an order in which they can be made again, `{"result": [k, j]}` in their arguments is the j-th result of
the k-th of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.autodiff.tree import leaves
from minidl.errors import ArgumentError
from minidl.layers.symbolic import KerasTensor
from minidl.models import files
from minidl.models.graph import Graph


def describe(graph: Graph, inputs: Any, outputs: Any) -> dict[str, Any]:
    """The layers of a graph and their calls."""
    numbers = {node: k for k, node in enumerate(graph.nodes)}
    layers = {layer: k for k, layer in enumerate(graph.layers)}

    def plain(x: Any) -> Any:
        """An argument as JSON has it: what JSON lacks is a dictionary with one key that says what it is."""
        if isinstance(x, KerasTensor):
            node, position = graph.origin(x)
            return {"result": [numbers[node], position]}
        if isinstance(x, list):
            return [plain(item) for item in x]
        if isinstance(x, tuple):
            return {"tuple": [plain(item) for item in x]}
        if isinstance(x, dict):
            return {"dict": {key: plain(item) for key, item in x.items()}}
        if isinstance(x, slice):
            return {"slice": [plain(x.start), plain(x.stop), plain(x.step)]}
        if x is Ellipsis:
            return {"ellipsis": None}
        if isinstance(x, np.ndarray):
            return {"array": x.tolist(), "dtype": x.dtype.name}
        if isinstance(x, np.generic):
            return x.item()
        if x is None or isinstance(x, (bool, int, float, str)):
            return x
        raise ArgumentError(f"a layer is called with {x!r}, which a file cannot hold: make it an argument of the layer")

    return {
        "layers": [files.layer_config(layer) for layer in graph.layers],
        "calls": [
            {
                "layer": layers[node.layer],
                # An input begins the graph here, wherever it comes from.
                "args": [] if node in graph.first else [plain(x) for x in node.args],
                "kwargs": {name: plain(x) for name, x in node.kwargs.items()},
            }
            for node in graph.nodes
        ],
        "inputs": plain(inputs),
        "outputs": plain(outputs),
    }


def repeat(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """New symbolic inputs and outputs, from what `describe` gave: new layers, called as the old ones were."""
    layers = [files.layer_from_config(part, custom_objects) for part in config["layers"]]
    results: list[list[Any]] = []

    def value(x: Any) -> Any:
        """What `plain` described."""
        if isinstance(x, list):
            return [value(item) for item in x]
        if not isinstance(x, dict):
            return x
        kind, content = next(iter(x.items()))
        if kind == "result":
            return results[content[0]][content[1]]
        if kind == "tuple":
            return tuple(value(item) for item in content)
        if kind == "dict":
            return {key: value(item) for key, item in content.items()}
        if kind == "slice":
            return slice(*map(value, content))
        if kind == "ellipsis":
            return ...
        if kind == "array":
            return np.array(content, np.dtype(x["dtype"]))
        raise ArgumentError(f"expected an argument of a layer, got {x!r:.80}")

    for call in config["calls"]:
        layer = layers[call["layer"]]
        kwargs = {name: value(x) for name, x in call["kwargs"].items()}
        outputs = layer(*map(value, call["args"]), **kwargs) if call["args"] or kwargs else layer.output
        results.append(leaves(outputs))
    return value(config["inputs"]), value(config["outputs"])
