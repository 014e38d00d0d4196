"""What code for TensorFlow 2 finds under `tf` beside `tf.keras`: `import minidl.tf as tf`.

`from tensorflow import keras` becomes `from minidl.tf import keras`, or simply `import minidl as keras`. Operations are
those of `minidl.ops`, which has Keras's names for them; here are TensorFlow's, where they differ. Tensors are minidl's,
and everything runs at once. There is no TensorFlow in it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import minidl as keras
from minidl import activations as nn
from minidl import ops
from minidl import random as _random
from minidl.autodiff import GradientTape, Tensor
from minidl.autodiff.tracing import function
from minidl.errors import removed_name
from minidl.layers.variable import Variable

__all__ = ["GradientTape", "Tensor", "Variable", "function", "keras", "linalg", "math", "nn", "random"]

bool, float32, float64, int32, int64, uint8 = "bool", "float32", "float64", "int32", "int64", "uint8"

_IN_OPS = {
    "concat": "concatenate", "constant": "convert_to_tensor", "gather": "take", "pow": "power", "range": "arange",
    **{f"reduce_{name}": name for name in ("all", "any", "logsumexp", "max", "mean", "min", "prod", "std", "sum")},
    "reduce_variance": "var",
}  # fmt: skip
_GRAPHS = "TensorFlow 1 built graphs and ran them in sessions; today layers and operations run at once"
_REMOVED = {
    **dict.fromkeys(("Session", "placeholder", "global_variables_initializer", "get_default_graph"), _GRAPHS),
    **dict.fromkeys(("contrib", "layers", "train"), f"{_GRAPHS}: see keras.layers and keras.optimizers"),
    "compat": "use the names of TensorFlow 2",
    "data": "fit, evaluate and predict take arrays and make the batches",
}


def argmax(input: Any, axis: int = 0) -> Tensor:
    """Where the largest element is along an axis, the first unless given."""
    return ops.argmax(input, axis)


def argmin(input: Any, axis: int = 0) -> Tensor:
    """Where the smallest element is along an axis, the first unless given."""
    return ops.argmin(input, axis)


def clip_by_value(t: Any, clip_value_min: float, clip_value_max: float) -> Tensor:
    """Every element, brought between the limits."""
    return ops.clip(t, clip_value_min, clip_value_max)


def one_hot(indices: Any, depth: int) -> Tensor:
    """Rows with a one at each index."""
    return ops.one_hot(indices, depth)


def size(input: Any) -> Tensor:
    """The number of elements."""
    return ops.convert_to_tensor(np.prod(ops.shape(input), dtype="int64"))


def _normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: Any = None) -> Tensor:
    """Numbers of a normal distribution."""
    return Tensor(_random.spawn("dropout", seed).normal(mean, stddev, shape), dtype)


def _uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32", seed: Any = None) -> Tensor:
    """Numbers from `minval` up to, and without, `maxval`."""
    return Tensor(_random.spawn("dropout", seed).uniform(minval, maxval, shape), dtype)


linalg = SimpleNamespace(global_norm=ops.global_norm, matmul=ops.matmul, norm=ops.norm)
random = SimpleNamespace(normal=_normal, set_seed=_random.set_seed, uniform=_uniform)


def __getattr__(name: str) -> Any:
    """An operation, by TensorFlow's name or by that which it has in `minidl.ops`."""
    known = _IN_OPS.get(name, name)
    if known not in ops.__all__:
        raise removed_name("tf", name, _REMOVED)
    return getattr(ops, known)


class _Math:
    """`tf.math`, whose functions are also in `tf`."""

    def __getattr__(self, name: str) -> Any:
        return globals().get(name) or __getattr__(name)


math = _Math()
