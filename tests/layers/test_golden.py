"""Single layers beside Keras: values and gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

from minidl import layers
from minidl.autodiff import vjp

with np.load(Path(__file__).parents[1] / "golden" / "layers.npz") as file:
    GOLDEN = dict(file)
CASES = json.loads(str(GOLDEN["cases"]))

# Keras itself, in float32, is off by up to 8e-7.
close = {"rtol": 2e-6, "atol": 2e-6}


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_are_those_of_keras(case):
    arguments = dict(CASES[case])
    layer = getattr(layers, arguments.pop("class_name"))(**arguments)
    golden = {key.removeprefix(f"{case}__"): array for key, array in GOLDEN.items() if key.startswith(f"{case}__")}
    layer.build(golden["x"].shape)
    assert {"x", "y", "c", "dx"} | {n for w in layer.weights for n in (w.name, f"d{w.name}")} == set(golden)

    y, pull = vjp(
        lambda x, *weights: layer.stateless_call(weights, [], x)[0],
        golden["x"],
        *(golden[w.name] for w in layer.weights),
    )
    dx, *gradients = pull(golden["c"])
    np.testing.assert_allclose(y, golden["y"], **close)
    np.testing.assert_allclose(dx, golden["dx"], **close)
    for w, dw in zip(layer.weights, gradients, strict=True):
        np.testing.assert_allclose(dw, golden[f"d{w.name}"], **close, err_msg=w.name)
    assert {str(a.dtype) for a in (y, dx, *gradients)} == {"float32"}
