"""`fit`, `evaluate` and `predict` follow Keras 3, with every way to weigh samples. See tests/golden/README.md.

Dense(10 → 8), BatchNormalization, relu, Dense(8 → 3, softmax); SGD with momentum; 50 samples in batches of 7, the last
one of 1 sample; 3 epochs in the given order.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import minidl as keras

WEIGHTS = ("kernel1", "gamma", "beta", "moving_mean", "moving_variance", "kernel2", "bias2")
NUMBERS = ("accuracy", "loss", "sparse_categorical_accuracy")

# Keras's own float32 values are within 1.4e-6 of a float64 calculation; this leaves room for our rounding.
CLOSE = {"rtol": 0, "atol": 5e-6}


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "training.npz") as file:
        return dict(file)


@pytest.fixture
def model(golden):
    model = keras.Sequential([
        keras.Input((10,)),
        keras.layers.Dense(8, use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.Activation("relu"),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.set_weights([golden[f"{name}_0"] for name in WEIGHTS])
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
        metrics=["accuracy"],
        weighted_metrics=["sparse_categorical_accuracy"],
    )
    return model


def options_of(case, golden):
    validation = golden["x_val"], golden["y_val"]
    weighted = {"sample_weight": golden["sample_weight"]}
    return {
        "plain": {"validation_data": validation},
        "class_weight": {"validation_data": validation, "class_weight": {0: 0.5, 1: 2.0, 2: 1.25}},
        "sample_weight": {"validation_data": validation, **weighted},
        "weighted_validation": {"validation_data": (*validation, golden["sample_weight_val"]), **weighted},
        "validation_split": {"validation_split": 0.3, **weighted},
    }[case]


class Running(keras.callbacks.Callback):
    """Writes down the loss and the accuracy that every batch shows."""

    def on_train_begin(self, logs=None):
        self.numbers = []

    def on_epoch_begin(self, epoch, logs=None):
        self.numbers.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.numbers[-1].append((logs["loss"], logs["accuracy"]))


CASES = ("plain", "class_weight", "sample_weight", "weighted_validation", "validation_split")


def test_no_golden_case_is_left_out(golden):
    assert {name.partition("__")[0] for name in golden if "__" in name} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_three_epochs(golden, model, case):
    running = Running()
    history = model.fit(
        golden["x"], golden["y"], batch_size=7, epochs=3, shuffle=False, verbose=0, callbacks=[running],
        **options_of(case, golden),
    )  # fmt: skip

    def expected(name):
        return golden[f"{case}__{name}"]

    assert list(history.history) == json.loads(str(expected("history_keys")))
    for name, values in history.history.items():
        assert all(type(value) is float for value in values)
        np.testing.assert_allclose(values, expected(f"history_{name}"), **CLOSE, err_msg=name)
    np.testing.assert_allclose(running.numbers, expected("running"), **CLOSE)
    for name, value in zip(WEIGHTS, model.get_weights(), strict=True):
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected(name), **CLOSE, err_msg=name)

    x, y = golden["x"], golden["y"]
    predicted = model.predict(x, verbose=0)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected("predict"), **CLOSE)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected("evaluate"), **CLOSE)
    weighted = model.evaluate(x, y, sample_weight=golden["sample_weight"], verbose=0)
    np.testing.assert_allclose(weighted, expected("evaluate_weighted"), **CLOSE)
