"""Files that cannot be opened are named with the reason; writing fails as a whole, and the old file stays."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from minidl.errors import DataFileError, DataNotFoundError
from minidl.saving import read_archive, write_archive, write_history_csv
from minidl.saving.opening import written

OLD = {"version": "old"}
NEW = {"version": "new"}
WEIGHTS = {"w": np.arange(10_000.0)}

WRITERS = {
    "archive": lambda path: write_archive(path, NEW, WEIGHTS),
    "history": lambda path: write_history_csv(path, range(10_000), {"loss": np.linspace(0, 1, 10_000)}),
}


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


def test_missing_folders_are_made(tmp_path, write):
    path = tmp_path / "a" / "b" / "file"
    write(path)
    assert path.stat().st_size > 10_000


@pytest.fixture
def read_only():
    """A folder in which nothing can be written, not even by root, with an old file and one that may not be read."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs the permissions of Unix")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_archive(folder / "file", OLD, {})
        write_archive(folder / "secret", OLD, {})
        (folder / "secret").chmod(0)
        folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)  # nobody
        yield folder
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_is_read_only(read_only, write):
    with pytest.raises(DataFileError, match=f"^{read_only}/file: cannot be written: Permission denied$"):
        write(read_only / "file")
    assert read_archive(read_only / "file") == (OLD, {})


def test_a_file_that_may_not_be_read(read_only):
    with pytest.raises(DataFileError, match=f"^{read_only}/secret: cannot be read: Permission denied$"):
        read_archive(read_only / "secret")


def test_paths_that_name_no_file(tmp_path, write):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "below"
    reasons = {tmp_path: "directory", below: "exists|directory", "": "empty name", "a\0b": "null", 5: "os.PathLike"}
    for path, problem in reasons.items():
        with pytest.raises(DataFileError, match=f"cannot be written: .*({problem})"):
            write(path)


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"nowhere: no such file$"):
        read_archive(tmp_path / "nowhere")
    for path, problem in {tmp_path: "directory", "a\0b": "null", 5: "os.PathLike"}.items():
        with pytest.raises(DataFileError, match=f"cannot be read: .*({problem})"):
            read_archive(path)


@pytest.mark.parametrize("room", [0, 30, 5_000, 50_000])
def test_a_full_disk(tmp_path, write, room):
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    write_archive(path, OLD, {})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(DataFileError, match="file: cannot be written: File too large"):
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_archive(path) == (OLD, {})
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), written(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


DIE = """
import os, signal, sys, zipfile
from minidl.saving import write_archive
import numpy as np

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

{moment} = die
write_archive(sys.argv[1], {new}, {{"w": np.arange(10_000.0)}})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["zipfile.ZipFile.close", "os.fsync", "os.replace"])
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path, moment):
    path = tmp_path / "file"
    write_archive(path, OLD, {})
    script = DIE.format(moment=moment, new=NEW)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run([sys.executable, "-c", script, path], env=environment, check=False)
    assert process.returncode == -signal.SIGKILL
    assert read_archive(path) == (OLD, {})
    assert len(list(tmp_path.iterdir())) == 2  # it was killed while the new file was there
    write_archive(path, NEW, {})
    assert read_archive(path) == (NEW, {})
