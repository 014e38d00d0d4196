"""Layers that change the shape: the same elements, sample by sample, or images of another size."""

import numpy as np
import pytest

from minidl.errors import ArgumentError, ShapeError
from minidl.layers import (
    Cropping1D,
    Cropping2D,
    Flatten,
    Permute,
    RepeatVector,
    Reshape,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)


class TestFlatten:
    @pytest.mark.parametrize(
        ("shape", "flat"),
        [
            ((2, 3, 4), (2, 12)), ((2, 3), (2, 3)), ((2,), (2, 1)), ((2, 1, 1), (2, 1)), ((2, 0, 3), (2, 0)),
            ((0, 3, 4), (0, 12)),
        ],
    )  # fmt: skip
    def test_keeps_the_batch(self, shape, flat):
        x = np.arange(np.prod(shape)).reshape(shape)
        np.testing.assert_array_equal(Flatten()(x), x.reshape(flat))
        assert Flatten().compute_output_shape(shape) == flat

    @pytest.mark.parametrize(
        ("shape", "flat"), [((None, 3, 4), (None, 12)), ((None, None, 4), (None, None)), ((None,), (None, 1))]
    )
    def test_knows_its_shape_as_far_as_that_of_the_input(self, shape, flat):
        assert Flatten().compute_output_shape(shape) == flat

    def test_keeps_bytes(self):
        assert Flatten()(np.zeros((2, 28, 28), "uint8")).dtype == "uint8"


class TestReshape:
    @pytest.mark.parametrize(
        ("shape", "target", "result"),
        [
            ((2, 12), (3, 4), (2, 3, 4)), ((2, 12), (3, -1), (2, 3, 4)), ((2, 3, 4), (-1,), (2, 12)),
            ((2, 3), 3, (2, 3)), ((2, 1), (), (2,)), ((2, 12), [np.int64(3), 4], (2, 3, 4)),
            ((0, 12), (-1, 4), (0, 3, 4)), ((2, 0), (0, 3), (2, 0, 3)), ((2, 0, 3), (-1, 2), (2, 0, 2)),
        ],
    )  # fmt: skip
    def test_fills_the_target_row_by_row(self, shape, target, result):
        x = np.arange(np.prod(shape)).reshape(shape)
        np.testing.assert_array_equal(Reshape(target)(x), x.reshape(result))
        assert Reshape(target).compute_output_shape(shape) == result

    @pytest.mark.parametrize(
        ("shape", "target", "result"),
        [
            ((None, 12), (3, -1), (None, 3, 4)),
            ((None, None, 4), (2, -1), (None, 2, None)),
            ((None, None), (2, 3), (None, 2, 3)),
        ],
    )
    def test_knows_its_shape_as_far_as_that_of_the_input(self, shape, target, result):
        assert Reshape(target).compute_output_shape(shape) == result

    @pytest.mark.parametrize(
        ("shape", "target"), [((2, 12), (3, 5)), ((2, 12), (5, -1)), ((2, 0), (0, -1)), ((12,), (3,))]
    )
    def test_elements_that_do_not_fill_the_target_are_an_error(self, shape, target):
        layer = Reshape(target, name="r")
        with pytest.raises(ShapeError, match=r"Reshape 'r': the \d+ elements of a sample \(.*\) do not fill"):
            layer(np.zeros(shape))
        with pytest.raises(ShapeError, match=r"Reshape 'r': the \d+ elements of a sample \(.*\) do not fill"):
            layer.compute_output_shape(shape)

    @pytest.mark.parametrize("target", [(-1, -1), (-2,), (3, -4)])
    def test_targets_that_mean_nothing_are_an_error(self, target):
        with pytest.raises(ArgumentError, match="Reshape: expected sizes ≥ 0 and at most one −1, got"):
            Reshape(target)

    @pytest.mark.parametrize("target", [(2.0,), "ab", None, (None, 2)])
    def test_targets_are_integers(self, target):
        with pytest.raises(ArgumentError, match="Reshape: target_shape must be an integer or several of them, got"):
            Reshape(target)


