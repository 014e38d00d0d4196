"""Layers that change images at random in training, each image by itself, and leave them alone otherwise.

They calculate with `minidl.augmentation`, whose functions do the same to arrays. What a layer draws comes from its own
generator, anew in each call. Integers become floating-point numbers first, at inference too. Gradients flow to the
images, as far as what is drawn lets them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidl import augmentation, random
from minidl.augmentation.arguments import (
    FILL_MODES,
    FLIPS,
    INTERPOLATIONS,
    Factor,
    check_choice,
    contrast_range,
    erasing_rate,
    factor_range,
    fill_numbers,
    zoom_range,
)
from minidl.autodiff.tensor import Tensor
from minidl.checks import count, interval, number
from minidl.errors import AbstractMethodError, ArgumentError
from minidl.layers.images import ImageLayer
from minidl.layers.layer import OpenShape, SameShape
from minidl.layers.resizing import largest_window, resized


class RandomImageLayer(ImageLayer, SameShape):
    """(batch, height, width, channels) → the same, changed in training by `augment`, which a subclass writes."""

    axes = 2

    def __init__(self, seed: int | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.seed = seed
        self._generator = random.spawn("augmentation", seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The images, changed in training."""
        self.compute_output_shape(inputs.shape)
        return self.on_channels_last(self.augment, inputs) if training else inputs

    def augment(self, images: Tensor) -> Tensor:
        """The images (batch, height, width, channels), changed."""
        raise AbstractMethodError(f"{type(self).__name__} must define augment(self, images)")


class RandomFlip(RandomImageLayer):
    """Mirrors images with probability ½; `mode` is "horizontal", "vertical" or "horizontal_and_vertical".

    In the last, each of the two has its own coin. (Keras 3 tosses one for both, which leaves two versions of four.)
    """

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(seed, data_format, **kwargs)
        self.mode = check_choice(self, "mode", mode, FLIPS)

    def augment(self, images: Tensor) -> Tensor:
        """Some of them mirrored."""
        flipped: Tensor = augmentation.random_flip(images, self._generator, mode=self.mode)
        return flipped


