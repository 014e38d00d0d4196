"""Losses: what training makes small.

Each is a function of targets and predictions that gives one number a sample, and a class that weighs and reduces them
to one. `get` turns whatever `compile(loss=...)` is given into an object of such a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, overload

from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, look_up
from minidl.losses.hinge import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from minidl.losses.loss import Loss, LossFunctionWrapper
from minidl.losses.probabilistic import (
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
from minidl.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

__all__ = [
    "BCE", "KLD", "MAE", "MAPE", "MSE", "MSLE", "BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalHinge",
    "CosineSimilarity", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "LossFunctionWrapper",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "SparseCategoricalCrossentropy", "SquaredHinge", "bce", "binary_crossentropy", "categorical_crossentropy",
    "categorical_hinge", "cosine_similarity", "deserialize", "get", "hinge", "huber", "kl_divergence", "kld",
    "kullback_leibler_divergence", "log_cosh", "logcosh", "mae", "mape", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "mse", "msle",
    "poisson", "serialize", "sparse_categorical_crossentropy", "squared_hinge",
]  # fmt: skip

# The short names, of functions too: `losses.mse`.
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh

_CLASS_OF: dict[Callable[..., Tensor], type[Loss]] = {
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_hinge: CategoricalHinge,
    cosine_similarity: CosineSimilarity,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
}
_BY_NAME: dict[str, type[Loss]] = {
    **{function.__name__: loss for function, loss in _CLASS_OF.items()},
    **{loss.__name__: loss for loss in _CLASS_OF.values()},
    "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy,
    "kld": KLDivergence, "KLD": KLDivergence, "kullback_leibler_divergence": KLDivergence,
    "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError,
    "mse": MeanSquaredError, "MSE": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError, "MSLE": MeanSquaredLogarithmicError,
    "huber_loss": Huber, "logcosh": LogCosh,
    "LossFunctionWrapper": LossFunctionWrapper,
}  # fmt: skip
_FUNCTIONS = {function.__name__: function for function in _CLASS_OF}


@overload
def get(identifier: None) -> None: ...
@overload
def get(identifier: object) -> Loss: ...
def get(identifier: object) -> Loss | None:
    """Whatever stands for a loss, as a `Loss`; None stays None.

    A name or a class gives a loss with the default arguments, a config `{"class_name": ..., "config": ...}` one with
    those; a function `f(y_true, y_pred)` is wrapped, so that what it returns is weighed and reduced. (For the name of a
    function Keras returns that function. Here every name gives a loss, and all losses are called in one way.)
    `UnknownNameError` for an unknown name, with the nearest ones; `ArgumentError` for what is none of these.
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, (str, Mapping)):
        return deserialize(identifier)
    if isinstance(identifier, type):
        if issubclass(identifier, Loss):
            return identifier.from_config({})
    elif callable(identifier):
        known = _CLASS_OF.get(identifier)
        return known.from_config({}) if known else LossFunctionWrapper(identifier)
    raise ArgumentError(
        "expected a loss: a name such as 'mse', a Loss, its class or config, or a function of y_true and y_pred; got "
        f"{identifier!r}"
    )


def serialize(loss: Loss) -> dict[str, Any]:
    """The class name and the arguments of `loss`, from which `deserialize` makes it again; a function by its name.

    `ArgumentError` for a lambda, and for a class or function of the user that has the name of one of minidl's: by that
    name the other would be found.
    """
    config = loss.get_config()
    if "fn" in config:
        config["fn"] = _own_name(config["fn"], _FUNCTIONS)
    return {"class_name": _own_name(type(loss), _BY_NAME), "config": config}


def deserialize(config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Loss:
    """What `serialize` described; `custom_objects` adds classes and functions of the user by their names."""
    name, arguments = (config, {}) if isinstance(config, str) else (config.get("class_name"), config.get("config", {}))
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise ArgumentError(f"expected a loss as {{'class_name': str, 'config': dict}}, got {config!r}")
    custom = custom_objects or {}
    found: Any = look_up("loss", name, {**_BY_NAME, **custom})
    if not (isinstance(found, type) and issubclass(found, Loss)):
        return LossFunctionWrapper(found)
    if "fn" in arguments:
        arguments = {**arguments, "fn": look_up("loss function", arguments["fn"], {**_FUNCTIONS, **custom})}
    return found.from_config(arguments)


def _own_name(thing: Any, table: Mapping[str, Any]) -> str:
    """The name of a class or function, or an error if something else in the table has it."""
    name: str = getattr(thing, "__name__", "")
    if not name.isidentifier() or table.get(name, thing) is not thing:
        raise ArgumentError(f"{thing!r} has no name of its own to be saved under: define it under another name")
    return name
