"""`to_categorical`, and the other helpers under their names in Keras."""

import re

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, DTypeError
from minidl.utils import to_categorical


def test_integers_become_one_hot_rows():
    found = to_categorical([2, 0, 1])
    np.testing.assert_array_equal(found, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        ([], (0, 0)),
        (1, (2,)),
        ([[1], [3]], (2, 4)),
        ([[1, 0], [2, 1]], (2, 2, 3)),
        (np.uint8([4]), (1, 5)),
        (np.array([True, False]), (2, 2)),
        (np.array([1.0, 2.0]), (2, 3)),
        (keras.Tensor(np.array([0, 1])), (2, 2)),
    ],
)
def test_shapes_and_dtypes(x, shape):
    """A last axis of size 1 is dropped, as in the labels of CIFAR-10."""
    found = to_categorical(x)
    assert found.shape == shape
    assert (found.sum(axis=-1) == 1).all()


def test_the_number_of_classes_can_be_given():
    np.testing.assert_array_equal(to_categorical([0, 1], num_classes=3), [[1, 0, 0], [0, 1, 0]])
    assert to_categorical([], num_classes=3).shape == (0, 3)


def test_the_dtype_is_the_default_float():
    keras.config.set_floatx("float64")
    try:
        assert to_categorical([0, 1]).dtype == np.float64
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize(
    ("x", "num_classes", "error", "message"),
    [
        ([0, 3], 3, ArgumentError, "expected integers from 0 to 2, got 0 to 3"),
        ([0, -1], None, ArgumentError, "expected integers from 0 to 0, got -1 to 0"),
        ([0.5], None, DTypeError, "expected integers, got dtype float64"),
        ([np.nan], None, DTypeError, "expected integers, got dtype float64"),
        ([np.inf], None, DTypeError, "expected integers, got dtype float64"),
        (["cat"], None, DTypeError, "expected integers, got dtype <U3"),
        ([1j], None, DTypeError, "expected integers, got dtype complex128"),
        ([0, 1], 0, ArgumentError, "num_classes: expected an integer ≥ 1, got 0"),
        ([0, 1], 2.5, ArgumentError, "num_classes: expected an integer ≥ 1, got 2.5"),
    ],
)
def test_errors(x, num_classes, error, message):
    with pytest.raises(error, match=re.escape(message)):
        to_categorical(x, num_classes)


def test_clear_session_starts_the_names_anew():
    keras.utils.clear_session()
    assert [keras.layers.Dense(1).name for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    keras.utils.clear_session()
    assert keras.layers.Dense(1).name == "dense"


def test_set_random_seed_fixes_weights():
    def weights():
        keras.utils.set_random_seed(7)
        layer = keras.layers.Dense(3)
        layer.build((None, 4))
        return layer.kernel.numpy()

    np.testing.assert_array_equal(weights(), weights())


@pytest.mark.parametrize("seed", [-1, 1.5, "7", None, True])
def test_set_random_seed_wants_an_integer(seed):
    with pytest.raises(ArgumentError, match="set_random_seed: expected an integer ≥ 0"):
        keras.utils.set_random_seed(seed)
