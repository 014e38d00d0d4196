"""The IDX format, in which MNIST and its many successors are published.

An IDX file is a header and the elements of one array, row by row. The header has two zero bytes, the code of the
element type (8: unsigned bytes, the only one here), the number of dimensions, and each dimension as a big-endian 32-bit
integer. (LeCun, Cortes & Burges, "The MNIST database of handwritten digits".)
"""

from __future__ import annotations

import io
import math
import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minidl.datasets.reading import check_length, opened, sha256
from minidl.errors import DataFileError

_MAGIC = b"\0\0\x08"
_CHUNK = 1 << 24


def read(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """The array in the IDX file `path`, compressed with gzip or not; a `DataFileError` says what is wrong with it."""
    with opened(Path(path), str(path)) as file:
        return decode(file, str(path))


def decode(file: io.BufferedIOBase, name: str, expected: tuple[int, ...] | None = None) -> npt.NDArray[np.uint8]:
    """The array in the open IDX `file`, which has the shape `expected` if one is given; errors begin with `name`."""
    shape = _read_shape(file, name)
    if expected not in (None, shape):
        raise DataFileError(f"{name}: holds an array of shape {shape}, expected {expected}")
    body, size = bytearray(), math.prod(shape)
    # In chunks, so that a header that promises terabytes costs no more memory than the bytes that are there.
    while len(body) <= size and (chunk := file.read(_CHUNK)):
        body += chunk
    check_length(body, size, name, f"its shape {shape} needs")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_shape(file: io.BufferedIOBase, name: str) -> tuple[int, ...]:
    start = file.read(4)
    rank = start[3] if len(start) == 4 and start.startswith(_MAGIC) else 0
    sizes = file.read(4 * rank)
    shape = struct.unpack(f">{rank}I", sizes) if len(sizes) == 4 * rank else ()
    if not 1 <= rank <= 4 or not shape or 0 in shape:
        found = (start + sizes)[:16].hex(" ") or "nothing"
        raise DataFileError(f"{name}: not an IDX file of bytes: it begins with {found}")
    return shape


def content_sha256(array: npt.NDArray[np.uint8]) -> str:
    """The SHA-256 of the uncompressed IDX file that holds `array`, in hexadecimal, however the array was stored."""
    header = _MAGIC + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape)
    return sha256(header, np.ascontiguousarray(array).data)
