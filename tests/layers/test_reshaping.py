"""Flatten and Reshape: the same elements, sample by sample."""

import numpy as np
import pytest

from minidl.errors import ArgumentError, ShapeError
from minidl.layers import Flatten, Reshape


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
