"""The defaults that the whole library reads."""

import pytest

from minidl import config
from minidl.errors import ArgumentError


@pytest.fixture(autouse=True)
def restored():
    before = config.floatx(), config.epsilon()
    yield
    config.set_floatx(before[0])
    config.set_epsilon(before[1])


def test_the_defaults_are_those_of_keras():
    assert config.floatx() == "float32"
    assert config.epsilon() == 1e-7


def test_they_can_be_changed():
    config.set_floatx("float64")
    config.set_epsilon(1e-5)
    assert (config.floatx(), config.epsilon()) == ("float64", 1e-5)


@pytest.mark.parametrize("wrong", ["float", "float16", "int32", None, 32])
def test_only_float32_and_float64(wrong):
    with pytest.raises(ArgumentError, match="set_floatx: expected one of"):
        config.set_floatx(wrong)
    assert config.floatx() == "float32"


@pytest.mark.parametrize("wrong", [0, -1e-7, float("nan"), float("inf")])
def test_epsilon_is_positive(wrong):
    with pytest.raises(ArgumentError, match="set_epsilon: expected a small positive number"):
        config.set_epsilon(wrong)
    assert config.epsilon() == 1e-7
