"""Callbacks: what is told of every step of training, and may look, write down, or stop it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from minidl.errors import ArgumentError

Logs = dict[str, Any]


class Callback:
    """The base of all callbacks; override the hooks you need.

    `fit` calls, in this order: on_train_begin; in every epoch on_epoch_begin, for every batch on_train_batch_begin and
    on_train_batch_end, for the validation on_test_begin, on_test_batch_begin, on_test_batch_end and on_test_end, then
    on_epoch_end; and at last on_train_end. `evaluate` calls the test hooks, `predict` the predict hooks. `epoch` and
    `batch` count from 0. `logs` has the running means of the loss and metrics, those of the validation with "val_"
    before their names. `self.model` is the model; `self.model.stop_training = True` ends training after the epoch.

    A callback that counts or compares names in `remembers` the attributes that it does so with: numbers, strings,
    arrays, None, or lists of these. `get_state` and `set_state` then carry them into a training that goes on.
    """

    model: Any = None
    params: Logs
    remembers: tuple[str, ...] = ()

    def set_model(self, model: Any) -> None:
        """Called first, with the model to watch."""
        self.model = model

    def set_params(self, params: Logs) -> None:
        """Called first, with {"verbose", "epochs", "steps"}."""
        self.params = params

    def get_state(self) -> Logs:
        """What the callback must know to go on later: plain values and arrays, copied."""
        return {name: copy.deepcopy(getattr(self, name)) for name in self.remembers}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave; a training that goes on says so after `on_train_begin`."""
        if state.keys() != set(self.remembers):
            expected = ", ".join(self.remembers) or "nothing"
            raise ArgumentError(
                f"{type(self).__name__}: expected a state with {expected}, got one with {', '.join(state) or 'nothing'}"
            )
        for name, value in state.items():
            setattr(self, name, copy.deepcopy(value))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before the first batch of an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After the validation of an epoch."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of on_train_batch_begin."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of on_train_batch_end."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a gradient step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a gradient step."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After the last batch of an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After the last batch of a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of a prediction."""


class CallbackList:
    """Several callbacks told of everything in their order: `callbacks("on_epoch_end", epoch, logs)`."""

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: Logs) -> None:
        self._callbacks = list(callbacks)
        for callback in self._callbacks:
            if not isinstance(callback, Callback):
                hint = ": make an instance of it" if isinstance(callback, type) else ""
                raise ArgumentError(f"callbacks: expected Callback objects, got {callback!r}{hint}")
        for callback in self._callbacks:
            callback.set_params(params)
            callback.set_model(model)

    def __call__(self, hook: str, *args: Any) -> None:
        """Call this hook of every callback."""
        for call in self.hook(hook):
            call(*args)

    def get_states(self) -> dict[str, Any]:
        """What the callbacks remember, by the name of the class, numbered if there are more."""
        return {name: callback.get_state() for name, callback in self._by_name().items()}

    def set_states(self, states: Mapping[str, Any]) -> None:
        """Let the callbacks go on with what `get_states` gave; one without a state there begins anew."""
        for name, callback in self._by_name().items():
            if name in states:
                callback.set_state(states[name])

    def _by_name(self) -> dict[str, Callback]:
        """Of one class, the first is called "EarlyStopping", the second "EarlyStopping_1"."""
        names = [type(callback).__name__ for callback in self._callbacks]
        before = [names[:k].count(name) for k, name in enumerate(names)]
        return {f"{n}_{k}" if k else n: c for n, k, c in zip(names, before, self._callbacks, strict=True)}

    def hook(self, name: str) -> list[Callable[..., None]]:
        """This hook of every callback that does something there."""
        return [getattr(callback, name) for callback in self._callbacks if _overrides(callback, name)]


# The hooks that call another one.
_CALLED = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


def _overrides(callback: Callback, name: str) -> bool:
    """Whether a hook is more than that of the base class, which does nothing."""
    names = (name, _CALLED.get(name, name))
    return any(getattr(getattr(callback, n), "__func__", None) is not getattr(Callback, n) for n in names)


def as_callbacks(callbacks: Callback | Iterable[Callback] | None) -> list[Callback]:
    """One callback, several or none as a list."""
    if callbacks is None:
        return []
    return [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
