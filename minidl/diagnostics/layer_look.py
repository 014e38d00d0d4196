"""What a look at a network finds out about one layer, and the table of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerLook:
    """What was seen of one layer.

    - `mean`, `spread`: mean and standard deviation of all its outputs.
    - `saturated`: the share of outputs of a squashing activation (sigmoid, tanh, hard sigmoid, softsign) where its
      slope is below a fifth of the steepest; `None` for other activations, whose flat side is what they are made for.
    - `dead`: the share of units (channels of a convolution) through which no sample sends a gradient back: the slope
      of the activation is below a thousandth of the steepest everywhere; `None` without an activation.
    - `gradient`: the norm of the gradient of the loss with respect to its own trainable variables; `None` without any.
    - `update`: ‖step‖ / ‖weights‖ of the last step of training; `None` if there was none, or if all weights are 0.

    A layer that is called several times is seen as it was in the last call.
    """

    layer: str
    activation: str
    mean: float
    spread: float
    saturated: float | None
    dead: float | None
    gradient: float | None
    update: float | None
    is_output: bool

    @property
    def size(self) -> float:
        """√(mean² + spread²), the root mean square of the outputs."""
        return math.hypot(self.mean, self.spread)


_HEADERS = ("#", "Layer", "Activation", "Mean", "Spread", "Saturated", "Dead", "Gradient", "Update/weight")


def table(layers: Sequence[LayerLook]) -> Iterator[str]:
    """A line for every layer, below the headers."""
    lines = [_HEADERS, *(_cells(number, layer) for number, layer in enumerate(layers, 1))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(f"{cell:{side}{w}}" for cell, side, w in zip(line, "><<>>>>>>", widths, strict=True)).rstrip()
        for line in lines
    ]
    yield from (aligned[0], "─" * (sum(widths) + 2 * len(widths) - 2), *aligned[1:])


def _cells(number: int, layer: LayerLook) -> tuple[str, ...]:
    shares = ["" if x is None else f"{x:.0%}" for x in (layer.saturated, layer.dead)]
    norms = ["" if x is None else f"{x:.1e}" for x in (layer.gradient, layer.update)]
    return str(number), layer.layer, layer.activation, f"{layer.mean:.3g}", f"{layer.spread:.3g}", *shares, *norms
