"""What is wrong with the data is said before a weight, a moving average or the optimizer's memory changes by a bit."""

import re

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, DTypeError, MiniDLError, NonFiniteError, ShapeError


def with_value(array, position, value):
    changed = array.astype(np.float64)
    changed[position] = value
    return changed


# What is wrong, the arrays that make it so, and the error. The last of the five batches of 4 is the worst place for it.
WRONG_BY_THEMSELVES = {
    "x is missing": (lambda x, y: {"x": None}, ArgumentError, "expected an array x, got None"),
    "y is missing": (lambda x, y: {"y": None}, ArgumentError, "expected an array y, got None"),
    "no samples": (lambda x, y: {"x": x[:0], "y": y[:0]}, ShapeError, "x has no samples, its shape is (0, 4)"),
    "too few targets": (lambda x, y: {"y": y[:19]}, ShapeError, "x has 20 samples but y has 19"),
    "too many weights": (
        lambda x, y: {"sample_weight": np.ones(21)}, ShapeError, "x has 20 samples but sample_weight has 21"
    ),
    "one number": (lambda x, y: {"x": 3.0}, ShapeError, "x to have one entry a sample, got the single number 3.0"),
    "ragged rows": (lambda x, y: {"x": [[1.0, 2.0]] * 19 + [[1.0]]}, ShapeError, "x is no array with rows of one len"),
    "text": (lambda x, y: {"y": ["cat"] * 20}, DTypeError, "expected numbers in y, got dtype <U3"),
    "objects": (lambda x, y: {"x": [object()] * 20}, DTypeError, "expected numbers in x, got dtype object"),
    "complex numbers": (lambda x, y: {"x": x + 1j}, DTypeError, "expected numbers in x, got dtype complex64"),
    "NaN in x": (lambda x, y: {"x": with_value(x, (19, 3), np.nan)}, NonFiniteError, "x has nan in sample 19"),
    "infinity in x": (lambda x, y: {"x": with_value(x, (7, 0), -np.inf)}, NonFiniteError, "x has -inf in sample 7"),
    "NaN in y": (lambda x, y: {"y": with_value(y, 18, np.nan)}, NonFiniteError, "y has nan in sample 18"),
    "NaN in weights": (
        lambda x, y: {"sample_weight": with_value(np.ones(20), 19, np.nan)},
        NonFiniteError, "sample_weight has nan in sample 19",
    ),
}  # fmt: skip
WRONG_FOR_THE_MODEL = {
    "a class too many": (
        lambda x, y: {"y": np.append(y[:19], 3)}, ArgumentError, "expected labels from 0 to 2, got 3 at position 19"
    ),
    "a negative class": (
        lambda x, y: {"y": np.append(y[:19], -1)}, ArgumentError, "expected labels from 0 to 2, got -1 at position 19"
    ),
    "half a class": (
        lambda x, y: {"y": with_value(y, 19, 1.5)}, ArgumentError, "expected integer labels, got 1.5 at position 19"
    ),
    "one-hot labels": (lambda x, y: {"y": np.eye(3)[y]}, ShapeError, "for one-hot labels use categorical_crossentropy"),
    "a feature missing": (lambda x, y: {"x": x[:, :3]}, ShapeError, "expects inputs of shape (None, 4), got"),
    "an axis too many": (lambda x, y: {"x": x[:, None]}, ShapeError, "expects inputs of shape (None, 4), got"),
    "weights of another shape": (
        lambda x, y: {"sample_weight": np.ones((20, 2))}, ShapeError, "expected a weight for each sample"
    ),
}  # fmt: skip


def each(*tables):
    cases = [pytest.param(*case, id=name) for table in tables for name, case in table.items()]
    return pytest.mark.parametrize(("change", "error", "message"), cases)


@pytest.fixture
def arrays(x, y):
    return {"x": x, "y": y}


@each(WRONG_BY_THEMSELVES, WRONG_FOR_THE_MODEL)
@pytest.mark.parametrize("trained", [False, True], ids=["before training", "after training"])
def test_fit(model, state, arrays, change, error, message, trained):
    if trained:
        model.fit(**arrays, verbose=0)
    before = state(model)
    with pytest.raises(error, match=f"fit: .*{re.escape(message)}") as caught:
        model.fit(**{**arrays, **change(**arrays)}, batch_size=4, verbose=0)
    assert isinstance(caught.value, MiniDLError)
    assert state(model) == before


