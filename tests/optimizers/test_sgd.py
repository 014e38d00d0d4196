"""SGD against the papers' formulas, in float64. 1e-12 is far above rounding and far below any mistake."""

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.layers.variable import Variable
from minidl.optimizers import SGD

CLOSE = {"rtol": 0, "atol": 1e-12}


def test_plain_is_the_sum_of_the_gradients(run, w0, gradients):
    expected = w0 - 0.1 * np.cumsum(gradients, axis=0)
    np.testing.assert_allclose(run(SGD(0.1), w0, gradients), expected, **CLOSE)


def test_momentum_is_a_sum_of_past_gradients_that_fade(run, w0, gradients):
    """v_t = −η·Σ μ^(t−i)·g_i, w_t = w_0 + Σ v_t."""
    v = [-0.1 * sum(0.8 ** (t - i) * gradients[i] for i in range(t + 1)) for t in range(len(gradients))]
    expected = w0 + np.cumsum(v, axis=0)
    np.testing.assert_allclose(run(SGD(0.1, momentum=0.8), w0, gradients), expected, **CLOSE)


def test_nesterov_is_sutskevers_look_ahead(w0):
    """Equations 3 and 4 on θ, with the gradient at θ + μv, which is the point that SGD keeps."""
    curvature = np.array([[1.0, 5.0], [0.1, 2.0], [3.0, 0.5]])
    w, optimizer = Variable(w0), SGD(0.1, momentum=0.8, nesterov=True)
    theta, v = w0.copy(), np.zeros_like(w0)
    for _ in range(30):
        optimizer.apply([curvature * w.data], [w])
        v = 0.8 * v - 0.1 * curvature * (theta + 0.8 * v)
        theta = theta + v
        np.testing.assert_allclose(w.data, theta + 0.8 * v, **CLOSE)


def test_defaults():
    config = SGD().get_config()
    assert (config["learning_rate"], config["momentum"], config["nesterov"]) == (0.01, 0.0, False)


def test_without_momentum_nothing_is_remembered():
    optimizer = SGD()
    optimizer.build([Variable([1.0])])
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate"]


def test_momentum_may_be_turned_on_and_off_between_steps():
    w, optimizer = Variable(np.zeros(1)), SGD(1.0)
    optimizer.apply([[1.0]], [w])
    optimizer.momentum = 0.5
    optimizer.apply([[1.0]], [w])
    optimizer.apply([[1.0]], [w])
    assert w.data == -1 - 1 - 1.5
    optimizer.momentum = 0.0
    optimizer.apply([[1.0]], [w])
    assert w.data == -4.5


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan"), "0.9", None, True])
def test_momentum_out_of_range(momentum):
    with pytest.raises(ArgumentError, match=r"SGD: momentum must be a number in \[0, 1\], got"):
        SGD(momentum=momentum)


def test_nesterov_must_be_a_flag():
    with pytest.raises(ArgumentError, match="SGD: nesterov must be True or False, got 1"):
        SGD(0.1, 0.9, 1)
