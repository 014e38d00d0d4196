"""One look at a network: a forward and a backward pass on a sample, with somebody watching every kernel.

All kernels are handed to a `Runner` while it is in place (see `minidl.autodiff.replaying`), each with the path of the
layer that it belongs to. So nothing has to be known about the model: what runs, is seen.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.autodiff import GradientTape, no_grad
from minidl.autodiff.graph import HEAP, backward, layer_path, tracing
from minidl.autodiff.replaying import Runner
from minidl.autodiff.tensor import Tensor
from minidl.autodiff.tree import leaves, map_leaves
from minidl.diagnostics import picture
from minidl.diagnostics.layer_look import LayerLook, table
from minidl.diagnostics.words import in_words, is_finite
from minidl.kernels import (
    Cast,
    Elu,
    Gelu,
    GeneralRelu,
    HardSigmoid,
    Kernel,
    LeakyRelu,
    Mish,
    PRelu,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    Tanh,
    TanhGelu,
)
from minidl.layers import Layer, Variable
from minidl.layers.snapshot import Snapshot
from minidl.memory import Array, Memory
from minidl.training import Data
from minidl.training.step import loss_of

# Activations that flatten out on both sides, by how steep they are at 0.
_SQUASHING: dict[type[Kernel], float] = {Sigmoid: 1 / 4, HardSigmoid: 1 / 6, Tanh: 1.0, Softsign: 1.0}
_OTHERS = (Relu, GeneralRelu, LeakyRelu, PRelu, Elu, Selu, Gelu, TanhGelu, Silu, Mish, Softplus)

# Of the steepest slope: with less, an element is saturated; with less for every sample, a unit is dead.
_SATURATED = 0.2
_DEAD = 0.001


class Look:
    """What was seen of a model: `layers` in the order in which they ran, and the `loss` of the sample."""

    def __init__(self, layers: Sequence[LayerLook], loss: float) -> None:
        self.layers = list(layers)
        self.loss = loss

    @property
    def is_finite(self) -> bool:
        """Whether all outputs, all gradients and the loss are finite."""
        return is_finite(self.layers, self.loss)

    def table(self) -> str:
        """A line for every layer."""
        return "\n".join(table(self.layers))

    def verdict(self) -> str:
        """What is wrong, and what to try: a line for each finding."""
        return in_words(self.layers, self.loss)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The table as a picture, a panel for each column; see `Watch.plot`."""
        return picture.draw({0: self.layers}, path)


