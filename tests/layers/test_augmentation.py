"""Layers that change images in training. What they do to an image is in tests/test_augmentation.py; here is when."""

import copy

import numpy as np
import pytest

import minidl as keras
from minidl import augmentation, layers
from minidl.errors import AbstractMethodError, ArgumentError, DTypeError, ShapeError, UnknownNameError
from minidl.layers.augmentation import RandomImageLayer

# The layer, and the function that does the same, with its arguments.
SAME = [
    (layers.RandomFlip, {"mode": "horizontal"}, augmentation.random_flip, {}),
    (layers.RandomFlip, {}, augmentation.random_flip, {"mode": "horizontal_and_vertical"}),
    (layers.RandomCrop, {"height": 4, "width": 5}, augmentation.random_crop, {"padding": 0, "size": (4, 5)}),
    (layers.RandomTranslation, {"height_factor": 0.2, "width_factor": 0.3}, augmentation.random_translation, None),
    (layers.RandomRotation, {"factor": 0.2, "fill_mode": "wrap"}, augmentation.random_rotation, None),
    (
        layers.RandomZoom, {"height_factor": 0.2, "width_factor": (0, 0.5), "interpolation": "nearest"},
        augmentation.random_zoom, None,
    ),
    (layers.RandomContrast, {"factor": 0.2}, augmentation.random_contrast, None),
    (layers.RandomBrightness, {"factor": 0.2, "value_range": (0, 200)}, augmentation.random_brightness, None),
    (layers.RandomErasing, {"factor": 0.7, "scale": (0.1, 0.3)}, augmentation.random_erasing, None),
    (layers.MixUp, {"alpha": 0.5}, lambda x, rng, alpha: augmentation.mixup(x, [], rng, alpha)[0], None),
]  # fmt: skip
every_layer = pytest.mark.parametrize(
    ("layer", "arguments", "function", "those_of_the_function"), SAME, ids=lambda part: getattr(part, "__name__", "")
)
IMAGES = np.random.default_rng(5).uniform(0, 255, (6, 7, 8, 3)).astype(np.float32)


