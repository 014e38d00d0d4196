"""The looks at a network as a figure, drawn by matplotlib (the extra `plot`)."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidl.diagnostics.layer_look import LayerLook
from minidl.errors import require
from minidl.files import atomic_write

# The panels: the number of a layer that they show, and the scale of its axis ("symlog" where it is needed).
_PANELS = (
    ("mean", "mean of outputs", "symlog"),
    ("spread", "spread of outputs", "log"),
    ("gradient", "gradient norm", "log"),
    ("saturated", "share of saturated outputs", "share"),
    ("dead", "share of dead units", "share"),
    ("update", "last step / weights", "log"),
)


def draw(looks: Mapping[int, Sequence[LayerLook]], path: str | os.PathLike[str] | None = None) -> Any:
    """A panel for each number, with the layers from left to right and a line for each look, the latest the darkest."""
    figure = require("matplotlib.figure", "plot").Figure(figsize=(12.6, 6.4), layout="constrained")
    colors = require("matplotlib", "plot").colormaps["viridis_r"](np.linspace(0.1, 1, len(looks)))
    locator = require("matplotlib.ticker", "plot").MaxNLocator
    for panel, (name, title, scale) in zip(figure.subplots(2, 3).flat, _PANELS, strict=True):
        panel.set_title(title)
        panel.set_xlabel("layer")
        panel.set_xlim(0.5, max(map(len, looks.values())) + 0.5)
        panel.xaxis.set_major_locator(locator(integer=True, min_n_ticks=1))
        panel.grid(alpha=0.3)
        if scale == "share":
            panel.set_ylim(-0.03, 1.03)
        elif scale == "log" or any(abs(x) > 10 for layers in looks.values() for x in _known(layers, name)[1]):
            panel.set_yscale(scale)
            panel.yaxis.get_major_locator().set_params(numticks=8)
        for (epochs, layers), color in zip(looks.items(), colors, strict=True):
            numbers, values = _known(layers, name, scale == "log")
            panel.plot(numbers, values, "o-", markersize=3, color=color, label=str(epochs))
        if not any(len(line.get_xdata()) for line in panel.lines):
            # An empty axis would show numbers that mean nothing.
            panel.set_yticks([], [])
            panel.minorticks_off()
            panel.text(0.5, 0.5, _why_empty(looks, name), transform=panel.transAxes, ha="center", va="center")
    # The first and the last are enough of a legend.
    ends = figure.axes[0].lines[:: max(len(looks) - 1, 1)]
    figure.axes[0].legend(ends, [line.get_label() for line in ends], title="after epoch")
    if path is not None:
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=120)
    return figure


def _why_empty(looks: Mapping[int, Sequence[LayerLook]], name: str) -> str:
    """What a panel says where no layer has a number that it could show."""
    values = [getattr(layer, name) for layers in looks.values() for layer in layers]
    values = [value for value in values if value is not None]
    if values:
        return "0 everywhere" if not any(values) else "not finite, or 0"
    return {
        "saturated": "no squashing activation", "dead": "no activation that can die", "gradient": "nothing to train",
        "update": "no step was seen",
    }.get(name, "nothing was seen")  # fmt: skip


def _known(layers: Sequence[LayerLook], name: str, positive: bool = False) -> tuple[list[int], list[float]]:
    """The numbers of the layers that have a finite value of this name, and the values; for a logarithm not 0."""
    values = [(number, getattr(layer, name)) for number, layer in enumerate(layers, 1)]
    known = [(k, value) for k, value in values if value is not None and math.isfinite(value)]
    known = [(k, value) for k, value in known if value > 0 or not positive]
    return [k for k, _ in known], [value for _, value in known]
