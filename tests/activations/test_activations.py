"""Every activation: its values against Keras, its gradient against the complex step, its name."""

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import activations
from minidl.autodiff import grad, vjp
from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, ShapeError, UnknownNameError
from minidl.testing import arrays, check_function, shapes

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "activations.npz")
CASES = json.loads(str(GOLDEN["cases"]))

# Name, arguments, and the kinks, where there is no derivative (of second order for softsign) to prove.
TABLE = [
    ("linear", {}, []),
    ("sigmoid", {}, []),
    ("hard_sigmoid", {}, [-3, 3]),
    ("tanh", {}, []),
    ("relu", {}, [0]),
    ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}, [0.5, 2]),
    ("relu6", {}, [0, 6]),
    ("leaky_relu", {}, [0]),
    ("leaky_relu", {"negative_slope": 0.01}, [0]),
    ("rrelu", {}, [0]),
    ("elu", {}, [0]),
    ("elu", {"alpha": 0.5}, [0]),
    ("selu", {}, [0]),
    ("gelu", {}, []),
    ("gelu", {"approximate": True}, []),
    ("silu", {}, []),
    ("silu", {"beta": 1.7}, []),
    ("swish", {}, []),
    ("hard_silu", {}, [-3, 3]),
    ("hard_swish", {}, [-3, 3]),
    ("mish", {}, []),
    ("softplus", {}, []),
    ("softsign", {}, [0]),
    ("exponential", {}, []),
    ("softmax", {}, []),
    ("softmax", {"axis": 0}, []),
    ("log_softmax", {}, []),
    ("log_softmax", {"axis": 0}, []),
    ("celu", {}, [0]),
    ("celu", {"alpha": 0.5}, [0]),
    ("hard_shrink", {}, [-0.5, 0.5]),
    ("hard_tanh", {}, [-1, 1]),
    ("log_sigmoid", {}, []),
    ("soft_shrink", {"threshold": 0.3}, [-0.3, 0.3]),
    ("sparse_plus", {}, [-1, 1]),
    ("sparse_sigmoid", {}, [-1, 1]),
    ("squareplus", {}, [-2, 0, 2]),
    # At 0 it is x³/3: value, gradient and curvature vanish, and there is nothing left to measure an error against.
    ("tanh_shrink", {}, [0]),
    ("threshold", {"threshold": 0.5, "default_value": -1.0}, [0.5]),
]
ALONG_AXIS = ("softmax", "log_softmax")

PUBLIC = set(activations.__all__) - {"get", "serialize", "deserialize"}


def function(name, arguments):
    return partial(getattr(activations, name), **arguments)


def test_the_table_lists_every_public_activation():
    # Two have tests of their own: one halves its input, the other has kinks that depend on all elements of a row.
    assert {name for name, _, _ in TABLE} | {"glu", "sparsemax"} == PUBLIC


class TestEveryActivation:
    @pytest.mark.parametrize(("name", "arguments", "kinks"), TABLE)
    @given(data=st.data())
    def test_its_derivatives_are_exact(self, name, arguments, kinks, data):
        shape = shapes(min_dims=1 if name in ALONG_AXIS else 0, max_side=2)
        x = data.draw(arrays(shape, low=-4, high=max([4, *(kink + 1 for kink in kinks)]), away_from=kinks))
        check_function(function(name, arguments), [x], kind="activations")

    @pytest.mark.parametrize(("name", "arguments", "kinks"), TABLE)
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
    @pytest.mark.parametrize("shape", [(2, 3), (0, 3), (1,)])
    def test_keeps_shape_and_dtype_and_leaves_its_input_alone(self, name, arguments, kinks, dtype, shape):
        x = np.linspace(-2, 2, math.prod(shape)).reshape(shape).astype(dtype)
        before = x.copy()
        y, pull = vjp(function(name, arguments), x)
        (dx,) = pull(np.ones(shape, dtype))
        assert isinstance(y, Tensor)
        assert y.shape == dx.shape == shape
        assert y.dtype == dx.dtype == dtype
        np.testing.assert_array_equal(x, before)

    @pytest.mark.parametrize(("name", "arguments", "kinks"), TABLE)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_finite_and_gives_no_warning_up_to_1e30(self, name, arguments, kinks, dtype):
        low, high = -1e30, 80.0 if name == "exponential" else 1e30  # e^1e30 is no floating-point number
        x = np.array([[low, -1e4, -100, -1, 0, 1, 80, min(high, 1e4), high]], dtype)
        y, pull = vjp(function(name, arguments), x)
        (dx,) = pull(np.ones_like(x))
        assert np.isfinite(y.data).all()
        assert np.isfinite(dx.data).all()

    @pytest.mark.parametrize(("name", "arguments", "kinks"), [*TABLE, ("glu", {}, []), ("sparsemax", {}, [])])
    def test_takes_lists_and_integers(self, name, arguments, kinks):
        y = function(name, arguments)([[1, 2, 3, 4]])
        np.testing.assert_array_equal(y, function(name, arguments)(np.array([[1, 2, 3, 4]], np.float32)))


