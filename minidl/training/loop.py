"""The loops around the step: epochs of batches, with validation, callbacks and running means."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from minidl.autodiff import no_grad
from minidl.callbacks import CallbackList
from minidl.errors import ArgumentError
from minidl.losses import SparseCategoricalCrossentropy
from minidl.memory import Array
from minidl.training.data import Batch, Data
from minidl.training.step import predict_step, test_step, train_step


def rehearse(model: Any, where: str, data: Data) -> None:
    """Take one batch through the model and the loss without learning, so that what does not fit is found beforehand."""
    x, y, sample_weight = next(data.part(slice(0, 1)).batches(1))
    with no_grad():
        y_pred = model(x, training=False)
        model.objective(y, y_pred, sample_weight)
    assert y is not None
    model.objective.resolve(y, y_pred)
    if isinstance(model.objective.loss, SparseCategoricalCrossentropy):
        _check_labels(where, np.asarray(data.y), y_pred.shape[-1])


def _check_labels(where: str, labels: Array, classes: int) -> None:
    """Every label of the data must be a class, not only those of the first batch."""
    outside = ~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))
    if outside.any():
        index = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ArgumentError(
            f"{where}: expected labels from 0 to {classes - 1}, since the model has {classes} outputs, got "
            f"{labels[index]} in sample {index[0]}"
        )


def fit(
    model: Any,
    data: Data,
    validation: Data | None,
    callbacks: CallbackList,
    *,
    batch_size: int,
    epochs: range,
    generator: np.random.Generator | None,
    steps: int | None,
    validation_batch_size: int,
    validation_steps: int | None,
    validation_freq: int,
) -> None:
    """Train for `epochs`, telling the callbacks of everything; `generator` shuffles, None keeps the order."""
    model.stop_training = False
    callbacks("on_train_begin", {})
    logs: dict[str, Any] = {}
    for epoch in epochs:
        callbacks("on_epoch_begin", epoch, {})
        batches = islice(data.batches(batch_size, generator), steps)
        logs = _epoch(model, batches, train_step, callbacks, "train")
        if validation is not None and (epoch + 1) % validation_freq == 0:
            results = evaluate(model, validation, callbacks, validation_batch_size, validation_steps)
            logs |= {f"val_{name}": value for name, value in sorted(results.items())}
        callbacks("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    callbacks("on_train_end", logs)


def evaluate(model: Any, data: Data, callbacks: CallbackList, batch_size: int, steps: int | None) -> dict[str, Any]:
    """The loss and metrics over the data, the loss first."""
    callbacks("on_test_begin", {})
    logs = _epoch(model, islice(data.batches(batch_size), steps), test_step, callbacks, "test")
    callbacks("on_test_end", logs)
    results: dict[str, Any] = model.objective.results()
    return results


def _epoch(model: Any, batches: Any, step: Callable[[Any, Batch], None], callbacks: CallbackList, kind: str) -> Any:
    """One pass over the batches; the loss and metrics of all of them, in alphabetical order."""
    model.objective.reset()
    logs: dict[str, Any] = {}
    for k, batch in enumerate(batches):
        callbacks(f"on_{kind}_batch_begin", k, {})
        step(model, batch)
        logs = dict(sorted(model.objective.results().items()))
        callbacks(f"on_{kind}_batch_end", k, logs)
    return logs


def predict(model: Any, data: Data, callbacks: CallbackList, batch_size: int, steps: int | None) -> Array:
    """The outputs for all samples."""
    callbacks("on_predict_begin", {})
    parts = []
    for k, batch in enumerate(islice(data.batches(batch_size), steps)):
        callbacks("on_predict_batch_begin", k, {})
        parts.append(predict_step(model, batch))
        callbacks("on_predict_batch_end", k, {})
    callbacks("on_predict_end", {})
    return np.concatenate(parts)
