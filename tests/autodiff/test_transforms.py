"""grad, value_and_grad, vjp, jvp, hvp, jacobian, hessian: the signatures of JAX, against closed forms."""

import numpy as np
import pytest
from hypothesis import given

import minidl
from minidl import Tensor, Variable, ops
from minidl.errors import ArgumentError, NotDifferentiableError, ShapeError
from minidl.testing import arrays, check_function

X = np.array([0.5, -1.0, 2.0])
V = np.array([1.0, 2.0, -3.0])
A = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])


def cubes(x):
    return ops.sum(x**3)


def quadratic(x):
    """½xᵀAx: gradient Ax, Hessian A."""
    return 0.5 * ops.sum(x * (Tensor(A) @ x))


class TestGrad:
    def test_a_closed_form(self):
        np.testing.assert_allclose(minidl.grad(cubes)(X).data, 3 * X**2, rtol=1e-15)
        np.testing.assert_allclose(minidl.grad(quadratic)(X).data, A @ X, rtol=1e-15)

    def test_value_and_grad(self):
        value, gradient = minidl.value_and_grad(cubes)(X)
        assert value.item() == pytest.approx(np.sum(X**3), rel=1e-15)
        np.testing.assert_allclose(gradient.data, 3 * X**2, rtol=1e-15)
        assert not value.requires_grad

    def test_argnums(self):
        def f(a, b, scale=1.0):
            return ops.sum(a * b) * scale

        np.testing.assert_array_equal(minidl.grad(f, argnums=1)(X, V).data, X)
        da, db = minidl.grad(f, argnums=(0, 1))(X, V, scale=2.0)
        np.testing.assert_array_equal(da.data, 2 * V)
        np.testing.assert_array_equal(db.data, 2 * X)
        with pytest.raises(ArgumentError, match="argnums=2, but the function got 2 positional arguments"):
            minidl.grad(f, argnums=2)(X, V)

    def test_nested_arguments(self):
        def f(parameters):
            return ops.sum(parameters["w"] * parameters["more"][0])

        gradient = minidl.grad(f)({"w": X, "more": [V]})
        np.testing.assert_array_equal(gradient["w"].data, V)
        np.testing.assert_array_equal(gradient["more"][0].data, X)

    def test_python_numbers(self):
        assert minidl.grad(lambda x: x**2)(3.0).item() == 6

    def test_no_dependence_is_zero(self):
        np.testing.assert_array_equal(minidl.grad(lambda x: Tensor(1.0))(X).data, 0)

    def test_it_leaves_no_trace(self):
        x = Tensor(X)
        minidl.grad(cubes)(x)
        assert not x.requires_grad
        assert x.grad is None

    def test_it_works_inside_no_grad(self):
        with minidl.no_grad():
            np.testing.assert_allclose(minidl.grad(cubes)(X).data, 3 * X**2, rtol=1e-15)

    def test_a_vector_is_no_scalar(self):
        with pytest.raises(ShapeError, match=r"grad: a tensor of shape \(3,\) is no scalar"):
            minidl.grad(lambda x: x * 2)(X)

    def test_what_is_no_tensor_is_an_error(self):
        with pytest.raises(NotDifferentiableError, match="return a tensor, got str"):
            minidl.grad(lambda x: "loss")(X)

    def test_grad_of_grad_says_what_to_use(self):
        with pytest.raises(NotDifferentiableError, match=r"minidl\.hvp, minidl\.hessian"):
            minidl.grad(lambda x: ops.sum(minidl.grad(cubes)(x)))(X)

    def test_the_value_inside_is_differentiable(self):
        """Only the gradient is not: what value_and_grad returns beside it depends on the outer argument."""
        outer = minidl.grad(lambda x: minidl.value_and_grad(cubes)(x)[0] * 2)
        np.testing.assert_allclose(outer(X).data, 6 * X**2, rtol=1e-15)


