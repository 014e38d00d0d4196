"""The .npz file of NumPy as named arrays: read without pickle, and without believing what its headers claim."""

from __future__ import annotations

import os
import zipfile
from typing import IO, Any

import numpy as np

from minidl.errors import DataFileError
from minidl.memory import Array
from minidl.saving.opening import opened


def read_npz(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays in the .npz file `path`, by their names; a `DataFileError` says what is wrong with the file.

    Python objects, which are pickled, are refused, and so is an array larger than its member of the file.
    """
    with opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
                return {name: _member(archive, info, f"{path}: {name}") for name, info in members.items()}
        except (DataFileError, MemoryError):
            raise
        except Exception as error:  # zipfile and numpy fail on hostile files in many ways
            raise DataFileError(f"{path}: no .npz file of numbers: {str(error) or type(error).__name__}") from error


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Array:
    """One array, once its header has been found to fit the size of the member."""
    with archive.open(info) as member:
        shape, dtype = _header(member)
        if dtype.hasobject:
            raise DataFileError(f"{name} has Python objects, which are never read")
        if np.prod(shape, dtype=object) * dtype.itemsize > info.file_size:
            raise DataFileError(f"{name} claims the shape {shape} in {info.file_size:,} bytes")
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and the dtype that an array claims to have."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    return shape, dtype
