"""The hinges, number by number."""

import numpy as np
import pytest

from minidl import metrics

Y, P = np.array([[1.0, -1.0, 1.0]]), np.array([[0.3, 0.5, 4.0]])


def test_hinge_is_what_is_missing_to_a_margin_of_one():
    np.testing.assert_allclose(metrics.hinge(Y, P), [(0.7 + 1.5 + 0) / 3], rtol=1e-15)
    np.testing.assert_allclose(metrics.squared_hinge(Y, P), [(0.49 + 2.25 + 0) / 3], rtol=1e-15)


def test_labels_0_and_1_mean_minus_1_and_1_if_a_batch_has_no_others():
    for function in metrics.hinge, metrics.squared_hinge:
        np.testing.assert_array_equal(function((Y + 1) / 2, P), function(Y, P))
        np.testing.assert_array_equal(function(np.array([[True, False, True]]), P), function(Y, P))
    assert metrics.hinge([[0.0], [-1.0]], [[5.0], [5.0]]).tolist() == [1, 6]


def test_categorical_hinge_sets_the_right_class_against_the_best_wrong_one():
    one_hot = np.eye(3)[[0, 1, 2]]
    scores = [[2.0, 0.5, 1.7], [0.4, 0.1, 0.2], [-1.0, -2.0, 3.0]]
    assert metrics.categorical_hinge(one_hot, scores) == pytest.approx([0.7, 1.3, 0])