@pytest.mark.parametrize("layer", [Flatten(name="f"), Reshape((1,), name="f")])
def test_a_scalar_is_an_error(layer):
    with pytest.raises(ShapeError, match=f"{type(layer).__name__} 'f' needs inputs with a batch axis, got a scalar"):
        layer(np.float32(1))
    with pytest.raises(ShapeError, match="'f' needs inputs with a batch axis, got a scalar"):
        layer.compute_output_shape(())


class TestPermute:
    @pytest.mark.parametrize(("dims", "shape"), [((2, 1), (2, 3, 4)), ((3, 1, 2), (2, 3, 4, 5)), ([1], (2, 3))])
    def test_orders_all_axes_but_the_batch(self, dims, shape):
        x = np.arange(np.prod(shape)).reshape(shape)
        np.testing.assert_array_equal(Permute(dims)(x), x.transpose((0, *dims)))
        assert Permute(dims).compute_output_shape((None, *shape[1:])) == (None, *x.transpose((0, *dims)).shape[1:])

    @pytest.mark.parametrize("dims", [(0, 1), (1, 3), (1, 1), (-1, 1)])
    def test_names_each_axis_once_from_1_on(self, dims):
        with pytest.raises(ArgumentError, match="Permute: dims must be the axes 1, 2, … in some order, got"):
            Permute(dims)

    def test_needs_that_many_axes(self):
        with pytest.raises(ShapeError, match=r"Permute 'p' with dims=\(2, 1\) needs .* 2 axes .* got \(2, 3\)"):
            Permute((2, 1), name="p")(np.zeros((2, 3)))


class TestRepeatVector:
    def test_repeats_each_sample(self):
        y = RepeatVector(3)(np.array([[1, 2], [3, 4]]))
        assert y.tolist() == [[[1, 2]] * 3, [[3, 4]] * 3]
        assert RepeatVector(3).compute_output_shape((None, 2)) == (None, 3, 2)

    def test_of_vectors_only(self):
        with pytest.raises(ShapeError, match=r"RepeatVector 'r' needs inputs \(batch, features\), got \(2, 3, 4\)"):
            RepeatVector(2, name="r")(np.zeros((2, 3, 4)))
        with pytest.raises(ArgumentError, match="RepeatVector: n must be an integer ≥ 1, got 0"):
            RepeatVector(0)


IMAGES = np.arange(1.0, 121.0, dtype="float32").reshape(2, 4, 5, 3)


class TestZeroPadding:
    @pytest.mark.parametrize(
        ("padding", "pairs"),
        [
            (1, ((1, 1), (1, 1))), ((1, 2), ((1, 1), (2, 2))), (((1, 0), (2, 3)), ((1, 0), (2, 3))),
            ([[0, 1], 2], ((0, 1), (2, 2))), (0, ((0, 0), (0, 0))),
        ],
    )  # fmt: skip
    def test_frames_images(self, padding, pairs):
        layer = ZeroPadding2D(padding)
        assert layer.padding == pairs
        np.testing.assert_array_equal(layer(IMAGES), np.pad(IMAGES, [(0, 0), *pairs, (0, 0)]))
        first = ZeroPadding2D(padding, data_format="channels_first")
        np.testing.assert_array_equal(first(IMAGES), np.pad(IMAGES, [(0, 0), (0, 0), *pairs]))

    @pytest.mark.parametrize(("padding", "pair"), [(2, (2, 2)), ((1, 0), (1, 0)), ([0, 3], (0, 3))])
    def test_lengthens_sequences(self, padding, pair):
        x = IMAGES[:, 0]
        layer = ZeroPadding1D(padding)
        assert layer.padding == pair
        np.testing.assert_array_equal(layer(x), np.pad(x, [(0, 0), pair, (0, 0)]))
        first = ZeroPadding1D(padding, data_format="channels_first")
        np.testing.assert_array_equal(first(x), np.pad(x, [(0, 0), (0, 0), pair]))

    def test_open_sizes_stay_open(self):
        assert ZeroPadding2D().compute_output_shape((None, None, 5, None)) == (None, None, 7, None)

    @pytest.mark.parametrize("padding", [-1, (1, -1), (1, 2, 3), ((1, 2), (3, 4, 5)), 1.5, "1", None])
    def test_widths_are_integers_from_0_on(self, padding):
        for kind in (ZeroPadding1D, ZeroPadding2D):
            with pytest.raises(ArgumentError, match=f"{kind.__name__}: padding must be"):
                kind(padding)

    def test_keeps_bytes(self):
        assert ZeroPadding2D()(IMAGES.astype("uint8")).dtype == "uint8"

    def test_needs_channels(self):
        with pytest.raises(ShapeError, match=r"ZeroPadding2D 'z' needs inputs .* add Reshape\(\(5, 3, 1\)\) before it"):
            ZeroPadding2D(name="z")(IMAGES[0])


