"""minidl: a deep-learning framework in pure NumPy, with every derivative proven.

The public names are those of Keras 3: `import minidl as keras` is meant to work.
"""

from minidl import (
    activations,
    augmentation,
    callbacks,
    config,
    datasets,
    errors,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
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
from minidl.initializers import Initializer
from minidl.layers import Input, Layer, Variable
from minidl.layers.symbolic import KerasTensor
from minidl.losses import Loss
from minidl.metrics import Metric
from minidl.models import Model, Sequential
from minidl.models.sampling import predict_mc
from minidl.optimizers import Optimizer
from minidl.profiling import profile

__version__ = "0.1.0"

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
    "Sequential",
    "Tensor",
    "Variable",
    "activations",
    "augmentation",
    "callbacks",
    "config",
    "datasets",
    "errors",
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
    "utils",
    "value_and_grad",
    "vjp",
]
