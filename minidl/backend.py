"""`keras.backend`, as code written for Keras 2 uses it: `K = keras.backend`.

What Keras 3 has here, the settings, is here. The functions on tensors are in `minidl.ops` today; their old names give
those of `ops`, with a warning that says so. What depended on graphs built by hand is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import ops
from minidl.autodiff.tensor import plain
from minidl.config import epsilon, floatx, set_epsilon, set_floatx
from minidl.errors import ArgumentError, removed_name, warn_old_name
from minidl.layers.naming import reset_names
from minidl.layers.variable import Variable
from minidl.memory import Array

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_value", "image_data_format", "set_epsilon", "set_floatx",
    "set_image_data_format", "set_value",
]  # fmt: skip

# Old names by those of `minidl.ops`. Most are the same.
_IN_OPS = {
    **{name: name for name in (
        "abs", "all", "any", "arange", "argmax", "argmin", "cast", "clip", "concatenate", "cos", "cumsum", "elu",
        "equal", "exp", "expand_dims", "eye", "greater", "greater_equal", "hard_sigmoid", "less", "less_equal", "log",
        "logsumexp", "max", "maximum", "mean", "min", "minimum", "not_equal", "one_hot", "ones", "ones_like", "prod",
        "relu", "reshape", "round", "shape", "sigmoid", "sign", "sin", "softmax", "softplus", "softsign", "sqrt",
        "square", "squeeze", "stack", "std", "stop_gradient", "sum", "tanh", "tile", "transpose", "var", "zeros",
        "zeros_like",
    )},
    "batch_flatten": "ravel", "constant": "convert_to_tensor", "dot": "matmul", "flatten": "ravel", "gather": "take",
    "pow": "power", "repeat_elements": "repeat", "switch": "where",
}  # fmt: skip
_REMOVED = {
    "function": "call the model, or keras.Model(inputs, outputs) of what you want to see",
    "gradients": "use GradientTape, or minidl.grad",
    "get_session": "there are no sessions: operations run at once",
    "set_session": "there are no sessions: operations run at once",
    "learning_phase": "call the layer or model with training=True or training=False",
    "set_learning_phase": "call the layer or model with training=True or training=False",
    "learning_phase_scope": "call the layer or model with training=True or training=False",
    "placeholder": "use keras.Input",
    "random_normal": "use numpy.random.default_rng(seed).standard_normal(shape)",
    "random_uniform": "use numpy.random.default_rng(seed).uniform(low, high, shape)",
}


def backend() -> str:
    """What runs the operations: "numpy"."""
    return "numpy"


def clear_session() -> None:
    """Start counting the names of layers anew: the next Dense is "dense" again."""
    reset_names()


def image_data_format() -> str:
    """Where images have their channels: always "channels_last", unless a layer is told otherwise."""
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Nothing for "channels_last", an error for everything else: layers take `data_format` one by one."""
    if data_format != "channels_last":
        raise ArgumentError(
            f"set_image_data_format: expected 'channels_last', got {data_format!r}: give layers data_format="
        )


def get_value(x: Any) -> Array:
    """The value of a variable or tensor as an array that nothing else changes."""
    warn_old_name("backend.get_value(x)", "x.numpy()")
    return np.array(plain(x))


def set_value(x: Variable, value: Any) -> None:
    """Give a variable a new value."""
    warn_old_name("backend.set_value(x, value)", "x.assign(value), or optimizer.learning_rate = value")
    if not isinstance(x, Variable):
        raise ArgumentError(f"set_value: expected a variable, got {x!r}")
    x.assign(value)


def variable(value: Any, dtype: Any = None, name: str = "variable") -> Variable:
    """A new variable."""
    warn_old_name("backend.variable(value)", "keras.Variable(value)")
    return Variable(value, dtype=dtype, name=name)


def __getattr__(name: str) -> Callable[..., Any]:
    """A function on tensors by its old name."""
    if name not in _IN_OPS:
        raise removed_name("keras.backend", name, _REMOVED)
    warn_old_name(f"backend.{name}", f"ops.{_IN_OPS[name]}")
    function: Callable[..., Any] = getattr(ops, _IN_OPS[name])
    return function
