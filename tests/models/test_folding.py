"""Batch normalization folded away: the same predictions, and only where they are the same."""

import numpy as np
import pytest

import minidl as keras
from minidl.applications import build_network
from minidl.errors import ArgumentError, NotBuiltError
from minidl.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Input,
    MaxPooling2D,
    SeparableConv2D,
)
from minidl.models import fold_batch_norm
from minidl.models.reusing import layers_of

RNG = np.random.default_rng(1)
SEQUENCE = RNG.standard_normal((6, 7, 4)).astype(np.float32)
IMAGES = RNG.standard_normal((6, 9, 8, 4)).astype(np.float32)


def stirred(model, negative=True):
    """The model with random weights everywhere, as training would leave them; γ of either sign, or positive only."""
    rng = np.random.default_rng(2)
    for variable in model.variables:
        values = rng.standard_normal(variable.shape) / np.sqrt(np.prod(variable.shape[:-1]) or 1)
        positive = variable.name == "moving_variance" or (variable.name == "gamma" and not negative)
        variable.assign(np.abs(values) + 0.2 if positive else values)
    return model


def normalizations(model):
    return sum(isinstance(layer, BatchNormalization) for layer in layers_of(model))


def assert_folds(model, x, left=0):
    """Same predictions within 1e-5 of the largest, and so many normalizations left; the model is as it was."""
    before = model.get_weights()
    folded = fold_batch_norm(model)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(folded.predict(x, verbose=0), expected, atol=1e-5 * np.abs(expected).max())
    assert normalizations(folded) == left
    assert type(folded) is type(model)
    assert not {id(v) for v in folded.variables} & {id(v) for v in model.variables}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    return folded


LINEAR = {
    "dense": lambda **k: Dense(5, **k),
    "conv": lambda **k: Conv2D(6, 3, strides=2, **k),
    "conv_grouped": lambda **k: Conv2D(6, (3, 2), groups=2, **k),
    "conv_dilated": lambda **k: Conv2D(5, 3, dilation_rate=2, **k),
    "depthwise": lambda **k: DepthwiseConv2D(3, depth_multiplier=2, **k),
    "separable": lambda **k: SeparableConv2D(6, 3, depth_multiplier=2, **k),
}


@pytest.mark.parametrize("use_bias", [True, False])
class TestEachLinearLayer:
    @pytest.mark.parametrize("name", list(LINEAR))
    def test_with_normalization_after_it(self, name, use_bias):
        linear = LINEAR[name](use_bias=use_bias)
        model = stirred(keras.Sequential([Input((9, 8, 4)), linear, BatchNormalization(), Activation("relu")]))
        folded = assert_folds(model, IMAGES)
        assert [layer.name for layer in folded.layers] == [layer.name for layer in model.layers[::2]]

    @pytest.mark.parametrize("name", list(LINEAR))
    def test_with_normalization_before_it(self, name, use_bias):
        linear = LINEAR[name](use_bias=use_bias, activation="tanh")
        assert_folds(stirred(keras.Sequential([Input((9, 8, 4)), BatchNormalization(), linear])), IMAGES)

    def test_with_both(self, use_bias):
        layers = [BatchNormalization(), Conv2D(6, 3, use_bias=use_bias), BatchNormalization(scale=False, center=False)]
        assert_folds(stirred(keras.Sequential([Input((9, 8, 4)), *layers])), IMAGES)

    def test_of_transposed_convolutions_only_after_it(self, use_bias):
        layers = [BatchNormalization(), Conv2DTranspose(6, 3, strides=2, use_bias=use_bias), BatchNormalization()]
        assert_folds(stirred(keras.Sequential([Input((9, 8, 4)), *layers])), IMAGES, left=1)

    def test_of_sequences(self, use_bias):
        layers = [BatchNormalization(), Conv1D(6, 3, use_bias=use_bias), BatchNormalization(), Dense(3)]
        assert_folds(stirred(keras.Sequential([Input((7, 4)), *layers])), SEQUENCE)

    def test_with_channels_first(self, use_bias):
        layers = [
            BatchNormalization(axis=1), Conv2D(6, 3, data_format="channels_first", use_bias=use_bias),
            BatchNormalization(axis=1),
        ]  # fmt: skip
        assert_folds(stirred(keras.Sequential([Input((4, 9, 8)), *layers])), IMAGES.transpose(0, 3, 1, 2))