class RandomCrop(RandomImageLayer):
    """(batch, h, w, channels) → (batch, `height`, `width`, channels): a window anywhere, of each image another.

    At inference, and for images that are too small, it is the largest window in the middle that has the shape of the
    window, resized. (Keras cuts all images of a batch in the same place, and at inference, against its documentation,
    nothing.)
    """

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.height = count(self, "height", height)
        self.width = count(self, "width", width)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The windows."""
        self.compute_output_shape(inputs.shape)
        height, width = inputs.shape[self.spatial]
        cuts = training and height >= self.height and width >= self.width
        return self.on_channels_last(self.augment if cuts else self._largest, inputs)

    def augment(self, images: Tensor) -> Tensor:
        """A window of each."""
        window: Tensor = augmentation.random_crop(images, self._generator, 0, (self.height, self.width))
        return window

    def _largest(self, images: Tensor) -> Tensor:
        size = self.height, self.width
        return resized(largest_window(images, size), size)

    def output_sizes(self, sizes: OpenShape) -> Sequence[int | None]:
        """(height, width)."""
        return self.height, self.width


class _Sampler(RandomImageLayer):
    """What the layers share that look into images between the pixels."""

    def __init__(
        self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, data_format: str | None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(seed, data_format, **kwargs)
        self.fill_mode = check_choice(self, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = check_choice(self, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = number(self, "fill_value", fill_value)

    @property
    def _how(self) -> dict[str, Any]:
        return {"fill_mode": self.fill_mode, "interpolation": self.interpolation, "fill_value": self.fill_value}


class RandomTranslation(_Sampler):
    """Shifts images down and to the right by a share in [−1, 1] of their height and width; see `minidl.augmentation`.

    `height_factor` and `width_factor` are pairs (low, high); a number f stands for (−f, f).
    """

    def __init__(
        self, height_factor: Factor, width_factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear",
        seed: int | None = None, fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = factor_range(self, "height_factor", height_factor)
        self.width_factor = factor_range(self, "width_factor", width_factor)

    def augment(self, images: Tensor) -> Tensor:
        """All shifted."""
        factors = self.height_factor, self.width_factor
        shifted: Tensor = augmentation.random_translation(images, self._generator, *factors, **self._how)
        return shifted


class RandomRotation(_Sampler):
    """Turns images counterclockwise by a share of a full turn: `factor` is (low, high) in [−1, 1]; f is (−f, f)."""

    def __init__(
        self, factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None,
        fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = factor_range(self, "factor", factor)

    def augment(self, images: Tensor) -> Tensor:
        """All turned."""
        turned: Tensor = augmentation.random_rotation(images, self._generator, self.factor, **self._how)
        return turned


class RandomZoom(_Sampler):
    """Shows 1 + f times the height and width of images: f > 0 zooms out, f < 0 in; factors lie in (−1, 1].

    `height_factor` and `width_factor` are pairs (low, high); f is (−f, f). Without `width_factor` the width changes as
    the height does.
    """

    def __init__(
        self, height_factor: Factor, width_factor: Factor | None = None, fill_mode: str = "reflect",
        interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
        data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = zoom_range(self, "height_factor", height_factor)
        self.width_factor = None
        if width_factor is not None:
            self.width_factor = zoom_range(self, "width_factor", width_factor)

    def augment(self, images: Tensor) -> Tensor:
        """All zoomed."""
        factors = self.height_factor, self.width_factor
        zoomed: Tensor = augmentation.random_zoom(images, self._generator, *factors, **self._how)
        return zoomed


class RandomContrast(RandomImageLayer):
    """x ← m + f·(x − m), in `value_range`, with the mean m of each channel of each image and f ~ U[1 − low, 1 + high].

    `factor` is (low, high), both in [0, 1], or one number for both; see `augmentation.random_contrast`.
    """

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.factor = contrast_range(self, factor)
        self.value_range = interval(self, "value_range", value_range, -math.inf, math.inf)

    def augment(self, images: Tensor) -> Tensor:
        """All with more contrast, or less."""
        changed: Tensor = augmentation.random_contrast(images, self._generator, self.factor, self.value_range)
        return changed


class RandomBrightness(RandomImageLayer):
    """x ← x + f·(high − low), in `value_range` (low, high); `factor` is a pair in [−1, 1], or f for (−f, f)."""

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.factor = factor_range(self, "factor", factor)
        self.value_range = interval(self, "value_range", value_range, -math.inf, math.inf)

    def augment(self, images: Tensor) -> Tensor:
        """All brighter, or darker."""
        changed: Tensor = augmentation.random_brightness(images, self._generator, self.factor, self.value_range)
        return changed


class RandomErasing(RandomImageLayer):
    """Puts a rectangle of noise, or of `fill_value`, on images with probability `factor`.  (Zhong et al. 2020)

    Its sides are √s of the image's, s ~ U[`scale`] for each; see `augmentation.random_erasing`.
    """

    def __init__(
        self, factor: Factor = 1.0, scale: Sequence[float] = (0.02, 0.33), fill_value: Any = None,
        value_range: Sequence[float] = (0, 255), seed: int | None = None, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(seed, data_format, **kwargs)
        self.factor = erasing_rate(self, factor)
        self.scale = interval(self, "scale", scale, 0, 1)
        self.fill_value = None if fill_value is None else fill_numbers(self, fill_value)
        self.value_range = interval(self, "value_range", value_range, -math.inf, math.inf)

    def augment(self, images: Tensor) -> Tensor:
        """Some with a rectangle gone."""
        how = self.factor, self.scale, self.fill_value, self.value_range
        erased: Tensor = augmentation.random_erasing(images, self._generator, *how)
        return erased


class MixUp(RandomImageLayer):
    """x ← λx + (1 − λ)x′ with another image x′ of the batch, and the same of the labels; λ ~ Beta(α, α) for each image.

    Labels must be mixed, too: call it on {"images": x, "labels": y}, with y in one-hot rows. Called on images alone, as
    inside a Sequential, it mixes those and leaves the labels to you; `fit(augment=augmentation.mixup)` mixes both.
    (Zhang et al. 2018)
    """

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.alpha = number(self, "alpha", alpha, "> 0")

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The images, or the dictionary of images and labels, mixed in training."""
        if not isinstance(inputs, dict):
            return super().call(inputs, training)
        if set(inputs) != {"images", "labels"}:
            raise ArgumentError(f'MixUp {self.name!r}: expected the keys "images" and "labels", got {list(inputs)}')
        self._check_rank(inputs["images"].shape)
        if not training:
            return inputs
        images, labels = augmentation.mixup(inputs["images"], inputs["labels"], self._generator, self.alpha)
        return {"images": images, "labels": labels}

    def augment(self, images: Tensor) -> Tensor:
        """Each mixed with another."""
        mixed: Tensor = augmentation.mixup(images, (), self._generator, self.alpha)[0]
        return mixed

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The same shape, or shapes."""
        return input_shape if isinstance(input_shape, dict) else super().compute_output_shape(input_shape)
