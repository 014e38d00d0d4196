"""`plot_model`: a model as a picture: boxes for layers, arrows for what flows between them.

The picture is text first, in the language of Graphviz (DOT) or of Mermaid, which many web pages and notebooks draw by
themselves. Neither needs anything to be installed; images are drawn by Graphviz's program `dot`, where there is one.
"""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from minidl.autodiff.tree import leaves, map_leaves
from minidl.checks import count
from minidl.errors import ArgumentError, MissingExtraError, NotBuiltError, look_up
from minidl.files import atomic_write
from minidl.layers import InputLayer, Layer
from minidl.layers.operation import Operation
from minidl.layers.symbolic import KerasTensor, Node, map_shapes
from minidl.models import Functional, Sequential

_DIRECTIONS = ("TB", "BT", "LR", "RL")
_SPLINES = ("ortho", "curved", "polyline", "spline", "line")
_IMAGES = ("png", "svg", "pdf", "jpg", "gif", "eps", "ps", "webp")


@dataclass
class Box:
    """A layer: what is written into its box, the title first."""

    id: str
    lines: list[str]


@dataclass
class Group:
    """A model whose layers are drawn: a frame with boxes and frames in it, and the arrows between them.

    `inputs` and `outputs` are the ids of the boxes where arrows from outside end and those to the outside begin.
    """

    id: str
    name: str
    items: list[Box | Group] = field(default_factory=list)
    arrows: dict[tuple[str, str], None] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Drawing:
    """The picture of a model as text: `source` is in DOT, `to_mermaid()` in Mermaid; `write` makes a file of it."""

    group: Group
    rankdir: str
    dpi: int
    splines: str

    @property
    def source(self) -> str:
        """The picture in the language of Graphviz."""
        return "\n".join(_dot(self)) + "\n"

    def to_string(self) -> str:
        """The same as `source`, by the name that pydot has for it."""
        return self.source

    def to_mermaid(self) -> str:
        """The picture in the language of Mermaid."""
        return "\n".join([f"flowchart {self.rankdir}", *_mermaid(self.group)]) + "\n"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a file of the kind that its name says: `.dot`, `.gv`, `.mmd`, or an image such as `.svg`, `.png`.

        Without an ending it is a PNG. `MissingExtraError` if an image needs Graphviz, which is not installed.
        """
        kind = Path(path).suffix.removeprefix(".").lower() or "png"
        if kind in ("dot", "gv"):
            content = self.source.encode()
        elif kind in ("mmd", "mermaid"):
            content = self.to_mermaid().encode()
        else:
            look_up("kind of picture", kind, dict.fromkeys(("dot", "gv", "mmd", *_IMAGES)))
            content = _image(self.source, kind)
        with atomic_write(path) as file:
            file.write(content)


def model_to_dot(
    model: Layer,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Drawing:
    """The picture of a model; Keras gives an object of the package pydot here, this one has its text as `source`.

    A box has the layer's class and, if asked for, its name, shapes of input and output, dtype, activation, and whether
    it is trainable. `rankdir` is the direction of the arrows: "TB" (from top to bottom), "LR", "BT" or "RL".
    `expand_nested` draws the layers of models inside the model; a subclassed model is one box, as only its `call` knows
    what it does. `splines` is how Graphviz draws arrows. `NotBuiltError` for a model that is not built.
    """
    for name, value, allowed in (("rankdir", rankdir, _DIRECTIONS), ("splines", splines, _SPLINES)):
        if value not in allowed:
            raise ArgumentError(f"plot_model: {name} must be one of {', '.join(allowed)}, got {value!r}")
    if not model.built:
        raise NotBuiltError(f"plot_model: {model.name!r} is not built: call it on data, or build it, first")

    def box(id: str, layer: Layer) -> Box:
        kind = layer.title if isinstance(layer, Operation) else type(layer).__name__
        lines = [f"{layer.name} ({kind})" if show_layer_names else kind]
        if show_layer_activations and getattr(layer, "activation", None) is not None:
            lines.append(f"Activation: {_activation(layer)}")
        shapes, dtype = _shapes_and_dtype(layer)
        if show_shapes:
            lines += [] if isinstance(layer, InputLayer) else [f"Input shape: {shapes[0]}"]
            lines.append(f"Output shape: {shapes[1]}")
        if show_dtype:
            lines.append(f"Output dtype: {dtype}")
        if show_trainable and layer.weights:
            lines.append("Trainable" if layer.trainable else "Non-trainable")
        return Box(id, lines)

    return Drawing(_group(model, "n", box, expand_nested), rankdir, count("plot_model", "dpi", dpi), splines)


def plot_model(
    model: Layer,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Drawing:
    """Draw a model to a file; see `model_to_dot` for what is drawn and `Drawing.write` for the kinds of files."""
    drawing = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, show_layer_activations,
        show_trainable, splines,
    )  # fmt: skip
    drawing.write(to_file)
    return drawing


# What is drawn.


def _group(model: Layer, id: str, box: Callable[[str, Layer], Box], expand_nested: bool) -> Group:
    """The boxes and arrows of a model. Ids are numbers, so that no name can get in their way."""
    group = Group(id, model.name)
    # Where arrows to a layer end and those from it begin: one place for each of its inputs and outputs.
    ends: dict[Layer, tuple[list[str], list[str]]] = {}
    for k, layer in enumerate(_layers(model)):
        item: Box | Group
        if expand_nested and isinstance(layer, (Functional, Sequential)):
            item = _group(layer, f"{id}_{k}", box, expand_nested)
            ends[layer] = item.inputs, item.outputs
        else:
            item = box(f"{id}_{k}", layer)
            ends[layer] = [item.id], [item.id]
        group.items.append(item)
    if isinstance(model, Functional):
        graph = model.graph

        def begin(tensor: KerasTensor) -> str:
            """The box that a tensor comes from."""
            node, result = graph.origin(tensor)
            return _at(ends[node.layer][1], result)

        for node in graph.nodes:
            for position, tensor in enumerate(() if node in graph.first else _flowing_in(node)):
                group.arrows[begin(tensor), _at(ends[node.layer][0], position)] = None
        group.inputs, group.outputs = list(map(begin, model.inputs)), list(map(begin, model.outputs))
    else:
        chain = list(ends.values())
        for (_, before), (after, _) in pairwise(chain):
            group.arrows[before[0], after[0]] = None
        group.inputs, group.outputs = chain[0][0], chain[-1][1]
    return group


def _layers(model: Layer) -> Sequence[Layer]:
    """The layers that have boxes; a model that only its `call` knows is a single one."""
    if isinstance(model, Functional):
        return model.operations
    return model.layers if isinstance(model, Sequential) and model.layers else [model]


def _flowing_in(node: Node) -> list[KerasTensor]:
    """The tensors that a layer is called on; those of a model, which may be called by names, in its own order."""
    by_names = isinstance(node.layer, Functional) and len(node.args) == 1
    return node.layer._in_order(node.args[0]) if by_names else node.inputs


def _at(places: list[str], position: int) -> str:
    """A layer that is a single box has one place for all that flows in, and one for all that flows out."""
    return places[position] if position < len(places) else places[0]


def _activation(layer: Any) -> str:
    activation = layer.activation
    return str(activation.name if isinstance(activation, Layer) else getattr(activation, "__name__", activation))


def _shapes_and_dtype(layer: Layer) -> tuple[tuple[str, str], str]:
    """The shapes of a layer's input and output, and the dtype of its output, as text; "?" for what is not known."""
    if isinstance(layer, (Functional, Sequential)) or layer.inbound_nodes:
        inputs, outputs = (map_leaves(lambda x: str(x.shape), tree) for tree in (layer.input, layer.output))
        dtype = ", ".join(dict.fromkeys(x.dtype.name for x in leaves(layer.output)))
        return (_readable(inputs), _readable(outputs)), dtype
    if layer.built_shape is None:
        return ("?", "?"), layer.dtype
    outputs = map_shapes(str, layer.compute_output_shape(layer.built_shape))
    return (_readable(map_shapes(str, layer.built_shape)), _readable(outputs)), layer.dtype


