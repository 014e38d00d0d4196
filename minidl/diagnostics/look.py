"""One look at a network: a forward and a backward pass on a sample, with somebody watching every kernel.

All kernels are handed to a `Runner` while it is in place (see `minidl.autodiff.tracing`), each with the path of the
layer that it belongs to. So nothing has to be known about the model: what runs, is seen.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.autodiff import GradientTape, no_grad
from minidl.autodiff.graph import HEAP, backward, layer_path, tracing
from minidl.autodiff.tensor import Tensor
from minidl.autodiff.tracing import Runner
from minidl.autodiff.tree import leaves, map_leaves
from minidl.diagnostics import picture
from minidl.diagnostics.layer_look import LayerLook, table
from minidl.diagnostics.undisturbed import paths, training_loss, undisturbed
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
from minidl.memory import Array, Memory
from minidl.training import Data, as_data

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


def diagnose(model: Any, x: Any, y: Any, sample_weight: Any = None) -> Look:
    """One look at a compiled model as it is, trained or not, on a sample of a few hundred.

    It costs a forward and a backward pass in training mode: batch normalization works with the statistics of the
    sample and dropout drops, as they do in a step. The model stays as it is to the last bit. Errors are those of `fit`:
    `NotCompiledError`, and what `x` and `y` may have.
    """
    data = as_data("diagnose", x, y, sample_weight, model.input_names, model.objective.output_names)
    if not model.built:
        with no_grad():
            model(map_leaves(lambda a: a[:1], data.x), training=False)
    return look_at(model, data)


def look_at(model: Any, data: Data, before: Mapping[Variable, Array] | None = None) -> Look:
    """The look; `before` are the weights before the last step."""
    watcher = _Watcher()
    with undisturbed(model), np.errstate(all="ignore"):
        with tracing(watcher), GradientTape() as tape:
            outputs = model(data.x, training=True)
            loss = training_loss(model, data, outputs)
        variables = model.trainable_variables
        gradients = dict(zip(variables, tape.gradient(loss, variables), strict=True))
        found = dict(reversed(list(paths(model))))
        ends = [output.data for output in leaves(outputs)]
        layers = [
            _layer_look(model, path, seen, found.get(path), gradients, before or {}, any(seen.y is y for y in ends))
            for path, seen in watcher.seen.items()
        ]
    return Look(layers, float(loss.data.reshape(())))


@dataclass
class _Seen:
    """The last result of a layer so far, and its last activation with what that saved."""

    y: Array
    activation: Kernel | None = None
    shape_and_saved: Any = None


class _Watcher(Runner):
    """Runs kernels and remembers, by layers, what came out."""

    def __init__(self) -> None:
        self.seen: dict[str, _Seen] = {}

    def forward(self, kernel: Kernel, inputs: Sequence[Tensor | Array], memory: Memory = HEAP) -> tuple[Any, Any]:
        """Run a kernel; what runs outside of layers belongs to the loss."""
        y, saved = super().forward(kernel, inputs, memory)
        path, first = layer_path.get(), leaves(y)[0]
        if path and first.dtype.kind == "f" and not isinstance(kernel, Cast):
            seen = self.seen.setdefault(path, _Seen(first))
            seen.y = first
            if isinstance(kernel, (*_SQUASHING, *_OTHERS)):
                seen.activation, seen.shape_and_saved = kernel, (first, saved)
        return y, saved


def _layer_look(
    model: Layer,
    path: str,
    seen: _Seen,
    layer: Layer | None,
    gradients: Mapping[Variable, Tensor | None],
    before: Mapping[Variable, Array],
    is_output: bool,
) -> LayerLook:
    own = [] if layer is None else [v for v in layer._trainable_variables if v in gradients]
    own_gradients = [g.data for g in map(gradients.get, own) if g is not None]
    moved = [(v.data - before[v], before[v]) for v in own if v in before]
    weights = _norm(old for _, old in moved)
    saturated, dead = _flatness(seen, 1 if getattr(layer, "data_format", "") == "channels_first" else -1)
    name = path.removeprefix(f"{model.name}/") or path
    return LayerLook(
        layer=name.rstrip("/"),
        activation="" if seen.activation is None else type(seen.activation).__name__,
        mean=float(np.mean(seen.y, dtype=np.float64)),
        spread=float(np.std(seen.y, dtype=np.float64)),
        saturated=saturated,
        dead=dead,
        gradient=_norm(own_gradients) if own_gradients else None,
        update=_norm(change for change, _ in moved) / weights if weights else None,
        is_output=is_output,
    )


def _flatness(seen: _Seen, unit_axis: int) -> tuple[float | None, float | None]:
    """The shares of saturated elements and of dead units, from the slope y′(x) of the activation.

    An activation works element by element, so its backward pass, begun with ones, gives the slopes.
    """
    kernel = seen.activation
    if kernel is None:
        return None, None
    y, saved = seen.shape_and_saved
    slopes = np.abs(leaves(backward(kernel, HEAP, np.ones_like(y), saved, (True, False)))[0])
    slopes = slopes / _SQUASHING.get(type(kernel), 1.0)
    units = np.moveaxis(slopes, unit_axis, 0).reshape(slopes.shape[unit_axis] if slopes.ndim > 1 else 1, -1)
    saturated = float(np.mean(slopes < _SATURATED)) if type(kernel) in _SQUASHING else None
    return saturated, float(np.mean((units < _DEAD).all(axis=1)))


def _norm(arrays: Iterable[Array]) -> float:
    """The norm of all arrays together."""
    return math.sqrt(sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays))
