"""Nadam against its algorithm as Keras has it, in float64. 1e-12 is far above rounding and far below any mistake."""

import math

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.layers.variable import Variable
from minidl.optimizers import Nadam


def test_looks_ahead_with_a_momentum_that_grows(run, w0, gradients):
    b1, b2, epsilon = 0.7, 0.95, 1e-3

    def u(t):
        return b1 * (1 - 0.5 * 0.96**t)

    w, expected = w0, []
    for t in range(1, len(gradients) + 1):
        ages, g = np.arange(t)[::-1, None, None], gradients[t - 1]
        m = (1 - b1) * np.sum(b1**ages * gradients[:t], axis=0)
        v = (1 - b2) * np.sum(b2**ages * gradients[:t] ** 2, axis=0)
        product = math.prod(u(i) for i in range(1, t + 1))
        m_hat = u(t + 1) * m / (1 - product * u(t + 1)) + (1 - u(t)) * g / (1 - product)
        w = w - 0.1 * m_hat / (np.sqrt(v / (1 - b2**t)) + epsilon)
        expected.append(w)
    np.testing.assert_allclose(run(Nadam(0.1, b1, b2, epsilon), w0, gradients), expected, rtol=0, atol=1e-12)


def test_the_product_belongs_to_the_state():
    optimizer, w = Nadam(beta_1=0.9), Variable(np.ones(2), name="kernel")
    optimizer.apply([[1.0, 1.0]], [w])
    names = ["iteration", "learning_rate", "kernel_momentum", "kernel_velocity", "u_product"]
    assert [v.name for v in optimizer.variables] == names
    assert float(optimizer.variables[-1]) == 0.9 * (1 - 0.5 * 0.96)


def test_a_step_that_fails_does_not_move_the_product_on():
    optimizer, w = Nadam(), Variable(np.ones(2))
    with pytest.raises(ValueError):
        optimizer.apply([[1.0]], [w])
    assert float(optimizer.u_product) == 1


def test_defaults():
    names = ["learning_rate", "beta_1", "beta_2", "epsilon"]
    assert [Nadam().get_config()[name] for name in names] == [0.001, 0.9, 0.999, 1e-7]


@pytest.mark.parametrize("argument", ["beta_1", "beta_2"])
def test_arguments_out_of_range(argument):
    with pytest.raises(ArgumentError, match=rf"Nadam: {argument} must be a number in \[0, 1\), got 1"):
        Nadam(**{argument: 1})
