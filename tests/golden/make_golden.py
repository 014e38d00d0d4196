"""Make the golden values that minidl is compared with: what Keras 3 computes, kept as small arrays beside this file.

    pip install "keras>=3.15" jax
    python tests/golden/make_golden.py [NAME ...]

The tests read the .npz and .txt files and need neither package; README.md says what the files hold. Every number
comes from a fixed seed, and a second run reports each file as unchanged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import keras
import numpy as np
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

HERE = Path(__file__).parent
Arrays = dict[str, np.ndarray]
Config = dict[str, Any]


# ------------------------------------------------------------------------------------------------- shared helpers


@contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Let Keras and JAX compute in `dtype`, then return to float32.

    Whatever `floatx` says, Keras lets many operations (mean, tanh, ...) return float32 for float64 arrays, by a
    private table of narrower types; it is emptied here, or the digits of float64 would be noise.
    """
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    narrower = {} if dtype == "float64" else BIT64_TO_BIT32_DTYPE
    try:
        with jax.enable_x64(dtype == "float64"), patch.dict(BIT64_TO_BIT32_DTYPE, narrower, clear=True):
            yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def text(value: object) -> np.ndarray:
    """`value` as a JSON string in an array that loads without pickle."""
    return np.array(json.dumps(value))


def prefixed(case: str, arrays: dict[str, Any]) -> Arrays:
    """The arrays of one `case`, their keys written `case__key`."""
    return {f"{case}__{key}": np.asarray(value) for key, value in arrays.items()}


def construct(module: Any, config: Config) -> Any:
    """The object a config names: `class_name` looked up in a Keras module, called with the other entries."""
    arguments = dict(config)
    return getattr(module, arguments.pop("class_name"))(**arguments)


def flat(weights: list[Any]) -> np.ndarray:
    """All weights in their order as one vector."""
    return np.concatenate([np.ravel(w) for w in weights])


# ----------------------------------------------------------------------------------------------------- activations

# No kink of any function below is on the grid: 0 (added for smooth functions only), ±3 (hard_sigmoid), 1 and 6 (relu).
GRID = np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 1.5, 2.0, 2.9, 3.1, 4.0, 5.5, 6.5, 8.0, 12.0, 20.0, 30.0])
GRID = np.concatenate([-GRID[::-1], GRID])
ZERO = len(GRID) // 2

SMOOTH: dict[str, Config] = {
    "linear": {"function": "linear"},
    "sigmoid": {"function": "sigmoid"},
    "tanh": {"function": "tanh"},
    "elu": {"function": "elu"},
    "gelu": {"function": "gelu"},
    "gelu_approximate": {"function": "gelu", "approximate": True},
    "silu": {"function": "silu"},
    "mish": {"function": "mish"},
    "softplus": {"function": "softplus"},
    "softsign": {"function": "softsign"},
    "exponential": {"function": "exponential"},
    "log_sigmoid": {"function": "log_sigmoid"},
    "squareplus": {"function": "squareplus"},
    "squareplus_b1": {"function": "squareplus", "b": 1},
    "tanh_shrink": {"function": "tanh_shrink"},
}
KINKED: dict[str, Config] = {
    "hard_sigmoid": {"function": "hard_sigmoid"},
    "relu": {"function": "relu"},
    "relu_max6": {"function": "relu", "max_value": 6.0},
    "relu_threshold1": {"function": "relu", "threshold": 1.0},
    "relu_slope": {"function": "relu", "negative_slope": 0.1},
    "relu_max6_threshold1": {"function": "relu", "max_value": 6.0, "threshold": 1.0},
    "relu_max6_slope": {"function": "relu", "max_value": 6.0, "negative_slope": 0.1},
    "relu_threshold1_slope": {"function": "relu", "threshold": 1.0, "negative_slope": 0.1},
    "relu_max6_threshold1_slope": {"function": "relu", "max_value": 6.0, "threshold": 1.0, "negative_slope": 0.1},
    "leaky_relu": {"function": "leaky_relu"},
    "leaky_relu_slope0.3": {"function": "leaky_relu", "negative_slope": 0.3},
    "elu_alpha0.5": {"function": "elu", "alpha": 0.5},
    "selu": {"function": "selu"},
    "celu": {"function": "celu"},
    "celu_alpha0.5": {"function": "celu", "alpha": 0.5},
    "relu6": {"function": "relu6"},
    "hard_silu": {"function": "hard_silu"},
    "hard_tanh": {"function": "hard_tanh"},
    "hard_shrink": {"function": "hard_shrink", "threshold": 0.4},
    "soft_shrink": {"function": "soft_shrink", "threshold": 0.3},
    "sparse_plus": {"function": "sparse_plus"},
    "sparse_sigmoid": {"function": "sparse_sigmoid"},
    "threshold": {"function": "threshold", "threshold": 0.3, "default_value": -1.0},
}
ALONG_AXIS: dict[str, tuple[tuple[int, ...], int]] = {
    "2d": ((3, 5), -1),
    "2d_axis0": ((3, 5), 0),
    "2d_axis1": ((3, 5), 1),
    "3d": ((2, 3, 4), -1),
    "3d_axis1": ((2, 3, 4), 1),
}
HALVED = {"3d": ((2, 3, 4), -1), "3d_axis0": ((2, 3, 4), 0)}


