"""A verdict in words: what is wrong with a network, in which layers, and what usually helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minidl.diagnostics.layer_look import LayerLook

# By which factor gradients may differ from those of the last layer, and outputs from those of the first.
_FACTOR = 1000.0
# Shares of outputs and of units, and of the weights that one step may change.
_SATURATED, _DEAD, _UPDATE = 0.5, 0.5, 0.1

# Layers with their numbers in the table.
Numbered = list[tuple[int, LayerLook]]


def in_words(layers: Sequence[LayerLook], loss: float) -> str:
    """A line for each finding, or one that says that there is none."""
    numbered = list(enumerate(layers, 1))
    # The last layer may have outputs of any size, and be saturated: then it is sure of its answer.
    hidden = [(number, layer) for number, layer in numbered if not layer.is_output]
    findings = [_not_finite(numbered, loss)]
    # Where numbers are not finite, nothing else can be said of them.
    if findings == [""]:
        # Units that are dead or saturated are why gradients vanish, and are named then.
        cause = _dead(hidden) or _gradients(numbered) or _saturated(hidden)
        findings = [_outputs(hidden), cause, _steps(numbered)]
    return "\n".join(filter(None, findings)) or _healthy(layers)


def is_finite(layers: Sequence[LayerLook], loss: float) -> bool:
    """Whether all outputs, all gradients and the loss are finite."""
    return not _not_finite(list(enumerate(layers, 1)), loss)


def _not_finite(layers: Numbered, loss: float) -> str:
    remedy = "try a smaller learning rate, gradient clipping, He initialization, or batch normalization"
    outputs = _where(layers, "size", lambda size: not math.isfinite(size))
    if outputs:
        return f"{outputs}: outputs are not finite, {outputs.layers[0].layer} is the first: {remedy}"
    if not math.isfinite(loss):
        return f"the loss is {loss}, with finite outputs: try from_logits=True, or look for wrong targets"
    gradients = _where(layers, "gradient", lambda norm: not math.isfinite(norm))
    return f"{gradients}: gradients are not finite: {remedy}" if gradients else ""


def _dead(layers: Numbered) -> str:
    dead = _where(layers, "dead", lambda share: share > _DEAD)
    remedy = "try a smaller learning rate, biases of 0 and He initialization, or leaky ReLU or ELU"
    return f"{dead}: {_percent(dead.values)} of the units are dead: {remedy}" if dead else ""


def _outputs(layers: Numbered) -> str:
    """Outputs that grow or shrink from layer to layer; those of dead units are 0 for a reason already named."""
    alive = [(number, layer) for number, layer in layers if (layer.dead or 0.0) <= _DEAD]
    first = alive[0][1].size if alive else 0.0
    large = _where(alive, "size", lambda size: size > _FACTOR * first > 0)
    small = _where(alive, "size", lambda size: size * _FACTOR < first)
    remedy = "try He initialization (LeCun for SELU), or batch normalization"
    if large:
        return f"{large}: outputs explode, up to {max(large.values) / first:.0e} times the first layer's: {remedy}"
    if small:
        return f"{small}: outputs vanish, down to {min(small.values) / first:.0e} of the first layer's: {remedy}"
    return ""


def _gradients(layers: Numbered) -> str:
    """Gradients against those of the last layer that has weights; saturation, where there is some, as the cause."""
    last = next((layer.gradient for _, layer in reversed(layers) if layer.gradient is not None), math.nan)
    if last == 0:
        return "no gradient reaches the last layer: its activation is saturated, or every sample is fitted exactly"
    small = _where(layers, "gradient", lambda norm: norm * _FACTOR < last)
    large = _where(layers, "gradient", lambda norm: norm > _FACTOR * last)
    flat = _flat(layers)
    because = f"; {_saturation(flat)}" if flat else ""
    if small:
        fact = f"{small}: gradients vanish, down to {min(small.values) / last:.0e} of the last layer's{because}"
        return f"{fact}: try He initialization and ELU, or batch normalization"
    if large:
        fact = f"{large}: gradients explode, up to {max(large.values) / last:.0e} times the last layer's{because}"
        return f"{fact}: try He initialization, batch normalization, or gradient clipping"
    return ""


def _saturated(layers: Numbered) -> str:
    flat = _flat(layers)
    return f"{flat}: {_saturation(flat)}: try Glorot initialization, ELU, or batch normalization" if flat else ""


def _steps(layers: Numbered) -> str:
    large = _where(layers, "update", lambda share: share > _UPDATE)
    remedy = "try a smaller learning rate"
    return f"{large}: one step changes the weights by {_percent(large.values)}: {remedy}" if large else ""


def _healthy(layers: Sequence[LayerLook]) -> str:
    norms = [layer.gradient for layer in layers if layer.gradient]
    gradients = f", gradient norms from {min(norms):.1e} to {max(norms):.1e}" if norms else ""
    return f"nothing unusual in {len(layers)} layers{gradients}"


@dataclass(frozen=True)
class _Found:
    """Some layers, with the number in each that they were found by; as a string, where they are."""

    layers: list[LayerLook]
    values: list[float]
    spans: list[str]

    def __bool__(self) -> bool:
        return bool(self.layers)

    def __str__(self) -> str:
        """ "layers 1–3, 5 (dense … dense_4)", by their numbers in the table."""
        first, last = self.layers[0].layer, self.layers[-1].layer
        several = len(self.layers) > 1
        names = f"{first} … {last}" if several else first
        return f"layer{'s' if several else ''} {', '.join(self.spans)} ({names})"


def _where(layers: Numbered, name: str, condition: Callable[[float], bool]) -> _Found:
    """The layers with a number of this name that fulfils the condition; a span leaps over layers that have none."""
    found: Numbered = []
    values: list[float] = []
    spans: list[tuple[int, int]] = []
    inside = False
    for number, layer in layers:
        value = getattr(layer, name)
        if value is None:
            continue
        if condition(value):
            found.append((number, layer))
            values.append(value)
            spans = [*spans[:-1], (spans[-1][0], number)] if inside else [*spans, (number, number)]
        inside = condition(value)
    return _Found([layer for _, layer in found], values, [f"{a}–{b}" if a < b else f"{a}" for a, b in spans])


def _flat(layers: Numbered) -> _Found:
    hidden = [(number, layer) for number, layer in layers if not layer.is_output]
    return _where(hidden, "saturated", lambda share: share > _SATURATED)


def _saturation(flat: _Found) -> str:
    names = " and ".join(dict.fromkeys(layer.activation.lower() for layer in flat.layers))
    return f"{names} saturated in {_percent(flat.values)}"


def _percent(shares: Sequence[float]) -> str:
    """The mean of some shares."""
    return f"{sum(shares) / len(shares):.0%}"
