"""What a model is compiled for: the loss to minimize, and the metrics to report beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minidl import losses, metrics
from minidl.autodiff import no_grad
from minidl.autodiff.tensor import Tensor, plain
from minidl.autodiff.tree import leaves
from minidl.checks import number
from minidl.errors import ArgumentError, NotCompiledError, ShapeError, unknown_name
from minidl.memory import Array


class Objective:
    """A loss and metrics, with their running means over an epoch.

    The loss is averaged over samples: a smaller last batch counts less. `metrics` see no sample weights,
    `weighted_metrics` do. "accuracy" becomes binary, categorical or sparse when the first batch shows the shapes.
    Without a loss there are metrics only: the model must then have a step of its own.
    """

    def __init__(
        self, loss: Any, metric_identifiers: Any, weighted_metric_identifiers: Any, output_name: str = "y"
    ) -> None:
        self.output_names = [output_name]
        self.loss = losses.get(loss)
        # By name, what was asked for and whether it is weighted; and, once the shapes are known, the metrics.
        self.asked: dict[str, tuple[Any, bool]] = {}
        self._metrics: dict[str, tuple[Any, bool]] = {}
        self._mean_loss, self._together = metrics.Mean(name="loss"), CompiledMetrics(self)
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

    @property
    def names(self) -> list[str]:
        """What the results are called, in their order."""
        return ["loss", *self.asked]

    @property
    def metrics(self) -> list[Any]:
        """The running mean of the loss, and the metrics as one."""
        return [self._mean_loss, self._together] if self.asked else [self._mean_loss]

    def direction(self, name: str) -> str | None:
        """Which way the result of this name is better, "up" or "down"; None where nobody knows."""
        if name == "loss":
            return "down"
        return metrics.for_output(self.asked[name][0], (None, 1), (None, 1)).direction if name in self.asked else None

    def check(self, y: Array, y_pred: Array) -> None:
        """An error if the loss has no use for one of the targets, for predictions like the first few, `y_pred`."""
        if self.loss is not None:
            self.loss.check(y, np.broadcast_to(y_pred[:1], (len(y), *y_pred.shape[1:])))

    def __call__(self, y: Array, y_pred: Tensor, sample_weight: Array | None = None) -> Tensor:
        """The loss of a batch, which is what training minimizes."""
        if self.loss is None:
            raise NotCompiledError('there is no loss: compile with one, such as loss="sparse_categorical_crossentropy"')
        value = self.loss(y, y_pred, sample_weight=sample_weight)
        if not isinstance(value, Tensor) or value.size != 1:
            raise ShapeError(f"the loss {self.loss!r} gave {value!r} instead of one number")
        return value

    def update_loss(self, loss: Array, samples: int) -> None:
        """Add the loss of a batch of so many samples to the running mean."""
        self._mean_loss.update_state(loss, sample_weight=samples)

    def update_metrics(self, y: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Add a batch to the metrics."""
        if len(self._metrics) < len(self.asked):
            self._metrics = {
                name: (metrics.for_output(identifier, y.shape, y_pred.shape), weighted)
                for name, (identifier, weighted) in self.asked.items()
            }
        if self._metrics:
            # A metric may keep what it is given, but the next step has its results in the same memory.
            y, y_pred = np.array(y), np.array(y_pred)
        for metric, weighted in self._metrics.values():
            metric.update_state(y, y_pred, sample_weight=sample_weight if weighted else None)

    def results(self) -> dict[str, Any]:
        """The loss and the metrics so far, the loss first."""
        return named_results(
            {"loss": self._mean_loss.result(), **{name: metric.result() for name, (metric, _) in self._metrics.items()}}
        )

    def reset(self) -> None:
        """Start the running means anew."""
        self._mean_loss.reset_state()
        self.reset_metrics()

    def reset_metrics(self) -> None:
        """Start the metrics anew."""
        for metric, _ in self._metrics.values():
            metric.reset_state()


