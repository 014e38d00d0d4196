"""gradcheck finds what is wrong, says where, and is not fooled."""

from dataclasses import dataclass

import numpy as np
import pytest

import minidl
from minidl import Tensor, gradcheck, ops
from minidl.autodiff import apply
from minidl.errors import ArgumentError, GradcheckError, NonFiniteError
from minidl.kernels import Kernel

rng = np.random.default_rng(0)


@dataclass(frozen=True)
class WrongInOnePlace(Kernel):
    """y = x², with a derivative that is wrong by a part in 10⁷ at one element."""

    def forward(self, memory, x):
        return x * x, x

    def backward(self, memory, dy, x):
        dx = 2 * x * dy
        dx[1, 2] *= 1 + 1e-7
        return (dx,)


def test_a_right_gradient_passes_to_machine_precision():
    report = gradcheck(lambda x, w: ops.log_softmax(ops.tanh(x) @ w), rng.normal(size=(4, 3)), rng.normal(size=(3, 2)))
    assert report
    assert report.error < 1e-14
    assert report.elements == 18
    assert "agree with the complex step at 18 elements" in str(report)


def test_the_report_names_the_worst_element_and_input():
    x, y = np.ones((2, 3)), rng.uniform(1, 2, (2, 3))
    report = gradcheck(lambda a, b: a + apply(WrongInOnePlace(), b), x, y, raise_error=False)
    assert not report
    assert (report.input, report.index) == (1, (1, 2))
    assert report.backward == pytest.approx(report.measured * (1 + 1e-7), rel=1e-12)
    with pytest.raises(GradcheckError, match=r"DISAGREE .* worst is input 1\[1, 2\]: backward pass .* measured"):
        gradcheck(lambda a, b: a + apply(WrongInOnePlace(), b), x, y)


def test_the_error_is_an_assertion():
    with pytest.raises(AssertionError):
        gradcheck(lambda x: apply(WrongInOnePlace(), x), np.ones((2, 3)))


def test_central_differences():
    report = gradcheck(lambda x: ops.exp(x) * ops.sin(x), rng.normal(size=5), method="central")
    assert report
    assert 1e-14 < report.error < 1e-6
    with pytest.raises(GradcheckError, match="central differences"):
        gradcheck(lambda x: ops.stop_gradient(x) * x, np.ones(3), method="central")


def test_central_differences_measure_what_is_not_complex_capable():
    """A kernel with a modulus: right for real numbers, and the complex step cannot see it."""

    @dataclass(frozen=True)
    class Modulus(Kernel):
        def forward(self, memory, x):
            return np.abs(x), np.sign(x.real)

        def backward(self, memory, dy, sign):
            return (dy * sign,)

    def f(x):
        return apply(Modulus(), x)

    x = np.array([1.0, -2.0])
    assert gradcheck(f, x, method="central")
    with pytest.raises(GradcheckError, match="method='central'"):
        gradcheck(f, x)


@pytest.mark.parametrize("method", ["complex", "central"])
def test_a_gradient_that_vanishes_everywhere(method):
    """At x = 0 the steps measure h² of x³ where the gradient is 0."""
    assert gradcheck(lambda x: x**3, np.zeros(3), method=method)


@pytest.mark.parametrize("method", ["complex", "central"])
def test_a_gradient_that_is_missing_everywhere(method):
    with pytest.raises(GradcheckError, match="DISAGREE"):
        gradcheck(lambda x: ops.stop_gradient(x) * 1e-3, np.ones(3), method=method)


def test_several_outputs_of_any_shape():
    assert gradcheck(lambda x: (ops.sum(x), [x * x, ops.exp(x)]), rng.normal(size=(2, 2)))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (2, 1)])
def test_shapes_of_size_zero_and_one(shape):
    assert gradcheck(lambda x: ops.tanh(x) * 2, np.full(shape, 0.5))


def test_float32_is_measured_in_float64():
    assert gradcheck(ops.tanh, rng.normal(size=4).astype(np.float32)).error < 1e-14


def test_integers_are_passed_on():
    labels = np.array([0, 2])
    assert gradcheck(lambda x, y: ops.sparse_softmax_crossentropy(x, y), rng.normal(size=(2, 3)), labels).elements == 6


def test_an_input_without_influence_has_gradient_zero():
    assert gradcheck(lambda a, b: ops.exp(a), np.ones(2), np.ones(3))


def test_inputs_stay_as_they_are():
    x = rng.normal(size=3)
    before = x.copy()
    gradcheck(ops.exp, x)
    np.testing.assert_array_equal(x, before)


def test_bad_questions():
    with pytest.raises(ArgumentError, match="expected method 'complex' or 'central', got 'forward'"):
        gradcheck(ops.exp, np.ones(2), method="forward")
    with pytest.raises(ArgumentError, match="at least one floating-point input"):
        gradcheck(lambda x: Tensor(1.0), np.arange(2))
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="NaN or infinity in the gradient of input 0"):
        gradcheck(ops.log, np.array([0.0, 1.0]))
    assert minidl.gradcheck is gradcheck
