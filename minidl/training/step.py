"""One step: the forward pass, the gradient, the update. Everything else about training is in the loop around it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minidl import ops
from minidl.autodiff import GradientTape, no_grad
from minidl.autodiff.graph import generation
from minidl.autodiff.tensor import Tensor, perform, plain
from minidl.autodiff.tracing import Function
from minidl.layers.layer import without_losses
from minidl.threads import products_divided


def train_step(model: Any, x: Any, y: Any, sample_weight: Any) -> None:
    """Change the model's trainable variables by one step of its optimizer against the gradient of the loss."""
    variables = model.trainable_variables
    with GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = with_added_losses(model, model.objective(y, y_pred, sample_weight))
    # A metric that raises an error does so before anything is learned.
    perform(model.objective.update, loss, y, y_pred, sample_weight)
    gradients = tape.gradient(loss, variables)
    model.optimizer.apply(gradients, variables)


def test_step(model: Any, x: Any, y: Any, sample_weight: Any) -> None:
    """Add a batch to the running means of loss and metrics; nothing is learned."""
    with no_grad():
        y_pred = model(x, training=False)
        loss = with_added_losses(model, model.objective(y, y_pred, sample_weight))
    perform(model.objective.update, loss, y, y_pred, sample_weight)


def predict_step(model: Any, x: Any) -> Any:
    """The outputs for a batch."""
    with no_grad(), without_losses():
        return model(x, training=False)


def with_added_losses(model: Any, loss: Tensor) -> Tensor:
    """The loss of a batch and what the layers add to it: for large weights, for large outputs, by `add_loss`.

    Then they forget what they have added: in a replay of the step they would not notice that it is out of date.
    """
    added = [ops.sum(part) for part in model.losses]
    model.forget_losses()
    return sum(added, loss)


class Steps:
    """The three steps of a model, recorded and replayed (see `minidl.function`) unless they are to run `eagerly`."""

    def __init__(self, model: Any, eagerly: bool = False) -> None:
        self._model = model
        own = [functools.partial(step, model) for step in (train_step, test_step, predict_step)]
        steps: list[Callable[..., Any]] = own if eagerly else [Function(step) for step in own]  # type: ignore[assignment]
        self._train, self._test, self._predict = steps
        # What was learned from last: whoever looks for what went wrong starts here.
        self.batch: tuple[Any, Any, Any] | None = None
        # Whether all weights are matrices and vectors, and of which generation of the model this is known.
        self._of_matrices = (False, -1)

    def train(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Learn from a batch."""
        self.batch = x, y, sample_weight
        self._run(self._train, x, y, sample_weight)

    def test(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Measure on a batch."""
        self._run(self._test, x, y, sample_weight)

    def predict(self, x: Any) -> Any:
        """The outputs for a batch, as arrays."""
        return plain(self._run(self._predict, x))

    def _run(self, step: Callable[..., Any], *args: Any) -> Any:
        """With what the kernels of this model divide among threads: products of matrices, or everything else."""
        if self._of_matrices[1] != generation():
            self._of_matrices = (all(len(v.shape) <= 2 for v in self._model.variables), generation())
        with products_divided(self._of_matrices[0]):
            return step(*args)
