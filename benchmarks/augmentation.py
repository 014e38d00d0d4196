"""How many images a second are changed at random, beside a plain loop over them with scipy.ndimage.

    python benchmarks/augmentation.py [--images 128] [--size 32] [--rounds 20]

prints a table: bytes and floats, images of three channels, and how many times faster than the loop. The loop makes one
transform at a time and samples channel by channel, as one would write it down.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from minidl import augmentation
from minidl.memory import Array

Generator = np.random.Generator


def affine(images: Array, matrices: list[Array], offsets: list[Array]) -> Array:
    """The loop."""
    result = np.empty_like(images)
    for image, matrix, offset, out in zip(images, matrices, offsets, result, strict=True):
        for c in range(image.shape[-1]):
            ndimage.affine_transform(image[..., c], matrix, offset, output=out[..., c], order=1, mode="reflect")
    return result


def rotation(images: Array, generator: Generator) -> Array:
    """Each by up to a tenth of a turn."""
    matrices = []
    for angle in 2 * np.pi * generator.uniform(-0.1, 0.1, len(images)):
        matrices.append(np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))
    center = (np.array(images.shape[1:3]) - 1) / 2
    return affine(images, matrices, [center - matrix @ center for matrix in matrices])


def translation(images: Array, generator: Generator) -> Array:
    """Each by up to a tenth of its size."""
    shifts = generator.uniform(-0.1, 0.1, (len(images), 2)) * images.shape[1:3]
    return affine(images, [np.eye(2)] * len(images), list(shifts))


def flip(images: Array, generator: Generator) -> Array:
    """Every other one."""
    return np.stack([image[:, ::-1] if generator.random() < 0.5 else image for image in images])


def crop(images: Array, generator: Generator) -> Array:
    """Shifted by up to four pixels."""
    height, width = images.shape[1:3]
    result = np.empty_like(images)
    for image, out in zip(images, result, strict=True):
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
        i, j = generator.integers(0, 9, 2)
        out[:] = padded[i : i + height, j : j + width]
    return result


def erasing(images: Array, generator: Generator) -> Array:
    """A square of eight pixels."""
    result = images.copy()
    for image in result:
        i, j = generator.integers(0, image.shape[0] - 8, 2)
        image[i : i + 8, j : j + 8] = 0
    return result


Change = Callable[[Array, Generator], Array]
CHANGES: dict[str, tuple[Change, Change | None]] = {
    "random_flip": (augmentation.random_flip, flip),
    "random_crop": (augmentation.random_crop, crop),
    "cutout": (augmentation.cutout, erasing),
    "random_rotation": (lambda x, rng: augmentation.random_rotation(x, rng, 0.1), rotation),
    "random_rotation, nearest": (
        lambda x, rng: augmentation.random_rotation(x, rng, 0.1, interpolation="nearest"), None
    ),
    "random_translation": (lambda x, rng: augmentation.random_translation(x, rng, 0.1, 0.1), translation),
    "random_zoom": (lambda x, rng: augmentation.random_zoom(x, rng, 0.2), None),
    "random_contrast": (lambda x, rng: augmentation.random_contrast(x, rng, 0.3), None),
    "random_erasing": (lambda x, rng: augmentation.random_erasing(x, rng), None),
    "mixup": (lambda x, rng: augmentation.mixup(x, [], rng)[0], None),
}  # fmt: skip


def speed(change: Change, images: Array, rounds: int) -> float:
    """Images a second of processor time, which other work on the machine disturbs least; the median of the rounds."""
    generator = np.random.default_rng(0)
    change(images, generator)
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        change(images, generator)
        seconds.append(time.process_time() - start)
    return len(images) / statistics.median(seconds)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=128, help="images in a batch (128)")
    parser.add_argument("--size", type=int, default=32, help="their height and width (32)")
    parser.add_argument("--rounds", type=int, default=20, help="how often each is measured (20)")
    options = parser.parse_args()
    pixels = np.random.default_rng(1).integers(0, 256, (options.images, options.size, options.size, 3), np.uint8)
    print("| thousand images a second | bytes | floats | loop, floats | faster |\n|---|---|---|---|---|")
    for name, (change, loop) in CHANGES.items():
        of_bytes, of_floats = (speed(change, x, options.rounds) for x in (pixels, pixels.astype(np.float32)))
        row = [name, f"{of_bytes / 1000:.1f}", f"{of_floats / 1000:.1f}", "–", "–"]
        if loop is not None:
            one_by_one = speed(loop, pixels.astype(np.float32), options.rounds)
            row[3:] = [f"{one_by_one / 1000:.1f}", f"{of_floats / one_by_one:.1f} ×"]
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
