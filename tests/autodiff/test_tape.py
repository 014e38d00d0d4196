"""GradientTape, as TensorFlow's users know it."""

import numpy as np
import pytest

import minidl
from minidl import GradientTape, Tensor, Variable, no_grad, ops
from minidl.errors import GraphError, NotDifferentiableError


def test_trainable_variables_are_watched_by_themselves():
    w = Variable(np.array([1.0, 2.0]))
    with GradientTape() as tape:
        loss = ops.sum(w * w)
    np.testing.assert_array_equal(tape.gradient(loss, w).numpy(), [2, 4])


def test_other_tensors_are_watched_on_request():
    x, w = Tensor(np.array(3.0)), Variable(np.array(2.0), trainable=False)
    with GradientTape() as tape:
        tape.watch([x, w])
        y = x * x * w
    assert [g.item() for g in tape.gradient(y, [x, w])] == [12, 9]
    assert not x.requires_grad
    assert not w.requires_grad


def test_what_is_not_watched_has_no_gradient():
    x = Tensor(np.array(3.0))
    w = Variable(np.array(2.0))
    with GradientTape() as tape:
        y = w * x
    assert tape.gradient(y, [x]) == [None]


def test_sources_are_nested_as_one_likes():
    a, b = Variable(np.array(2.0)), Variable(np.array(3.0))
    with GradientTape() as tape:
        y = a * b
    found = tape.gradient(y, {"a": a, "rest": [b, (a,)]})
    assert (found["a"].item(), found["rest"][0].item(), found["rest"][1][0].item()) == (3, 2, 3)


def test_several_targets_and_elements_add_up():
    x = Variable(np.array([1.0, 2.0]))
    with GradientTape(persistent=True) as tape:
        y, z = x * 2, x * x
    np.testing.assert_array_equal(tape.gradient([y, z], x).numpy(), [4, 6])
    np.testing.assert_array_equal(tape.gradient(z, x, output_gradients=[1.0, 10.0]).numpy(), [2, 40])


def test_a_tape_answers_once_a_persistent_one_always():
    x = Variable(np.array(3.0))
    with GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(GraphError, match=r"GradientTape\(persistent=True\)"):
        tape.gradient(y, x)
    with GradientTape(persistent=True) as tape:
        y = x * x
    assert tape.gradient(y, x).item() == tape.gradient(y, x).item() == 6


def test_what_was_computed_before_the_block_is_a_constant():
    x = Variable(np.array(3.0))
    before = x * x
    with GradientTape() as tape:
        y = before * x
    assert tape.gradient(y, x).item() == 9


def test_the_gradient_for_an_intermediate_result():
    x = Variable(np.array(3.0))
    with GradientTape() as tape:
        y = x * x
        z = y * y
    assert tape.gradient(z, y).item() == 18


def test_a_tape_records_inside_no_grad():
    x = Variable(np.array(3.0))
    with no_grad(), GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x).item() == 6


def test_differentiating_inside_the_block():
    x = Variable(np.array(3.0))
    with GradientTape() as tape:
        y = x * x
        g = tape.gradient(y, x)
    assert g.item() == 6


def test_a_second_derivative_by_nested_tapes_says_what_to_use():
    x = Variable(np.array(3.0))
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = x * x * x
        g = inner.gradient(y, x)
    with pytest.raises(NotDifferentiableError, match=r"minidl\.hvp"):
        outer.gradient(g, x)


@pytest.mark.parametrize("wrong", [3.0, np.ones(2), None])
def test_sources_and_targets_are_tensors(wrong):
    x = Variable(np.array(3.0))
    with GradientTape(persistent=True) as tape:
        y = x * x
    with pytest.raises(GraphError, match="expected the sources to be tensors"):
        tape.gradient(y, [wrong])
    with pytest.raises(GraphError, match="expected the target to be a tensor"):
        tape.gradient(wrong, x)
    with pytest.raises(GraphError, match="watch: expected a tensor"):
        tape.watch(wrong)


def test_a_training_step():
    w = Variable(np.array([0.0]))
    for _ in range(50):
        with GradientTape() as tape:
            loss = ops.sum((w - 3.0) ** 2)
        w.assign_sub(0.1 * tape.gradient(loss, w))
    assert w.item() == pytest.approx(3, abs=1e-4)
    assert minidl.GradientTape is GradientTape
