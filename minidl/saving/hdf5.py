"""HDF5 files, in which Keras keeps weights: named arrays in groups that may have attributes. Needs the package h5py.

An HDF5 file can refer to other files, compress gigabytes into a few bytes, and contain itself. Of all that nothing is
followed: what is read is groups with text, and arrays of numbers that together are no larger than the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from minidl.errors import DataFileError, require
from minidl.memory import Array

# Attributes, by their names, of each group, by its path; the outermost group is "".
Attributes = dict[str, dict[str, Any]]

# A list in an attribute has room for this many strings: there is a limit of 64 KiB, of which each takes 16 bytes.
_LIST = 3000
_MAX_TEXT = 1 << 24
_PIECE = 1 << 22
_HEAP = b"GCOL\x01\0\0\0"


def write_hdf5(file: IO[bytes], arrays: Mapping[str, Array], attributes: Attributes) -> None:
    """Write the arrays, by their paths, and the groups that have these attributes, to the open `file`."""
    h5py = require("h5py", "keras")
    with h5py.File(file, "w", track_order=False) as root:
        for path, found in attributes.items():
            group = root.require_group(path) if path else root
            for name, value in found.items():
                _write_attribute(h5py, group, name, value)
        for path, array in arrays.items():
            root.create_dataset(path, data=np.asarray(array), track_times=False)


def _write_attribute(h5py: Any, group: Any, name: str, value: str | list[str]) -> None:
    """A text, or a list of texts; of a longer list the parts have numbers behind their names, as Keras has them."""
    text = h5py.string_dtype()
    if isinstance(value, str):
        group.attrs.create(name, value, dtype=text)
        return
    parts = [value[k : k + _LIST] for k in range(0, len(value), _LIST)] or [[]]
    for k, part in enumerate(parts):
        group.attrs.create(name if len(parts) == 1 else f"{name}{k}", np.array(part, dtype=object), dtype=text)


def read_hdf5(file: IO[bytes], size: int, name: str) -> tuple[dict[str, Array], Attributes]:
    """The arrays and the attributes in the open `file` of `size` bytes; a `DataFileError` begins with `name`."""
    h5py = require("h5py", "keras")
    try:
        _check_heaps(file, name)
        file.seek(0)
        with h5py.File(file, "r") as root:
            return _Reader(h5py, size, name).read(root)
    except (DataFileError, MemoryError):
        raise
    except Exception as error:  # h5py fails on hostile files in more ways than it documents
        reason = str(error) or type(error).__name__
        raise DataFileError(f"{name}: a truncated or damaged HDF5 file: {reason}") from error


def _check_heaps(file: IO[bytes], name: str) -> None:
    """An error for a heap, where texts are kept, that would keep the library of HDF5 busy without end."""
    file.seek(0)
    start = file.read(16)
    sizes = start[13:15] if start[8:9] in (b"\0", b"\1") else start[9:11]
    if sizes != b"\x08\x08":
        raise DataFileError(f"{name}: a truncated or damaged HDF5 file: its numbers are not of 8 bytes")
    begin = 0
    while True:
        file.seek(begin)
        piece = file.read(_PIECE)
        place = piece.find(_HEAP)
        while place >= 0:
            file.seek(begin + place)
            length = int.from_bytes(file.read(16)[8:], "little")
            _check_heap(file.read(min(max(length, 16), _MAX_TEXT) - 16), name)
            place = piece.find(_HEAP, place + 1)
        if len(piece) < _PIECE:
            return
        begin += len(piece) - len(_HEAP)


def _check_heap(heap: bytes, name: str) -> None:
    """Go through the entries of a heap: a number, a count, the length of what follows.

    Entry 0 is the free space, and its length is that of all of it: were it 0, the next entry would be the same again.
    """
    at = 0
    while at + 16 <= len(heap):
        number, length = (int.from_bytes(heap[at + k : at + k + n], "little") for k, n in ((0, 2), (8, 8)))
        step = 16 + length + -length % 8 if number else length
        if not step or at + step > len(heap):
            raise DataFileError(f"{name}: a truncated or damaged HDF5 file: a text of {length:,} bytes in its heap")
        at += step


class _Reader:
    """Reads a file from the outermost group on, and keeps count of what it claims to hold."""

    def __init__(self, h5py: Any, size: int, name: str) -> None:
        self._h5py, self._left, self._size, self._name = h5py, size, size, name
        self._seen: set[Any] = set()
        self._arrays: dict[str, Array] = {}
        self._attributes: Attributes = {}

    def read(self, root: Any) -> tuple[dict[str, Array], Attributes]:
        pending = [("", root)]
        found: dict[str, Any] = {}
        while pending:
            path, item = pending.pop()
            self._check_new(path, item)
            if isinstance(item, self._h5py.Dataset):
                self._check_array(path, item)
                found[path] = item
                continue
            if not isinstance(item, self._h5py.Group):
                raise DataFileError(f"{self._where(path)} is a {type(item).__name__}, expected groups and arrays")
            self._attributes[path] = self._read_attributes(path, item)
            for name in item:
                inside = f"{path}/{name}".lstrip("/")
                link = item.get(name, getlink=True)
                if not isinstance(link, self._h5py.HardLink):
                    raise DataFileError(f"{self._where(inside)} is a link to somewhere else, which is not followed")
                pending.append((inside, item[name]))
        # Only now is there any memory needed, for what has been found to be in the file.
        for path in sorted(found):
            array = np.empty(found[path].shape, found[path].dtype.newbyteorder("="))
            if array.size:
                found[path].read_direct(array)
            self._arrays[path] = array
        return self._arrays, self._attributes

    def _where(self, path: str) -> str:
        return f"{self._name}: {path!r:.200}"

    def _spend(self, path: str, nbytes: int) -> None:
        self._left -= nbytes
        if self._left < 0:
            raise DataFileError(f"{self._where(path)} claims more bytes than the {self._size:,} of the file")

    def _check_new(self, path: str, item: Any) -> None:
        address = self._h5py.h5o.get_info(item.id).addr
        if address in self._seen:
            raise DataFileError(f"{self._where(path)} is in the file twice")
        self._seen.add(address)

    def _check_array(self, path: str, item: Any) -> None:
        if item.shape is None or item.dtype.kind not in "fiub" or item.dtype.itemsize > 8:
            raise DataFileError(f"{self._where(path)} is of dtype {item.dtype}, expected numbers of up to 8 bytes")
        if item.is_virtual or item.external:
            raise DataFileError(f"{self._where(path)} is in another file, which is not opened")
        self._spend(path, item.size * item.dtype.itemsize)

    def _read_attributes(self, path: str, item: Any) -> dict[str, Any]:
        found = {}
        for name in item.attrs:
            info = item.attrs.get_id(name)
            string = self._h5py.check_string_dtype(info.dtype)
            count = int(np.prod(info.shape, dtype=object))
            if string is None and count:
                continue  # Keras has text only
            self._spend(path, count * (string.length or 1 if string else 1))
            if not info.shape and string is not None and (string.length or 0) > _MAX_TEXT:
                raise DataFileError(f"{self._where(path)}: its attribute {name!r:.80} is too long")
            value = item.attrs[name] if count else []
            found[name] = _text(value) if np.ndim(value) == 0 else [_text(part) for part in np.ravel(value)]
        return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def listed(attributes: Mapping[str, Any], name: str) -> list[str]:
    """The list of texts in an attribute, which may be in parts; empty if there is none."""
    parts = [attributes[name]] if name in attributes else []
    while f"{name}{len(parts)}" in attributes:
        parts.append(attributes[f"{name}{len(parts)}"])
    return [text for part in parts for text in ([part] if isinstance(part, str) else part)]
