"""What the pooling operations and group normalization take, and what they say to anything else."""

import numpy as np
import pytest

from minidl import ops
from minidl.errors import ArgumentError, MiniDLError, ShapeError

X = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")

pools = pytest.mark.parametrize("pool", [ops.max_pool, ops.average_pool])


@pools
class TestPooling:
    def test_one_size_stands_for_all_axes(self, pool):
        np.testing.assert_array_equal(pool(X, 2), pool(X, (2, 2), (2, 2)))
        np.testing.assert_array_equal(pool(X, [3, 2], 1), pool(X, (3, 2), (1, 1)))

    def test_same_puts_the_odd_one_at_the_end(self, pool):
        # Three windows on five rows: the first starts at the border, the last has its second row beyond it.
        y = pool(X, 2, padding="same").numpy()
        assert y.shape == (2, 3, 3, 3)
        np.testing.assert_array_equal(y[:, :2], pool(X[:, :4], 2).numpy())
        np.testing.assert_array_equal(y[:, 2:], pool(X[:, 4:], (1, 2)).numpy())

    def test_three_spatial_axes(self, pool):
        x = np.arange(64.0).reshape(1, 4, 4, 4, 1)
        assert pool(x, 2).shape == (1, 2, 2, 2, 1)
        assert pool(x, 4).numpy().item() == {"max_pool": 63, "average_pool": 31.5}[pool.__name__]

    def test_integers_become_floats(self, pool):
        assert pool(np.ones((1, 2, 2, 1), "uint8"), 2).dtype == "float32"

    def test_needs_spatial_axes(self, pool):
        with pytest.raises(ShapeError, match=rf"{pool.__name__}: expected images .*, got \(2, 3\)"):
            pool(np.zeros((2, 3)), 2)

    def test_a_window_larger_than_the_image_is_an_error(self, pool):
        with pytest.raises(ShapeError, match=r"window of 6 .* size 5: .*padding=\"same\""):
            pool(X, 6)
        assert pool(X, 7, padding="same").shape == (2, 1, 1, 3)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"pool_size": 0}, "pool_size must be"),
            ({"pool_size": (2, 2, 2)}, "pool_size must be"),
            ({"pool_size": 2, "strides": (1, 0)}, "strides must be"),
            ({"pool_size": 2, "padding": "vald"}, "'vald': did you mean 'valid'"),
            ({"pool_size": 2, "padding": "causal"}, "padding of .* 'causal'"),
            ({"pool_size": 2, "data_format": "channels_least"}, "did you mean 'channels_last'"),
        ],
    )
    def test_other_arguments_are_errors(self, pool, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            pool(X, **arguments)


class TestGroupNormalization:
    @pytest.mark.parametrize(
        ("shape", "channels", "groups", "axis"),
        [((2, 6), 6, 4, -1), ((2, 6), 6, 0, -1), ((2, 6), 2, 1, 0), ((2, 6), 5, 1, -1), ((2, 6), 6, 1, 2)],
        ids=["no multiple", "no group", "the batch", "other parameters", "no such axis"],
    )
    def test_what_cannot_be_cut_is_an_error(self, shape, channels, groups, axis):
        gamma = np.ones(channels)
        with pytest.raises(MiniDLError, match=r"group_normalization: expected|expected axes from -2 to 1"):
            ops.group_normalization(np.ones(shape), gamma, gamma, groups, axis)
