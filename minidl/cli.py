"""The command line: `minidl train fashion_mnist`."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minidl import __version__, augmentation, datasets, losses, optimizers, plots, random
from minidl.applications import NETWORKS, Recipe, build_network
from minidl.callbacks import OneCycle
from minidl.errors import DataNotFoundError, MiniDLError, MissingExtraError
from minidl.memory import Array
from minidl.models import Model
from minidl.optimizers import Optimizer
from minidl.saving import write_history_csv

DATASETS: dict[str, ModuleType] = {
    "fashion_mnist": datasets.fashion_mnist,
    "mnist": datasets.mnist,
    "cifar10": datasets.cifar10,
}
# The mirror image of a digit is no digit; clothes fill the whole width of their images.
AUGMENTATIONS: dict[str, Callable[..., Array]] = {
    "fashion_mnist": partial(augmentation.crop_and_flip, padding=1),
    "mnist": partial(augmentation.random_crop, padding=2),
    "cifar10": augmentation.crop_and_flip,
}
SCHEDULES = ("constant", "onecycle")
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


@dataclass(frozen=True)
class Split:
    """Images, as uint8, and labels to train on, to validate on, and to test with."""

    x_train: Array
    y_train: Array
    x_valid: Array
    y_valid: Array
    x_test: Array
    y_test: Array

    def one_hot(self, classes: int) -> Split:
        """The same with labels as rows that are 1 at the class and 0 elsewhere."""
        rows = np.eye(classes, dtype=np.float32)
        labels = {"y_train": self.y_train, "y_valid": self.y_valid, "y_test": self.y_test}
        return replace(self, **{name: rows[y.ravel()] for name, y in labels.items()})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return train(options)
    except MiniDLError as error:
        print(f"minidl: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"minidl: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nminidl: stopped by Ctrl-C", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minidl",
        description="Deep learning in pure NumPy, with every derivative proven.",
        epilog="`minidl train --help` tells its options and networks.",
    )
    parser.add_argument("--version", action="version", version=f"minidl {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    networks = "\n".join(
        f"  {name:<11} {network.description:<56}{network.recipe.epochs:>4} {network.recipe.batch_size:>5}"
        for name, network in NETWORKS.items()
    )
    command = commands.add_parser(
        "train",
        help="train a network on a data set",
        description="Train a network on a data set, test it, and keep the model, its history and\nits learning curves.",
        epilog=f"{'networks':<67} epochs batch\n{networks}\n\n{_DEFAULTS}\n\n"
        "example:\n  minidl train fashion_mnist --model selu --epochs 3",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("dataset", choices=list(DATASETS), metavar="DATASET", help=", ".join(DATASETS))
    command.add_argument(
        "--model", choices=list(NETWORKS), default="bn", metavar="NAME", help="the network, see below (default: bn)"
    )
    command.add_argument("--epochs", type=_positive, metavar="N", help="passes over the data")
    command.add_argument("--batch-size", type=_positive, metavar="N", help="images in a training step")
    command.add_argument("--optimizer", metavar="NAME", help="sgd, rmsprop, adam, nadam, ...")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="step size (default: the optimizer's own)")
    command.add_argument(
        "--schedule", choices=SCHEDULES, metavar="NAME", help="of the learning rate: constant, or onecycle, up and down"
    )
    command.add_argument(
        "--augment", action=argparse.BooleanOptionalAction, help="shift and, but for digits, mirror images at random"
    )
    command.add_argument(
        "--label-smoothing", type=float, metavar="SHARE", help="of each label that is spread over all classes"
    )
    command.add_argument("--seed", type=int, default=42, metavar="N", help="fixes all that is random (default: 42)")
    command.add_argument(
        "--data-dir", metavar="FOLDER", help="where the data set is (default: searched for, then downloaded)"
    )
    command.add_argument("--output", metavar="FOLDER", help="where results go (default: output/DATASET-MODEL)")
    command.add_argument("--quiet", action="store_true", help="print the results only")
    return parser


# What the table of networks in the help does not say.
_DEFAULTS = """\
Dense networks are trained by Adam. Convolutional ones (cnn, resnet...) are
trained by SGD with Nesterov momentum and weight decay, with --augment and
--schedule onecycle; residual ones with --label-smoothing 0.1, too."""


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number ≥ 1, got {text!r}")
    return number


def train(options: argparse.Namespace) -> int:
    """The command `train`."""
    say = (lambda *_: None) if options.quiet else print
    random.set_random_seed(options.seed)
    recipe = _recipe(options)
    optimizer, smoothed = recipe.optimizer(), losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    # A short rise leaves more of a short training to the way down.
    cycle = [OneCycle(float(optimizer.learning_rate), rise=0.3)] if recipe.schedule == "onecycle" else []
    data = _load(options.dataset, options.data_dir)
    output = Path(options.output or Path("output") / f"{options.dataset}-{options.model}")
    _make_writable(output)
    classes = 1 + max(int(y.max()) for y in (data.y_train, data.y_valid, data.y_test))
    model = build_network(options.model, data.x_train.shape[1:], classes, *_statistics(data.x_train, recipe))
    if recipe.label_smoothing:
        data = data.one_hot(classes)
    loss = smoothed if recipe.label_smoothing else "sparse_categorical_crossentropy"
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    if not options.quiet:
        model.summary()
    say(f"{len(data.x_train)} images to train on, {len(data.x_valid)} to validate, {len(data.x_test)} to test")
    start = time.perf_counter()
    interrupted = False
    try:
        model.fit(
            data.x_train,
            data.y_train,
            batch_size=recipe.batch_size,
            epochs=recipe.epochs,
            validation_data=(data.x_valid, data.y_valid),
            callbacks=cycle,
            augment=AUGMENTATIONS[options.dataset] if recipe.augment else None,
            verbose=0 if options.quiet else 1,
        )
    except KeyboardInterrupt:
        interrupted = True
        print("Stopped by Ctrl-C: keeping what was learned so far.")
    say(f"trained for {time.perf_counter() - start:.1f} s")
    _, accuracy = model.evaluate(data.x_test, data.y_test, batch_size=250, verbose=0)
    print(f"test accuracy    {accuracy:.4f}")
    _keep(model, output, f"{options.dataset}, {options.model}")
    return INTERRUPTED if interrupted else 0


def _make_writable(folder: Path) -> None:
    """Find out before the training whether the results can be written after it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "cannot write results into this folder, choose another by --output", str(folder))


