"""Images changed at random: what may become of an image, how often, and what stays as it was."""

import functools

import numpy as np
import pytest
from scipy import ndimage, stats

from minidl import Tensor, augmentation, utils
from minidl.augmentation import (
    crop_and_flip,
    cutout,
    mixup,
    random_brightness,
    random_contrast,
    random_crop,
    random_erasing,
    random_flip,
    random_rotation,
    random_translation,
    random_zoom,
)
from minidl.autodiff import grad
from minidl.errors import ArgumentError, DTypeError, ShapeError, UnknownNameError

# Each with arguments, where it needs some.
FUNCTIONS = {
    random_flip: {}, random_crop: {}, crop_and_flip: {}, cutout: {},
    random_translation: {"height_factor": 0.3, "width_factor": 0.3}, random_rotation: {"factor": 0.1},
    random_zoom: {"height_factor": 0.4}, random_contrast: {"factor": 0.5}, random_brightness: {"factor": 0.3},
    random_erasing: {"factor": 0.8, "fill_value": 0},
}  # fmt: skip
ALL = [functools.partial(function, **arguments) for function, arguments in FUNCTIONS.items()]
every_function = pytest.mark.parametrize("function", ALL, ids=lambda function: function.func.__name__)


@pytest.fixture
def generator():
    return np.random.default_rng(7)


def numbered(n=6, shape=(5, 6, 3), dtype=np.uint8):
    """Images whose elements all differ within an image, and none is 0, which padding is."""
    return (1 + np.arange(np.prod(shape)).reshape(shape) + np.arange(n).reshape(-1, *[1] * len(shape))).astype(dtype)


def shifted(image, down, right):
    """An image moved down and right, zeros where it was: in plain loops."""
    result = np.zeros_like(image)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            if 0 <= i - down < image.shape[0] and 0 <= j - right < image.shape[1]:
                result[i, j] = image[i - down, j - right]
    return result


