"""What a model is compiled for: the loss to minimize, and the metrics to report beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minidl import losses, metrics
from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, ShapeError
from minidl.memory import Array


class Objective:
    """A loss and metrics, with their running means over an epoch.

    The loss is averaged over samples: a smaller last batch counts less. `metrics` see no sample weights,
    `weighted_metrics` do. "accuracy" becomes binary, categorical or sparse when the first batch shows the shapes.
    """

    def __init__(self, loss: Any, metric_identifiers: Any, weighted_metric_identifiers: Any) -> None:
        if loss is None:
            raise ArgumentError('compile: expected a loss, such as loss="sparse_categorical_crossentropy"')
        self.loss = losses.get(loss)
        # By name, what was asked for and whether it is weighted; and, once the shapes are known, the metrics.
        self.asked: dict[str, tuple[Any, bool]] = {}
        self._metrics: dict[str, tuple[Any, bool]] = {}
        self._mean_loss = metrics.Mean(name="loss")
        for identifiers, weighted in ((metric_identifiers, False), (weighted_metric_identifiers, True)):
            for identifier in _as_list(identifiers):
                self.asked[self._name(identifier, weighted)] = identifier, weighted

    def _name(self, identifier: Any, weighted: bool) -> str:
        """What a metric is called in the logs: an unknown one is an error now, not after the first batch."""
        name = metrics.for_output(identifier, (None, 1), (None, 1)).name
        if weighted and name in self.asked:
            name = f"weighted_{name}"
        if name == "loss" or name in self.asked:
            raise ArgumentError(f"compile: the name {name!r} is taken: give the metric {identifier!r} another name")
        return name

    def __call__(self, y: Array, y_pred: Tensor, sample_weight: Array | None = None) -> Tensor:
        """The loss of a batch, which is what training minimizes."""
        value = self.loss(y, y_pred, sample_weight=sample_weight)
        if not isinstance(value, Tensor) or value.size != 1:
            raise ShapeError(f"the loss {self.loss!r} gave {value!r} instead of one number")
        return value

    def update(self, loss: Array, y: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Add a batch to the running means."""
        if len(self._metrics) < len(self.asked):
            self._metrics = {
                name: (metrics.for_output(identifier, y.shape, y_pred.shape), weighted)
                for name, (identifier, weighted) in self.asked.items()
            }
        self._mean_loss.update_state(loss, sample_weight=len(y))
        for metric, weighted in self._metrics.values():
            metric.update_state(y, y_pred, sample_weight=sample_weight if weighted else None)

    def results(self) -> dict[str, Any]:
        """The loss and the metrics so far, the loss first."""
        found = {"loss": float(self._mean_loss.result())}
        for name, (metric, _) in self._metrics.items():
            value = metric.result()
            if isinstance(value, dict):
                found.update({key: _as_number(part) for key, part in value.items()})
            else:
                found[name] = _as_number(value)
        return found

    def reset(self) -> None:
        """Start the running means anew."""
        self._mean_loss.reset_state()
        for metric, _ in self._metrics.values():
            metric.reset_state()


def _as_list(identifiers: Any) -> list[Any]:
    """None, one metric or several as a list."""
    if identifiers is None:
        return []
    several = isinstance(identifiers, Iterable) and not isinstance(identifiers, (str, Mapping))
    return list(identifiers) if several else [identifiers]


def _as_number(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