class TestEveryLayer:
    @every_layer
    def test_is_the_function_with_a_generator_of_its_own(self, layer, arguments, function, those_of_the_function):
        random, rng = layer(**arguments, seed=4), np.random.default_rng(4)
        arguments = arguments if those_of_the_function is None else those_of_the_function
        for _ in range(2):
            np.testing.assert_array_equal(random(IMAGES, training=True), function(IMAGES, rng, **arguments))

    @every_layer
    def test_every_call_draws_anew_and_the_seed_decides(self, layer, arguments, function, those_of_the_function):
        one, other = layer(**arguments, seed=4), layer(**arguments, seed=4)
        first = one(IMAGES, training=True).numpy()
        np.testing.assert_array_equal(other(IMAGES, training=True), first)
        assert (one(IMAGES, training=True).numpy() != first).any()
        keras.utils.set_random_seed(1)
        one = layer(**arguments)(IMAGES, training=True)
        other = layer(**arguments)(IMAGES, training=True).numpy()
        assert (one.numpy() != other).any()
        keras.utils.set_random_seed(1)
        np.testing.assert_array_equal(layer(**arguments)(IMAGES, training=True), one)

    @every_layer
    def test_draws_for_each_image(self, layer, arguments, function, those_of_the_function):
        if layer is layers.MixUp:
            pytest.skip("mixed with itself an image stays what it is")
        equal = IMAGES[:1].repeat(20, axis=0)
        changed = layer(**arguments, seed=1)(equal, training=True).numpy()
        assert len(np.unique(changed, axis=0)) >= 2

    @every_layer
    def test_does_nothing_at_inference(self, layer, arguments, function, those_of_the_function):
        if layer is layers.RandomCrop:
            pytest.skip("has a test of its own")
        np.testing.assert_array_equal(layer(**arguments)(IMAGES), IMAGES)

    @every_layer
    def test_bytes_become_floats(self, layer, arguments, function, those_of_the_function):
        pixels = IMAGES.astype(np.uint8)
        for training in (False, True):
            one, other = (layer(**arguments, seed=2)(x, training=training) for x in (pixels, pixels.astype(np.float32)))
            assert one.dtype == "float32"
            np.testing.assert_array_equal(one, other)

    @every_layer
    def test_channels_first(self, layer, arguments, function, those_of_the_function):
        last = layer(**arguments, seed=2)(IMAGES, training=True)
        first = layer(**arguments, seed=2, data_format="channels_first")(np.moveaxis(IMAGES, -1, 1), training=True)
        if layer is layers.RandomErasing:
            # The noise is the same, too, as images are changed with their channels last.
            assert (first.numpy() != np.moveaxis(IMAGES, -1, 1)).any()
        np.testing.assert_array_equal(np.moveaxis(first.numpy(), 1, -1), last)

    @every_layer
    @pytest.mark.parametrize("shape", [(6, 7), (6, 7, 8), (6, 7, 8, 3, 1)])
    def test_wants_images(self, layer, arguments, function, those_of_the_function, shape):
        for training in (False, True):
            with pytest.raises(ShapeError, match=rf"{layer.__name__} .* needs inputs \(batch, height, width"):
                layer(**arguments)(np.zeros(shape), training=training)

    @every_layer
    def test_a_copy_goes_on_where_the_layer_was(self, layer, arguments, function, those_of_the_function):
        one = layer(**arguments, seed=4)
        one(IMAGES, training=True)
        other = copy.deepcopy(one)
        np.testing.assert_array_equal(one(IMAGES, training=True), other(IMAGES, training=True))

    @every_layer
    def test_in_a_model(self, layer, arguments, function, those_of_the_function, tmp_path):
        inputs = keras.Input((7, 8, 3))
        model = keras.Model(inputs, layer(**arguments)(inputs))
        outputs = model.predict(IMAGES, verbose=0)
        assert model.output_shape == (None, *outputs.shape[1:])
        model.save(tmp_path / "model.minidl")
        again = keras.models.load_model(tmp_path / "model.minidl")
        np.testing.assert_array_equal(again.predict(IMAGES, verbose=0), outputs)


def test_a_layer_of_ones_own():
    class Darker(RandomImageLayer):
        def augment(self, images):
            return images * 0.5

    np.testing.assert_array_equal(Darker()(IMAGES, training=True), IMAGES * 0.5)
    np.testing.assert_array_equal(Darker()(IMAGES), IMAGES)
    with pytest.raises(AbstractMethodError, match=r"RandomImageLayer must define augment\(self, images\)"):
        RandomImageLayer()(IMAGES, training=True)


class TestCrop:
    def test_at_inference_it_is_the_largest_window_resized(self):
        """7 of 8 columns, without the last, have the shape of the window."""
        outputs = layers.RandomCrop(3, 3)(IMAGES)
        np.testing.assert_array_equal(outputs, layers.Resizing(3, 3)(IMAGES[:, :, :7]))

    def test_images_that_are_too_small_are_resized_in_training(self):
        small = IMAGES[:, :2, :4]
        layer = layers.RandomCrop(4, 4)
        np.testing.assert_array_equal(layer(small, training=True), layers.Resizing(4, 4)(small[:, :, 1:3]))

    def test_images_of_that_size_stay(self):
        np.testing.assert_array_equal(layers.RandomCrop(7, 8)(IMAGES, training=True), IMAGES)
        np.testing.assert_array_equal(layers.RandomCrop(7, 8)(IMAGES), IMAGES)