@each(WRONG_BY_THEMSELVES, WRONG_FOR_THE_MODEL)
def test_validation_data(model, state, arrays, change, error, message):
    before = state(model)
    bad = {"sample_weight": None, **arrays, **change(**arrays)}
    with pytest.raises(error, match=f"validation_data: .*{re.escape(message)}"):
        model.fit(**arrays, validation_data=(bad["x"], bad["y"], bad["sample_weight"]), batch_size=4, verbose=0)
    assert state(model) == before


@each(WRONG_BY_THEMSELVES, WRONG_FOR_THE_MODEL)
def test_train_on_batch(model, state, arrays, change, error, message):
    before = state(model)
    with pytest.raises(error, match=f"train_on_batch: .*{re.escape(message)}"):
        model.train_on_batch(**{**arrays, **change(**arrays)})
    assert state(model) == before


@each(WRONG_BY_THEMSELVES, WRONG_FOR_THE_MODEL)
def test_evaluate(model, state, arrays, change, error, message):
    before = state(model)
    with pytest.raises(error, match=f"evaluate: .*{re.escape(message)}"):
        model.evaluate(**{**arrays, **change(**arrays)}, batch_size=4, verbose=0)
    assert state(model) == before


@each(WRONG_BY_THEMSELVES, WRONG_FOR_THE_MODEL)
def test_test_on_batch(model, state, arrays, change, error, message):
    before = state(model)
    with pytest.raises(error, match=re.escape(message)):
        model.test_on_batch(**{**arrays, **change(**arrays)})
    assert state(model) == before


@each(WRONG_BY_THEMSELVES)
def test_a_model_without_weights_is_not_built_for_such_arrays(arrays, change, error, message):
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(error, match=re.escape(message)):
        model.fit(**{**arrays, **change(**arrays)}, verbose=0)
    assert not model.built


def test_the_first_bad_validation_sample_is_counted_in_the_validation_data(model, x, y):
    """validation_split takes the last samples: number 3 of them is number 13 of all."""
    y[13] = 9
    with pytest.raises(ArgumentError, match=r"validation_data: .*got 9 at position 3"):
        model.fit(x, y, validation_split=0.5, verbose=0)


def test_ignored_labels_are_no_error(make_model, x, y):
    model = make_model(loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=-1), metrics=[])
    y[-1] = -1
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()


def test_labels_of_yes_and_no_are_checked_too(x, y):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy")
    before = model.get_weights()
    labels = (y > 0).astype(int)
    labels[-1] = 2
    with pytest.raises(ArgumentError, match=r"fit: .*expected labels from 0 to 1, got 2"):
        model.fit(x, labels, batch_size=4, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_predictions_that_are_no_probabilities_are_found_in_the_first_batch(make_model, state, x, y):
    """A last layer without softmax needs from_logits=True."""
    model = make_model()
    model.pop()
    model.add(keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=1, seed=1)))
    before = state(model)
    with pytest.raises(ArgumentError, match=r"fit: .*end the model with an activation that makes probabilities"):
        model.fit(x, y, verbose=0)
    assert state(model) == before


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_a_metric_that_does_not_fit(make_model, state, x, y, method):
    model = make_model(metrics=["categorical_accuracy"])
    before = state(model)
    with pytest.raises(ShapeError, match=f"{method}: categorical_accuracy: .*'sparse' in front"):
        getattr(model, method)(x, y)
    assert state(model) == before


