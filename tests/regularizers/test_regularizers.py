"""Regularizers: their values and gradients, and how `get` finds one."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl import ops, regularizers
from minidl.autodiff import grad, gradcheck
from minidl.errors import AbstractMethodError, ArgumentError, MiniDLWarning, ShapeError, UnknownNameError
from minidl.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer

FILE = np.load(Path(__file__).parents[1] / "golden" / "regularization.npz")
CASES = json.loads(str(FILE["cases"]))["regularizers"]

# An object, its strings, and its arguments.
TABLE = [
    (L1(0.3), ["l1", "L1"], {"l1": 0.3}),
    (L2(0.2), ["l2", "L2"], {"l2": 0.2}),
    (L1L2(0.1, 0.4), ["l1_l2", "l1l2", "L1L2"], {"l1": 0.1, "l2": 0.4}),
    (
        OrthogonalRegularizer(0.5, "columns"),
        ["orthogonal", "orthogonal_regularizer", "OrthogonalRegularizer"],
        {"factor": 0.5, "mode": "columns"},
    ),
]
every_regularizer = pytest.mark.parametrize(("regularizer", "strings", "arguments"), TABLE, ids=lambda x: "")
# Away from 0, where |x| has a kink.
matrices = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=4),
    elements=st.floats(0.1, 3) | st.floats(-3, -0.1),
)  # fmt: skip


def make(case):
    name, config, weight = CASES[case]
    return getattr(regularizers, name)(**config), FILE[f"weight__{weight}"]


class TestValues:
    @pytest.mark.parametrize("case", CASES)
    def test_are_those_of_keras(self, case):
        regularizer, w = make(case)
        # Sums of up to 120 numbers in float32, in another order.
        np.testing.assert_allclose(regularizer(w), FILE[f"{case}__y"], rtol=2e-6)

    @pytest.mark.parametrize("case", CASES)
    def test_have_the_gradients_of_keras(self, case):
        regularizer, w = make(case)
        np.testing.assert_allclose(grad(regularizer)(w), FILE[f"{case}__dy"], rtol=1e-5, atol=1e-8)

    @every_regularizer
    @given(x=matrices)
    def test_have_the_gradient_of_the_complex_step(self, regularizer, strings, arguments, x):
        # A kink where a product of rows is 0, and rows that are parallel, are as good as impossible to meet.
        x = x + 0.01 * np.arange(x.size).reshape(x.shape) ** 2 * np.sign(x)
        gradcheck(regularizer, x)

    @given(x=matrices)
    def test_are_what_their_formulas_say(self, x):
        assert float(L1(0.3)(x)) == pytest.approx(0.3 * np.abs(x).sum())
        assert float(L2(0.3)(x)) == pytest.approx(0.3 * (x * x).sum())
        assert float(L1L2(0.3, 0.2)(x)) == pytest.approx(0.3 * np.abs(x).sum() + 0.2 * (x * x).sum())

    @given(x=matrices)
    def test_of_orthogonal_rows_are_zero_and_of_parallel_rows_the_factor(self, x):
        q, _ = np.linalg.qr(x @ x.T + np.eye(len(x)))
        assert float(OrthogonalRegularizer(0.5)(q)) == pytest.approx(0, abs=1e-14)
        assert float(OrthogonalRegularizer(0.5)(np.outer(x[:, 0], x[0]))) == pytest.approx(0.5)

    def test_of_columns_are_those_of_the_rows_of_the_transposed_matrix(self):
        x = np.random.default_rng(0).normal(size=(3, 5))
        rows, columns = OrthogonalRegularizer(mode="rows"), OrthogonalRegularizer(mode="columns")
        assert float(columns(x)) == pytest.approx(float(rows(x.T)), rel=1e-14)

    def test_of_a_single_row_and_of_rows_of_zeros_are_zero(self):
        for x in (np.ones((1, 4)), np.zeros((3, 4), np.float32)):
            assert float(OrthogonalRegularizer()(x)) == 0
            assert np.array_equal(grad(OrthogonalRegularizer())(x), np.zeros(x.shape))

    @every_regularizer
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_have_the_dtype_of_the_weight(self, regularizer, strings, arguments, dtype):
        x = np.ones((3, 4), dtype)
        assert regularizer(x).dtype == dtype
        assert regularizer(x).shape == ()

    def test_of_float32_do_not_lose_what_is_small(self):
        """Σx² of a million numbers; one after the other, float32 would stop growing."""
        x = np.full(1 << 24, 0.1, np.float32)
        assert float(L2(1.0)(x)) == pytest.approx(0.01 * x.size, rel=1e-5)


class TestArguments:
    @every_regularizer
    def test_are_the_config(self, regularizer, strings, arguments):
        assert regularizer.get_config() == arguments
        assert repr(type(regularizer).from_config(arguments)) == repr(regularizer)
        assert eval(repr(regularizer), vars(regularizers)).get_config() == arguments

    @pytest.mark.parametrize("kind", [L1, L2])
    def test_of_older_code_work_with_a_warning(self, kind):
        name = kind.__name__
        message = rf"{name}\(l=…\) is an old spelling.* {name}\({name.lower()}=…\)"
        with pytest.warns(MiniDLWarning, match=message) as got:
            regularizer = kind(l=0.25)
        assert got[0].filename == __file__
        assert regularizer.get_config() == kind(0.25).get_config()

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: L1(-1), "L1: l1 must be a number ≥ 0, got -1"),
            (lambda: L2(np.nan), "L2: l2 must be a number ≥ 0, got nan"),
            (lambda: L1L2(l2="much"), "L1L2: l2 must be a number ≥ 0, got 'much'"),
            (lambda: L2(rate=3), "Unknown argument of L2 'rate'"),
            (lambda: OrthogonalRegularizer(None), "factor must be a number ≥ 0"),
            (lambda: OrthogonalRegularizer(mode="row"), "Unknown mode of OrthogonalRegularizer 'row': did you"),
        ],
    )
    def test_that_make_no_sense_are_errors(self, make, message):
        with pytest.raises(ArgumentError, match=message):
            make()

    def test_of_orthogonal_regularizers_are_matrices(self):
        with pytest.raises(ShapeError, match=r"expected a matrix, got a weight of shape \(2, 3, 4\)"):
            OrthogonalRegularizer()(np.ones((2, 3, 4)))


class Cubes(Regularizer):
    """One of the user's own."""

    def __init__(self, factor=2.0):
        self.factor = factor

    def __call__(self, x):
        return self.factor * ops.sum(ops.absolute(x) ** 3)


