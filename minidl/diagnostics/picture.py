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

# The panels: the number of a layer that they show, and whether its axis is logarithmic.
_PANELS = (
    ("spread", "spread of outputs", True),
    ("saturated", "share of saturated outputs", False),
    ("dead", "share of dead units", False),
    ("gradient", "gradient norm", True),
    ("update", "last step / weights", True),
)


def draw(looks: Mapping[int, Sequence[LayerLook]], path: str | os.PathLike[str] | None = None) -> Any:
    """A panel for each number, with the layers from left to right and a line for each look, the latest the darkest."""
    figure = require("matplotlib.figure", "plot").Figure(figsize=(4.2 * len(_PANELS), 3.6), layout="constrained")
    colors = require("matplotlib", "plot").colormaps["viridis_r"](np.linspace(0.1, 1, len(looks)))
    locator = require("matplotlib.ticker", "plot").MaxNLocator
    for panel, (name, title, logarithmic) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        panel.set_title(title)
        panel.set_xlabel("layer")
        panel.set_xlim(0.5, max(map(len, looks.values())) + 0.5)
        panel.xaxis.set_major_locator(locator(integer=True, min_n_ticks=1))
        panel.grid(alpha=0.3)
        if logarithmic:
            panel.set_yscale("log")
        else:
            panel.set_ylim(-0.03, 1.03)
        for (epochs, layers), color in zip(looks.items(), colors, strict=True):
            numbers, values = _known(layers, name, logarithmic)
            panel.plot(numbers, values, "o-", markersize=3, color=color, label=str(epochs))
    # The first and the last are enough of a legend.
    ends = figure.axes[0].lines[:: max(len(looks) - 1, 1)]
    figure.axes[0].legend(ends, [line.get_label() for line in ends], title="after epoch")
    if path is not None:
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=120)
    return figure


def _known(layers: Sequence[LayerLook], name: str, positive: bool) -> tuple[list[int], list[float]]:
    """The numbers of the layers that have a finite value of this name, and the values; for a logarithm not 0."""
    values = [(number, getattr(layer, name)) for number, layer in enumerate(layers, 1)]
    known = [(k, value) for k, value in values if value is not None and math.isfinite(value)]
    known = [(k, value) for k, value in known if value > 0 or not positive]
    return [k for k, _ in known], [value for _, value in known]
