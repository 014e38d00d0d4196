"""CIFAR-10: both published forms, as folder and as archive, read without believing a byte of them."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from minidl.datasets import cifar10
from minidl.errors import DataFileError, DataNotFoundError

RECORDS = 12
FOLDERS = ["cifar-10-batches-bin", "cifar-10-batches-py", "cifar-10-batches-py-target/cifar-10-batches-py"]
ARCHIVES = ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive"]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Twelve records a batch instead of 10,000."""
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)


@pytest.fixture
def images_and_labels():
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (6 * RECORDS, 32, 32, 3), np.uint8), rng.integers(0, 10, 6 * RECORDS, np.uint8)


def planes(images):
    """The pixels as the files have them: the red plane, the green, the blue, row by row."""
    return np.stack([images[..., channel].reshape(len(images), -1) for channel in range(3)], axis=1).reshape(-1, 3072)


@pytest.fixture
def binary(images_and_labels):
    """The six files of the binary form."""
    images, labels = images_and_labels
    records = np.concatenate([labels[:, None], planes(images)], axis=1)
    return {f"{name}.bin": records[k * RECORDS : (k + 1) * RECORDS].tobytes() for k, name in enumerate(cifar10.BATCHES)}


# A pickle as Python 2 wrote them, opcode by opcode: strings of bytes, and an array as a call of _reconstruct.


def string(text):
    return b"T" + struct.pack("<I", len(text)) + text


def number(value):
    return b"M" + struct.pack("<H", value)


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\0\x85" + string(b"b") + b"\x87R"
UINT8 = b"cnumpy\ndtype\n" + string(b"u1") + b"K\0K\x01\x87R"
UINT8 += b"(K\x03" + string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"


def pickled_array(rows, columns, body, dtype=UINT8, by_columns=b"\x89"):
    return RECONSTRUCT + b"(K\x01" + number(rows) + number(columns) + b"\x86" + dtype + by_columns + body + b"tb"


def pickled_batch(**entries):
    items = b"".join(string(key.encode()) + value for key, value in entries.items())
    return b"\x80\x02}q\x01(" + items + b"u."


def pickled_labels(labels):
    return b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"


@pytest.fixture
def python(images_and_labels):
    """The six files of the Python form."""
    images, labels = images_and_labels
    parts = [slice(k * RECORDS, (k + 1) * RECORDS) for k in range(6)]
    return {
        name: pickled_batch(
            batch_label=string(b"batch"),
            labels=pickled_labels(labels[part]),
            data=pickled_array(RECORDS, 3072, string(planes(images[part]).tobytes())),
            filenames=b"](" + b"".join(string(b"x.png") for _ in range(RECORDS)) + b"e",
        )
        for name, part in zip(cifar10.BATCHES, parts, strict=True)
    }


