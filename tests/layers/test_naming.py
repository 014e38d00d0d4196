"""Names are those of Keras."""

import numpy as np
import pytest

from minidl import layers
from minidl.configurable import snake_case
from minidl.layers import BatchNormalization, Dense, Input
from minidl.layers.naming import reset_names, unique_name


@pytest.fixture(autouse=True)
def fresh_names():
    reset_names()


def test_are_counted_by_class():
    names = [Dense(1).name, BatchNormalization().name, Dense(1).name, Dense(1, name="output").name, Dense(1).name]
    assert names == ["dense", "batch_normalization", "dense_1", "output", "dense_2"]
    assert Input((2,)).name == "input_layer"
    reset_names()
    assert Dense(1).name == "dense"


def test_every_public_layer_starts_with_the_name_of_its_class():
    arguments = {
        "Dense": {"units": 1},
        **{kind: {"rate": 0.5} for kind in layers.__all__ if "Dropout" in kind},
        "Lambda": {"function": abs},
        "Reshape": {"target_shape": (1,)},
        "Activation": {"activation": "relu"},
        "InputLayer": {"shape": (1,)},
        "Normalization": {"mean": 0.0, "variance": 1.0},
        "Permute": {"dims": (1,)},
        "RandomZoom": {"height_factor": 0.5},
    }
    kinds = [k for k in map(vars(layers).get, layers.__all__) if isinstance(k, type) and issubclass(k, layers.Layer)]
    # Some have a second name.
    for kind in dict.fromkeys(kinds):
        needed = [name for name, p in kind.arguments().items() if p.default is p.empty]
        assert kind(**arguments.get(kind.__name__, dict.fromkeys(needed, 1))).name == snake_case(kind.__name__)


def test_unique_name():
    assert [unique_name("a"), unique_name("b"), unique_name("a"), unique_name("a")] == ["a", "b", "a_1", "a_2"]


def test_variables_have_a_name_and_a_path():
    dense, normalization = Dense(2), BatchNormalization(name="bn")
    dense(np.ones((1, 3)))
    normalization(np.ones((1, 3)))
    assert [v.name for v in dense.weights] == ["kernel", "bias"]
    assert [v.path for v in dense.weights] == ["dense/kernel", "dense/bias"]
    assert [v.path for v in normalization.weights] == ["bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance"]
