"""One step: the forward pass, the gradient, the update. Everything else about training is in the loop around it.

What a step does stands here twice over: as functions, which are recorded and replayed, and as methods of a `Trainer`,
for a subclass to write its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minidl import config, ops
from minidl.autodiff import GradientTape, no_grad
from minidl.autodiff.graph import generation
from minidl.autodiff.tensor import Tensor, constant, perform, plain
from minidl.autodiff.tracing import Function
from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import ArgumentError
from minidl.layers.layer import takes_training, without_losses
from minidl.metrics import Metric
from minidl.threads import products_divided
from minidl.training.data import pack_x_y_sample_weight, unpack_x_y_sample_weight
from minidl.training.objective import named_results


def train_step(model: Any, x: Any, y: Any, sample_weight: Any) -> None:
    """Change the model's trainable variables by one step of its optimizer against the gradient of the loss."""
    with GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = loss_of(model, x, y, y_pred, sample_weight, training=True)
    # A metric that raises an error does so before anything is learned.
    perform(model._steps.measure, loss, x, y, y_pred, sample_weight)
    # Not before: the call may have made them.
    variables = model.trainable_variables
    model.optimizer.apply(tape.gradient(loss, variables), variables)


def test_step(model: Any, x: Any, y: Any, sample_weight: Any) -> None:
    """Add a batch to the running means of loss and metrics; nothing is learned."""
    with no_grad():
        y_pred = model(x, training=False)
        loss = loss_of(model, x, y, y_pred, sample_weight, training=False)
    perform(model._steps.measure, loss, x, y, y_pred, sample_weight)


def predict_step(model: Any, x: Any) -> Any:
    """The outputs for a batch."""
    with no_grad(), without_losses():
        return model(x, training=False)


def loss_of(model: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Tensor:
    """The loss as the model computes it; a `compute_loss` of one's own may leave out the argument `training`."""
    options = {"training": training} if takes_training(type(model).compute_loss) else {}
    loss: Tensor = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **options)
    # In a replay of the step the layers would not notice that what they have added is out of date.
    model.forget_losses()
    return loss


class Trainer:
    """What a model does with a batch, in methods that a subclass may write itself.

        class Network(Model):
            def train_step(self, data):
                x, y = data
                with GradientTape() as tape:
                    y_pred = self(x, training=True)
                    loss = self.compute_loss(y=y, y_pred=y_pred)
                gradients = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply(gradients, self.trainable_variables)
                self.loss_tracker.update_state(loss)
                return {"loss": self.loss_tracker.result()}

    `data` is x, (x, y) or (x, y, sample_weight), as `fit` was given them: tensors, floating-point ones of `floatx`. The
    dictionary that is returned after the last batch is what an epoch reports. Such a step runs as it stands: it may
    look at numbers and count in Python. Made with `@minidl.function` it is recorded and replayed, as a model's usual
    steps are.
    """

    _steps: Any
    loss: Any
    losses: Any
    objective: Any
    _objective: Any

    def train_step(self, data: Any) -> dict[str, Any]:
        """Learn from a batch; gives the running loss and metrics by name."""
        train_step(self, *unpack_x_y_sample_weight(data))
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measure on a batch; gives the running loss and metrics by name."""
        test_step(self, *unpack_x_y_sample_weight(data))
        return self.get_metrics_result()

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch, in inference mode."""
        return predict_step(self, unpack_x_y_sample_weight(data)[0])

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The number that training makes small: the loss that the model was compiled with, and what layers add to it.

        They add for large weights, for large outputs, and by `add_loss`; then the model needs no loss of its own.
        """
        added: list[Tensor] = [ops.sum(part) for part in self.losses]
        if added and self.loss is None:
            return sum(added[1:], added[0])
        return sum(added, self.objective(y, y_pred, sample_weight))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Add a batch to the metrics that the model was compiled with; gives all running results by name."""
        self.objective.update_metrics(*plain((y, y_pred, sample_weight)))
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[Metric]:
        """What is measured: the mean loss, the compiled metrics as one, then metrics that are attributes.

        Those of the layers inside are among them. All are reset when an epoch begins.
        """
        return [*(self._objective.metrics if self._objective else ()), *self._steps.own_metrics()]

    @property
    def metrics_names(self) -> list[str]:
        """What the numbers of `evaluate` are, in their order."""
        self.objective  # noqa: B018  # or the error that says to compile first
        return [name for metric in self.metrics for name in getattr(metric, "names", [metric.name])]

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics so far, by name."""
        return named_results({metric.name: metric.result() for metric in self.metrics})

    def reset_metrics(self) -> None:
        """Start all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()