def activations() -> Arrays:
    """Values and derivatives of every activation, float64."""
    rng = np.random.default_rng(1)
    golden: Arrays = {}
    cases: dict[str, Config] = {**SMOOTH, **KINKED}
    with floatx("float64"):
        for case, config in cases.items():
            f = activation(config)
            x = np.insert(GRID, ZERO, 0.0) if case in SMOOTH else GRID
            dy_dx = jax.grad(lambda x, f=f: f(x).sum())(x)
            golden |= prefixed(case, {"x": x, "y": f(jax.numpy.asarray(x)), "dy_dx": dy_dx})
        for name in ("softmax", "log_softmax"):
            inputs = {case: (3.0 * rng.standard_normal(shape), axis) for case, (shape, axis) in ALONG_AXIS.items()}
            inputs["large"] = (np.array([[1000.0, 999.0, 0.0, -1000.0], [-1e4, 1e4, 1e4, 0.0]]), -1)
            for case, (x, axis) in inputs.items():
                cases[f"{name}_{case}"] = config = {"function": name, "axis": axis}
                golden |= prefixed(f"{name}_{case}", with_gradient(activation(config), x, rng))
        for case, (shape, axis) in HALVED.items():
            cases[f"glu_{case}"] = config = {"function": "glu", "axis": axis}
            golden |= prefixed(f"glu_{case}", with_gradient(activation(config), rng.standard_normal(shape), rng))
    return {"cases": text(cases), **golden}


def with_gradient(f: Callable[[Any], Any], x: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Values, a cotangent, and the gradient of their product."""
    y, pull = jax.vjp(f, x)
    c = rng.standard_normal(y.shape)
    return {"x": x, "y": y, "c": c, "dx": pull(c)[0]}


def activation(config: Config) -> Callable[[Any], Any]:
    """The activation function of a config with its options filled in."""
    options = {key: value for key, value in config.items() if key != "function"}
    return partial(getattr(keras.activations, config["function"]), **options)


# ---------------------------------------------------------------------------------------------------------- losses


def loss_inputs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs (y_true, y_pred) by the kind of prediction; no pair sits on a kink."""
    rng = np.random.default_rng(2)
    logits = 2.0 * rng.standard_normal((6, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    classes = np.array([0, 3, 1, 2, 2, 0])
    one_hot = np.eye(4)[classes]
    binary = (rng.random((6, 3)) < 0.5).astype(float)
    binary_logits = 2.0 * rng.standard_normal((6, 3))
    steps = 2.0 * rng.standard_normal((2, 3, 4))
    soft = rng.dirichlet(np.ones(4), size=6)
    extreme_logits = np.array([[100.0, 0.0, -100.0, 5.0], [-1000.0, 1000.0, 999.0, 0.0]])
    return {
        "classes_logits": (classes, logits),
        "classes_column": (classes[:, np.newaxis], logits),
        "classes_probabilities": (classes, probabilities),
        "classes_unnormalized": (classes, rng.uniform(0.1, 0.9, (6, 4))),
        "classes_steps": (np.array([[0, 1, 2], [3, 3, 0]]), steps),
        "classes_extreme": (np.array([2, 2]), extreme_logits),
        "classes_certain": (np.array([0, 1]), np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])),
        "one_hot_logits": (one_hot, logits),
        "one_hot_probabilities": (one_hot, probabilities),
        "soft_logits": (soft, logits),
        "distributions": (soft, probabilities),
        "binary_logits": (binary, binary_logits),
        "binary_probabilities": (binary, 1.0 / (1.0 + np.exp(-binary_logits))),
        "binary_certain": (np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])),
        "binary_extreme": (np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[1000.0, -50.0], [-1000.0, 50.0]])),
        "real": (rng.standard_normal((6, 3)), rng.standard_normal((6, 3))),
        "real_steps": (rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))),
        "real_column": (rng.standard_normal(6), rng.standard_normal((6, 1))),
        "positive": (rng.uniform(0.2, 4.0, (6, 3)), rng.uniform(0.2, 4.0, (6, 3))),
        "signs": (2.0 * binary - 1.0, binary_logits),
        "huge": (np.array([[0.0, 0.0]]), np.array([[500.0, -800.0]])),
    }


