"""The base of all losses: reductions, sample weights, losses of one's own."""

import re

import numpy as np
import pytest

from minidl import config, losses, ops
from minidl.autodiff import grad, gradcheck
from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, DTypeError, ShapeError, UnknownNameError
from minidl.losses import Loss, LossFunctionWrapper, MeanAbsoluteError


class Error(Loss):
    """The error itself, element by element."""

    def call(self, y_true, y_pred):
        return y_pred - y_true


ZEROS = np.zeros((2, 3))
VALUES = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


class TestReduction:
    @pytest.mark.parametrize(
        ("reduction", "plain", "weighted"),
        [
            ("sum_over_batch_size", 21 / 6, (6 + 0.5 * 15) / 6),
            ("mean", 21 / 6, (6 + 0.5 * 15) / 6),
            ("mean_with_sample_weight", 21 / 6, (6 + 0.5 * 15) / 4.5),
            ("sum", 21, 6 + 0.5 * 15),
            ("none", VALUES, VALUES * [[1], [0.5]]),
            (None, VALUES, VALUES * [[1], [0.5]]),
        ],
    )
    def test_with_and_without_weights(self, reduction, plain, weighted):
        loss = Error(reduction=reduction)
        np.testing.assert_allclose(loss(ZEROS, VALUES), plain, rtol=1e-15)
        np.testing.assert_allclose(loss(ZEROS, VALUES, [1.0, 0.5]), weighted, rtol=1e-15)

    def test_is_over_the_batch_by_default(self):
        assert Error().reduction == "sum_over_batch_size"

    def test_with_weights_that_add_up_to_0_is_0(self):
        loss = Error(reduction="mean_with_sample_weight")
        assert loss(ZEROS, VALUES, [0.0, 0.0]).item() == 0
        assert loss(ZEROS, VALUES, [1.0, -1.0]).item() == 0
        np.testing.assert_array_equal(grad(lambda p: loss(ZEROS, p, [0.0, 0.0]))(VALUES), ZEROS)

    @pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none", "mean_with_sample_weight"])
    def test_can_be_differentiated_for_the_weights(self, reduction):
        assert gradcheck(Error(reduction=reduction), ZEROS, VALUES, np.array([1.0, 0.5]))

    def test_that_does_not_exist_is_an_error_that_names_the_nearest(self):
        with pytest.raises(UnknownNameError, match="Unknown reduction of Error 'sums': did you mean 'sum'"):
            Error(reduction="sums")
        with pytest.raises(UnknownNameError, match="known are: mean, mean_with_sample_weight, none, sum, sum_over_ba"):
            MeanAbsoluteError(reduction="avg")


class TestSampleWeight:
    @pytest.mark.parametrize(
        ("weights", "factors"),
        [
            ([2, 3], [[2, 2, 2], [3, 3, 3]]),
            ([[2.0], [3.0]], [[2, 2, 2], [3, 3, 3]]),
            ([[1.0, 2.0, 3.0]], [[1, 2, 3], [1, 2, 3]]),
            (VALUES, VALUES),
            (VALUES[..., None], VALUES),
            (2.0, 2 * np.ones((2, 3))),
            (Tensor([2.0, 3.0]), [[2, 2, 2], [3, 3, 3]]),
        ],
    )
    def test_is_one_for_each_sample_or_for_each_loss(self, weights, factors):
        np.testing.assert_array_equal(Error(reduction="none")(ZEROS, VALUES, weights), VALUES * factors)

    @pytest.mark.parametrize("shape", [(3,), (6,), (3, 2), (2, 2), (2, 3, 2), (0,)])
    def test_of_another_shape_is_an_error(self, shape):
        message = re.escape(f"Error: sample_weight has shape {shape} where the losses have (2, 3): expected a weight")
        with pytest.raises(ShapeError, match=message):
            Error()(ZEROS, VALUES, np.ones(shape))

    def test_weighs_samples_even_if_there_are_as_many_steps(self):
        loss = Error(reduction="none")(np.zeros((2, 2)), np.ones((2, 2)), [1.0, 2.0])
        np.testing.assert_array_equal(loss, [[1, 1], [2, 2]])

    def test_does_not_change_the_dtype(self):
        loss = Error()(ZEROS, VALUES.astype(np.float32), np.ones(2, np.float64))
        assert loss.dtype == np.float32

    def test_of_a_loss_that_is_one_number_is_an_error(self):
        loss = LossFunctionWrapper(lambda y, p: ops.mean(p - y))
        assert loss(ZEROS, VALUES).item() == 3.5
        with pytest.raises(ShapeError, match=r"sample_weight has shape \(2,\) where the losses have \(\)"):
            loss(ZEROS, VALUES, [1.0, 2.0])