class Steps:
    """The three steps of a model.

    Those that nobody has written anew are recorded and replayed (see `minidl.function`) unless they are to run
    `eagerly`. A subclass's own run as they stand.
    """

    def __init__(self, model: Any, eagerly: bool = False) -> None:
        self._model = model
        standard = [functools.partial(step, model) for step in (train_step, test_step, predict_step)]
        steps: list[Callable[..., Any]] = standard if eagerly else [Function(step) for step in standard]  # type: ignore[assignment]
        self._train, self._test, self._predict = steps
        # What a step of one's own returned.
        self._returned: Any = None
        # What was learned from last: whoever looks for what went wrong starts here.
        self.batch: tuple[Any, Any, Any] | None = None
        # Whether all weights are matrices and vectors, and the metrics that are attributes; and of which generation.
        self._of_matrices = (False, -1)
        self._own_metrics: tuple[list[Metric], int] = ([], -1)

    def train(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Learn from a batch."""
        self.batch = x, y, sample_weight
        if self.own("train_step"):
            self._returned = self._run(self._model.train_step, _handed_over(x, y, sample_weight))
        else:
            self._run(self._train, x, y, sample_weight)

    def test(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Measure on a batch."""
        if self.own("test_step"):
            with no_grad():
                self._returned = self._run(self._model.test_step, _handed_over(x, y, sample_weight))
        else:
            self._run(self._test, x, y, sample_weight)

    def predict(self, x: Any) -> Any:
        """The outputs for a batch, as arrays."""
        if self.own("predict_step"):
            with no_grad():
                return plain(self._run(self._model.predict_step, _handed_over(x)))
        return plain(self._run(self._predict, x))

    def own(self, method: str) -> bool:
        """Whether the model does this in a way of its own."""
        return getattr(getattr(self._model, method), "__func__", None) is not getattr(Trainer, method)

    def measure(self, loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> None:
        """Add a batch to the running means of loss and metrics."""
        objective = self._model.objective
        objective.update_loss(loss, len(leaves(x)[0]))
        if self.own("compute_metrics"):
            x, y, y_pred, sample_weight = _handed_over_all(x, y, y_pred, sample_weight)
            self._returned = self._model.compute_metrics(x, y, y_pred, sample_weight)
        else:
            objective.update_metrics(y, y_pred, sample_weight)

    def reset(self) -> None:
        """Begin to measure anew."""
        self._returned = None
        self._model.objective.reset()
        self._model.reset_metrics()

    def results(self) -> dict[str, Any]:
        """What has been measured, by name: what a step of one's own returned last, or the results of all metrics.

        First those of the model's metrics in their order, then others in that of the alphabet.
        """
        if self._returned is None:
            found: dict[str, Any] = self._model.get_metrics_result()
            return found
        if not isinstance(self._returned, Mapping):
            raise ArgumentError(
                f"{self._model.name!r}: expected a step to return a dictionary {{name: number}}, got {self._returned!r}"
            )
        found = named_results(self._returned)
        first = [name for name in self._model.metrics_names if name in found]
        return {name: found[name] for name in (*first, *sorted(found.keys() - set(first)))}

    def own_metrics(self) -> list[Metric]:
        """The metrics that are attributes of the model and of the layers inside it that are no models themselves."""
        if self._own_metrics[1] != generation():
            self._own_metrics = (_metrics_inside(self._model), generation())
        return self._own_metrics[0]

    def _run(self, step: Callable[..., Any], *args: Any) -> Any:
        """With what the kernels of this model divide among threads: products of matrices, or everything else."""
        if self._of_matrices[1] != generation():
            self._of_matrices = (all(len(v.shape) <= 2 for v in self._model.variables), generation())
        with products_divided(self._of_matrices[0]):
            return step(*args)


def _metrics_inside(layer: Any) -> list[Metric]:
    """The metrics that are attributes, each once, also in lists and dictionaries."""
    found = [value for value in leaves(list(vars(layer).values())) if isinstance(value, Metric)]
    for inside in layer._layers:
        if not isinstance(inside, Trainer):
            found += _metrics_inside(inside)
    return list(dict.fromkeys(found))


def _handed_over(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch as Keras hands it over."""
    return pack_x_y_sample_weight(*_handed_over_all(x, y, sample_weight))


def _handed_over_all(*arrays: Any) -> Any:
    """Copies as tensors, floating-point ones of `floatx`: the memory of a batch serves another one soon."""

    def tensor(array: Any) -> Any:
        if array is None:
            return None
        dtype = config.floatx() if array.dtype.kind == "f" else array.dtype
        return constant(np.array(array, dtype))

    return map_leaves(tensor, arrays)
