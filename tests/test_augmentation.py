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


def turns(k):
    """A rotation by k quarters of a turn."""
    return {"factor": (k / 4, k / 4)}


class TestFlipModes:
    def test_each_direction_has_a_coin_of_its_own(self, generator):
        """Four versions, 2,500 of 10,000 each, ± 5 standard deviations of 43."""
        images = np.tile(np.array([[1, 2], [3, 4]], np.uint8), (10_000, 1, 1))
        versions, counts = np.unique(
            random_flip(images, generator, mode="horizontal_and_vertical"), axis=0, return_counts=True
        )
        assert {tuple(v.ravel().tolist()) for v in versions} == {(1, 2, 3, 4), (2, 1, 4, 3), (3, 4, 1, 2), (4, 3, 2, 1)}
        assert (abs(counts - 2_500) < 217).all()

    @pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
    def test_twice_is_once_too_often(self, mode, generator):
        images = numbered()
        once = random_flip(images, generator, rate=1, mode=mode)
        assert (once != images).any()
        np.testing.assert_array_equal(random_flip(once, generator, rate=1, mode=mode), images)

    def test_mode_that_is_none(self, generator):
        with pytest.raises(UnknownNameError, match="Unknown mode of random_flip 'horizontl': did you mean 'horizontal"):
            random_flip(numbered(), generator, mode="horizontl")


class TestWindows:
    def test_of_another_size_anywhere(self, generator):
        images = np.tile(np.arange(20).reshape(4, 5), (3_000, 1, 1))
        windows, counts = np.unique(random_crop(images, generator, 0, size=(2, 4)), axis=0, return_counts=True)
        corners = [(i, j) for i in range(3) for j in range(2)]
        np.testing.assert_array_equal(windows, [images[0, i : i + 2, j : j + 4] for i, j in corners])
        # 500 of each ± 5 standard deviations of 20.
        assert (abs(counts - 500) < 102).all()

    @pytest.mark.parametrize("size", [(5, 3), (3, 7), (0, 3), (3,)])
    def test_size_that_does_not_fit(self, size, generator):
        with pytest.raises(ShapeError, match=r"random_crop: images of \(4, 6\) have no window of size \(\d,"):
            random_crop(numbered(shape=(2, 4)), generator, padding=1, size=size)


GEOMETRY = {
    random_translation: {"height_factor": (0, 0), "width_factor": (0, 0)},
    random_rotation: {"factor": (0, 0)},
    random_zoom: {"height_factor": (0, 0), "width_factor": (0, 0)},
}
every_geometry = pytest.mark.parametrize("function", GEOMETRY, ids=lambda function: function.__name__)
every_way = pytest.mark.parametrize(
    "how",
    [
        {"fill_mode": mode, "interpolation": interpolation, "fill_value": 7}
        for mode in ("reflect", "wrap", "nearest", "constant")
        for interpolation in ("bilinear", "nearest")
    ],
    ids=lambda how: f"{how['fill_mode']}-{how['interpolation']}",
)


