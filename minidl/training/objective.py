"""What a model is compiled for: the loss to minimize, and the metrics to report beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minidl import losses, metrics
from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, ShapeError, warn_old_name
from minidl.memory import Array


class Objective:
    """A loss and metrics, with their running means over an epoch.

    The loss is averaged over samples: a smaller last batch counts less. `metrics` see no sample weights,
    `weighted_metrics` do. "accuracy" becomes binary, categorical or sparse when the first batch shows the shapes.
    """

    def __init__(self, loss: Any, metric_names: Any, weighted_metric_names: Any) -> None:
        if loss is None:
            raise ArgumentError('compile: expected a loss, such as loss="sparse_categorical_crossentropy"')
        self.loss = losses.get(loss)
        self._asked = [(m, False) for m in _as_list("metrics", metric_names)]
        self._asked += [(m, True) for m in _as_list("weighted_metrics", weighted_metric_names)]
        for identifier, _ in self._asked:
            # Unknown names are an error now, not after the first batch.
            metrics.for_output(identifier, (None, 1), (None, 1))
        self.metrics: list[tuple[str, Any, bool]] = []
        self._mean_loss = metrics.Mean(name="loss")

    def resolve(self, y: Array, y_pred: Tensor) -> None:
        """Choose the metrics for these shapes, once."""
        if len(self.metrics) == len(self._asked):
            return
        for identifier, weighted in self._asked:
            metric = metrics.for_output(identifier, y.shape, y_pred.shape)
            taken = {name for name, _, _ in self.metrics}
            name = metric.name if metric.name not in taken else f"weighted_{metric.name}"
            if name in taken:
                raise ArgumentError(f"compile: two metrics are named {name!r}: give one another name")
            self.metrics.append((name, metric, weighted))

    def __call__(self, y: Array | None, y_pred: Tensor, sample_weight: Array | None = None) -> Tensor:
        """The loss of a batch, which is what training minimizes."""
        if y is None:
            raise ArgumentError("training and evaluation need targets y")
        value = self.loss(y, y_pred, sample_weight=sample_weight)
        if not isinstance(value, Tensor) or value.size != 1:
            raise ShapeError(f"the loss {self.loss!r} gave {value!r} instead of one number")
        return value

    def update(self, loss: Tensor, y: Array, y_pred: Tensor, sample_weight: Array | None) -> None:
        """Add a batch to the running means."""
        self._mean_loss.update_state(loss.data, sample_weight=len(y))
        for _, metric, weighted in self.metrics:
            metric.update_state(y, y_pred.data, sample_weight=sample_weight if weighted else None)

    def results(self) -> dict[str, Any]:
        """The loss and the metrics so far, the loss first."""
        found = {"loss": float(self._mean_loss.result())}
        for name, metric, _ in self.metrics:
            value = metric.result()
            if isinstance(value, dict):
                found.update({key: _as_number(part) for key, part in value.items()})
            else:
                found[name] = _as_number(value)
        return found

    def reset(self) -> None:
        """Start the running means anew."""
        self._mean_loss.reset_state()
        for _, metric, _ in self.metrics:
            metric.reset_state()


def _as_list(argument: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        warn_old_name(f'{argument}="{value}"', f'{argument}=["{value}"]')
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _as_number(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
