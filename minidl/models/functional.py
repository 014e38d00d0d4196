"""`Functional`: the model between symbolic inputs and outputs, as `Model(inputs, outputs)` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import ArgumentError, ShapeError, unknown_name
from minidl.layers import Layer
from minidl.layers.operation import Operation
from minidl.layers.symbolic import KerasTensor, symbolic
from minidl.models import calls
from minidl.models.graph import Graph
from minidl.models.model import Model


class Functional(Model):
    """A model from a graph of layers: `x = Input((4,)); y = Dense(3)(x); model = Model(x, y)`.

    Inputs and outputs are symbolic tensors, alone, in a list, or in a dictionary. Everything in between belongs to the
    model: layers may branch, merge, be models themselves, and be called several times, with the same weights. An input
    may also be the result of a layer: the model then begins there.
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, *, name: str | None = None, trainable: bool = True
    ) -> None:
        super().__init__(name=name)
        self._input_tree, self._output_tree = _alone_or_sorted("inputs", inputs), _alone_or_sorted("outputs", outputs)
        self.graph = Graph(leaves(self._input_tree), self._output_tree)
        for layer in self.graph.layers:
            self._track(layer)
        self.built = True
        if not trainable:
            self.trainable = False

    @property
    def operations(self) -> list[Layer]:
        """All layers, also those that stand for a function on tensors, such as `x + y`."""
        return list(self.graph.layers)

    @property
    def layers(self) -> list[Layer]:
        """The layers but for those that stand for a function on tensors, from the inputs to the outputs."""
        return [layer for layer in self.graph.layers if not isinstance(layer, Operation)]

    @property
    def input(self) -> Any:
        """The symbolic input, or inputs, nested as they were given."""
        return self._input_tree

    @property
    def output(self) -> Any:
        """The symbolic output, or outputs, nested as they were given."""
        return self._output_tree

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs."""
        return leaves(self._input_tree)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs."""
        return leaves(self._output_tree)

    @property
    def input_names(self) -> list[str]:
        """The names by which data can be given: the keys of the inputs, or the names of their layers."""
        if isinstance(self._input_tree, dict):
            return list(self._input_tree)
        return [self.graph.origin(tensor)[0].layer.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names by which targets, losses and metrics can be given: the keys of the outputs, or their layers'."""
        if isinstance(self._output_tree, dict):
            return list(self._output_tree)
        names = [self.graph.origin(tensor)[0].layer.name for tensor in self.outputs]
        # A layer that gives several of them has its name numbered.
        before = [names[:k].count(name) for k, name in enumerate(names)]
        return [f"{name}_{count}" if count else name for name, count in zip(names, before, strict=True)]

    @property
    def input_shape(self) -> Any:
        """The shape of the input, None for an open size; of several, nested as they are."""
        return map_leaves(lambda tensor: tensor.shape, self._input_tree)

    @property
    def output_shape(self) -> Any:
        """The shape of the output, None for an open size; of several, nested as they are."""
        return map_leaves(lambda tensor: tensor.shape, self._output_tree)

    def call(self, inputs: Any) -> Any:
        """The outputs, nested as the symbolic ones are."""
        return self.graph.run(self._in_order(inputs))

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """The symbolic outputs for these symbolic inputs."""
        return self.graph.run(self._in_order(inputs), lambda layer: layer.compute_output_spec)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of this shape."""
        outputs = self.compute_output_spec(symbolic(input_shape, self.dtype))
        return map_leaves(lambda tensor: tensor.shape, outputs)

    def _in_order(self, inputs: Any) -> list[Any]:
        """The inputs as a list, from one, a list of them, or a dictionary by their names."""
        if isinstance(inputs, Mapping):
            names = self.input_names
            for name in inputs:
                if name not in names:
                    raise unknown_name(f"input of {self.name!r}", name, names)
            missing = ", ".join(repr(name) for name in names if name not in inputs)
            if missing:
                raise ArgumentError(f"{self.name!r}: nothing is given for its input {missing}")
            return [inputs[name] for name in names]
        flat = leaves(inputs)
        if len(flat) != len(self.graph.inputs):
            listed = ", ".join(self.input_names)
            raise ShapeError(f"{self.name!r} has {len(self.graph.inputs)} inputs ({listed}), got {len(flat)}")
        return flat

    def get_config(self) -> dict[str, Any]:
        """The layers' classes and configurations, and how they are called."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            **calls.describe(self.graph, self._input_tree, self._output_tree),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A new model, with new weights, from what `get_config` gave."""
        inputs, outputs = calls.repeat(config, custom_objects)
        return cls(inputs, outputs, name=config["name"], trainable=config["trainable"])

    def _forget_leaves(self, value: Any) -> None:
        """The layers of the graph stay, also if some attribute named one for a while."""


def _alone_or_sorted(what: str, tensors: Any) -> Any:
    """One tensor of a list of one by itself, a dictionary by its keys; an error for what is not symbolic."""
    found = leaves(tensors)
    if not found:
        raise ArgumentError(f"Model: expected at least one symbolic tensor as {what}")
    for x in found:
        if not isinstance(x, KerasTensor):
            raise ArgumentError(
                f"Model: expected {what} that are symbolic, as Input(…) and layers called on it give, got a "
                f"{type(x).__name__}"
            )
    if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
        return tensors[0]
    return dict(sorted(tensors.items())) if isinstance(tensors, dict) else tensors