class Objectives:
    """An objective for each of several outputs; what is minimized is the weighted sum of their losses.

    The results are called as in Keras: "loss" is the sum, "a_loss" the loss of the output "a", "a_accuracy" its metric.
    An output may have no loss: then it has metrics only, or is ignored. Of a single loss only the sum is reported.
    """

    def __init__(
        self, names: Sequence[str], loss: Any, metric_identifiers: Any, weighted_metric_identifiers: Any,
        loss_weights: Any = None,
    ) -> None:  # fmt: skip
        self.output_names = list(names)
        self.loss = loss
        same_loss = loss is None or isinstance(loss, (str, losses.Loss)) or callable(loss)
        each_loss = [loss] * len(names) if same_loss else _by_names("loss", loss, names, needed=True)
        each_metrics = _by_names("metrics", metric_identifiers, names)
        each_weighted = _by_names("weighted_metrics", weighted_metric_identifiers, names)
        self.weights = [1.0 if w is None else w for w in _by_names("loss_weights", loss_weights, names)]
        for name, weight in zip(names, self.weights, strict=True):
            number("compile", f"loss_weights[{name!r}]", weight)
        self.has_loss = [part is not None for part in each_loss]
        self.parts = [
            Objective(part, some, weighted)
            for part, some, weighted in zip(each_loss, each_metrics, each_weighted, strict=True)
        ]
        self._mean_loss, self._together = metrics.Mean(name="loss"), CompiledMetrics(self)

    @property
    def names(self) -> list[str]:
        """What the results are called, in their order."""
        parts = list(zip(self.output_names, self.parts, strict=True))
        return ["loss", *self._loss_names(), *(f"{name}_{key}" for name, part in parts for key in part.asked)]

    @property
    def metrics(self) -> list[Any]:
        """The running mean of the loss, and as one those of the outputs, with their metrics."""
        return [self._mean_loss, self._together]

    def direction(self, name: str) -> str | None:
        """Which way the result of this name is better, "up" or "down"; None where nobody knows."""
        if name == "loss":
            return "down"
        parts = zip(self.output_names, self.parts, strict=True)
        found = [part.direction(name[len(output) + 1 :]) for output, part in parts if name.startswith(f"{output}_")]
        return next((direction for direction in found if direction), None)

    def _loss_names(self) -> list[str]:
        """What the losses are called that are reported beside their sum."""
        names = [f"{name}_loss" for name, has in zip(self.output_names, self.has_loss, strict=True) if has]
        return names if len(names) > 1 else []

    def check(self, y: list[Array], y_pred: Any) -> None:
        """An error if one of the losses has no use for one of its targets."""
        for part, has, target, predicted in zip(self.parts, self.has_loss, y, self._in_order(y_pred), strict=True):
            if has:
                part.check(target, predicted)

    def __call__(self, y: list[Array], y_pred: Any, sample_weight: list[Array | None] | None = None) -> Tensor:
        """The weighted sum of the losses of a batch."""
        total = None
        for k, loss in enumerate(self._losses(y, y_pred, sample_weight)):
            if loss is not None:
                weighted = loss * self.weights[k]
                total = weighted if total is None else total + weighted
        if total is None:
            raise NotCompiledError(f"there is no loss: compile with one for the outputs {', '.join(self.output_names)}")
        return total

    def update_loss(self, loss: Array, samples: int) -> None:
        """Add the loss of a batch of so many samples to the running mean."""
        self._mean_loss.update_state(loss, sample_weight=samples)

    def update_metrics(self, y: list[Array], y_pred: Any, sample_weight: list[Array | None] | None) -> None:
        """Add a batch to the losses and metrics of the outputs; a step knows only the sum of the losses."""
        predicted = self._in_order(y_pred)
        weights = sample_weight or [None] * len(y)
        with no_grad():
            parts = self._losses(y, y_pred, sample_weight)
        for k, part in enumerate(self.parts):
            value = parts[k]
            if value is not None:
                part.update_loss(value.data, len(y[k]))
            part.update_metrics(y[k], predicted[k], weights[k])

    def results(self) -> dict[str, Any]:
        """The loss, those of the outputs, and the metrics so far."""
        parts = {name: part.results() for name, part in zip(self.output_names, self.parts, strict=True)}
        own = {f"{name}_loss": part.pop("loss") for name, part in parts.items()}
        return {
            "loss": float(self._mean_loss.result()),
            **{name: own[name] for name in self._loss_names()},
            **{f"{name}_{key}": value for name, part in parts.items() for key, value in part.items()},
        }

    def reset(self) -> None:
        """Start the running means anew."""
        self._mean_loss.reset_state()
        self.reset_metrics()

    def reset_metrics(self) -> None:
        """Start those of the outputs anew."""
        for part in self.parts:
            part.reset()

    def _losses(self, y: list[Array], y_pred: Any, sample_weight: list[Array | None] | None) -> list[Tensor | None]:
        """The loss of each output; None where it has none."""
        weights = sample_weight or [None] * len(y)
        arguments = zip(self.parts, self.has_loss, y, self._in_order(y_pred), weights, strict=True)
        return [part(target, predicted, weight) if has else None for part, has, target, predicted, weight in arguments]

    def _in_order(self, y_pred: Any) -> list[Any]:
        """The predictions as a list in the order of the names."""
        if isinstance(y_pred, dict) and y_pred.keys() == set(self.output_names):
            return [y_pred[name] for name in self.output_names]
        flat = leaves(y_pred)
        if len(flat) != len(self.output_names):
            listed = ", ".join(self.output_names)
            raise ArgumentError(f"compile was told of {len(self.output_names)} outputs ({listed}), got {len(flat)}")
        return flat


