"""A model with two inputs and two outputs, trained as Keras trains it."""

import json
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl.layers import Add, BatchNormalization, Concatenate, Dense, Input

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "functional.npz")
CASES = json.loads(str(GOLDEN["cases"]))


def network():
    x, z = Input((4,), name="x"), Input((4,), name="z")
    shared = Dense(5, activation="tanh", name="shared")
    p, q = shared(x), shared(z)
    hidden = Add()([p, BatchNormalization(momentum=0.9)(q)])
    both = Concatenate()([hidden, p * q, keras.ops.max(x, axis=1, keepdims=True)])
    return keras.Model([x, z], [Dense(2, name="a")(both), Dense(1, name="b")(hidden)])


def of(case, kind):
    prefix = f"{case}__{kind}_"
    return {name.removeprefix(prefix): GOLDEN[name] for name in GOLDEN.files if name.startswith(prefix)}


@pytest.mark.parametrize("case", CASES)
def test_trains_as_in_keras(case):
    compiled, options = CASES[case]
    model = network()
    model.set_weights([GOLDEN[f"start_{k}"] for k in range(len(model.weights))])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), **compiled)
    x, y = [GOLDEN["x"], GOLDEN["z"]], [GOLDEN["a"], GOLDEN["b"]]
    if "sample_weight" in options:
        options = {"sample_weight": [GOLDEN["weight"]] * 2}
    history = model.fit(x, y, batch_size=5, epochs=3, shuffle=False, verbose=0, **options).history
    wanted = of(case, "history")
    assert list(history) == list(wanted)
    # float32 over 15 steps: a few units in the last place of each.
    for name, values in history.items():
        np.testing.assert_allclose(values, wanted[name], rtol=2e-5, err_msg=name)
    for k, weight in enumerate(model.get_weights()):
        np.testing.assert_allclose(weight, GOLDEN[f"{case}__end_{k}"], atol=2e-5)
    results = model.evaluate(x, y, verbose=0, return_dict=True)
    assert results == pytest.approx({name: float(value) for name, value in of(case, "evaluate").items()}, rel=2e-5)
    for k, predicted in enumerate(model.predict(x, verbose=0)):
        np.testing.assert_allclose(predicted, GOLDEN[f"{case}__predict_{k}"], atol=2e-5)
