"""Every error the library raises on purpose, and the sentences they share.

Each derives from `MiniDLError` and from the built-in that fits, so that both `except MiniDLError` and
`except ValueError` do what their reader expects.
"""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


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


def warn_old_name(old: str, new: str, stacklevel: int = 3) -> None:
    """Say, once for each place that uses it, that `old` works and is called `new` today.

    The place is so many frames up: by default where what calls this was called.
    """
    warnings.warn(f"{old} is an old spelling, which works; today it is {new}", MiniDLWarning, stacklevel=stacklevel)


def unknown_name(kind: str, name: object, names: Iterable[str]) -> UnknownNameError:
    """The error for a `name` that is none of `names`, with the nearest ones."""
    known = sorted(names)
    nearest = difflib.get_close_matches(str(name).lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(n) for n in nearest)}?" if nearest else f"known are: {', '.join(known)}"
    return UnknownNameError(f"Unknown {kind} {name!r}: {hint}")


def look_up(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of `table` under `name`, or an `UnknownNameError` that lists the nearest names."""
    if name in table:
        return table[name]
    raise unknown_name(kind, name, table)


def require(package: str, extra: str) -> ModuleType:
    """Import the optional `package`, or raise one line that names the pip command of its `extra`."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtraError(
            f"this needs the package {package.partition('.')[0]!r}: pip install \"minidl[{extra}]\""
        ) from None
