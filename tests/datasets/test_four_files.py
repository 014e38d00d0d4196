"""MNIST and Fashion-MNIST: found in every place, never taken for each other, never damaged."""

import gzip
import hashlib
import io

import numpy as np
import pytest

from minidl.datasets import fashion_mnist, four_files, idx, mnist
from minidl.errors import DataFileError, DataNotFoundError, MiniDLWarning


def assert_holds(data, files):
    (x_train, y_train), (x_test, y_test) = data
    for array, expected in zip((x_train, y_train, x_test, y_test), files.values(), strict=True):
        assert array.dtype == np.uint8
        assert array.flags.writeable
        np.testing.assert_array_equal(array, expected)


def npz_bytes(files):
    buffer = io.BytesIO()
    np.savez(buffer, **dict(zip(("x_train", "y_train", "x_test", "y_test"), files.values(), strict=True)))
    return buffer.getvalue()


@pytest.fixture
def npz(arrays, monkeypatch):
    """The content of a small mnist.npz that passes for Keras's."""
    content = npz_bytes(arrays["MNIST"])
    monkeypatch.setattr(mnist, "NPZ_SHA256", hashlib.sha256(content).hexdigest())
    return content


# Where the files are


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("module", "title"), [(mnist, "MNIST"), (fashion_mnist, "Fashion-MNIST")])
def test_path_names_the_folder(tmp_path, arrays, put_files, module, title, packed):
    folder = put_files(tmp_path / "given", arrays[title], packed)
    assert_holds(module.load_data(path=folder), arrays[title])
    assert_holds(module.load_data(str(folder)), arrays[title])


def test_path_may_begin_with_a_tilde(home, arrays, put_files):
    put_files(home / "mine", arrays["MNIST"])
    assert_holds(mnist.load_data("~/mine"), arrays["MNIST"])


@pytest.mark.parametrize("name", ["mnist", "MNIST/raw", "."])
def test_a_folder_of_data_sets_may_hold_mnist_in_a_subfolder(tmp_path, arrays, put_files, name):
    put_files(tmp_path / "data" / name, arrays["MNIST"])
    assert_holds(mnist.load_data(tmp_path / "data"), arrays["MNIST"])


@pytest.mark.parametrize("name", ["fashion-mnist", "FashionMNIST/raw", "."])
def test_a_folder_of_data_sets_may_hold_fashion_mnist_in_a_subfolder(tmp_path, arrays, put_files, name):
    put_files(tmp_path / "data" / name, arrays["Fashion-MNIST"])
    assert_holds(fashion_mnist.load_data(tmp_path / "data"), arrays["Fashion-MNIST"])


def test_subfolders_come_first_so_that_one_data_folder_serves_both(tmp_path, monkeypatch, arrays, put_files):
    put_files(tmp_path / "data", arrays["MNIST"])
    put_files(tmp_path / "data" / "fashion-mnist", arrays["Fashion-MNIST"])
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "data"))
    assert_holds(mnist.load_data(), arrays["MNIST"])
    assert_holds(fashion_mnist.load_data(), arrays["Fashion-MNIST"])


def test_an_empty_subfolder_hides_nothing(tmp_path, arrays, put_files):
    put_files(tmp_path, arrays["MNIST"])
    (tmp_path / "mnist").mkdir()
    assert_holds(mnist.load_data(tmp_path), arrays["MNIST"])


@pytest.mark.parametrize("name", ["mnist.npz", "mnist/mnist.npz", "digits"])
def test_kerass_npz_is_read(tmp_path, arrays, npz, name):
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(npz)
    assert_holds(mnist.load_data(path), arrays["MNIST"])
    if name.endswith(".npz"):
        assert_holds(mnist.load_data(tmp_path / "data"), arrays["MNIST"])


