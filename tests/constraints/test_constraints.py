"""Constraints: that they do what they say, do it once, and how `get` finds one."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl import constraints, ops
from minidl.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from minidl.errors import AbstractMethodError, ArgumentError, MiniDLWarning, ShapeError, UnknownNameError

FILE = np.load(Path(__file__).parents[1] / "golden" / "regularization.npz")
CASES = json.loads(str(FILE["cases"]))["constraints"]

# An object, its strings, and its arguments.
TABLE = [
    (MaxNorm(3, axis=[0, 1]), ["max_norm", "MaxNorm", "maxnorm"], {"max_value": 3, "axis": [0, 1]}),
    (NonNeg(), ["non_neg", "NonNeg", "nonneg"], {}),
    (UnitNorm(axis=1), ["unit_norm", "UnitNorm", "unitnorm"], {"axis": 1}),
    (
        MinMaxNorm(0.5, 2.0, 0.25, [-1]),
        ["min_max_norm", "MinMaxNorm"],
        {"min_value": 0.5, "max_value": 2.0, "rate": 0.25, "axis": [-1]},
    ),
]
every_constraint = pytest.mark.parametrize(("constraint", "strings", "arguments"), TABLE, ids=lambda x: "")
# Norms from nothing to far above every bound; what is shorter than 0.01 is 0, next to ε = 1e-7.
kernels = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=4, max_side=4),
    elements=st.just(0.0) | st.floats(0.01, 100) | st.floats(-100, -0.01),
)  # fmt: skip
# How much shorter than it should a norm of at least 0.01 is.
EPSILON = 1e-7 / 0.01


def norms(w, axis):
    return np.sqrt(np.square(w).sum(axis=axis, keepdims=True))


@pytest.mark.parametrize("case", CASES)
def test_values_are_those_of_keras(case):
    name, config, weight = CASES[case]
    w = FILE[f"weight__{weight}"]
    np.testing.assert_allclose(getattr(constraints, name)(**config)(w), FILE[f"{case}__y"], rtol=1e-6)


class TestWhatTheySay:
    @given(w=kernels, limit=st.floats(0.1, 50))
    def test_max_norm(self, w, limit):
        for axis in (0, tuple(range(w.ndim - 1))):
            found = MaxNorm(limit, axis=axis)(w).numpy()
            assert (norms(found, axis) <= limit).all()
            short = norms(w, axis) <= limit
            np.testing.assert_allclose(found, np.where(short, w, limit / np.maximum(norms(w, axis), 1e-9) * w),
                                       rtol=EPSILON)  # fmt: skip

    @given(w=kernels)
    def test_non_neg(self, w):
        found = NonNeg()(w).numpy()
        assert (found >= 0).all()
        assert np.array_equal(found[w >= 0], w[w >= 0])

    @given(w=kernels)
    def test_unit_norm(self, w):
        found = UnitNorm(axis=0)(w).numpy()
        before = norms(w, 0)
        np.testing.assert_allclose(norms(found, 0)[before > 0], 1, rtol=EPSILON)
        np.testing.assert_allclose(found * before, w, rtol=EPSILON)

    @given(w=kernels, low=st.floats(0, 10), width=st.floats(0, 10), rate=st.floats(0, 1))
    def test_min_max_norm(self, w, low, width, rate):
        found = MinMaxNorm(low, low + width, rate)(w).numpy()
        before = norms(w, 0)
        wanted = rate * np.clip(before, low, low + width) + (1 - rate) * before
        # A column of zeros has no direction to become longer in.
        np.testing.assert_allclose(norms(found, 0), np.where(before > 0, wanted, 0), rtol=EPSILON)

    @given(w=kernels)
    @pytest.mark.parametrize("constraint", [MaxNorm(3), NonNeg(), UnitNorm(), MinMaxNorm(0.5, 2.0)], ids=repr)
    def test_once_is_as_good_as_twice(self, constraint, w):
        once = constraint(w).numpy()
        np.testing.assert_allclose(constraint(once), once, rtol=EPSILON)

    @every_constraint
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_the_weight_keeps_its_dtype_and_shape_and_is_not_changed(self, constraint, strings, arguments, dtype):
        w = np.arange(-6, 6, dtype=dtype).reshape(3, 4)
        w.flags.writeable = False
        found = constraint(w)
        assert (found.dtype, found.shape) == (w.dtype, w.shape)


class TestArguments:
    @every_constraint
    def test_are_the_config(self, constraint, strings, arguments):
        assert constraint.get_config() == arguments
        assert eval(repr(constraint), vars(constraints)).get_config() == arguments

    def test_of_older_code_work_with_a_warning(self):
        with pytest.warns(MiniDLWarning, match=r"MaxNorm\(m=…\) is an old spelling.* MaxNorm\(max_value=…\)") as got:
            constraint = constraints.maxnorm(m=3)
        assert got[0].filename == __file__
        assert constraint.get_config() == {"max_value": 3, "axis": 0}

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: MaxNorm(-1), "MaxNorm: max_value must be a number ≥ 0, got -1"),
            (lambda: MaxNorm(max=3), "Unknown argument of MaxNorm 'max': did you mean 'axis' or 'max_value'"),
            (lambda: UnitNorm(axis=0.5), "UnitNorm: axis must be an integer or several of them, got 0.5"),
            (lambda: MinMaxNorm(2, 1), "MinMaxNorm: expected min_value ≤ max_value, got 2 and 1"),
            (lambda: MinMaxNorm(rate=2), r"MinMaxNorm: rate must be a number in \[0, 1\], got 2"),
        ],
    )
    def test_that_make_no_sense_are_errors(self, make, message):
        with pytest.raises(ArgumentError, match=message):
            make()

    def test_name_axes_that_exist(self):
        with pytest.raises(ShapeError, match="got axis=2 for 2 axes"):
            MaxNorm(axis=2)(np.ones((2, 3)))


class Halves(Constraint):
    """One of the user's own."""

    def __init__(self, factor=0.5):
        self.factor = factor

    def __call__(self, w):
        return w * self.factor


def clipped(w):
    return ops.clip(w, -1, 1)


class TestGetAndSerialize:
    @every_constraint
    def test_find_strings_classes_and_configs(self, constraint, strings, arguments):
        kind = type(constraint)
        for identifier in (*strings, kind, {"class_name": kind.__name__, "config": {}}):
            assert type(constraints.get(identifier)) is kind
        assert constraints.get(constraint) is constraint
        config = json.loads(json.dumps(constraints.serialize(constraint)))
        assert constraints.deserialize(config).get_config() == arguments

    def test_take_what_is_the_users_own(self):
        assert constraints.get(None) is None
        assert constraints.get(clipped) is clipped
        own = {"Halves": Halves, "clipped": clipped}
        assert constraints.deserialize(constraints.serialize(Halves(0.25)), own).factor == 0.25
        assert constraints.deserialize(constraints.serialize(clipped), own) is clipped

    def test_have_errors_for_everything_else(self):
        with pytest.raises(UnknownNameError, match="Unknown constraint 'maxnrm': did you mean 'maxnorm'"):
            constraints.get("maxnrm")
        with pytest.raises(ArgumentError, match=r"expected a constraint: a name such as 'max_norm', .* got 3"):
            constraints.get(3)


@pytest.mark.parametrize("call", [Constraint(), type("Norm", (MaxNorm.__mro__[1],), {})()])
def test_a_class_without_a_formula_says_so(call):
    with pytest.raises(AbstractMethodError, match="must define"):
        call(np.ones(3))
