"""Numbers as large as ±1e30: values, gradients and forward mode stay finite, without a warning, in both float types.

pytest turns every warning into an error, so that running a kernel proves that it gives none.
"""

import math

import numpy as np
import pytest

from minidl import kernels
from minidl.memory import Heap

EXTREME = np.array([-1e30, -1e15, -1e4, -700.0, -90.0, -20.0, -1e-30, 0.0, 1e-30, 20.0, 90.0, 700.0, 1e4, 1e15, 1e30])

ELEMENTWISE = [
    kernels.Sigmoid(), kernels.HardSigmoid(), kernels.Relu(), kernels.GeneralRelu(0.1, 6.0, 1.0),
    kernels.LeakyRelu(), kernels.Elu(), kernels.Selu(), kernels.Gelu(), kernels.TanhGelu(), kernels.Silu(),
    kernels.Silu(3.0), kernels.Mish(), kernels.Softplus(), kernels.Softsign(), kernels.Tanh(), kernels.Erf(),
    kernels.Absolute(), kernels.Clip(-1.0, 1.0),
]  # fmt: skip

ALONG_AN_AXIS = [
    kernels.Softmax(), kernels.Softmax(0), kernels.Softmax((0, 1)), kernels.LogSoftmax(), kernels.LogSoftmax(0),
    kernels.LogSumExp(), kernels.LogSumExp(1), kernels.LogSumExp(0, keepdims=True),
]  # fmt: skip


def run(kernel, *inputs):
    """The value and the gradients, for a cotangent of ones."""
    y, saved = kernel.forward(Heap(), *inputs)
    return y, kernel.backward(Heap(), np.ones_like(y), saved)


def assert_finite(*arrays):
    for x in arrays:
        assert np.isfinite(x).all(), x


def in_forward_mode(kernel, x, *others):
    """The value at x + ih; h is so small that its square underflows in float32, too."""
    direction = (1e-20j * np.ones_like(x)).astype(np.result_type(x.dtype, np.complex64))
    return kernel.forward(Heap(), x + direction, *others)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestExtremeInputs:
    @pytest.mark.parametrize("kernel", ELEMENTWISE, ids=repr)
    def test_elementwise(self, kernel, dtype):
        x = EXTREME.astype(dtype)
        y, (dx,) = run(kernel, x)
        assert y.dtype == dx.dtype == dtype
        assert_finite(y, dx, in_forward_mode(kernel, x))

    @pytest.mark.parametrize("kernel", ALONG_AN_AXIS, ids=repr)
    def test_along_an_axis(self, kernel, dtype):
        x = np.random.default_rng(0).permutation(np.tile(EXTREME, 4)).reshape(4, 15).astype(dtype)
        y, (dx,) = run(kernel, x)
        assert_finite(y, dx, in_forward_mode(kernel, x))

    def test_softmax_crossentropy(self, dtype):
        logits = np.stack([EXTREME, EXTREME[::-1], np.roll(EXTREME, 4)]).astype(dtype)
        targets = np.full_like(logits, 1 / 15)
        y, (dlogits, dtargets) = run(kernels.SoftmaxCrossentropy(), logits, targets)
        assert_finite(y, dlogits, dtargets, in_forward_mode(kernels.SoftmaxCrossentropy(), logits, targets))

    def test_sparse_softmax_crossentropy(self, dtype):
        logits = np.tile(EXTREME, (15, 1)).astype(dtype)
        y, (dlogits, _) = run(kernels.SparseSoftmaxCrossentropy(), logits, np.arange(15))
        assert_finite(y, dlogits, in_forward_mode(kernels.SparseSoftmaxCrossentropy(), logits, np.arange(15)))
        assert y[-1] == 0, "the right class by far"
        assert y[0] == pytest.approx(2e30), "the wrong class by far: 1e30 − (−1e30)"

    @pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
    def test_sigmoid_crossentropy(self, dtype, target):
        logits, targets = EXTREME.astype(dtype), np.full(15, target, dtype)
        y, (dlogits, dtargets) = run(kernels.SigmoidCrossentropy(), logits, targets)
        assert_finite(y, dlogits, dtargets, in_forward_mode(kernels.SigmoidCrossentropy(), logits, targets))
        assert (y >= 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kernel", "at_minus", "at_plus"),
    [
        (kernels.Sigmoid(), 0, 1),
        (kernels.Tanh(), -1, 1),
        (kernels.Softplus(), 0, 1e30),
        (kernels.Silu(), 0, 1e30),
        (kernels.Mish(), 0, 1e30),
        (kernels.Gelu(), 0, 1e30),
        (kernels.TanhGelu(), 0, 1e30),
        (kernels.Elu(2.0), -2, 1e30),
        (kernels.Softsign(), -1, 1),
    ],
    ids=repr,
)
def test_limits(kernel, at_minus, at_plus, dtype):
    limits = np.array([at_minus, at_plus], dtype)
    assert run(kernel, np.array([-1e30, 1e30], dtype))[0] == pytest.approx(limits, rel=1e-6, abs=0)


