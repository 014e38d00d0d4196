"""Writing a file whole or not at all, with every way to fail one kind of error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from minidl.errors import DataFileError
from minidl.files import atomic_write


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """`atomic_write`, with a `DataFileError` that names `path` where it cannot be written: `path` is then as it was."""
    try:
        with atomic_write(path) as file:
            yield file
    except (OSError, ValueError, TypeError) as error:  # a path may have no name, a null character, or be no path
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataFileError(f"{path!s}: cannot be written: {reason}") from error