class TestPoolingBetween:
    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize(
        ("pooling", "negative", "left"),
        [(MaxPooling2D, False, 0), (MaxPooling2D, True, 1), (AveragePooling2D, True, 0)],
    )
    def test_is_passed_where_that_is_exact(self, pooling, negative, left, padding):
        """A maximum of s·x is not s times that of x where s < 0."""
        layers = [Conv2D(6, 3, padding="same"), pooling(2, padding=padding), BatchNormalization(), Flatten()]
        assert_folds(stirred(keras.Sequential([Input((9, 8, 4)), *layers]), negative), IMAGES, left)


class TestWhatStays:
    @pytest.mark.parametrize(
        "layers",
        [
            lambda: [Dense(5, activation="relu"), BatchNormalization(), Activation("relu")],
            lambda: [BatchNormalization(), Conv2D(6, 3, padding="same")],
            lambda: [Conv2D(6, 3), BatchNormalization(axis=1)],
            lambda: [Conv2D(6, 3), BatchNormalization(axis=(1, 2)), Flatten()],
            lambda: [Conv2D(6, 3), Activation("relu"), BatchNormalization()],
        ],
        ids=["activation", "padding", "other axis", "two axes", "activation between"],
    )
    def test_is_what_would_not_be_exact(self, layers):
        assert_folds(stirred(keras.Sequential([Input((9, 8, 4)), *layers()])), IMAGES, left=1)

    def test_is_what_others_see_or_what_is_called_twice(self):
        x = Input((4,))
        seen = Dense(4)(x)
        shared, y = Dense(4, name="shared"), BatchNormalization()(seen)
        z = Add()([seen, BatchNormalization()(shared(shared(y)))])
        model = stirred(keras.Model(x, [z, BatchNormalization()(Dense(3)(z))]))
        folded = fold_batch_norm(model)
        assert normalizations(folded) == 2
        x = IMAGES[:, 0, 0]
        for a, b in zip(folded.predict(x, verbose=0), model.predict(x, verbose=0), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)

    def test_is_what_a_subclass_may_have_changed(self):
        class Squared(Dense):
            def call(self, inputs):
                return super().call(inputs) ** 2

        model = stirred(keras.Sequential([Input((4,)), Squared(5), BatchNormalization()]))
        assert_folds(model, IMAGES[:, 0, 0], left=1)

    def test_padding_matters_not_to_windows_of_one_pixel(self):
        layers = [BatchNormalization(), Conv2D(6, 1, strides=2, padding="same", activation="relu")]
        assert_folds(stirred(keras.Sequential([Input((9, 8, 4)), *layers])), IMAGES)


class TestWholeNetworks:
    @pytest.mark.parametrize("name", ["bn", "bn_before", "cnn", "resnet9", "resnet20"])
    def test_of_the_command_line(self, name):
        """Those with γ > 0, as nearly all are after training."""
        shape = (28, 28) if name in ("bn", "bn_before") else (16, 16, 3)
        model = stirred(build_network(name, shape, 10), negative=False)
        pixels = np.random.default_rng(3).integers(0, 256, (5, *shape)).astype(np.uint8)
        assert normalizations(model) == sum(isinstance(layer, BatchNormalization) for layer in model.layers)
        assert_folds(model, pixels)

    def test_models_inside_are_gone_through(self):
        inner = keras.Sequential([Dense(5, use_bias=False), BatchNormalization()], name="inner")
        x = Input((4,))
        assert_folds(stirred(keras.Model(x, Dense(2)(BatchNormalization()(inner(x))))), IMAGES[:, 0, 0])


def test_errors_say_what_is_needed():
    class Mine(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ArgumentError, match="is a Mine: only its code knows"):
        fold_batch_norm(Mine())
    with pytest.raises(ArgumentError, match="'net' is a str"):
        fold_batch_norm("net")
    with pytest.raises(NotBuiltError, match="no weights yet"):
        fold_batch_norm(keras.Sequential([Dense(2)]))
