"""One seed, a stream for each purpose, and NumPy's global state untouched."""

import numpy as np
import pytest

from minidl import random
from minidl.errors import ArgumentError, UnknownNameError


def draws(purpose, count=3, seed=None):
    return [random.spawn(purpose, seed).random() for _ in range(count)]


def test_a_seed_fixes_every_stream():
    random.set_random_seed(7)
    first = {purpose: draws(purpose) for purpose in ("initialization", "dropout", "shuffling", "augmentation")}
    random.set_random_seed(7)
    assert first == {purpose: draws(purpose) for purpose in first}
    random.set_random_seed(8)
    assert first != {purpose: draws(purpose) for purpose in first}


def test_streams_do_not_disturb_each_other():
    random.set_random_seed(7)
    alone = draws("shuffling")
    random.set_random_seed(7)
    draws("dropout", 10)
    assert draws("shuffling") == alone


def test_every_generator_is_its_own():
    random.set_random_seed(7)
    streams = [draws(p, 4) for p in ("initialization", "dropout", "shuffling", "augmentation")]
    numbers = [x for stream in streams for x in stream]
    assert len(set(numbers)) == len(numbers)


def test_an_explicit_seed_stands_alone():
    assert draws("dropout", 2, seed=3) == [np.random.default_rng(3).random()] * 2
    random.set_random_seed(7)
    before = draws("dropout", 1)
    random.set_random_seed(7)
    draws("dropout", 5, seed=3)
    assert draws("dropout", 1) == before


def test_numpys_global_state_is_untouched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is looked at, not used
    random.set_random_seed(1)
    draws("shuffling")
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("wrong", [-1, 1.5, "1", None, True])
def test_a_seed_is_a_whole_number(wrong):
    with pytest.raises(ArgumentError, match="set_random_seed: expected an integer ≥ 0"):
        random.set_random_seed(wrong)


def test_the_purposes_are_known():
    with pytest.raises(UnknownNameError, match="did you mean 'dropout'"):
        random.spawn("drop_out")


def test_the_old_name():
    random.set_seed(3)
    old = draws("dropout")
    random.set_random_seed(3)
    assert draws("dropout") == old
