"""The sample that comes with the package: balanced, real, reproducible, and licensed."""

import runpy
from importlib import resources
from pathlib import Path

import numpy as np

from minidl.datasets import fashion_mnist


def rows(images):
    """Each image as one string of bytes."""
    return {image.tobytes() for image in images}


def test_it_looks_like_the_whole_set():
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_sample()
    assert [a.shape for a in (x_train, y_train, x_test, y_test)] == [(10000, 28, 28), (10000,), (2000, 28, 28), (2000,)]
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert x_train.flags.writeable


def test_each_class_has_the_same_share():
    (_, y_train), (_, y_test) = fashion_mnist.load_sample()
    np.testing.assert_array_equal(np.bincount(y_train), [1000] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [200] * 10)


def test_the_classes_are_mixed_so_that_any_part_is_a_fair_sample():
    (_, y_train), _ = fashion_mnist.load_sample()
    # A share of 1,000 labels drawn at random is 100 ± 9.5 a class; 5 standard deviations never happen by chance.
    assert np.all(np.abs(np.bincount(y_train[-1000:], minlength=10) - 100) < 48)


def test_every_image_is_one_of_the_whole_set_under_its_label(full_fashion_mnist):
    for (images, labels), (all_images, all_labels) in zip(fashion_mnist.load_sample(), full_fashion_mnist, strict=True):
        for k in range(10):
            assert rows(images[labels == k]) <= rows(all_images[all_labels == k])


def test_the_script_makes_it_again(full_fashion_mnist, tmp_path):
    script = runpy.run_path(str(Path(__file__).with_name("make_fashion_mnist_sample.py")))
    script["make"](tmp_path / "sample.npz", full_fashion_mnist)
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_sample()
    with np.load(tmp_path / "sample.npz") as made:
        for name, array in {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}.items():
            np.testing.assert_array_equal(made[name], array)


def test_its_licence_is_beside_it():
    licence = resources.files("minidl.datasets").joinpath("fashion_mnist_sample.LICENSE").read_text("utf-8")
    assert "Copyright (c) 2017 Zalando SE" in licence
    assert "The above copyright notice and this permission notice shall be included" in licence