def _readable(shapes: Any) -> str:
    """Shapes, nested or not, as text without the quotes around each."""
    return str(shapes).replace("'", "").replace(",)", ")").translate({ord("{"): None, ord("}"): None})


# How it is written.


def _dot(drawing: Drawing) -> Iterator[str]:
    """The lines of a DOT file; edges come last, when all boxes are known."""
    yield "digraph {"
    yield f"  graph [rankdir={drawing.rankdir}, dpi={drawing.dpi}, splines={drawing.splines}, concentrate=true]"
    yield '  node [shape=plain, fontname="Helvetica"]'
    yield "  edge [penwidth=2]"
    yield from _dot_items(drawing.group, "  ")
    yield from (f"  {a} -> {b}" for a, b in _arrows(drawing.group))
    yield "}"


def _dot_items(group: Group, indent: str) -> Iterator[str]:
    for item in group.items:
        if isinstance(item, Box):
            title, *lines = map(_in_html, item.lines)
            head = f'<tr><td bgcolor="black"><font color="white" point-size="16">{title}</font></td></tr>'
            rows = "".join(f'<tr><td bgcolor="white">{line}</td></tr>' for line in lines)
            table = f'<table border="0" cellborder="1" cellspacing="0" cellpadding="8">{head}{rows}</table>'
            yield f"{indent}{item.id} [label=<{table}>]"
        else:
            yield f"{indent}subgraph cluster_{item.id} {{"
            yield f"{indent}  label=<{_in_html(item.name)}>; labeljust=l; style=dashed"
            yield from _dot_items(item, indent + "  ")
            yield f"{indent}}}"


