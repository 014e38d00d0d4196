"""The command line: `minidl train fashion_mnist`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from minidl import __version__, datasets, optimizers, plots, random
from minidl.applications import NETWORKS, build_network
from minidl.errors import DataNotFoundError, MiniDLError, MissingExtraError
from minidl.memory import Array
from minidl.models import Sequential
from minidl.saving import write_history_csv

DATASETS: dict[str, ModuleType] = {
    "fashion_mnist": datasets.fashion_mnist,
    "mnist": datasets.mnist,
    "cifar10": datasets.cifar10,
}
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
    networks = "\n".join(f"  {name:<12} {text}" for name, (text, _) in NETWORKS.items())
    command = commands.add_parser(
        "train",
        help="train a network on a data set",
        description="Train a network on a data set, test it, and keep the model, its history and\nits learning curves.",
        epilog=f"networks:\n{networks}\n\nexample:\n  minidl train fashion_mnist --model selu --epochs 3",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("dataset", choices=list(DATASETS), metavar="DATASET", help=", ".join(DATASETS))
    command.add_argument(
        "--model", choices=list(NETWORKS), default="bn", metavar="NAME", help="the network, see below (default: bn)"
    )
    command.add_argument("--epochs", type=_positive, default=10, metavar="N", help="passes over the data (default: 10)")
    command.add_argument(
        "--batch-size", type=_positive, default=32, metavar="N", help="images in a training step (default: 32)"
    )
    command.add_argument(
        "--optimizer", default="adam", metavar="NAME", help="sgd, rmsprop, adam, nadam, ... (default: adam)"
    )
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="step size (default: the optimizer's own)")
    command.add_argument("--seed", type=int, default=42, metavar="N", help="fixes all that is random (default: 42)")
    command.add_argument(
        "--data-dir", metavar="FOLDER", help="where the data set is (default: searched for, then downloaded)"
    )
    command.add_argument("--output", metavar="FOLDER", help="where results go (default: output/DATASET-MODEL)")
    command.add_argument("--quiet", action="store_true", help="print the results only")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number ≥ 1, got {text!r}")
    return number


def train(options: argparse.Namespace) -> int:
    """The command `train`."""
    say = (lambda *_: None) if options.quiet else print
    random.set_random_seed(options.seed)
    optimizer = optimizers.get(options.optimizer)
    if options.learning_rate is not None:
        optimizer.learning_rate = options.learning_rate
    data = _load(options.dataset, options.data_dir)
    output = Path(options.output or Path("output") / f"{options.dataset}-{options.model}")
    _make_writable(output)
    scale = _Scale(data.x_train, standardize=options.model == "selu")
    model = build_network(options.model, data.x_train.shape[1:], int(data.y_train.max()) + 1)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    if not options.quiet:
        model.summary()
    say(f"{len(data.x_train)} images to train on, {len(data.x_valid)} to validate, {len(data.x_test)} to test")
    start = time.perf_counter()
    interrupted = False
    try:
        model.fit(
            scale(data.x_train),
            data.y_train,
            batch_size=options.batch_size,
            epochs=options.epochs,
            validation_data=(scale(data.x_valid), data.y_valid),
            verbose=0 if options.quiet else 1,
        )
    except KeyboardInterrupt:
        interrupted = True
        print("Stopped by Ctrl-C: keeping what was learned so far.")
    say(f"trained for {time.perf_counter() - start:.1f} s")
    _, accuracy = model.evaluate(scale(data.x_test), data.y_test, batch_size=1000, verbose=0)
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


class _Scale:
    """Pixels 0 … 255 as float32 from 0 to 1, or with mean 0 and standard deviation 1 over the training images."""

    def __init__(self, x_train: Array, standardize: bool) -> None:
        self._mean, self._std = (float(x_train.mean()), float(x_train.std())) if standardize else (0.0, 255.0)

    def __call__(self, images: Array) -> Array:
        x = np.subtract(images, self._mean, dtype=np.float32)
        x /= self._std
        return x


def _keep(model: Sequential, output: Path, title: str) -> None:
    """Write the model, the history and the learning curves, and say where."""
    model.save(output / "model.minidl")
    print(f"model            {output / 'model.minidl'}")
    if model.history is None or not model.history.epoch:
        print("no epoch was finished, so there is no history")
        return
    write_history_csv(output / "history.csv", model.history.epoch, model.history.history)
    print(f"history          {output / 'history.csv'}")
    try:
        plots.plot_history(model.history.history, output / "learning_curves.png", title)
        print(f"learning curves  {output / 'learning_curves.png'}")
    except MissingExtraError as error:
        print(f"learning curves  not drawn: {error}")


if __name__ == "__main__":
    sys.exit(main())
