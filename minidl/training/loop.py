"""The loops around the step: epochs of batches, with validation, callbacks and running means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np

from minidl.autodiff import no_grad
from minidl.autodiff.tensor import plain
from minidl.autodiff.tree import leaves, map_leaves
from minidl.callbacks import CallbackList
from minidl.callbacks.logs import Numbers
from minidl.errors import ArgumentError, MiniDLError, ShapeError
from minidl.layers.layer import Layer
from minidl.training.data import Augment, Batch, Data, augmented, change
from minidl.training.run import Run
from minidl.training.step import loss_of


def rehearse(
    model: Any, where: str, data: Data, size: int, augment: Augment | None = None, step: str = "train_step"
) -> None:
    """Take the first batch through the model, the loss and the metrics, and all targets through the loss's check.

    Nothing is learned: what does not fit is found before anything changes. An error begins with `where`. What a step
    of the model's own does with its data nobody can know before.
    """
    if model._steps.own(step):
        return
    x, y, sample_weight = next(data.batches(size))
    if isinstance(augment, Layer):
        raise ArgumentError(
            f"{where}: augment is a function f(x, generator), got the layer {augment.name!r}: make it the first of the "
            "model, where it acts in training only"
        )
    if augment is not None:
        before = len(leaves(x)[0])
        x, y, _ = change((x, y, sample_weight), augment, np.random.default_rng(0))
        made = [part for part in leaves((x, y)) if part is not None]
        if any(np.shape(part)[:1] != (before,) for part in made):
            shapes = ", ".join(str(np.shape(part)) for part in made)
            raise ShapeError(f"{where}: augment made arrays of shape {shapes} of {before} samples")
    try:
        with no_grad():
            y_pred = model(x, training=False)
            samples = len(leaves(x)[0])
            for output in leaves(y_pred):
                if output.shape[:1] != (samples,):
                    raise ShapeError(f"{model.name!r} made outputs of shape {output.shape} of {samples} samples")
            loss = loss_of(model, x, y, y_pred, sample_weight, training=False)
        model._steps.measure(*plain((loss, x, y, y_pred, sample_weight)))
        # Every target, not only those of the first batch.
        if not model._steps.own("compute_loss"):
            model.objective.check(data.y, plain(y_pred))
    except MiniDLError as error:
        raise type(error)(f"{where}: {error}") from error


def fit(
    model: Any,
    data: Data,
    validation: Data | None,
    callbacks: CallbackList,
    *,
    batch_size: int,
    epochs: range,
    run: Run,
    shuffle: bool,
    augment: Augment | None,
    steps: int,
    validation_batch_size: int,
    validated: Callable[[int], bool],
) -> None:
    """Train for `epochs`, telling the callbacks of everything; `run` says where the training stands, and is moved on.

    `augment(x, generator)` changes the samples of each batch, `augment(x, y, generator)` the targets as well.

    An epoch has `steps` batches: it goes on where the last one ended, and begins anew at the end of the data. After
    it comes a validation if it is `validated`, which counts from 1.
    """
    model.stop_training = False
    callbacks("on_train_begin", {})
    run.start(callbacks)
    batches = _passes(data, batch_size, run, shuffle)
    if augment is not None:
        batches = augmented(batches, augment, map(run.augmenting, count(run.batches)))
    logs: dict[str, Any] = {}
    for epoch in epochs:
        callbacks("on_epoch_begin", epoch, {})
        logs = _epoch(model, islice(batches, steps), model._steps.train, callbacks, "train")
        if validation is not None and validated(epoch + 1):
            results = evaluate(model, validation, callbacks, validation_batch_size)
            logs |= {f"val_{name}": value for name, value in sorted(results.items())}
        # Now, so that a callback that saves the model here saves one that has this epoch behind it.
        run.epoch, run.batches = epoch + 1, run.batches + steps
        # What callbacks add is for those after them, not for the end of training.
        callbacks("on_epoch_end", epoch, Numbers(logs))
        if model.stop_training:
            break
    callbacks("on_train_end", logs)


def _passes(data: Data, size: int, run: Run, shuffle: bool) -> Iterator[Batch]:
    """The batches of one pass over the data after the other, without end, from where the run stands."""
    first, done = divmod(run.batches, data.steps(size))
    for k in count(first):
        batches = data.batches(size, run.shuffling(k) if shuffle else None)
        yield from islice(batches, done if k == first else 0, None)


def evaluate(model: Any, data: Data, callbacks: CallbackList, batch_size: int) -> dict[str, Any]:
    """The loss and metrics over the data, the loss first."""
    callbacks("on_test_begin", {})
    logs = _epoch(model, data.batches(batch_size), model._steps.test, callbacks, "test")
    results: dict[str, Any] = model._steps.results()
    callbacks("on_test_end", logs)
    return results


def _epoch(model: Any, batches: Any, step: Callable[..., None], callbacks: CallbackList, kind: str) -> dict[str, Any]:
    """One pass over the batches; the loss and metrics of all of them, in alphabetical order."""
    model._steps.reset()
    begin, end = callbacks.hook(f"on_{kind}_batch_begin"), callbacks.hook(f"on_{kind}_batch_end")
    for k, batch in enumerate(batches):
        for callback in begin:
            callback(k, {})
        step(*batch)
        if end:
            logs = _logs(model)
            for callback in end:
                callback(k, logs)
        if kind == "train" and model.stop_training:
            break
    return _logs(model)


def _logs(model: Any) -> dict[str, Any]:
    return Numbers(sorted(model._steps.results().items()))


def predict(model: Any, data: Data, callbacks: CallbackList, batch_size: int) -> Any:
    """The outputs for all samples, nested as the model gives them."""
    callbacks("on_predict_begin", {})
    parts = []
    for k, batch in enumerate(data.batches(batch_size)):
        callbacks("on_predict_batch_begin", k, {})
        parts.append(model._steps.predict(batch[0]))
        callbacks("on_predict_batch_end", k, {"outputs": parts[-1]})
    callbacks("on_predict_end", {})
    return map_leaves(lambda *outputs: np.concatenate(outputs), *parts)
