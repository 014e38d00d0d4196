"""Make `rest.npz`: what Keras 3 computes for the layers, initializers and functions that the other files leave out.

    pip install "keras>=3.15" torch
    python tests/golden/make_rest.py

`cases` is a JSON object. `layers`, each with its config: the inputs x0, x1, ... and y; the functions of those with
several inputs are called, too (`merging`). `metrics`: `results` after each row of `values`, the first with `weights`.
`random`: layers that
draw, in training: x, of which many copies are a batch; the mean of y over them, and of its products y yᵀ (moments).
`drawn`: initializers, each with its config: the mean and the standard deviation of many numbers, and their percentiles.
`fixed`: initializers that draw nothing, or of which one matrix says all: its shape, and w or wᵀw. `functions`: losses
and metrics called as functions: y_true, y_pred, y. The arrays of a case are named case__key. All in float32.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

Config = dict[str, Any]
COPIES = 40_000
rng = np.random.default_rng(21)

PAIR = [(2, 3), (2, 3)]
LAYERS: dict[str, tuple[list[tuple[int, ...]], Config]] = {
    "add": ([*PAIR, (2, 3)], {"class_name": "Add"}),
    "average": ([*PAIR, (2, 3)], {"class_name": "Average"}),
    "multiply": ([*PAIR, (2, 3)], {"class_name": "Multiply"}),
    "concatenate": ([(2, 3), (2, 1), (2, 2)], {"class_name": "Concatenate"}),
    "concatenate_axis1": ([(2, 3, 2), (2, 1, 2)], {"class_name": "Concatenate", "axis": 1}),
    "maximum": (PAIR, {"class_name": "Maximum"}),
    "minimum": (PAIR, {"class_name": "Minimum"}),
    "subtract": (PAIR, {"class_name": "Subtract"}),
    "dot": (PAIR, {"class_name": "Dot", "axes": 1}),
    "identity": ([(2, 3)], {"class_name": "Identity"}),
    "rescaling": ([(2, 3)], {"class_name": "Rescaling", "scale": 0.5, "offset": -1.0}),
    "activity_regularization": ([(2, 3)], {"class_name": "ActivityRegularization", "l1": 0.1, "l2": 0.2}),
}
IMAGE = (4, 4, 1)
RANDOM: dict[str, tuple[tuple[int, ...], Config]] = {
    "dropout": ((5,), {"class_name": "Dropout", "rate": 0.3}),
    "spatial_dropout1d": ((3, 2), {"class_name": "SpatialDropout1D", "rate": 0.4}),
    "spatial_dropout2d": ((2, 2, 2), {"class_name": "SpatialDropout2D", "rate": 0.25}),
    "gaussian_dropout": ((5,), {"class_name": "GaussianDropout", "rate": 0.4}),
    "gaussian_noise": ((5,), {"class_name": "GaussianNoise", "stddev": 0.7}),
    "alpha_dropout": ((5,), {"class_name": "AlphaDropout", "rate": 0.3}),
    "random_flip": (IMAGE, {"class_name": "RandomFlip", "mode": "horizontal"}),
    "random_flip_vertical": (IMAGE, {"class_name": "RandomFlip", "mode": "vertical"}),
    "random_contrast": (IMAGE, {"class_name": "RandomContrast", "factor": [0.2, 0.6], "value_range": [0, 1]}),
    "random_erasing": (
        IMAGE, {"class_name": "RandomErasing", "factor": [0.8, 0.8], "scale": [0.1, 0.5], "fill_value": 0.5}
    ),
}
SHAPE = (400, 500)
DRAWN: dict[str, Config] = {
    name: {"class_name": name}
    for name in (
        "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "RandomNormal",
        "RandomUniform", "TruncatedNormal", "VarianceScaling",
    )
}  # fmt: skip
DRAWN |= {
    "normal_shifted": {"class_name": "RandomNormal", "mean": 1.0, "stddev": 0.5},
    "uniform_shifted": {"class_name": "RandomUniform", "minval": -1.0, "maxval": 3.0},
    "truncated_shifted": {"class_name": "TruncatedNormal", "mean": -1.0, "stddev": 2.0},
    "scaled": {"class_name": "VarianceScaling", "scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"},
    "scaled_uniform": {"class_name": "VarianceScaling", "scale": 0.5, "mode": "fan_avg", "distribution": "uniform"},
}
FIXED: dict[str, tuple[tuple[int, ...], Config]] = {
    "zeros": ((2, 3), {"class_name": "Zeros"}),
    "ones": ((2, 3), {"class_name": "Ones"}),
    "constant": ((2, 3), {"class_name": "Constant", "value": 0.25}),
    "identity_wide": ((2, 3), {"class_name": "Identity", "gain": 2.0}),
    "orthogonal": ((5, 3), {"class_name": "Orthogonal"}),
    "orthogonal_gain": ((3, 2, 4), {"class_name": "Orthogonal", "gain": 1.5}),
}
METRICS = ("Mean", "Sum")
CLASSES, LABELS = (6, 4), {"sparse_categorical_crossentropy", "sparse_categorical_accuracy"}
LABELS |= {"sparse_top_k_categorical_accuracy"}
FUNCTIONS: dict[str, tuple[str, Config]] = {
    **{
        name: ("losses", {})
        for name in (
            "binary_crossentropy", "categorical_crossentropy", "categorical_hinge", "cosine_similarity", "hinge",
            "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
            "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "sparse_categorical_crossentropy",
            "squared_hinge",
        )
    },
    **{
        name: ("metrics", {})
        for name in ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
    },
    "top_k_categorical_accuracy": ("metrics", {"k": 2}), "sparse_top_k_categorical_accuracy": ("metrics", {"k": 2}),
}  # fmt: skip


def made(config: Config, module: Any) -> Any:
    """The layer or initializer of a case."""
    arguments = dict(config)
    return getattr(module, arguments.pop("class_name"))(**arguments)


def array(value: Any) -> np.ndarray:
    """A tensor as an array."""
    return np.asarray(keras.ops.convert_to_numpy(value), dtype="float32")


def layer(shapes: list[tuple[int, ...]], config: Config) -> dict[str, Any]:
    """One call at inference."""
    xs = [rng.normal(size=shape).astype("float32") for shape in shapes]
    called = made(config, keras.layers)
    found = {"y": array(called(xs[0] if len(xs) == 1 else xs))} | {f"x{k}": x for k, x in enumerate(xs)}
    return found | ({"losses": array(sum(called.losses))} if called.losses else {})


def moments(shape: tuple[int, ...], config: Config) -> dict[str, Any]:
    """The mean of what the layer makes of many copies, and that of the products of any two elements."""
    x = rng.uniform(0.1, 0.9, shape).astype("float32")
    y = array(made(config, keras.layers)(np.repeat(x[None], COPIES, axis=0), training=True)).reshape(COPIES, -1)
    y = y.astype("float64")
    return {"x": x, "mean": y.mean(axis=0), "moments": y.T @ y / COPIES}


def numbers(config: Config) -> dict[str, Any]:
    """How numbers from an initializer are spread."""
    w = array(made(config, keras.initializers)(SHAPE)).astype("float64")
    return {"mean": w.mean(), "std": w.std(), "percentiles": np.percentile(w, np.arange(1, 100))}


def matrix(shape: tuple[int, ...], config: Config) -> dict[str, Any]:
    """The matrix, or the products of its columns."""
    w = array(made(config, keras.initializers)(shape))
    columns = w.reshape(-1, shape[-1])
    return {"products": columns.T @ columns} if config["class_name"] == "Orthogonal" else {"w": w}


def metric(name: str) -> dict[str, Any]:
    """Results after each of two updates, with weights and without."""
    values, weights = rng.normal(size=(2, 5)).astype("float32"), rng.uniform(size=5).astype("float32")
    counted = getattr(keras.metrics, name)()
    results = []
    for row, weight in zip(values, (weights, None), strict=True):
        counted.update_state(row, sample_weight=weight)
        results.append(array(counted.result()))
    return {"values": values, "weights": weights, "results": results}


def function(name: str, module: str, arguments: Config) -> dict[str, Any]:
    """A value for each row."""
    y_pred = rng.dirichlet(np.ones(CLASSES[1]), CLASSES[0]).astype("float32")
    labels = rng.integers(0, CLASSES[1], CLASSES[0])
    y_true = labels.astype("int32") if name in LABELS else np.eye(CLASSES[1], dtype="float32")[labels]
    y = getattr(getattr(keras, module), name)(y_true, y_pred, **arguments)
    return {"y_true": y_true, "y_pred": y_pred, "y": array(y)}


def main() -> None:
    """Write the file."""
    keras.utils.set_random_seed(8)
    found = {case: layer(*given) for case, given in LAYERS.items()}
    found |= {case: moments(*given) for case, given in RANDOM.items()}
    found |= {case: numbers(config) for case, config in DRAWN.items()}
    found |= {case: matrix(*given) for case, given in FIXED.items()}
    found |= {name: metric(name) for name in METRICS}
    found |= {name: function(name, *given) for name, given in FUNCTIONS.items()}
    cases = {
        "layers": {case: config for case, (_, config) in LAYERS.items()},
        "merging": [{"function": config["class_name"].lower()} for shapes, config in LAYERS.values() if shapes[1:]],
        "random": {case: config for case, (_, config) in RANDOM.items()},
        "drawn": DRAWN,
        "fixed": {case: {"shape": shape, **config} for case, (shape, config) in FIXED.items()},
        "metrics": {name: {"class_name": name} for name in METRICS},
        "functions": {name: {"function": name, "module": module, **a} for name, (module, a) in FUNCTIONS.items()},
    }
    arrays = {f"{case}__{key}": np.asarray(value) for case, values in found.items() for key, value in values.items()}
    target = Path(__file__).with_name("rest.npz")
    np.savez_compressed(target, cases=np.array(json.dumps(cases)), **arrays)
    print(target.name, f"{target.stat().st_size:,} bytes,", len(arrays), "arrays")


if __name__ == "__main__":
    main()