class TestAll:
    @every_function
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16])
    @pytest.mark.parametrize("shape", [(8, 8), (8, 9, 1), (10, 8, 3)])
    def test_keep_shape_and_dtype_and_change_no_input(self, function, dtype, shape, generator):
        images = numbered(shape=shape, dtype=dtype)
        images.flags.writeable = False
        result = function(images, generator)
        assert (result.shape, result.dtype) == (images.shape, dtype)
        assert not np.shares_memory(result, images)
        assert result.flags.c_contiguous

    @every_function
    def test_are_functions_of_the_images_and_the_generator(self, function):
        images = numbered(n=30)
        first, again, other = (function(images, np.random.default_rng(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    @every_function
    def test_treat_channels_alike(self, function):
        grey = numbered(n=20, shape=(8, 8))
        colored = np.stack([grey, grey], axis=-1)
        expected = function(grey, np.random.default_rng(3))
        result = function(colored, np.random.default_rng(3))
        np.testing.assert_array_equal(result, np.stack([expected, expected], axis=-1))

    @every_function
    def test_take_views_and_batches_of_any_size(self, function):
        images = numbered(n=6, shape=(8, 16, 3))
        view = images[::2, :, ::-2]
        expected = function(view.copy(), np.random.default_rng(5))
        np.testing.assert_array_equal(function(view, np.random.default_rng(5)), expected)
        assert function(images[:0], np.random.default_rng(5)).shape == (0, 8, 16, 3)

    @every_function
    @pytest.mark.parametrize("shape", [(5,), (5, 4), (2, 3, 4, 5, 6), (2, 0, 4), (2, 3, 4, 0)])
    def test_want_images(self, function, shape, generator):
        with pytest.raises(ShapeError, match=r"expected images \(n, height, width\) or \(n, height, width, channels\)"):
            function(np.zeros(shape), generator)

    @every_function
    def test_want_an_array(self, function, generator):
        with pytest.raises(DTypeError, match="expected images as a NumPy array, got a list"):
            function([[[1, 2], [3, 4]]], generator)

    @every_function
    def test_want_a_generator(self, function):
        with pytest.raises(ArgumentError, match=r"expected a numpy\.random\.Generator, got 42"):
            function(numbered(shape=(8, 8)), 42)


class TestFlip:
    def test_mirrors_left_to_right_or_leaves_alone(self, generator):
        images = numbered(n=40)
        result = random_flip(images, generator)
        mirrored = [(after == before[:, ::-1]).all() for before, after in zip(images, result, strict=True)]
        same = [(after == before).all() for before, after in zip(images, result, strict=True)]
        assert all(a != b for a, b in zip(mirrored, same, strict=True))
        assert any(mirrored)
        assert any(same)

    def test_about_half_of_the_images(self, generator):
        """Of 10,000 images 5,000 ± 5 standard deviations of 50."""
        images = np.tile(np.array([1, 2], np.uint8), (10_000, 1, 1))
        assert abs((random_flip(images, generator)[:, 0, 0] == 2).sum() - 5_000) < 250

    @pytest.mark.parametrize("rate", [0, 1])
    def test_rate(self, rate, generator):
        images = numbered()
        expected = images[:, :, ::-1] if rate else images
        np.testing.assert_array_equal(random_flip(images, generator, rate=rate), expected)

    def test_rate_that_is_none(self, generator):
        with pytest.raises(ArgumentError, match=r"random_flip: rate must be a number in \[0, 1\], got 1.5"):
            random_flip(numbered(), generator, rate=1.5)


class TestCrop:
    @pytest.mark.parametrize("padding", [1, 2, 7])
    @pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (4, 3, 2)])
    def test_every_image_is_shifted_with_zeros_around(self, padding, shape, generator):
        """A padding larger than the image may leave nothing of it."""
        images = numbered(n=50, shape=shape)
        distances = range(-padding, padding + 1)
        for before, after in zip(images, random_crop(images, generator, padding), strict=True):
            assert any((after == shifted(before, i, j)).all() for i in distances for j in distances)

    def test_all_shifts_are_equally_frequent(self, generator):
        """Each of 25 in 10,000: 400 ± 5 standard deviations of 19.6. Images of one bright point tell their shift."""
        images = np.zeros((10_000, 5, 5), np.uint8)
        images[:, 2, 2] = 1
        found = random_crop(images, generator, padding=2).sum(axis=0, dtype=int)
        assert found.sum() == 10_000
        assert (abs(found - 400) < 98).all()

    def test_images_are_shifted_independently(self, generator):
        images = np.tile(numbered(n=1), (20, 1, 1, 1))
        assert len(np.unique(random_crop(images, generator), axis=0)) > 10

    def test_without_padding_nothing_moves(self, generator):
        images = numbered()
        np.testing.assert_array_equal(random_crop(images, generator, padding=0), images)

    @pytest.mark.parametrize("padding", [-1, 1.5, True])
    def test_padding_that_is_none(self, padding, generator):
        with pytest.raises(ArgumentError, match="random_crop: padding must be an integer ≥ 0"):
            random_crop(numbered(), generator, padding=padding)


class TestCutout:
    def test_sets_a_square_to_zero_that_may_leave_the_image(self, generator):
        images = numbered(n=60, shape=(7, 6, 2))
        sizes = set()
        for before, after in zip(images, cutout(images, generator, size=3), strict=True):
            erased = (after == 0).all(axis=-1)
            rows, columns = erased.any(axis=1), erased.any(axis=0)
            np.testing.assert_array_equal(erased, rows[:, None] & columns)
            np.testing.assert_array_equal(after[~erased], before[~erased])
            for places in (rows, columns):
                assert (np.diff(np.flatnonzero(places)) == 1).all()
            sizes.add((int(rows.sum()), int(columns.sum())))
        assert sizes == {(2, 2), (2, 3), (3, 2), (3, 3)}

    def test_a_square_larger_than_the_image_erases_it(self, generator):
        assert not cutout(numbered(), generator, size=20).any()

    @pytest.mark.parametrize("size", [0, 2.0])
    def test_size_that_is_none(self, size, generator):
        with pytest.raises(ArgumentError, match="cutout: size must be an integer ≥ 1"):
            cutout(numbered(), generator, size=size)


class TestTogether:
    def test_crop_and_flip_does_both(self):
        images, rng = numbered(n=40, shape=(16, 16)), np.random.default_rng(1)
        expected = random_crop(random_flip(images, rng), rng, padding=2)
        np.testing.assert_array_equal(crop_and_flip(images, np.random.default_rng(1), padding=2), expected)

    def test_nothing_touches_numpys_global_generator(self, generator):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        for function in ALL:
            function(numbered(shape=(8, 8)), generator)
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002

    def test_every_function_is_tested(self):
        assert set(augmentation.__all__) == {function.__name__ for function in FUNCTIONS} | {"mixup"}
