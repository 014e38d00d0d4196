"""The defaults that the whole library reads."""

import pytest

from minidl import config, threads
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


class TestThreads:
    def test_as_many_as_there_are_cores(self):
        assert config.num_threads() >= 1

    def test_can_be_set(self, monkeypatch):
        monkeypatch.setattr(config, "_num_threads", config._num_threads)
        before = config.num_threads()
        with threads.one_blas_thread:
            config.set_num_threads(1)
        assert config.num_threads() == 1
        assert all(library.get_num_threads() == 1 for library in threads._blas_libraries())
        config.set_num_threads(before)

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2", None])
    def test_are_at_least_one(self, wrong):
        before = config.num_threads()
        with pytest.raises(ArgumentError, match="set_num_threads: expected an integer ≥ 1"):
            config.set_num_threads(wrong)
        assert config.num_threads() == before


class TestExactConvolution:
    @pytest.fixture(autouse=True)
    def restored(self):
        yield
        config.set_exact_convolution(False)

    def test_is_off_unless_asked_for(self):
        assert not config.exact_convolution()
        config.set_exact_convolution(True)
        assert config.exact_convolution()

    @pytest.mark.parametrize("wrong", [0, 1, None, "yes"])
    def test_is_true_or_false(self, wrong):
        with pytest.raises(ArgumentError, match="set_exact_convolution: expected True or False"):
            config.set_exact_convolution(wrong)
