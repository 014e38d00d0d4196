"""Images changed at random, so that a network sees a new version of each in every epoch.

Functions on batches of images, (n, height, width) or (n, height, width, channels), of any dtype: uint8 stays uint8. All
randomness comes from the generator they are given, and what they are given is never changed.

    model.fit(x, y, augment=augmentation.crop_and_flip)
    model.fit(x, y, augment=augmentation.mixup)             # y in one-hot rows, which are mixed as the images are

The layers of the same names (`layers.RandomFlip`, …) call these functions with tensors, which gradients flow through.

An argument `factor` is a pair (low, high) that a number is drawn from for each image, all equally likely; a number f
stands for (−f, f). What lies beyond the border is told by `fill_mode`, "reflect", "wrap", "nearest" or "constant", as
`kernels.AffineSampling` shows it; `interpolation` is "bilinear" or "nearest".
"""

from minidl.augmentation.functions import (
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

__all__ = [
    "crop_and_flip", "cutout", "mixup", "random_brightness", "random_contrast", "random_crop", "random_erasing",
    "random_flip", "random_rotation", "random_translation", "random_zoom",
]  # fmt: skip
