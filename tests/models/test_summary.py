"""The table of `summary()`, character by character as Keras 3 prints it."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError
from minidl.layers import BatchNormalization, Dense, Dropout, Flatten, Input, Layer, LeakyReLU, PReLU, Reshape
from minidl.layers.naming import reset_names
from minidl.models import Model, Sequential
from minidl.models.summary import summarize

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def fresh_names():
    reset_names()


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """A function that sets the width of the terminal: 80 columns unless called."""

    def set_width(columns):
        monkeypatch.setenv("COLUMNS", str(columns))

    set_width(80)
    return set_width


def fashion_mnist_network():
    return Sequential([
        Input((28, 28)), Flatten(), BatchNormalization(), Dense(300, activation="relu"), BatchNormalization(),
        Dense(100, activation="relu"), BatchNormalization(), Dense(10, activation="softmax"),
    ])  # fmt: skip


def unbuilt_network():
    return Sequential([Flatten(), Dense(300, activation="relu"), Dense(10, activation="softmax")])


def frozen_network():
    layers = [
        Input((32,)),
        Dense(64, name="the_first_hidden_layer_with_a_rather_long_name"),
        BatchNormalization(name="normalization_after_the_first_hidden_layer"),
        LeakyReLU(negative_slope=0.2),
        Dropout(0.5),
        Dense(10, name="a name with many words in it that is broken into lines"),
        Reshape((5, 2)),
    ]
    model = Sequential(layers, name="a_network_with_long_names")
    model.layers[0].trainable = model.layers[1].trainable = False
    return model


def nested_network():
    innermost = Sequential([Input((3,)), PReLU(name="twice_nested_activation_with_a_long_name")], name="innermost")
    inner = Sequential([Input((6,)), Dense(3), innermost], name="inner")
    return Sequential([Input((2, 3)), Flatten(), inner, Dense(1)], name="outer")


def residual_network():
    """A residual block, by a layer and by an operator; every layer once, but not in a chain."""
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    merged = keras.layers.Add()([inputs, hidden])
    again = keras.ops.relu(keras.layers.Dense(8)(merged) + merged)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(again))


def wide_network():
    """Several inputs, one of which nothing depends on, and several outputs; operations of several kinds."""
    image, words = keras.Input((4, 4), name="image"), keras.Input((6,), name="words")
    unused = keras.Input((2,), name="unused")
    flat = keras.layers.Flatten()(image)
    both = keras.layers.Concatenate(name="both")([flat, words, 1 - words])
    mean = keras.ops.mean(image[:, 0], axis=-1, keepdims=True) / 2
    label = keras.layers.Dense(5, name="label")(both)
    score = keras.layers.Dense(1, name="score", trainable=False)(keras.layers.Multiply()([mean, both]))
    return keras.Model([image, words, unused], {"score": score, "label": label}, name="wide")


def siamese_network():
    """A model inside a model, called twice, and a layer called three times, once on its own output."""
    inner_input = keras.Input((4,), name="inner_input")
    inner = keras.Model(inner_input, keras.layers.Dense(3, name="deep")(inner_input * 2), name="encoder")
    chain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.ReLU()], name="chain")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = keras.layers.Dense(3, name="shared")
    a, b = inner(left), inner(right)
    merged = keras.layers.Average()([shared(a), shared(shared(b))])
    return keras.Model([left, right], chain(merged), name="siamese")


def chain_network():
    """A graph that is a chain has no column for connections."""
    inputs = keras.Input((5, 3), name="series")
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs[:, ::2])), name="straight")


def extracted_network():
    """Part of another model: from the middle of a Sequential, with two of its tensors as outputs."""
    model = keras.Sequential([keras.Input((4,), name="first"), keras.layers.Dense(3), keras.layers.Dense(2)])
    return keras.Model(model.inputs, [model.layers[0].output, model.outputs[0]], name="features")


def lines(text):
    """The lines of the table itself."""
    return [line for line in text.splitlines() if line[0] in "┏┃┡│├└"]


@pytest.mark.parametrize(
    ("case", "network", "columns", "options"),
    [
        ("fashion_mnist", fashion_mnist_network, 80, {}),
        ("fashion_mnist_wide", fashion_mnist_network, 120, {}),
        ("fashion_mnist_trainable", fashion_mnist_network, 80, {"show_trainable": True}),
        ("fashion_mnist_line_length", fashion_mnist_network, 80, {"line_length": 60}),
        ("unbuilt", unbuilt_network, 80, {}),
        ("empty", Sequential, 80, {}),
        ("frozen", frozen_network, 80, {}),
        ("frozen_trainable", frozen_network, 120, {"show_trainable": True}),
        ("residual", residual_network, 120, {}),
        ("residual_narrow", residual_network, 80, {}),
        ("wide", wide_network, 120, {}),
        ("wide_trainable", wide_network, 130, {"show_trainable": True}),
        ("siamese", siamese_network, 120, {}),
        ("siamese_expanded", siamese_network, 100, {"expand_nested": True}),
        ("siamese_positions", siamese_network, 120, {"positions": [0.4, 0.6, 0.7, 1.0]}),
        ("chain", chain_network, 100, {}),
        ("extracted", extracted_network, 100, {}),
    ],
)
def test_is_what_keras_prints(case, network, columns, options, terminal):
    terminal(columns)
    assert summarize(network(), **options) == (GOLDEN / f"summary_{case}.txt").read_text(encoding="utf-8")


def test_counts_what_the_optimizer_holds_once_it_has_trained():
    model = Sequential([Input((4,)), Dense(3), PReLU()], name="trained")
    model.compile("adam", "mse")
    assert "Optimizer" not in summarize(model)
    model.train_on_batch(np.zeros((2, 4)), np.zeros((2, 3)))
    expected = (GOLDEN / "summary_trained.txt").read_text(encoding="utf-8")
    # The step and the learning rate have 64 bits here, in Keras 32: 8 bytes more.
    for theirs, here in {"Total params: 56 (224": "Total params: 56 (232", "38 (152": "38 (160"}.items():
        assert theirs in expected
        expected = expected.replace(theirs, here)
    assert summarize(model) == expected


def test_model_summary_prints_it_or_hands_it_over_in_one_piece(capsys):
    model = fashion_mnist_network()
    model.summary()
    assert capsys.readouterr().out == summarize(model)
    pieces = []
    model.summary(print_fn=pieces.append, line_length=60, show_trainable=True)
    assert pieces == [summarize(model, line_length=60, show_trainable=True)]


# The three tables below are what Keras prints for them.
def test_expands_nested_models():
    assert summarize(nested_network(), line_length=50, expand_nested=True).splitlines() == [
        'Model: "outer"',
        "┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━━━┓",
        "┃ Layer (type)        ┃ Output Shape   ┃ Param # ┃",
        "┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━━━┩",
        "│ flatten (Flatten)   │ (None, 6)      │       0 │",
        "├─────────────────────┼────────────────┼─────────┤",
        "│ inner (Sequential)  │ (None, 3)      │      24 │",
        "├─────────────────────┼────────────────┼─────────┤",
        "│    └ dense (Dense)  │ (None, 3)      │      21 │",
        "├─────────────────────┼────────────────┼─────────┤",
        "│    └ innermost      │ (None, 3)      │       3 │",
        "│ (Sequential)        │                │         │",
        "├─────────────────────┼────────────────┼─────────┤",
        "│       └             │ (None, 3)      │       3 │",
        "│ twice_nested_activ… │                │         │",
        "│ (PReLU)             │                │         │",
        "├─────────────────────┼────────────────┼─────────┤",
        "│ dense_1 (Dense)     │ (None, 1)      │       4 │",
        "└─────────────────────┴────────────────┴─────────┘",
        " Total params: 28 (112.00 B)",
        " Trainable params: 28 (112.00 B)",
        " Non-trainable params: 0 (0.00 B)",
    ]


def test_breaks_headers_and_shapes_where_there_is_little_room():
    assert lines(summarize(nested_network(), line_length=34)) == [
        "┏━━━━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━┓",
        "┃              ┃ Output   ┃ Par… ┃",
        "┃ Layer (type) ┃ Shape    ┃    # ┃",
        "┡━━━━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━┩",
        "│ flatten      │ (None,   │    0 │",
        "│ (Flatten)    │ 6)       │      │",
        "├──────────────┼──────────┼──────┤",
        "│ inner        │ (None,   │   24 │",
        "│ (Sequential) │ 3)       │      │",
        "├──────────────┼──────────┼──────┤",
        "│ dense_1      │ (None,   │    4 │",
        "│ (Dense)      │ 1)       │      │",
        "└──────────────┴──────────┴──────┘",
    ]


def test_columns_end_at_the_positions():
    table = lines(summarize(nested_network(), line_length=50, positions=[0.6, 0.8, 1.0]))
    assert table[0] == "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━━┓"


@pytest.mark.parametrize("columns", [40, 60, 92, 300])
@pytest.mark.parametrize("show_trainable", [False, True])
def test_fits_the_terminal_and_is_never_wider_than_88_or_100(columns, show_trainable, terminal):
    terminal(columns + 4)
    table = lines(summarize(fashion_mnist_network(), show_trainable=show_trainable))
    assert {len(line) for line in table} == {min(columns, 100 if show_trainable else 88)}


def test_the_line_length_is_kept_even_if_the_terminal_is_narrower(terminal):
    terminal(40)
    assert {len(line) for line in lines(summarize(fashion_mnist_network(), line_length=70))} == {70}


def test_builds_nothing():
    model = unbuilt_network()
    summarize(model)
    assert not any(layer.built for layer in model.layers)


def test_builds_no_layer_to_learn_its_shape():
    unbuilt = Dense(2)
    model = SimpleNamespace(name="m", layers=[unbuilt], batch_input_shape=(None, 3), optimizer=None)
    model.trainable_variables, model.non_trainable_variables = [], []
    assert "│ dense (Dense)                   │ ?                      │   0 (unbuilt) │" in summarize(model)
    assert not unbuilt.built


def test_breaks_names_at_blanks_only():
    model = Sequential([Input((3,)), Flatten(name="a-name-with-hyphens-and-no-blanks-in-it")])
    assert "│ a-name-with-hyphens-and-no-bla… │" in summarize(model)


def test_asks_a_layer_of_ones_own_for_its_shape():
    class Twice(Layer):
        def call(self, inputs):
            return inputs * 2

    text = summarize(Sequential([Input((None, 3)), Twice()]))
    assert "│ twice (Twice)                   │ (None, None, 3)        │             0 │" in text


def test_a_subclassed_model_shows_the_shapes_that_its_layers_were_built_for():
    class Network(Model):
        def __init__(self):
            super().__init__()
            self.hidden = Dense(3)

        def call(self, inputs):
            return self.hidden(inputs)

    network = Network()
    assert "│ dense (Dense)                   │ ?                      │   0 (unbuilt) │" in summarize(network)
    network(np.ones((1, 4)))
    assert "│ dense (Dense)                   │ (None, 3)              │            15 │" in summarize(network)


@pytest.mark.parametrize(
    ("numbers", "size"),
    [
        (0, "0.00 B"), (1, "4.00 B"), (255, "1020.00 B"), (256, "1.00 KB"), (262143, "1024.00 KB"),
        (262144, "1.00 MB"), (272128, "1.04 MB"), (2**28, "1.00 GB"), (2**38, "1.00 TB"),
    ],
)  # fmt: skip
def test_sizes_are_in_units_of_1024(numbers, size):
    weight = SimpleNamespace(size=numbers, dtype=np.dtype("float32"))
    model = SimpleNamespace(name="m", layers=[], batch_input_shape=None, optimizer=None)
    model.trainable_variables, model.non_trainable_variables = [weight], []
    assert summarize(model).splitlines()[-3:] == [
        f" Total params: {numbers:,} ({size})",
        f" Trainable params: {numbers:,} ({size})",
        " Non-trainable params: 0 (0.00 B)",
    ]


class TestErrors:
    @pytest.mark.parametrize("line_length", [-5, 0, 12])
    def test_too_few_characters(self, line_length):
        with pytest.raises(ArgumentError, match=f"{line_length} characters are too few for 3 columns: set line_length"):
            summarize(fashion_mnist_network(), line_length=line_length)

    def test_a_terminal_that_is_too_narrow(self, terminal):
        terminal(16)
        assert shutil.get_terminal_size().columns == 16
        with pytest.raises(ArgumentError, match="12 characters are too few for 3 columns"):
            summarize(fashion_mnist_network())

    @pytest.mark.parametrize(
        "positions", [[], [0.5, 1.0], [0.5, 0.4, 1.0], [0, 0.5, 1.0], [0.3, 0.6, 0.7, 1.0], [33, 57, 72]]
    )
    def test_positions_that_are_no_three_rising_fractions(self, positions):
        with pytest.raises(ArgumentError, match="expected three rising positions, fractions of the line up to 1, got"):
            summarize(fashion_mnist_network(), positions=positions)
