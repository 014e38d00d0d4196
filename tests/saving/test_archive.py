"""The .minidl file: read back as it was written, the same bytes for the same model, and never trusted."""

import gzip
import json
import os
import pickle
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from minidl.errors import ArgumentError, DataFileError, DTypeError, NonFiniteError
from minidl.saving import plain_json, read_archive, safetensors, write_archive

CONFIG = {"name": "é", "layers": [{"units": 3, "rate": 0.1, "axis": None}, {"trainable": True, "seed": 2**100}]}
ARRAYS = {
    "dense/kernel": np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3),
    "dense/bias": np.zeros(3),
    "seed": np.array(7, np.uint64),
    "nothing": np.ones((0, 2), bool),
}


def is_the_model(config, arrays):
    return (
        repr(config) == repr(CONFIG)
        and list(arrays) == list(ARRAYS)
        and all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items())
        and all(arrays[name].dtype == array.dtype for name, array in ARRAYS.items())
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.minidl"


@pytest.fixture
def content(path):
    """The bytes of the file that holds CONFIG and ARRAYS."""
    write_archive(path, CONFIG, ARRAYS)
    return path.read_bytes()


def zip_of(path, members, method=zipfile.ZIP_STORED):
    """Write a zip archive of (name, content) pairs, names occurring twice too."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)


def envelope(**changes):
    return json.dumps({"format_version": 1, "config": {}, **changes}).encode()


def test_what_is_written_is_read_back(path, content):
    assert is_the_model(*read_archive(path))
    assert is_the_model(*read_archive(str(path)))


def test_an_empty_model(path):
    write_archive(path, {}, {})
    assert read_archive(path) == ({}, {})


def test_any_zip_tool_and_any_safetensors_reader_can_open_it(path, content):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["config.json", "weights.safetensors"]
        assert json.loads(archive.read("config.json")) == {"format_version": 1, "config": CONFIG}
        assert archive.read("weights.safetensors") == safetensors.dump(ARRAYS)


def test_it_may_be_packed_by_another_tool(path):
    zip_of(path, [("weights.safetensors", safetensors.dump(ARRAYS)), ("config.json", envelope(config=CONFIG))])
    assert is_the_model(*read_archive(path))


def test_equal_models_give_equal_bytes(tmp_path, content, monkeypatch):
    again = tmp_path / "elsewhere.minidl"
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("sys.platform", "win32")  # zip archives say where they were made
    write_archive(again, CONFIG, {name: array.copy(order="F") for name, array in ARRAYS.items()})
    assert again.read_bytes() == content


def test_a_file_is_replaced(path, content):
    write_archive(path, {"other": 1}, {})
    assert read_archive(path) == ({"other": 1}, {})
    assert list(path.parent.iterdir()) == [path]


def test_weights_beyond_two_gigabytes_get_the_headers_they_need(path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 300)
    write_archive(path, CONFIG, ARRAYS)
    with zipfile.ZipFile(path) as archive:
        assert [info.extract_version for info in archive.infolist()] == [20, zipfile.ZIP64_VERSION]
    assert is_the_model(*read_archive(path))


# ---- what cannot be written


BAD_ARGUMENTS = {
    "config no dict": ([], {}, DTypeError, "config: expected a dict, got a list"),
    "config no JSON": ({"a": (1, 2)}, {}, DTypeError, r"config.json\['config'\]\['a'\]: .* got a tuple"),
    "config not finite": ({"a": float("nan")}, {}, NonFiniteError, r"config.json\['config'\]\['a'\]: .* got nan"),
    "array no array": ({}, {"w": [1.0]}, DTypeError, "array 'w': expected a NumPy array, got a list"),
    "array of objects": ({}, {"w": np.array([None])}, DTypeError, "array 'w': .* no object"),
    "array without name": ({}, {3: np.zeros(1)}, ArgumentError, "safetensors cannot hold an array named 3"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, path, content, case):
    config, arrays, error, problem = BAD_ARGUMENTS[case]
    for target in path, tmp_path / "new folder" / "model.minidl":
        with pytest.raises(error, match=rf"^{problem}"):
            write_archive(target, config, arrays)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


# ---- what cannot be read


OTHER_FILES = {
    "an empty file": b"",
    "a file that begins with 68 65 6c 6c 6f": b"hello",
    "an HDF5 file, as Keras's .h5 files are": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a .npy file of NumPy": b"\x93NUMPY\x01\0",
    "a file compressed with gzip": gzip.compress(b"model"),
    "a safetensors file": safetensors.dump(ARRAYS),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_says_what_another_file_is(path, kind):
    path.write_bytes(OTHER_FILES[kind])
    with pytest.raises(DataFileError, match=f"model.minidl: {kind}, not a .minidl file$"):
        read_archive(path)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_says_that_a_pickle_is_never_opened(path, protocol):
    path.write_bytes(pickle.dumps([1], protocol))
    with pytest.raises(DataFileError, match=r"a pickle, which is never opened, not a .minidl file$"):
        read_archive(path)


OTHER_ARCHIVES = {
    "a .keras archive": ["metadata.json", "config.json", "model.weights.h5"],
    "a PyTorch checkpoint": ["model/data.pkl", "model/data/0"],
    "a .npz file of NumPy": ["arr_0.npy"],
    "another zip archive": ["../config.json", "letter.txt"],
}


@pytest.mark.parametrize("kind", OTHER_ARCHIVES)
def test_says_what_another_archive_is(path, kind):
    zip_of(path, [(name, b"") for name in OTHER_ARCHIVES[kind]])
    with pytest.raises(DataFileError, match=f"model.minidl: {kind}, not a .minidl file$"):
        read_archive(path)


WEIGHTS = ("weights.safetensors", safetensors.dump(ARRAYS))
BAD_MEMBERS = {
    "a newer format": (
        [("config.json", envelope(format_version=2, more=1)), ("weights.npz", b"")],
        "config.json: is in format 2, this minidl reads 1: upgrade minidl",
    ),
    "no format": ([("config.json", b"{}"), WEIGHTS], "expected format_version 1 and a config, got {}"),
    "format 0": ([("config.json", envelope(format_version=0)), WEIGHTS], "expected format_version 1"),
    "format a string": ([("config.json", envelope(format_version="2")), WEIGHTS], "expected format_version 1"),
    "format true": ([("config.json", envelope(format_version=True)), WEIGHTS], "expected format_version 1"),
    "format a list": ([("config.json", envelope(format_version=[])), WEIGHTS], "expected format_version 1"),
    "config a list": ([("config.json", b"[]"), WEIGHTS], r"config.json: expected .* a config, got \[\]"),
    "inner config a list": ([("config.json", envelope(config=[])), WEIGHTS], "expected format_version 1 and a config"),
    "config no JSON": ([("config.json", b"{"), WEIGHTS], "config.json: not valid JSON"),
    "config with NaN": ([("config.json", envelope(config={"a": float("nan")})), WEIGHTS], "NaN is no finite number"),
    "config twice": ([("config.json", envelope())] * 2 + [WEIGHTS], "expected the members config.json and weights"),
    "no weights": ([("config.json", envelope())], r"expected the members .*, got \['config.json'\]"),
    "weights twice": ([("config.json", envelope()), WEIGHTS, WEIGHTS], "expected the members"),
    "a member more": ([("config.json", envelope()), WEIGHTS, ("../x", b"")], "expected the members .*'../x'"),
    "weights no safetensors": (
        [("config.json", envelope()), ("weights.safetensors", b"hello")],
        "weights.safetensors: its header has .* bytes, the file 5: truncated",
    ),
}


@pytest.mark.parametrize("case", BAD_MEMBERS)
def test_says_what_is_wrong_with_the_members(path, case):
    members, problem = BAD_MEMBERS[case]
    zip_of(path, members)
    with pytest.raises(DataFileError, match=rf"model.minidl: .*{problem}"):
        read_archive(path)


def test_a_zip_bomb_is_not_unpacked(path):
    zip_of(path, [("config.json", envelope()), ("weights.safetensors", bytes(10**7))], zipfile.ZIP_DEFLATED)
    with pytest.raises(DataFileError, match=r"model.minidl: config.json: is compressed, expected it stored"):
        read_archive(path)


def test_a_config_that_is_too_long_is_not_read(path, content, monkeypatch):
    monkeypatch.setattr(plain_json, "MAX_BYTES", 100)
    with pytest.raises(DataFileError, match=r"config.json: has 1\d\d bytes, at most 100 are read"):
        read_archive(path)


def entry(content, member):
    """Where in a zip archive the directory's entry for `member` begins."""
    return content.rindex(member.encode()) - 46