class TestGeometry:
    @every_geometry
    @every_way
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    def test_nothing_to_do_leaves_every_bit(self, function, how, dtype, generator):
        images = generator.uniform(0, 255, (7, 5, 6, 3)).astype(dtype)
        np.testing.assert_array_equal(function(images, generator, **GEOMETRY[function], **how), images)

    @every_way
    def test_a_shift_by_whole_pixels_moves_them(self, how, generator):
        """2 of 4 rows down, 1 of 5 columns to the left."""
        images = numbered(n=2, shape=(4, 5, 2))
        modes = {"reflect": "symmetric", "wrap": "wrap", "nearest": "edge", "constant": "constant"}
        filling = {"constant_values": 7} if how["fill_mode"] == "constant" else {}
        padded = np.pad(images, ((0, 0), (2, 0), (0, 1), (0, 0)), modes[how["fill_mode"]], **filling)
        result = random_translation(images, generator, (0.5, 0.5), (-0.2, -0.2), **how)
        np.testing.assert_array_equal(result, padded[:, :4, 1:])

    @every_way
    @pytest.mark.parametrize("k", [-1, 1, 2, 3, 4])
    def test_quarters_of_a_turn_are_counterclockwise(self, how, k, generator):
        """float64 has 1e-16·n pixels of room for the sine of a quarter."""
        images = generator.normal(size=(3, 5, 5, 2))
        result = random_rotation(images, generator, **turns(k), **how)
        np.testing.assert_allclose(result, np.rot90(images, k, axes=(1, 2)), atol=1e-13)

    def test_zooming_in_by_half_shows_the_middle_twice_as_large(self, generator):
        """Five columns show what lies at 1, 1.5, 2, 2.5 and 3."""
        images = np.arange(5.0)[None, None].repeat(5, axis=1)
        result = random_zoom(images, generator, (-0.5, -0.5))
        np.testing.assert_allclose(result, np.array([1, 1.5, 2, 2.5, 3])[None, None].repeat(5, axis=1))

    def test_zooming_out_twice_shows_what_is_around(self, generator):
        images = np.arange(1.0, 4)[None, None].repeat(3, axis=1)
        result = random_zoom(images, generator, (1, 1), (1, 1), fill_mode="constant")
        np.testing.assert_allclose(result, [[[0, 0, 0], [0, 2, 0], [0, 0, 0]]])

    @every_way
    def test_scipy_gives_the_same(self, how, generator):
        """Random transforms of all kinds, image by image and channel by channel."""
        images = generator.normal(size=(4, 9, 6, 2))
        seed = 5
        draws = {
            random_rotation: augmentation.draws.rotations, random_zoom: augmentation.draws.zooms,
            random_translation: augmentation.draws.translations,
        }  # fmt: skip
        ranges = {random_rotation: [(-1, 1)], random_zoom: [(-0.9, 1), (-0.9, 1)], random_translation: [(-1, 1)] * 2}
        order = 1 if how["interpolation"] == "bilinear" else 0
        mode = {"constant": "grid-constant", "wrap": "grid-wrap"}.get(how["fill_mode"], how["fill_mode"])
        for function, draw in draws.items():
            transforms = draw(np.random.default_rng(seed), images, *ranges[function])
            expected = np.stack([
                np.stack([
                    ndimage.affine_transform(x[..., c], t[:, :2], t[:, 2], order=order, mode=mode, cval=7)
                    for c in range(2)
                ], axis=-1)
                for x, t in zip(images, transforms, strict=True)
            ])  # fmt: skip
            result = function(images, np.random.default_rng(seed), *ranges[function], **how)
            np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)

    @every_geometry
    def test_bytes_are_rounded(self, function):
        images = np.random.default_rng(3).integers(0, 256, (5, 8, 7, 3), np.uint8)
        arguments = FUNCTIONS[function]
        exact = function(images.astype(np.float32), np.random.default_rng(2), **arguments)
        result = function(images, np.random.default_rng(2), **arguments)
        np.testing.assert_array_equal(result, np.rint(exact).astype(np.uint8))
        assert (result != images).any()

    @every_geometry
    @pytest.mark.parametrize("fill_mode", ["reflect", "wrap", "nearest"])
    def test_make_no_values_beyond_those_there_are(self, function, fill_mode, generator):
        images = generator.uniform(3, 5, (10, 6, 6)).astype(np.float32)
        result = function(images, generator, **FUNCTIONS[function], fill_mode=fill_mode)
        assert result.min() >= images.min() - 1e-6
        assert result.max() <= images.max() + 1e-6

    @pytest.mark.parametrize(
        ("draw", "ranges", "found"),
        [
            (augmentation.draws.translations, [(-0.25, 0.5), (0, 0)], lambda t: -t[:, 0, 2] / 8),
            (augmentation.draws.translations, [(0, 0), (-0.25, 0.5)], lambda t: -t[:, 1, 2] / 4),
            (augmentation.draws.zooms, [(-0.25, 0.5), None], lambda t: t[:, 1, 1] - 1),
            (augmentation.draws.zooms, [(0, 0), (-0.25, 0.5)], lambda t: t[:, 1, 1] - 1),
            (augmentation.draws.rotations, [(-0.25, 0.5)], lambda t: np.arctan2(t[:, 0, 1], t[:, 0, 0]) / (2 * np.pi)),
        ],
    )
    def test_all_factors_are_equally_likely(self, draw, ranges, found):
        """Kolmogorov and Smirnov, for a fixed seed."""
        factors = found(draw(np.random.default_rng(1), np.empty((5_000, 8, 4, 1)), *ranges))
        assert stats.kstest(factors, stats.uniform(-0.25, 0.75).cdf).pvalue > 1e-3

    def test_zoom_keeps_the_shape_of_things_unless_it_is_told_a_width(self):
        x = np.empty((100, 8, 4, 1))
        both = augmentation.draws.zooms(np.random.default_rng(1), x, (-0.5, 0.5), None)
        np.testing.assert_array_equal(both[:, 0, 0], both[:, 1, 1])
        each = augmentation.draws.zooms(np.random.default_rng(1), x, (-0.5, 0.5), (-0.5, 0.5))
        assert (each[:, 0, 0] != each[:, 1, 1]).all()

    @every_geometry
    def test_gradients_go_back_where_pixels_came_from(self, function):
        """Linear in the image: <f(x), c> = <x, f'(c)>."""
        generator = np.random.default_rng
        x, c = generator(1).normal(size=(2, 3, 4, 5, 1))
        arguments = FUNCTIONS[function]
        dx = grad(lambda x: (function(x, generator(4), **arguments) * c).sum())(Tensor(x))
        y = function(x, generator(4), **arguments)
        assert np.sum(np.asarray(dx) * x) == pytest.approx(np.sum(y * c), rel=1e-12)

    @every_geometry
    @pytest.mark.parametrize(
        ("wrong", "error", "message"),
        [
            ({"fill_mode": "mirror"}, UnknownNameError, "Unknown fill_mode of {} 'mirror': "),
            ({"interpolation": "bilinaer"}, UnknownNameError, "Unknown interpolation of {} 'bilinaer': did you mean"),
            ({"fill_value": "white"}, ArgumentError, "{}: fill_value must be a finite number, got 'white'"),
            ({"fill_value": -1}, ArgumentError, "{}: images of dtype uint8 have no fill_value -1"),
        ],
    )
    def test_arguments(self, function, wrong, error, message, generator):
        with pytest.raises(error, match=message.format(function.__name__)):
            function(numbered(), generator, **FUNCTIONS[function], **wrong)

    @pytest.mark.parametrize("factor", [1.5, (-2, 0), (0.5, 0.1), (0.1,), "0.1", None, True, np.nan])
    def test_factors_that_are_none(self, factor, generator):
        with pytest.raises(ArgumentError, match="random_rotation: factor must be"):
            random_rotation(numbered(), generator, factor)
        with pytest.raises(ArgumentError, match="random_translation: height_factor must be"):
            random_translation(numbered(), generator, factor, 0)
        with pytest.raises(ArgumentError, match="random_translation: width_factor must be"):
            random_translation(numbered(), generator, 0, factor)

    @pytest.mark.parametrize("factor", [-1, 1, (-1, 0)])
    def test_a_zoom_that_leaves_nothing(self, factor, generator):
        with pytest.raises(ArgumentError, match="random_zoom: height_factor must be greater than −1"):
            random_zoom(numbered(), generator, factor)


