"""Numbers, counts, flags and axes as arguments: what is let through, and what comes out."""

import math

import numpy as np
import pytest

from minidl.autodiff import Tensor
from minidl.checks import axes, count, flag, integers, interval, number
from minidl.errors import ArgumentError

TINY = 5e-324
BELOW_ONE, ABOVE_ONE = math.nextafter(1, 0), math.nextafter(1, 2)


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        ("≥ 0", [0, TINY, 1e308], [-TINY, math.inf]),
        ("> 0", [TINY, 1e308], [0, -TINY, math.inf]),
        ("≥ 1", [1, 1e308], [BELOW_ONE, math.inf]),
        ("in [0, 1)", [0, BELOW_ONE], [-TINY, 1]),
        ("in [0, 1]", [0, 1], [-TINY, ABOVE_ONE]),
    ],
)
def test_ranges(allowed, inside, outside):
    assert [number(None, "x", x, allowed) for x in inside] == inside
    for x in [*outside, math.nan]:
        with pytest.raises(ArgumentError, match="NoneType: x must be a number"):
            number(None, "x", x, allowed)


@pytest.mark.parametrize("value", [2, np.int32(2), np.array(2), Tensor(2)])
def test_whole_numbers_stay_whole(value):
    assert type(number(None, "x", value, "≥ 0")) is int


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), Tensor(0.5)])
def test_numbers_become_python_numbers(value):
    x = number(None, "x", value, "≥ 0")
    assert (type(x), x) == (float, 0.5)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j, [1.0], np.ones(1), Tensor([1.0])])
def test_what_is_no_number(value):
    with pytest.raises(ArgumentError, match="NoneType: x must be a number ≥ 0, got"):
        number(None, "x", value, "≥ 0")


def test_flags():
    assert flag(None, "x", np.True_) is True
    assert flag(None, "x", False) is False
    for value in (0, 1, "True", None):
        with pytest.raises(ArgumentError, match="NoneType: x must be True or False, got"):
            flag(None, "x", value)


def test_without_a_range_any_finite_number():
    assert number("Thing", "x", -3.5) == -3.5
    with pytest.raises(ArgumentError, match="Thing: x must be a finite number, got inf"):
        number("Thing", "x", math.inf)


def test_counts():
    assert type(count("Thing", "n", np.int64(3))) is int
    assert count("Thing", "n", 0, least=0) == 0
    for value in (0, -1, 2.0, True, "3", None):
        with pytest.raises(ArgumentError, match="Thing: n must be an integer ≥ 1, got"):
            count("Thing", "n", value)


def test_integers_and_axes():
    assert integers("Thing", "n", np.int64(3)) == (3,)
    assert integers("Thing", "n", [1, np.int8(2)]) == (1, 2)
    assert axes("Thing", -1) == -1
    assert axes("Thing", [0, 2]) == (0, 2)
    with pytest.raises(ArgumentError, match="Thing: axis must be an integer or several of them, got"):
        axes("Thing", 1.5)


class TestInterval:
    @pytest.mark.parametrize("value", [(-1, 0.5), [-1, 0.5], np.array([-1, 0.5])])
    def test_pairs(self, value):
        assert interval("RandomZoom", "factor", value, -1, 1) == (-1, 0.5)

    @pytest.mark.parametrize(
        "value", [0.5, (0.5, -1), (-1.5, 0), (0, 1.5), (0,), (0, 0, 0), ("a", "b"), None, (0, math.nan)]
    )
    def test_no_pairs(self, value):
        with pytest.raises(ArgumentError, match="RandomZoom: factor must be a"):
            interval("RandomZoom", "factor", value, -1, 1)
