"""`Model`: a layer that can be trained, evaluated, asked for predictions, and saved."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from minidl import optimizers
from minidl.callbacks import Callback, CallbackList, History, ProgressBar
from minidl.callbacks.callback import as_callbacks
from minidl.checks import count
from minidl.errors import (
    ArgumentError,
    NotBuiltError,
    NotCompiledError,
    removed_name,
    unknown_name,
    warn_old_name,
)
from minidl.layers.layer import Layer
from minidl.layers.symbolic import with_open_batch
from minidl.metrics import Metric
from minidl.models import files
from minidl.models.summary import summarize
from minidl.threads import in_own_context, one_blas_thread
from minidl.training import (
    Data,
    Objective,
    Objectives,
    Run,
    Steps,
    Trainer,
    as_data,
    as_inputs,
    evaluate,
    fit,
    objective_for,
    predict,
    rehearse,
    unpack_x_y_sample_weight,
)


class Removed:
    """In the place of a method that an older Keras had: asking for it is an error that says what to write today."""

    def __init__(self, advice: str) -> None:
        self.advice = advice

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Removed:
        if instance is None:
            return self
        raise removed_name(owner.__name__, self.name, {self.name: self.advice})


class Model(Trainer, Layer):
    """A layer with `compile`, `fit`, `evaluate`, `predict` and `save`.

    `Model(inputs, outputs)` of symbolic tensors is the model of what lies between them. Or subclass it: make layers in
    `__init__`, use them in `call`; and write `train_step` to learn in another way (see `minidl.training.Trainer`).
    """

    def __init__(
        self, *graph: Any, name: str | None = None, trainable: bool = True, dtype: str | None = None, **named: Any
    ) -> None:
        own: Any = type(self)
        given = named.keys() & {"inputs", "outputs"}
        both = len(graph) + len(given) == 2 and len(given) == len(named)
        if both or (own is Model and (graph or given)):
            # From here on the model is functional; a subclass, made as M(inputs, outputs), keeps steps of its own.
            kind, functional = _with_graph(own)
            object.__setattr__(self, "__class__", kind)
            options = {} if dtype is None else {"dtype": dtype}
            functional.__init__(self, *graph, name=name, trainable=trainable, **options, **named)
            return
        if graph or named:
            got = ", ".join([*(type(part).__name__ for part in graph), *named])
            raise ArgumentError(f"{type(self).__name__}: expected either inputs and outputs or neither, got {got}")
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.optimizer: Any = None
        self._objective: Objective | Objectives | None = None
        self._steps = Steps(self)
        self.stop_training = False
        self.history: History | None = None
        self._run: Run | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("history", "stop_training", "_run"):
            # No step depends on these, and `fit` sets them each time: what has been recorded stays.
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    # Layers.

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (batch first), by a trial on zeros; several have nested shapes."""
        super().build(input_shape)
        # A subclass that builds by itself has done so.
        if type(self).build is Model.build:
            self.built_shape = input_shape
            try:
                Layer.compute_output_shape(self, input_shape)
            except Exception:
                self.built, self.built_shape = False, None
                raise

    def build_for(self, input_shape: Any) -> None:
        """Build once. A call makes the weights of the layers inside as it goes: that needs no trial."""
        if type(self).build is Model.build and not self.built:
            Layer.build(self, input_shape)
            self.built_shape = with_open_batch(input_shape)
        super().build_for(input_shape)

    @property
    def layers(self) -> list[Layer]:
        """The layers inside, in their order."""
        return list(self._layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer with this name, or at this position."""
        if (name is None) == (index is None):
            raise ArgumentError("get_layer: expected either a name or an index")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ArgumentError(f"get_layer: {self.name!r} has {len(self.layers)} layers, got index {index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise unknown_name(f"layer of {self.name!r}", name, [layer.name for layer in self.layers])

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Print a table of the layers, their output shapes and numbers of weights."""
        text = summarize(self, line_length, positions, show_trainable, expand_nested)
        if print_fn is None:
            sys.stdout.write(text)
        else:
            print_fn(text)

    # Training.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train: the optimizer, the loss and the metrics, as strings, objects or functions.

        A loss is f(y_true, y_pred), metrics a list of such. A model with several outputs takes one loss for all, or a
        list or a dictionary with one for each output, and so for the metrics; `loss_weights` are then the factors of
        the losses in their sum. With `run_eagerly` every step runs layer by layer; else it is recorded and replayed. A
        model with a `train_step` of its own needs no loss.

        The last three arguments are Keras's ways of going faster, on machines of other kinds: here they change nothing.
        """
        if optimizer is None:
            raise ArgumentError('compile: expected an optimizer, such as optimizer="sgd"')
        if metrics is None and _are_metrics(loss_weights):
            warn_old_name("compile with metrics as third argument", "compile(optimizer, loss, metrics=…)")
            metrics, loss_weights = loss_weights, None
        for argument, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if isinstance(value, str):
                warn_old_name(f'{argument}="{value}"', f'{argument}=["{value}"]')
        objective = objective_for(self.output_names, loss, metrics, weighted_metrics, loss_weights)
        self.optimizer = optimizers.get(optimizer)
        self._objective = objective
        self.run_eagerly = run_eagerly
        self._steps = Steps(self, run_eagerly)

    @property
    def input_names(self) -> list[str] | None:
        """The names of the inputs, by which data can be given; None where only `call` knows them."""
        return None

    @property
    def output_names(self) -> list[str] | None:
        """The names of the outputs, by which targets, losses and metrics can be given; None where they have none."""
        return None

    @property
    def objective(self) -> Objective | Objectives:
        """What the model was compiled for."""
        if self._objective is None:
            raise NotCompiledError(f'{self.name!r} is not compiled: call compile(optimizer="sgd", loss=…) first')
        return self._objective

    @property
    def loss(self) -> Any:
        """The loss the model was compiled with."""
        return self.objective.loss

    @in_own_context
    @one_blas_thread
    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[Any, ...] | Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        augment: Callable[..., Any] | None = None,
        **old: Any,
    ) -> History:
        """Train for the epochs from `initial_epoch` to `epochs`; gives the History.

        x and y are arrays with one entry a sample, in batches of `batch_size` (32), in a new random order each pass if
        `shuffle`. `validation_data` is (x, y) or (x, y, sample_weight); `validation_split` takes the last samples
        instead. `class_weight` is {label: weight}. `verbose` is 0 (silent), 1 or "auto" (a bar for every epoch) or 2
        (a line for every epoch).

        With `steps_per_epoch` an epoch has so many batches: it goes on where the last one ended, and begins anew at the
        end of the data. `validation_steps` validates on the first batches only, `validation_freq` n after every n-th
        epoch only, a list after those epochs that are in it, counted from 1. `augment(x, generator)` gives the samples
        of a training batch in another form, such as flipped or shifted images (see `minidl.augmentation`); it runs
        beside the training, in a thread of its own. Of three arguments, `augment(x, y, generator)`, it gives samples
        and targets, such as mixed ones.

        Data that is empty, not finite, of the wrong shape, or labelled with classes that do not exist is an error
        before anything is learned. An exception, Ctrl-C too, leaves the model with what it has learned so far.
        `nb_epoch` is an old spelling of `epochs`; `workers`, `max_queue_size` and `use_multiprocessing` do nothing.
        """
        epochs = _old_arguments(epochs, old)
        data, validation = self._data("fit", "train_step", x, y, sample_weight), None
        size = _count("batch_size", batch_size, 32)
        validation_size = _count("validation_batch_size", validation_batch_size, size)
        if validation_data is not None:
            validation = self._data("validation_data", "test_step", *self._validation_parts(validation_data))
        elif validation_split:
            data, validation = data.split(validation_split)
        data = data.with_class_weight(class_weight)
        steps = _count("steps_per_epoch", steps_per_epoch, data.steps(size))
        validated = _validated(validation_freq)
        epochs, initial_epoch = _count("epochs", epochs, 1, least=0), _count("initial_epoch", initial_epoch, 0, least=0)
        if epochs < initial_epoch:
            raise ArgumentError(f"fit: epochs={epochs} is the last epoch and lies before initial_epoch={initial_epoch}")
        # The history comes last: it also keeps what other callbacks have put into the logs.
        history = History()
        bar, told = self._told([*as_callbacks(callbacks), history], verbose, epochs, steps)
        if validation is not None:
            validation = _first(validation, "validation_steps", validation_steps, validation_size)
        rehearse(self, "fit", data, size, augment)
        if validation is not None:
            rehearse(self, "validation_data", validation, validation_size, step="test_step")
        self.history = history
        run = self._run
        if run is None or initial_epoch == 0 or initial_epoch != run.epoch:
            run = self._run = Run.begin(initial_epoch)
        try:
            fit(
                self, data, validation, told, batch_size=size, epochs=range(initial_epoch, epochs), steps=steps,
                run=run, shuffle=shuffle, validation_batch_size=validation_size, augment=augment, validated=validated,
            )  # fmt: skip
        finally:
            run.stop()
            bar.close()
        return history

    @property
    def epoch(self) -> int:
        """How many epochs of the last training are over; that of a model from a file goes on with it as before."""
        return 0 if self._run is None else self._run.epoch

    @in_own_context
    @one_blas_thread
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics over the data: a number, a list with the loss first, or a dictionary."""
        size = _count("batch_size", batch_size, 32)
        data = _first(self._data("evaluate", "test_step", x, y, sample_weight), "steps", steps, size)
        bar, told = self._told(as_callbacks(callbacks), verbose, 1, data.steps(size))
        rehearse(self, "evaluate", data, size, step="test_step")
        try:
            results = evaluate(self, data, told, size)
        finally:
            bar.close()
        return _as_asked(results, return_dict)

    @in_own_context
    @one_blas_thread
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Any:
        """The outputs for all samples, in inference mode: one array, or several nested as the model gives them."""
        size = _count("batch_size", batch_size, 32)
        data = _first(as_inputs("predict", x, self.input_names), "steps", steps, size)
        bar, told = self._told(as_callbacks(callbacks), verbose, 1, data.steps(size))
        try:
            return predict(self, data, told, size)
        finally:
            bar.close()

    @in_own_context
    @one_blas_thread
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One gradient step; gives the loss and metrics of this batch as `evaluate` does."""
        data = self._data("train_on_batch", "train_step", x, y, sample_weight).with_class_weight(class_weight)
        # One sample finds out what does not fit; the whole batch would take much longer.
        rehearse(self, "train_on_batch", data, 1)
        return self._on_batch(self._steps.train, data, return_dict)

    @in_own_context
    @one_blas_thread
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch as `evaluate` gives them; nothing is learned."""
        data = self._data("test_on_batch", "test_step", x, y, sample_weight)
        return self._on_batch(self._steps.test, data, return_dict)

    @in_own_context
    @one_blas_thread
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""
        return self._steps.predict(as_inputs("predict_on_batch", x, self.input_names).x)

    def _data(self, where: str, step: str, x: Any, y: Any = None, sample_weight: Any = None) -> Data:
        """The checked data; that of several inputs and outputs in their order, unless it is for a step of one's own."""
        outputs = self.objective.output_names
        free = self._steps.own(step) or (y is None and self._needs_no_targets())
        return as_data(where, x, y, sample_weight, self.input_names, None if free else outputs)

    def _needs_no_targets(self) -> bool:
        """Whether the loss is not one of predictions and targets."""
        return self._steps.own("compute_loss") or self.loss is None

    def _validation_parts(self, validation_data: Any) -> tuple[Any, ...]:
        """(x, y) or (x, y, sample_weight); x alone for a model that can do without targets."""
        if isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3):
            return tuple(validation_data)
        if not (self._steps.own("test_step") or self._needs_no_targets()):
            raise ArgumentError("validation_data: expected (x, y) or (x, y, sample_weight)")
        return unpack_x_y_sample_weight(validation_data)

    def _on_batch(self, step: Callable[..., None], data: Data, return_dict: bool) -> Any:
        """What `step` makes of the data as a single batch."""
        self._steps.reset()
        step(data.x, data.y, data.sample_weight)
        return _as_asked(self._steps.results(), return_dict)

    def _told(
        self, callbacks: list[Callback], verbose: int | str, epochs: int, steps: int
    ) -> tuple[ProgressBar, CallbackList]:
        """The progress bar, and the list of callbacks it begins."""
        bar = ProgressBar(_verbosity(verbose))
        # A silent bar would still be told of every batch, with the metrics computed for it.
        told = [bar, *callbacks] if bar.verbose else callbacks
        return bar, CallbackList(told, self, {"verbose": bar.verbose, "epochs": epochs, "steps": steps})

    fit_generator = Removed("fit(x, y) takes arrays; train_on_batch(x, y) takes one batch of a generator")
    evaluate_generator = Removed("evaluate(x, y) takes arrays; test_on_batch(x, y) takes one batch of a generator")
    predict_generator = Removed("predict(x) takes arrays; predict_on_batch(x) takes one batch of a generator")
    predict_classes = Removed("np.argmax(model.predict(x), axis=-1), or model.predict(x) > 0.5 for a single output")
    predict_proba = Removed("predict(x) gives what the last layer gives")

    # Files.

    def save(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, include_optimizer: bool = True
    ) -> None:
        """Write the model to a file, which `load_model` reads; what kind of file, the end of its name says.

        - `.minidl`, the kind of this library: architecture, weights, how it was compiled, what the optimizer remembers,
          and where the training is: `fit` can go on with it as if it had never stopped. Callbacks that are called
          before the one that saves are in it as they are after the epoch, the others as they were before.
        - `.keras` (Keras 3) and `.h5` (Keras 1 to 3): the same but for the state of the training. They need the package
          h5py: `pip install "minidl[keras]"`.

        `include_optimizer=False` leaves out how it was compiled, and the optimizer.
        """
        if not self.built:
            raise NotBuiltError(f"save: {self.name!r} has no weights yet: build it or call it on data first")
        files.save(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write all weights, and nothing else, to a `.minidl`, `.weights.h5` or `.h5` file.

        The last two are those of Keras, and need the package h5py.
        """
        if not self.built:
            raise NotBuiltError(f"save_weights: {self.name!r} has no weights yet: build it or call it on data first")
        files.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Take all weights from a file that `save_weights` or `save` wrote, here or in Keras; its content says which.

        Layers are told apart by their place, not by their names. What does not fit is a `DataFileError`, and nothing
        changes; with `skip_mismatch` a warning says what does not fit, and the rest is taken.
        """
        if not self.built:
            raise NotBuiltError(f"load_weights: {self.name!r} has no weights yet: build it or call it on data first")
        files.load_weights(self, filepath, skip_mismatch)

    def get_compile_config(self) -> dict[str, Any] | None:
        """How the model was compiled, as plain values; None if it was not. `ArgumentError` for a nameless function."""
        if self._objective is None:
            return None
        return {**files.compile_config(self.optimizer, self._objective), "run_eagerly": self.run_eagerly}

    @property
    def input_shape(self) -> Any:
        """The shape of the input, None for an open size; of several, nested as they are."""
        shape = self.batch_input_shape or self.built_shape
        if shape is None:
            raise NotBuiltError(f"{self.name!r} does not know its input shape yet: build it or call it on data first")
        return shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output, None for an open size; of several, nested as they are."""
        return self.compute_output_shape(self.input_shape)


@functools.cache
def _with_graph(kind: Any) -> tuple[Any, Any]:
    """What a Model with inputs and outputs is, and Functional: that, or a subclass of it and of the user's class."""
    from minidl.models.functional import Functional  # which is a Model

    if kind is Model:
        return Functional, Functional
    named = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(kind.__name__, (kind, Functional), named), Functional


def _as_asked(results: dict[str, Any], return_dict: bool) -> Any:
    """The numbers as a dictionary, a list with the loss first, or, if it is one, as a number."""
    if return_dict:
        return dict(sorted(results.items()))
    values = list(results.values())
    return values if len(values) > 1 else values[0]


def _are_metrics(loss_weights: Any) -> bool:
    """Whether these are metrics, which Keras 2 had in the place of the weights."""
    given = loss_weights if isinstance(loss_weights, (list, tuple)) else [loss_weights]
    return bool(given) and all(isinstance(part, (str, Metric)) for part in given)


def _count(name: str, value: int | None, default: int, least: int = 1) -> int:
    return default if value is None else count("Model", name, value, least)


def _old_arguments(epochs: int, old: Mapping[str, Any]) -> int:
    """The epochs, also where older code names them otherwise; an error for arguments that `fit` never had."""
    for name, value in old.items():
        if name == "nb_epoch":
            warn_old_name("fit(nb_epoch=…)", "fit(epochs=…)")
            epochs = value
        elif name in ("workers", "max_queue_size", "use_multiprocessing"):
            warn_old_name(f"fit({name}=…)", "left out: arrays need no workers")
        else:
            raise TypeError(f"Model.fit() got an unexpected keyword argument {name!r}")
    return epochs


def _validated(validation_freq: Any) -> Callable[[int], bool]:
    """Which epochs, counted from 1, are followed by a validation: every n-th, or those that are listed."""
    if isinstance(validation_freq, (list, tuple, set, range)):
        epochs = {_count("validation_freq", epoch, 1) for epoch in validation_freq}
        return lambda epoch: epoch in epochs
    every = _count("validation_freq", validation_freq, 1)
    return lambda epoch: epoch % every == 0


def _first(data: Data, name: str, steps: int | None, size: int) -> Data:
    """The data of the first `steps` batches of `size`, all if it is None."""
    available = data.steps(size)
    taken = _count(name, steps, available)
    if taken > available:
        raise ArgumentError(f"{name}: expected at most {available}, the number of batches of {size}, got {taken}")
    return data.part(slice(taken * size))


def _verbosity(verbose: int | str) -> int:
    if verbose not in (0, 1, 2, "auto"):
        raise ArgumentError(f'verbose: expected 0, 1, 2 or "auto", got {verbose!r}')
    return 1 if verbose == "auto" else int(verbose)
