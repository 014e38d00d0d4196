"""The order in which places are searched, and what is said when a data set is in none of them."""

import numpy as np
import pytest

from minidl.datasets import cifar10, fashion_mnist, finding, mnist
from minidl.errors import DataFileError, DataNotFoundError, DTypeError, MiniDLWarning


@pytest.fixture
def places(tmp_path, home, monkeypatch):
    """The folders that are searched, by the order in which they should be."""
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "own"))
    return [
        tmp_path / "own" / "fashion-mnist",
        tmp_path / "debian" / "fashion-mnist",
        home / ".keras" / "datasets" / "fashion-mnist",
        home / ".cache" / "minidl" / "datasets" / "fashion-mnist",
    ]


@pytest.mark.parametrize("first", range(4))
def test_the_first_place_that_has_the_data_is_read_and_no_later_one(places, arrays, put_files, first):
    put_files(places[first], arrays["Fashion-MNIST"])
    for later in places[first + 1 :]:
        put_files(later, arrays["MNIST"])  # would be refused with a warning if it were read
    (x_train, _), _ = fashion_mnist.load_data()
    np.testing.assert_array_equal(x_train, arrays["Fashion-MNIST"]["train-images-idx3-ubyte"])


def test_a_damaged_place_is_skipped_with_a_warning_at_the_callers_line(places, arrays, put_files):
    put_files(places[0], arrays["MNIST"])
    put_files(places[2], arrays["Fashion-MNIST"])
    with pytest.warns(MiniDLWarning, match=r"^Fashion-MNIST: skipped .*own/fashion-mnist/train.* is MNIST's") as caught:
        (x_train, _), _ = fashion_mnist.load_data()
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_array_equal(x_train, arrays["Fashion-MNIST"]["train-images-idx3-ubyte"])


def test_keras_home_is_honoured(tmp_path, monkeypatch, arrays, put_files):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    put_files(tmp_path / "keras" / "datasets" / "fashion-mnist", arrays["Fashion-MNIST"])
    fashion_mnist.load_data()


def test_a_given_path_is_the_only_place(tmp_path, places, arrays, put_files):
    for place in places:
        put_files(place, arrays["Fashion-MNIST"])
    with pytest.raises(DataNotFoundError, match=r"^/no/such: no such file or folder$"):
        fashion_mnist.load_data("/no/such")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataNotFoundError, match=r"empty: holds no .*, plain or \.gz, here or in fashion-mnist, "):
        fashion_mnist.load_data(empty)
    put_files(empty, arrays["MNIST"])
    with pytest.raises(DataFileError, match="is MNIST's"):
        fashion_mnist.load_data(empty)


def test_an_empty_path_is_this_folder_and_not_every_place(home, monkeypatch, places, arrays, put_files):
    monkeypatch.chdir(home)
    put_files(places[0], arrays["Fashion-MNIST"])
    with pytest.raises(DataNotFoundError, match=r"^\.: holds no"):
        fashion_mnist.load_data("")


@pytest.mark.parametrize("path", [7, b"bytes", ["list"], True])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(DTypeError, match=r"CIFAR-10: path names a folder or file, got "):
        cifar10.load_data(path)


def test_the_error_lists_every_place_and_the_way_out(tmp_path, places, home, arrays, put_files, mirrors):
    put_files(places[2], arrays["MNIST"])
    places[3].mkdir(parents=True)
    mirrors(fashion_mnist, "file:///nowhere/a/", "file:///nowhere/b/")
    with pytest.warns(MiniDLWarning, match="skipped"), pytest.raises(DataNotFoundError) as caught:
        fashion_mnist.load_data()
    title, *tried, hint, setting = str(caught.value).splitlines()
    assert title == "Fashion-MNIST was not found. Tried in turn:"
    problems = {
        f"  {tmp_path}/own: ": "no such file or folder",
        f"  {tmp_path}/debian: ": "no such file or folder",
        f"  {home}/.keras/datasets/fashion-mnist/train-images-idx3-ubyte.gz: ": "is MNIST's",
        f"  {home}/.cache/minidl/datasets: ": "holds no train-images-idx3-ubyte",
        "  file:///nowhere/a/train-images-idx3-ubyte.gz: ": "No such file",
        "  file:///nowhere/b/train-images-idx3-ubyte.gz: ": "No such file",
    }
    for line, (place, problem) in zip(tried, problems.items(), strict=True):
        assert line.startswith(place)
        assert problem in line
    assert "apt install dataset-fashion-mnist" in hint
    assert "load_sample()" in hint
    assert "path=" in setting
    assert "MINIDL_DATA" in setting


@pytest.mark.parametrize("module", [cifar10, fashion_mnist, mnist])
def test_the_error_says_that_minidl_data_is_not_set_and_where_to_download(module):
    with pytest.raises(DataNotFoundError, match=r"\$MINIDL_DATA: not set(.|\n)*https://"):
        module.load_data()


def test_the_places_are_those_of_the_documentation(monkeypatch):
    monkeypatch.undo()  # the folder of Debian's packages, too
    assert finding.DEBIAN == "/usr/share/datasets"
    assert fashion_mnist.SOURCE.names[0] == "fashion-mnist"
    for module in (cifar10, fashion_mnist, mnist):
        assert len(module.SOURCE.mirrors) >= 2