LOSSES: dict[str, tuple[str, Config]] = {  # case: (inputs, config)
    "sparse_categorical_crossentropy": ("classes_probabilities", {"class_name": "SparseCategoricalCrossentropy"}),
    "sparse_categorical_crossentropy_logits": (
        "classes_logits", {"class_name": "SparseCategoricalCrossentropy", "from_logits": True}),
    "sparse_categorical_crossentropy_column": (
        "classes_column", {"class_name": "SparseCategoricalCrossentropy", "from_logits": True}),
    "sparse_categorical_crossentropy_unnormalized": (
        "classes_unnormalized", {"class_name": "SparseCategoricalCrossentropy"}),
    "sparse_categorical_crossentropy_steps": (
        "classes_steps", {"class_name": "SparseCategoricalCrossentropy", "from_logits": True}),
    "sparse_categorical_crossentropy_extreme": (
        "classes_extreme", {"class_name": "SparseCategoricalCrossentropy", "from_logits": True}),
    "sparse_categorical_crossentropy_certain": ("classes_certain", {"class_name": "SparseCategoricalCrossentropy"}),
    "categorical_crossentropy": ("one_hot_probabilities", {"class_name": "CategoricalCrossentropy"}),
    "categorical_crossentropy_smooth": (
        "one_hot_probabilities", {"class_name": "CategoricalCrossentropy", "label_smoothing": 0.1}),
    "categorical_crossentropy_logits": (
        "one_hot_logits", {"class_name": "CategoricalCrossentropy", "from_logits": True}),
    "categorical_crossentropy_logits_smooth": (
        "one_hot_logits", {"class_name": "CategoricalCrossentropy", "from_logits": True, "label_smoothing": 0.1}),
    "categorical_crossentropy_soft": ("soft_logits", {"class_name": "CategoricalCrossentropy", "from_logits": True}),
    "binary_crossentropy": ("binary_probabilities", {"class_name": "BinaryCrossentropy"}),
    "binary_crossentropy_smooth": (
        "binary_probabilities", {"class_name": "BinaryCrossentropy", "label_smoothing": 0.1}),
    "binary_crossentropy_logits": ("binary_logits", {"class_name": "BinaryCrossentropy", "from_logits": True}),
    "binary_crossentropy_logits_smooth": (
        "binary_logits", {"class_name": "BinaryCrossentropy", "from_logits": True, "label_smoothing": 0.1}),
    "binary_crossentropy_certain": ("binary_certain", {"class_name": "BinaryCrossentropy"}),
    "binary_crossentropy_extreme": ("binary_extreme", {"class_name": "BinaryCrossentropy", "from_logits": True}),
    "mean_squared_error": ("real", {"class_name": "MeanSquaredError"}),
    "mean_squared_error_steps": ("real_steps", {"class_name": "MeanSquaredError"}),
    "mean_squared_error_column": ("real_column", {"class_name": "MeanSquaredError"}),
    "mean_absolute_error": ("real", {"class_name": "MeanAbsoluteError"}),
    "mean_absolute_percentage_error": ("real", {"class_name": "MeanAbsolutePercentageError"}),
    "mean_squared_logarithmic_error": ("positive", {"class_name": "MeanSquaredLogarithmicError"}),
    "mean_squared_logarithmic_error_negative": ("real", {"class_name": "MeanSquaredLogarithmicError"}),
    "huber": ("real", {"class_name": "Huber"}),
    "huber_delta0.7": ("real", {"class_name": "Huber", "delta": 0.7}),
    "hinge": ("signs", {"class_name": "Hinge"}),
    "hinge_binary_labels": ("binary_logits", {"class_name": "Hinge"}),
    "squared_hinge": ("signs", {"class_name": "SquaredHinge"}),
    "squared_hinge_binary_labels": ("binary_logits", {"class_name": "SquaredHinge"}),
    "categorical_hinge": ("one_hot_logits", {"class_name": "CategoricalHinge"}),
    "kl_divergence": ("distributions", {"class_name": "KLDivergence"}),
    "kl_divergence_one_hot": ("one_hot_probabilities", {"class_name": "KLDivergence"}),
    "log_cosh": ("real", {"class_name": "LogCosh"}),
    "log_cosh_huge": ("huge", {"class_name": "LogCosh"}),
    "poisson": ("positive", {"class_name": "Poisson"}),
    "cosine_similarity": ("real", {"class_name": "CosineSimilarity"}),
    "cosine_similarity_axis1": ("real_steps", {"class_name": "CosineSimilarity", "axis": 1}),
}
REDUCTIONS = ("sum_over_batch_size", "sum", "none")


def losses() -> Arrays:
    """Values under each reduction and the gradient of the default one, with and without sample weights, float64."""
    inputs = loss_inputs()
    golden: Arrays = {}
    with floatx("float64"):
        for case, (kind, config) in LOSSES.items():
            y_true, y_pred = inputs[kind]
            loss = construct(keras.losses, config)
            per_sample = loss.call(keras.ops.convert_to_tensor(y_true), keras.ops.convert_to_tensor(y_pred))
            sample_weight = np.resize([1.0, 0.5, 2.0, 0.0, 1.5, 0.25], per_sample.shape)
            results: dict[str, Any] = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
            for suffix, weight in (("", None), ("_weighted", sample_weight)):
                for reduction in REDUCTIONS if weight is None else (*REDUCTIONS, "mean_with_sample_weight"):
                    reduced = construct(keras.losses, config | {"reduction": reduction})
                    results[reduction + suffix] = reduced(y_true, y_pred, sample_weight=weight)
                results["dy_pred" + suffix] = jax.grad(loss, argnums=1)(y_true, y_pred, weight)
            golden |= prefixed(case, results)
    return {"cases": text({case: config for case, (_, config) in LOSSES.items()}), **golden}


