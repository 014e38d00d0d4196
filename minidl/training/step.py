"""One step: the forward pass, the gradient, the update. Everything else about training is in the loop around it."""

from __future__ import annotations

from typing import Any

from minidl.autodiff import GradientTape, no_grad
from minidl.memory import Array
from minidl.training.data import Batch


def train_step(model: Any, batch: Batch) -> None:
    """Change the model's trainable variables by one step of its optimizer against the gradient of the loss."""
    x, y, sample_weight = batch
    variables = model.trainable_variables
    with GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.objective(y, y_pred, sample_weight)
    # A metric that raises an error does so before anything is learned.
    model.objective.update(loss, y, y_pred, sample_weight)
    gradients = tape.gradient(loss, variables)
    model.optimizer.apply(gradients, variables)


def test_step(model: Any, batch: Batch) -> None:
    """Add a batch to the running means of loss and metrics; nothing is learned."""
    x, y, sample_weight = batch
    with no_grad():
        y_pred = model(x, training=False)
        loss = model.objective(y, y_pred, sample_weight)
    model.objective.update(loss, y, y_pred, sample_weight)


def predict_step(model: Any, batch: Batch) -> Array:
    """The outputs for a batch."""
    with no_grad():
        outputs: Array = model(batch[0], training=False).data
    return outputs
