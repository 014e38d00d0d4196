"""Cross-entropies and their kin: formulas, logits, clipping, labels, and what is no probability."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl import config, metrics
from minidl.errors import ArgumentError, ShapeError

EPSILON = config.epsilon()
logits = hnp.arrays(np.float64, (3, 4), elements=st.floats(-6, 6))  # so that no probability is clipped


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def test_the_formulas():
    y, p = np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[0.6, 0.4], [0.9, 0.1]])
    binary = [
        -(0.2 * math.log(0.6) + 0.8 * math.log(0.4) + 0.8 * math.log(0.4) + 0.2 * math.log(0.6)) / 2,
        -(math.log(0.9) + math.log(0.9)) / 2,
    ]
    np.testing.assert_allclose(metrics.binary_crossentropy(y, p), binary, rtol=1e-14)
    categorical = [-0.2 * math.log(0.6) - 0.8 * math.log(0.4), -math.log(0.9)]
    np.testing.assert_allclose(metrics.categorical_crossentropy(y, p), categorical, rtol=1e-14)
    divergence = [0.2 * math.log(0.2 / 0.6) + 0.8 * math.log(0.8 / 0.4), -math.log(0.9)]
    np.testing.assert_allclose(metrics.kl_divergence(y, p), divergence, rtol=2e-5)  # 0·ln 0 is ε·ln(ε/0.1)
    assert metrics.kl_divergence([[2.0]], [[0.5]]) == math.log(2)  # clipped to 1 as well
    poisson = [(0.6 - 0.2 * math.log(0.6) + 0.4 - 0.8 * math.log(0.4)) / 2, (0.9 - math.log(0.9) + 0.1) / 2]
    np.testing.assert_allclose(metrics.poisson(y, p), poisson, rtol=1e-6)  # ln(p + ε)


@given(logits)
def test_logits_are_the_probabilities_before_sigmoid_or_softmax(x):
    y = np.eye(4)[[0, 3, 1]]
    from_probabilities = metrics.binary_crossentropy(y, 1 / (1 + np.exp(-x)))
    from_logits = metrics.binary_crossentropy(y, x, from_logits=True)
    np.testing.assert_allclose(from_logits, from_probabilities, rtol=1e-9)  # 1 − p loses digits where p is near 1
    from_probabilities = metrics.categorical_crossentropy(y, softmax(x))
    from_logits = metrics.categorical_crossentropy(y, x, from_logits=True)
    np.testing.assert_allclose(from_logits, from_probabilities, rtol=1e-9)
    sparse = metrics.sparse_categorical_crossentropy([0, 3, 1], x, from_logits=True)
    np.testing.assert_array_equal(sparse, from_logits)


@given(logits, st.floats(0, 1))
def test_label_smoothing_mixes_the_labels_with_a_uniform_distribution(x, s):
    y, p = np.eye(4)[[0, 3, 1]], softmax(x)
    np.testing.assert_allclose(
        metrics.categorical_crossentropy(y, p, label_smoothing=s),
        metrics.categorical_crossentropy((1 - s) * y + s / 4, p),
        rtol=1e-13,
    )
    np.testing.assert_allclose(
        metrics.binary_crossentropy(y, p, label_smoothing=s),
        metrics.binary_crossentropy((1 - s) * y + s / 2, p),
        rtol=1e-13,
    )


def test_probabilities_are_divided_by_their_sum():
    p = np.array([[0.1, 0.3]])
    np.testing.assert_allclose(metrics.categorical_crossentropy([[0, 1]], p), [-math.log(0.75)])
    np.testing.assert_allclose(metrics.sparse_categorical_crossentropy([1], p), [-math.log(0.75)])


def test_certain_and_wrong_is_clipped_and_finite():
    worst = -math.log(EPSILON)
    zero, one = np.zeros((1, 2)), np.array([[0.0, 1.0]])
    assert metrics.binary_crossentropy([[1.0]], [[0.0]])[0] == pytest.approx(worst)
    assert metrics.binary_crossentropy([[0.0]], np.ones((1, 1), np.float32))[0] == pytest.approx(worst, rel=0.02)
    assert metrics.categorical_crossentropy([[1, 0]], one)[0] == pytest.approx(worst)
    assert metrics.sparse_categorical_crossentropy([0], one)[0] == pytest.approx(worst)
    assert metrics.sparse_categorical_crossentropy([0], zero)[0] == pytest.approx(worst)
    assert metrics.kl_divergence([[1, 0]], one)[0] == pytest.approx(worst, rel=1e-5)


def test_huge_logits_need_no_clipping():
    huge = np.array([[1e30, -1e30]], np.float32)
    assert metrics.sparse_categorical_crossentropy([1], huge, from_logits=True)[0] == np.float32(2e30)
    assert metrics.sparse_categorical_crossentropy([0], huge, from_logits=True)[0] == 0
    assert metrics.binary_crossentropy([[0, 0]], huge, from_logits=True)[0] == np.float32(0.5e30)


def test_classes_may_lie_along_any_axis():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 3, (4, 5)), rng.normal(size=(4, 3, 5))
    last = metrics.sparse_categorical_crossentropy(labels, scores.swapaxes(1, 2), from_logits=True)
    for form in labels, labels[:, None]:
        first = metrics.sparse_categorical_crossentropy(form, scores, from_logits=True, axis=1)
        np.testing.assert_array_equal(first, last)
    one_hot = np.eye(3)[labels].swapaxes(1, 2)
    np.testing.assert_allclose(
        metrics.categorical_crossentropy(one_hot, scores, from_logits=True, axis=1, label_smoothing=0), last, rtol=1e-14
    )
    smooth = metrics.categorical_crossentropy(one_hot, softmax(scores, 1), label_smoothing=1, axis=1)
    np.testing.assert_allclose(smooth, -np.log(softmax(scores, 1)).mean(1), rtol=1e-12)


def test_ignored_classes_do_not_count():
    labels, p = np.array([0, 255, 1, 255]), np.full((4, 2), 0.5)
    assert metrics.sparse_categorical_crossentropy(labels, p, ignore_class=255).tolist() == [math.log(2), 0] * 2
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=255)
    for weights in None, 3.0, [1, 2, 3, 4], [[1], [2], [3], [4]]:
        metric.reset_state()
        assert metric(labels, p, weights) == pytest.approx(math.log(2), rel=1e-15)
    metric.reset_state()
    metric.update_state([[0, 255], [255, 255]], np.full((2, 2, 2), 0.5))
    assert metric.result() == pytest.approx(math.log(2), rel=1e-15)


@pytest.mark.parametrize("label", [-1, 3, 0.5])
def test_labels_that_are_no_classes_are_an_error(label):
    metric = metrics.SparseCategoricalCrossentropy()
    with pytest.raises(ArgumentError, match=rf"y_true must hold classes, 0 to 2, but there is {label}"):
        metric.update_state([1, label], np.full((2, 3), 1 / 3))
    assert metric.count == 0


PROBABILISTIC = {
    "binary_crossentropy": np.array([[1, 0]]),
    "categorical_crossentropy": np.array([[1, 0]]),
    "sparse_categorical_crossentropy": np.array([0]),
    "kl_divergence": np.array([[1, 0]]),
}


@pytest.mark.parametrize("name", PROBABILISTIC)
@pytest.mark.parametrize("logits", [[[-2.0, 0.5]], [[0.3, 3.5]]])
def test_what_is_no_probability_is_an_error(name, logits):
    metric = metrics.get(name)
    with pytest.raises(ArgumentError, match=rf"{name}: y_pred must be probabilities.*(softmax|from_logits)"):
        metric.update_state(PROBABILISTIC[name], logits)
    assert metric.count == 0


@pytest.mark.parametrize("name", PROBABILISTIC)
def test_probabilities_may_leave_the_interval_by_a_rounding_and_nan_is_passed_on(name):
    rounded = np.array([[-1e-7, 1 + 1e-7]], np.float32)
    assert np.isfinite(getattr(metrics, name)(PROBABILISTIC[name], rounded)).all()
    assert np.isnan(getattr(metrics, name)(PROBABILISTIC[name], [[np.nan, 0.5]])).all()


def test_other_wrong_arguments():
    with pytest.raises(ArgumentError, match=r"poisson: y_pred must be ≥ 0, but there is -0.5"):
        metrics.poisson([[1.0, 1.0]], [[-0.5, 0.5]])
    for name in "binary_crossentropy", "categorical_crossentropy":
        with pytest.raises(ArgumentError, match=rf"{name}: label_smoothing must be in \[0, 1\], got 1.5"):
            getattr(metrics, name)([[1.0, 0.0]], [[0.5, 0.5]], label_smoothing=1.5)
    with pytest.raises(ShapeError, match="with 'sparse' in front"):
        metrics.categorical_crossentropy([0, 1], np.full((2, 3), 1 / 3))
    with pytest.raises(ShapeError, match="without 'sparse'"):
        metrics.sparse_categorical_crossentropy(np.eye(3), np.eye(3))