# --------------------------------------------------------------------------------------------- batch normalization

BATCH_NORMALIZATION: dict[str, tuple[tuple[int, ...], Config]] = {
    "2d": ((8, 5), {}),
    "2d_momentum": ((8, 5), {"momentum": 0.9, "epsilon": 1e-5}),
    "2d_no_center": ((8, 5), {"center": False}),
    "2d_no_scale": ((8, 5), {"scale": False}),
    "2d_plain": ((8, 5), {"center": False, "scale": False}),
    "4d": ((4, 3, 3, 2), {"momentum": 0.9}),
    "4d_axis1": ((4, 3, 3, 2), {"momentum": 0.9, "axis": 1}),
    "4d_default": ((4, 3, 3, 2), {}),
}


def batch_normalization() -> Arrays:
    """Three training calls, an inference call, a frozen call, and all gradients, in float32 and float64."""
    rng = np.random.default_rng(3)
    golden: Arrays = {}
    for case, (shape, config) in BATCH_NORMALIZATION.items():
        x = rng.normal(0.5, 2.0, (3, *shape)).astype("float32")
        c = rng.standard_normal(shape).astype("float32")
        features = shape[config.get("axis", -1)]
        gamma = rng.uniform(0.5, 2.0, features).astype("float32")
        beta = rng.standard_normal(features).astype("float32")
        golden |= prefixed(case, {"x": x, "c": c, "gamma": gamma, "beta": beta})
        for dtype in ("float32", "float64"):
            with floatx(dtype):
                results = batch_normalization_results(config, x.astype(dtype), c.astype(dtype), gamma, beta)
            golden |= prefixed(case, {f"{key}_{dtype}": value for key, value in results.items()})
    return {"cases": text({case: config for case, (_, config) in BATCH_NORMALIZATION.items()}), **golden}


def batch_normalization_results(config: Config, x: Any, c: Any, gamma: Any, beta: Any) -> dict[str, Any]:
    """What one configuration computes from the three batches `x` and the cotangent `c`."""
    layer = keras.layers.BatchNormalization(**config)
    layer.build(x[0].shape)
    for variable, value in ((layer.gamma, gamma), (layer.beta, beta)):
        if variable is not None:
            variable.assign(value)

    def gradients(suffix: str, **options: bool) -> dict[str, Any]:
        """The output for the first batch and the gradients of sum(y·c); moving averages stay as they are."""
        moving = [v.value for v in layer.non_trainable_variables]

        def f(x: Any, trainable: list[Any]) -> Any:
            return layer.stateless_call(trainable, moving, x, **options)[0]

        y, pull = jax.vjp(f, x[0], [v.value for v in layer.trainable_variables])
        dx, parameters = pull(c)
        named = zip((v.name for v in layer.trainable_variables), parameters, strict=True)
        return {f"y_{suffix}": y, f"dx_{suffix}": dx} | {f"d{name}_{suffix}": gradient for name, gradient in named}

    results = gradients("training", training=True)
    for step, batch in enumerate(x, start=1):
        layer(batch, training=True)
        moving = {"moving_mean": layer.moving_mean, "moving_variance": layer.moving_variance}
        results |= {f"{name}_{step}": variable.numpy() for name, variable in moving.items()}
    results |= gradients("inference", training=False)
    layer.trainable = False
    return results | {"y_frozen": layer(x[0], training=True), "moving_mean_frozen": layer.moving_mean.numpy()}


# ------------------------------------------------------------------------------------------------------ optimizers

