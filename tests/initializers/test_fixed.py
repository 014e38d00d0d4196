"""Constants and the identity: exact values."""

import numpy as np
import pytest

from minidl.errors import ArgumentError, ShapeError
from minidl.initializers import Constant, Identity, Ones, Zeros


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool"])
def test_zeros_and_ones_come_in_every_numeric_dtype(dtype):
    zeros, ones = Zeros()((2, 3), dtype), Ones()((2, 3), dtype)
    assert zeros.dtype == ones.dtype == np.dtype(dtype)
    assert (zeros == 0).all()
    assert (ones == 1).all()


class TestConstant:
    def test_fills_with_a_number(self):
        np.testing.assert_array_equal(Constant(2.5)((2, 3)), np.full((2, 3), 2.5))

    def test_is_zero_by_default(self):
        assert not Constant()((2, 3)).any()

    def test_copies_an_array_of_the_same_shape(self):
        matrix = np.arange(6.0).reshape(2, 3)
        constant = Constant(matrix)
        matrix[...] = -1.0
        np.testing.assert_array_equal(constant((2, 3)), [[0, 1, 2], [3, 4, 5]])
        assert constant.get_config() == {"value": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]}

    @pytest.mark.parametrize("shape", [(2, 3), (3, 1), (4,), (1, 3), ()])
    def test_never_broadcasts_an_array(self, shape):
        with pytest.raises(ShapeError, match=r"Constant: its value has shape \(3,\), the weight needs \("):
            Constant([1.0, 2.0, 3.0])(shape)

    @pytest.mark.parametrize(("value", "dtype"), [(3, "int32"), (3.0, "int32"), (True, "bool"), (1, "bool")])
    def test_holds_whole_numbers_in_integers(self, value, dtype):
        array = Constant(value)((2,), dtype)
        assert array.dtype == np.dtype(dtype)
        assert (array == value).all()

    @pytest.mark.parametrize(
        ("value", "dtype"), [(0.5, "int32"), (2, "bool"), (256, "uint8"), (-1, "uint8"), (np.nan, "int32")]
    )
    def test_never_cuts_a_number_to_fit_a_dtype(self, value, dtype):
        with pytest.raises(ArgumentError, match=f"Constant: {value} cannot be held by the dtype {dtype}"):
            Constant(value)((2,), dtype)

    @pytest.mark.parametrize("value", ["one", None, 1j, [[1.0], [1.0, 2.0]], ["a"]])
    def test_rejects_what_is_no_real_number(self, value):
        with pytest.raises(ArgumentError, match="Constant: value must be a real number or an array of such, got"):
            Constant(value)

    def test_infinity_is_a_constant(self):
        assert (Constant(-np.inf)((2,)) == -np.inf).all()


class TestIdentity:
    def test_square(self):
        np.testing.assert_array_equal(Identity(gain=2.5)((3, 3)), 2.5 * np.eye(3))

    # Keras gives the same for these shapes.
    @pytest.mark.parametrize(
        ("shape", "expected"), [((2, 3), [[2, 0, 0], [0, 2, 0]]), ((3, 2), [[2, 0], [0, 2], [0, 0]])]
    )
    def test_wide_and_tall(self, shape, expected):
        np.testing.assert_array_equal(Identity(gain=2)(shape), expected)

    @pytest.mark.parametrize("shape", [(), (3,), (3, 3, 3)])
    def test_needs_a_matrix(self, shape):
        with pytest.raises(ShapeError, match="Identity: expected the shape of a matrix, got"):
            Identity()(shape)

    @pytest.mark.parametrize("gain", [np.nan, np.inf, "1", None, True])
    def test_rejects_a_gain_that_is_no_finite_number(self, gain):
        with pytest.raises(ArgumentError, match="Identity: gain must be a finite number"):
            Identity(gain)

    def test_never_cuts_its_gain_to_fit_a_dtype(self):
        assert (Identity()((2, 2), "int32") == np.eye(2)).all()
        with pytest.raises(ArgumentError, match=r"Identity: 0\.5 cannot be held by the dtype int32"):
            Identity(0.5)((2, 2), "int32")
