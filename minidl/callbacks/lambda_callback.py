"""`LambdaCallback`: a callback made of functions, on the fly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl.callbacks.callback import Callback
from minidl.errors import ArgumentError, unknown_name

_HOOKS = frozenset(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """Calls a function in a hook: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))`.

    Every hook of `Callback` can be given by its name; its function takes what the hook takes, in the same order.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **others: Callable[..., Any] | None,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
            "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end, **others,
        }  # fmt: skip
        for name, function in given.items():
            if name not in _HOOKS:
                raise unknown_name("hook of LambdaCallback", name, _HOOKS)
            if function is None:
                continue
            if not callable(function):
                raise ArgumentError(f"LambdaCallback: expected a function as {name}, got {function!r}")
            setattr(self, name, function)