class TestColors:
    def test_contrast_spreads_each_channel_about_its_mean(self, generator):
        images = generator.normal(size=(500, 4, 5, 3))
        result = random_contrast(images, generator, (0.5, 0.25), value_range=(-100, 100))
        mean = images.mean(axis=(1, 2), keepdims=True)
        factors = (result - mean) / (images - mean)
        np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1, :1], factors.shape), rtol=1e-8)
        assert stats.kstest(factors[:, 0, 0, 0], stats.uniform(0.5, 0.75).cdf).pvalue > 1e-3

    def test_one_contrast_goes_both_ways(self, generator):
        images = np.tile(np.array([-1.0, 1.0]), (1_000, 1, 1))
        factors = random_contrast(images, generator, 0.5, value_range=(-9, 9))[:, 0, 1]
        assert stats.kstest(factors, stats.uniform(0.5, 1).cdf).pvalue > 1e-3

    def test_brightness_adds_a_share_of_the_range(self, generator):
        images = np.zeros((1_000, 1, 2))
        result = random_brightness(images, generator, (-0.5, 0.25), value_range=(-2, 2))
        np.testing.assert_array_equal(result[:, 0, 0], result[:, 0, 1])
        assert stats.kstest(result[:, 0, 0], stats.uniform(-2, 3).cdf).pvalue > 1e-3

    @pytest.mark.parametrize("function", [random_contrast, random_brightness])
    def test_stay_in_the_range(self, function, generator):
        images = generator.integers(0, 256, (50, 8, 8), np.uint8)
        result = function(images, generator, 0.9)
        assert (result == 255).sum() > (images == 255).sum()
        result = function((images / 255).astype(np.float32), generator, 0.9, value_range=(0, 1))
        assert (result.min(), result.max()) == (0, 1)

    @pytest.mark.parametrize("function", [random_contrast, random_brightness])
    def test_nothing_to_do_changes_nothing(self, function, generator):
        """Up to rounding: the mean is taken off and put back."""
        images = generator.integers(0, 256, (5, 8, 8), np.uint8)
        np.testing.assert_array_equal(function(images, generator, 0), images)

    def test_arguments(self, generator):
        with pytest.raises(ArgumentError, match=r"random_contrast: factor must be a number in \[0, 1\], got -0.1"):
            random_contrast(numbered(), generator, -0.1)
        with pytest.raises(ArgumentError, match="random_brightness: factor must be a pair"):
            random_brightness(numbered(), generator, 1.1)
        for function in (random_contrast, random_brightness):
            with pytest.raises(ArgumentError, match=rf"{function.__name__}: value_range must be a pair \(low, high\)"):
                function(numbered(), generator, 0.1, value_range=(1, 0))


