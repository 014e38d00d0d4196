"""Adagrad against its formula, in float64. 1e-12 is far above rounding and far below any mistake."""

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.layers.variable import Variable
from minidl.optimizers import Adagrad


@pytest.mark.parametrize(("start", "epsilon"), [(0.1, 1e-7), (0.0, 1e-3), (2.0, 0.0)])
def test_divides_by_the_root_of_the_sum_of_squares(run, w0, gradients, start, epsilon):
    sums = start + np.cumsum(gradients**2, axis=0)
    expected = w0 - 0.5 * np.cumsum(gradients / np.sqrt(sums + epsilon), axis=0)
    trajectory = run(Adagrad(0.5, initial_accumulator_value=start, epsilon=epsilon), w0, gradients)
    np.testing.assert_allclose(trajectory, expected, rtol=0, atol=1e-12)


def test_first_step_by_hand():
    w = Variable(np.zeros(1))
    Adagrad(1.0, epsilon=0.06).apply([[0.3]], [w])
    assert w.data == pytest.approx(-0.3 / 0.5)  # √(0.1 + 0.09 + 0.06) = 0.5


def test_defaults():
    config = Adagrad().get_config()
    assert (config["learning_rate"], config["initial_accumulator_value"], config["epsilon"]) == (0.001, 0.1, 1e-7)


@pytest.mark.parametrize("argument", ["initial_accumulator_value", "epsilon"])
def test_arguments_out_of_range(argument):
    with pytest.raises(ArgumentError, match=f"Adagrad: {argument} must be a number ≥ 0, got -1"):
        Adagrad(**{argument: -1})