def changed(content, place, new):
    return content[:place] + new + content[place + len(new) :]


@pytest.mark.parametrize("member", ["config.json", "weights.safetensors"])
def test_a_size_that_the_file_does_not_have(path, content, member):
    gigabytes = (2**31).to_bytes(4, "little")
    path.write_bytes(changed(content, entry(content, member) + 20, gigabytes * 2))
    with pytest.raises(DataFileError, match=f"{member}: claims 2,147,483,648 bytes in a file of [0-9]{{3}}$"):
        read_archive(path)
    path.write_bytes(changed(content, entry(content, member) + 20, gigabytes))  # stored, yet of two sizes
    with pytest.raises(DataFileError, match=f"{member}: claims "):
        read_archive(path)
    all_of_it = len(content).to_bytes(4, "little")  # as much as the file, but not from where the member begins
    path.write_bytes(changed(content, entry(content, member) + 20, all_of_it * 2))
    with pytest.raises(DataFileError, match=r"model\.minidl: .+: .*[A-Za-z]"):
        read_archive(path)


def test_too_little_memory_is_not_called_damage(path, content, monkeypatch):
    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr(safetensors, "read", too_large)
    with pytest.raises(MemoryError):
        read_archive(path)


def test_a_sum_that_does_not_fit(path, content):
    place = content.index(safetensors.dump(ARRAYS)) + len(safetensors.dump(ARRAYS)) - 1
    path.write_bytes(changed(content, place, b"\xff"))
    with pytest.raises(DataFileError, match=r"model.minidl: truncated or damaged: Bad CRC-32"):
        read_archive(path)


def test_an_encrypted_member(path, content):
    path.write_bytes(changed(content, entry(content, "config.json") + 8, b"\1"))
    with pytest.raises(DataFileError, match=r"model.minidl: truncated or damaged: .*encrypted"):
        read_archive(path)


def test_a_file_cut_anywhere_is_refused(path, content):
    for size in reversed(range(len(content))):
        os.truncate(path, size)
        with pytest.raises(DataFileError, match=r"model\.minidl: "):
            read_archive(path)


def test_no_flipped_bit_is_anything_but_harmless_or_refused_cheaply(path, content):
    # Under a kilobyte of file: 200 kB is what zipfile and an error message take, and no array that is not there.
    refused = 0
    tracemalloc.start()
    with open(path, "r+b", buffering=0) as file:
        for place in range(len(content)):
            file.seek(place)
            file.write(bytes([content[place] ^ 1 << place % 8]))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                assert is_the_model(*read_archive(path))
            except DataFileError:
                refused += 1
            assert tracemalloc.get_traced_memory()[1] - before < 200_000
            file.seek(place)
            file.write(content[place : place + 1])
    tracemalloc.stop()
    assert refused > len(content) / 2
