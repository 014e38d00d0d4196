"""`check_loss`: what is proven of a loss, at one batch of targets and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.autodiff import Tensor
from minidl.losses import Loss
from minidl.memory import Array
from minidl.testing.function import check_function
from minidl.testing.kernel import REORDERED
from minidl.testing.measure import ProofError, describe, expect, expect_close, generic, is_real


def check_loss(
    loss: Callable[..., Any],
    y_true: Array,
    y_pred: Array,
    reference: Callable[[Array, Array], Any] | None = None,
    *,
    twice: bool = True,
) -> None:
    """Prove a `Loss`, or a function f(y_true, y_pred), at these targets and predictions (float64).

    - The value equals `reference(y_true, y_pred)` in plain NumPy.
    - The gradient for the predictions is that of the complex step; forward mode and (`twice`) Hessian-vector products
      agree; float32 stays float32; nothing is modified: see `check_function`.
    - Of a `Loss`: with lᵢ the losses of reduction "none" and weights wᵢ, "sum" gives Σ wᵢlᵢ, and
      "sum_over_batch_size" gives Σ wᵢlᵢ/n; `from_config(get_config())` gives an equal loss.

    Raises `ProofError`.
    """

    def of_predictions(predictions: Tensor) -> Any:
        """The loss for targets of the float type of the predictions."""
        dtype = predictions.data.real.dtype
        return loss(y_true.astype(dtype) if is_real(y_true) else y_true, predictions)

    try:
        check_function(
            of_predictions,
            [y_pred],
            None if reference is None else lambda predictions: reference(y_true, predictions),
            twice=twice,
            kind="losses",
        )
        if isinstance(loss, Loss):
            _check_reductions(loss, y_true, y_pred)
            again = type(loss).from_config(loss.get_config()).get_config()
            expect(again == loss.get_config(), f"the configuration {loss.get_config()} comes back as {again}")
    except ProofError as error:
        raise ProofError(f"{loss!r} of {describe([y_true, y_pred])}: {error}") from None


def _check_reductions(loss: Loss, y_true: Array, y_pred: Array) -> None:
    """What the reductions make of the losses one by one, with and without weights."""

    def reduced(reduction: str, weights: Array | None) -> Tensor:
        same = type(loss).from_config({**loss.get_config(), "reduction": reduction})
        return same(y_true, y_pred, sample_weight=weights)

    losses = reduced("none", None).data
    weights = np.abs(generic(losses.shape, "w", 0))
    for given, factors in ((None, np.ones(losses.shape)), (weights, weights)):
        for reduction, expected in (
            ("none", factors * losses),
            ("sum", np.sum(factors * losses)),
            ("sum_over_batch_size", np.mean(factors * losses)),
        ):
            what = f"reduction {reduction!r}{'' if given is None else ' with sample_weight'}"
            expect_close(reduced(reduction, given).data, np.asarray(expected), REORDERED, what)
