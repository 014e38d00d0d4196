"""The base of all losses: the number that training makes small.

A loss has two halves. Its formula gives one number a sample, and is a function of its own (`mean_squared_error`); the
object around it (`MeanSquaredError`) weighs these numbers and reduces them to one. All of it is operations on tensors,
so that a loss can be differentiated, and recorded and replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl import ops
from minidl.autodiff.graph import new_generation
from minidl.autodiff.tensor import Tensor, TensorLike, as_tensor, floating, reshape
from minidl.configurable import Configurable, snake_case
from minidl.errors import AbstractMethodError, ArgumentError, ShapeError, unknown_name, warn_old_name

AVERAGES = ("sum_over_batch_size", "mean")
REDUCTIONS = (*AVERAGES, "mean_with_sample_weight", "sum", "none")


class Loss(Configurable):
    """What is called with targets and predictions, and returns the number to make small.

    A subclass defines `call(y_true, y_pred)`, which returns the losses, one a sample or of any other shape, and keeps
    each argument of its `__init__` as an attribute of the same name: `get_config`, `from_config` and `repr` follow.

        class WorstError(Loss):
            def call(self, y_true, y_pred):
                return ops.max(ops.abs(y_true - y_pred), axis=-1)

    `reduction` says what becomes of n losses lᵢ with weights wᵢ (1 unless given):

    - "sum_over_batch_size", also called "mean": Σ wᵢ·lᵢ / n, where n counts the losses, whatever they weigh;
    - "mean_with_sample_weight": Σ wᵢ·lᵢ / Σ wᵢ, and 0 where Σ wᵢ = 0;
    - "sum": Σ wᵢ·lᵢ;
    - "none" or None: the wᵢ·lᵢ as they are.

    `name` is the class name in snake case unless given.
    """

    integer_targets = False
    """Whether `call` gets `y_true` as it is, as it holds classes; it gets the dtype and rank of `y_pred` otherwise."""

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size") -> None:
        if reduction == "auto":
            warn_old_name('reduction="auto"', f'reduction="{AVERAGES[0]}"')
            reduction = AVERAGES[0]
        if reduction is not None and reduction not in REDUCTIONS:
            raise unknown_name(f"reduction of {type(self).__name__}", reduction, REDUCTIONS)
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction

    def __setattr__(self, name: str, value: Any) -> None:
        new_generation()
        object.__setattr__(self, name, value)

    def __call__(self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike = None) -> Tensor:
        """The reduced loss of a batch, in the dtype of `y_pred`.

        `y_true` (n,) and `y_pred` (n, 1), or the reverse, are taken to have one shape. `sample_weight` has a weight for
        each sample, or for each loss. Errors: the batch is empty, shapes or targets do not fit.
        """
        y_pred = floating(y_pred)
        if self.integer_targets:
            y_true = as_tensor(y_true)
        else:
            y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype), y_pred)
        if not y_pred.size:
            raise ShapeError(f"{type(self).__name__}: expected at least one sample, got y_pred of shape {y_pred.shape}")
        losses = as_tensor(self.call(y_true, y_pred))
        return self._reduce(losses, self._weights(y_true, losses, sample_weight))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Any:
        """The losses before weights and reduction."""
        raise AbstractMethodError(f"{type(self).__name__} must define call(self, y_true, y_pred)")

    def check(self, y_true: TensorLike, y_pred: TensorLike) -> None:
        """Raise the error that the values of these targets deserve for predictions of that shape; compute nothing.

        Calling the loss does the same first. This is for a training loop, which can look at all targets before it
        begins, and does not call the loss again where it replays a step.
        """

    def _weights(self, y_true: Tensor, losses: Tensor, sample_weight: TensorLike) -> Tensor | None:
        """What the losses are multiplied by: `sample_weight`, with axes that broadcast to those of `losses`."""
        if sample_weight is None:
            return None
        weights = as_tensor(sample_weight, losses.dtype)
        shape = weights.shape[: losses.ndim] + (1,) * (losses.ndim - weights.ndim)
        fits = all(n in (1, m) for n, m in zip(shape, losses.shape, strict=True))
        if not fits or any(n != 1 for n in weights.shape[losses.ndim :]):
            raise ShapeError(
                f"{type(self).__name__}: sample_weight has shape {weights.shape} where the losses have {losses.shape}: "
                "expected a weight for each sample or for each loss"
            )
        return reshape(weights, shape)

    def _reduce(self, losses: Tensor, weights: Tensor | None) -> Tensor:
        if weights is not None:
            losses = losses * weights
        if self.reduction in (None, "none"):
            return losses
        if self.reduction == "sum":
            return ops.sum(losses)
        if self.reduction in AVERAGES or weights is None:
            return ops.mean(losses)
        total = ops.sum(weights) * (losses.size / weights.size)
        nothing = ops.equal(total, 0)
        return ops.where(nothing, 0, ops.sum(losses) / ops.where(nothing, 1, total))



class LossFunctionWrapper(Loss):
    """The loss whose formula is a function `fn(y_true, y_pred, **kwargs)`; named after it unless `name` is given."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(fn):
            raise ArgumentError(f"{type(self).__name__}: expected a function f(y_true, y_pred), got {fn!r}")
        super().__init__(name or getattr(fn, "__name__", None), reduction)
        self.fn = fn
        self.fn_kwargs = kwargs

    def call(self, y_true: Tensor, y_pred: Tensor) -> Any:
        """What the function returns."""
        return self.fn(y_true, y_pred, **self.fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, and those passed on to the function."""
        return {**super().get_config(), **self.fn_kwargs}


def same_rank(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same number of axes if one of them has a last axis of size 1 too many.

    As in Keras, (n,) and (n, 1) become (n, 1), while (n, m) and (n, m, 1) become (n, m).
    """
    if x.ndim == y.ndim + 1:
        y, x = same_rank(y, x)
    elif y.ndim == x.ndim + 1 and y.shape[-1] == 1:
        if x.ndim == 1:
            x = reshape(x, (*x.shape, 1))
        else:
            y = reshape(y, y.shape[:-1])
    return x, y


def matching(owner: str, y_true: TensorLike, y_pred: TensorLike, hint: str = "") -> tuple[Tensor, Tensor]:
    """Targets and predictions as tensors of one shape, in the dtype of the predictions; or a `ShapeError`.

    Never are they broadcast: (n,) against (n, 1) would give n² differences.
    """
    y_pred = floating(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype), y_pred)
    if y_true.shape != y_pred.shape:
        raise ShapeError(f"{owner}: expected y_true of the shape of y_pred, {y_pred.shape}, got {y_true.shape}{hint}")
    if not y_pred.ndim or not y_pred.shape[-1]:
        raise ShapeError(f"{owner}: expected at least one value a sample, (n, …, values), got shape {y_pred.shape}")
    return y_true, y_pred
