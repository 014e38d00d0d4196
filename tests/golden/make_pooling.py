"""Make `pooling.npz`: what Keras 3 and PyTorch compute for pooling, resizing and group normalization.

    pip install "keras>=3.15" jax torch
    python tests/golden/make_pooling.py

Keras (on JAX) has the channels last, PyTorch has them first. Every number comes from a fixed seed. `cases` is a JSON
object that gives each case its layer and arguments; the arrays of a case are named case__key: x, the cotangent c, y,
the gradient dx of sum(y·c), and for a layer with weights gamma, beta, dgamma, dbeta. The torch cases hold what
PyTorch's functions give for `geometry`: window, stride, padding on both sides. In the cases with ties x has few
different values, so that windows have several largest elements.
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
import torch
import torch.nn.functional as F

rng = np.random.default_rng(7)

ODD, EVEN, LINE = (2, 7, 5, 3), (2, 6, 4, 3), (2, 7, 3)

# Case: the shape of x and a layer; the name says what is special.
KERAS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "max1d": (LINE, {"class_name": "MaxPooling1D"}),
    "max1d_same": (LINE, {"class_name": "MaxPooling1D", "pool_size": 3, "strides": 2, "padding": "same"}),
    "max2d": (EVEN, {"class_name": "MaxPooling2D"}),
    "max2d_rest": (ODD, {"class_name": "MaxPooling2D"}),
    "max2d_same": (ODD, {"class_name": "MaxPooling2D", "padding": "same"}),
    "max2d_overlapping": (ODD, {"class_name": "MaxPooling2D", "pool_size": 3, "strides": 2}),
    "max2d_overlapping_same": (EVEN, {"class_name": "MaxPooling2D", "pool_size": 3, "strides": 2, "padding": "same"}),
    "max2d_gaps": (ODD, {"class_name": "MaxPooling2D", "pool_size": [1, 2], "strides": [3, 2], "padding": "same"}),
    "max2d_ties": (ODD, {"class_name": "MaxPooling2D", "pool_size": 3, "strides": 2, "padding": "same"}),
    "max2d_steps_of_one": (ODD, {"class_name": "MaxPooling2D", "pool_size": 3, "strides": 1, "padding": "same"}),
    "average1d": (LINE, {"class_name": "AveragePooling1D", "pool_size": 2}),
    "average1d_same": (LINE, {"class_name": "AveragePooling1D", "pool_size": 4, "strides": 2, "padding": "same"}),
    "average2d": (EVEN, {"class_name": "AveragePooling2D", "pool_size": 2}),
    "average2d_same": (ODD, {"class_name": "AveragePooling2D", "pool_size": [2, 3], "padding": "same"}),
    "average2d_overlapping_same": (
        ODD, {"class_name": "AveragePooling2D", "pool_size": 3, "strides": 2, "padding": "same"}
    ),
    "average2d_overlapping": (ODD, {"class_name": "AveragePooling2D", "pool_size": 3, "strides": [1, 2]}),
    "global_average1d": (LINE, {"class_name": "GlobalAveragePooling1D"}),
    "global_average2d": (ODD, {"class_name": "GlobalAveragePooling2D", "keepdims": True}),
    "global_max1d": (LINE, {"class_name": "GlobalMaxPooling1D", "keepdims": True}),
    "global_max2d": (ODD, {"class_name": "GlobalMaxPooling2D"}),
    "global_max2d_ties": (ODD, {"class_name": "GlobalMaxPooling2D"}),
    "global_max2d_channels_first": (ODD, {"class_name": "GlobalMaxPooling2D", "data_format": "channels_first"}),
    "zeros1d": (LINE, {"class_name": "ZeroPadding1D", "padding": [1, 2]}),
    "zeros2d": (ODD, {"class_name": "ZeroPadding2D", "padding": [[1, 0], [2, 3]]}),
    "zeros2d_pair": (ODD, {"class_name": "ZeroPadding2D", "padding": [1, 2], "data_format": "channels_first"}),
    "cropping1d": (LINE, {"class_name": "Cropping1D", "cropping": [2, 1]}),
    "cropping2d": (ODD, {"class_name": "Cropping2D", "cropping": [[1, 0], [2, 1]]}),
    "cropping2d_channels_first": (ODD, {"class_name": "Cropping2D", "cropping": 1, "data_format": "channels_first"}),
    "upsampling1d": (LINE, {"class_name": "UpSampling1D", "size": 3}),
    "upsampling2d": (EVEN, {"class_name": "UpSampling2D", "size": [2, 3]}),
    "upsampling2d_bilinear": (EVEN, {"class_name": "UpSampling2D", "interpolation": "bilinear"}),
    "upsampling2d_bilinear_3": (
        ODD,
        {"class_name": "UpSampling2D", "size": [1, 3], "interpolation": "bilinear", "data_format": "channels_first"},
    ),
    "permute": (ODD, {"class_name": "Permute", "dims": [3, 1, 2]}),
    "repeat_vector": ((2, 3), {"class_name": "RepeatVector", "n": 4}),
    "group": ((2, 3, 4, 6), {"class_name": "GroupNormalization", "groups": 2}),
    "group_first": ((2, 6, 3, 4), {"class_name": "GroupNormalization", "groups": 3, "axis": 1, "epsilon": 0.1}),
    "group_layer": ((3, 4, 6), {"class_name": "GroupNormalization", "groups": 1, "center": False}),
    "group_instance": ((2, 3, 4, 6), {"class_name": "GroupNormalization", "groups": -1, "scale": False}),
    "group_features": ((3, 8), {"class_name": "GroupNormalization", "groups": 4}),
}


def numbers(shape: tuple[int, ...], case: str) -> np.ndarray:
    """Noise; a few different values for a case of ties."""
    x = rng.integers(0, 3, shape) if "ties" in case else rng.normal(size=shape)
    return x.astype(np.float32)


def of_keras(case: str, shape: tuple[int, ...], config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Value and gradients of a Keras layer."""
    arguments = dict(config)
    layer = getattr(keras.layers, arguments.pop("class_name"))(**arguments)
    x = numbers(shape, case)
    layer.build(shape)
    weights = {w.name: rng.uniform(0.5, 1.5, w.shape).astype(np.float32) for w in layer.weights}

    def f(x: Any, weights: dict[str, Any]) -> Any:
        return layer.stateless_call([weights[w.name] for w in layer.trainable_variables], [], x)[0]

    y, pull = jax.vjp(f, x, weights)
    c = rng.normal(size=y.shape).astype(np.float32)
    dx, dweights = pull(c)
    return {"x": x, "c": c, "y": y, "dx": dx} | weights | {f"d{name}": dw for name, dw in dweights.items()}


