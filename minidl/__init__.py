"""minidl: a deep-learning framework in pure NumPy, with every derivative proven.

The public names are those of Keras 3: `import minidl as keras` is meant to work.
"""

from typing import Any as _Any

from minidl import (
    activations,
    applications,
    augmentation,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    diagnostics,
    errors,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    sparse,
    tf,
    utils,
)
from minidl.autodiff import (
    GradientTape,
    Tensor,
    grad,
    gradcheck,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    value_and_grad,
    vjp,
)
from minidl.autodiff.tracing import function
from minidl.errors import removed_name as _removed_name
from minidl.initializers import Initializer
from minidl.layers import Input, Layer, Variable
from minidl.layers.symbolic import KerasTensor
from minidl.losses import Loss
from minidl.metrics import Metric
from minidl.models import Model, Sequential
from minidl.models.sampling import predict_mc
from minidl.optimizers import Optimizer
from minidl.profiling import profile
from minidl.regularizers import Regularizer
from minidl.tuning import find_learning_rate

__version__ = "0.1.0"

_REMOVED = {
    "engine": "its classes are keras.layers.Layer, keras.Input and keras.Model",
    "estimator": "use the model itself",
    "legacy": "see keras.layers, keras.optimizers.legacy and keras.losses",
    "preprocessing": "see keras.layers (Rescaling, Normalization) and minidl.augmentation for images",
    "wrappers": "call build_fn yourself, or use the package scikeras",
}


def __getattr__(name: str) -> _Any:
    """The error for a name that an older Keras had, with what to use in its place."""
    raise _removed_name("keras", name, _REMOVED)


__all__ = [
    "GradientTape",
    "Initializer",
    "Input",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Tensor",
    "Variable",
    "activations",
    "applications",
    "augmentation",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "diagnostics",
    "errors",
    "find_learning_rate",
    "function",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "initializers",
    "jacobian",
    "jvp",
    "layers",
    "losses",
    "metrics",
    "models",
    "no_grad",
    "ops",
    "optimizers",
    "predict_mc",
    "profile",
    "random",
    "regularizers",
    "sparse",
    "tf",
    "utils",
    "value_and_grad",
    "vjp",
]