class TestMixUp:
    def test_of_images_and_labels(self):
        labels = np.eye(6, dtype=np.float32)
        outputs = layers.MixUp(alpha=1.0, seed=3)({"images": IMAGES, "labels": labels}, training=True)
        mixed = np.einsum("nm,mhwc->nhwc", outputs["labels"].numpy(), IMAGES)
        np.testing.assert_allclose(outputs["images"], mixed, rtol=1e-5)
        assert (np.count_nonzero(outputs["labels"].numpy(), axis=1) == 2).any()

    def test_at_inference_both_stay(self):
        given = {"images": IMAGES, "labels": np.eye(6, dtype=np.float32)}
        outputs = layers.MixUp()(given)
        for key, array in given.items():
            np.testing.assert_array_equal(outputs[key], array)

    def test_wants_images_and_labels(self):
        with pytest.raises(ArgumentError, match=r'expected the keys "images" and "labels", got .*masks'):
            layers.MixUp()({"images": IMAGES, "masks": IMAGES})
        with pytest.raises(ShapeError, match="needs inputs"):
            layers.MixUp()({"images": IMAGES[0], "labels": np.eye(6)}, training=True)


class TestResizing:
    @pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
    @pytest.mark.parametrize("antialias", [False, True])
    def test_keeps_what_is_of_one_color(self, interpolation, antialias):
        layer = layers.Resizing(5, 11, interpolation=interpolation, antialias=antialias)
        np.testing.assert_allclose(layer(np.full((2, 7, 8, 3), 4.0)), np.full((2, 5, 11, 3), 4.0), rtol=1e-6)

    @pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
    def test_the_same_size_leaves_every_bit(self, interpolation):
        np.testing.assert_array_equal(layers.Resizing(7, 8, interpolation=interpolation)(IMAGES, training=True), IMAGES)

    def test_half_the_size_smoothed_is_a_mean_in_the_middle(self):
        """With antialias the triangle reaches over two old pixels on both sides: weights 1, 3, 3, 1 of 8."""
        x = np.arange(8.0)[None, :, None, None] ** 2
        y = layers.Resizing(4, 1, antialias=True)(x).numpy()[0, :, 0, 0]
        assert y[1] == pytest.approx((1 * 1 + 3 * 4 + 3 * 9 + 1 * 16) / 8)

    def test_no_gradient_is_lost_by_nearest(self):
        x = np.random.default_rng(1).normal(size=(1, 4, 4, 1))
        layer = layers.Resizing(2, 8, interpolation="nearest", dtype="float64")
        np.testing.assert_array_equal(layer(x), x[:, 1::2].repeat(2, axis=2))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.RandomFlip("left"), UnknownNameError, "Unknown mode of RandomFlip 'left'"),
        (lambda: layers.RandomCrop(0, 3), ArgumentError, "RandomCrop: height must be an integer ≥ 1, got 0"),
        (lambda: layers.RandomRotation(2), ArgumentError, "RandomRotation: factor must be a pair"),
        (lambda: layers.RandomRotation(0.1, "mirror"), UnknownNameError, "fill_mode of RandomRotation 'mirror'"),
        (lambda: layers.RandomRotation(0.1, interpolation="a"), UnknownNameError, "interpolation of RandomRotation"),
        (lambda: layers.RandomTranslation("a", 0), ArgumentError, "RandomTranslation: height_factor must be"),
        (lambda: layers.RandomTranslation(0, 1.5), ArgumentError, "RandomTranslation: width_factor must be"),
        (lambda: layers.RandomTranslation(0, 0, fill_value="k"), ArgumentError, "RandomTranslation: fill_value"),
        (lambda: layers.RandomZoom(-1), ArgumentError, "RandomZoom: height_factor must be greater than −1"),
        (lambda: layers.RandomZoom(0, (-1, 0)), ArgumentError, "RandomZoom: width_factor must be greater than −1"),
        (lambda: layers.RandomContrast(1.1), ArgumentError, r"RandomContrast: factor must be a number in \[0, 1\]"),
        (lambda: layers.RandomContrast(0.1, (1, 0)), ArgumentError, "RandomContrast: value_range must be a pair"),
        (lambda: layers.RandomBrightness(2), ArgumentError, "RandomBrightness: factor must be a pair"),
        (lambda: layers.RandomErasing(-0.5), ArgumentError, r"RandomErasing: factor must be a number in \[0, 1\]"),
        (lambda: layers.RandomErasing(scale=0.1), ArgumentError, "RandomErasing: scale must be a pair"),
        (lambda: layers.MixUp(0), ArgumentError, "MixUp: alpha must be a number > 0, got 0"),
        (lambda: layers.Resizing(2, 2.5), ArgumentError, "Resizing: width must be an integer ≥ 1, got 2.5"),
        (lambda: layers.Resizing(2, 2, "area"), UnknownNameError, "Unknown interpolation of Resizing 'area'"),
        (lambda: layers.Resizing(2, 2, fill_mode="reflect"), UnknownNameError, "fill_mode of Resizing 'reflect'"),
        (lambda: layers.Resizing(2, 2, antialias=1), ArgumentError, "Resizing: antialias must be True or False"),
        (
            lambda: layers.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            ArgumentError, "Resizing: crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other",
        ),
        (lambda: layers.CenterCrop(-1, 2), ArgumentError, "CenterCrop: height must be an integer ≥ 1, got -1"),
    ],
)  # fmt: skip
def test_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