class TestAgainstKeras:
    """Values and derivatives of Keras 3 in float64, from tests/golden."""

    @pytest.mark.parametrize("case", CASES)
    # In float64 the golden values are good to 9e-15; 1e-6 is a dozen roundings of float32.
    @pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
    def test_values_and_derivatives(self, case, dtype, tolerance):
        arguments = dict(CASES[case])
        f = function(arguments.pop("function"), arguments)
        x = GOLDEN[f"{case}__x"].astype(dtype)
        along_axis = f"{case}__c" in GOLDEN
        y, pull = vjp(f, x)
        (dx,) = pull(GOLDEN[f"{case}__c"].astype(dtype) if along_axis else np.ones_like(x))
        expected = GOLDEN[f"{case}__dx" if along_axis else f"{case}__dy_dx"]
        np.testing.assert_allclose(y.data, GOLDEN[f"{case}__y"], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(dx.data, expected, rtol=tolerance, atol=tolerance)

    def test_every_activation_but_these_has_golden_values(self):
        beside_keras = {config["function"] for config in CASES.values()}
        assert PUBLIC - beside_keras == {"swish", "hard_swish", "rrelu", "sparsemax"}


class TestFormulas:
    """What the golden values leave out."""

    X = np.linspace(-8, 8, 33)

    def test_linear_is_the_tensor_itself(self):
        x = Tensor([1.0, 2.0])
        assert activations.linear(x) is x

    def test_relu6(self):
        np.testing.assert_array_equal(activations.relu6(self.X), np.clip(self.X, 0, 6))

    def test_hard_silu(self):
        np.testing.assert_allclose(
            activations.hard_silu(self.X), self.X * np.clip(self.X / 6 + 0.5, 0, 1), rtol=1e-15, atol=1e-15
        )

    def test_silu_with_beta(self):
        np.testing.assert_allclose(
            activations.silu(self.X, beta=2.0), self.X / (1 + np.exp(-2 * self.X)), rtol=1e-14, atol=1e-15
        )

    def test_swish_is_silu(self):
        assert activations.swish is activations.silu
        assert activations.hard_swish is activations.hard_silu

    def test_gelu_is_exact_by_default(self):
        exact = [x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in self.X]
        np.testing.assert_allclose(activations.gelu(self.X), exact, rtol=1e-14, atol=1e-300)

    def test_relu_has_gradient_0_at_0(self):
        assert grad(activations.relu)(0.0).item() == 0

    def test_a_row_of_minus_infinity_gives_equal_parts(self):
        row = np.full((1, 4), -np.inf)
        np.testing.assert_array_equal(activations.softmax(row), np.full((1, 4), 0.25))
        np.testing.assert_allclose(activations.log_softmax(row), np.full((1, 4), -math.log(4)), rtol=1e-15)

    def test_softmax_over_several_axes(self):
        y = activations.softmax(np.zeros((2, 3, 4)), axis=(0, 2))
        np.testing.assert_allclose(y, np.full((2, 3, 4), 1 / 8), rtol=1e-15)


class TestGet:
    @pytest.mark.parametrize("name", sorted(PUBLIC))
    def test_finds_every_activation_by_its_name(self, name):
        assert activations.get(name) is getattr(activations, name)

    @pytest.mark.parametrize("name", sorted(PUBLIC))
    def test_and_by_its_config(self, name):
        f = getattr(activations, name)
        assert activations.deserialize(activations.serialize(f)) is f
        assert activations.get({"class_name": "function", "config": name}) is f

    def test_none_is_linear(self):
        assert activations.get(None) is activations.linear

    def test_a_function_is_returned_as_it_is(self):
        f = lambda x: x * x  # noqa: E731
        assert activations.get(f) is f

    def test_an_unknown_name_gets_the_nearest_ones(self):
        with pytest.raises(UnknownNameError, match="Unknown activation 'leaky_rleu': did you mean 'leaky_relu'"):
            activations.get("leaky_rleu")
        with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
            activations.get("ReLU")

    @pytest.mark.parametrize("thing", [3, ["relu"], Tensor, float])
    def test_what_is_no_activation_is_an_error(self, thing):
        with pytest.raises(ArgumentError, match="expected an activation: None, a name such as 'relu', or a function"):
            activations.get(thing)

    def test_so_is_a_config_without_a_name(self):
        with pytest.raises(ArgumentError, match=r"expected an activation as a name or \{'config': name\}, got"):
            activations.get({"class_name": "function"})


class TestSerialize:
    def test_gives_the_name(self):
        assert activations.serialize(activations.leaky_relu) == "leaky_relu"

    def test_gives_an_alias_its_first_name(self):
        assert activations.serialize(activations.swish) == "silu"

    def test_a_function_of_the_user_is_found_among_the_custom_objects(self):
        def cube(x):
            return x * x * x

        assert activations.serialize(cube) == "cube"
        assert activations.deserialize("cube", custom_objects={"cube": cube}) is cube
        with pytest.raises(UnknownNameError, match="Unknown activation 'cube'"):
            activations.deserialize("cube")

    def test_a_function_of_the_user_is_never_taken_for_one_of_minidl(self):
        def relu(x):
            return x

        name = activations.serialize(relu)
        assert name == f"{__name__}.relu"
        assert activations.deserialize(name, custom_objects={name: relu}) is relu
        with pytest.raises(UnknownNameError, match="Unknown activation"):
            activations.deserialize(name)

    def test_what_has_no_name_cannot_be_saved(self):
        with pytest.raises(ArgumentError, match="to be saved by its name"):
            activations.serialize(partial(activations.relu, max_value=1.0))


class TestGatedLinearUnit:
    @pytest.mark.parametrize("axis", [-1, 0])
    def test_is_one_half_times_the_sigmoid_of_the_other(self, axis):
        x = np.random.default_rng(0).normal(size=(4, 6))
        a, b = np.split(x, 2, axis)
        np.testing.assert_allclose(activations.glu(x, axis), a / (1 + np.exp(-b)), rtol=1e-12)
        check_function(partial(activations.glu, axis=axis), [x], kind="activations")

    def test_needs_two_halves(self):
        with pytest.raises(ShapeError, match="split: axis -1 of size 3 has no 2 equal parts"):
            activations.glu(np.ones((2, 3)))


class TestSparsemax:
    def projection(self, z):
        """The point of the simplex nearest to z, found by bisection of Σ max(z − τ, 0) = 1."""
        low, high = z.min() - 1, z.max()
        for _ in range(100):
            tau = (low + high) / 2
            low, high = (tau, high) if np.maximum(z - tau, 0).sum() > 1 else (low, tau)
        return np.maximum(z - low, 0)

    @pytest.mark.parametrize(("shape", "axis"), [((5, 4), -1), ((4, 3), 0), ((2, 5, 3), 1), ((7,), 0), ((3, 1), 1)])
    def test_is_the_nearest_distribution(self, shape, axis):
        x = np.random.default_rng(1).normal(size=shape)
        y = activations.sparsemax(x, axis)
        np.testing.assert_allclose(y, np.apply_along_axis(self.projection, axis, x), atol=1e-12)
        np.testing.assert_allclose(y.numpy().sum(axis), 1, rtol=1e-12)
        assert x.size < 8 or (y.numpy() == 0).any()
        if shape[axis] > 1:
            check_function(partial(activations.sparsemax, axis=axis), [x], kind="activations", twice=False)

    def test_examples_of_the_paper(self):
        """In two dimensions it is a hard sigmoid of the difference (Martins & Astudillo 2016, section 2.3)."""
        for t, expected in [(-2.0, 0.0), (0.0, 0.5), (0.5, 0.75), (3.0, 1.0)]:
            assert activations.sparsemax(np.array([t, 0.0])).tolist() == [expected, 1 - expected]
