"""Variables: tensors with a name that can be assigned to."""

import copy

import numpy as np
import pytest

from minidl import config, ops
from minidl.autodiff import GradientTape, Tensor
from minidl.errors import DTypeError, GraphError, ShapeError
from minidl.layers import Variable


class TestMaking:
    def test_from_a_value(self):
        v = Variable([1.0, 2.0], name="v")
        assert v.name == v.path == "v"
        assert v.dtype == "float32"
        assert v.trainable
        np.testing.assert_array_equal(v, [1, 2])

    def test_from_a_function_of_shape_and_dtype(self):
        v = Variable(lambda shape, dtype: np.full(shape, 3, dtype), shape=(2, 1), dtype="float64")
        np.testing.assert_array_equal(v, [[3], [3]])
        assert v.dtype == "float64"

    def test_has_floatx_by_default(self):
        config.set_floatx("float64")
        try:
            assert Variable(np.zeros, (2,)).dtype == "float64"
            assert Variable(1.5).dtype == "float64"
        finally:
            config.set_floatx("float32")
        assert Variable(np.zeros, (2,)).dtype == "float32"

    def test_keeps_the_dtype_of_an_array(self):
        assert Variable(np.ones(2)).dtype == "float64"
        assert Variable(np.ones(2), dtype="float32").dtype == "float32"
        assert Variable(np.ones(2, "int64")).dtype == "int64"

    def test_owns_its_array(self):
        array = np.ones((2, 3)).T
        v = Variable(array)
        v.assign(np.zeros((3, 2)))
        assert (array == 1).all()
        assert v.numpy().flags.c_contiguous

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((np.zeros,), ShapeError, "Variable 'v': an initializer needs a shape"),
            ((lambda shape, dtype: np.zeros(3), (2,)), ShapeError, r"'v': expected a value of shape \(2,\), got"),
            ((np.zeros(3), (2,)), ShapeError, r"Variable 'v': expected a value of shape \(2,\), got \(3,\)"),
            ((None,), DTypeError, "expected numbers, got NoneType"),
            (("one",), DTypeError, "expected numbers, got str"),
        ],
    )
    def test_from_what_does_not_fit_is_an_error(self, arguments, error, message):
        with pytest.raises(error, match=message):
            Variable(*arguments, name="v")

    def test_repr(self):
        v = Variable([1.0], name="v", trainable=False)
        v.path = "dense/v"
        assert repr(v) == "<Variable path=dense/v, shape=(1,), dtype=float32, trainable=False>"


class TestAssigning:
    def test_keeps_dtype_array_and_identity(self):
        v = Variable([1.0, 2.0])
        array = v.data
        assert v.assign(np.array([3.0, 4.0])) is v
        assert v.data is array
        assert v.dtype == "float32"
        np.testing.assert_array_equal(array, [3, 4])

    def test_does_not_change_what_was_read_before(self):
        v = Variable(0.5)
        rates = [v.numpy()]
        v.assign(0.25)
        assert [*rates, v.numpy()] == [0.5, 0.25]

    @pytest.mark.parametrize("value", [[3, 4], (3.0, 4.0), Tensor([3.0, 4.0]), Variable([3.0, 4.0]), np.array([3, 4])])
    def test_takes_whatever_is_an_array(self, value):
        np.testing.assert_array_equal(Variable([1.0, 2.0]).assign(value), [3, 4])

    def test_adds_and_subtracts(self):
        v = Variable([1.0, 2.0])
        np.testing.assert_array_equal(v.assign_add([1.0, 1.0]).assign_add(1), [3, 4])
        np.testing.assert_array_equal(v.assign_sub(np.ones(2)).assign_sub(Tensor(2.0)), [0, 1])

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            ([1.0], ShapeError, r"assign to 'v': expected shape \(2,\), got \(1,\)"),
            (1.0, ShapeError, r"assign to 'v': expected shape \(2,\), got \(\)"),
            ([1j, 2], DTypeError, "assign to 'v': cannot turn complex128 into float32 without loss"),
            (["a", "b"], DTypeError, "assign to 'v': cannot turn <U1 into float32 without loss"),
        ],
    )
    def test_what_does_not_fit_changes_nothing(self, value, error, message):
        v = Variable([1.0, 2.0], name="v")
        with pytest.raises(error, match=message):
            v.assign(value)
        np.testing.assert_array_equal(v, [1, 2])
        assert v.version == 0

    @pytest.mark.parametrize("method", ["assign_add", "assign_sub"])
    def test_adding_never_changes_the_shape(self, method):
        v = Variable([1.0, 2.0], name="v")
        with pytest.raises(ShapeError, match=r"assign to 'v': \(2,\) and \(3,\) do not broadcast"):
            getattr(v, method)([1, 2, 3])
        with pytest.raises(ShapeError, match=r"assign to 'v': expected shape \(2,\), got \(3, 2\)"):
            getattr(v, method)(np.ones((3, 2)))

    def test_integers_take_no_fractions(self):
        v = Variable(np.zeros(1, "int64"), name="v")
        with pytest.raises(DTypeError, match="assign to 'v': cannot turn float64 into int64 without loss"):
            v.assign([0.5])

    def test_every_assignment_is_a_new_version(self):
        v = Variable([1.0])
        v.assign([2.0])
        v.assign_add([2.0])
        assert v.version == 2

    def test_between_forward_and_backward_is_an_error(self):
        v = Variable([1.0], name="v")
        y = ops.sum(v * v)
        v.assign([2.0])
        with pytest.raises(GraphError, match=r"path=v.* was assigned a new value after Multiply had used it"):
            y.backward()


class TestTracking:
    def test_gradients_reach_trainable_variables(self):
        v, frozen = Variable([1.0, 2.0]), Variable([3.0, 4.0], trainable=False)
        ops.sum(v * frozen).backward()
        np.testing.assert_array_equal(v.grad, [3, 4])
        assert frozen.grad is None
        assert not frozen.requires_grad

    def test_trainable_can_be_switched(self):
        v = Variable([2.0])
        v.trainable = False
        assert not (v * v).requires_grad
        v.trainable = True
        with GradientTape() as tape:
            y = ops.sum(v * v)
        np.testing.assert_array_equal(tape.gradient(y, v), [4])

    def test_integers_are_never_tracked(self):
        assert not Variable(np.ones(2, "int64"), trainable=True).requires_grad

    def test_value_is_the_variable_itself(self):
        v = Variable([2.0])
        assert v.value is v


def test_a_deep_copy_has_everything_but_the_array_in_common():
    v = Variable([1.0, 2.0], name="v", trainable=False)
    v.path = "dense/v"
    twin, again = copy.deepcopy([v, v])
    assert twin is again
    assert (twin.name, twin.path, twin.trainable, twin.dtype) == (v.name, v.path, v.trainable, v.dtype)
    twin.assign([3.0, 4.0])
    np.testing.assert_array_equal(v, [1, 2])
