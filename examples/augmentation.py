"""A sheet of images changed at random: a row for each kind of change, drawn by matplotlib (extra `plot`).

    python augmentation.py --output sheet.png [--data cifar10] [--quick]

The first row has the images as they are. `--quick` takes the sample that comes with minidl and draws fewer of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import minidl as keras
from minidl import augmentation
from minidl.errors import DataNotFoundError, require

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", choices=("fashion_mnist", "cifar10"), default="fashion_mnist")
parser.add_argument("--output", type=Path, default=Path("augmentation.png"), help="the picture (augmentation.png)")
parser.add_argument("--quick", action="store_true", help="few images, of the sample inside minidl")
parser.add_argument("--seed", type=int, default=42)
arguments = parser.parse_args()

CHANGES = {
    "as they are": lambda x, rng: x,
    "random_flip": augmentation.random_flip,
    "random_crop": augmentation.random_crop,
    "random_translation": lambda x, rng: augmentation.random_translation(x, rng, 0.2, 0.2, fill_mode="constant"),
    "random_rotation": lambda x, rng: augmentation.random_rotation(x, rng, 0.1),
    "random_rotation, nearest": lambda x, rng: augmentation.random_rotation(x, rng, 0.1, "nearest", "nearest"),
    "random_zoom": lambda x, rng: augmentation.random_zoom(x, rng, 0.4, 0.4),
    "random_contrast": lambda x, rng: augmentation.random_contrast(x, rng, 0.7),
    "random_brightness": lambda x, rng: augmentation.random_brightness(x, rng, 0.4),
    "random_erasing": augmentation.random_erasing,
    "cutout": augmentation.cutout,
    "mixup": lambda x, rng: augmentation.mixup(x, (), rng, alpha=1.0)[0],
}


def images(n: int) -> np.ndarray:
    """The first n images, as bytes."""
    if not arguments.quick:
        try:
            return getattr(keras.datasets, arguments.data).load_data()[0][0][:n]
        except DataNotFoundError:
            print(f"{arguments.data} is not on this machine: using the sample of Fashion-MNIST that comes with minidl")
    return keras.datasets.fashion_mnist.load_sample()[0][0][:n]


pixels, rng = images(6 if arguments.quick else 12), np.random.default_rng(arguments.seed)
rows = {name: change(pixels, rng) for name, change in CHANGES.items()}

figure = require("matplotlib.figure", "plot").Figure(figsize=(2.4 + 0.7 * len(pixels), 0.75 * len(rows)))
panels = figure.subplots(len(rows), len(pixels), squeeze=False)
for line, (name, row) in zip(panels, rows.items(), strict=True):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for panel, image in zip(line, row, strict=True):
        panel.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        panel.set(xticks=[], yticks=[])
figure.subplots_adjust(left=1.9 / figure.get_figwidth(), right=0.99, top=0.99, bottom=0.01, wspace=0.05, hspace=0.05)
figure.savefig(arguments.output, dpi=120)
print(f"{len(rows)} rows of {len(pixels)} images: {arguments.output}")
