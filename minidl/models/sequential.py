"""`Sequential`: layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, NotBuiltError, ShapeError
from minidl.layers import InputLayer
from minidl.layers.layer import Layer
from minidl.layers.symbolic import KerasTensor, OpenShape
from minidl.models import files
from minidl.models.model import Model


class Sequential(Model):
    """Layers one after the other: y = fₙ(… f₂(f₁(x))).

    The weights are made as soon as the input shape is known: from an `Input` as first entry, from `input_shape=` of the
    first layer, or from the first data. A layer may be in several models, which then share its weights.
    """

    def __init__(self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        # The symbolic input and what each layer makes of it, as soon as the input shape is known.
        self._tensors: list[KerasTensor] = []
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    def add(self, layer: Layer | KerasTensor) -> None:
        """Append a layer; nothing changes if it does not fit. The first may be an `Input`."""
        if isinstance(layer, KerasTensor) and layer.node is not None and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            hint = f": write {layer.__name__}(…)" if isinstance(layer, type) else ""
            raise ArgumentError(f"add: expected a layer, got {layer!r}{hint}")
        if any(layer.name == other.name for other in self._layers):
            raise ArgumentError(f"add: {self.name!r} already has a layer named {layer.name!r}: give it another name")
        if isinstance(layer, InputLayer):
            if self._layers or self._tensors:
                raise ArgumentError("add: Input says which shape the first layer gets, so it must come first")
            self._tensors, self.batch_input_shape = [layer.output], layer.batch_shape
            return
        tensors = self._tensors
        if not tensors and not self._layers and layer.batch_input_shape is not None:
            tensors = [InputLayer(batch_shape=layer.batch_input_shape).output]
        if tensors:
            shape = tensors[-1].shape
            if not _fits(shape, layer.batch_input_shape or shape):
                raise ShapeError(
                    f"add: {layer.name!r} is for inputs of shape {layer.batch_input_shape}, it would get {shape}"
                )
            self._tensors = self._through([layer], tensors)
            self.batch_input_shape = tensors[0].shape
        self._track(layer)
        self.built = bool(self._tensors)

    def _through(self, layers: list[Layer], tensors: list[KerasTensor]) -> list[KerasTensor]:
        """Symbolic tensors, and what these layers, one after the other, make of the last one."""
        tensors = list(tensors)
        with self.naming_scope():
            for layer in layers:
                tensors.append(layer(tensors[-1]))
        return tensors

    def _forget_leaves(self, value: Any) -> None:
        """A layer stays until `pop`, also if some attribute named it for a while."""

    def pop(self) -> Layer:
        """Remove the last layer and give it back."""
        if not self._layers:
            raise ArgumentError(f"pop: {self.name!r} has no layers")
        layer = self._layers.pop()
        del self._tensors[len(self._layers) + 1 :]
        self.built = self.built and bool(self._layers)
        return layer

    def build(self, input_shape: OpenShape | Sequence[int | None]) -> None:
        """Make the weights for inputs of this shape (batch first)."""
        if not self._layers:
            raise NotBuiltError(f"{self.name!r} has no layers: add some first")
        known: OpenShape = (None, *tuple(input_shape)[1:])
        self._check_input(known)
        if not self._tensors:
            first = InputLayer(batch_shape=known)
            self._tensors = self._through(self._layers, [first.output])
            self.batch_input_shape = first.batch_shape
        super().build(known)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The output of the last layer."""
        self._check_input(inputs.shape)
        for layer in self._layers:
            inputs = layer(inputs, training=training)
        return inputs

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The shape after the last layer."""
        if self._tensors and tuple(input_shape) == self._tensors[0].shape:
            return self._tensors[-1].shape
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    @property
    def input(self) -> KerasTensor:
        """The symbolic input."""
        return self._tensors_if_built()[0]

    @property
    def output(self) -> KerasTensor:
        """The symbolic output."""
        return self._tensors_if_built()[-1]

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list."""
        return self._tensors_if_built()[:1]

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic output, in a list."""
        return self._tensors_if_built()[-1:]

    @property
    def input_names(self) -> list[str]:
        """The name of the only input."""
        return [tensor.name for tensor in self._tensors[:1]] or ["x"]

    @property
    def output_names(self) -> list[str]:
        """The name of the only output, that of the last layer."""
        return [layer.name for layer in self._layers[-1:]] or ["y"]

    def _tensors_if_built(self) -> list[KerasTensor]:
        if not self._tensors:
            raise NotBuiltError(f"{self.name!r} does not know its input shape yet: begin with Input, or build it")
        return self._tensors

    def _check_input(self, shape: OpenShape) -> None:
        expected = self.batch_input_shape
        if expected is not None and not _fits(shape, expected):
            raise ShapeError(f"{self.name!r} expects inputs of shape {expected}, got {shape}")

    def get_config(self) -> dict[str, Any]:
        """The layers' classes and configurations, and the input shape."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "batch_input_shape": self.batch_input_shape and list(self.batch_input_shape),
            "layers": [files.layer_config(layer) for layer in self._layers],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A new model, with new weights, from what `get_config` gave."""
        model = cls(trainable=config["trainable"], name=config["name"])
        if config["batch_input_shape"] is not None:
            model.add(InputLayer(batch_shape=config["batch_input_shape"]))
        for part in config["layers"]:
            model.add(files.layer_from_config(part, custom_objects))
        return model


def _fits(shape: OpenShape, expected: OpenShape) -> bool:
    """Whether a shape is the expected one; the batch may have any size, and so may what is open."""
    return len(shape) == len(expected) and all(
        n is None or m is None or n == m for n, m in zip(shape[1:], expected[1:], strict=True)
    )
