"""Make `augmentation.npz`: what Keras 3 makes of images with the layers that change them.

    pip install "keras>=3.15" jax
    python tests/golden/make_augmentation.py

A factor (f, f) leaves nothing to chance, so that the random layers give fixed values in training. Every number comes
from a fixed seed. `cases` is a JSON object that gives each case its layer and arguments; the arrays of a case are named
case__key: x, the cotangent c, y, and the gradient dx of sum(y·c). All are float32, channels last unless a case says
otherwise.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import keras
import numpy as np

rng = np.random.default_rng(11)

SMALL, TALL = (2, 5, 6, 2), (2, 9, 4, 1)


def same(f: float) -> list[float]:
    """A pair that leaves no choice."""
    return [f, f]


CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {}
for mode in ("reflect", "wrap", "nearest", "constant"):
    for interpolation in ("bilinear", "nearest"):
        how = {"fill_mode": mode, "interpolation": interpolation, "fill_value": 0.5}
        name = f"{mode}_{interpolation}"
        # No place between pixels is exactly half way, where roundings differ.
        CASES |= {
            f"translation_{name}": (
                SMALL,
                {"class_name": "RandomTranslation", "height_factor": same(0.37), "width_factor": same(-0.91), **how},
            ),
            f"rotation_{name}": (TALL, {"class_name": "RandomRotation", "factor": same(0.13), **how}),
            f"zoom_{name}": (
                SMALL,
                {"class_name": "RandomZoom", "height_factor": same(0.83), "width_factor": same(-0.42), **how},
            ),
        }
CASES |= {
    "translation_whole": (
        SMALL, {"class_name": "RandomTranslation", "height_factor": same(0.2), "width_factor": same(0.5)}
    ),
    "zoom_both": (TALL, {"class_name": "RandomZoom", "height_factor": same(-0.27)}),
    "rotation_channels_first": (
        SMALL, {"class_name": "RandomRotation", "factor": same(-0.3), "data_format": "channels_first"}
    ),
    "brightness": (SMALL, {"class_name": "RandomBrightness", "factor": same(0.3), "value_range": [-1, 1]}),
    "center_crop": (SMALL, {"class_name": "CenterCrop", "height": 2, "width": 3}),
    "center_crop_too_small": (SMALL, {"class_name": "CenterCrop", "height": 7, "width": 3}),
    "center_crop_channels_first": (
        SMALL, {"class_name": "CenterCrop", "height": 4, "width": 1, "data_format": "channels_first"}
    ),
    "resizing_crop": (TALL, {"class_name": "Resizing", "height": 5, "width": 3, "crop_to_aspect_ratio": True}),
    "resizing_pad": (
        TALL, {"class_name": "Resizing", "height": 5, "width": 3, "pad_to_aspect_ratio": True, "fill_value": 0.7}
    ),
    "resizing_channels_first": (
        SMALL, {"class_name": "Resizing", "height": 3, "width": 3, "data_format": "channels_first"}
    ),
}
for interpolation in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
    for antialias in (False, True):
        layer = {"class_name": "Resizing", "interpolation": interpolation, "antialias": antialias}
        name = f"{interpolation}_antialias" if antialias else interpolation
        CASES[f"resizing_{name}_larger"] = (SMALL, {**layer, "height": 8, "width": 7})
        CASES[f"resizing_{name}_smaller"] = (TALL, {**layer, "height": 4, "width": 3})


def values(shape: tuple[int, ...], arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    """What the layer gives in training, and the gradient."""
    x = rng.uniform(-1, 1, shape).astype(np.float32)
    own = dict(arguments)
    layer = getattr(keras.layers, own.pop("class_name"))(**own)

    def f(x: Any) -> Any:
        # What a factor is drawn for cannot be traced.
        drawn = layer.get_random_transformation(np.zeros(shape, np.float32), training=True)
        return layer.transform_images(x, drawn, training=True)

    y, pull = jax.vjp(f, x)
    c = rng.normal(size=y.shape).astype(np.float32)
    return {"x": x, "c": c, "y": np.asarray(y), "dx": np.asarray(pull(c)[0])}


def main() -> None:
    """Write the file."""
    arrays = {
        f"{case}__{key}": array
        for case, (shape, arguments) in CASES.items()
        for key, array in values(shape, arguments).items()
    }
    cases = json.dumps({case: arguments for case, (_, arguments) in CASES.items()})
    np.savez_compressed(Path(__file__).with_name("augmentation.npz"), cases=np.array(cases), **arrays)


if __name__ == "__main__":
    main()
