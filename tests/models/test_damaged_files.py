"""Files that are damaged, or half written: an error of one type, or a whole model; the old file or the new one."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl.errors import DataFileError
from minidl.models import load_model

ROOT = Path(__file__).parents[2]
ENDINGS = [".minidl", ".keras", ".h5"]


def make(seed=1):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2, "softmax")], name="it")
    model.compile(keras.optimizers.SGD(0.125, momentum=0.5), "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return model


@pytest.fixture(params=ENDINGS)
def path(request, tmp_path):
    if request.param != ".minidl":
        pytest.importorskip("h5py")
    return tmp_path / f"model{request.param}"


class TestDamage:
    """300 places for each kind of file; what is changed there and where is random, but always the same."""

    @pytest.fixture(autouse=True)
    def no_waiting_for_the_disk(self, monkeypatch):
        monkeypatch.setattr(os, "fsync", lambda _: None)

    def test_of_single_bytes(self, path):
        model = make()
        model.save(path)
        content = path.read_bytes()
        rng = np.random.default_rng(3)
        refused = 0
        for place in rng.integers(0, len(content), 300):
            changed = bytearray(content)
            changed[place] ^= rng.integers(1, 256)
            path.write_bytes(changed)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="load_model.*begins anew|Duplicate name")
                try:
                    loaded = load_model(path)
                except DataFileError:
                    refused += 1
                    continue
            if path.suffix == ".h5":  # it has no checksums: all that can be said is that there is a model
                assert [w.shape for w in loaded.get_weights()] == [w.shape for w in model.get_weights()]
            else:
                assert loaded.get_config() == model.get_config()
                for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
                    np.testing.assert_array_equal(a, b)
        assert refused > 30

    def test_of_the_end(self, path):
        make().save(path)
        content = path.read_bytes()
        for length in np.random.default_rng(3).integers(0, len(content) - 1, 300):
            path.write_bytes(content[:length])
            with pytest.raises(DataFileError, match=path.name):
                load_model(path)


class TestWriting:
    @pytest.fixture
    def old(self, path):
        make(1).save(path)
        return path.read_bytes()

    @pytest.mark.parametrize("where", ["fsync", "replace"])
    def test_on_a_full_disk(self, where, path, old, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a temporary name")

        monkeypatch.setattr(os, where, full)
        with pytest.raises(DataFileError, match=r"cannot be written: No space left on device$"):
            make(2).save(path)
        assert path.read_bytes() == old
        assert os.listdir(path.parent) == [path.name]

    def test_where_nothing_may_be_written(self, path, old):
        if os.geteuid() == 0:
            pytest.skip("root may write anywhere")
        path.parent.chmod(0o500)
        try:
            with pytest.raises(DataFileError, match="cannot be written: Permission denied"):
                make(2).save(path)
        finally:
            path.parent.chmod(0o700)
        assert path.read_bytes() == old

    def test_over_a_folder(self, path):
        path.mkdir()
        with pytest.raises(DataFileError, match="cannot be written: Is a directory"):
            make().save(path)
        assert os.listdir(path.parent) == [path.name]
        with pytest.raises(DataFileError, match="cannot be read: Is a directory"):
            load_model(path)

    def test_the_folder_is_synced_after_the_file(self, path, monkeypatch):
        synced = []
        monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_mode & 0o170000))
        make().save(path)
        assert [mode == 0o040000 for mode in synced] == [False, True]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="it cannot be killed so hard here")
@pytest.mark.parametrize("ending", ENDINGS)
def test_killed_at_any_moment_it_leaves_the_old_file_or_the_new_one(ending, tmp_path):
    if ending != ".minidl":
        pytest.importorskip("h5py")
    path = tmp_path / f"model{ending}"
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_damaged_files as t
models = [t.make(1), t.make(2)]
models[0].save({str(path)!r})
print("ready", flush=True)
while True:
    for model in models:
        model.save({str(path)!r})
"""
    expected = [model.get_weights() for model in (make(1), make(2))]
    rng = np.random.default_rng(1)
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with contextlib.closing(child.stdout) as output:
            assert output.readline() == "ready\n"
            time.sleep(rng.uniform(0, 0.05))
            child.kill()
            child.wait()
        found = load_model(path).get_weights()
        assert any(all((a == b).all() for a, b in zip(found, weights, strict=True)) for weights in expected)
