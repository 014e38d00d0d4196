"""Make `regularization.npz`: what Keras 3 computes for regularizers, constraints and `add_loss`.

    pip install "keras>=3.15" torch
    python tests/golden/make_regularization.py

Every number comes from a fixed seed. `cases` is a JSON object: for each case of `regularizers` and `constraints` the
class, its config and the weight; what it gives stands under case__y, the gradient of a regularizer under case__dy. The
two networks of the trainings stand word for word in tests/training/test_added_losses.py, too.

Keras runs on PyTorch here: on JAX, `fit` and `evaluate` of Keras 3.15 lose all but the last of the activity losses of a
layer that is used several times, while `model.losses` after a call has them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch

rng = np.random.default_rng(11)

WEIGHTS = {
    "vector": rng.normal(size=6),
    "matrix": rng.normal(size=(5, 4)) * 2,
    "kernel": rng.normal(size=(3, 2, 4, 5)),
    "small": rng.normal(size=(5, 4)) * 1e-4,
}

REGULARIZERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "l1": ("L1", {}, "matrix"),
    "l1_of_a_kernel": ("L1", {"l1": 0.3}, "kernel"),
    "l2": ("L2", {}, "matrix"),
    "l2_of_a_vector": ("L2", {"l2": 0.5}, "vector"),
    "l1_l2": ("L1L2", {"l1": 0.2, "l2": 0.1}, "kernel"),
    "l1_l2_of_nothing": ("L1L2", {}, "matrix"),
    "orthogonal": ("OrthogonalRegularizer", {}, "matrix"),
    "orthogonal_columns": ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}, "matrix"),
}
CONSTRAINTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "max_norm": ("MaxNorm", {}, "matrix"),
    "max_norm_rows": ("MaxNorm", {"max_value": 1.5, "axis": 1}, "matrix"),
    "max_norm_filters": ("MaxNorm", {"max_value": 3, "axis": [0, 1, 2]}, "kernel"),
    "max_norm_small": ("MaxNorm", {"max_value": 1.0}, "small"),
    "non_neg": ("NonNeg", {}, "kernel"),
    "unit_norm": ("UnitNorm", {}, "matrix"),
    "unit_norm_filters": ("UnitNorm", {"axis": [0, 1, 2]}, "kernel"),
    "unit_norm_small": ("UnitNorm", {}, "small"),
    "min_max_norm": ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0}, "matrix"),
    "min_max_norm_slowly": ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0, "rate": 0.25, "axis": 1}, "matrix"),
    "min_max_norm_small": ("MinMaxNorm", {"min_value": 0.5}, "small"),
}


def dense_network(keras: Any) -> Any:
    """Penalties on weights and outputs, a constraint that acts, and a layer that is used twice."""
    layers, l2 = keras.layers, keras.regularizers.l2
    x = keras.Input((4,))
    first = layers.Dense(
        8, "tanh", kernel_regularizer=l2(0.01), kernel_constraint=keras.constraints.MaxNorm(0.8),
        activity_regularizer=keras.regularizers.L1(0.02),
    )  # fmt: skip
    shared = layers.Dense(
        8, "tanh", kernel_regularizer="orthogonal_regularizer", bias_regularizer="l1", activity_regularizer="l2"
    )
    y = layers.BatchNormalization(gamma_regularizer="l2", beta_constraint="non_neg")(shared(shared(first(x))))
    y = layers.ActivityRegularization(l1=0.01, l2=0.005)(y)
    return keras.Model(x, layers.Dense(1, kernel_constraint=keras.constraints.UnitNorm())(y))


def image_network(keras: Any) -> Any:
    """Filters, with norms over three axes."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((6, 6, 2)),
        layers.Conv2D(
            4, 3, kernel_constraint=keras.constraints.max_norm(0.9, axis=[0, 1, 2]), kernel_regularizer="l1",
            activity_regularizer=keras.regularizers.l1_l2(l1=0.001, l2=0.001),
        ),
        layers.PReLU(alpha_regularizer="l2", alpha_constraint="non_neg"),
        layers.SeparableConv2D(3, 2, depthwise_regularizer="l2", pointwise_constraint="unit_norm"),
        layers.Flatten(),
        layers.Dense(1, bias_constraint="non_neg", kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02)),
    ])  # fmt: skip


NETWORKS = {"dense": (dense_network, (4,), 0.01), "image": (image_network, (6, 6, 2), 0.002)}


def values() -> dict[str, Any]:
    """What every regularizer and constraint gives, and the gradients of the regularizers."""
    found: dict[str, Any] = {f"weight__{name}": w.astype(np.float32) for name, w in WEIGHTS.items()}
    for case, (name, config, weight) in REGULARIZERS.items():
        regularizer = getattr(keras.regularizers, name)(**config)
        w = torch.tensor(WEIGHTS[weight].astype(np.float32), requires_grad=True)
        y = regularizer(w)
        if y.requires_grad:
            y.backward()
        found[f"{case}__y"] = y.detach().numpy()
        found[f"{case}__dy"] = np.zeros(w.shape, np.float32) if w.grad is None else w.grad.numpy()
    for case, (name, config, weight) in CONSTRAINTS.items():
        y = getattr(keras.constraints, name)(**config)(WEIGHTS[weight].astype(np.float32))
        found[f"{case}__y"] = keras.ops.convert_to_numpy(y)
    return found


def training(name: str) -> dict[str, Any]:
    """Five epochs of ten steps, in order; every number that Keras tells, and the weights before and after."""
    make, shape, learning_rate = NETWORKS[name]
    keras.utils.set_random_seed(5)
    model = make(keras)
    x, y = rng.normal(size=(48, *shape)).astype(np.float32), rng.normal(size=(48, 1)).astype(np.float32)
    found = {"x": x, "y": y}
    found |= {f"before_{k}": w for k, w in enumerate(model.get_weights())}
    model.compile(keras.optimizers.SGD(learning_rate, momentum=0.9), "mse", metrics=["mae"])
    found["evaluated_before"] = model.evaluate(x, y, batch_size=10, verbose=0)
    # 48 samples in batches of 5: the last one is smaller.
    history = model.fit(x, y, batch_size=5, epochs=5, shuffle=False, verbose=0, validation_data=(x[:20], y[:20]))
    found |= {f"history_{key}": numbers for key, numbers in history.history.items()}
    found |= {f"after_{k}": w for k, w in enumerate(model.get_weights())}
    found["evaluated_after"] = model.evaluate(x, y, batch_size=10, verbose=0)
    # In the order in which Keras lists them.
    model(x, training=False)
    found["losses"] = [float(loss) for loss in model.losses]
    return {f"{name}_training__{key}": value for key, value in found.items()}


def main() -> None:
    """Write the file."""
    cases = json.dumps({"regularizers": REGULARIZERS, "constraints": CONSTRAINTS})
    arrays = {**values(), **training("dense"), **training("image")}
    target = Path(__file__).with_name("regularization.npz")
    np.savez_compressed(target, cases=cases, **{name: np.asarray(value) for name, value in arrays.items()})
    print(target, f"{target.stat().st_size:,} bytes", {k: v for k, v in arrays.items() if "history" in k})


if __name__ == "__main__":
    main()
