"""Normalization, merging and embedding layers beside Keras: values, gradients, and averages after three steps."""

import json
from pathlib import Path

import numpy as np
import pytest

from minidl import layers
from minidl.autodiff import vjp

with np.load(Path(__file__).parents[1] / "golden" / "more_layers.npz") as file:
    GOLDEN = dict(file)
CASES = json.loads(str(GOLDEN["cases"]))
RENORM = [case for case in CASES if case.startswith("renorm")]

# float32: sums of some 80 products of size 1 to 10.
close = {"rtol": 1e-5, "atol": 1e-5}


def made(case):
    """The layer of a case, and its arrays."""
    arguments = dict(CASES[case])
    layer = getattr(layers, arguments.pop("class_name"))(**arguments)
    return layer, {key.removeprefix(f"{case}__"): x for key, x in GOLDEN.items() if key.startswith(f"{case}__")}


@pytest.mark.parametrize("case", [case for case in CASES if case not in RENORM])
def test_value_and_gradients_are_those_of_keras(case):
    layer, golden = made(case)
    xs = [golden[key] for key in sorted(golden) if key[0] == "x"]
    if case.startswith("adapt"):
        layer.adapt(xs[0])
        for w in layer.weights:
            np.testing.assert_allclose(w, golden[w.name], **close, err_msg=w.name)
    else:
        layer.build(xs[0].shape if len(xs) == 1 else [x.shape for x in xs])
    fixed = [v.data for v in layer.non_trainable_variables]
    names = [w.name for w in layer.trainable_variables]

    def f(*values):
        inputs, weights = values[: len(xs)], values[len(xs) :]
        return layer.stateless_call(weights, fixed, inputs[0] if len(xs) == 1 else list(inputs))[0]

    if case == "embedding":
        y, pull = vjp(lambda *weights: f(*xs, *weights), *(golden[name] for name in names))
        gradients = dict(zip((f"d{name}" for name in names), pull(golden["c"]), strict=True))
    else:
        y, pull = vjp(f, *xs, *(golden[name] for name in names))
        keys = [*(f"dx{k}" for k in range(len(xs))), *(f"d{name}" for name in names)]
        gradients = dict(zip(keys, pull(golden["c"]), strict=True))
    np.testing.assert_allclose(y, golden["y"], **close)
    assert {key for key in golden if key[0] == "d"} == set(gradients)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, golden[key], **close, err_msg=key)


@pytest.mark.parametrize("case", RENORM)
def test_batch_renormalization_is_that_of_keras_step_by_step(case):
    layer, golden = made(case)
    layer.build((None, 3))
    start = [golden[f"start_{w.name}"] for w in layer.trainable_variables]
    for w, value in zip(layer.trainable_variables, start, strict=True):
        w.assign(value)
    names = [f"d{w.name}" for w in layer.trainable_variables]
    for k in range(3):

        def f(x, *weights):
            fixed = [v.data for v in layer.non_trainable_variables]
            return layer.stateless_call(weights, fixed, x, training=True)[0]

        y, pull = vjp(f, golden[f"x{k}"], *start)
        np.testing.assert_allclose(y, golden[f"y{k}"], **close)
        for name, gradient in zip(["dx", *names], pull(golden["c"]), strict=True):
            np.testing.assert_allclose(gradient, golden[f"{name}{k}"], **close, err_msg=f"{name}, step {k}")
        np.testing.assert_array_equal(layer(golden[f"x{k}"], training=True), y)
    assert [w.name for w in layer.non_trainable_variables] == [
        "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"
    ]  # fmt: skip
    for w in layer.non_trainable_variables:
        np.testing.assert_allclose(w, golden[w.name], **close, err_msg=w.name)
    np.testing.assert_allclose(layer(golden["x0"]), golden["inference"], **close)
