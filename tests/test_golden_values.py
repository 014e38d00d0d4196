"""Every name that minidl shares with Keras has golden values, or stands below with a reason; and those of the rest.

Where the values of a name are follows from the `cases` of the files in tests/golden: a name counts where a case has it
as its `class_name` or `function`, or as the first entry of a list.
"""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl import initializers, layers

ROOT = Path(__file__).parent
KERAS = json.loads((ROOT / "golden" / "keras_names.json").read_text())
FILES = [*sorted((ROOT / "golden").glob("*.npz")), ROOT / "metrics" / "golden.npz"]
WITHOUT = {
    "get": "finds others by name",
    "serialize": "describes others",
    "deserialize": "makes others from a description",
    "Initializer": "base class", "Layer": "base class", "Metric": "base class", "Loss": "base class",
    "Optimizer": "base class",
    "Constraint": "base class", "Regularizer": "base class", "LearningRateSchedule": "base class",
    "Callback": "base class; callbacks.json has all its calls, in their order",
    "CallbackList": "what `fit` calls; callbacks.json has all calls, in their order",
    "History": "training.npz has the histories of five fits",
    "TensorBoard": "writes files of events, which tests/callbacks/test_tensorboard.py reads",
    "TerminateOnNaN": "stops at a batch; tests/callbacks/test_terminate_on_nan.py says which",
    "MeanMetricWrapper": "base class of the metrics that average a function",
    "Input": "a symbol", "InputLayer": "passes its input on",
    "Lambda": "calls a function of the user",
    "RandomCrop": "one window for all images in Keras, one for each here; at inference Keras leaves images as they are",
    "sparsemax": "what Keras 3.15 gives on JAX does not sum to 1; tests/activations has the formula",
    "MixUp": "other images of the batch and Beta: tests/test_augmentation.py has the formula",
}  # fmt: skip


def named(value):
    """All class and function names in the cases of a file."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key in ("class_name", "function", "callback") and isinstance(part, str):
                yield part
            else:
                yield from named(part)
    elif isinstance(value, list):
        if value and isinstance(value[0], str):
            yield value[0]
        for part in value:
            yield from named(part)


def golden_names():
    """Where each name has values."""
    described = {"callbacks.json": json.loads((ROOT / "golden" / "callbacks.json").read_text())}
    for path in FILES:
        with np.load(path) as file:
            described[path.name] = [json.loads(str(file[key])) for key in ("cases", "keras") if key in file]
    found = {}
    for file, value in described.items():
        for name in named(value):
            found.setdefault(name, set()).add(file)
    return found


@pytest.mark.parametrize("module", [module for module in KERAS if module != "keras"])
def test_every_name_of_keras_has_golden_values_or_a_reason_to_have_none(module):
    here, golden = importlib.import_module(f"minidl.{module}"), golden_names()
    lacking = []
    for name in KERAS[module]:
        thing = getattr(here, name, None)
        spellings = {other for other, value in vars(here).items() if value is thing}
        if thing is not None and name not in WITHOUT and not spellings & set(golden):
            lacking.append(name)
    assert lacking == []


def test_what_has_a_reason_has_no_values():
    public = {name for module in KERAS.values() for name in module}
    assert [name for name in WITHOUT if name not in public] == []
    assert [name for name in WITHOUT if name in golden_names()] == []


# ---- What the other rooms leave out --------------------------------------------------------------------------------

with np.load(ROOT / "golden" / "rest.npz") as rest:
    REST = dict(rest)
CASES = json.loads(str(REST["cases"]))
COPIES = 40_000


def case(kind, name, module):
    """The object of a case, and its arrays."""
    arguments = dict(CASES[kind][name])
    arguments.pop("shape", None)
    arrays = {key.removeprefix(f"{name}__"): x for key, x in REST.items() if key.startswith(f"{name}__")}
    return getattr(module, arguments.pop("class_name"))(**arguments), arrays


@pytest.mark.parametrize("name", CASES["layers"])
def test_layers(name):
    layer, golden = case("layers", name, layers)
    xs = [golden[key] for key in sorted(golden) if key[0] == "x"]
    np.testing.assert_allclose(layer(xs[0] if len(xs) == 1 else xs), golden["y"], rtol=1e-6, atol=1e-6)
    if len(xs) > 1:
        arguments = {key: value for key, value in CASES["layers"][name].items() if key != "class_name"}
        function = getattr(layers, CASES["layers"][name]["class_name"].lower())
        np.testing.assert_array_equal(function(xs, **arguments), layer(xs))
    assert float(sum(map(float, layer.losses))) == pytest.approx(float(golden.get("losses", 0.0)), rel=1e-6)


@pytest.mark.parametrize("name", CASES["random"])
def test_layers_that_draw_have_the_same_moments(name):
    """Means of 40,000 on both sides: six of their standard errors apart at most, which is 0.8 to 4 % of a spread."""
    keras.utils.set_random_seed(3)
    layer, golden = case("random", name, layers)
    x = np.repeat(golden["x"][None], COPIES, axis=0)
    y = layer(x, training=True).numpy().reshape(COPIES, -1).astype("float64")
    pairs = y[:, :, None] * y[:, None, :]
    for drawn, expected in ((y, golden["mean"]), (pairs, golden["moments"])):
        error = drawn.std(axis=0) * np.sqrt(2 / COPIES)
        assert (abs(drawn.mean(axis=0) - expected) <= 6 * error + 1e-6).all()


@pytest.mark.parametrize("name", CASES["drawn"])
def test_initializers_draw_from_the_same_distribution(name):
    """200,000 numbers on both sides: six standard errors of mean and spread, and the Kolmogorov-Smirnov bound."""
    keras.utils.set_random_seed(4)
    initializer, golden = case("drawn", name, initializers)
    w = np.sort(initializer((400, 500)).ravel().astype("float64"))
    std = float(golden["std"])
    assert abs(w.mean() - golden["mean"]) < 6 * std * np.sqrt(2 / w.size)
    # The variance of a variance is at most 2σ⁴/n for what is no wider than a normal distribution.
    assert abs(w.std() / std - 1) < 6 * np.sqrt(1 / w.size)
    share = np.searchsorted(w, golden["percentiles"]) / w.size
    assert abs(share - np.arange(1, 100) / 100).max() < np.sqrt(np.log(2 / 1e-7) / w.size)


@pytest.mark.parametrize("name", CASES["fixed"])
def test_initializers_with_one_result(name):
    initializer, golden = case("fixed", name, initializers)
    w = initializer(tuple(CASES["fixed"][name]["shape"]))
    if "products" in golden:
        columns = w.reshape(-1, w.shape[-1])
        np.testing.assert_allclose(columns.T @ columns, golden["products"], rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(w, golden["w"])


@pytest.mark.parametrize("name", CASES["metrics"])
def test_metrics_of_values(name):
    metric, golden = case("metrics", name, keras.metrics)
    for values, weights, result in zip(golden["values"], (golden["weights"], None), golden["results"], strict=True):
        metric.update_state(values, sample_weight=weights)
        assert float(metric.result()) == pytest.approx(result, rel=1e-6)


@pytest.mark.parametrize("name", CASES["functions"])
def test_losses_and_metrics_as_functions(name):
    arguments = dict(CASES["functions"][name])
    function = getattr(getattr(keras, arguments.pop("module")), arguments.pop("function"))
    y_true, y_pred, y = (REST[f"{name}__{key}"] for key in ("y_true", "y_pred", "y"))
    np.testing.assert_allclose(function(y_true, y_pred, **arguments), y, rtol=2e-6, atol=1e-6)