OPTIMIZERS: dict[str, Config] = {
    "sgd": {"class_name": "SGD", "learning_rate": 0.1},
    "sgd_momentum": {"class_name": "SGD", "learning_rate": 0.1, "momentum": 0.9},
    "sgd_nesterov": {"class_name": "SGD", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "adagrad": {"class_name": "Adagrad", "learning_rate": 0.05},
    "rmsprop": {"class_name": "RMSprop", "learning_rate": 0.01},
    "rmsprop_momentum": {"class_name": "RMSprop", "learning_rate": 0.01, "momentum": 0.9},
    "rmsprop_centered": {"class_name": "RMSprop", "learning_rate": 0.01, "centered": True},
    "adam": {"class_name": "Adam", "learning_rate": 0.01},
    "adam_amsgrad": {"class_name": "Adam", "learning_rate": 0.01, "amsgrad": True, "beta_2": 0.9},
    "adamw": {"class_name": "AdamW", "learning_rate": 0.01},
    "adamw_decay": {"class_name": "AdamW", "learning_rate": 0.01, "weight_decay": 0.1},
    "adamax": {"class_name": "Adamax", "learning_rate": 0.01},
    "nadam": {"class_name": "Nadam", "learning_rate": 0.01},
}
CLIPPED: dict[str, Config] = {
    "sgd_clipvalue": {"class_name": "SGD", "learning_rate": 0.1, "momentum": 0.9, "clipvalue": 0.01},
    "sgd_clipnorm": {"class_name": "SGD", "learning_rate": 0.1, "momentum": 0.9, "clipnorm": 0.05},
    "sgd_global_clipnorm": {"class_name": "SGD", "learning_rate": 0.1, "momentum": 0.9, "global_clipnorm": 0.05},
    "adam_clipvalue": {"class_name": "Adam", "learning_rate": 0.01, "clipvalue": 0.01},
    "adam_clipnorm": {"class_name": "Adam", "learning_rate": 0.01, "clipnorm": 0.05},
    "adam_global_clipnorm": {"class_name": "Adam", "learning_rate": 0.01, "global_clipnorm": 0.05},
    "sgd_weight_decay": {"class_name": "SGD", "learning_rate": 0.1, "weight_decay": 0.01},
    "adam_schedule": {
        "class_name": "Adam",
        "learning_rate": {
            "class_name": "ExponentialDecay", "initial_learning_rate": 0.02, "decay_steps": 5, "decay_rate": 0.5},
    },
}


def optimizer_from(config: Config) -> keras.optimizers.Optimizer:
    """The optimizer of a config, its learning rate a number, a schedule's config, or left to the default."""
    rate = config.get("learning_rate")
    if isinstance(rate, dict):
        config = config | {"learning_rate": construct(keras.optimizers.schedules, rate)}
    return construct(keras.optimizers, config)


def optimizers() -> Arrays:
    """20 steps of every optimizer on one small network."""
    return trajectories(OPTIMIZERS)


def optimizers_clipped() -> Arrays:
    """20 steps with clipping, weight decay and a schedule, on the same network and batches."""
    return trajectories(CLIPPED)


def trajectories(configs: dict[str, Config]) -> Arrays:
    """The weights after each of 20 steps, and the loss before each, from the same start on the same batches."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((20, 8, 12)).astype("float32")
    y = rng.integers(0, 4, (20, 8)).astype("int32")
    shapes = {"kernel1": (12, 16), "bias1": (16,), "kernel2": (16, 4), "bias2": (4,)}
    start = {name: rng.normal(0.0, 0.3, shape).astype("float32") for name, shape in shapes.items()}
    golden: Arrays = {"cases": text(configs), "x": x, "y": y, **start}
    for case, config in configs.items():
        model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(4)])
        model.set_weights(list(start.values()))
        model.compile(optimizer_from(config), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        steps = [(model.train_on_batch(*batch), flat(model.get_weights())) for batch in zip(x, y, strict=True)]
        loss, w = (np.array(column, dtype="float32") for column in zip(*steps, strict=True))
        golden |= prefixed(case, {"loss": loss, "w": w})
    return golden


RULES: dict[str, Config] = {
    "sgd": {"class_name": "SGD"},
    "sgd_momentum": {"class_name": "SGD", "momentum": 0.8},
    "sgd_nesterov": {"class_name": "SGD", "momentum": 0.8, "nesterov": True},
    "adagrad": {"class_name": "Adagrad"},
    "adagrad_start": {"class_name": "Adagrad", "initial_accumulator_value": 0.5, "epsilon": 1e-3},
    "rmsprop": {"class_name": "RMSprop"},
    "rmsprop_rho": {"class_name": "RMSprop", "rho": 0.7, "epsilon": 1e-3},
    "rmsprop_momentum": {"class_name": "RMSprop", "momentum": 0.8},
    "rmsprop_centered": {"class_name": "RMSprop", "centered": True},
    "rmsprop_centered_momentum": {
        "class_name": "RMSprop", "centered": True, "momentum": 0.8, "rho": 0.7, "epsilon": 1e-3},
    "adam": {"class_name": "Adam"},
    "adam_betas": {"class_name": "Adam", "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "adam_amsgrad": {"class_name": "Adam", "amsgrad": True},
    "adam_amsgrad_betas": {"class_name": "Adam", "amsgrad": True, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "adam_weight_decay": {"class_name": "Adam", "weight_decay": 0.1},
    "adamw": {"class_name": "AdamW"},
    "adamw_betas": {"class_name": "AdamW", "weight_decay": 0.1, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "adamw_amsgrad": {"class_name": "AdamW", "amsgrad": True, "beta_2": 0.9},
    "adamax": {"class_name": "Adamax"},
    "adamax_betas": {"class_name": "Adamax", "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "nadam": {"class_name": "Nadam"},
    "nadam_betas": {"class_name": "Nadam", "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "lion": {"class_name": "Lion"},
    "lion_betas": {"class_name": "Lion", "learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.8, "weight_decay": 0.1},
    "adadelta": {"class_name": "Adadelta", "learning_rate": 1.0},
    "adadelta_rho": {"class_name": "Adadelta", "learning_rate": 0.5, "rho": 0.8, "epsilon": 1e-3},
    "sgd_clipvalue": {"class_name": "SGD", "clipvalue": 0.5},
    "sgd_clipnorm": {"class_name": "SGD", "clipnorm": 0.5},
    "sgd_global_clipnorm": {"class_name": "SGD", "global_clipnorm": 0.5},
    "sgd_weight_decay": {"class_name": "SGD", "momentum": 0.8, "weight_decay": 0.1},
}


def optimizer_rules() -> Arrays:
    """One variable of shape (3, 2) under 20 given gradients: each update rule alone."""
    rng = np.random.default_rng(5)
    w0 = rng.standard_normal((3, 2)).astype("float32")
    sizes = np.geomspace(0.01, 10.0, 20)[rng.permutation(20)]
    gradients = (sizes[:, np.newaxis, np.newaxis] * rng.standard_normal((20, 3, 2))).astype("float32")
    gradients[7] = 0.0
    golden: Arrays = {"cases": text(RULES), "w0": w0, "gradients": gradients}
    for case, config in RULES.items():
        variable = keras.Variable(w0)
        optimizer = optimizer_from(config)
        w = []
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
            w.append(variable.numpy())
        golden |= prefixed(case, {"w": w})
    return golden


# -------------------------------------------------------------------------------------------------------- training


def training() -> Arrays:
    """Three epochs of `fit` with batch normalization, a last batch of one sample, and every way to weigh samples."""
    rng = np.random.default_rng(6)
    x, x_val = rng.normal(0.2, 1.5, (50, 10)).astype("float32"), rng.normal(0.2, 1.5, (20, 10)).astype("float32")
    teacher = rng.standard_normal((10, 3))
    y, y_val = ((a @ teacher).argmax(axis=-1).astype("int32") for a in (x, x_val))
    weight, weight_val = rng.uniform(0.1, 2.0, 50).astype("float32"), rng.uniform(0.1, 2.0, 20).astype("float32")
    start = {
        "kernel1": rng.normal(0.0, 0.4, (10, 8)),
        "gamma": rng.uniform(0.5, 1.5, 8),
        "beta": rng.normal(0.0, 0.3, 8),
        "moving_mean": rng.normal(0.0, 0.3, 8),
        "moving_variance": rng.uniform(0.5, 1.5, 8),
        "kernel2": rng.normal(0.0, 0.4, (8, 3)),
        "bias2": rng.normal(0.0, 0.3, 3),
    }
    start = {name: value.astype("float32") for name, value in start.items()}
    golden: Arrays = {"x": x, "y": y, "x_val": x_val, "y_val": y_val, "sample_weight": weight,
                      "sample_weight_val": weight_val, **{f"{name}_0": value for name, value in start.items()}}
    fits: dict[str, Config] = {
        "plain": {"validation_data": (x_val, y_val)},
        "class_weight": {"validation_data": (x_val, y_val), "class_weight": {0: 0.5, 1: 2.0, 2: 1.25}},
        "sample_weight": {"validation_data": (x_val, y_val), "sample_weight": weight},
        "weighted_validation": {"validation_data": (x_val, y_val, weight_val), "sample_weight": weight},
        "validation_split": {"validation_split": 0.3, "sample_weight": weight},
    }
    for case, options in fits.items():
        golden |= prefixed(case, fit_results(x, y, start, weight, **options))
    return golden


def fit_results(x: Any, y: Any, start: Arrays, weight: Any, **options: Any) -> dict[str, Any]:
    """History, running means, final weights, predictions and evaluations of one `fit`."""
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((10,)),
        layers.Dense(8, use_bias=False), layers.BatchNormalization(momentum=0.9), layers.Activation("relu"),
        layers.Dense(3, activation="softmax"),
    ])
    model.set_weights(list(start.values()))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy",
                  metrics=["accuracy"], weighted_metrics=["sparse_categorical_accuracy"])
    running: list[tuple[float, float]] = []
    recorder = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: running.append((logs["loss"], logs["accuracy"])))
    history = model.fit(x, y, batch_size=7, epochs=3, shuffle=False, verbose=0, callbacks=[recorder], **options)
    results = {f"history_{key}": value for key, value in history.history.items()}
    results |= {"history_keys": text(list(history.history)), "running": np.reshape(running, (3, -1, 2))}
    results |= dict(zip(start, model.get_weights(), strict=True))
    results["predict"] = model.predict(x, batch_size=7, verbose=0)
    results["evaluate"] = model.evaluate(x, y, batch_size=7, verbose=0)
    results["evaluate_weighted"] = model.evaluate(x, y, batch_size=7, sample_weight=weight, verbose=0)
    return results


# ---------------------------------------------------------------------------------------------------------- layers

LAYERS: dict[str, tuple[tuple[int, ...], Config]] = {
    "dense": ((4, 3), {"class_name": "Dense", "units": 5}),
    "dense_3d": ((2, 3, 4), {"class_name": "Dense", "units": 5}),
    "dense_no_bias": ((2, 3, 4), {"class_name": "Dense", "units": 5, "use_bias": False}),
    "dense_tanh": ((2, 3, 4), {"class_name": "Dense", "units": 5, "activation": "tanh"}),
    "dense_softmax": ((2, 3, 4), {"class_name": "Dense", "units": 5, "activation": "softmax"}),
    "flatten": ((2, 3, 4), {"class_name": "Flatten"}),
    "flatten_1d": ((5,), {"class_name": "Flatten"}),
    "reshape": ((3, 4, 5), {"class_name": "Reshape", "target_shape": [-1, 2]}),
    "reshape_flat": ((3, 4, 5), {"class_name": "Reshape", "target_shape": [20]}),
    "prelu": ((2, 3, 4), {"class_name": "PReLU"}),
    "prelu_shared1": ((2, 3, 4), {"class_name": "PReLU", "shared_axes": [1]}),
    "prelu_shared12": ((2, 3, 4, 5), {"class_name": "PReLU", "shared_axes": [1, 2]}),
    "leaky_relu": ((2, 3, 4), {"class_name": "LeakyReLU"}),
    "leaky_relu_slope": ((2, 3, 4), {"class_name": "LeakyReLU", "negative_slope": 0.01}),
    "elu": ((2, 3, 4), {"class_name": "ELU"}),
    "elu_alpha": ((2, 3, 4), {"class_name": "ELU", "alpha": 0.5}),
    "relu": ((2, 3, 4), {"class_name": "ReLU"}),
    "relu_max": ((2, 3, 4), {"class_name": "ReLU", "max_value": 1.5}),
    "relu_all": (
        (2, 3, 4), {"class_name": "ReLU", "max_value": 1.5, "negative_slope": 0.1, "threshold": 0.5}),
    "softmax": ((2, 3, 4), {"class_name": "Softmax"}),
    "softmax_axis1": ((2, 3, 4), {"class_name": "Softmax", "axis": 1}),
    "softmax_axes12": ((2, 3, 4), {"class_name": "Softmax", "axis": [1, 2]}),
    "activation": ((2, 3, 4), {"class_name": "Activation", "activation": "softplus"}),
}


def layers() -> Arrays:
    """Outputs and gradients of sum(y·c) for single layers."""
    rng = np.random.default_rng(7)
    golden: Arrays = {}
    for case, (shape, config) in LAYERS.items():
        layer = construct(keras.layers, config)
        x = rng.normal(0.0, 1.5, shape).astype("float32")
        layer.build(shape)
        weights = [rng.normal(0.0, 0.5, v.shape).astype("float32") for v in layer.weights]

        def f(x: Any, weights: list[Any], layer: Any = layer) -> Any:
            return layer.stateless_call(weights, [], x)[0]

        y, pull = jax.vjp(f, x, weights)
        c = rng.standard_normal(y.shape).astype("float32")
        dx, gradients = pull(c)
        results = {"x": x, "y": y, "c": c, "dx": dx}
        for variable, weight, gradient in zip(layer.weights, weights, gradients, strict=True):
            results |= {variable.name: weight, f"d{variable.name}": gradient}
        golden |= prefixed(case, results)
    return {"cases": text({case: config for case, (_, config) in LAYERS.items()}), **golden}


# ------------------------------------------------------------------------------------------------------- summaries


def fashion_mnist_network() -> keras.Sequential:
    """The network of the first example: batch normalization after the flattening and after each hidden layer."""
    return keras.Sequential([
        keras.Input((28, 28)),
        keras.layers.Flatten(), keras.layers.BatchNormalization(),
        keras.layers.Dense(300, activation="relu"), keras.layers.BatchNormalization(),
        keras.layers.Dense(100, activation="relu"), keras.layers.BatchNormalization(),
        keras.layers.Dense(10, activation="softmax"),
    ])


def unbuilt_network() -> keras.Sequential:
    """No input shape yet."""
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(300, activation="relu"),
                             keras.layers.Dense(10, activation="softmax")])


def frozen_network() -> keras.Sequential:
    """Long names (one without a place to break), frozen layers, layers without weights."""
    model = keras.Sequential([
        keras.Input((32,)),
        keras.layers.Dense(64, name="the_first_hidden_layer_with_a_rather_long_name"),
        keras.layers.BatchNormalization(name="normalization_after_the_first_hidden_layer"),
        keras.layers.LeakyReLU(negative_slope=0.2), keras.layers.Dropout(0.5),
        keras.layers.Dense(10, name="a name with many words in it that is broken into lines"),
        keras.layers.Reshape((5, 2)),
    ], name="a_network_with_long_names")
    model.layers[0].trainable = model.layers[1].trainable = False
    return model


def trained_network() -> keras.Sequential:
    """After one training step the variables of the optimizer are counted too."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.PReLU()], name="trained")
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((2, 4)), np.zeros((2, 3)))
    return model


