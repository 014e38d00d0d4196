"""Opening files, with every way to fail one kind of error that names the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from minidl.errors import DataFileError, DataNotFoundError
from minidl.files import atomic_write

# ValueError: a path without a name, or with a null character; TypeError: no path at all.
_FAILURES = (OSError, ValueError, TypeError)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """The file `path`, for reading; `DataNotFoundError` if there is none, `DataFileError` if it cannot be opened."""
    try:
        file = open(Path(path), "rb")  # noqa: SIM115 (what the block raises is not translated)
    except FileNotFoundError:
        raise DataNotFoundError(f"{path}: no such file") from None
    except _FAILURES as error:
        raise DataFileError(f"{path}: cannot be read: {_reason(error)}") from error
    with file:
        yield file


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """`atomic_write`; a `DataFileError` says why `path` cannot be written, which is then as it was."""
    try:
        with atomic_write(path) as file:
            yield file
    except _FAILURES as error:
        raise DataFileError(f"{path}: cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str | Exception:
    """What went wrong, without the name of the file, which may be that of a temporary one."""
    return getattr(error, "strerror", None) or error
