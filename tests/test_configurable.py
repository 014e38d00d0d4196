"""One rule, each argument is an attribute, and what follows from it."""

import pytest

from minidl.configurable import Configurable, snake_case
from minidl.errors import ArgumentError


class Base(Configurable):
    def __init__(self, name=None, scale=1.0):
        self.name = name or snake_case(type(self).__name__)
        self.scale = scale


class Thing(Base):
    def __init__(self, size, *, color="red", **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.color = color


def test_the_config_has_all_arguments_also_those_passed_on():
    assert Thing(3, scale=2.0).get_config() == {"size": 3, "color": "red", "name": "thing", "scale": 2.0}


def test_it_makes_another_of_the_same():
    thing = Thing(3, color="blue", name="mine")
    again = Thing.from_config(thing.get_config())
    assert again is not thing
    assert again.get_config() == thing.get_config()


def test_repr_shows_what_is_not_the_default():
    assert repr(Thing(3)) == "Thing(size=3)"
    assert repr(Thing(3, color="blue", name="mine")) == "Thing(size=3, color='blue', name='mine')"


def test_an_argument_without_attribute_is_an_error_that_says_what_to_do():
    class Forgetful(Configurable):
        def __init__(self, size):
            pass

    with pytest.raises(ArgumentError, match="keeps no attribute for its argument size: set an attribute of"):
        Forgetful(1).get_config()
    assert repr(Forgetful(1)) == "Forgetful()"


def test_a_config_that_does_not_fit_is_an_error():
    with pytest.raises(ArgumentError, match="Thing: cannot be made from the config"):
        Thing.from_config({"size": 1, "weight": 2})
    with pytest.raises(ArgumentError, match="missing 1 required positional argument: 'size'"):
        Thing.from_config({})


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Activation", "activation"), ("BatchNormalization", "batch_normalization"), ("Dense", "dense"),
        ("Dropout", "dropout"), ("ELU", "elu"), ("Flatten", "flatten"), ("InputLayer", "input_layer"),
        ("LeakyReLU", "leaky_re_lu"), ("PReLU", "p_re_lu"), ("ReLU", "re_lu"), ("Reshape", "reshape"),
        ("Softmax", "softmax"), ("AlphaDropout", "alpha_dropout"), ("Conv2D", "conv2d"), ("Sequential", "sequential"),
        ("MyLayer2", "my_layer2"), ("RReLU", "r_re_lu"), ("_Private", "__private"),
    ],
)  # fmt: skip
def test_of_classes_in_snake_case(name, snake):
    assert snake_case(name) == snake