def _load(name: str, folder: str | None) -> Split:
    """The data set, or, where Fashion-MNIST is nowhere to be found, the sample that comes with minidl."""
    module = DATASETS[name]
    try:
        (x, y), (x_test, y_test) = module.load_data(folder) if folder else module.load_data()
    except DataNotFoundError:
        if folder or not hasattr(module, "load_sample"):
            raise
        (x, y), (x_test, y_test) = module.load_sample()
        print(f"{name} is not on this machine: using the sample of {len(x)} images that comes with minidl")
    # Of 60,000 images 5,000, the last of them.
    train, valid = slice(0, len(x) - len(x) // 12), slice(len(x) - len(x) // 12, None)
    return Split(x[train], y[train], x[valid], y[valid], x_test, y_test)


def _recipe(options: argparse.Namespace) -> Recipe:
    """How the network is trained: its own recipe, changed by what was asked for."""
    names = ("epochs", "batch_size", "schedule", "augment", "label_smoothing")
    asked = {name: value for name in names if (value := getattr(options, name)) is not None}
    recipe = replace(NETWORKS[options.model].recipe, **asked)

    def optimizer() -> Optimizer:
        made: Optimizer = optimizers.get(options.optimizer) if options.optimizer else recipe.optimizer()
        if options.learning_rate is not None:
            made.learning_rate = options.learning_rate
        return made

    return replace(recipe, optimizer=optimizer)


def _statistics(images: Array, recipe: Recipe) -> tuple[Any, ...]:
    """The mean and variance of pixels, of each channel if there are several, for a network that wants to know them.

    Bytes are summed up as whole numbers, exactly, and some images at a time: as floats they would take eight times the
    memory.
    """
    if not recipe.standardize:
        return ()
    total, squares = (np.zeros(images.shape[3:], np.int64) for _ in range(2))
    for start in range(0, len(images), 256):
        block = images[start : start + 256].astype(np.int64)
        total += block.sum(axis=(0, 1, 2))
        squares += (block**2).sum(axis=(0, 1, 2))
    mean = total / math.prod(images.shape[:3])
    return mean, squares / math.prod(images.shape[:3]) - mean**2


def _keep(model: Model, output: Path, title: str) -> None:
    """Write the model, the history and the learning curves, and say where."""
    model.save(output / "model.minidl")
    print(f"model            {output / 'model.minidl'}")
    if model.history is None or not model.history.epoch:
        print("no epoch was finished, so there is no history")
        return
    write_history_csv(output / "history.csv", model.history.epoch, model.history.history)
    print(f"history          {output / 'history.csv'}")
    try:
        plots.plot_history(model.history, output / "learning_curves.png", title)
        print(f"learning curves  {output / 'learning_curves.png'}")
    except MissingExtraError as error:
        print(f"learning curves  not drawn: {error}")


if __name__ == "__main__":
    sys.exit(main())
