"""Every error the library raises on purpose, and the sentences they share.

Each derives from `MiniDLError` and from the built-in that fits, so that both `except MiniDLError` and
`except ValueError` do what their reader expects.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")

# Where minidl's own code is, and what stands between two pieces of it where a context decorates a function.
_OWN = (os.path.dirname(__file__) + os.sep, contextlib.__file__)


class MiniDLError(Exception):
    """The base of all errors raised by minidl."""


class ArgumentError(MiniDLError, ValueError):
    """An argument has a value that makes no sense here."""


class ShapeError(MiniDLError, ValueError):
    """An array has another shape than the one expected."""


class DTypeError(MiniDLError, TypeError):
    """A value has another type than the one expected."""


class UnknownNameError(ArgumentError):
    """A string names nothing in the table it is looked up in."""


class NonFiniteError(MiniDLError, ValueError):
    """NaN or infinity where a finite number is needed."""


class NotBuiltError(MiniDLError, RuntimeError):
    """A layer or model is asked for something it only knows once its input shape is known."""


class NotCompiledError(MiniDLError, RuntimeError):
    """A model is asked to train or evaluate before `compile`."""


class AbstractMethodError(MiniDLError, NotImplementedError):
    """A subclass lacks a method that it must define."""


class NotDifferentiableError(MiniDLError, TypeError):
    """A derivative was asked for where none exists."""


class GraphError(MiniDLError, RuntimeError):
    """The graph of operations cannot be walked backwards as asked."""


class SymbolicError(MiniDLError, TypeError):
    """The values of a symbolic tensor are asked for: it has none until the model that it is part of is called."""

    def __init__(self, message: str, tensor: Any = None) -> None:
        super().__init__(message)
        self.tensor = tensor


class RemovedNameError(MiniDLError, AttributeError):
    """A name of an older Keras that has no counterpart here; the message says what to use in its place."""


class GradcheckError(MiniDLError, AssertionError):
    """A derivative disagrees with its numerical measurement."""


class DataFileError(MiniDLError, ValueError):
    """A file is truncated, corrupt or not what its name promises."""


class DataNotFoundError(MiniDLError, FileNotFoundError):
    """A data set or file is in none of the places that were searched."""


class MissingExtraError(MiniDLError, ImportError):
    """An optional package is needed and not installed."""


class MiniDLWarning(UserWarning):
    """The category of every warning minidl gives."""


def warn_old_name(old: str, new: str) -> None:
    """Say, once for each place of the caller's code that uses it, that `old` works and is called `new` today."""
    warn_caller(f"{old} is an old spelling, which works; today it is {new}")


def warn_caller(message: str) -> None:
    """Warn of what the code that called minidl does: of its line, however deep inside of minidl that is noticed."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, MiniDLWarning, stacklevel=level)


def unknown_name(kind: str, name: object, names: Iterable[str]) -> UnknownNameError:
    """The error for a `name` that is none of `names`, with the nearest ones."""
    known = sorted(names)
    # Whatever the case; of "mse" and "MSE" the former.
    spelled = {n.lower(): n for n in known}
    nearest = [spelled[n] for n in difflib.get_close_matches(str(name).lower(), spelled, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(repr(n) for n in nearest)}?" if nearest else f"known are: {', '.join(known)}"
    return UnknownNameError(f"Unknown {kind} {name!r}: {hint}")


def look_up(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of `table` under `name`, or an `UnknownNameError` that lists the nearest names."""
    if name in table:
        return table[name]
    raise unknown_name(kind, name, table)


def removed_name(owner: str, name: str, advice: Mapping[str, str]) -> AttributeError:
    """The error for a `name` that `owner` lacks: with advice if an older Keras had it."""
    if name in advice:
        return RemovedNameError(f"{owner} has no {name!r} any more: {advice[name]}")
    return AttributeError(f"{owner} has no attribute {name!r}")


def require(package: str, extra: str) -> ModuleType:
    """Import the optional `package`, or raise one line that names the pip command of its `extra`."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtraError(
            f"this needs the package {package.partition('.')[0]!r}: pip install \"minidl[{extra}]\""
        ) from None