def _in_html(text: str) -> str:
    """Text inside a label: no character of it means anything, and those that XML forbids become "�"."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "�", text)
    # Graphviz would put the id of the box in the place of \N.
    return html.escape(text).replace("\\", "\\\\").replace("\n", "<br/>") or " "


def _mermaid(group: Group, indent: str = "  ") -> Iterator[str]:
    for item in group.items:
        if isinstance(item, Box):
            yield f'{indent}{item.id}["{"<br>".join(map(_in_mermaid, item.lines))}"]'
        else:
            yield f'{indent}subgraph {item.id}["{_in_mermaid(item.name)}"]'
            yield from _mermaid(item, indent + "  ")
            yield f"{indent}end"
    if indent == "  ":
        yield from (f"{indent}{a} --> {b}" for a, b in _arrows(group))


def _in_mermaid(text: str) -> str:
    """Text inside quotes: what is neither a letter, a digit nor harmless becomes "#number;"."""
    return re.sub(r"[^\w ():,.?/-]", lambda match: f"#{ord(match[0])};", text) or " "


def _arrows(group: Group) -> Iterator[tuple[str, str]]:
    """All arrows, those inside of frames too."""
    yield from group.arrows
    for item in group.items:
        if isinstance(item, Group):
            yield from _arrows(item)


def _image(source: str, kind: str) -> bytes:
    """What Graphviz makes of DOT."""
    import subprocess  # takes longer to import than most of minidl

    program = shutil.which("dot")
    if program is None:
        raise MissingExtraError(
            f"plot_model: a .{kind} file needs the program 'dot' of Graphviz (apt install graphviz, brew install "
            "graphviz, https://graphviz.org/download): install it, or write a .dot or .mmd file, which needs nothing"
        )
    result = subprocess.run([program, f"-T{kind}"], input=source.encode(), capture_output=True, check=False)
    if result.returncode:
        message = result.stderr.decode(errors="replace").strip()
        raise ArgumentError(f"plot_model: Graphviz could not draw the model as .{kind}: {message}")
    return result.stdout
