"""The layers that change images beside Keras: values and gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

from minidl import layers
from minidl.autodiff import vjp

with np.load(Path(__file__).parents[1] / "golden" / "augmentation.npz") as file:
    GOLDEN = dict(file)
CASES = json.loads(str(GOLDEN["cases"]))


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_keras(case):
    """Factors (f, f) leave nothing to chance. Keras finds places in float32, which is off by 1e-6 pixels and more."""
    arguments = dict(CASES[case])
    layer = getattr(layers, arguments.pop("class_name"))(**arguments)
    x, y, c, dx = (GOLDEN[f"{case}__{key}"] for key in ("x", "y", "c", "dx"))
    result, pull = vjp(lambda x: layer(x, training=True), x)
    np.testing.assert_allclose(result, y, rtol=3e-6, atol=3e-6)
    np.testing.assert_allclose(pull(c)[0], dx, rtol=3e-6, atol=3e-6)
    assert result.dtype == "float32"
