"""The IDX format: what is written after its description is read, and whatever else it is, it is refused by name."""

import gzip
import hashlib

import numpy as np
import pytest

from minidl.datasets import idx
from minidl.errors import DataFileError


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 28, 28), (2, 3, 4, 5)])
@pytest.mark.parametrize("packed", [False, True])
def test_reads_arrays_of_bytes(tmp_path, idx_bytes, shape, packed):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx_bytes(array)) if packed else idx_bytes(array))
    result = idx.read(path)
    assert result.dtype == np.uint8
    assert result.flags.writeable
    np.testing.assert_array_equal(result, array)


def test_content_sha256_is_that_of_the_uncompressed_file(idx_bytes):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert idx.content_sha256(array) == hashlib.sha256(idx_bytes(array)).hexdigest()
    assert idx.content_sha256(array.T) == hashlib.sha256(idx_bytes(array.T)).hexdigest()


BODY = bytes(range(6))
BROKEN = {
    "empty": (b"", "begins with nothing"),
    "a stub": (b"\0\0\x08", "not an IDX file of bytes: it begins with 00 00 08$"),
    "another format": (b"\x89PNG\r\n\x1a\n" + BODY, "begins with 89 50 4e 47$"),
    "other elements": (b"\0\0\x0d\x01\0\0\0\x06" + BODY, "not an IDX file of bytes"),
    "no dimension": (b"\0\0\x08\0" + BODY, "not an IDX file of bytes"),
    "255 dimensions": (b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"1", "not an IDX file of bytes"),
    "no element": (b"\0\0\x08\x01\0\0\0\0", "not an IDX file of bytes"),
    "header cut": (b"\0\0\x08\x02\0\0\0\x02\0\0", "not an IDX file of bytes"),
    "body cut": (b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03" + BODY[:-1], r"ends after 5 of 6 bytes that its shape \(2, 3\)"),
    "body too long": (b"\0\0\x08\x01\0\0\0\x05" + BODY, r"goes on after the 5 bytes that its shape \(5,\)"),
    "terabytes promised": (b"\0\0\x08\x03" + b"\x7f\xff\xff\xff" * 3 + BODY, "ends after 6 of 9,903,520,300,447,984,"),
    "gzip cut": (gzip.compress(b"\0\0\x08\x01\0\0\0\x06" + BODY)[:-9], "cannot be read: .*ended before"),
    "gzip's sum": (gzip.compress(b"\0\0\x08\x01\0\0\0\x06" + BODY)[:-8] + bytes(8), "cannot be read: CRC check failed"),
    "gzip's body": (gzip.compress(b"\0\0\x08\x01\0\0\0\x06" + BODY)[:12] + bytes(20), "cannot be read: "),
}


@pytest.mark.parametrize("chunk", [3, 1 << 24])
@pytest.mark.parametrize("case", BROKEN)
def test_says_what_is_wrong_with_a_broken_file(tmp_path, monkeypatch, case, chunk):
    monkeypatch.setattr(idx, "_CHUNK", chunk)
    content, problem = BROKEN[case]
    path = tmp_path / "broken-idx"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=rf"broken-idx: .*{problem}") as caught:
        idx.read(path)
    assert str(caught.value).count("broken-idx") == 1


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(DataFileError, match=r"nowhere: cannot be read: .*No such file"):
        idx.read(tmp_path / "nowhere")
    with pytest.raises(DataFileError, match=r"cannot be read: .*directory"):
        idx.read(tmp_path)