def residual_network() -> keras.Model:
    """A residual block, by a layer and by an operator; every layer once, but not in a chain."""
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    merged = keras.layers.Add()([inputs, hidden])
    again = keras.ops.relu(keras.layers.Dense(8)(merged) + merged)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(again))


def wide_network() -> keras.Model:
    """Several inputs, one of which nothing depends on, and several outputs; operations of several kinds."""
    image, words = keras.Input((4, 4), name="image"), keras.Input((6,), name="words")
    unused = keras.Input((2,), name="unused")
    flat = keras.layers.Flatten()(image)
    both = keras.layers.Concatenate(name="both")([flat, words, 1 - words])
    mean = keras.ops.mean(image[:, 0], axis=-1, keepdims=True) / 2
    label = keras.layers.Dense(5, name="label")(both)
    score = keras.layers.Dense(1, name="score", trainable=False)(keras.layers.Multiply()([mean, both]))
    return keras.Model([image, words, unused], {"score": score, "label": label}, name="wide")


def siamese_network() -> keras.Model:
    """A model inside a model, called twice, and a layer called three times, once on its own output."""
    inner_input = keras.Input((4,), name="inner_input")
    inner = keras.Model(inner_input, keras.layers.Dense(3, name="deep")(inner_input * 2), name="encoder")
    chain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.ReLU()], name="chain")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = keras.layers.Dense(3, name="shared")
    a, b = inner(left), inner(right)
    merged = keras.layers.Average()([shared(a), shared(shared(b))])
    return keras.Model([left, right], chain(merged), name="siamese")


