"""The formulas of regression, number by number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import config, metrics
from minidl.errors import ShapeError

EPSILON = config.epsilon()
rows = st.integers(1, 4).flatmap(
    lambda d: st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=d, max_size=d)
)


def mean(values):
    return math.fsum(values) / len(values)


FORMULAS = {
    metrics.mean_squared_error: lambda y, p: mean([(a - b) ** 2 for a, b in zip(y, p, strict=True)]),
    metrics.mean_absolute_error: lambda y, p: mean([abs(a - b) for a, b in zip(y, p, strict=True)]),
    metrics.mean_absolute_percentage_error: lambda y, p: (
        100 * mean([abs(a - b) / max(abs(a), EPSILON) for a, b in zip(y, p, strict=True)])
    ),
    metrics.mean_squared_logarithmic_error: lambda y, p: (
        mean([(math.log1p(max(a, EPSILON)) - math.log1p(max(b, EPSILON))) ** 2 for a, b in zip(y, p, strict=True)])
    ),
    metrics.log_cosh: lambda y, p: mean([math.log(math.cosh(a - b)) for a, b in zip(y, p, strict=True)]),
    metrics.cosine_similarity: lambda y, p: (
        sum(a * b for a, b in zip(y, p, strict=True)) / max(math.hypot(*y), EPSILON) / max(math.hypot(*p), EPSILON)
    ),
}


@pytest.mark.parametrize("function", FORMULAS, ids=lambda f: f.__name__)
@given(row=rows)
def test_formula(function, row):
    y, p = zip(*row, strict=True)
    # log(cosh) of a small number loses digits as 1 + 1e-16 does; the others differ by roundings.
    assert function([y], [p])[0] == pytest.approx(FORMULAS[function](y, p), rel=1e-12, abs=1e-15)


def test_root_of_the_mean_not_mean_of_the_roots():
    metric = metrics.RootMeanSquaredError()
    metric.update_state([[0.0]], [[1.0]])
    metric.update_state([[0.0]], [[7.0]])
    assert metric.result() == 5
    assert metric([[0.0, 0.0]], [[9.0, 3.0]], [[0, 1]]) == np.sqrt((1 + 49 + 9 / 2) / 2.5)


def test_log_cosh_of_huge_errors_is_finite_and_of_tiny_ones_not_negative():
    assert metrics.log_cosh([[0.0]], [[1e30]]) == 1e30
    assert metrics.log_cosh([[0.0]], [[-1e4]])[0] == pytest.approx(1e4 - math.log(2), rel=1e-15)
    assert metrics.log_cosh(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)) == pytest.approx(0, abs=1e-7)


def test_cosine_similarity_of_zero_vectors_is_zero_and_axis_is_free():
    y, p = np.array([[[0.0, 1.0], [0.0, 0.0]]]), np.array([[[3.0, 5.0], [1.0, 0.0]]])
    np.testing.assert_allclose(metrics.cosine_similarity(y, p), [[5 / math.sqrt(34), 0]])
    np.testing.assert_allclose(metrics.cosine_similarity(y, p, axis=1), [[0, 1]])
    assert metrics.CosineSimilarity(axis=1)(y, p) == 0.5


def test_dtype_is_that_of_the_predictions():
    for function in FORMULAS:
        assert function([[1, 2]], np.ones((1, 2), np.float32)).dtype == np.float32
        assert function(np.ones((1, 2), np.float32), [[1, 2]]).dtype == np.float64


def test_arrays_without_a_batch_axis_are_one_sample():
    assert metrics.mean_squared_error([0.0, 1.0], [1.0, 1.0]) == 0.5


def test_shapes_that_only_broadcasting_would_unite_are_an_error():
    with pytest.raises(ShapeError, match=r"mean_squared_error: .*got \(4, 1\) and \(4, 3\)"):
        metrics.mean_squared_error(np.ones((4, 1)), np.ones((4, 3)))
    with pytest.raises(ShapeError, match=r"got \(4,\) and \(4, 3\)"):
        metrics.MeanAbsoluteError().update_state(np.ones(4), np.ones((4, 3)))
    assert metrics.mean_absolute_error(np.ones((4, 2, 1)), np.zeros((4, 2))).shape == (4,)