class TestProducts:
    def test_vjp(self):
        y, pull = minidl.vjp(lambda x: x * x, X)
        np.testing.assert_array_equal(y.data, X * X)
        for _ in range(2):
            np.testing.assert_array_equal(pull(V)[0].data, 2 * X * V)
        with pytest.raises(ShapeError, match=r"expected a gradient of shape \(3,\), got \(2,\)"):
            pull(np.ones(2))
        with pytest.raises(ShapeError, match="expected 1 cotangents, one for each output, got 2"):
            pull((V, V))

    def test_vjp_of_several_outputs(self):
        (s, p), pull = minidl.vjp(lambda a, b: (a + b, a * b), X, V)
        np.testing.assert_array_equal(p.data, X * V)
        da, db = pull((np.ones(3), np.full(3, 2.0)))
        np.testing.assert_array_equal(da.data, 1 + 2 * V)
        np.testing.assert_array_equal(db.data, 1 + 2 * X)
        assert s.shape == (3,)

    def test_jvp(self):
        y, dy = minidl.jvp(lambda x: ops.exp(x), (X,), (V,))
        np.testing.assert_array_equal(y.data, np.exp(X))
        np.testing.assert_allclose(dy.data, np.exp(X) * V, rtol=1e-15)

    def test_jvp_of_what_does_not_depend(self):
        _, dy = minidl.jvp(lambda x: Tensor(np.ones(2)), (X,), (V,))
        np.testing.assert_array_equal(dy.data, [0, 0])

    def test_jvp_of_grad_is_hvp(self):
        _, along = minidl.jvp(minidl.grad(cubes), (X,), (V,))
        np.testing.assert_array_equal(along.data, minidl.hvp(cubes, (X,), (V,))[0].data)

    @pytest.mark.parametrize("product", [minidl.jvp, minidl.hvp])
    def test_tangents_must_fit(self, product):
        with pytest.raises(ShapeError, match=r"a primal of shape \(3,\) needs a tangent of that shape, got \(2,\)"):
            product(cubes, (X,), (np.ones(2),))
        with pytest.raises(ArgumentError, match="got 1 primals and 2 tangents"):
            product(cubes, (X,), (V, V))
        with pytest.raises(ArgumentError, match="primals and tangents are tuples"):
            product(cubes, X, V)

    def test_float32_stays_float32(self):
        x, v = X.astype(np.float32), V.astype(np.float32)
        y, dy = minidl.jvp(ops.tanh, (x,), (v,))
        (h,) = minidl.hvp(cubes, (x,), (v,))
        assert y.dtype == dy.dtype == h.dtype == np.float32
        np.testing.assert_allclose(h.data, 6 * x * v, rtol=1e-6)


class TestSecondDerivatives:
    def test_jacobian(self):
        j = minidl.jacobian(lambda x: ops.stack([x[0] * x[1], x[2] ** 2]))(X)
        np.testing.assert_array_equal(j.data, [[X[1], X[0], 0], [0, 0, 2 * X[2]]])
        assert minidl.jacobian(lambda a, b: a * ops.sum(b), argnums=1)(X, V).shape == (3, 3)

    def test_hessian_of_a_quadratic_form(self):
        np.testing.assert_allclose(minidl.hessian(quadratic)(X).data, A, rtol=1e-15)

    def test_hessian_of_a_function_of_a_matrix(self):
        h = minidl.hessian(lambda m: ops.sum(m**3))(np.array([[1.0, 2.0]]))
        assert h.shape == (1, 2, 1, 2)
        np.testing.assert_allclose(h.data.reshape(2, 2), np.diag([6.0, 12.0]), rtol=1e-15)

    def test_hessian_of_logsumexp(self):
        """∇²ln Σeˣ = diag(p) − ppᵀ with p = softmax(x)."""
        p = np.exp(X) / np.exp(X).sum()
        np.testing.assert_allclose(minidl.hessian(ops.logsumexp)(X).data, np.diag(p) - np.outer(p, p), atol=1e-15)

    @pytest.mark.parametrize(
        ("f", "second"),
        [
            (ops.exp, np.exp),
            (ops.log, lambda x: -1 / x**2),
            (ops.sqrt, lambda x: -0.25 * x**-1.5),
            (ops.sin, lambda x: -np.sin(x)),
            (ops.tanh, lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)),
            (ops.reciprocal, lambda x: 2 / x**3),
            (lambda x: x**4, lambda x: 12 * x**2),
            (lambda x: x * ops.exp(x), lambda x: (x + 2) * np.exp(x)),
            (ops.softplus, lambda x: 1 / (2 + np.exp(x) + np.exp(-x))),
            (lambda x: ops.relu(x) ** 3, lambda x: 6 * np.maximum(x, 0)),
        ],
    )
    def test_closed_forms(self, f, second):
        x = np.array([0.3, 1.0, 2.5])
        (h,) = minidl.hvp(lambda t: ops.sum(f(t)), (x,), (V,))
        np.testing.assert_allclose(h.data, second(x) * V, rtol=1e-13)

    def test_two_arguments(self):
        """f = Σa²b: H = [[2b, 2a], [2a, 0]]."""
        ha, hb = minidl.hvp(lambda a, b: ops.sum(a * a * b), (X, V), (V, X))
        np.testing.assert_allclose(ha.data, 2 * V * V + 2 * X * X, rtol=1e-15)
        np.testing.assert_allclose(hb.data, 2 * X * V, rtol=1e-15)

    def test_a_function_that_uses_trainable_variables(self):
        """The variable is tracked, too, but only the argument is differentiated for."""
        w = Variable(A)
        (h,) = minidl.hvp(lambda x: ops.sum(ops.tanh(x @ w) ** 2), (X,), (V,))
        t = np.tanh(X @ A)
        d, dd = 1 - t**2, -2 * t * (1 - t**2)
        expected = A @ ((2 * d * d + 2 * t * dd) * (V @ A))
        np.testing.assert_allclose(h.data, expected, rtol=1e-13)


@given(arrays(low=-2, high=2))
def test_a_composition_is_proven_like_a_kernel(x):
    check_function(lambda t: ops.tanh(t) * ops.exp(-t * t), [x], lambda x: np.tanh(x) * np.exp(-x * x))


@given(arrays(low=-2, high=2, away_from=(0.0,)))
def test_a_function_with_a_kink_is_proven_away_from_it(x):
    check_function(lambda t: ops.relu(t) * t, [x], lambda x: np.maximum(x, 0) * x)