def chain_network() -> keras.Model:
    """A graph that is a chain has no column for connections."""
    inputs = keras.Input((5, 3), name="series")
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs[:, ::2])), name="straight")


def extracted_network() -> keras.Model:
    """Part of another model: from the middle of a Sequential, with two of its tensors as outputs."""
    model = keras.Sequential([keras.Input((4,), name="first"), keras.layers.Dense(3), keras.layers.Dense(2)])
    return keras.Model(model.inputs, [model.layers[0].output, model.outputs[0]], name="features")


SUMMARIES: dict[str, tuple[Callable[[], keras.Model], int, Config]] = {  # case: (network, columns, options)
    "fashion_mnist": (fashion_mnist_network, 80, {}),
    "fashion_mnist_wide": (fashion_mnist_network, 120, {}),
    "fashion_mnist_trainable": (fashion_mnist_network, 80, {"show_trainable": True}),
    "fashion_mnist_line_length": (fashion_mnist_network, 80, {"line_length": 60}),
    "unbuilt": (unbuilt_network, 80, {}),
    "empty": (keras.Sequential, 80, {}),
    "frozen": (frozen_network, 80, {}),
    "frozen_trainable": (frozen_network, 120, {"show_trainable": True}),
    "trained": (trained_network, 80, {}),
    "residual": (residual_network, 120, {}),
    "residual_narrow": (residual_network, 80, {}),
    "wide": (wide_network, 120, {}),
    "wide_trainable": (wide_network, 130, {"show_trainable": True}),
    "siamese": (siamese_network, 120, {}),
    "siamese_expanded": (siamese_network, 100, {"expand_nested": True}),
    "siamese_positions": (siamese_network, 120, {"positions": [0.4, 0.6, 0.7, 1.0]}),
    "chain": (chain_network, 100, {}),
    "extracted": (extracted_network, 100, {}),
}


