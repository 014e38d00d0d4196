"""Make `more_layers.npz`: what Keras 3 computes for normalization, merging and embedding layers, and in three steps.

    pip install "keras>=3.15" jax
    python tests/golden/make_more_layers.py

All in float32, from one fixed seed. `cases` is a JSON object that gives each case its layer and arguments. The arrays
of a case are named case__key: the inputs x0, x1, ...; the cotangent c; y; for floating-point inputs dx0, ... of
sum(y·c); each weight under its name and its gradient as d + name. The cases renorm* have three training calls, one
after the other: x0, x1, x2 with y0, y1, y2 and dx0, dx1, dx2, the gradients of sum(yₖ·c), dgamma0, ... and dbeta0, ...;
then every variable under its name, and `inference`, what an inference call on x0 gives. In adapt* the layer has been
adapted to x0.
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
Config = dict[str, Any]

ROWS, PAIR = (2, 3, 4), [(2, 3, 4), (2, 3, 4)]
MEANS, VARIANCES = [1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 0.25, 2.0]
LAYERS: dict[str, tuple[list[tuple[int, ...]], Config]] = {
    "layer": ([ROWS], {"class_name": "LayerNormalization"}),
    "layer_plain": ([ROWS], {"class_name": "LayerNormalization", "center": False, "scale": False}),
    "layer_epsilon": ([ROWS], {"class_name": "LayerNormalization", "axis": 1, "epsilon": 0.1}),
    "layer_axes": ([(2, 3, 2, 4)], {"class_name": "LayerNormalization", "axis": [1, 3]}),
    "layer_rms": ([ROWS], {"class_name": "LayerNormalization", "rms_scaling": True}),
    "rms": ([ROWS], {"class_name": "RMSNormalization"}),
    "rms_axes": ([(2, 3, 2, 4)], {"class_name": "RMSNormalization", "axis": [2, 3], "epsilon": 0.1}),
    "unit": ([ROWS], {"class_name": "UnitNormalization"}),
    "unit_axes": ([ROWS], {"class_name": "UnitNormalization", "axis": [1, 2]}),
    "embedding": ([(2, 5)], {"class_name": "Embedding", "input_dim": 6, "output_dim": 3}),
    "maximum": (PAIR, {"class_name": "Maximum"}),
    "minimum": (PAIR, {"class_name": "Minimum"}),
    "subtract": (PAIR, {"class_name": "Subtract"}),
    "dot": ([(3, 4), (3, 4)], {"class_name": "Dot", "axes": 1}),
    "dot_last": ([(2, 3, 4), (2, 5, 4)], {"class_name": "Dot", "axes": -1}),
    "dot_two": ([(2, 3, 5), (2, 4, 3)], {"class_name": "Dot", "axes": [1, 2]}),
    "dot_cosine": ([(2, 3, 5), (2, 4, 3)], {"class_name": "Dot", "axes": [1, 2], "normalize": True}),
    "given": ([ROWS], {"class_name": "Normalization", "mean": MEANS, "variance": VARIANCES}),
    "given_axis": (
        [ROWS], {"class_name": "Normalization", "axis": 1, "mean": MEANS[:3], "variance": [1.0, 4.0, 2.0]}
    ),
    "given_inverted": (
        [ROWS], {"class_name": "Normalization", "axis": None, "mean": 3.0, "variance": 4.0, "invert": True}
    ),
    "adapt": ([(40, 3, 2)], {"class_name": "Normalization"}),
    "adapt_axis": ([(40, 3, 2)], {"class_name": "Normalization", "axis": 1}),
    "adapt_all": ([(40, 3, 2)], {"class_name": "Normalization", "axis": None}),
}  # fmt: skip
RENORM: dict[str, Config] = {
    "renorm": {"class_name": "BatchNormalization", "renorm": True},
    "renorm_quick": {"class_name": "BatchNormalization", "renorm": True, "momentum": 0.5, "renorm_momentum": 0.6},
    "renorm_clipped": {
        "class_name": "BatchNormalization", "renorm": True, "renorm_momentum": 0.8, "epsilon": 0.01,
        "renorm_clipping": {"rmin": 0.7, "rmax": 1.5, "dmax": 0.3},
    },
    "renorm_plain": {"class_name": "BatchNormalization", "renorm": True, "center": False, "scale": False, "axis": 1},
    "renorm_half": {
        "class_name": "BatchNormalization", "renorm": True, "center": False, "renorm_clipping": {"rmax": 2.0},
    },
}  # fmt: skip


def made(config: Config) -> Any:
    """The layer of a case."""
    arguments = dict(config)
    return getattr(keras.layers, arguments.pop("class_name"))(**arguments)


def single(case: str) -> dict[str, Any]:
    """One call, and the gradients."""
    shapes, config = LAYERS[case]
    layer = made(config)
    integers = config["class_name"] == "Embedding"
    xs = [rng.integers(0, 6, s) if integers else rng.normal(0.5, 1.5, s).astype("float32") for s in shapes]
    if case.startswith("adapt"):
        layer.adapt(xs[0])
    elif not layer.built:
        layer.build(shapes[0] if len(shapes) == 1 else shapes)
    trainable = [rng.normal(1.0, 0.5, v.shape).astype("float32") for v in layer.trainable_variables]
    fixed = [v.value for v in layer.non_trainable_variables]

    def f(xs: list[Any], trainable: list[Any]) -> Any:
        return layer.stateless_call(trainable, fixed, xs[0] if len(xs) == 1 else xs)[0]

    if integers:
        y, pull = jax.vjp(lambda w: f(xs, w), trainable)
    else:
        y, pull = jax.vjp(f, xs, trainable)
    c = rng.standard_normal(y.shape).astype("float32")
    *dxs, dws = pull(c)
    results: dict[str, Any] = {"y": y, "c": c} | {f"x{k}": x for k, x in enumerate(xs)}
    results |= {f"dx{k}": dx for k, dx in enumerate(dxs[0] if dxs else [])}
    for v, w, dw in zip(layer.trainable_variables, trainable, dws, strict=True):
        results |= {v.name: w, f"d{v.name}": dw}
    return results | {v.name: v.value for v in layer.non_trainable_variables}


def renormalized(config: Config) -> dict[str, Any]:
    """Three training calls and one at inference."""
    layer = made(config)
    layer.build((None, 3))
    start = [rng.normal(1.0, 0.5, v.shape).astype("float32") for v in layer.trainable_variables]
    results: dict[str, Any] = {f"start_{v.name}": w for v, w in zip(layer.trainable_variables, start, strict=True)}
    c = results["c"] = rng.standard_normal((8, 3)).astype("float32")
    fixed = [v.value for v in layer.non_trainable_variables]
    for k in range(3):
        x = results[f"x{k}"] = rng.normal([0.0, 1.0, -2.0], [1.0, 3.0, 0.5], (8, 3)).astype("float32")

        def f(x: Any, w: Any, fixed: Any = fixed) -> Any:
            return layer.stateless_call(w, fixed, x, training=True)

        y, pull, after = jax.vjp(f, x, start, has_aux=True)
        dx, dws = pull(c)
        results |= {f"y{k}": y, f"dx{k}": dx}
        results |= {f"d{v.name}{k}": dw for v, dw in zip(layer.trainable_variables, dws, strict=True)}
        fixed = after
    results |= {v.name: value for v, value in zip(layer.non_trainable_variables, fixed, strict=True)}
    return results | {"inference": layer.stateless_call(start, fixed, results["x0"], training=False)[0]}


def main() -> None:
    """Write the file anew."""
    found = {case: single(case) for case in LAYERS} | {case: renormalized(config) for case, config in RENORM.items()}
    cases = {case: config for case, (_, config) in LAYERS.items()} | RENORM
    arrays = {f"{case}__{key}": np.asarray(value) for case, values in found.items() for key, value in values.items()}
    np.savez_compressed(Path(__file__).parent / "more_layers.npz", cases=np.array(json.dumps(cases)), **arrays)
    print(len(arrays), "arrays")


if __name__ == "__main__":
    main()
