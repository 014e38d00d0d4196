"""The metrics of Keras 3, batch by batch: golden.npz holds what they gave, make_golden.py how it was made."""

import json
from pathlib import Path

import numpy as np
import pytest

from minidl import metrics
from minidl.errors import UnknownNameError

HERE = Path(__file__).parent
GOLDEN = dict(np.load(HERE / "golden.npz"))
CASES = json.loads(str(GOLDEN["cases"]))
CONFIGS = json.loads(str(GOLDEN["configs"]))
NAMES = json.loads(str(GOLDEN["names"]))
ACCURACIES = json.loads(str(GOLDEN["accuracies"]))
LOSSES = dict(np.load(HERE.parent / "golden" / "losses.npz"))

NOT_HERE = {
    "Metric",
    "MeanMetricWrapper",
    *("BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"),
    *("ConcordanceCorrelation", "PearsonCorrelation", "R2Score", "F1Score", "FBetaScore"),
    *("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"),
}
"""What Keras has by name and this package has not."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}-{case[3]}")
def test_every_batch_gives_the_result_of_keras(case):
    name, config, data, weights, expected = case
    metric = getattr(metrics, name)(**config)
    results = []
    for end, size in zip(np.cumsum(GOLDEN["sizes"]), GOLDEN["sizes"], strict=True):
        batch = slice(end - size, end)
        sample_weight = GOLDEN[f"{data}/{weights}"][batch] if weights else None
        metric.update_state(
            GOLDEN[f"{data}/y_true"][batch],
            GOLDEN[f"{data}/y_pred"][batch],
            sample_weight=sample_weight[0] if weights == "one_number" else sample_weight,
        )
        results.append(metric.result())
    # Keras adds up in float32: 20 values of rounding 6e-8 each. The differences found were below 2e-7.
    np.testing.assert_allclose(results, expected, rtol=5e-7, atol=1e-7)


LOSS_CASES = {
    case: config
    for case, config in json.loads(str(LOSSES["cases"])).items()
    if not config["class_name"].startswith(("Huber", "CosineSimilarity"))
}


@pytest.mark.parametrize("case", LOSS_CASES)
def test_the_functions_are_in_float64_the_losses_of_keras(case):
    config = dict(LOSS_CASES[case])
    name = {"LogCosh": "LogCoshError"}.get(config["class_name"], config["class_name"])
    config.pop("class_name")
    values = getattr(metrics, name)(**config).fn(LOSSES[f"{case}__y_true"], LOSSES[f"{case}__y_pred"], **config)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, LOSSES[f"{case}__none"], rtol=1e-13, atol=1e-16)  # a few roundings


def test_cosine_similarity_is_the_loss_of_that_name_with_the_other_sign():
    values = metrics.cosine_similarity(LOSSES["cosine_similarity__y_true"], LOSSES["cosine_similarity__y_pred"])
    np.testing.assert_allclose(values, -LOSSES["cosine_similarity__none"], rtol=1e-13)


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - NOT_HERE))
def test_defaults_are_those_of_keras(name):
    config = getattr(metrics, name)().get_config()
    expected = {**CONFIGS[name], "dtype": "float64"}
    assert {key: config[key] for key in expected} == expected


@pytest.mark.parametrize("string", sorted(NAMES))
def test_strings_are_those_of_keras(string):
    if NAMES[string] in NOT_HERE:
        with pytest.raises(UnknownNameError):
            metrics.get(string)
    else:
        assert type(metrics.get(string)).__name__ == NAMES[string]


@pytest.mark.parametrize(("targets", "outputs", "expected"), ACCURACIES, ids=str)
def test_accuracy_means_what_it_means_to_keras(targets, outputs, expected):
    assert type(metrics.accuracy_for(targets, outputs)).__name__ == expected
    assert type(metrics.crossentropy_for(targets, outputs)).__name__ == expected.replace("Accuracy", "Crossentropy")
