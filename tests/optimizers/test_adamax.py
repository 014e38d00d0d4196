"""Adamax against its algorithm, in float64. 1e-12 is far above rounding and far below any mistake."""

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.layers.variable import Variable
from minidl.optimizers import Adamax


def test_divides_by_the_largest_gradient_of_late(run, w0, gradients):
    """u_t = max β₂^(t−i)·|g_i|, m_t = (1 − β₁)·Σ β₁^(t−i)·g_i."""
    b1, b2, epsilon = 0.7, 0.9, 1e-3
    w, expected = w0, []
    for t in range(1, len(gradients) + 1):
        ages = np.arange(t)[::-1, None, None]
        m = (1 - b1) * np.sum(b1**ages * gradients[:t], axis=0)
        u = np.max(b2**ages * np.abs(gradients[:t]), axis=0)
        w = w - 0.1 / (1 - b1**t) * m / (u + epsilon)
        expected.append(w)
    np.testing.assert_allclose(run(Adamax(0.1, b1, b2, epsilon), w0, gradients), expected, rtol=0, atol=1e-12)


def test_a_weight_that_never_had_a_gradient_stays_as_it_is():
    w = Variable(np.array([1.0, 1.0], "float32"))
    Adamax(0.5).apply([[0.0, 3.0]], [w])
    np.testing.assert_allclose(w.data, [1.0, 0.5], rtol=1e-6)


def test_defaults():
    names = ["learning_rate", "beta_1", "beta_2", "epsilon"]
    assert [Adamax().get_config()[name] for name in names] == [0.001, 0.9, 0.999, 1e-7]


@pytest.mark.parametrize("argument", ["beta_1", "beta_2"])
def test_arguments_out_of_range(argument):
    with pytest.raises(ArgumentError, match=rf"Adamax: {argument} must be a number in \[0, 1\), got 1"):
        Adamax(**{argument: 1})