def summaries() -> dict[str, str]:
    """What `model.summary()` prints, by name of the text file."""
    golden = {}
    for case, (network, columns, options) in SUMMARIES.items():
        keras.backend.clear_session()
        os.environ["COLUMNS"] = str(columns)
        lines: list[str] = []
        network().summary(print_fn=lines.append, **options)
        golden[f"summary_{case}.txt"] = "\n".join(lines)
    return golden


# ----------------------------------------------------------------------------------------------------- the command

FILES: tuple[Callable[[], Arrays], ...] = (
    activations, losses, batch_normalization, optimizers, optimizers_clipped, optimizer_rules, training, layers)


def write_arrays(name: str, arrays: Arrays) -> None:
    """Write one .npz file and say what differs from the one that was there."""
    path = HERE / f"{name}.npz"
    old = dict(np.load(path)) if path.exists() else {}
    changed = [key for key in old.keys() | arrays.keys()
               if key not in old or key not in arrays or not np.array_equal(old[key], arrays[key])]
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1024:.0f} KB, "
          f"{f'{len(changed)} changed' if changed else 'unchanged'}")


def write_texts(texts: dict[str, str]) -> None:
    """Write the text files and say which of them changed."""
    for name, content in texts.items():
        path = HERE / name
        unchanged = path.exists() and path.read_text(encoding="utf-8") == content
        path.write_text(content, encoding="utf-8")
        print(f"{name}: {'unchanged' if unchanged else 'changed'}")


def main(names: list[str]) -> None:
    """Make the files that are named, or all of them."""
    makers = {maker.__name__: maker for maker in FILES}
    if unknown := set(names) - {*makers, "summaries"}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(makers)}, summaries")
    for name in names or [*makers, "summaries"]:
        if name == "summaries":
            write_texts(summaries())
        else:
            write_arrays(name, makers[name]())


if __name__ == "__main__":
    main(sys.argv[1:])
