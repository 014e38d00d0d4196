"""Adam, AMSGrad and AdamW against the papers' algorithms, in float64.

1e-12 is far above rounding and far below any mistake.
"""

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.layers.variable import Variable
from minidl.optimizers import Adam, AdamW

BETA_1, BETA_2, EPSILON, RATE = 0.7, 0.95, 1e-3, 0.1
T = np.arange(1, 31)[:, None, None]
CLOSE = {"rtol": 0, "atol": 1e-12}


def fading(beta, xs):
    """(1 − β)·Σ β^(t−i)·x_i for every t."""
    return np.array([(1 - beta) * sum(beta ** (t - i) * xs[i] for i in range(t + 1)) for t in range(len(xs))])


def algorithm_1(gradients, largest=lambda v: v):
    """The steps of Kingma and Ba's algorithm 1, with the ε that Keras's ε̂ stands for."""
    m_hat = fading(BETA_1, gradients) / (1 - BETA_1**T)
    v_hat = largest(fading(BETA_2, gradients**2)) / (1 - BETA_2**T)
    return RATE * m_hat / (np.sqrt(v_hat) + EPSILON / np.sqrt(1 - BETA_2**T))


def test_adam_is_algorithm_1_with_another_epsilon(run, w0, gradients):
    expected = w0 - np.cumsum(algorithm_1(gradients), axis=0)
    np.testing.assert_allclose(run(Adam(RATE, BETA_1, BETA_2, EPSILON), w0, gradients), expected, **CLOSE)


def test_amsgrad_divides_by_the_largest_uncorrected_v(run, w0, gradients):
    expected = w0 - np.cumsum(algorithm_1(gradients, np.maximum.accumulate), axis=0)
    trajectory = run(Adam(RATE, BETA_1, BETA_2, EPSILON, amsgrad=True), w0, gradients)
    np.testing.assert_allclose(trajectory, expected, **CLOSE)


def test_adamw_shrinks_the_weights_first(run, w0, gradients):
    expected, w = [], w0
    for step in algorithm_1(gradients):
        w = w - w * 0.5 * RATE - step
        expected.append(w)
    optimizer = AdamW(RATE, weight_decay=0.5, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)
    np.testing.assert_allclose(run(optimizer, w0, gradients), expected, **CLOSE)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_first_step_has_the_size_of_the_learning_rate(scale):
    w = Variable(np.zeros(2))
    Adam(0.01).apply([[-scale, scale]], [w])
    np.testing.assert_allclose(w.data, [0.01, -0.01], rtol=1e-2)  # ε = 1e-7 / √0.001 takes off up to 0.3 %


def test_a_weight_that_never_had_a_gradient_stays_as_it_is():
    w, optimizer = Variable(np.array([1.0, 1.0], "float32")), Adam()
    for _ in range(3):
        optimizer.apply([[0.0, 1.0]], [w])
    assert w.data[0] == 1
    assert w.data[1] < 1


def test_defaults():
    names = ["learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay"]
    assert [Adam().get_config()[name] for name in names] == [0.001, 0.9, 0.999, 1e-7, False, None]
    assert [AdamW().get_config()[name] for name in names] == [0.001, 0.9, 0.999, 1e-7, False, 0.004]


def test_slots_are_named_as_in_keras():
    optimizer = Adam(amsgrad=True)
    variable = Variable([1.0], name="kernel")
    variable.path = "sequential/dense/kernel"
    optimizer.build([variable])
    slots = ["momentum", "velocity", "velocity_hat"]
    assert [v.path for v in optimizer.variables[2:]] == [f"adam/sequential_dense_kernel_{slot}" for slot in slots]


def test_adamw_needs_a_weight_decay():
    with pytest.raises(ArgumentError, match="AdamW: weight_decay must be a number ≥ 0, got None"):
        AdamW(weight_decay=None)


@pytest.mark.parametrize("cls", [Adam, AdamW])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta_1": 1.0}, r"beta_1 must be a number in \[0, 1\), got 1.0"),
        ({"beta_2": -0.1}, r"beta_2 must be a number in \[0, 1\), got -0.1"),
        ({"epsilon": None}, "epsilon must be a number ≥ 0, got None"),
        ({"amsgrad": 0.004}, "amsgrad must be True or False, got 0.004"),
    ],
)
def test_arguments_out_of_range(cls, arguments, message):
    with pytest.raises(ArgumentError, match=f"{cls.__name__}: {message}"):
        cls(**arguments)