def put(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive_bytes(files, folder="cifar-10-batches"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in {"batches.meta": b"names", "readme.html": b"<html>", **files}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def assert_holds(data, images_and_labels):
    images, labels = images_and_labels
    (x_train, y_train), (x_test, y_test) = data
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert x_train.flags.writeable
    assert x_train.flags.c_contiguous
    np.testing.assert_array_equal(x_train, images[: 5 * RECORDS])
    np.testing.assert_array_equal(y_train, labels[: 5 * RECORDS, None])
    np.testing.assert_array_equal(x_test, images[5 * RECORDS :])
    np.testing.assert_array_equal(y_test, labels[5 * RECORDS :, None])


# Both forms, as folder and as archive


def test_the_shapes_are_kerass(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "RECORDS", 10_000)
    folder = put(tmp_path / "full", {f"{name}.bin": bytes(30_730_000) for name in cifar10.BATCHES})
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(folder)
    assert [a.shape for a in (x_train, y_train, x_test, y_test)] == [
        (50000, 32, 32, 3), (50000, 1), (10000, 32, 32, 3), (10000, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("where", ["", *FOLDERS])
def test_a_folder_is_read(tmp_path, request, images_and_labels, form, where):
    put(tmp_path / "data" / where, request.getfixturevalue(form))
    assert_holds(cifar10.load_data(tmp_path / "data"), images_and_labels)


@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_read(tmp_path, request, images_and_labels, form, name):
    path = tmp_path / name
    path.write_bytes(archive_bytes(request.getfixturevalue(form)))
    assert_holds(cifar10.load_data(path), images_and_labels)
    assert_holds(cifar10.load_data(tmp_path), images_and_labels)
    assert set(os.listdir(tmp_path)) == {"home", name}  # nothing was unpacked


def test_an_archive_may_hold_the_batches_in_any_order_and_uncompressed(tmp_path, binary, images_and_labels):
    path = tmp_path / "mine.tar"
    path.write_bytes(gzip.decompress(archive_bytes(dict(reversed(binary.items())))))
    assert_holds(cifar10.load_data(path), images_and_labels)


def test_of_both_forms_in_one_folder_the_one_that_is_no_program_is_read(tmp_path, binary, images_and_labels):
    put(tmp_path / "data", binary | {"data_batch_1": b"a pickle"})
    assert_holds(cifar10.load_data(tmp_path / "data"), images_and_labels)


def test_minidl_data_names_the_folder(tmp_path, monkeypatch, binary, images_and_labels):
    put(tmp_path / "data" / "cifar-10-batches-bin", binary)
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "data"))
    assert_holds(cifar10.load_data(), images_and_labels)


def test_what_keras_left_behind_is_found(home, python, images_and_labels):
    put(home / ".keras" / "datasets" / "cifar-10-batches-py-target" / "cifar-10-batches-py", python)
    assert_holds(cifar10.load_data(), images_and_labels)


def test_class_names_are_in_the_order_of_the_labels():
    assert cifar10.CLASS_NAMES[3] == "cat"
    assert len(set(cifar10.CLASS_NAMES)) == 10


# Broken files


def test_a_missing_batch_is_named(tmp_path, binary):
    del binary["data_batch_4.bin"], binary["test_batch.bin"]
    folder = put(tmp_path / "data", binary)
    with pytest.raises(DataFileError, match=r"data: lacks data_batch_4, test_batch$"):
        cifar10.load_data(folder)
    (tmp_path / "a.tar.gz").write_bytes(archive_bytes(binary))
    with pytest.raises(DataFileError, match=r"a\.tar\.gz: lacks data_batch_4, test_batch$"):
        cifar10.load_data(tmp_path / "a.tar.gz")


def test_a_folder_without_batches_holds_nothing(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"holds no data_batch_1\.bin or data_batch_1, here or in cifar-10-b"):
        cifar10.load_data(tmp_path)


@pytest.mark.parametrize(("change", "problem"), [(-1, "ends after 36,875 of"), (1, "goes on after the")])
def test_a_batch_of_the_wrong_size_is_named(tmp_path, binary, change, problem):
    binary["data_batch_2.bin"] = (binary["data_batch_2.bin"] + b"\0")[: 36_876 + change]
    folder = put(tmp_path / "data", binary)
    with pytest.raises(DataFileError, match=rf"data_batch_2\.bin: {problem} .*36,876 bytes that 12 records need"):
        cifar10.load_data(folder)


def test_a_label_that_is_none_is_refused(tmp_path, binary):
    batch = binary["data_batch_5.bin"]
    binary["data_batch_5.bin"] = batch[:3073] + b"\x0a" + batch[3074:]
    with pytest.raises(DataFileError, match=r"data_batch_5\.bin: has the label 10, expected labels from 0 to 9"):
        cifar10.load_data(put(tmp_path / "data", binary))


def test_the_same_batch_twice_is_refused(tmp_path, binary):
    doubled = archive_bytes(binary | {"again/data_batch_1.bin": binary["data_batch_1.bin"]})
    (tmp_path / "a.tar.gz").write_bytes(doubled)
    with pytest.raises(DataFileError, match="holds data_batch_1 twice"):
        cifar10.load_data(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100, gzip.compress(b"no archive either" * 100)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataFileError, match="file: "):
        cifar10.load_data(tmp_path / "file")


def test_a_damaged_archive_gives_an_error_or_the_data_and_nothing_else(tmp_path, binary, images_and_labels):
    intact, path, rng = archive_bytes(binary), tmp_path / "a.tar.gz", np.random.default_rng(4)
    refused = 0
    for _ in range(60):
        damaged = bytearray(intact)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged[: rng.integers(len(damaged))] if rng.random() < 0.3 else damaged)
        try:
            data = cifar10.load_data(path)
        except DataFileError as error:
            refused += "a.tar.gz" in str(error)
        else:  # a bit of gzip's header that means nothing
            assert_holds(data, images_and_labels)
    assert refused >= 58


def test_nothing_is_written_by_an_archive_that_means_harm(tmp_path, binary, images_and_labels):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind, name in [(tarfile.SYMTYPE, "data_batch_1.bin"), (tarfile.LNKTYPE, "x/data_batch_2.bin")]:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
        archive.addfile(tarfile.TarInfo("../../escaped"))
        for name, content in binary.items():
            member = tarfile.TarInfo(f"../../{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "a.tar").write_bytes(buffer.getvalue())
    assert_holds(cifar10.load_data(folder / "a.tar"), images_and_labels)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.tar"]


def header(**fields):
    """The 512 bytes that say what the next member of an archive is."""
    member = tarfile.TarInfo("data_batch_1.bin")
    for name, value in fields.items():
        setattr(member, name, value)
    return member.tobuf(tarfile.GNU_FORMAT)


PAX = b"38 GNU.sparse.map=1,2,three,4,fi,ve,6\n"
HOSTILE_ARCHIVES = {
    "a number that is none": header(type=tarfile.XHDTYPE, size=len(PAX)) + PAX.ljust(512, b"\0") + header(),
    "names of names of names": header(type=tarfile.GNUTYPE_LONGNAME, size=1) * 5000,
    "terabytes promised": header(size=1 << 60) + bytes(5000),
}


@pytest.mark.parametrize("case", HOSTILE_ARCHIVES)
def test_an_archive_that_means_harm_is_refused(tmp_path, case):
    (tmp_path / "a.tar").write_bytes(HOSTILE_ARCHIVES[case])
    with pytest.raises(DataFileError, match=r"a\.tar(/data_batch_1\.bin)?: (cannot be read|ends after)"):
        cifar10.load_data(tmp_path / "a.tar")


# Pickles that mean harm


def load_pickle(tmp_path, python, content):
    return cifar10.load_data(put(tmp_path / "data", python | {"data_batch_1": content}))


def test_the_pickles_of_these_tests_are_what_numpy_understands_by_them(python, images_and_labels):
    class NumPysOwn(pickle.Unpickler):
        def find_class(self, module, name):
            real = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
            return real[name]

    batch = NumPysOwn(io.BytesIO(python["test_batch"]), encoding="bytes").load()
    np.testing.assert_array_equal(batch[b"data"], planes(images_and_labels[0][-RECORDS:]))


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "__builtin__.eval", "numpy.load", "numpy.ndarray.__init__",
     "numpy.core.multiarray.scalar", "copy_reg._reconstructor", "numpy._core.multiarray._reconstruct"],
)  # fmt: skip
def test_a_pickle_that_asks_for_another_name_is_refused(tmp_path, python, name):
    module, _, function = name.rpartition(".")
    call = f"c{module}\n{function}\n".encode() + string(f"touch {tmp_path}/owned".encode()) + b"\x85R"
    with pytest.raises(DataFileError, match=r"data_batch_1: not a batch of CIFAR-10: it asks for "):
        load_pickle(tmp_path, python, pickled_batch(data=call))
    assert not (tmp_path / "owned").exists()


