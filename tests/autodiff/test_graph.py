"""The walk backwards: each node once, in any depth, and only where it is asked for."""

import gc
import time
import weakref

import numpy as np
import pytest

from minidl import Tensor, Variable, no_grad, ops
from minidl.autodiff import is_recording
from minidl.autodiff.graph import backpropagate
from minidl.errors import GraphError, NotDifferentiableError, ShapeError


def leaf(*values):
    return Tensor(np.array(values, float), requires_grad=True)


class TestBackward:
    def test_a_sum_of_products(self):
        x, y = leaf(1, 2), leaf(3, 4)
        ops.sum(x * y + x).backward()
        np.testing.assert_array_equal(x.grad.data, [4, 5])
        np.testing.assert_array_equal(y.grad.data, [1, 2])

    def test_gradients_add_up_over_calls(self):
        x = leaf(3)
        for _ in range(2):
            ops.sum(x * x).backward()
        assert x.grad.item() == 12

    def test_a_tensor_used_twice_gets_both_gradients(self):
        x = leaf(3)
        y = x * 2
        (y * y + y).backward()
        assert x.grad.item() == 2 * 3 * 4 + 2

    def test_a_start_for_what_is_no_scalar(self):
        x = leaf(1, 2, 3)
        (x * x).backward([1.0, 0.0, 2.0])
        np.testing.assert_array_equal(x.grad.data, [2, 0, 12])

    def test_a_vector_without_a_start_is_an_error(self):
        with pytest.raises(ShapeError, match=r"backward: a tensor of shape \(2,\) is no scalar"):
            (leaf(1, 2) * 2).backward()
        with pytest.raises(ShapeError, match=r"expected a gradient of shape \(2,\), got \(3,\)"):
            (leaf(1, 2) * 2).backward(np.ones(3))

    def test_nothing_tracked_is_an_error(self):
        with pytest.raises(GraphError, match="nothing this tensor was computed from is tracked"):
            ops.sum(Tensor([1.0])).backward()

    def test_broadcast_inputs_get_the_sum_over_their_copies(self):
        row, scalar = leaf(1, 2, 3), Tensor(2.0, requires_grad=True)
        column = Tensor(np.ones((2, 1)), requires_grad=True)
        ops.sum(row * column * scalar).backward()
        np.testing.assert_array_equal(row.grad.data, [4, 4, 4])
        np.testing.assert_array_equal(column.grad.data, [[12], [12]])
        assert (scalar.grad.shape, scalar.grad.item()) == ((), 12)

    def test_several_results_of_which_one_is_used(self):
        x = leaf(1, 2, 3, 4)
        _, second = ops.split(x, 2)
        ops.sum(second * second).backward()
        np.testing.assert_array_equal(x.grad.data, [0, 0, 6, 8])

    def test_stop_gradient_makes_a_constant(self):
        x = leaf(3)
        (ops.stop_gradient(x) * x).backward()
        assert x.grad.item() == 3


class TestSize:
    def test_a_chain_of_100_000_operations(self):
        """No recursion: neither in the walk nor when the graph is freed."""
        x = leaf(1.0)
        y = x
        for _ in range(100_000):
            y = y + 1e-5
        ops.sum(y).backward()
        assert x.grad.item() == 1
        del y
        gc.collect()

    def test_shared_subgraphs_take_linear_time(self):
        """60 doublings have 2⁶⁰ paths and 60 nodes."""
        x = leaf(1.0)
        y = x
        for _ in range(60):
            y = y + y
        start = time.perf_counter()
        y.backward([1.0])
        assert time.perf_counter() - start < 1
        assert x.grad.item() == 2.0**60

    def test_a_graph_is_freed_with_its_result(self):
        x = leaf(1.0)
        y = ops.exp(x)
        alive = weakref.ref(y)
        z = y * 2
        del y, z
        assert alive() is None


class TestRecording:
    def test_no_grad_records_nothing(self):
        x = leaf(1.0)
        with no_grad():
            assert not is_recording()
            assert not (x * 2).requires_grad
        assert is_recording()
        assert (x * 2).requires_grad

    def test_it_is_restored_after_an_error(self):
        with pytest.raises(ZeroDivisionError), no_grad():
            raise ZeroDivisionError
        assert is_recording()

    def test_constants_are_not_recorded(self):
        assert not (Tensor([1.0]) * 2).requires_grad


class TestNotDifferentiable:
    @pytest.mark.parametrize("name", ["argmax", "argmin", "argsort"])
    def test_positions_say_so_by_name(self, name):
        with pytest.raises(NotDifferentiableError, match=f"the result of {name} has dtype int64"):
            getattr(ops, name)(leaf(1, 2)).backward(np.ones(2))

    @pytest.mark.parametrize("name", ["less", "greater_equal", "equal"])
    def test_comparisons_say_so_by_name(self, name):
        with pytest.raises(NotDifferentiableError, match=f"the result of {name} has dtype bool"):
            getattr(ops, name)(leaf(1, 2), 1.5).backward(np.ones(2))

    @pytest.mark.parametrize("name", ["floor", "ceil", "round"])
    def test_steps_say_so_by_name(self, name):
        with pytest.raises(NotDifferentiableError, match=f"{name} is not differentiable"):
            ops.sum(getattr(ops, name)(leaf(1.5, 2))).backward()

    def test_a_comparison_may_be_used_as_a_mask(self):
        x = leaf(-1, 2)
        ops.sum(ops.cast(x > 0, "float64") * x).backward()
        np.testing.assert_array_equal(x.grad.data, [0, 1])


class TestAssignedVariables:
    def test_a_value_changed_between_forward_and_backward_is_an_error(self):
        w = Variable(np.ones(2), name="w")
        loss = ops.sum(w * w)
        w.assign([3.0, 3.0])
        with pytest.raises(GraphError, match=r"path=w.* was assigned a new value after Multiply had used it"):
            loss.backward()

    def test_what_the_gradient_does_not_need_may_change(self):
        w, v = Variable(np.ones(2), name="w"), Variable(np.ones(2), name="v")
        hidden = w * 2
        loss = ops.sum(hidden * v)
        w.assign([5.0, 5.0])
        gradients = backpropagate([(loss.output, np.ones(()))], [v.output])
        np.testing.assert_array_equal(gradients[v.output], [2, 2])
