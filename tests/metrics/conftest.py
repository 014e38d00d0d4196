"""One table of all metrics: how to make each, and data that it takes."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from minidl import metrics


def numbers(rng, n):
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 3))


def positive(rng, n):
    return rng.poisson(2, (n, 3)), np.exp(rng.normal(size=(n, 3)))


def distributions(rng, n):
    return rng.dirichlet(np.ones(4), n), rng.dirichlet(np.ones(4), n)


def one_hot(rng, n):
    return np.eye(4)[rng.integers(0, 4, n)], rng.dirichlet(np.ones(4), n)


def integers(rng, n):
    return rng.integers(0, 4, n), rng.dirichlet(np.ones(4), n)


def binary(rng, n):
    return rng.integers(0, 2, (n, 1)), rng.uniform(size=(n, 1))


def many_labels(rng, n):
    return rng.integers(0, 2, (n, 3)), rng.uniform(size=(n, 3))


@dataclass(frozen=True)
class Case:
    make: Any
    data: Any

    def __str__(self):
        return repr(self.make())


CASES = [
    Case(metrics.MeanSquaredError, numbers),
    Case(metrics.RootMeanSquaredError, numbers),
    Case(metrics.MeanAbsoluteError, numbers),
    Case(metrics.MeanAbsolutePercentageError, numbers),
    Case(metrics.MeanSquaredLogarithmicError, positive),
    Case(metrics.LogCoshError, numbers),
    Case(metrics.CosineSimilarity, numbers),
    Case(metrics.SquaredHinge, numbers),
    Case(metrics.Hinge, numbers),
    Case(metrics.CategoricalHinge, one_hot),
    Case(metrics.KLDivergence, distributions),
    Case(metrics.Poisson, positive),
    Case(metrics.BinaryCrossentropy, binary),
    Case(metrics.CategoricalCrossentropy, one_hot),
    Case(metrics.SparseCategoricalCrossentropy, integers),
    Case(partial(metrics.SparseCategoricalCrossentropy, ignore_class=1), integers),
    Case(metrics.Accuracy, lambda rng, n: (rng.integers(0, 3, (n, 1)), rng.integers(0, 3, (n, 1)))),
    Case(metrics.BinaryAccuracy, many_labels),
    Case(metrics.CategoricalAccuracy, one_hot),
    Case(metrics.SparseCategoricalAccuracy, integers),
    Case(partial(metrics.TopKCategoricalAccuracy, k=2), one_hot),
    Case(partial(metrics.SparseTopKCategoricalAccuracy, k=2), integers),
    Case(metrics.Precision, binary),
    Case(partial(metrics.Precision, thresholds=[0.7, 0.2]), many_labels),
    Case(partial(metrics.Recall, top_k=2), many_labels),
    Case(partial(metrics.Recall, class_id=1), one_hot),
    Case(metrics.TruePositives, binary),
    Case(metrics.FalsePositives, binary),
    Case(metrics.TrueNegatives, binary),
    Case(metrics.FalseNegatives, binary),
    Case(metrics.AUC, binary),
    Case(partial(metrics.AUC, curve="PR"), binary),
    Case(partial(metrics.AUC, multi_label=True, curve="PR", summation_method="majoring"), many_labels),
    Case(partial(metrics.AUC, label_weights=[1, 2, 3]), many_labels),
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(0)
