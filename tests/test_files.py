"""A file is the old one or the new one, never a part."""

import os

import pytest

from minidl.files import atomic_write


def test_it_writes(tmp_path):
    with atomic_write(tmp_path / "deep" / "file.bin") as file:
        file.write(b"new")
        assert not (tmp_path / "deep" / "file.bin").exists()
    assert (tmp_path / "deep" / "file.bin").read_bytes() == b"new"
    assert os.listdir(tmp_path / "deep") == ["file.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic_write(target) as file:
        file.write(b"half of the n")
        raise error
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_two_writers_do_not_meet(tmp_path):
    target = tmp_path / "file"
    with atomic_write(target) as first, atomic_write(target) as second:
        first.write(b"first")
        second.write(b"second")
    assert target.read_bytes() == b"first"
