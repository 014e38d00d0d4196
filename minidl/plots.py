"""Pictures, drawn by matplotlib (the extra `plot`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from minidl.errors import ArgumentError, require
from minidl.files import atomic_write

# Told apart by lightness, too; the first is for training, the second for validation.
_COLORS = ("#1f77b4", "#d95f02")


def plot_history(
    history: Mapping[str, Sequence[float]], path: str | os.PathLike[str] | None = None, title: str = ""
) -> Any:
    """The learning curves of a run, one panel for the loss and one for each metric; gives the matplotlib figure.

    `history` is `model.fit(…).history`. With `path` the picture is also written there, as PNG.
    """
    names = sorted((name for name in history if not name.startswith("val_")), key=lambda name: (name != "loss", name))
    if not names:
        raise ArgumentError("plot_history: the history is empty: train for at least one epoch")
    figure = require("matplotlib.figure", "plot").Figure(figsize=(4.8 * len(names), 3.6), layout="constrained")
    ticker = require("matplotlib.ticker", "plot")
    for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for key, label, color in ((name, "training", _COLORS[0]), (f"val_{name}", "validation", _COLORS[1])):
            if key in history:
                values = history[key]
                panel.plot(range(1, len(values) + 1), values, marker="o", markersize=3.5, color=color, label=label)
        panel.set_xlim(0.5, max(len(history[name]), 2) + 0.5)
        panel.set_xlabel("epoch")
        panel.set_title(name)
        panel.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
        panel.grid(alpha=0.3)
        panel.legend()
    if title:
        figure.suptitle(title)
    if path is not None:
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=120)
    return figure
