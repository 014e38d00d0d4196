"""Every error is a MiniDLError and the built-in that fits, and says what to do."""

import inspect

import numpy as np
import pytest

import minidl
from minidl import errors
from minidl.errors import MiniDLError, MissingExtraError, UnknownNameError, look_up, require, warn_old_name

NAMED = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MiniDLError)]
ERRORS = [kind for kind in NAMED if kind is not MiniDLError]


@pytest.mark.parametrize("error", ERRORS)
def test_each_is_also_a_builtin(error):
    builtin = (AttributeError, ValueError, TypeError, RuntimeError, AssertionError, ImportError, FileNotFoundError)
    assert issubclass(error, builtin)
    assert error.__doc__


def test_unknown_names_get_the_nearest():
    table = {"he_normal": 1, "he_uniform": 2, "zeros": 3}
    assert look_up("initializer", "zeros", table) == 3
    with pytest.raises(UnknownNameError, match="Unknown initializer 'he_norml': did you mean 'he_normal'"):
        look_up("initializer", "he_norml", table)
    with pytest.raises(UnknownNameError, match="known are: he_normal, he_uniform, zeros"):
        look_up("initializer", "qqq", table)


def test_a_missing_extra_is_one_line_with_the_command():
    with pytest.raises(MissingExtraError, match=r'^this needs the package .nowhere.: pip install "minidl\[plot\]"$'):
        require("nowhere.at.all", "plot")
    assert require("json", "plot").dumps([]) == "[]"


def test_an_old_name_warns_where_it_is_used():
    def library_function():
        warn_old_name("lr=", "learning_rate=")

    with pytest.warns(errors.MiniDLWarning, match="lr= is an old spelling, .* today it is learning_rate=") as got:
        library_function()
    assert got[0].filename == __file__


def test_a_warning_in_fit_names_the_line_that_called_fit():
    """`fit` is decorated, so that a frame of Python's own stands between it and its caller."""
    model = minidl.Sequential([minidl.layers.Dense(1)])
    model.compile("sgd", "mse")
    patience = minidl.callbacks.EarlyStopping(monitor="val_loss")
    with pytest.warns(errors.MiniDLWarning, match="val_loss") as got:
        model.fit(np.ones((4, 2), np.float32), np.ones(4), verbose=0, callbacks=[patience])
    assert got[0].filename == __file__