class CompiledMetrics(metrics.Metric):
    """What `compile` was told to measure, as one metric whose result is a dictionary."""

    def __init__(self, objective: Objective | Objectives) -> None:
        super().__init__(name="compile_metrics")
        self.objective = objective

    @property
    def names(self) -> list[str]:
        """The keys of the result."""
        return self.objective.names[1:]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch to all of them."""
        self.objective.update_metrics(*plain((y_true, y_pred, sample_weight)))

    def result(self) -> dict[str, Any]:
        """Their results by name."""
        return {name: value for name, value in self.objective.results().items() if name != "loss"}

    def reset_state(self) -> None:
        """Start all of them anew."""
        self.objective.reset_metrics()


def objective_for(
    names: Sequence[str] | None, loss: Any, metric_identifiers: Any, weighted_metric_identifiers: Any, loss_weights: Any
) -> Objective | Objectives:
    """The objective of a model with these outputs; where their names are not known, those of the losses are taken."""
    if names is None and isinstance(loss, Mapping):
        names = list(loss)
    elif names is None:
        names = [f"output_{k}" for k in range(len(loss))] if isinstance(loss, (list, tuple)) else ["y"]
    if len(names) > 1:
        return Objectives(names, loss, metric_identifiers, weighted_metric_identifiers, loss_weights)
    if loss_weights is not None:
        raise ArgumentError("compile: loss_weights are for models with several outputs")
    if isinstance(loss, (Mapping, list, tuple)):
        (loss,) = _by_names("loss", loss, names, needed=True)

    def of_the_output(what: str, identifiers: Any) -> Any:
        return _by_names(what, identifiers, names)[0] if isinstance(identifiers, Mapping) else identifiers

    plain = of_the_output("metrics", metric_identifiers)
    weighted = of_the_output("weighted_metrics", weighted_metric_identifiers)
    return Objective(loss, plain, weighted, names[0])


def _by_names(what: str, value: Any, names: Sequence[str], needed: bool = False) -> list[Any]:
    """What belongs to each output, from a list in their order or a dictionary by name."""
    if value is None:
        return [None] * len(names)
    if isinstance(value, Mapping):
        for name in value:
            if name not in names:
                raise unknown_name(f"output in {what}", name, names)
        missing = [name for name in names if name not in value]
        if missing and needed:
            raise ArgumentError(f"compile: no {what} for the output {missing[0]!r}: give None to leave it out")
        return [value.get(name) for name in names]
    if not isinstance(value, (list, tuple)) or len(value) != len(names):
        listed = ", ".join(names)
        raise ArgumentError(f"compile: expected {what} as a list or dictionary for the outputs {listed}, got {value!r}")
    return list(value)


def _as_list(identifiers: Any) -> list[Any]:
    """None, one metric or several as a list."""
    if identifiers is None:
        return []
    several = isinstance(identifiers, Iterable) and not isinstance(identifiers, (str, Mapping))
    return list(identifiers) if several else [identifiers]


def named_results(named: Mapping[str, Any]) -> dict[str, Any]:
    """Results as plain numbers by name; those of a metric that gives several come under their own names."""
    found: dict[str, Any] = {}
    for name, value in named.items():
        if isinstance(value, dict):
            found.update(named_results(value))
        else:
            found[str(name)] = _as_number(value)
    return found


def _as_number(value: Any) -> Any:
    if isinstance(value, float):
        return float(value)
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