def test_outputs_that_are_not_one_a_sample(x, y):
    class Sum(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.sum(inputs, axis=0)

    model = keras.Sequential([keras.layers.Dense(3), Sum()])
    model.compile(loss="mse")
    with pytest.raises(ShapeError, match=r"fit: 'sequential\w*' made outputs of shape \(3,\) of 20 samples"):
        model.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer ≥ 1, got 0"),
        ({"batch_size": -4}, "batch_size must be an integer ≥ 1, got -4"),
        ({"batch_size": 2.5}, "batch_size must be an integer ≥ 1, got 2.5"),
        ({"batch_size": True}, "batch_size must be an integer ≥ 1, got True"),
        ({"epochs": -1}, "epochs must be an integer ≥ 0, got -1"),
        ({"epochs": 1.5}, "epochs must be an integer ≥ 0, got 1.5"),
        ({"initial_epoch": -1}, "initial_epoch must be an integer ≥ 0, got -1"),
        ({"epochs": 2, "initial_epoch": 3}, "epochs=2 is the last epoch and lies before initial_epoch=3"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be an integer ≥ 1, got 0"),
        ({"validation_split": 0.5, "validation_steps": 0}, "validation_steps must be an integer ≥ 1, got 0"),
        ({"validation_split": 0.5, "validation_steps": 2}, "expected at most 1, the number of batches of 32, got 2"),
        ({"validation_split": 0.5, "validation_freq": 0}, "validation_freq must be an integer ≥ 1, got 0"),
        ({"validation_split": 0.5, "validation_freq": [0]}, "validation_freq must be an integer ≥ 1, got 0"),
        ({"validation_split": 0.5, "validation_freq": "2"}, "validation_freq must be an integer ≥ 1, got '2'"),
        ({"augment": keras.layers.GaussianNoise(0.1, name="noise")}, "augment is a function f(x, generator), got the "
         "layer 'noise': make it the first of the model"),
        ({"validation_batch_size": 0}, "validation_batch_size must be an integer ≥ 1, got 0"),
        ({"validation_split": 1.0}, "validation_split: expected a fraction between 0 and 1, got 1.0"),
        ({"validation_split": -0.1}, "validation_split: expected a fraction between 0 and 1, got -0.1"),
        ({"validation_split": 0.999}, "validation_split=0.999 of 20 samples leaves one of the two parts empty"),
        ({"validation_data": (1, 2, 3, 4)}, "validation_data: expected (x, y) or (x, y, sample_weight)"),
        ({"validation_data": np.ones(2)}, "validation_data: expected (x, y) or (x, y, sample_weight)"),
        ({"verbose": 3}, 'verbose: expected 0, 1, 2 or "auto", got 3'),
        ({"verbose": "loud"}, "verbose: expected 0, 1, 2 or \"auto\", got 'loud'"),
        ({"callbacks": [keras.callbacks.History]}, "expected Callback objects, got <class"),
        ({"callbacks": ["history"]}, "expected Callback objects, got 'history'"),
        ({"class_weight": [1, 2, 3]}, "class_weight: expected a dictionary {label: weight}, got [1, 2, 3]"),
        ({"class_weight": {0: -1.0}}, "class_weight: expected finite weights ≥ 0, got -1.0 for class 0"),
        ({"class_weight": {1: np.inf}}, "class_weight: expected finite weights ≥ 0, got inf for class 1"),
        ({"class_weight": {1: np.nan}}, "class_weight: expected finite weights ≥ 0, got nan for class 1"),
        ({"class_weight": {1: "2"}}, "class_weight: expected finite weights ≥ 0, got '2' for class 1"),
        ({"class_weight": {"1": 2.0}}, "class_weight: expected labels that are integers, got '1'"),
        ({"class_weight": {0.5: 2.0}}, "class_weight: expected labels that are integers, got 0.5"),
        ({"class_weight": {0: 1.0}, "sample_weight": np.ones(20)}, "class_weight and sample_weight exclude each other"),
    ],
)
def test_arguments_that_make_no_sense(model, state, x, y, options, message):
    before = state(model)
    with pytest.raises(ArgumentError, match=re.escape(message)):
        model.fit(x, y, **{"verbose": 0, **options})
    assert state(model) == before


def test_class_weights_for_several_labels_a_sample(model, x):
    with pytest.raises(ArgumentError, match=r"class_weight needs one label a sample, got y of shape \(20, 2, 3\)"):
        model.fit(x, np.ones((20, 2, 3)), class_weight={0: 1.0}, verbose=0)


def test_a_failed_fit_does_not_change_what_the_next_one_does(make_model, x, y):
    """Nor does it use up random numbers: the next fit sees the batches in the same order."""
    weights = []
    for fails in (False, True):
        model = make_model()
        if fails:
            with pytest.raises(ArgumentError):
                model.fit(x, y + 3, verbose=0)
        model.fit(x, y, batch_size=4, verbose=0)
        weights.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_generators_are_told_from_arrays(model, x, y, method):
    batches = ((x[start : start + 4], y[start : start + 4]) for start in range(0, 20, 4))
    with pytest.raises(DTypeError, match=rf"{method}: expected an array x, got a generator: .*train_on_batch"):
        getattr(model, method)(batches, verbose=0)
