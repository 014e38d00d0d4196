"""The .minidl file: a zip archive of `config.json`, what a model is made of, and `weights.safetensors`, its arrays.

`config.json` is `{"format_version": 1, "config": {...}}`; what stands there of a model and its training is described in
`minidl.models.state`, and the names of the arrays are those of `minidl.models.files`. Both members are stored, not
compressed: weights are noise that does not shrink, the bytes are the same on every machine, and no member can be larger
than the file it came in.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

from minidl.errors import DataFileError, DTypeError
from minidl.memory import Array
from minidl.saving import plain_json, safetensors
from minidl.saving.opening import opened, written

_VERSION = 1
_CONFIG = "config.json"
_WEIGHTS = "weights.safetensors"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_KINDS = {
    _HDF5: "an HDF5 file, as Keras's .h5 files are",
    b"\x93NUMPY": "a .npy file of NumPy",
    b"\x1f\x8b": "a file compressed with gzip",
    **{bytes([0x80, protocol]): "a pickle, which is never opened" for protocol in range(2, 6)},
}


def write_archive(path: str | os.PathLike[str], config: dict[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write the .minidl file `path`, whole or not at all; equal arguments give equal bytes.

    `config` is plain JSON (dict, list, str, int, finite float, bool, None) and is read back equal; `arrays` are bool,
    integers or float16/32/64. An error about either comes before anything is written.
    """
    if type(config) is not dict:
        raise DTypeError(f"config: expected a dict, got a {type(config).__name__}")
    write_members(path, {
        _CONFIG: [plain_json.encode({"format_version": _VERSION, "config": config}, _CONFIG)],
        _WEIGHTS: safetensors.pieces(arrays),
    })  # fmt: skip


def write_members(path: str | os.PathLike[str], members: Mapping[str, Sequence[bytes | memoryview]]) -> None:
    """Write a zip archive of these members, each given in pieces, to `path`, whole or not at all."""
    with written(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, pieces in members.items():
            info = zipfile.ZipInfo(name)  # dated 1980, where zip's calendar begins
            info.create_system = 3  # Unix, wherever it is written
            info.file_size = sum(len(piece) for piece in pieces)  # beyond 2 GiB, it needs other headers
            with archive.open(info, "w") as member:
                member.writelines(pieces)


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """The config and the arrays in the .minidl file `path`.

    `DataNotFoundError` where there is none; a `DataFileError` says what is wrong with the file, or what it is instead.
    """
    with opened(path) as file:
        try:
            return _read(file, str(path))
        except (DataFileError, MemoryError):
            raise
        except Exception as error:  # zipfile fails on hostile files in more ways than it documents
            raise DataFileError(f"{path}: truncated or damaged: {str(error) or type(error).__name__}") from error


def read_members(path: str | os.PathLike[str], limits: Mapping[str, int | None]) -> dict[str, bytes]:
    """The members of the zip archive `path` with these names, none of them longer than its limit; errors as above."""
    with opened(path) as file:
        try:
            size = file.seek(0, os.SEEK_END)
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                if any(names.count(name) != 1 for name in limits):
                    raise DataFileError(f"{path}: expected the members {', '.join(limits)}, got {names!r:.80}")
                return {name: _read_member(archive, name, size, limit, str(path)) for name, limit in limits.items()}
        except (DataFileError, MemoryError):
            raise
        except Exception as error:  # as above
            raise DataFileError(f"{path}: truncated or damaged: {str(error) or type(error).__name__}") from error


def _read_member(archive: zipfile.ZipFile, member: str, size: int, limit: int | None, path: str) -> bytes:
    file, length, name = _open(archive, member, size, path)
    if limit is not None and length > limit:
        raise DataFileError(f"{name}: has {length:,} bytes, at most {limit:,} are read")
    return file.read()


def kind_of(path: str | os.PathLike[str]) -> str:
    """What the file `path` is by its content: "minidl", "keras" (a .keras archive) or "hdf5".

    `DataNotFoundError` where there is none; a `DataFileError` says what it is if it is none of these.
    """
    with opened(path) as file:
        start = file.read(16)
        if start.startswith(_HDF5):
            return "hdf5"
        try:
            names = zipfile.ZipFile(file).namelist() if start.startswith(_ZIP) else []
        except Exception as error:  # as above
            raise DataFileError(f"{path}: truncated or damaged: {str(error) or type(error).__name__}") from error
    return "keras" if "model.weights.h5" in names else "minidl"


def _read(file: IO[bytes], name: str) -> tuple[dict[str, Any], dict[str, Array]]:
    start = file.read(16)
    if not start.startswith(_ZIP):
        raise DataFileError(f"{name}: {_kind(start)}, not a .minidl file")
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if _CONFIG not in names or "model.weights.h5" in names:
            raise DataFileError(f"{name}: {_kind_of_zip(names)}, not a .minidl file")
        # The version comes before anything that another version may have changed.
        config = _read_config(*_open(archive, _CONFIG, size, name))
        if sorted(names) != [_CONFIG, _WEIGHTS]:
            raise DataFileError(f"{name}: expected the members {_CONFIG} and {_WEIGHTS}, got {names!r:.80}")
        return config, safetensors.read(*_open(archive, _WEIGHTS, size, name))


def _kind(start: bytes) -> str:
    """What a file is that begins with `start`."""
    for magic, kind in _KINDS.items():
        if start.startswith(magic):
            return kind
    if start[8:9] == b"{":
        return "a safetensors file"
    return f"a file that begins with {start.hex(' ')}" if start else "an empty file"


def _kind_of_zip(names: list[str]) -> str:
    """What a zip archive is that has members with these `names`."""
    if "model.weights.h5" in names:
        return "a .keras archive"
    if any(name.endswith("/data.pkl") for name in names):
        return "a PyTorch checkpoint"
    return "a .npz file of NumPy" if any(name.endswith(".npy") for name in names) else "another zip archive"


def _open(archive: zipfile.ZipFile, member: str, size: int, name: str) -> tuple[IO[bytes], int, str]:
    """The open `member`, its size, and its name in errors, if it fits into a file of `size` bytes."""
    info, name = archive.getinfo(member), f"{name}: {member}"
    if info.compress_type != zipfile.ZIP_STORED:
        raise DataFileError(f"{name}: is compressed, expected it stored as it is")
    if not info.file_size == info.compress_size <= size:
        raise DataFileError(f"{name}: claims {info.file_size:,} bytes in a file of {size:,}")
    return archive.open(info), info.file_size, name


def _read_config(file: IO[bytes], size: int, name: str) -> dict[str, Any]:
    if size > plain_json.MAX_BYTES:
        raise DataFileError(f"{name}: has {size:,} bytes, at most {plain_json.MAX_BYTES:,} are read")
    content = plain_json.decode(file.read(size), name)
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is int and version > _VERSION:
        raise DataFileError(f"{name}: is in format {version!r:.20}, this minidl reads {_VERSION}: upgrade minidl")
    if type(version) is not int or version != _VERSION or not isinstance(config := content.get("config"), dict):
        raise DataFileError(f"{name}: expected format_version {_VERSION} and a config, got {content!r:.80}")
    return config