def diagnose(model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> Look:
    """One look at a compiled model as it is, trained or not, on a sample of a few hundred.

    It takes a forward and a backward pass in training mode: batch normalization works with the statistics of the
    sample and dropout drops, as they do in a step. All results are kept for a moment, so a look needs more memory than
    a step on as many samples, and up to twice the time. The model stays as it is to the last bit. Errors are those of
    `fit`: `NotCompiledError`, and what `x` and `y` may have.
    """
    data = model._data("diagnose", "train_step", x, y, sample_weight)
    if not model.built:
        with no_grad():
            model(map_leaves(lambda a: a[:1], data.x), training=False)
    return look_at(model, data)


def look_at(model: Any, data: Data, before: Mapping[Variable, Array] | None = None) -> Look:
    """The look; `before` are the weights before the last step."""
    watcher = _Watcher()
    with Snapshot(model, model.non_trainable_variables), np.errstate(all="ignore"):
        with tracing(watcher), GradientTape() as tape:
            outputs = model(data.x, training=True)
            loss = loss_of(model, data.x, data.y, outputs, data.sample_weight, training=True)
        variables = model.trainable_variables
        gradients = dict(zip(variables, tape.gradient(loss, variables), strict=True))
        ends = {watcher.hand_on(output.data) for output in leaves(outputs)}
        found = dict(reversed(list(_paths(model))))
        layers = [
            LayerLook(
                layer=(path.removeprefix(f"{model.name}/") or path).rstrip("/"),
                activation=watcher.activation(path),
                mean=float(np.mean(y, dtype=np.float64)),
                spread=float(np.std(y, dtype=np.float64)),
                **watcher.flatness(path, found.get(path)),
                **_of_weights(found.get(path), gradients, before or {}),
                is_output=path in ends,
            )
            for path, y in watcher.outputs()
        ]
    return Look(layers, float(loss.data.reshape(())))


class _Watcher(Runner):
    """Runs kernels and remembers, by the paths of the layers, what each handed on to others."""

    def __init__(self) -> None:
        # Where arrays were made. They are kept: the address of one that is gone may be used again.
        self._made: dict[int, tuple[str, Array]] = {}
        self._handed_on: dict[str, Array | None] = {}
        self._activations: dict[str, tuple[Kernel, Array, Any]] = {}

    def forward(self, kernel: Kernel, inputs: Sequence[Tensor | Array], memory: Memory = HEAP) -> tuple[Any, Any]:
        """Run a kernel."""
        path, arrays = layer_path.get(), [self.array(x) for x in inputs]
        y, saved = super().forward(kernel, arrays, memory)
        for array in arrays:
            # Outside of layers is the loss.
            if path and self._made.get(id(array), (path,))[0] != path:
                self.hand_on(array)
        # What is cast on the way into a layer is no result of anything.
        if path and not isinstance(kernel, Cast):
            self._handed_on.setdefault(path, None)
            self._made.update({id(result): (path, result) for result in leaves(y)})
        if isinstance(kernel, (*_SQUASHING, *_OTHERS)):
            self._activations[path] = kernel, y, saved
        return y, saved

    def hand_on(self, array: Array) -> str:
        """Note that an array leaves the layer that made it, and say which one that is; "" for none."""
        path = self._made.get(id(array), ("",))[0]
        if path and array.dtype.kind == "f":
            self._handed_on[path] = array
        return path

    def outputs(self) -> list[tuple[str, Array]]:
        """The layers, in the order in which they began, and what each handed on last."""
        return [(path, y) for path, y in self._handed_on.items() if y is not None]

    def activation(self, path: str) -> str:
        """The kernel of a layer's activation; "" without one."""
        return type(self._activations[path][0]).__name__ if path in self._activations else ""

    def flatness(self, path: str, layer: Layer | None) -> dict[str, float | None]:
        """The shares of saturated outputs and of dead units, from the slope y′(x) of the activation.

        An activation works element by element, so its backward pass, begun with ones, gives the slopes.
        """
        if path not in self._activations:
            return {"saturated": None, "dead": None}
        kernel, y, saved = self._activations[path]
        steepest = _SQUASHING.get(type(kernel), 1.0)
        slopes = np.abs(leaves(backward(kernel, HEAP, np.ones_like(y), saved, (True, False)))[0]) / steepest
        axis = 1 if getattr(layer, "data_format", "") == "channels_first" else -1
        units = np.moveaxis(slopes, axis, 0).reshape(slopes.shape[axis] if y.ndim > 1 else 1, -1)
        saturated = float(np.mean(slopes < _SATURATED)) if type(kernel) in _SQUASHING else None
        return {"saturated": saturated, "dead": float(np.mean((units < _DEAD).all(axis=1)))}


def _paths(layer: Layer, scope: str = "") -> Iterator[tuple[str, Layer]]:
    """A layer and all those inside it, each with its path as it is while it runs: "model/block/dense/"."""
    path = scope if f"/{scope}".endswith(f"/{layer.name}/") else f"{scope}{layer.name}/"
    yield path, layer
    for inner in layer._layers:
        yield from _paths(inner, path)


def _of_weights(
    layer: Layer | None, gradients: Mapping[Variable, Tensor | None], before: Mapping[Variable, Array]
) -> dict[str, float | None]:
    """The norm of the gradient of a layer's own trainable variables, and how much the last step changed them."""
    own = [] if layer is None else [v for v in layer._trainable_variables if v in gradients]
    known = [g.data for g in map(gradients.get, own) if g is not None]
    weights = _norm(before[v] for v in own if v in before)
    step = _norm(v.data - before[v] for v in own if v in before)
    return {"gradient": _norm(known) if known else None, "update": step / weights if weights else None}


def _norm(arrays: Iterable[Array]) -> float:
    """The norm of all arrays together."""
    return math.sqrt(sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays))
