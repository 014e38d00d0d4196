"""`optimizers.legacy`, where TensorFlow kept those of Keras 2 for a while: they are the same as the others here."""

from __future__ import annotations

from minidl.errors import removed_name, warn_old_name

# Not the classes themselves: only names that are missing here are asked for below.
from minidl.optimizers import adagrad, adam, adamax, nadam, optimizer, rmsprop, sgd

_CLASSES = adagrad.Adagrad, adam.Adam, adamax.Adamax, nadam.Nadam, optimizer.Optimizer, rmsprop.RMSprop, sgd.SGD
_BY_NAME = {cls.__name__: cls for cls in _CLASSES}


def __getattr__(name: str) -> type[optimizer.Optimizer]:
    """An optimizer, with a warning that names where it is."""
    if name not in _BY_NAME:
        raise removed_name("optimizers.legacy", name, {})
    warn_old_name(f"optimizers.legacy.{name}", f"optimizers.{name}")
    return _BY_NAME[name]