# PyTorch's windows with padding on both sides alike; (window, stride, padding).
TORCH = {
    "torch_max": (F.max_pool2d, (2, 2, 0), {}),
    "torch_max_overlapping": (F.max_pool2d, (3, 2, 1), {}),
    "torch_max_ties": (F.max_pool2d, (3, 2, 1), {}),
    "torch_max_ties_rest": (F.max_pool2d, (2, 2, 0), {}),
    "torch_max_steps_of_one_ties": (F.max_pool2d, (3, 1, 1), {}),
    "torch_average": (F.avg_pool2d, (2, 2, 0), {}),
    "torch_average_overlapping": (F.avg_pool2d, (3, 2, 1), {"count_include_pad": False}),
}


def of_torch(case: str, function: Any, geometry: tuple[int, ...], options: dict[str, Any]) -> dict[str, np.ndarray]:
    """Value and gradient of a PyTorch function on (batch, channels, height, width)."""
    x = torch.tensor(numbers((2, 3, 7, 6), case), requires_grad=True)
    y = function(x, *geometry, **options)
    c = torch.tensor(rng.normal(size=tuple(y.shape)).astype(np.float32))
    y.backward(c)
    arrays = {"x": x.detach(), "c": c, "y": y.detach(), "dx": x.grad, "geometry": np.array(geometry)}
    return {key: np.asarray(value) for key, value in arrays.items()}


def of_torch_interpolate() -> dict[str, np.ndarray]:
    """Bilinear interpolation without aligned corners: half-pixel centers."""
    x = torch.tensor(numbers((1, 2, 3, 4), ""), requires_grad=True)
    y = F.interpolate(x, scale_factor=(2, 3), mode="bilinear", align_corners=False)
    c = torch.tensor(rng.normal(size=tuple(y.shape)).astype(np.float32))
    y.backward(c)
    return {key: np.asarray(value) for key, value in {"x": x.detach(), "c": c, "y": y.detach(), "dx": x.grad}.items()}


def main() -> None:
    """Write the file, and say whether anything changed."""
    arrays = {case: of_keras(case, *row) for case, row in KERAS.items()}
    arrays |= {case: of_torch(case, *row) for case, row in TORCH.items()}
    arrays["torch_bilinear"] = of_torch_interpolate()
    flat = {f"{case}__{key}": np.asarray(a) for case, found in arrays.items() for key, a in found.items()}
    flat["cases"] = np.array(json.dumps({case: config for case, (_, config) in KERAS.items()}))
    path = Path(__file__).with_name("pooling.npz")
    if path.exists():
        with np.load(path) as old:
            same = set(old) == set(flat) and all(np.array_equal(old[key], flat[key]) for key in flat)
        print(f"{path.name}: {'unchanged' if same else 'changed'}")
    np.savez_compressed(path, **flat)


if __name__ == "__main__":
    main()