DATA = string(bytes(RECORDS * 3072))
LABELS = pickled_labels([0] * RECORDS)
ARRAY = pickled_array(RECORDS, 3072, DATA)
REST = b"K\0" * (RECORDS - 1)  # all labels but the first
OBJECTS = UINT8.replace(b"u1", b"O8")
HOSTILE = {
    "no pickle": b"no pickle",
    "nothing": b"",
    "a number": b"\x80\x02K\x01.",
    "no data": pickled_batch(labels=LABELS),
    "no labels": pickled_batch(data=ARRAY),
    "labels that are none": pickled_batch(labels=b"](N" + REST + b"e", data=ARRAY),
    "labels beyond a byte": pickled_batch(labels=b"](" + number(300) + REST + b"e", data=ARRAY),
    "a number for labels": pickled_batch(labels=b"J\xff\xff\xff\x7f", data=ARRAY),
    "too few labels": pickled_batch(labels=b"](K\0e", data=ARRAY),
    "a list for data": pickled_batch(labels=LABELS, data=b"]"),
    "an array without state": pickled_batch(labels=LABELS, data=RECONSTRUCT),
    "another shape": pickled_batch(labels=LABELS, data=pickled_array(3072, RECORDS, DATA)),
    "too few pixels": pickled_batch(labels=LABELS, data=pickled_array(RECORDS, 3072, string(b"\0"))),
    "too many pixels": pickled_batch(labels=LABELS, data=pickled_array(RECORDS, 3072, string(bytes(40_000)))),
    "column by column": pickled_batch(labels=LABELS, data=pickled_array(RECORDS, 3072, DATA, by_columns=b"\x88")),
    "objects": pickled_batch(labels=LABELS, data=pickled_array(RECORDS, 3072, DATA, dtype=OBJECTS)),
    "a list of objects": pickled_batch(labels=LABELS, data=pickled_array(RECORDS, 3072, b"](NNe", dtype=OBJECTS)),
    "a number for a dtype": pickled_batch(labels=LABELS, data=pickled_array(RECORDS, 3072, DATA, dtype=b"K\x01")),
    "a class for an array": pickled_batch(labels=LABELS, data=b"cnumpy\nndarray\n"),
    "the state of a class": pickled_batch(labels=LABELS, data=b"cnumpy\nndarray\n}b"),
    "a reference to outside": b"\x80\x02K\x01Q.",
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_pickle_of_anything_else_is_refused(tmp_path, python, case):
    with pytest.raises(DataFileError, match=r"data_batch_1: not a batch of CIFAR-10: ."):
        load_pickle(tmp_path, python, HOSTILE[case])


def test_labels_in_a_pickle_are_checked_as_well(tmp_path, python):
    content = pickled_batch(labels=pickled_labels([10] * RECORDS), data=ARRAY)
    with pytest.raises(DataFileError, match="data_batch_1: has the label 10"):
        load_pickle(tmp_path, python, content)


# Downloads


@pytest.fixture
def official(monkeypatch, binary):
    """A small archive that passes for the official binary one."""
    content = archive_bytes(binary)
    pinned = {"cifar-10-binary.tar.gz": (len(content), hashlib.sha256(content).hexdigest())}
    monkeypatch.setattr(cifar10, "ARCHIVES", pinned)
    return content


def test_a_download_is_kept_as_it_came_and_not_repeated(home, server, mirrors, official, images_and_labels):
    server.content["/good/cifar-10-binary.tar.gz"] = official
    mirrors(cifar10, f"{server.url}/none/cifar-10-binary.tar.gz", f"{server.url}/good/cifar-10-binary.tar.gz")
    assert_holds(cifar10.load_data(), images_and_labels)
    cached = home / ".cache" / "minidl" / "datasets" / "cifar-10-binary.tar.gz"
    assert cached.read_bytes() == official
    assert_holds(cifar10.load_data(), images_and_labels)
    assert len(server.asked) == 2


def test_only_the_official_archive_is_accepted_from_a_mirror(home, server, mirrors, official):
    url = f"{server.url}/cifar-10-binary.tar.gz"
    mirrors(cifar10, url)
    for wrong, problem in [
        (official[:-1], rf"sent {len(official) - 1:,} bytes, expected {len(official):,}"),
        (official[:-1] + b"\x55", "the SHA-256 of what it sent is [0-9a-f]+, expected [0-9a-f]+"),
        (official + b"more", f"sends more than the {len(official):,} bytes expected"),
    ]:
        server.content["/cifar-10-binary.tar.gz"] = wrong
        with pytest.raises(DataNotFoundError, match=f"{url}: {problem}"):
            cifar10.load_data()
    assert list(home.iterdir()) == []


def test_every_mirror_serves_an_archive_with_a_pinned_checksum(monkeypatch):
    monkeypatch.undo()  # the mirrors taken away
    assert {url.rpartition("/")[2] for url in cifar10.SOURCE.mirrors} <= cifar10.ARCHIVES.keys()
