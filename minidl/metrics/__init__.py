"""Metrics: what is measured over many batches to tell how good a model is.

Everything here is NumPy: targets, outputs and weights are whatever `np.asarray` takes, and nothing is differentiated.
`get` makes a metric of a name, a class or a function; `for_output` does what `compile(metrics=[...])` means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minidl.errors import ArgumentError, look_up
from minidl.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from minidl.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from minidl.metrics.hinge import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from minidl.metrics.metric import Mean, MeanMetricWrapper, Metric, Sum
from minidl.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from minidl.metrics.regression import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
    cosine_similarity,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

__all__ = [
    "AUC",
    "BCE",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "Precision",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy_for",
    "bce",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "crossentropy_for",
    "deserialize",
    "for_output",
    "get",
    "hinge",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

# The short names, of functions too: `metrics.mse`.
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh

PartialShape = Sequence[int | None]

_BY_NAME: dict[str, type[Metric]] = {
    "mean": Mean,
    "sum": Sum,
    "accuracy": Accuracy,
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "precision": Precision,
    "recall": Recall,
    "true_positives": TruePositives,
    "false_positives": FalsePositives,
    "true_negatives": TrueNegatives,
    "false_negatives": FalseNegatives,
    "auc": AUC,
    "mean_squared_error": MeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_absolute_percentage_error": MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "log_cosh_error": LogCoshError,
    "cosine_similarity": CosineSimilarity,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "categorical_hinge": CategoricalHinge,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "kl_divergence": KLDivergence,
    "poisson": Poisson,
}
_SHORT = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
_METRICS: dict[str, type[Metric]] = {
    **_BY_NAME,
    **_SHORT,
    **{name.upper(): metric for name, metric in _SHORT.items()},
    **{metric.__name__: metric for metric in _BY_NAME.values()},
    "log_cosh": LogCoshError,
    "logcosh": LogCoshError,
}
"""Every name that `get` knows: snake case, class names, and the short ones in either case."""


def get(identifier: str | Mapping[str, Any] | type[Metric] | Metric | Callable[..., Any]) -> Metric:
    """The metric that `identifier` stands for.

    A name or a class gives a new metric with the default arguments, a dict `{"class_name": ..., "config": ...}` one
    with those arguments, a function `f(y_true, y_pred)` its mean under its own name; a metric is returned as it is.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        return look_up("metric", identifier, _METRICS)()
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if callable(identifier):
        return MeanMetricWrapper(identifier)
    raise ArgumentError(
        f"metrics.get: expected a name, a metric or its class, or a function f(y_true, y_pred), got {identifier!r}"
    )


def serialize(metric: Metric) -> dict[str, Any]:
    """The class name and the arguments of `metric`, from which `deserialize` makes it again."""
    return {"class_name": type(metric).__name__, "config": metric.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, type[Metric]] | None = None) -> Metric:
    """The metric that `serialize` described, with nothing seen yet.

    Its class is one of this package or of `custom_objects`, a dict from class names to classes.
    """
    if not isinstance(config.get("class_name"), str):
        raise ArgumentError(f'metrics: expected {{"class_name": ..., "config": {{...}}}}, got {dict(config)}')
    return look_up("metric", config["class_name"], {**_METRICS, **(custom_objects or {})}).from_config(
        config.get("config", {})
    )


def for_output(identifier: Any, target_shape: PartialShape, output_shape: PartialShape) -> Metric:
    """The metric that `compile(metrics=[identifier])` means for targets and outputs of these shapes.

    "accuracy", "acc", "crossentropy" and "ce" depend on the shapes, see `accuracy_for`. A metric made from a string is
    named as the string was typed: that is how it appears in the logs.
    """
    if not isinstance(identifier, str):
        return get(identifier)
    if identifier.lower() in ("accuracy", "acc"):
        return accuracy_for(target_shape, output_shape, identifier)
    if identifier.lower() in ("crossentropy", "ce"):
        return crossentropy_for(target_shape, output_shape, identifier)
    metric = get(identifier)
    metric.name = identifier
    return metric


def accuracy_for(target_shape: PartialShape, output_shape: PartialShape, name: str = "accuracy") -> Metric:
    """The accuracy that fits the shapes, whose first axis is the batch.

    Binary if the output is a single number, (n, 1) or (n,); else sparse categorical if the target has an axis less or
    a last axis of size 1, (n,) or (n, 1); else categorical.
    """
    forms = BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy
    return forms[_form(target_shape, output_shape)](name)


def crossentropy_for(target_shape: PartialShape, output_shape: PartialShape, name: str = "crossentropy") -> Metric:
    """The cross-entropy of probabilities that fits the shapes, by the rule of `accuracy_for`."""
    forms = BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy
    return forms[_form(target_shape, output_shape)](name)


def _form(target_shape: PartialShape, output_shape: PartialShape) -> int:
    """0 for binary, 1 for sparse categorical, 2 for categorical."""
    if len(output_shape) < 2 or output_shape[-1] == 1:
        return 0
    return 1 if len(target_shape) < len(output_shape) or target_shape[-1] == 1 else 2