class TestErasing:
    def erased(self, generator, n=4_000, **arguments):
        images = np.ones((n, 20, 10, 1), np.float32)
        return random_erasing(images, generator, fill_value=0, **arguments)[..., 0] == 0

    def test_a_rectangle_inside_the_image(self, generator):
        for gone in self.erased(generator, n=100):
            rows, columns = gone.any(axis=1), gone.any(axis=0)
            np.testing.assert_array_equal(gone, rows[:, None] & columns)
            for places in (rows, columns):
                assert (np.diff(np.flatnonzero(places)) == 1).all()

    def test_sides_of_the_scale(self, generator):
        """√0.25 of 20 rows and 10 columns: 10 and 5, wherever they start."""
        gone = self.erased(generator, scale=(0.25, 0.25))
        assert (gone.any(axis=2).sum(axis=1) == 10).all()
        assert (gone.any(axis=1).sum(axis=1) == 5).all()
        first = gone.any(axis=1).argmax(axis=1)
        # They start at 0 … 5, as what begins between 4 and 5 first covers the place 5.
        assert set(first) <= set(range(6))
        assert len(set(first)) >= 5

    @pytest.mark.parametrize(("factor", "rate"), [(0, 0), (1, 1), (0.3, 0.3), ((0.2, 0.6), 0.4)])
    def test_the_share_of_images(self, factor, rate, generator):
        """± 5 standard deviations."""
        share = self.erased(generator, factor=factor, scale=(0.3, 0.5)).any(axis=(1, 2)).mean()
        assert abs(share - rate) <= 5 * np.sqrt(rate * (1 - rate) / 4_000)

    def test_noise_of_keras(self, generator):
        """N(0, 255²), cut to 0 … 255: half of it is 0, a third of the rest 255."""
        noise = random_erasing(np.full((40, 50, 50, 3), 7.5), generator, scale=(1, 1))
        assert (noise == 0).mean() == pytest.approx(0.5, abs=0.01)
        assert (noise == 255).mean() == pytest.approx(stats.norm.sf(1), abs=0.01)
        assert noise.min() >= 0

    def test_a_color_for_each_channel(self, generator):
        images = np.full((3, 5, 5, 3), 9, np.uint8)
        result = random_erasing(images, generator, scale=(1, 1), fill_value=(1, 2, 300))
        np.testing.assert_array_equal(result, np.broadcast_to(np.array([1, 2, 255], np.uint8), images.shape))

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"factor": 1.5}, ArgumentError, r"random_erasing: factor must be a number in \[0, 1\], got 1.5"),
            ({"factor": (0.5, 0.2)}, ArgumentError, "random_erasing: factor must be a pair"),
            ({"scale": (0.5, 2)}, ArgumentError, "random_erasing: scale must be a pair"),
            ({"fill_value": "noise"}, ArgumentError, "random_erasing: fill_value must be a finite number, got 'noise'"),
            ({"fill_value": (1, 2)}, ShapeError, "random_erasing: 2 fill values for images of 3 channels"),
        ],
    )
    def test_arguments(self, arguments, error, message, generator):
        with pytest.raises(error, match=message):
            random_erasing(numbered(), generator, **arguments)