class TestFit:
    """`fit(augment=…)` with a function of samples and targets."""

    X = np.random.default_rng(1).normal(size=(20, 4, 4, 1)).astype(np.float32)
    Y = np.eye(3, dtype=np.float32)[np.random.default_rng(2).integers(0, 3, 20)]

    def model(self):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")])
        model.compile("sgd", "categorical_crossentropy")
        return model

    def weights(self, augment, **options):
        model = self.model()
        model.fit(self.X, self.Y, batch_size=8, epochs=2, verbose=0, augment=augment, **options)
        return model.get_weights()[0]

    def test_mixup_is_reproducible_and_makes_a_difference(self):
        mixed = self.weights(augmentation.mixup)
        np.testing.assert_array_equal(mixed, self.weights(augmentation.mixup))
        assert (mixed != self.weights(None)).any()

    def test_a_function_of_three_gets_samples_and_targets_of_a_batch(self):
        seen = []

        def augment(x, y, generator):
            seen.append((x.shape, y.shape, type(generator)))
            return x, y

        np.testing.assert_array_equal(self.weights(augment, shuffle=False), self.weights(None, shuffle=False))
        assert set(seen) == {((n, 4, 4, 1), (n, 3), np.random.Generator) for n in (8, 4)}

    def test_a_function_of_two_with_options_gets_samples(self):
        def augment(x, generator, rate=0.5, mode="horizontal", *, power=1):
            assert (x.shape[1:], rate, mode, power) == ((4, 4, 1), 0.5, "horizontal", 1)
            return x

        np.testing.assert_array_equal(self.weights(augment), self.weights(None))

    def test_labels_that_cannot_be_mixed(self):
        model = self.model()
        model.compile("sgd", "sparse_categorical_crossentropy")
        before = model.get_weights()[0]
        with pytest.raises(DTypeError, match="mixup: expected floating-point targets, got int64"):
            model.fit(self.X, self.Y.argmax(axis=1), verbose=0, augment=augmentation.mixup)
        np.testing.assert_array_equal(model.get_weights()[0], before)

    @pytest.mark.parametrize(
        ("augment", "error", "message"),
        [
            (lambda x, y, generator: x, ArgumentError, r"must give the pair \(x, y\), got ndarray"),
            (lambda x, y, generator: (x, y[1:]), ShapeError, r"arrays of shape \(8, 4, 4, 1\), \(7, 3\) of 8"),
        ],
    )
    def test_what_it_must_give(self, augment, error, message):
        with pytest.raises(error, match=message):
            self.weights(augment)
