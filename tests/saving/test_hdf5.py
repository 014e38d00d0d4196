"""HDF5: named arrays and text, and nothing that a file may refer to."""

import io

import numpy as np
import pytest

from minidl.errors import DataFileError
from minidl.saving.hdf5 import listed, read_hdf5, write_hdf5

h5py = pytest.importorskip("h5py")

ARRAYS = {
    "layers/dense/vars/0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "layers/dense/vars/1": np.array(7, np.int32),
    "none": np.zeros((0, 3)),
}
ATTRIBUTES = {"": {"text": "ä" * 100_000}, "layers/dense/vars": {"name": "dense"}, "empty": {"names": []}}


def read(content):
    return read_hdf5(io.BytesIO(content), len(content), "it.h5")


def written(make):
    """The content of a file that `make(root)` has filled with h5py itself."""
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        make(root)
    return file.getvalue()


def content():
    file = io.BytesIO()
    write_hdf5(file, ARRAYS, ATTRIBUTES)
    return file.getvalue()


class TestRoundTrip:
    def test_what_is_written_is_read(self):
        arrays, attributes = read(content())
        assert arrays.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)
            assert arrays[name].dtype == array.dtype
        assert {group: found for group, found in attributes.items() if found} == ATTRIBUTES

    def test_equal_arrays_give_equal_bytes(self):
        assert content() == content()

    @pytest.mark.parametrize("count", [0, 1, 10, 3000, 3001, 7000])
    def test_long_lists_are_in_parts(self, count):
        names = [f"a/long/name/{k}" for k in range(count)]
        file = io.BytesIO()
        write_hdf5(file, {}, {"g": {"names": names}})
        _, attributes = read(file.getvalue())
        assert listed(attributes["g"], "names") == names

    def test_big_endian_numbers_become_native(self):
        arrays, _ = read(written(lambda root: root.create_dataset("a", data=np.arange(3, dtype=">f8"))))
        assert arrays["a"].dtype == np.dtype("=f8")
        np.testing.assert_array_equal(arrays["a"], [0, 1, 2])


def link(root):
    root.create_group("g")
    return root["g"]


class TestHostileFiles:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda root: root.__setitem__("a", h5py.SoftLink("/b")), "'a' is a link to somewhere else"),
            (lambda root: root.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/")), "'a' is a link to somewhere"),
            (lambda root: root.__setitem__("a", root), "'a' is in the file twice"),
            (lambda root: link(root).__setitem__("up", root), "'g/up' is in the file twice"),
            (lambda root: root.__setitem__("b", root.create_dataset("a", data=[1.0])), "is in the file twice"),
            (lambda root: root.create_dataset("a", (10**9, 10**9), "f4", chunks=(1, 10**6)), "claims more bytes than"),
            (lambda root: root.create_dataset("a", (10**7,), "f4", compression="gzip"), "claims more bytes than"),
            (lambda root: root.create_dataset("a", data="text"), "expected numbers"),
            (lambda root: root.create_dataset("a", data=h5py.Empty("f4")), "expected numbers"),
            (lambda root: root.create_dataset("a", data=[1j]), "expected numbers"),
            (lambda root: root.create_dataset("a", (9,), "f4", external=[("/etc/passwd", 0, 36)]), "in another file"),
            (lambda root: root.create_virtual_dataset("a", h5py.VirtualLayout((9,), "f4")), "in another file"),
            (lambda root: root.__setitem__("a", np.dtype("f4")), "expected groups and arrays"),
        ],
    )  # fmt: skip
    def test_what_they_refer_to_is_not_read(self, make, message):
        with pytest.raises(DataFileError, match=f"^it.h5: .*{message}"):
            read(written(make))

    def test_attributes_that_are_no_text_are_left_alone(self):
        def make(root):
            root.attrs["number"] = 3
            root.attrs["old"] = np.array([b"a", b"bc"])

        assert read(written(make))[1] == {"": {"old": ["a", "bc"]}}

    def test_heaps_without_an_end(self):
        """The free space in the heap of the texts is said to have no length: h5py alone would read it forever."""
        file = io.BytesIO()
        write_hdf5(file, {}, {"": {"a": "b"}})
        whole = file.getvalue()
        heap = whole.index(b"GCOL")
        length = int.from_bytes(whole[heap + 8 : heap + 16], "little")
        places = [k for k in range(heap + 16, heap + length, 8) if whole[k : k + 8] == bytes(8)]
        free = [k for k in places if k + int.from_bytes(whole[k + 8 : k + 16], "little") == heap + length]
        changed = bytearray(whole)
        changed[free[0] + 8 : free[0] + 16] = bytes(8)
        with pytest.raises(DataFileError, match="a text of 0 bytes in its heap"):
            read(bytes(changed))

    @pytest.mark.parametrize("start", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(100), b"text"])
    def test_what_is_no_hdf5(self, start):
        with pytest.raises(DataFileError, match=r"^it\.h5: a truncated or damaged HDF5 file: "):
            read(start)
