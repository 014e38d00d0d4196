"""The graph of a functional model: which layers lie between its inputs and its outputs, and in what order they run.

It is searched once, when the model is made. What remains is a list of steps that a call goes through from first to
last: each takes the results of earlier steps by their numbers and runs a layer on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import ArgumentError
from minidl.layers import InputLayer, Layer
from minidl.layers.symbolic import KerasTensor, Node


@dataclass(frozen=True)
class Slot:
    """The place of a result among all results of a call; it stands where an argument will be."""

    number: int


@dataclass(frozen=True)
class Step:
    """Run a layer on arguments in which slots stand for results of earlier steps."""

    layer: Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[int]
    # What no later step asks for, so that its memory can be used again.
    finished: list[int]


class Graph:
    """What lies between symbolic inputs and outputs, ready to be run.

    `nodes` are in an order in which each comes after those it needs, `layers` in the order of Keras: the longer the
    way from a layer to the outputs, the earlier it stands; among equals, the one that is met first on the way back
    from the outputs. `depths` are these lengths, for each node.
    """

    def __init__(self, inputs: Sequence[KerasTensor], outputs: Any) -> None:
        # The graph begins at the inputs. One from the middle of another graph gets an InputLayer of its own here.
        self.sources = {tensor: _source(tensor) for tensor in inputs}
        self.first = set(self.sources.values())
        self.depths, self.layers = self._sorted(leaves(outputs))
        self.nodes = list(self.depths)
        _check_names(self.layers)
        places = [(node, k) for node in self.nodes for k in range(len(leaves(node.outputs)))]
        slots = {place: Slot(number) for number, place in enumerate(places)}

        def slot(x: Any) -> Any:
            return slots[self.origin(x)] if isinstance(x, KerasTensor) else x

        self.size = len(slots)
        self.inputs = [slot(tensor).number for tensor in inputs]
        self.outputs = map_leaves(slot, outputs)
        steps = []
        needed = {x.number for x in leaves(self.outputs)}
        for node in reversed(self.nodes):
            results = [slots[node, k].number for k in range(len(leaves(node.outputs)))]
            # The layer of an input checks what it is given.
            args = (Slot(results[0]),) if node in self.first else map_leaves(slot, node.args)
            kwargs = map_leaves(slot, node.kwargs)
            read = {x.number for x in leaves((args, kwargs)) if isinstance(x, Slot)}
            steps.append(Step(node.layer, args, kwargs, results, sorted({*read, *results} - needed)))
            needed |= read
        self.steps = steps[::-1]

    def run(self, inputs: Sequence[Any], call: Callable[[Layer], Callable[..., Any]] = lambda layer: layer) -> Any:
        """The outputs for these inputs; `call` says what is done with a layer, by default it is called."""
        values: list[Any] = [None] * self.size

        def fill(x: Any) -> Any:
            return values[x.number] if type(x) is Slot else x

        for number, value in zip(self.inputs, inputs, strict=True):
            values[number] = value
        for step in self.steps:
            results = call(step.layer)(*map_leaves(fill, step.args), **map_leaves(fill, step.kwargs))
            for number, value in zip(step.results, leaves(results), strict=True):
                values[number] = value
            for number in step.finished:
                values[number] = None
        return map_leaves(fill, self.outputs)

    @property
    def is_chain(self) -> bool:
        """Whether the layers stand one after the other, each called once and on one tensor."""
        one_each = len(set(self.depths.values())) == len(self.nodes) == len(self.layers)
        return one_each and all(len(node.inputs) <= 1 for node in self.nodes)

    def connections(self, layer: Layer) -> list[tuple[Layer, int, int]]:
        """What the calls of a layer in this graph are given: results of a layer, of which call, which of them."""
        calls = [node for node in layer.inbound_nodes if node in self.depths and node not in self.first]
        origins = [self.origin(tensor) for node in calls for tensor in node.inputs]
        return [(node.layer, node.index, position) for node, position in origins]

    def origin(self, tensor: KerasTensor) -> tuple[Node, int]:
        """The call of a layer that makes a tensor in this graph, and which of its results it is."""
        if tensor in self.sources:
            return self.sources[tensor], 0
        if tensor.node is None:
            raise ArgumentError(f"Graph disconnected: {tensor!r} comes from no layer: begin with Input(…)")
        return tensor.node, tensor.position

    def parents(self, node: Node) -> list[Node]:
        """The calls that a call takes results of."""
        if node in self.first:
            return []
        parents = []
        for tensor in node.inputs:
            parent, _ = self.origin(tensor)
            if not parent.inputs and parent not in self.first:
                raise ArgumentError(
                    f"Graph disconnected: {node.layer.name!r} needs {tensor!r}, which is none of the inputs: add it to "
                    "the inputs of the model"
                )
            parents.append(parent)
        return parents

    def _sorted(self, outputs: list[Any]) -> tuple[dict[Node, int], list[Layer]]:
        """The depths of the nodes, and the layers, each in their order."""
        found, met = self._search(outputs)
        depths: dict[Node, int] = {}
        layer_depths: dict[Layer, int] = {}
        # Whatever needs a node stands after it: its depth is known by the time it is reached.
        for node in reversed(found):
            depth = max(depths.get(node, 0), layer_depths.get(node.layer, 0))
            depths[node] = layer_depths[node.layer] = depth
            for parent in self.parents(node):
                depths[parent] = max(depths.get(parent, 0), depth + 1)
        for source in self.sources.values():
            if source not in depths:  # no output depends on it
                depths[source] = layer_depths[source.layer] = 0
                met[source.layer] = -1
        nodes = sorted(depths, key=lambda node: -depths[node])
        layers = sorted(layer_depths, key=lambda layer: (-layer_depths[layer], met[layer]))
        return {node: depths[node] for node in nodes}, layers

    def _search(self, outputs: list[Any]) -> tuple[list[Node], dict[Layer, int]]:
        """The nodes that the outputs depend on, each after its parents; and when each layer was met."""
        seen: dict[Node, None] = {}
        found: list[Node] = []
        met: dict[Layer, int] = {}
        for output in outputs:
            node, _ = self.origin(output)
            if not node.inputs and node not in self.first:
                raise ArgumentError(f"Graph disconnected: the output {output!r} depends on none of the inputs")
            # Not by recursion: a network may be deeper than Python's stack.
            pending = [] if node in seen else [(node, iter([node]))]
            while pending:
                node, parents = pending[-1]
                parent = next((parent for parent in parents if parent not in seen), None)
                if parent is None:
                    found.append(pending.pop()[0])
                    continue
                seen[parent] = None
                met.setdefault(parent.layer, len(met))
                pending.append((parent, iter(self.parents(parent))))
        return found, met


def _source(tensor: KerasTensor) -> Node:
    """The node that an input comes from, or that of a new layer that takes it from outside."""
    if tensor.node is not None and not tensor.node.inputs:
        return tensor.node
    return InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype.name, name=tensor.name).inbound_nodes[0]


def _check_names(layers: list[Layer]) -> None:
    for name, count in Counter(layer.name for layer in layers).items():
        if count > 1:
            raise ArgumentError(f"{count} layers of the model have the name {name!r}: give them different names")
