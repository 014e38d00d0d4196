"""Opening data files, compressed or not, so that every way they can be broken is one kind of error."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidl.errors import DataFileError

_GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def opened(source: Path | bytes, name: str) -> Iterator[io.BufferedIOBase]:
    """The file `source`, or bytes that are already in memory, for reading, unpacked when compressed with gzip.

    What the file begins with decides, not its ending: browsers and package builders change the one without the other.
    Read to the end to have gzip check its own sum. An unreadable, truncated or corrupt file is a `DataFileError` that
    begins with `name`.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if packed else file
    except DataFileError:
        raise
    except Exception as error:  # gzip and tarfile fail on hostile files in more ways than they document
        raise DataFileError(f"{name}: cannot be read: {error or type(error).__name__}") from error


def sha256(*pieces: bytes | memoryview) -> str:
    """The SHA-256 of all pieces, one after the other, in hexadecimal."""
    import hashlib  # takes a while, and is needed only where data has come from elsewhere

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def check_length(content: bytes | bytearray, size: int, name: str, reason: str) -> None:
    """Raise a `DataFileError` unless `content` of the file `name` has `size` bytes, which `reason` explains."""
    if len(content) < size:
        raise DataFileError(f"{name}: ends after {len(content):,} of {size:,} bytes that {reason}")
    if len(content) > size:
        raise DataFileError(f"{name}: goes on after the {size:,} bytes that {reason}")
