"""The losses of regression."""

import math

import numpy as np
import pytest

from minidl import losses
from minidl.autodiff import grad
from minidl.errors import ArgumentError, ShapeError

Y, P = np.array([[0.0, 2.0], [-4.0, 1.0]]), np.array([[1.0, 2.0], [-2.0, 4.0]])  # errors 1, 0, 2, 3


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.mean_squared_error, [0.5, 6.5]),
        (losses.mean_absolute_error, [0.5, 2.5]),
        (losses.huber, [0.25, (1.5 + 2.5) / 2]),
        (losses.log_cosh, [math.log(math.cosh(1)) / 2, (math.log(math.cosh(2)) + math.log(math.cosh(3))) / 2]),
        (losses.mean_absolute_percentage_error, [100 * (1 / 1e-7) / 2, 100 * (0.5 + 3) / 2]),
        (
            losses.mean_squared_logarithmic_error,
            [(math.log(2) - math.log1p(1e-7)) ** 2 / 2, (math.log(5) - math.log(2)) ** 2 / 2],
        ),
        (losses.cosine_similarity, [-2 / math.sqrt(5), -12 / math.sqrt(17 * 20)]),
    ],
)
def test_formulas(loss, expected):
    np.testing.assert_allclose(loss(Y, P), expected, rtol=1e-14)


def test_huber_is_the_square_inside_delta_and_straight_outside():
    error = np.array([[-3.0], [-2.0], [-1.0], [0.0], [1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(losses.huber(np.zeros((7, 1)), error, delta=2.0), [4, 2, 0.5, 0, 0.5, 2, 4])


@pytest.mark.parametrize("delta", [0, -1.0, math.inf, math.nan])
def test_huber_needs_a_positive_delta(delta):
    with pytest.raises(ArgumentError, match="Huber: expected delta > 0, got"):
        losses.Huber(delta=delta)
    with pytest.raises(ArgumentError, match="Huber: expected delta > 0, got"):
        losses.huber(Y, P, delta=delta)


def test_the_absolute_error_has_gradient_0_where_there_is_none():
    np.testing.assert_array_equal(grad(losses.MeanAbsoluteError())(Y, Y), np.zeros((2, 2)))


def test_no_squares_of_differences_between_everything():
    y, p = np.arange(3.0), np.arange(3.0)[:, None]
    assert losses.MeanSquaredError()(y, p).item() == 0
    assert losses.MeanSquaredError()(p, y).item() == 0


def test_a_mismatch_shows_both_shapes():
    with pytest.raises(
        ShapeError, match=r"MeanSquaredError: expected y_true of the shape of y_pred, \(2, 3\), got \(2, 4\)"
    ):
        losses.mean_squared_error(np.zeros((2, 4)), np.zeros((2, 3)))


class TestCosineSimilarity:
    def test_is_minus_1_for_equal_directions(self):
        y = np.array([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]])
        p = np.array([[6.0, 8.0], [-3.0, -4.0], [-4.0, 3.0]])
        np.testing.assert_allclose(losses.cosine_similarity(y, p), [-1, 1, 0], atol=1e-15)

    def test_is_0_for_a_zero_vector_and_has_a_finite_gradient(self):
        y, p = np.array([[3.0, 4.0]]), np.zeros((1, 2))
        assert losses.cosine_similarity(y, p).item() == 0
        assert losses.cosine_similarity(p, y).item() == 0
        np.testing.assert_allclose(grad(losses.CosineSimilarity(), 1)(y, p), [[-0.6e7, -0.8e7]], rtol=1e-14)

    def test_takes_a_length_to_be_at_least_epsilon(self):
        y, p = np.array([[3.0, 4.0]]), np.array([[0.6e-8, 0.8e-8]])
        assert losses.cosine_similarity(y, p).item() == pytest.approx(-0.1, rel=1e-14)

    def test_of_an_axis_that_does_not_exist_is_an_error(self):
        with pytest.raises(ShapeError, match="expected axes from -2 to 1"):
            losses.CosineSimilarity(axis=2)(Y, P)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.mean_absolute_error, 2e30),
        (losses.huber, 2e30),
        (losses.log_cosh, 2e30),
        (losses.mean_absolute_percentage_error, 200),
        (losses.mean_squared_logarithmic_error, (math.log(1e30) - 1e-7) ** 2 / 2),
        (losses.cosine_similarity, 1),
    ],
)
def test_nothing_overflows_up_to_1e30(loss, expected, dtype):
    y, p = np.array([[1e30, -1e30]], dtype), np.array([[-1e30, 1e30]], dtype)
    expected = expected * 2 if loss is losses.mean_squared_logarithmic_error else expected
    np.testing.assert_allclose(loss(y, p), [expected], rtol=1e-6)
    assert np.isfinite(grad(lambda p: loss(y, p).sum())(p)).all()
