"""Accuracies against loops over the samples, and the forms that labels come in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl import config, metrics
from minidl.errors import ArgumentError, ShapeError

CLASSES = 5
few_scores = st.sampled_from([-1.0, 0.0, 0.5, 2.0])  # few, so that ties are common


@st.composite
def labels_and_scores(draw):
    n = draw(st.integers(0, 6))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, CLASSES - 1)))
    return labels, draw(hnp.arrays(np.float32, (n, CLASSES), elements=few_scores))


@given(labels_and_scores())
def test_sparse_accuracy_takes_the_first_of_the_highest_scores(batch):
    labels, scores = batch
    expected = [float(label == max(range(CLASSES), key=lambda c: row[c])) for label, row in zip(*batch, strict=True)]
    assert metrics.sparse_categorical_accuracy(labels, scores).tolist() == expected
    assert metrics.categorical_accuracy(np.eye(CLASSES)[labels], scores).tolist() == expected


@given(labels_and_scores(), st.integers(1, CLASSES + 1))
def test_top_k_counts_the_classes_that_are_better(batch, k):
    labels, scores = batch
    expected = [float(sum(s > row[label] for s in row) < k) for label, row in zip(*batch, strict=True)]
    assert metrics.sparse_top_k_categorical_accuracy(labels, scores, k).tolist() == expected
    assert metrics.top_k_categorical_accuracy(np.eye(CLASSES)[labels], scores, k).tolist() == expected


def test_k_is_5_by_default():
    for function in metrics.sparse_top_k_categorical_accuracy, metrics.top_k_categorical_accuracy:
        labels = [4, 5] if "sparse" in function.__name__ else np.eye(7)[[4, 5]]
        assert function(labels, [[7, 6, 5, 4, 3, 2, 1]] * 2).tolist() == [1, 0]


def test_top_1_without_ties_is_accuracy():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, CLASSES, 50), rng.normal(size=(50, CLASSES))
    top = metrics.SparseTopKCategoricalAccuracy(k=1)(labels, scores)
    assert top == metrics.SparseCategoricalAccuracy()(labels, scores)


def test_top_k_of_sorted_classes():
    best_first = [[3, 1, 2], [0, 4, 1], [2, 3, 0]]
    metric = metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)
    assert metric([1, 1, 2], best_first) == pytest.approx(2 / 3)
    assert metric.fn([[1, 1, 2]], [best_first], **metric.fn_kwargs).tolist() == [[1, 0, 1]]
    assert metric.get_config()["from_sorted_ids"] is True


@pytest.mark.parametrize("labels", [[1, 0], [[1], [0]], [1.0, 0.0], np.array([1, 0], np.uint8), [True, False]], ids=str)
@pytest.mark.parametrize("function", [metrics.sparse_categorical_accuracy, metrics.sparse_top_k_categorical_accuracy])
def test_integer_labels_come_in_many_forms(function, labels):
    arguments = {"k": 1} if "top" in function.__name__ else {}
    assert function(labels, [[0.1, 0.9], [0.2, 0.8]], **arguments).tolist() == [1, 0]


def test_labels_of_sequences():
    scores = np.eye(3)[[[0, 1], [2, 2]]]
    assert metrics.sparse_categorical_accuracy([[0, 1], [2, 1]], scores).tolist() == [[1, 1], [1, 0]]
    assert metrics.SparseCategoricalAccuracy()([[[0], [1]], [[2], [1]]], scores, [1, 3]) == (1 + 3 / 2) / 4


def test_a_label_that_is_no_class_is_never_right():
    scores = np.ones((4, 3))
    for labels in [-1, 3, 255, 0], [0.5, np.nan, 3, 0]:
        assert metrics.sparse_categorical_accuracy(labels, scores).tolist() == [0, 0, 0, 1]
        assert metrics.sparse_top_k_categorical_accuracy(labels, scores, k=4).tolist() == [0, 0, 0, 1]


def test_a_score_of_nan_is_not_among_the_best():
    assert metrics.sparse_top_k_categorical_accuracy([0, 1], [[np.nan, 1, 2], [np.nan, 1, 2]], k=2).tolist() == [0, 1]


def test_binary_accuracy_compares_with_the_threshold():
    y_true, y_pred = [[1], [1], [0], [0]], [[0.98], [0.5], [0.5], [0.6]]
    assert metrics.binary_accuracy(y_true, y_pred).tolist() == [[1], [0], [1], [0]]
    assert metrics.BinaryAccuracy()(y_true, y_pred, [1, 0, 0, 1]) == 0.5
    assert metrics.BinaryAccuracy(threshold=0.7)(y_true, y_pred) == 0.75
    threshold = np.array([[0.1]], np.float32)  # 0.1 is rounded up in float32, and so must be the threshold
    assert metrics.binary_accuracy([[0]], threshold, 0.1) == 1


def test_targets_of_shape_n_go_with_outputs_of_shape_n_1():
    assert metrics.BinaryAccuracy()([1, 0, 1], [[0.9], [0.9], [0.1]]) == pytest.approx(1 / 3)
    assert metrics.BinaryAccuracy()([[1], [0], [1]], [0.9, 0.9, 0.1]) == pytest.approx(1 / 3)


def test_accuracy_compares_numbers():
    assert metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]]) == 0.75
    assert metrics.Accuracy()([0.1], np.array([0.1], np.float32)) == 1  # compared in the dtype of the predictions


def test_values_are_of_the_default_float_type():
    assert metrics.binary_accuracy([1], [1]).dtype == np.float32
    config.set_floatx("float64")
    try:
        assert metrics.sparse_categorical_accuracy([1], [[1, 2]]).dtype == np.float64
    finally:
        config.set_floatx("float32")


def test_mixed_up_forms_of_labels_say_which_metric_to_take():
    with pytest.raises(ShapeError, match=r"\(2,\) and \(2, 3\).*of the same name with 'sparse'"):
        metrics.CategoricalAccuracy().update_state([0, 1], np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 3\): .*without 'sparse'"):
        metrics.SparseCategoricalAccuracy().update_state(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"binary_accuracy: y_true and y_pred must have one.*\(2,\) and \(2, 3\)"):
        metrics.BinaryAccuracy().update_state([0, 1], np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"got \(\) and \(\)"):
        metrics.Accuracy().update_state(1, 1)
    with pytest.raises(ShapeError, match=r"got \(\) and \(\)"):
        metrics.SparseCategoricalAccuracy().update_state(1, 1)


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "2"])
def test_k_is_an_integer_from_1(k):
    with pytest.raises(ArgumentError, match="sparse_top_k_categorical_accuracy: k must be an integer ≥ 1"):
        metrics.SparseTopKCategoricalAccuracy(k=k)
    with pytest.raises(ArgumentError, match="k must be"):
        metrics.sparse_top_k_categorical_accuracy([0], [[1.0]], k=k)
