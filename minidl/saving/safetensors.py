"""The safetensors format: named arrays in a file that many libraries read and that cannot run code.

A file is the length of its header (8 bytes, little-endian), the header, and the elements of all arrays in C order,
little-endian, one array after the other without gaps. The header is JSON, padded with spaces:

    {"dense/kernel": {"dtype": "F32", "shape": [784, 300], "data_offsets": [0, 940800]}, ...}

`data_offsets` are the first byte and the one past the last, counted from the end of the header. A key `__metadata__`
may hold a dict of strings. (Format description: https://github.com/huggingface/safetensors)

Nothing a header says is believed: all of it is checked against the size of the file before any array is made.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from minidl.errors import ArgumentError, DataFileError, DTypeError
from minidl.memory import Array, Shape
from minidl.saving import plain_json

_METADATA = "__metadata__"
_DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1", "U16": "<u2", "U32": "<u4", "U64": "<u8",
    "I8": "|i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
    "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _DTYPES.items()}

# What NumPy can address.
_MAX_NDIM = 64
_MAX_SIZE = 2**63 - 1

# Elements are read in pieces, so that no array is ever in memory twice.
_PIECE = 1 << 20


def dump(arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """The safetensors file that holds `arrays`, in their order, and `metadata`."""
    return b"".join(pieces(arrays, metadata))


def pieces(arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> list[bytes | memoryview]:
    """The parts of the file that `dump` gives, for `file.writelines`; arrays are copied only where they must be.

    `DTypeError` for what is no array or has a dtype the format lacks, `ArgumentError` for names it cannot hold.
    """
    header: dict[str, object] = {} if metadata is None else {_METADATA: _checked_metadata(metadata)}
    codes = {name: _code(name, array) for name, array in arrays.items()}
    # The largest elements first, so that each array is aligned for those who map the file into memory.
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    offsets, end = {}, 0
    for name in order:
        offsets[name] = [end, end := end + arrays[name].nbytes]
    for name, array in arrays.items():
        header[name] = {"dtype": codes[name], "shape": list(array.shape), "data_offsets": offsets[name]}
    text = plain_json.encode(header, "the header of the arrays")
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *(_elements(arrays[name]) for name in order)]


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not (_is_text(key) and _is_text(value)):
            raise DTypeError(f"metadata of safetensors is text to text, got {key!r}: {value!r}")
    return dict(metadata)


def _code(name: str, array: Array) -> str:
    """The word the format has for the dtype of `array`."""
    if not _is_text(name) or name == _METADATA:
        raise ArgumentError(f"safetensors cannot hold an array named {name!r}: expected text other than {_METADATA!r}")
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"array {name!r}: expected a NumPy array, got a {type(array).__name__}")
    if (code := _CODES.get(array.dtype.newbyteorder("<").str)) is None:
        raise DTypeError(f"array {name!r}: safetensors has bool, integers and float16/32/64, but no {array.dtype}")
    return code


def _is_text(value: object) -> bool:
    """Whether `value` is a string that UTF-8 can encode: a lone surrogate cannot be."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _elements(array: Array) -> memoryview:
    little = np.asarray(array, array.dtype.newbyteorder("<"))
    return little.ravel().view(np.uint8).data


def load(data: bytes, name: str = "safetensors data") -> dict[str, Array]:
    """The arrays in the safetensors file with the content `data`, in the order of its header, each writable.

    A `DataFileError` begins with `name` and says what is wrong with it.
    """
    return read(io.BytesIO(data), len(data), name)


def read(file: IO[bytes], size: int, name: str) -> dict[str, Array]:
    """The arrays in the open `file`, whose remaining `size` bytes are safetensors; errors as those of `load`."""
    header, body_size = _read_header(file, size, name)
    entries = {key: _entry(info, f"{name}: array {key!r:.80}") for key, info in header.items()}
    order = sorted(entries, key=lambda key: entries[key][:2])
    end = 0
    for key in order:
        if entries[key].begin != end:
            raise DataFileError(f"{name}: array {key!r:.80} begins at {entries[key].begin:,} where {end:,} is next")
        end = entries[key].end
    if end != body_size:
        raise DataFileError(f"{name}: has {body_size:,} bytes of elements, its arrays need {end:,}")
    arrays = {key: _read_array(file, entries[key], name) for key in order}
    return {key: arrays[key] for key in entries}


class _Entry(NamedTuple):
    """What the header says about one array."""

    begin: int
    end: int
    dtype: npt.DTypeLike
    shape: Shape


def _read_header(file: IO[bytes], size: int, name: str) -> tuple[dict[str, object], int]:
    """The header without its metadata, and the number of bytes that follow it."""
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise DataFileError(f"{name}: its header has {length:,} bytes, the file {size:,}: truncated or not safetensors")
    if length > plain_json.MAX_BYTES:
        raise DataFileError(f"{name}: its header has {length:,} bytes, at most {plain_json.MAX_BYTES:,} are read")
    header = plain_json.decode(file.read(length), f"{name}: header")
    if not isinstance(header, dict):
        raise DataFileError(f"{name}: its header is a {type(header).__name__}, expected a dict of arrays")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(map(_is_text, [*metadata, *metadata.values()])):
        raise DataFileError(f"{name}: its {_METADATA} is not text to text")
    if not all(map(_is_text, header)):
        raise DataFileError(f"{name}: the name of an array is not valid Unicode")
    return header, size - 8 - length


def _entry(info: object, where: str) -> _Entry:
    if not isinstance(info, dict) or info.keys() != {"dtype", "shape", "data_offsets"}:
        raise DataFileError(f"{where}: expected dtype, shape and data_offsets, got {info!r:.80}")
    code, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise DataFileError(f"{where}: its dtype is {code!r:.80}, known are: {', '.join(_DTYPES)}")
    if not _are_sizes(shape) or len(shape) > _MAX_NDIM:
        raise DataFileError(f"{where}: its shape is {shape!r:.80}, expected up to {_MAX_NDIM} integers ≥ 0")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise DataFileError(f"{where}: its data_offsets are {offsets!r:.80}, expected two integers ≥ 0")
    dtype = np.dtype(_DTYPES[code])
    nbytes = math.prod(shape) * dtype.itemsize
    # NumPy multiplies the other sizes even where one is 0.
    if math.prod(n or 1 for n in shape) * dtype.itemsize > _MAX_SIZE or offsets[1] - offsets[0] != nbytes:
        raise DataFileError(f"{where}: {code} of shape {shape!r:.80} does not fit its data_offsets {offsets}")
    return _Entry(offsets[0], offsets[1], dtype, tuple(shape))


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= _MAX_SIZE for n in value)


def _read_array(file: IO[bytes], entry: _Entry, name: str) -> Array:
    array: Array = np.empty(entry.shape, entry.dtype)
    view = array.reshape(-1).view(np.uint8).data
    for start in range(0, len(view), _PIECE):
        part = view[start : start + _PIECE]
        piece = file.read(len(part))
        if len(piece) != len(part):
            raise DataFileError(f"{name}: ends before the arrays that its header names")
        part[:] = piece
    return array.astype(array.dtype.newbyteorder("="), copy=False)