class TestCropping:
    def test_takes_the_border_off(self):
        np.testing.assert_array_equal(Cropping2D(((1, 0), (2, 1)))(IMAGES), IMAGES[:, 1:, 2:-1])
        np.testing.assert_array_equal(Cropping2D((1, 2))(IMAGES), IMAGES[:, 1:-1, 2:-2])
        np.testing.assert_array_equal(Cropping2D()(IMAGES), IMAGES)
        first = Cropping2D(1, data_format="channels_first")
        np.testing.assert_array_equal(first(IMAGES), IMAGES[:, :, 1:-1, 1:-1])
        np.testing.assert_array_equal(Cropping1D()(IMAGES[0]), IMAGES[0, :, 1:-1])
        np.testing.assert_array_equal(Cropping1D((0, 3))(IMAGES[0]), IMAGES[0, :, :-3])

    def test_undoes_padding(self):
        widths = ((1, 2), (0, 3))
        np.testing.assert_array_equal(Cropping2D(widths)(ZeroPadding2D(widths)(IMAGES)), IMAGES)

    @pytest.mark.parametrize("cropping", [2, ((4, 0), (0, 0)), ((0, 0), (9, 0))])
    def test_something_must_be_left(self, cropping):
        layer = Cropping2D(cropping, name="c")
        with pytest.raises(ShapeError, match=r"Cropping2D 'c' got inputs \(2, 4, 5, 3\): cropping=.* leaves nothing"):
            layer(IMAGES)
        with pytest.raises(ShapeError, match="leaves nothing"):
            layer.compute_output_shape((None, 4, 5, 3))

    def test_open_sizes_stay_open(self):
        assert Cropping2D(1).compute_output_shape((None, None, 5, 3)) == (None, None, 3, 3)


class TestUpSampling:
    def test_repeats_pixels(self):
        y = UpSampling2D((2, 3))(IMAGES)
        np.testing.assert_array_equal(y, np.kron(IMAGES, np.ones((1, 2, 3, 1))))
        np.testing.assert_array_equal(UpSampling1D(3)(IMAGES[0]), np.kron(IMAGES[0], np.ones((1, 3, 1))))
        assert UpSampling2D()(IMAGES.astype("uint8")).dtype == "uint8"

    def test_interpolates_between_pixels(self):
        x = np.array([0.0, 4.0, 8.0], "float32").reshape(1, 1, 3, 1)
        y = UpSampling2D((1, 2), interpolation="bilinear")(x)
        # A new pixel is a quarter of an old one away from its center; beyond the outer centers nothing changes.
        assert y.numpy().ravel().tolist() == [0, 1, 3, 5, 7, 8]

    def test_bilinear_bytes_are_numbers(self):
        x = np.array([0, 255], "uint8").reshape(1, 1, 2, 1)
        y = UpSampling2D((1, 2), interpolation="bilinear")(x)
        assert y.dtype == "float32"
        assert y.numpy().ravel().tolist() == [0, 63.75, 191.25, 255]

    def test_open_sizes_stay_open(self):
        assert UpSampling2D((2, 3)).compute_output_shape((None, None, 5, 3)) == (None, None, 15, 3)
        assert UpSampling1D().compute_output_shape((None, 5, None)) == (None, 10, None)

    def test_arguments(self):
        with pytest.raises(ArgumentError, match="UpSampling2D: size must be"):
            UpSampling2D((2, 0))
        with pytest.raises(ArgumentError, match="UpSampling1D: size must be an integer ≥ 1, got"):
            UpSampling1D((2, 2))
        with pytest.raises(ArgumentError, match="interpolation of UpSampling2D 'linear': did you mean 'bilinear'"):
            UpSampling2D(interpolation="linear")
