"""The table that `model.summary()` prints, drawn as Keras draws it.

Pure text: a model is asked for its layers, shapes and variables, and nothing is built that was not before.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from minidl.autodiff.tree import map_leaves
from minidl.errors import ArgumentError
from minidl.layers import Layer, Variable
from minidl.layers.operation import Operation
from minidl.layers.symbolic import map_shapes
from minidl.models.graph import Graph

# The headers of the columns, how they are aligned, and where they end, as fractions of the line.
_CHAIN = (("Layer (type)", "Output Shape", "Param #"), "<<>", [0.45, 0.8, 1.0], 88)
_GRAPH = ((*_CHAIN[0], "Connected to"), "<<><", [0.3, 0.56, 0.74, 1.0], 108)


def summarize(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    show_trainable: bool = False,
    expand_nested: bool = False,
) -> str:
    """The layers of a model with their output shapes and numbers of weights, and the totals, as a text.

    Where layers branch, a further column says what each is connected to: `dense[0][0]` is the first result of the
    first call of the layer "dense". The table is `line_length` characters wide, by default as wide as the terminal
    allows, but no more than 88, or 108. `positions` are where its three or four columns end, as fractions of the line.
    `show_trainable` adds a column that says whether a layer with weights is trainable; `expand_nested` shows the layers
    of models inside the model. What is not known before the model is built is "?". `ArgumentError` if the columns do
    not fit.
    """
    graph = getattr(model, "graph", None)
    graph = None if graph is None or graph.is_chain else graph
    headers, alignments, default, widest = _CHAIN if graph is None else _GRAPH
    ends = default if positions is None else list(positions)
    if len(ends) != len(headers) or ends[-1] > 1 or not all(a < b for a, b in pairwise([0, *ends])):
        many = {3: "three", 4: "four"}[len(headers)]
        wanted = f"{many} rising positions, fractions of the line up to 1"
        raise ArgumentError(f"summary: expected {wanted}, got {positions}")
    if show_trainable:
        headers, alignments = (*headers, "Trainable"), f"{alignments}^"
        ends, widest = [*(0.9 * end for end in ends), 1.0], widest + 12
    if line_length is None:
        line_length = min(widest, shutil.get_terminal_size().columns - 4)
    rows = (
        [*row, *([connections] if graph else []), *([trainable] if show_trainable else [])]
        for *row, connections, trainable in _rows(model, graph, expand_nested)
    )
    table = _table(headers, alignments, rows, _column_widths(ends, line_length))
    return "\n".join([f'Model: "{model.name}"', *table, *_totals(model), ""])


def _rows(model: Any, graph: Graph | None, expand_nested: bool, level: int = 0) -> Iterator[list[str]]:
    """What each layer has in all columns there may be."""
    indent = "   " * level + "└ " if level else ""
    for layer in model.layers if level else getattr(model, "operations", model.layers):
        kind = layer.title if isinstance(layer, Operation) else type(layer).__name__
        connections = [f"{origin.name}[{k}][{j}]" for origin, k, j in graph.connections(layer)] if graph else []
        yield [
            f"{indent}{layer.name} ({kind})",
            _output_shape(layer),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
            ", ".join(connections) or "-",
            ("Y" if layer.trainable else "N") if layer.weights else "-",
        ]
        if expand_nested and hasattr(layer, "layers"):
            yield from _rows(layer, graph, expand_nested, level + 1)


def _output_shape(layer: Layer) -> str:
    """The shape of the last symbolic output, or of that for the shape that the layer was built for."""
    if layer.inbound_nodes:
        shapes = map_leaves(lambda tensor: str(tensor.shape), layer.inbound_nodes[-1].outputs)
    elif layer.built_shape is not None:
        shapes = map_shapes(str, layer.compute_output_shape(layer.built_shape))
    else:
        return "?"
    return str(shapes).replace("'", "").replace(",)", ")")


def _column_widths(ends: Sequence[float], line_length: int) -> list[int]:
    """How many characters a cell of each column holds.

    The columns share the whole line first; what the borders and the blanks beside them need is then taken from all
    columns alike.
    """
    widths = [end - start for start, end in pairwise([0, *(int(end * line_length) for end in ends)])]
    excess = sum(widths) + 3 * len(widths) + 1 - line_length
    for k in range(len(widths)):
        share = round(excess / (len(widths) - k))
        widths[k] -= share
        excess -= share
    if min(widths) < 1:
        raise ArgumentError(f"summary: {line_length} characters are too few for {len(widths)} columns: set line_length")
    return widths


def _table(
    headers: Sequence[str], alignments: str, rows: Iterator[list[str]], widths: Sequence[int]
) -> Iterator[str]:
    """The lines of the table: a heavy frame around the headers, a light one around the rows."""

    def rule(left: str, line: str, crossing: str, right: str) -> str:
        return left + crossing.join(line * (width + 2) for width in widths) + right

    def row(cells: Sequence[str], bar: str, at_bottom: bool = False) -> Iterator[str]:
        columns = [_wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
        height = max(map(len, columns))
        for k, lines in enumerate(columns):
            blanks = [""] * (height - len(lines))
            columns[k] = blanks + lines if at_bottom else lines + blanks
        for parts in zip(*columns, strict=True):
            aligned = zip(parts, alignments, widths, strict=True)
            yield bar + bar.join(f" {part:{alignment}{width}} " for part, alignment, width in aligned) + bar

    yield rule(*"┏━┳┓")
    yield from row(headers, "┃", at_bottom=True)
    yield rule(*"┡━╇┩")
    for k, cells in enumerate(rows):
        if k:
            yield rule(*"├─┼┤")
        yield from row(cells, "│")
    yield rule(*"└─┴┘")


def _wrap(text: str, width: int) -> list[str]:
    """The text broken at blanks; a word that is too long by itself is cut, with an ellipsis."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]


def _totals(model: Any) -> Iterator[str]:
    """How many numbers the model holds and how much memory they take; those of an optimizer once it has trained."""
    groups: dict[str, list[Variable]] = {
        "Trainable": model.trainable_variables,
        "Non-trainable": model.non_trainable_variables,
    }
    if model.optimizer is not None and model.optimizer.built:
        groups["Optimizer"] = model.optimizer.variables
    total = [variable for variables in groups.values() for variable in variables]
    for name, variables in {"Total": total, **groups}.items():
        count = sum(variable.size for variable in variables)
        nbytes = sum(variable.size * variable.dtype.itemsize for variable in variables)
        yield f" {name} params: {count:,} ({_readable_size(nbytes)})"


def _readable_size(nbytes: int) -> str:
    """1088512 → "1.04 MB": each unit is 1,024 of the one before."""
    power = max(nbytes.bit_length() - 1, 0) // 10
    return f"{nbytes / 1024**power:.2f} {('B', 'KB', 'MB', 'GB', 'TB', 'PB')[power]}"