class TestTargets:
    @pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float32", "float64"])
    def test_get_the_dtype_of_the_predictions(self, dtype):
        seen = []

        def loss(y_true, y_pred):
            seen.append(y_true.dtype)
            return 1 - y_true

        y = np.array([[1], [0]], dtype)
        np.testing.assert_array_equal(LossFunctionWrapper(loss, "none")(y, np.zeros((2, 1), np.float32)), [[0], [1]])
        assert seen == [np.float32]

    def test_stay_integers_where_they_are_classes(self):
        class Picked(Loss):
            integer_targets = True

            def call(self, y_true, y_pred):
                assert y_true.dtype == np.int64
                return -ops.sum(ops.one_hot(y_true, 3) * y_pred, axis=-1)

        assert Picked()([0, 2], VALUES.astype(np.float32)).item() == -3.5

    def test_lists_and_integers_are_predictions_too(self):
        value = MeanAbsoluteError()([[1, 2]], [[3, 5]])
        assert value.item() == 2.5
        assert value.dtype == config.floatx()

    def test_n_and_n_1_are_the_same_to_a_function_of_the_user(self):
        loss = LossFunctionWrapper(lambda y, p: p - y, reduction="none")
        assert loss(np.zeros(3), np.zeros((3, 1))).shape == (3, 1)
        assert loss(np.zeros((3, 1)), np.zeros(3)).shape == (3, 1)
        assert loss(np.zeros((2, 3)), np.zeros((2, 3, 1))).shape == (2, 3)
        assert loss(np.zeros((2, 3, 1)), np.zeros((2, 3))).shape == (2, 3)

    def test_of_another_shape_are_left_to_a_function_of_the_user(self):
        loss = LossFunctionWrapper(lambda y, p: ops.sum(p, axis=-1) - y, reduction="none")
        np.testing.assert_array_equal(loss([1.0, 1.0], VALUES), [5, 14])

    def test_in_a_list_keep_all_digits(self):
        assert Error()([[0.1]], np.array([[0.1]])).item() == 0
        assert Error()([[0.0]], np.array([[1.0]]), [0.1]).item() == 0.1

    def test_that_are_no_numbers_are_an_error(self):
        with pytest.raises(DTypeError, match="expected numbers"):
            MeanAbsoluteError()(np.array([["a"]]), [[1.0]])


class TestOwnLosses:
    def test_are_named_after_their_class(self):
        class WorstError(Loss):
            def call(self, y_true, y_pred):
                return ops.max(ops.abs(y_true - y_pred), axis=-1)

        loss = WorstError()
        assert loss.name == "worst_error"
        assert WorstError(name="worst").name == "worst"
        assert loss(ZEROS, VALUES).item() == 4.5
        assert loss.get_config() == {"name": "worst_error", "reduction": "sum_over_batch_size"}

    def test_need_a_call_method(self):
        with pytest.raises(NotImplementedError, match="Loss must define call"):
            Loss()(ZEROS, VALUES)

    def test_are_functions_or_nothing(self):
        with pytest.raises(ArgumentError, match=r"LossFunctionWrapper: expected a function f\(y_true, y_pred\), got 3"):
            LossFunctionWrapper(3)

    def test_may_have_more_arguments(self):
        loss = LossFunctionWrapper(losses.huber, name="my_huber", delta=2.0)
        assert loss.name == "my_huber"
        assert loss(ZEROS, VALUES).item() == losses.Huber(delta=2.0)(ZEROS, VALUES).item()

    def test_accept_any_target_unless_they_check(self):
        Error().check(ZEROS, VALUES)