def test_kerass_default_argument_means_the_usual_places(home, monkeypatch, arrays, npz, put_files):
    monkeypatch.chdir(home)
    put_files(home / ".cache" / "minidl" / "datasets" / "mnist", arrays["MNIST"])
    assert_holds(mnist.load_data("mnist.npz"), arrays["MNIST"])
    (home / "mnist.npz").write_bytes(b"mine")
    with pytest.raises(DataFileError, match=r"^mnist\.npz: not Keras's mnist\.npz"):
        mnist.load_data("mnist.npz")


# What is wrong with them


@pytest.mark.parametrize(
    ("module", "title", "other"),
    [(mnist, "MNIST", "Fashion-MNIST"), (fashion_mnist, "Fashion-MNIST", "MNIST")],
)
def test_one_is_never_taken_for_the_other(tmp_path, arrays, put_files, module, title, other):
    put_files(tmp_path, arrays[other])
    with pytest.raises(DataFileError, match=rf"train-images-idx3-ubyte\.gz: is {other}'s, expected {title}'s"):
        module.load_data(tmp_path)


@pytest.mark.parametrize("name", four_files.SHAPES)
def test_one_wrong_bit_is_noticed(tmp_path, arrays, put_files, name):
    files = dict(arrays["Fashion-MNIST"])
    files[name] = files[name].copy()
    files[name].flat[-1] ^= 1
    put_files(tmp_path, files, packed=False)
    with pytest.raises(DataFileError, match=rf"{name}: damaged, or of another .* SHA-256 .*minidl\.datasets\.idx"):
        fashion_mnist.load_data(tmp_path)


def test_images_and_labels_swapped_are_noticed(tmp_path, arrays, put_files):
    files = arrays["MNIST"]
    put_files(tmp_path, files | {"train-images-idx3-ubyte": files["t10k-images-idx3-ubyte"]})
    with pytest.raises(DataFileError, match=r"train-images-.*shape \(10, 28, 28\), expected \(60, 28, 28\)"):
        mnist.load_data(tmp_path)


def test_a_truncated_file_is_named(tmp_path, arrays, put_files):
    put_files(tmp_path, arrays["MNIST"])
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataFileError, match=r"t10k-labels-idx1-ubyte\.gz: cannot be read: "):
        mnist.load_data(tmp_path)


def test_a_missing_file_is_named(tmp_path, arrays, put_files):
    put_files(tmp_path, arrays["MNIST"])
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    problem = "holds train-images-idx3-ubyte, t10k-images-idx3-ubyte but lacks train-labels-idx1-ubyte, t10k-labels-"
    with pytest.raises(DataFileError, match=problem):
        mnist.load_data(tmp_path)


def test_a_file_instead_of_the_folder_is_told_so(tmp_path, arrays, npz, put_files):
    put_files(tmp_path, arrays["MNIST"])
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with pytest.raises(DataFileError, match=r"ubyte\.gz: expected the folder that holds train-images-idx3-ubyte, "):
        fashion_mnist.load_data(path)
    with pytest.raises(DataFileError, match=r"not Keras's mnist\.npz, or damaged: .*four IDX files name their folder"):
        mnist.load_data(path)


def test_a_damaged_npz_is_refused(tmp_path, npz):
    path = tmp_path / "mnist.npz"
    path.write_bytes(npz[:-1])
    with pytest.raises(DataFileError, match=rf"damaged: its SHA-256 is [0-9a-f]+, expected {mnist.NPZ_SHA256}"):
        mnist.load_data(path)


# Downloads


def offer(server, put_files, folder, files, prefix):
    """Have `server` send the four compressed files under the path `prefix`."""
    put_files(folder, files)
    server.content |= {f"{prefix}{name}.gz": (folder / f"{name}.gz").read_bytes() for name in files}


def test_a_download_is_kept_and_not_repeated(tmp_path, home, arrays, put_files, server, mirrors):
    offer(server, put_files, tmp_path / "web", arrays["Fashion-MNIST"], "/a/")
    mirrors(fashion_mnist, f"{server.url}/a/")
    assert_holds(fashion_mnist.load_data(), arrays["Fashion-MNIST"])
    cache = home / ".cache" / "minidl" / "datasets" / "fashion-mnist"
    assert {path.name for path in cache.iterdir()} == {f"{name}.gz" for name in four_files.SHAPES}
    assert len(server.asked) == 4
    assert_holds(fashion_mnist.load_data(), arrays["Fashion-MNIST"])
    assert len(server.asked) == 4


