"""Pictures, drawn by matplotlib (the extra `plot`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from minidl.callbacks import History
from minidl.errors import ArgumentError, require
from minidl.files import atomic_write

# Told apart by lightness, too; the first is for training, the second for validation.
_COLORS = ("#1f77b4", "#d95f02")


def plot_history(
    history: History | Mapping[str, Sequence[float]], path: str | os.PathLike[str] | None = None, title: str = ""
) -> Any:
    """The learning curves of a run, one panel for the loss and one for each metric; gives the matplotlib figure.

    `history` is `model.fit(…)`, or its `history`, which does not know the epochs: they are then counted from 1, and
    where there are fewer validations than epochs, n for every one, each is placed at the last of its n. With `path`
    the picture is also written there, as PNG.
    """
    epochs = history.epochs if isinstance(history, History) else _counted(history)
    history = history.history if isinstance(history, History) else history
    names = sorted((name for name in history if not name.startswith("val_")), key=lambda name: (name != "loss", name))
    if not names:
        raise ArgumentError("plot_history: the history is empty: train for at least one epoch")
    figure = require("matplotlib.figure", "plot").Figure(figsize=(4.8 * len(names), 3.6), layout="constrained")
    ticker = require("matplotlib.ticker", "plot")
    for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for key, label, color in ((name, "training", _COLORS[0]), (f"val_{name}", "validation", _COLORS[1])):
            if key in history:
                numbers = [epoch + 1 for epoch in epochs[key]]
                panel.plot(numbers, history[key], marker="o", markersize=3.5, color=color, label=label)
        first, last = epochs[name][0] + 1, epochs[name][-1] + 1
        panel.set_xlim(first - 0.5, max(last, first + 1) + 0.5)
        panel.set_xlabel("epoch")
        panel.set_title(name)
        panel.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
        panel.grid(alpha=0.3)
        panel.legend()
    if title:
        figure.suptitle(title)
    return _written(figure, path)


def _counted(history: Mapping[str, Sequence[float]]) -> dict[str, Sequence[int]]:
    """The epochs, from 0, of every list of numbers."""
    total = max(map(len, history.values()), default=0)
    steps = {name: total // max(len(values), 1) for name, values in history.items()}
    return {name: range(steps[name] - 1, total, steps[name])[: len(values)] for name, values in history.items()}


def plot_learning_rates(found: Any, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
    """The loss over the learning rate, as `minidl.find_learning_rate` found it; gives the matplotlib figure."""
    figure = require("matplotlib.figure", "plot").Figure(figsize=(5.6, 3.8), layout="constrained")
    panel = figure.subplots()
    panel.plot(found.rates, found.losses, color=_COLORS[0], alpha=0.3, label="loss of a batch")
    panel.plot(found.rates, found.smoothed, color=_COLORS[0], label="smoothed")
    panel.axvline(found.turning_point, color="#555555", linestyle=":", label=f"turning point {found.turning_point:.2g}")
    panel.axvline(found.suggestion, color=_COLORS[1], linestyle="--", label=f"suggestion {found.suggestion:.2g}")
    panel.set_xscale("log")
    # What comes after the explosion would press all the rest flat.
    low, high = min(found.losses), max(found.smoothed[0], min(found.losses))
    panel.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low or 1.0))
    panel.set_xlabel("learning rate")
    panel.set_ylabel("loss")
    panel.grid(alpha=0.3)
    panel.legend()
    if title:
        figure.suptitle(title)
    return _written(figure, path)


def _written(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    """The figure, also in a file if there is a path."""
    if path is not None:
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=120)
    return figure
