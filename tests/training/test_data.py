"""`Data`: checked arrays, cut into batches."""

import re

import numpy as np
import pytest

from minidl.errors import ArgumentError, DTypeError, NonFiniteError, ShapeError
from minidl.training import Data, as_data, as_inputs


@pytest.fixture
def data():
    return Data(np.arange(10), np.arange(10) * 10, np.arange(10) / 10)


def test_batches_in_order_are_views(data):
    batches = list(data.batches(4))
    assert [batch[0].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(np.shares_memory(batch[0], data.x) for batch in batches)
    assert len(batches) == data.steps(4) == 3


def test_batches_in_random_order_hold_every_sample_once_with_what_belongs_to_it(data):
    batches = list(data.batches(4, np.random.default_rng(1)))
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    x, y, weight = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert sorted(x) == list(range(10))
    assert x.tolist() != list(range(10))
    np.testing.assert_array_equal(y, x * 10)
    np.testing.assert_array_equal(weight, x / 10)


def test_what_is_missing_is_missing_in_every_batch():
    assert [(y, weight) for _, y, weight in Data(np.arange(3)).batches(2)] == [(None, None), (None, None)]


@pytest.mark.parametrize(("fraction", "first"), [(0.3, 7), (0.25, 7), (0.001, 9), (0.95, 0), (0.9, 0)])
def test_split_takes_the_last_samples_from_floor_n_times_1_minus_fraction(data, fraction, first):
    """As Keras does; 10·(1 − 0.9) is 0.9999… in floating point. One of the parts must not be empty."""
    if first == 0:
        with pytest.raises(ArgumentError, match="leaves one of the two parts empty"):
            data.split(fraction)
        return
    training, validation = data.split(fraction)
    assert training.x.tolist() == list(range(first))
    assert validation.x.tolist() == list(range(first, 10))
    assert validation.y.tolist() == [10 * k for k in range(first, 10)]
    assert len(validation.sample_weight) == 10 - first


@pytest.mark.parametrize("shape", [(10_000,), (10_000, 3), (9_000, 2, 2)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_sample_that_is_not_finite_is_named(shape, value):
    x = np.zeros(shape, np.float32)
    x[8_500, ...] = x[8_700, ...] = value
    message = f"here: x has {value} in sample 8500: it would ruin the weights; remove or replace such values"
    with pytest.raises(NonFiniteError, match=re.escape(message)):
        as_data("here", x, np.zeros(len(x)))


def test_inputs_to_predict_for_may_be_anything_that_is_a_number():
    assert np.isnan(as_inputs("predict", [[np.nan, np.inf]]).x[0, 0])


def test_arrays_are_taken_as_they_are_and_not_copied():
    x, y = np.zeros((3, 2), np.float64), np.zeros(3, np.uint8)
    data = as_data("fit", x, y)
    assert data.x is x
    assert data.y is y
    assert data.sample_weight is None


class TestSeveralArrays:
    def test_are_cut_alike(self):
        data = as_data("fit", [np.arange(5), np.arange(5) * 2], {"b": np.arange(5) * 3, "a": -np.arange(5)}, None,
                       inputs=["x", "z"], outputs=["a", "b"])  # fmt: skip
        assert len(data) == 5
        (x, z), (a, b), weight = list(data.batches(2))[-1]
        assert (x.tolist(), z.tolist(), a.tolist(), b.tolist(), weight) == ([4], [8], [-4], [12], None)
        first, last = data.split(0.4)
        assert [len(part) for part in (first, last)] == [3, 2]

    def test_where_no_names_are_known_arrays_are_several_and_lists_of_numbers_are_one(self):
        assert as_inputs("predict", [[1.0, 2.0], [3.0, 4.0]]).x.shape == (2, 2)
        assert [a.tolist() for a in as_inputs("predict", [np.ones(2), np.zeros(2)]).x] == [[1, 1], [0, 0]]
        assert [a.tolist() for a in as_inputs("predict", (np.ones(2), np.zeros(2))).x] == [[1, 1], [0, 0]]
        assert as_inputs("predict", {"x": [1, 2]}).x["x"].tolist() == [1, 2]

    def test_a_single_name_takes_a_list_for_an_array(self):
        assert as_inputs("predict", [np.ones(2), np.zeros(2)], ["x"]).x.shape == (2, 2)
        assert as_inputs("predict", {"x": np.ones(2)}, ["x"]).x.shape == (2,)

    def test_one_weight_serves_all_outputs(self):
        y = [np.ones(3), np.ones(3)]
        weight = np.arange(3.0)
        data = as_data("fit", np.ones(3), y, weight, outputs=["a", "b"])
        assert [w.tolist() for w in data.sample_weight] == [[0, 1, 2], [0, 1, 2]]
        assert as_data("fit", np.ones(3), y, {"b": weight}, outputs=["a", "b"]).sample_weight[0] is None

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            ({"p": np.ones(3), "q": np.ones(2)}, re.escape("x['p'] has 3 samples but x['q'] has 2")),
            ((np.ones(3), np.ones(2)), re.escape("x[0] has 3 samples but x[1] has 2")),
            ({}, "expected numbers in x, got dtype object"),
            ({"p": "abc"}, re.escape("expected numbers in x['p'], got dtype <U3")),
            ((np.ones((0, 2)), np.ones((0, 2))), "x has no samples"),
        ],
    )
    def test_errors_name_the_array(self, x, message):
        with pytest.raises((ShapeError, DTypeError), match=message):
            as_inputs("predict", x)


class TestListsOfOneArray:
    """Older code puts the only input, and the only targets, in lists."""

    def test_stand_for_the_array(self, make_model, state, x, y):
        listed, plain = make_model(), make_model()
        listed.fit([x], [y], epochs=2, shuffle=False, verbose=0, validation_data=([x], [y]))
        plain.fit(x, y, epochs=2, shuffle=False, verbose=0, validation_data=(x, y))
        assert state(listed) == state(plain)
        np.testing.assert_array_equal(listed.predict([x], verbose=0), plain.predict(x, verbose=0))
        assert listed.evaluate([x], [y], verbose=0) == plain.evaluate(x, y, verbose=0)

    def test_rows_of_numbers_are_no_such_list(self, model, x):
        np.testing.assert_array_equal(model.predict([x[0].tolist()], verbose=0), model.predict(x[:1], verbose=0))

    def test_of_another_length_are_counted(self, model, x, y):
        with pytest.raises(ShapeError, match=r"x has 20 samples but y has 19"):
            model.fit([x], [y[1:]], verbose=0)