def cubes(x):
    return ops.sum(ops.absolute(x) ** 3)


class TestGet:
    @every_regularizer
    def test_finds_strings_classes_and_configs(self, regularizer, strings, arguments):
        kind = type(regularizer)
        for identifier in (*strings, kind, {"class_name": kind.__name__, "config": {}}):
            assert type(regularizers.get(identifier)) is kind
        assert regularizers.get(regularizer) is regularizer
        assert regularizers.get({"class_name": kind.__name__, "config": arguments}).get_config() == arguments

    @pytest.mark.parametrize("find", [regularizers.get, regularizers.deserialize])
    def test_takes_the_name_l1_l2_for_both(self, find):
        for name in ("l1_l2", "L1L2"):
            assert find(name).get_config() == {"l1": 0.01, "l2": 0.01}
        assert find({"class_name": "L1L2", "config": {}}).get_config() == {"l1": 0.0, "l2": 0.0}
        assert regularizers.l1_l2().get_config() == {"l1": 0.0, "l2": 0.0}

    def test_knows_the_functions_of_keras(self):
        assert repr(regularizers.l1(0.1)) == "L1(l1=0.1)"
        assert repr(regularizers.l2(0.1)) == "L2(l2=0.1)"
        assert repr(regularizers.l1_l2(l1=0.1, l2=0.2)) == "L1L2(l1=0.1, l2=0.2)"
        assert repr(regularizers.orthogonal_regularizer(factor=0.1)) == "OrthogonalRegularizer(factor=0.1)"

    def test_leaves_none_and_functions_as_they_are(self):
        assert regularizers.get(None) is None
        assert regularizers.get(cubes) is cubes

    def test_has_errors_for_everything_else(self):
        with pytest.raises(UnknownNameError, match="Unknown regularizer 'l3': did you mean"):
            regularizers.get("l3")
        with pytest.raises(ArgumentError, match=r"expected a regularizer: a name such as 'l2', .* got 3"):
            regularizers.get(3)
        with pytest.raises(ArgumentError, match=r"expected a regularizer: .* got <class 'dict'>"):
            regularizers.get(dict)
        with pytest.raises(ArgumentError, match=r"expected a regularizer as {'class_name': str, 'config': dict}"):
            regularizers.get({"config": {}})


class TestSerialize:
    @every_regularizer
    def test_survives_json(self, regularizer, strings, arguments):
        config = json.loads(json.dumps(regularizers.serialize(regularizer)))
        assert config == {"class_name": type(regularizer).__name__, "config": arguments}
        assert regularizers.deserialize(config).get_config() == arguments
        assert copy.deepcopy(regularizer).get_config() == arguments

    def test_finds_what_is_the_users_own_in_custom_objects(self):
        own = {"Cubes": Cubes, "cubes": cubes}
        again = regularizers.deserialize(regularizers.serialize(Cubes(3.0)), own)
        assert type(again) is Cubes
        assert again.factor == 3.0
        assert regularizers.serialize(None) is None
        assert regularizers.deserialize(regularizers.serialize(cubes), own) is cubes
        with pytest.raises(UnknownNameError, match="Unknown regularizer 'cubes'"):
            regularizers.deserialize("cubes")

    def test_refuses_what_would_not_be_found_again(self):
        with pytest.raises(ArgumentError, match="has no name of its own to be saved under"):
            regularizers.serialize(lambda x: ops.sum(x))
        with pytest.raises(ArgumentError, match="has no name of its own to be saved under"):
            regularizers.serialize(type("L2", (Regularizer,), {})())


def test_a_class_without_a_formula_says_so():
    with pytest.raises(AbstractMethodError, match=r"Regularizer must define __call__\(self, x\)"):
        Regularizer()(np.ones(3))
