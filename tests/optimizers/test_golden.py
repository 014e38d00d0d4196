"""Every optimizer follows Keras 3: its rule alone, and training a small network. See tests/golden/README.md."""

import numpy as np
import pytest

from minidl import ops, optimizers
from minidl.layers.variable import Variable

RULES = [
    "sgd", "sgd_momentum", "sgd_nesterov", "adagrad", "adagrad_start", "rmsprop", "rmsprop_rho", "rmsprop_momentum",
    "rmsprop_centered", "rmsprop_centered_momentum", "adam", "adam_betas", "adam_amsgrad", "adam_amsgrad_betas",
    "adam_weight_decay", "adamw", "adamw_betas", "adamw_amsgrad", "adamax", "adamax_betas", "nadam", "nadam_betas",
    "sgd_clipvalue", "sgd_clipnorm", "sgd_global_clipnorm", "sgd_weight_decay", "lion", "lion_betas", "adadelta",
    "adadelta_rho",
]  # fmt: skip
TRAJECTORIES = [
    *[("optimizers", case) for case in (
        "sgd", "sgd_momentum", "sgd_nesterov", "adagrad", "rmsprop", "rmsprop_momentum", "rmsprop_centered", "adam",
        "adam_amsgrad", "adamw", "adamw_decay", "adamax", "nadam",
    )],
    *[("optimizers_clipped", case) for case in (
        "sgd_clipvalue", "sgd_clipnorm", "sgd_global_clipnorm", "adam_clipvalue", "adam_clipnorm",
        "adam_global_clipnorm", "sgd_weight_decay", "adam_schedule",
    )],
]  # fmt: skip


def optimizer_of(case):
    """The optimizer of a case; the learning rate may be the case of a schedule."""
    arguments = {key: value for key, value in case.items() if key != "class_name"}
    if isinstance(arguments.get("learning_rate"), dict):
        rate = dict(arguments["learning_rate"])
        arguments["learning_rate"] = {"class_name": rate.pop("class_name"), "config": rate}
    return optimizers.deserialize({"class_name": case["class_name"], "config": arguments})


def test_no_golden_case_is_left_out(golden):
    assert sorted(RULES) == sorted(golden("optimizer_rules")[0])
    for file in ("optimizers", "optimizers_clipped"):
        assert sorted(case for name, case in TRAJECTORIES if name == file) == sorted(golden(file)[0])


@pytest.mark.parametrize("case", RULES)
def test_20_given_gradients(golden, run, case):
    """Within 1e-6: Keras takes 1 − β₂ᵗ in float32, minidl in float64, which puts them up to 9e-7 apart."""
    cases, arrays = golden("optimizer_rules")
    w = run(optimizer_of(cases[case]), arrays["w0"], arrays["gradients"])
    assert w.dtype == np.float32
    np.testing.assert_allclose(w, arrays[f"{case}__w"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("file", "case"), TRAJECTORIES)
def test_20_steps_of_a_small_network(golden, file, case):
    """Dense(16, relu), Dense(4), cross-entropy from logits: weights and losses within 1e-5 after every step."""
    cases, arrays = golden(file)
    optimizer = optimizer_of(cases[case])
    weights = [Variable(arrays[name], name=name) for name in ("kernel1", "bias1", "kernel2", "bias2")]
    kernel1, bias1, kernel2, bias2 = weights
    for k, (x, y) in enumerate(zip(arrays["x"], arrays["y"], strict=True)):

        def loss(x=x, y=y):
            logits = ops.relu(x @ kernel1 + bias1) @ kernel2 + bias2
            return ops.mean(ops.sparse_softmax_crossentropy(logits, y))

        value = optimizer.minimize(loss, weights)
        assert float(value) == pytest.approx(arrays[f"{case}__loss"][k], abs=1e-5)
        w = np.concatenate([weight.data.ravel() for weight in weights])
        np.testing.assert_allclose(w, arrays[f"{case}__w"][k], rtol=0, atol=1e-5)
    assert int(optimizer.iterations) == 20