class TestSmallResultsKeepTheirDigits:
    def test_sigmoid_far_below_zero(self):
        assert run(kernels.Sigmoid(), np.array([-500.0]))[0][0] == pytest.approx(math.exp(-500), rel=1e-13)

    def test_softplus_far_below_zero(self):
        assert run(kernels.Softplus(), np.array([-500.0]))[0][0] == pytest.approx(math.exp(-500), rel=1e-13)

    def test_gelu_far_below_zero(self):
        # x·Φ(x) with Φ(−20) = ½ erfc(20/√2); 1 + erf(−20/√2) would be 0.
        expected = -20 * 0.5 * math.erfc(20 / math.sqrt(2))
        assert run(kernels.Gelu(), np.array([-20.0]))[0][0] == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("kernel", [kernels.Log1p(), kernels.Expm1()], ids=repr)
    def test_log1p_and_expm1_of_small_numbers(self, kernel):
        assert run(kernel, np.array([1e-18]))[0][0] == 1e-18
        assert in_forward_mode(kernel, np.array([1e-18]))[0] == 1e-18 + 1e-20j

    def test_log_softmax_of_an_improbable_class(self):
        assert run(kernels.LogSoftmax(), np.array([0.0, -1e5]))[0][1] == -1e5

    def test_derivative_of_arcsin_close_to_one(self):
        # 1 − x² = 2δ − δ² at x = 1 − δ; squaring x first would lose the last digits of δ.
        delta = 2.0**-40
        expected = 1 / math.sqrt(2 * delta - delta**2)
        for kernel, sign in [(kernels.Arcsin(), 1), (kernels.Arccos(), -1)]:
            assert run(kernel, np.array([1 - delta]))[1][0][0] == pytest.approx(sign * expected, rel=1e-15)


class TestFloat32Accumulation:
    """Moments of numbers far from zero, and of many: E[x²] − E[x]² would give noise, or NaN after the root."""

    X = (1e6 + np.random.default_rng(1).normal(size=(5000, 4))).astype("float32")

    @pytest.mark.parametrize("axis", [0, None])
    def test_variance_at_an_offset_of_a_million(self, axis):
        expected = self.X.astype("float64").var(axis=axis)
        # The mean itself has a rounding error of up to ε·1e6 ≈ 0.06; its square is all that may be lost.
        assert run(kernels.Variance(axis), self.X)[0] == pytest.approx(expected, abs=0.01)

    def test_standard_deviation_at_an_offset_of_a_million(self):
        expected = self.X.astype("float64").std(axis=0)
        assert run(kernels.StandardDeviation(0), self.X)[0] == pytest.approx(expected, abs=0.01)

    def test_batch_normalization_at_an_offset_of_a_million(self):
        (y, mean, variance), _ = kernels.BatchNormalization(1e-3).forward(
            Heap(), self.X, np.ones(4, "float32"), np.zeros(4, "float32")
        )
        assert mean == pytest.approx(self.X.astype("float64").mean(axis=0), rel=1e-7)
        assert variance == pytest.approx(self.X.astype("float64").var(axis=0), abs=0.01)
        assert y.std(axis=0) == pytest.approx(np.ones(4), abs=0.01)

    @pytest.mark.parametrize("rows", [511, 512, 513, 200_000])
    def test_sum_over_many_rows(self, rows):
        # Equal numbers are the worst case: row after row, 200,000 of them are off by 2e-3 in float32.
        x = np.full((rows, 3), 0.1, "float32")
        exact = rows * float(np.float32(0.1))
        assert run(kernels.Sum(0), x)[0] == pytest.approx(np.full(3, exact), rel=5e-6)
        assert run(kernels.Mean(0), x)[0] == pytest.approx(np.full(3, exact / rows), rel=5e-6)

    @pytest.mark.parametrize("columns", [1, 2, 15, 16, 1000])
    def test_sum_over_a_last_axis_short_or_long(self, columns):
        # A product with ones up to 15 numbers, NumPy's sum in pairs from 16 on.
        x = np.full((5, columns), 0.1, "float32")
        exact = columns * float(np.float32(0.1))
        assert run(kernels.Sum(-1), x)[0] == pytest.approx(np.full(5, exact), rel=1e-6)
        assert run(kernels.Sum(-1, keepdims=True), x)[0].shape == (5, 1)

    @pytest.mark.parametrize("kernel", [kernels.BatchNormalization(), kernels.LayerNormalization()], ids=repr)
    def test_normalization_piece_by_piece(self, kernel):
        """Several pieces, several places side by side in a row: all that float64 gives, where nothing is rounded."""
        rng = np.random.default_rng(0)
        x, dy = (rng.normal(mean, 2, (64, 30, 40, 8)).astype("float32") for mean in (3, 0))
        gamma, beta = (rng.normal(1, 0.1, 8).astype("float32") for _ in range(2))

        def everything(dtype):
            y, saved = kernel.forward(Heap(), *(part.astype(dtype) for part in (x, gamma, beta)))
            outputs = y if isinstance(y, tuple) else (y,)
            dys = (dy.astype(dtype), *(np.zeros_like(part) for part in outputs[1:]))
            dx, *sums = kernel.backward(Heap(), dys if isinstance(y, tuple) else dys[0], saved)
            return [*outputs, dx, *(total / len(x) / 30 / 40 for total in sums)]

        for single, double in zip(everything("float32"), everything("float64"), strict=True):
            # Means of 76,800 float32 numbers between −20 and 20, summed in blocks: 1e-6 of what they are means of.
            np.testing.assert_allclose(single, double, rtol=0, atol=2e-6 * max(3, np.abs(double).max()))

    def test_batch_normalization_has_the_moments_of_all_rows(self):
        x = np.random.default_rng(0).normal(3, 2, (64, 30, 40, 8)).astype("float32")
        (_, mean, variance), _ = kernels.BatchNormalization().forward(
            Heap(), x, np.ones(8, "float32"), np.zeros(8, "float32")
        )
        exact = x.astype("float64")
        assert mean == pytest.approx(exact.mean(axis=(0, 1, 2)), rel=5e-7)
        assert variance == pytest.approx(exact.var(axis=(0, 1, 2)), rel=5e-7)
