"""Models as pictures: which boxes and arrows there are, what the boxes say, and that no name breaks the text."""

import os
import re
import shutil
import stat

import pytest

import minidl as keras
from minidl import layers
from minidl.errors import ArgumentError, MissingExtraError, NotBuiltError, UnknownNameError
from minidl.utils import model_to_dot, plot_model

HOSTILE = 'a"b<c>{d|e}\n]; x -> y [shape=<"\\N"\t\x00`#quot;&amp;'


@pytest.fixture(autouse=True)
def names():
    keras.utils.clear_session()


def chain():
    hidden = layers.Dense(4, activation="relu", name="hidden")
    return keras.Sequential([keras.Input((3,)), hidden, layers.Dropout(0.5, name="drop"), layers.Dense(2, name="out")])


def branching():
    """Two inputs through one shared layer; a model with two inputs and outputs inside; two outputs."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(5, activation="tanh", name="shared")
    up, down = layers.Dense(6, name="up"), layers.Dense(5, name="down")
    block = keras.Sequential([keras.Input((5,)), up, down], name="block")
    p, q = keras.Input((5,), name="p"), keras.Input((5,), name="q")
    two = keras.Model({"p": p, "q": q}, [layers.Add(name="sum")([p, q]), layers.Activation("relu", name="act")(q)])
    two.name = "two"
    s, t = two({"q": block(shared(a)), "p": shared(b)})
    return keras.Model([a, b], [layers.Dense(1, name="left")(s + 1), layers.Dense(2, name="right")(t)])


def boxes(source):
    """The lines of each box of a DOT text, by its id."""
    found = re.findall(r"^\s*(\w+) \[label=<(<table.*</table>)>\]$", source, re.MULTILINE)
    return {id: re.findall(r">([^<>]+)<", label) for id, label in found}


def arrows(source):
    """The arrows as pairs of the titles of boxes."""
    titles = {id: lines[0].split(" ")[0] for id, lines in boxes(source).items()}
    return {(titles[a], titles[b]) for a, b in re.findall(r"^\s*(\w+) -> (\w+)$", source, re.MULTILINE)}


class TestBoxesAndArrows:
    def test_of_a_chain(self):
        drawing = model_to_dot(chain())
        assert list(boxes(drawing.source).values()) == [["hidden (Dense)"], ["drop (Dropout)"], ["out (Dense)"]]
        assert arrows(drawing.source) == {("hidden", "drop"), ("drop", "out")}
        assert drawing.to_string() == drawing.source

    def test_of_a_graph(self):
        assert arrows(model_to_dot(branching()).source) == {
            ("a", "shared"), ("b", "shared"), ("shared", "block"), ("shared", "two"), ("block", "two"),
            ("two", "add"), ("two", "right"), ("add", "left"),
        }  # fmt: skip

    def test_of_models_inside(self):
        """Arrows go from the layer that computes to the input that takes it, whatever models they are in."""
        drawing = model_to_dot(branching(), expand_nested=True)
        assert arrows(drawing.source) == {
            ("a", "shared"), ("b", "shared"), ("shared", "up"), ("up", "down"), ("shared", "p"), ("down", "q"),
            ("p", "sum"), ("q", "sum"), ("q", "act"), ("sum", "add"), ("act", "right"), ("add", "left"),
        }  # fmt: skip
        assert re.findall(r"label=<(\w+)>;", drawing.source) == ["block", "two"]
        assert re.findall(r'subgraph \w+\["(\w+)"\]', drawing.to_mermaid()) == ["block", "two"]

    def test_of_chains_in_chains(self):
        w, x, y, z = (layers.Dense(3, name=name) for name in "wxyz")
        inner = keras.Sequential([keras.Input((3,)), x, y], name="inner")
        outer = keras.Sequential([keras.Input((3,)), w, inner, z])
        expanded = arrows(model_to_dot(outer, expand_nested=True).source)
        assert expanded == {("w", "x"), ("x", "y"), ("y", "z")}
        assert arrows(model_to_dot(outer).source) == {("w", "inner"), ("inner", "z")}

    def test_a_subclassed_model_is_one_box(self):
        class Towers(keras.Model):
            def __init__(self):
                super().__init__(name="towers")
                self.dense = layers.Dense(3)

            def call(self, x):
                return self.dense(x)

        model = Towers()
        model.build((None, 4))
        (box,) = boxes(model_to_dot(model, show_shapes=True).source).values()
        assert box == ["towers (Towers)", "Input shape: (None, 4)", "Output shape: (None, 3)"]

    def test_a_graph_of_inputs_alone(self):
        x = keras.Input((2,), name="x")
        assert list(boxes(model_to_dot(keras.Model(x, x)).source).values()) == [["x (InputLayer)"]]


class TestWhatABoxSays:
    def test_by_default_names_in_the_one_and_classes_in_the_other(self, tmp_path):
        """As in Keras."""
        drawing = plot_model(chain(), tmp_path / "m.dot")
        assert list(boxes(drawing.source).values()) == [["Dense"], ["Dropout"], ["Dense"]]

    def test_everything(self):
        model = chain()
        model.layers[0].trainable = False
        options = {"show_shapes": True, "show_dtype": True, "show_layer_activations": True, "show_trainable": True}
        hidden, drop, _ = boxes(model_to_dot(model, **options).source).values()
        shapes = ["Input shape: (None, 3)", "Output shape: (None, 4)", "Output dtype: float32"]
        assert hidden == ["hidden (Dense)", "Activation: relu", *shapes, "Non-trainable"]
        assert drop == ["drop (Dropout)", "Input shape: (None, 4)", *shapes[1:]]

    def test_of_several_inputs_and_of_an_operation(self):
        found = {lines[0]: lines[1:] for lines in boxes(model_to_dot(branching(), show_shapes=True).source).values()}
        assert found["a (InputLayer)"] == ["Output shape: (None, 4)"]
        assert found["two (Functional)"] == [
            "Input shape: p: (None, 5), q: (None, 5)", "Output shape: [(None, 5), (None, 5)]",
        ]  # fmt: skip
        assert "add (Add)" in found

    def test_options_of_the_whole(self):
        drawing = model_to_dot(chain(), rankdir="LR", dpi=96, splines="curved")
        assert "graph [rankdir=LR, dpi=96, splines=curved, concentrate=true]" in drawing.source
        assert drawing.to_mermaid().startswith("flowchart LR\n")


class TestHostileNames:
    def test_stay_inside_their_box_in_dot(self):
        source = model_to_dot(keras.Sequential([keras.Input((3,)), layers.Dense(2, name=HOSTILE)])).source
        expected = "a&quot;b&lt;c&gt;{d|e}<br/>]; x -&gt; y [shape=&lt;&quot;\\\\N&quot;\t�`#quot;&amp;amp; (Dense)"
        assert f">{expected}</font>" in source
        # Lines: digraph, graph, node, edge, one box, }.
        assert len(source.splitlines()) == 6

    def test_stay_inside_their_box_in_mermaid(self):
        text = model_to_dot(keras.Sequential([keras.Input((3,)), layers.Dense(2, name=HOSTILE)])).to_mermaid()
        (line,) = text.splitlines()[1:]
        assert re.fullmatch(r'  n_0\["[\w ():,.?/#;-]*"\]', line)
        decoded = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), line)
        assert decoded == f'  n_0["{HOSTILE} (Dense)"]'

    def test_of_models(self):
        inner = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name=HOSTILE)
        drawing = model_to_dot(keras.Sequential([keras.Input((3,)), inner]), expand_nested=True)
        assert "label=<a&quot;b&lt;c&gt;{d|e}<br/>]; x" in drawing.source
        assert all(re.fullmatch(r'[\w ():,.?/#;"\[\]-]*', line) for line in drawing.to_mermaid().splitlines())

    def test_that_are_no_unicode(self, tmp_path):
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="\ud800")])
        plot_model(model, tmp_path / "m.dot", show_layer_names=True)
        assert "� (Dense)" in (tmp_path / "m.dot").read_text("utf-8")


class TestFiles:
    @pytest.mark.parametrize("ending", ["dot", "gv", "mmd", "mermaid", "DOT"])
    def test_of_text_need_nothing(self, tmp_path, monkeypatch, ending):
        monkeypatch.setenv("PATH", "")
        drawing = plot_model(chain(), tmp_path / f"new/model.{ending}")
        text = drawing.to_mermaid() if ending.startswith("m") else drawing.source
        assert (tmp_path / f"new/model.{ending}").read_text("utf-8") == text

    def test_images_say_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", "")
        with pytest.raises(MissingExtraError, match=r"a \.png file needs the program 'dot' .*, or write a \.dot"):
            plot_model(chain(), tmp_path / "model.png")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("name", "kind"), [("m.svg", "svg"), ("m.PNG", "png"), ("m", "png"), ("m.pdf", "pdf")])
    def test_images_are_what_dot_makes_of_the_source(self, tmp_path, fake_dot, name, kind):
        fake_dot('printf "%s " "$@"; cat')
        drawing = plot_model(chain(), tmp_path / name)
        assert (tmp_path / name).read_text("utf-8") == f"-T{kind} {drawing.source}"

    def test_an_error_of_dot_leaves_the_old_file(self, tmp_path, fake_dot):
        fake_dot("cat > /dev/null; echo half; echo 'syntax error' >&2; exit 1")
        (tmp_path / "m.svg").write_text("old")
        with pytest.raises(ArgumentError, match=r"Graphviz could not draw the model as \.svg: syntax error"):
            plot_model(chain(), tmp_path / "m.svg")
        assert (tmp_path / "m.svg").read_text() == "old"

    @pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
    def test_images_of_graphviz_itself(self, tmp_path):
        plot_model(branching(), tmp_path / "m.svg", show_shapes=True, show_layer_names=True, expand_nested=True)
        assert "shared (Dense)" in (tmp_path / "m.svg").read_text("utf-8")

    @pytest.fixture
    def fake_dot(self, tmp_path, monkeypatch):
        """`fake_dot(script)` puts a program `dot` on the path."""

        def make(script):
            program = tmp_path / "bin" / "dot"
            program.parent.mkdir()
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

        if os.name == "nt":
            pytest.skip("a shell script stands for Graphviz")
        return make


class TestErrors:
    def test_a_model_without_shapes(self):
        with pytest.raises(NotBuiltError, match="is not built: call it on data, or build it, first"):
            model_to_dot(keras.Sequential([layers.Dense(1)]))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rankdir": "UP"}, "rankdir must be one of TB, BT, LR, RL, got 'UP'"),
            ({"splines": "wavy; x"}, "splines must be one of ortho, curved, polyline, spline, line, got 'wavy; x'"),
            ({"dpi": "9]; x"}, "dpi must be an integer ≥ 1"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(ArgumentError, match=message):
            model_to_dot(chain(), **options)

    def test_a_kind_of_file_that_nobody_knows(self, tmp_path):
        with pytest.raises(UnknownNameError, match="Unknown kind of picture 'pngg': did you mean 'png'"):
            plot_model(chain(), tmp_path / "model.pngg")
