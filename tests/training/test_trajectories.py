"""Fifty steps beside Keras: every optimizer, schedule, clipping, penalty, constraint, weight and kind of layer.

tests/golden/make_trajectories.py says what each case is. The networks come from descriptions, but for the functional
one, which stands there and here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl as keras

with np.load(Path(__file__).parents[1] / "golden" / "trajectories.npz") as file:
    GOLDEN = dict(file)
CASES = json.loads(str(GOLDEN["cases"]))
# float32 on both sides, with sums in other orders; Keras takes Adam's 1 − β₂ᵗ in float32, too. They are up to 5e-6
# apart with the rules of Adam's family, up to 1e-6 with the others.
CLOSE = {"rtol": 0, "atol": 2e-5}


def made(described, module):
    """What a description stands for."""
    arguments = {key: value for key, value in described.items() if key != "class_name"}
    return getattr(module, described["class_name"])(**arguments)


def two_outputs(keras: Any) -> Any:
    """Two inputs, a shared layer, a sum around a block, and two outputs of which one reads the other."""
    layers = keras.layers
    x, z = keras.Input((6,), name="x"), keras.Input((6,), name="z")
    shared = layers.Dense(8, "elu", kernel_regularizer=keras.regularizers.L2(0.01))
    p, q = shared(x), shared(z)
    block = layers.BatchNormalization(momentum=0.9)(layers.Dense(8, "relu")(layers.Concatenate()([p, q])))
    hidden = layers.Add()([p, block])
    label = layers.Dense(4, name="label")(layers.Multiply()([hidden, q]))
    score = layers.Dense(1, name="score")(hidden - 0.1 * layers.Dense(8)(label))
    return keras.Model([x, z], {"label": label, "score": score})


def network(case):
    """The model of a case, inputs and targets."""
    x = GOLDEN[case["x"]]
    if case["network"] == "two_outputs":
        return two_outputs(keras), [x, x[:, ::-1]], {"label": GOLDEN["y"], "score": GOLDEN["score"]}
    model = keras.Sequential([made(layer, keras.layers) for layer in case["network"]])
    model.build(x.shape)
    for k in case.get("frozen", []):
        model.layers[k].trainable = False
    return model, x, GOLDEN[case["y"]]


def optimizer(case):
    """The optimizer of a case; its rate may be a schedule."""
    rate = case["optimizer"]["learning_rate"]
    schedule = keras.optimizers.schedules.deserialize(rate) if isinstance(rate, dict) else rate
    return made(case["optimizer"] | {"learning_rate": schedule}, keras.optimizers)


def loss(described):
    """One loss, or one for each output."""
    if isinstance(described, dict) and "class_name" not in described:
        return {name: loss(each) for name, each in described.items()}
    return keras.losses.get(described)


def callbacks(case, model):
    """What changes the learning rate."""

    def change(epoch, logs=None):
        model.optimizer.learning_rate = 0.01 / (1 + epoch)

    return {
        "LearningRateScheduler": [keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.6 if epoch else 0.08)],
        "LambdaCallback": [keras.callbacks.LambdaCallback(on_epoch_begin=change)],
        None: [],
    }[case.get("callback")]


@pytest.mark.parametrize("name", CASES)
def test_fifty_steps_are_those_of_keras(name):
    case = CASES[name]
    golden = {key.removeprefix(f"{name}__"): x for key, x in GOLDEN.items() if key.startswith(f"{name}__")}
    model, inputs, targets = network(case)
    count = len(model.get_weights())
    model.set_weights([golden[f"start_{k}"] for k in range(count)])
    model.compile(optimizer(case), loss(case["loss"]), loss_weights=case.get("loss_weights"))
    losses, rates = [], []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]),
        on_epoch_end=lambda epoch, logs: rates.append(float(model.optimizer.learning_rate)),
    )
    model.fit(
        inputs, targets, batch_size=8, epochs=5, shuffle=False, verbose=0, callbacks=[*callbacks(case, model), note],
        class_weight={int(k): w for k, w in case.get("class_weight", {}).items()} or None,
        sample_weight=GOLDEN.get(case.get("sample_weight")),
    )  # fmt: skip
    np.testing.assert_allclose(losses, golden["losses"], **CLOSE)
    np.testing.assert_allclose(rates, golden["rates"], rtol=2e-6)
    assert f"end_{count}" not in golden
    for k, w in enumerate(model.get_weights()):
        np.testing.assert_allclose(w, golden[f"end_{k}"], **CLOSE, err_msg=model.weights[k].path)


def test_every_optimizer_and_schedule_of_keras_is_among_them():
    described, schedules = json.dumps(CASES), keras.optimizers.schedules
    for module, base in ((keras.optimizers, keras.optimizers.Optimizer), (schedules, schedules.LearningRateSchedule)):
        kinds = {thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, base)}
        names = {kind.__name__ for kind in kinds - {base, schedules.OneCycle}}  # Keras has no 1cycle
        assert {name for name in names if f'"{name}"' not in described} == set()
