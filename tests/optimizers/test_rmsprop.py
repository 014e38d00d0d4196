"""RMSprop against Graves's equations, in float64. 1e-12 is far above rounding and far below any mistake."""

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.layers.variable import Variable
from minidl.optimizers import RMSprop


def fading(rho, xs):
    """(1 − ρ)·Σ ρ^(t−i)·x_i for every t."""
    return np.array([(1 - rho) * sum(rho ** (t - i) * xs[i] for i in range(t + 1)) for t in range(len(xs))])


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_divides_by_the_root_of_the_mean_square(run, w0, gradients, momentum, centered):
    """v = mean of g²; centered: the variance; momentum: the steps themselves add up."""
    variance = fading(0.8, gradients**2) - centered * fading(0.8, gradients) ** 2
    steps = 0.1 * gradients / np.sqrt(variance + 1e-3)
    added_up = fading(momentum, steps) / (1 - momentum)
    expected = w0 - np.cumsum(added_up, axis=0)
    optimizer = RMSprop(0.1, rho=0.8, momentum=momentum, epsilon=1e-3, centered=centered)
    np.testing.assert_allclose(run(optimizer, w0, gradients), expected, rtol=0, atol=1e-12)


def test_the_average_gradient_is_an_average(w0, gradients):
    """Its sign has no effect on the weights, but it is part of the state that is saved."""
    w, optimizer = Variable(w0), RMSprop(rho=0.8, centered=True)
    for g in gradients:
        optimizer.apply([g], [w])
    np.testing.assert_allclose(optimizer.variables[-1].data, fading(0.8, gradients)[-1], rtol=0, atol=1e-12)


def test_centered_survives_a_gradient_that_never_changes():
    """v − ḡ² is 0 but for rounding, which makes it negative for about one size of the gradient in twenty."""
    sizes = np.geomspace(1, 1000, 500).astype("float32")
    w, optimizer = Variable(np.zeros(500, "float32")), RMSprop(centered=True)
    for _ in range(300):
        optimizer.apply([sizes], [w])
    assert np.isfinite(w.data).all()


def test_defaults():
    names = ["learning_rate", "rho", "momentum", "epsilon", "centered"]
    assert [RMSprop().get_config()[name] for name in names] == [0.001, 0.9, 0.0, 1e-7, False]


@pytest.mark.parametrize(
    ("arguments", "slots"),
    [
        ({}, ["velocity"]),
        ({"momentum": 0.9}, ["velocity", "momentum"]),
        ({"centered": True}, ["velocity", "average_gradient"]),
        ({"momentum": 0.9, "centered": True}, ["velocity", "momentum", "average_gradient"]),
    ],
)
def test_remembers_what_it_needs(arguments, slots):
    optimizer = RMSprop(**arguments)
    optimizer.build([Variable([1.0], name="kernel")])
    assert [v.name for v in optimizer.variables[2:]] == [f"kernel_{slot}" for slot in slots]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 1}, r"RMSprop: rho must be a number in \[0, 1\), got 1"),
        ({"momentum": -0.5}, r"RMSprop: momentum must be a number in \[0, 1\], got -0.5"),
        ({"epsilon": -1}, "RMSprop: epsilon must be a number ≥ 0, got -1"),
        ({"centered": 1e-7}, "RMSprop: centered must be True or False, got 1e-07"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        RMSprop(**arguments)
