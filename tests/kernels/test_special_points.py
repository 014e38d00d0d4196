"""Where a formula could be read in two ways: kinks, ties, zeros, infinities, and nothing at all.

The table in test_kernels.py stays away from these points; here stands what is promised there.
"""

import math
from functools import partial

import numpy as np
import pytest
from scipy import integrate, stats

from minidl import kernels
from minidl.kernels.elementary import negative_part, positive_part
from minidl.kernels.kernel import ones, sum_axes
from minidl.memory import Heap
from minidl.threads import PIECE

INF = math.inf


def forward(kernel, *inputs):
    return kernel.forward(Heap(), *(np.asarray(x) for x in inputs))[0]


def gradients(kernel, *inputs):
    """The gradients for a cotangent of ones."""
    y, saved = kernel.forward(Heap(), *(np.asarray(x) for x in inputs))
    return kernel.backward(Heap(), np.ones_like(y), saved)


def directional(kernel, x, direction):
    """The derivative at the number x in a direction, by the complex step."""
    return forward(kernel, np.array(x + 1e-20j * direction)).imag / 1e-20


class TestSmoothAtZero:
    """A kernel that treats x ≥ 0 and x < 0 apart must not tear a smooth function at 0, from either side."""

    @pytest.mark.parametrize("zero", [0.0, -0.0])
    @pytest.mark.parametrize("direction", [1.0, -1.0])
    @pytest.mark.parametrize(
        ("kernel", "derivative"),
        [
            (kernels.Sigmoid(), 0.25),
            (kernels.Softplus(), 0.5),
            (kernels.Silu(), 0.5),
            (kernels.Mish(), math.tanh(math.log(2))),
            (kernels.Gelu(), 0.5),
            (kernels.TanhGelu(), 0.5),
            (kernels.Elu(), 1.0),
            (kernels.Softsign(), 1.0),
            (kernels.Tanh(), 1.0),
        ],
        ids=repr,
    )
    def test_forward_and_reverse_mode(self, kernel, derivative, direction, zero):
        assert gradients(kernel, zero)[0] == pytest.approx(derivative, rel=1e-15)
        assert directional(kernel, zero, direction) == pytest.approx(direction * derivative, rel=1e-15)

    @pytest.mark.parametrize("direction", [1.0, -1.0])
    def test_sigmoid_crossentropy(self, direction):
        y = forward(kernels.SigmoidCrossentropy(), [1e-20j * direction], [0.2])
        assert y.imag / 1e-20 == pytest.approx(direction * (0.5 - 0.2), rel=1e-15)


class TestKinks:
    @pytest.mark.parametrize(
        ("kernel", "x", "slope"),
        [
            (kernels.Relu(), 0.0, 0),
            (kernels.Absolute(), 0.0, 0),
            (kernels.Sign(), 0.0, 0),
            (kernels.LeakyRelu(0.2), 0.0, 0.2),
            (kernels.Elu(0.5), 0.0, 0.5),
            (kernels.Selu(), 0.0, 1.6732632423543772 * 1.0507009873554805),
            (kernels.HardSigmoid(), 3.0, 0),
            (kernels.HardSigmoid(), -3.0, 0),
            (kernels.Clip(-1.0, 2.0), -1.0, 1),
            (kernels.Clip(-1.0, 2.0), 2.0, 1),
            (kernels.GeneralRelu(0.1, 2.0, 0.5), 0.5, 1),
            (kernels.GeneralRelu(0.1, 2.0, 0.5), 2.0, 0),
        ],
        ids=repr,
    )
    def test_the_side_that_backward_takes(self, kernel, x, slope):
        assert gradients(kernel, x)[0] == pytest.approx(slope, rel=1e-15)

    def test_values_at_kinks(self):
        assert forward(kernels.Sign(), [-2.0, 0.0, 3.0]).tolist() == [-1, 0, 1]
        assert forward(kernels.GeneralRelu(0.1, 2.0, 0.5), [0.5, 2.0]).tolist() == [0.5, 2.0]
        assert forward(kernels.GeneralRelu(0.0, 2.0, 0.5), [0.5, 2.0, 2.5]).tolist() == [0.5, 2.0, 2.0]
        assert forward(kernels.Dropout(0.5), [1.0, 1.0], [0.5, 0.25]).tolist() == [2.0, 0.0]

    def test_forward_mode_gives_the_one_sided_derivative(self):
        # Complex numbers are compared by their real parts first and then by the imaginary ones: max(0 + ih, 0).
        assert directional(kernels.Relu(), 0.0, 1.0) == 1
        assert directional(kernels.Relu(), 0.0, -1.0) == 0

    def test_prelu_at_zero(self):
        dx, dalpha = gradients(kernels.PRelu(), [0.0], [0.3])
        assert dx == [0.3]
        assert dalpha == [0]


