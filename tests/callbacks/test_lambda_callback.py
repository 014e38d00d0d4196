"""`LambdaCallback`: every hook by its name."""

import pytest

from minidl.callbacks import Callback, LambdaCallback
from minidl.errors import ArgumentError, UnknownNameError

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


def test_there_are_all_hooks():
    assert len(HOOKS) == 16


@pytest.mark.parametrize("hook", HOOKS)
def test_a_function_is_called_with_what_the_hook_is_told(model, x, y, hook):
    """The same as a subclass sees, in fit, evaluate and predict."""
    seen, expected = [], []
    by_hand = type("ByHand", (Callback,), {hook: lambda self, *args: expected.append(args)})()
    callbacks = [by_hand, LambdaCallback(**{hook: lambda *args: seen.append(args)})]
    model.fit(x, y, batch_size=5, validation_data=(x, y), callbacks=callbacks, verbose=0)
    model.evaluate(x, y, callbacks=callbacks, verbose=0)
    model.predict(x, callbacks=callbacks, verbose=0)
    assert len(seen) == len(expected) > 0
    for got, wanted in zip(seen, expected, strict=True):
        # Each is told of the begin of a batch with an empty dictionary of its own.
        assert all(a is b or a == b == {} for a, b in zip(got, wanted, strict=True))


def test_a_hook_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="Unknown hook of LambdaCallback 'on_epoch_ends': did you mean"):
        LambdaCallback(on_epoch_ends=print)


def test_what_is_no_function():
    with pytest.raises(ArgumentError, match="LambdaCallback: expected a function as on_train_end, got 3"):
        LambdaCallback(on_train_end=3)
    LambdaCallback(on_train_end=None)
