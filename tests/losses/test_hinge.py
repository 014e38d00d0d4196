"""The hinge losses."""

import numpy as np
import pytest

from minidl.autodiff import grad
from minidl.losses import Hinge, categorical_hinge, hinge, squared_hinge


def test_costs_nothing_from_a_margin_of_1_on():
    y, p = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([[2.0], [0.5], [0.5], [-3.0]])
    np.testing.assert_array_equal(hinge(y, p), [0, 0.5, 1.5, 0])
    np.testing.assert_array_equal(squared_hinge(y, p), [0, 0.25, 2.25, 0])


@pytest.mark.parametrize("dtype", [bool, np.uint8, float])
def test_labels_0_and_1_mean_minus_1_and_1(dtype):
    y, p = np.array([[0], [1]], dtype), np.array([[0.5], [0.25]])
    np.testing.assert_array_equal(hinge(y, p), [1.5, 0.75])
    assert Hinge()(y, p).item() == 1.125


def test_unless_there_are_others_as_well():
    np.testing.assert_array_equal(hinge([[0.0], [-1.0]], np.array([[0.5], [0.25]])), [1, 1.25])


def test_compares_the_right_class_with_the_best_wrong_one():
    p = np.array([[3.0, 2.5, -1.0], [0.0, 2.0, 1.5]])
    np.testing.assert_array_equal(categorical_hinge(np.eye(3)[[0, 2]], p), [0.5, 1.5])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", [hinge, categorical_hinge])
def test_stays_finite_up_to_1e30(loss, dtype):
    y, p = np.array([[1.0, 0.0]]), np.array([[-1e30, 1e30]], dtype)
    assert np.isfinite(loss(y, p)).all()
    assert np.isfinite(grad(lambda p: loss(y, p).sum())(p)).all()