class TestTies:
    def test_maximum_and_minimum_halve_the_gradient(self):
        for kernel in (kernels.Maximum(), kernels.Minimum()):
            da, db = gradients(kernel, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
            assert da.tolist() == db.tolist() == [0.5, 0.5, 0.5]

    def test_max_and_min_share_it_equally(self):
        x = [[1.0, 5.0, 5.0], [5.0, 1.0, 1.0]]
        assert gradients(kernels.Max(), x)[0] == pytest.approx(np.array([[0, 1, 1], [1, 0, 0]]) / 3)
        assert gradients(kernels.Max(1), x)[0] == pytest.approx(np.array([[0, 1, 1], [2, 0, 0]]) / 2)
        assert gradients(kernels.Min(1), x)[0] == pytest.approx(np.array([[2, 0, 0], [0, 1, 1]]) / 2)

    def test_nan_wins_and_gets_no_gradient(self):
        assert np.isnan(forward(kernels.Max(), [1.0, math.nan]))
        assert gradients(kernels.Max(), [1.0, math.nan])[0].tolist() == [0, 0]

    def test_sort_keeps_the_order_of_equal_elements(self):
        x = np.tile([2.0, 1.0], 50)
        for tied in (x, x - 1e-20j * np.arange(100)):
            y, order = kernels.Sort().forward(Heap(), tied)
            assert y.real.tolist() == [1] * 50 + [2] * 50
            assert order.tolist() == [*range(1, 100, 2), *range(0, 100, 2)]

    def test_positions_named_twice_add_up(self):
        assert gradients(kernels.GetItem([0, 2, 0]), np.zeros(3))[0].tolist() == [2, 0, 1]
        assert gradients(kernels.GetItem(np.array([0, 2, 0])), np.zeros(3))[0].tolist() == [2, 0, 1]
        assert gradients(kernels.Take(1), np.zeros((1, 3)), [0, -1, 0])[0].tolist() == [[2, 0, 1]]


class TestPower:
    @pytest.mark.parametrize(
        ("x", "a", "dx", "da"),
        [
            (0.0, 0.0, 0, 0),
            (0.0, 1.0, 1, 0),
            (0.0, 2.0, 0, 0),
            (-2.0, 2.0, -4, 0),
            (-2.0, -1.0, -0.25, 0),
            (5.0, 0.0, 0, math.log(5)),
        ],
    )
    def test_at_zero_and_below(self, x, a, dx, da):
        assert gradients(kernels.Power(), x, a) == pytest.approx((dx, da))

    def test_anything_to_the_zeroth_power_is_one(self):
        assert forward(kernels.Power(), [0.0, -3.0, 2.0], [0.0, 0.0, 0.0]).tolist() == [1, 1, 1]


class TestProd:
    @pytest.mark.parametrize(
        ("x", "dx"),
        [([2.0, 3.0, 4.0], [12, 8, 6]), ([2.0, 0.0, 4.0], [0, 8, 0]), ([0.0, 3.0, 0.0], [0, 0, 0]), ([7.0], [1])],
    )
    def test_gradient_with_zeros(self, x, dx):
        assert gradients(kernels.Prod(), x)[0].tolist() == dx


class TestStandardDeviation:
    def test_gradient_of_equal_numbers_is_zero(self):
        assert gradients(kernels.StandardDeviation(1), np.full((2, 3), 4.0))[0].tolist() == [[0, 0, 0], [0, 0, 0]]

    def test_one_number_varies_by_nothing(self):
        assert forward(kernels.StandardDeviation(), 3.0) == 0
        assert gradients(kernels.StandardDeviation(), 3.0)[0] == 0


class TestNothing:
    """Reductions of no elements; the mirror of pytest's `error` filter is that none of them warns."""

    @pytest.mark.parametrize(
        ("kernel", "value"),
        [
            (kernels.Sum, 0.0),
            (kernels.Prod, 1.0),
            (kernels.LogSumExp, -INF),
            (kernels.Mean, math.nan),
            (kernels.Variance, math.nan),
            (kernels.StandardDeviation, math.nan),
        ],
    )
    @pytest.mark.parametrize("keepdims", [False, True])
    def test_value(self, kernel, value, keepdims):
        y = forward(kernel(0, keepdims), np.empty((0, 2)))
        assert np.array_equal(y, np.full((1, 2) if keepdims else (2,), value), equal_nan=True)
        assert gradients(kernel(0, keepdims), np.empty((0, 2)))[0].shape == (0, 2)

    def test_batch_normalization_of_an_empty_batch(self):
        y, mean, variance = forward(kernels.BatchNormalization(), np.empty((0, 2)), np.ones(2), np.ones(2))
        assert y.shape == (0, 2)
        assert mean.tolist() == variance.tolist() == [0, 0]


class TestInfinity:
    def test_softmax_of_a_row_of_minus_infinity_is_uniform(self):
        x = np.array([[-INF, -INF, -INF, -INF], [0.0, 0.0, -INF, -INF]])
        assert forward(kernels.Softmax(), x).tolist() == [[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]]
        assert forward(kernels.LogSoftmax(), x[:1]) == pytest.approx(np.full((1, 4), -math.log(4)), rel=1e-15)

    def test_gradients_of_a_row_of_minus_infinity_are_finite(self):
        x = np.array([[-INF, -INF], [0.0, -INF]])
        for kernel in (kernels.Softmax(), kernels.LogSoftmax(), kernels.LogSumExp()):
            assert np.isfinite(gradients(kernel, x)[0]).all()
        assert gradients(kernels.LogSumExp(1), x)[0].tolist() == [[0.5, 0.5], [1, 0]]

    def test_forward_mode_of_a_row_of_minus_infinity(self):
        # The tie of the second row is broken by the directions alone; it must be differentiated as ever.
        x = np.array([[-INF + 1e-20j, -INF - 1e-20j], [3 + 1e-20j, 3 - 1e-20j]])
        assert forward(kernels.Softmax(), x).imag / 1e-20 == pytest.approx(np.array([[0, 0], [0.5, -0.5]]))

    def test_logsumexp_of_infinities(self):
        x = np.array([[-INF, -INF], [-INF, 2.0], [INF, 0.0]])
        assert forward(kernels.LogSumExp(1), x).tolist() == [-INF, 2.0, INF]

    def test_crossentropy_ignores_impossible_classes_that_are_not_the_target(self):
        logits, targets = np.array([[0.0, 0.0, -INF]]), np.array([[0.5, 0.5, 0.0]])
        assert forward(kernels.SoftmaxCrossentropy(), logits, targets) == pytest.approx(math.log(2))
        assert forward(kernels.SparseSoftmaxCrossentropy(), logits, np.array([1])) == pytest.approx(math.log(2))
        assert forward(kernels.SparseSoftmaxCrossentropy(), logits, np.array([2])) == INF

    def test_activations_at_infinity(self):
        x = np.array([-INF, INF])
        assert forward(kernels.Sigmoid(), x).tolist() == [0, 1]
        assert forward(kernels.Softplus(), x).tolist() == [0, INF]
        assert forward(kernels.Relu(), x).tolist() == [0, INF]
        assert forward(kernels.Clip(-1.0, 1.0), x).tolist() == [-1, 1]


class TestConstants:
    def test_selu_has_mean_0_and_variance_1_as_its_fixed_point(self):
        def moment(power):
            def weighted(x):
                return float(forward(kernels.Selu(), x)) ** power * stats.norm.pdf(x)

            return integrate.quad(weighted, -12, 0)[0] + integrate.quad(weighted, 0, 12)[0]

        assert moment(1) == pytest.approx(0, abs=1e-8)
        assert moment(2) == pytest.approx(1, abs=1e-8)

    @pytest.mark.parametrize(
        ("kernel", "defaults"),
        [
            (kernels.LeakyRelu, {"negative_slope": 0.2}),
            (kernels.GeneralRelu, {"negative_slope": 0, "max_value": INF, "threshold": 0}),
            (kernels.Elu, {"alpha": 1}),
            (kernels.Silu, {"beta": 1}),
            (kernels.Softmax, {"axis": -1}),
            (kernels.LogSoftmax, {"axis": -1}),
            (kernels.Sort, {"axis": -1}),
            (kernels.Take, {"axis": 0}),
            (kernels.CumSum, {"axis": 0}),
            (kernels.Concatenate, {"axis": 0}),
            (kernels.Stack, {"axis": 0}),
            (partial(kernels.Split, (1,)), {"cuts": (1,), "axis": 0}),
            (partial(kernels.Repeat, 2), {"repeats": 2, "axis": 0}),
            (partial(kernels.Pad, ()), {"widths": (), "value": 0}),
            (kernels.Sum, {"axis": None, "keepdims": False}),
            (kernels.Prod, {"axis": None, "keepdims": False}),
            (kernels.Max, {"axis": None, "keepdims": False}),
            (kernels.Min, {"axis": None, "keepdims": False}),
            (kernels.BatchNormalization, {"epsilon": 1e-3, "axis": (-1,)}),
            (kernels.Standardization, {"epsilon": 1e-3, "axis": (-1,)}),
            (partial(kernels.GroupNormalization, 2), {"groups": 2, "epsilon": 1e-3, "axis": -1}),
            (kernels.LayerNormalization, {"epsilon": 1e-3, "axis": (-1,), "center": True}),
        ],
    )
    def test_defaults(self, kernel, defaults):
        assert vars(kernel()) == defaults


class TestKernels:
    def test_are_values(self):
        # Frozen dataclasses: equal when their hyperparameters are, and usable as keys.
        assert kernels.Elu(0.5) == kernels.Elu(0.5) != kernels.Elu(0.7)
        assert len({kernels.Sum(0), kernels.Sum(0), kernels.Sum(1)}) == 2
        with pytest.raises(AttributeError):
            kernels.Elu().alpha = 2.0

    @pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "uint8", "int64"])
    @pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 3)])
    def test_sums_of_integers_do_not_overflow(self, dtype, shape):
        x = np.ones(shape, dtype)
        assert sum_axes(Heap(), x, tuple(range(len(shape)))).dtype == x.sum().dtype
        assert forward(kernels.Sum(), np.full(shape, 100).astype(dtype)) == np.full(shape, 100).astype(dtype).sum()

    def test_ones_are_shared_and_cannot_be_changed(self):
        assert np.shares_memory(ones(3, np.dtype("float32")), ones(5, np.dtype("float32")))
        assert ones(PIECE + 1, np.dtype("float32")).tolist() == [1] * (PIECE + 1)
        with pytest.raises(ValueError, match="read-only"):
            ones(3, np.dtype("float32"))[0] = 2


class TestParts:
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
    def test_positive_and_negative_part(self, dtype):
        x = np.array([-np.inf, -2, -0.0, 0, 3, np.inf, np.nan], dtype)
        np.testing.assert_array_equal(positive_part(x, np.empty_like(x)), np.maximum(x, 0))
        np.testing.assert_array_equal(negative_part(x, np.empty_like(x)), np.minimum(x, 0))