class TestMixup:
    def test_mixes_samples_and_targets_alike(self, generator):
        """A sample is its number, and so is its target."""
        x = np.arange(50.0)[:, None, None] * np.ones((50, 3, 2))
        mixed, y = mixup(x, np.arange(50.0)[:, None], generator, alpha=1.0)
        np.testing.assert_allclose(mixed, y[:, :, None] * np.ones((50, 3, 2)), rtol=1e-12)
        assert (y >= 0).all()
        assert (y <= 49).all()
        assert (y != np.arange(50.0)[:, None]).mean() > 0.8

    def test_shares_are_of_the_beta_distribution(self):
        shares = augmentation.draws.shares(np.random.default_rng(1), np.empty((5_000, 1)), 0.4)
        assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 1e-3

    def test_every_sample_is_a_partner_once(self, generator):
        assert sorted(augmentation.draws.order(generator, np.empty((9, 1)))) == list(range(9))

    def test_rows_that_add_up_to_1_still_do(self, generator):
        y = utils.to_categorical(generator.integers(0, 4, 30))
        x, mixed = mixup(generator.integers(0, 256, (30, 4, 4, 3), np.uint8), y, generator)
        assert (x.dtype, x.shape, mixed.dtype, mixed.shape) == ("uint8", (30, 4, 4, 3), "float32", (30, 4))
        np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)

    def test_several_inputs_and_outputs(self, generator):
        column = np.arange(6.0)[:, None]
        x, y = mixup({"a": column, "b": column * 2}, [column * 3, column * 4], generator, alpha=1.0)
        for part, factor in zip((x["b"], *y), (2, 3, 4), strict=True):
            np.testing.assert_allclose(part, x["a"] * factor)

    def test_leaves_what_it_is_given(self, generator):
        x, y = np.ones((5, 2, 2, 1)), np.eye(5)
        x.flags.writeable = y.flags.writeable = False
        mixup(x, y, generator)

    def test_takes_an_empty_batch(self, generator):
        x, y = mixup(np.zeros((0, 4, 4, 1), np.float32), np.zeros((0, 3)), generator)
        assert (x.shape, y.shape) == ((0, 4, 4, 1), (0, 3))

    def test_arguments(self, generator):
        x, y = np.ones((5, 2, 2, 1)), np.eye(5)
        with pytest.raises(DTypeError, match=r"mixup: expected floating-point targets, got int64 .*to_categorical"):
            mixup(x, np.arange(5), generator)
        with pytest.raises(ShapeError, match="mixup: expected as many targets as samples, got 5, 4"):
            mixup(x, y[:4], generator)
        with pytest.raises(ArgumentError, match="mixup: alpha must be a number > 0, got 0"):
            mixup(x, y, generator, alpha=0)
        with pytest.raises(ArgumentError, match=r"mixup: expected a numpy\.random\.Generator, got 1"):
            mixup(x, y, 1)
        with pytest.raises(DTypeError, match="mixup: expected NumPy arrays, got a float"):
            mixup([1.0, 2.0], y, generator)


class TestTensors:
    @every_function
    def test_come_out_as_tensors_that_gradients_flow_through(self, function):
        x = np.random.default_rng(2).uniform(20, 200, (6, 8, 8, 1))
        expected = function(x, np.random.default_rng(1))
        result = function(Tensor(x), np.random.default_rng(1))
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result, expected)
        dx = grad(lambda x: function(x, np.random.default_rng(1)).sum())(Tensor(x))
        assert dx.shape == x.shape
        assert np.asarray(dx).any()

    def test_with_and_without_channels(self):
        x = np.random.default_rng(2).normal(size=(6, 8, 8))
        with_channels = random_rotation(Tensor(x[..., None]), np.random.default_rng(1), 0.2)
        without = random_rotation(Tensor(x), np.random.default_rng(1), 0.2)
        np.testing.assert_array_equal(without, with_channels[..., 0])

    def test_no_truth_values(self, generator):
        with pytest.raises(DTypeError, match=r"random_flip: expected images of integers or .* got dtype bool"):
            random_flip(np.zeros((2, 3, 3), bool), generator)
