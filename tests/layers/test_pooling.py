"""Pooling layers: beside Keras and PyTorch, and what is said where there is nothing to pool.

The golden values are those of the layers that resize images and of group normalization, too.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from minidl import kernels, layers, ops
from minidl.autodiff import vjp
from minidl.errors import ArgumentError, ShapeError
from minidl.layers import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from minidl.memory import Heap

with np.load(Path(__file__).parents[1] / "golden" / "pooling.npz") as file:
    GOLDEN = dict(file)
CASES = json.loads(str(GOLDEN["cases"]))

# float32, sums of up to 36 numbers of size 1.
close = {"rtol": 2e-6, "atol": 2e-6}

WINDOWED = [MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D]
GLOBAL = [GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling1D, GlobalMaxPooling2D]


def golden(case):
    return {key.removeprefix(f"{case}__"): array for key, array in GOLDEN.items() if key.startswith(f"{case}__")}


class TestBesideKeras:
    @pytest.mark.parametrize("case", CASES)
    def test_value_and_gradients(self, case):
        arguments, arrays = dict(CASES[case]), golden(case)
        layer = getattr(layers, arguments.pop("class_name"))(**arguments)
        layer.build(arrays["x"].shape)
        weights = [arrays[w.name] for w in layer.weights]
        assert {"x", "c", "y", "dx"} | {n for w in layer.weights for n in (w.name, f"d{w.name}")} == set(arrays)

        y, pull = vjp(lambda x, *weights: layer.stateless_call(weights, [], x)[0], arrays["x"], *weights)
        np.testing.assert_allclose(y, arrays["y"], **close)
        dx, *gradients = pull(arrays["c"])
        np.testing.assert_allclose(dx, arrays["dx"], **close)
        for w, dw in zip(layer.weights, gradients, strict=True):
            np.testing.assert_allclose(dw, arrays[f"d{w.name}"], **close, err_msg=w.name)
        assert layer.compute_output_shape(arrays["x"].shape) == arrays["y"].shape

    def test_the_defaults(self):
        for layer in (MaxPooling2D(), AveragePooling2D(2)):
            assert layer.pool_size == layer.strides == (2, 2)
            assert (layer.padding, layer.data_format) == ("valid", "channels_last")
        assert MaxPooling1D().pool_size == MaxPooling1D().strides == (2,)
        assert not GlobalAveragePooling2D().keepdims

    @pytest.mark.parametrize("short", [name for name in layers.__all__ if name[-6:-2] == "Pool"])
    def test_short_names(self, short):
        full = short.replace("Avg", "Average").replace("Pool", "Pooling")
        assert getattr(layers, short) is getattr(layers, full)


class TestBesidePyTorch:
    """PyTorch has its channels first, and the same padding on both sides."""

    @pytest.mark.parametrize("case", sorted({k.partition("__")[0] for k in GOLDEN if k.endswith("__geometry")}))
    def test_value_and_gradient(self, case):
        arrays = golden(case)
        window, stride, padding = arrays["geometry"].tolist()
        kind = kernels.MaxPooling if "max" in case else kernels.AveragePooling
        kernel = kind((window,) * 2, (stride,) * 2, ((padding, padding),) * 2)
        x, c = (np.moveaxis(arrays[key], 1, -1) for key in ("x", "c"))
        y, saved = kernel.forward(Heap(), x)
        np.testing.assert_allclose(np.moveaxis(y, -1, 1), arrays["y"], **close)
        (dx,) = kernel.backward(Heap(), c, saved)
        np.testing.assert_allclose(np.moveaxis(dx, -1, 1), arrays["dx"], **close)

    def test_bilinear_upsampling(self):
        arrays = golden("torch_bilinear")
        layer = layers.UpSampling2D((2, 3), "channels_first", "bilinear")
        y, pull = vjp(layer, arrays["x"])
        np.testing.assert_allclose(y, arrays["y"], **close)
        np.testing.assert_allclose(pull(arrays["c"])[0], arrays["dx"], **close)


class TestChannelsFirst:
    @pytest.mark.parametrize("kind", [*WINDOWED, *GLOBAL])
    def test_is_the_same_with_the_axes_moved(self, kind):
        arguments = {"keepdims": True} if kind in GLOBAL else {"pool_size": 3, "strides": 2, "padding": "same"}
        x = np.random.default_rng(1).normal(size=(2, *(5, 6)[: kind.axes], 3)).astype("float32")
        first, last = kind(**arguments, data_format="channels_first"), kind(**arguments, data_format="channels_last")
        moved = np.moveaxis(x, -1, 1)
        np.testing.assert_allclose(first(moved), np.moveaxis(last(x).numpy(), -1, 1), rtol=1e-6)
        assert first.compute_output_shape(moved.shape) == first(moved).shape


class TestShapes:
    @pytest.mark.parametrize(
        ("arguments", "shape", "expected"),
        [
            ({}, (None, 7, 6, 3), (None, 3, 3, 3)),
            ({"padding": "same"}, (None, 7, 6, 3), (None, 4, 3, 3)),
            ({"padding": "SAME", "strides": 3}, (2, 7, 6, None), (2, 3, 2, None)),
            ({"pool_size": (3, 1), "strides": (2, 1)}, (None, None, 6, 3), (None, None, 6, 3)),
            ({"pool_size": (7, 6)}, (None, 7, 6, 3), (None, 1, 1, 3)),
            ({"data_format": "channels_first"}, (None, 3, 7, None), (None, 3, 3, None)),
        ],
    )
    def test_of_windows(self, arguments, shape, expected):
        assert MaxPooling2D(**arguments).compute_output_shape(shape) == expected
        assert AveragePooling2D(**arguments).compute_output_shape(shape) == expected

    @pytest.mark.parametrize("kind", [GlobalAveragePooling2D, GlobalMaxPooling2D])
    def test_of_nothing_but_channels(self, kind):
        assert kind().compute_output_shape((None, None, 6, 3)) == (None, 3)
        assert kind(keepdims=True).compute_output_shape((None, None, 6, 3)) == (None, 1, 1, 3)
        first = kind(data_format="channels_first", keepdims=True)
        assert first.compute_output_shape((None, 3, None, 6)) == (None, 3, 1, 1)
        assert first(np.zeros((2, 3, 5, 6), "float32")).shape == (2, 3, 1, 1)


class TestErrors:
    @pytest.mark.parametrize("kind", [MaxPooling2D, AveragePooling2D, GlobalMaxPooling2D, GlobalAveragePooling2D])
    def test_images_need_channels(self, kind):
        with pytest.raises(ShapeError, match=r"'p' needs inputs \(batch, height, width, channels\), got \(2, 28, 28\)"):
            kind(name="p")(np.zeros((2, 28, 28)))
        with pytest.raises(ShapeError, match=r"add Reshape\(\(28, 28, 1\)\) before it"):
            kind()(np.zeros((2, 28, 28)))
        with pytest.raises(ShapeError, match=r"\(batch, channels, height, width\).* add Reshape\(\(1, 28, 28\)\)"):
            kind(data_format="channels_first").compute_output_shape((None, 28, 28))
        with pytest.raises(ShapeError, match=r"got \(2, 784\)$"):
            kind()(np.zeros((2, 784)))

    def test_sequences_need_channels(self):
        with pytest.raises(ShapeError, match=r"MaxPooling1D 'p' needs inputs \(batch, steps, channels\), got \(2, 3\)"):
            MaxPooling1D(name="p")(np.zeros((2, 3)))

    @pytest.mark.parametrize("kind", [MaxPooling2D, AveragePooling2D])
    def test_a_window_that_does_not_fit(self, kind):
        with pytest.raises(ShapeError, match=rf"{kind.__name__} 'p' got inputs \(2, 5, 2, 3\): .*padding=\"same\""):
            kind(3, name="p")(np.zeros((2, 5, 2, 3)))
        with pytest.raises(ShapeError, match="does not fit"):
            kind(3).compute_output_shape((None, None, 2, 3))
        assert kind(3, padding="same")(np.zeros((2, 5, 2, 3))).shape == (2, 2, 1, 3)

    @pytest.mark.parametrize("value", [0, -1, (2, 0), (2, 2, 2), 1.5, "2", None, ()])
    def test_sizes_are_positive_integers(self, value):
        with pytest.raises(ArgumentError, match="MaxPooling2D: pool_size must be"):
            MaxPooling2D(value)
        if value is not None:
            with pytest.raises(ArgumentError, match="MaxPooling2D: strides must be"):
                MaxPooling2D(2, strides=value)

    def test_words_that_mean_nothing(self):
        with pytest.raises(ArgumentError, match="padding of MaxPooling2D 'samee': did you mean 'same'"):
            MaxPooling2D(padding="samee")
        with pytest.raises(ArgumentError, match="data_format of GlobalMaxPooling1D 'channels'"):
            GlobalMaxPooling1D("channels")
        with pytest.raises(ArgumentError, match="GlobalAveragePooling2D: keepdims must be True or False, got 1"):
            GlobalAveragePooling2D(keepdims=1)


class TestWhatNetworksRelyOn:
    @pytest.mark.parametrize("kind", [MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D])
    def test_bytes_are_numbers(self, kind):
        x = np.arange(32, dtype="uint8").reshape(1, 4, 4, 2)
        y = kind()(x)
        assert y.dtype == "float32"
        np.testing.assert_array_equal(y, kind()(x.astype("float32")))

    def test_a_window_of_one_takes_every_other_pixel(self):
        x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
        for kind in (MaxPooling2D, AveragePooling2D):
            np.testing.assert_array_equal(kind(1)(x), x)
            np.testing.assert_array_equal(kind(1, strides=2)(x), x[:, ::2, ::2])

    def test_repr_leaves_out_what_is_default(self):
        assert repr(GlobalMaxPooling2D(name="p")) == "GlobalMaxPooling2D(name='p')"
        assert "data_format='channels_first'" in repr(MaxPooling2D(data_format="channels_first"))

    def test_the_gradient_of_relu_and_pooling_is_that_of_pooling_and_relu(self):
        x = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
        pool = MaxPooling2D(dtype="float64")
        one, pull_one = vjp(lambda x: pool(ops.relu(x)), x)
        other, pull_other = vjp(lambda x: ops.relu(pool(x)), x)
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(pull_one(np.ones(one.shape))[0], pull_other(np.ones(one.shape))[0])