def test_the_cache_is_where_xdg_says(tmp_path, monkeypatch, arrays, put_files, server, mirrors):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    offer(server, put_files, tmp_path / "web", arrays["MNIST"], "/")
    mirrors(mnist, f"{server.url}/")
    mnist.load_data()
    assert (tmp_path / "xdg" / "minidl" / "datasets" / "mnist" / "t10k-labels-idx1-ubyte.gz").is_file()


def test_the_next_mirror_is_asked_when_one_sends_another_data_set(tmp_path, arrays, put_files, server, mirrors):
    offer(server, put_files, tmp_path / "wrong", arrays["MNIST"], "/wrong/")
    offer(server, put_files, tmp_path / "right", arrays["Fashion-MNIST"], "/right/")
    mirrors(fashion_mnist, f"{server.url}/wrong/", f"{server.url}/right/")
    assert_holds(fashion_mnist.load_data(), arrays["Fashion-MNIST"])


def test_nothing_wrong_is_ever_kept(tmp_path, home, arrays, put_files, server, mirrors):
    offer(server, put_files, tmp_path / "wrong", arrays["MNIST"], "/")
    mirrors(fashion_mnist, f"{server.url}/")
    with pytest.raises(DataNotFoundError, match=rf"{server.url}/train-images-idx3-ubyte\.gz: is MNIST's"):
        fashion_mnist.load_data()
    assert list(home.iterdir()) == []


def test_a_read_only_cache_only_costs_a_warning(tmp_path, monkeypatch, arrays, put_files, server, mirrors):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    offer(server, put_files, tmp_path / "web", arrays["MNIST"], "/")
    mirrors(mnist, f"{server.url}/")
    with pytest.warns(MiniDLWarning, match="cannot be written to .*used now") as caught:
        assert_holds(mnist.load_data(), arrays["MNIST"])
    assert [warning.filename for warning in caught] == [__file__]


def test_ctrl_c_leaves_nothing_behind(tmp_path, home, monkeypatch, arrays, put_files, server, mirrors):
    offer(server, put_files, tmp_path / "web", arrays["MNIST"], "/")
    mirrors(mnist, f"{server.url}/")
    decode, decoded = idx.decode, []

    def decode_three(*arguments):
        if len(decoded) == 3:
            raise KeyboardInterrupt
        decoded.append(decode(*arguments))
        return decoded[-1]

    monkeypatch.setattr(idx, "decode", decode_three)
    with pytest.raises(KeyboardInterrupt):
        mnist.load_data()
    assert list(home.iterdir()) == []


def test_a_damaged_cache_is_replaced(tmp_path, home, arrays, put_files, server, mirrors):
    cache = put_files(home / ".cache" / "minidl" / "datasets" / "mnist", arrays["MNIST"])
    (cache / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"half"))
    offer(server, put_files, tmp_path / "web", arrays["MNIST"], "/")
    mirrors(mnist, f"{server.url}/")
    with pytest.warns(MiniDLWarning, match="MNIST: skipped .*not an IDX file"):
        assert_holds(mnist.load_data(), arrays["MNIST"])
    assert_holds(mnist.load_data(), arrays["MNIST"])


# The real thing


def test_the_whole_fashion_mnist_is_as_published(full_fashion_mnist):
    (x_train, y_train), (x_test, y_test) = full_fashion_mnist
    assert (x_train.shape, y_train.shape) == ((60000, 28, 28), (60000,))
    assert (x_test.shape, y_test.shape) == ((10000, 28, 28), (10000,))
    assert x_train.dtype == y_train.dtype == x_test.dtype == y_test.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(y_train), [6000] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [1000] * 10)
    assert [fashion_mnist.CLASS_NAMES[k] for k in y_train[:3]] == ["Ankle boot", "T-shirt/top", "T-shirt/top"]
