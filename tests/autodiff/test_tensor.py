"""Tensors: what they keep, what they turn into, and how numbers of different types meet."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, config, ops
from minidl.errors import DTypeError, MiniDLError, ShapeError


class TestDtypes:
    def test_python_floats_are_float32(self):
        assert Tensor([1.0, 2.0]).dtype == np.float32
        assert Tensor(1.5).dtype == np.float32

    def test_floatx_decides(self):
        config.set_floatx("float64")
        try:
            assert Tensor([1.0]).dtype == np.float64
        finally:
            config.set_floatx("float32")

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool"])
    def test_arrays_keep_theirs(self, dtype):
        assert Tensor(np.ones(3, dtype)).dtype == dtype

    def test_a_list_of_float64_arrays_is_float64(self):
        assert Tensor([np.float64(1.0), np.float64(2.0)]).dtype == np.float64

    @pytest.mark.parametrize("number", [2, 2.5, True])
    def test_python_numbers_are_weak(self, number):
        for dtype in (np.float32, np.float64):
            assert (Tensor(np.ones(3, dtype)) * number).dtype == dtype
            assert (number - Tensor(np.ones(3, dtype))).dtype == dtype

    def test_integers_never_make_float64_by_themselves(self):
        assert (Tensor(np.float32([1])) + np.arange(1)).dtype == np.float32
        assert (Tensor(np.arange(3)) / 2).dtype == np.float32
        assert (Tensor(np.arange(3)) * 0.5).dtype == np.float32
        assert ops.exp(np.arange(3)).dtype == np.float32
        assert ops.mean(np.arange(3)).dtype == np.float32

    def test_integers_stay_integers_where_they_can(self):
        assert (Tensor(np.arange(3)) * 2).dtype.kind == "i"
        assert ops.sum(np.arange(3)).dtype.kind == "i"

    def test_float64_wins_over_float32_as_in_numpy(self):
        assert (Tensor(np.ones(2, np.float32)) + np.ones(2)).dtype == np.float64
        assert (Tensor(np.ones(2, np.float32)) + np.float64(1)).dtype == np.float64

    def test_the_gradient_has_the_dtype_of_its_input(self):
        x, y = Tensor(np.ones(2, np.float32), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
        ops.sum(x * y).backward()
        assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)

    def test_what_is_no_number_is_an_error(self):
        for text, dtype in (("three", None), (["1"], "float32"), (["one"], "float32")):
            with pytest.raises(DTypeError, match="expected numbers, got"):
                Tensor(text, dtype)
        with pytest.raises(DTypeError, match="only floating-point tensors have gradients"):
            Tensor([1, 2], requires_grad=True)


class TestNumPy:
    def test_an_array_and_a_tensor_make_a_tensor(self):
        a, t = np.ones(3, np.float32), Tensor(np.full(3, 2.0, np.float32))
        for result in (a + t, a - t, a * t, a / t, a**t, a @ t, a.reshape(1, 3) @ t, a < t, a == t):
            assert isinstance(result, Tensor)
        np.testing.assert_array_equal((a - t).numpy(), -1)

    def test_the_gradient_flows_through_numpys_functions_of_elements(self):
        t = Tensor(np.array([0.5, 1.0]), requires_grad=True)
        ops.sum(np.exp(t) + np.tanh(t)).backward()
        np.testing.assert_allclose(t.grad.numpy(), np.exp(t.data) + 1 - np.tanh(t.data) ** 2)

    def test_other_functions_see_the_array(self):
        t = Tensor([[3.0, 1.0], [2.0, 5.0]])
        assert type(np.asarray(t)) is np.ndarray
        assert np.mean(t) == 2.75
        np.testing.assert_array_equal(np.argmax(t, axis=1), [0, 1])
        np.testing.assert_array_equal(np.stack([t, t]).shape, (2, 2, 2))
        np.testing.assert_array_equal(np.add.reduce(t), [5, 6])
        np.testing.assert_array_equal(np.array(t, dtype=np.int32), [[3, 1], [2, 5]])

    def test_an_array_is_updated_in_place_by_a_tensor(self):
        a = np.ones(2)
        a -= Tensor(np.array([0.25, 0.5]))
        np.testing.assert_array_equal(a, [0.75, 0.5])


class TestBehaviour:
    def test_as_a_number(self):
        t = Tensor(2.5)
        assert (float(t), int(t), t.item(), bool(t), f"{t:.2f}") == (2.5, 2, 2.5, True, "2.50")

    def test_as_a_sequence(self):
        t = Tensor([[1.0, 2.0], [3.0, 4.0]])
        assert len(t) == 2
        assert [row.tolist() for row in t] == [[1, 2], [3, 4]]
        assert t[1, 0].item() == 3
        assert t[:, ::-1].tolist() == [[2, 1], [4, 3]]
        with pytest.raises(ShapeError, match="without axes"):
            iter(Tensor(1.0))

    def test_properties(self):
        t = Tensor(np.zeros((2, 3)))
        assert (t.shape, t.ndim, t.size, t.dtype, t.T.shape) == ((2, 3), 2, 6, np.float64, (3, 2))
        assert (t.reshape(3, 2).shape, t.reshape((6,)).shape, t.reshape(-1).shape) == ((3, 2), (6,), (6,))
        assert (t.sum(axis=0).shape, t.mean(axis=1, keepdims=True).shape) == ((3,), (2, 1))
        assert t.astype("float32").dtype == np.float32

    def test_it_can_be_a_key(self):
        a, b = Tensor([1.0]), Tensor([1.0])
        assert {a: 1, b: 2}[a] == 1

    def test_it_shows_its_values(self):
        assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.], dtype=float32)"
        assert "requires_grad=True" in repr(Tensor([1.0], requires_grad=True))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda t: t + np.ones(4), r"add: \(2, 3\) and \(4,\) do not broadcast"),
            (lambda t: t @ np.ones((2, 3)), r"matmul: expected .* got \(2, 3\) and \(2, 3\)"),
            (lambda t: t.reshape(4), "6 elements of shape"),
            (lambda t: t.sum(axis=2), "axes from -2 to 1"),
        ],
    )
    def test_shapes_that_do_not_fit_are_shown(self, wrong, message):
        with pytest.raises(ShapeError, match=message):
            wrong(Tensor(np.zeros((2, 3))))

    def test_every_error_is_a_minidl_error(self):
        with pytest.raises(MiniDLError):
            minidl.Tensor([1.0, 2.0]) + minidl.Tensor([1.0, 2.0, 3.0])


class TestListsOfTensors:
    """A list of tracked tensors is stacked: nothing is lost on the way."""

    def test_the_gradient_finds_its_way_back(self):
        a, b = Tensor(np.array(2.0), requires_grad=True), Tensor(np.array(3.0), requires_grad=True)
        (ops.sum(ops.square([a, b])) + ops.sum([[a, b]] * Tensor([1.0, 10.0]))).backward()
        assert (a.grad.item(), b.grad.item()) == (4 + 1, 6 + 10)

    def test_also_for_arguments_that_are_lists(self):
        gradient = minidl.grad(lambda x: ops.sum(ops.sort(x) * np.array([1.0, 10.0])))([2.0, 1.0])
        assert [g.item() for g in gradient] == [10, 1]
