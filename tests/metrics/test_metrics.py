"""How metrics are named: `get`, `for_output`, `serialize`."""

import numpy as np
import pytest

from minidl import metrics
from minidl.errors import ArgumentError, UnknownNameError


def test_a_name_or_a_class_gives_a_new_metric_and_a_metric_is_kept():
    assert type(metrics.get("mse")) is metrics.MeanSquaredError
    assert type(metrics.get("TopKCategoricalAccuracy")) is metrics.TopKCategoricalAccuracy
    assert type(metrics.get(metrics.AUC)) is metrics.AUC
    assert metrics.get("auc") is not metrics.get("auc")
    precision = metrics.Precision(thresholds=0.3)
    assert metrics.get(precision) is precision


def test_short_names():
    for short in "bce", "kld", "mae", "mape", "mse", "msle":
        assert type(metrics.get(short)) is type(metrics.get(short.upper()))
    assert type(metrics.get("kld")) is metrics.KLDivergence
    assert type(metrics.get("logcosh")) is type(metrics.get("log_cosh")) is metrics.LogCoshError


def test_a_dict_gives_class_and_arguments():
    metric = metrics.get({"class_name": "Precision", "config": {"top_k": 3, "name": "top"}})
    assert (metric.top_k, metric.name) == (3, "top")
    assert metrics.get({"class_name": "AUC"}).num_thresholds == 200


def test_what_keras_saved_can_be_read():
    config = {"name": "error", "dtype": "float32"}
    metric = metrics.deserialize({"module": "keras.metrics", "class_name": "MeanSquaredError", "config": config})
    assert (metric.name, metric.dtype) == ("error", "float32")


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Unknown metric 'acuracy': did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(UnknownNameError, match="Unknown metric 'Presicion': did you mean 'precision'"):
        metrics.get({"class_name": "Presicion", "config": {}})
    for nonsense in None, 3, ["mse"]:
        with pytest.raises(ArgumentError, match=r"metrics.get: expected a name, a metric or its class, or a function"):
            metrics.get(nonsense)
    with pytest.raises(ArgumentError, match=r'expected \{"class_name": ..., "config": \{...\}\}, got \{\'a\': 1\}'):
        metrics.deserialize({"a": 1})


def test_in_compile_a_string_names_its_metric():
    for string in "mse", "MSE", "MeanSquaredError", "acc", "accuracy", "Accuracy", "ce", "crossentropy":
        assert metrics.for_output(string, (None, 3), (None, 3)).name == string
    assert metrics.for_output(metrics.AUC(name="area"), (None, 1), (None, 1)).name == "area"
    assert metrics.for_output(metrics.AUC, (None, 1), (None, 1)).name == "auc"
    assert metrics.for_output(np.hypot, (None, 1), (None, 1)).name == "hypot"


@pytest.mark.parametrize(
    ("targets", "outputs", "form"),
    [
        ((None, 1), (None, 1), "Binary"),
        ((None,), (None, 1), "Binary"),
        ((None,), (None,), "Binary"),  # where Keras would compare the places of the largest in the batch
        ((None,), (None, 10), "SparseCategorical"),
        ((None, 1), (None, 10), "SparseCategorical"),
        ((None, 10), (None, 10), "Categorical"),
    ],
)
def test_in_compile_accuracy_and_crossentropy_depend_on_the_shapes(targets, outputs, form):
    for string in "acc", "accuracy":
        assert type(metrics.for_output(string, targets, outputs)).__name__ == f"{form}Accuracy"
    for string in "ce", "crossentropy":
        assert type(metrics.for_output(string, targets, outputs)).__name__ == f"{form}Crossentropy"


def test_everything_named_is_there():
    assert all(hasattr(metrics, name) for name in metrics.__all__)
