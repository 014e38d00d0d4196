"""The networks that minidl, PyTorch and Keras train side by side, and how each of the three trains them.

minidl and Keras run the same code: `import minidl as keras`. PyTorch has its own, the eager loop its users write. All
three gather shuffled batches, compute the loss and the accuracy, the gradients, and the update.

    python benchmarks/workloads.py '{"framework": "minidl", "workload": {"batch_size": 128}}'

is one turn of one framework in a process of its own, so that nobody inherits another's memory or threads. It prints
what it measured as a line of JSON. `peers.py` and `scaling.py` take the turns.
"""

from __future__ import annotations

import functools
import importlib
import json
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CLASSES = 10
# Small: on random data a large one may drive the loss to infinity.
LEARNING_RATE = 1e-3
DATA_BYTES = 32e6

# Trains for so many epochs, and gives the seconds of each and the loss at the end.
Train = Callable[[int], tuple[list[float], float]]


@dataclass(frozen=True)
class Workload:
    """A classifier: for each of `filters` two 3 × 3 convolutions and a pooling, then a dense layer for each of `units`.

    Convolutions are followed by batch normalization and the activation. `batch_norm` says where the dense layers have
    one: "before" each, between it and its activation ("after"), or nowhere. `goal` is how many times as fast as the
    fastest peer minidl wants to be.
    """

    inputs: tuple[int, ...] = (784,)
    filters: tuple[int, ...] = ()
    units: tuple[int, ...] = (300, 100)
    activation: str = "relu"
    initializer: str = "glorot_uniform"
    batch_norm: str = ""
    optimizer: str = "sgd"
    batch_size: int = 32
    goal: float | None = None

    @property
    def batches(self) -> int:
        """The batches of an epoch: enough that its beginning hardly counts, few enough that the data stay small."""
        return min(128, max(4, int(DATA_BYTES / (4 * math.prod(self.inputs) * self.batch_size))))


WORKLOADS = {
    "dense-32": Workload(batch_size=32, goal=1.5),
    "dense-128": Workload(batch_size=128, goal=1.5),
    "dense-1000": Workload(batch_size=1000, goal=1.3),
    "bn-32": Workload(batch_norm="before", goal=1.3),
    "selu-100": Workload(units=(100,) * 100, activation="selu", initializer="lecun_normal", goal=1.0),
    "cifar-dense": Workload(
        inputs=(3072,), units=(100,) * 20, activation="elu", initializer="he_normal", batch_norm="after",
        optimizer="nadam", batch_size=1000, goal=1.3,
    ),
    "cnn": Workload(
        inputs=(32, 32, 3), filters=(32, 64, 128), units=(128,), optimizer="adam", batch_size=64, goal=1.0,
    ),
}  # fmt: skip


def random_data(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Samples (float32, channels last) and labels of an epoch."""
    rng = np.random.default_rng(0)
    samples = workload.batches * workload.batch_size
    return rng.standard_normal((samples, *workload.inputs), np.float32), rng.integers(0, CLASSES, samples)


# minidl and Keras: the same code.


def keras_model(keras: Any, workload: Workload) -> Any:
    """The compiled network; `keras` is Keras, or minidl."""
    layers, initializer = keras.layers, workload.initializer
    model = keras.Sequential([keras.Input(tuple(workload.inputs))])
    for filters in workload.filters:
        for _ in range(2):
            model.add(layers.Conv2D(filters, 3, padding="same", kernel_initializer=initializer))
            model.add(layers.BatchNormalization())
            model.add(layers.Activation(workload.activation))
        model.add(layers.MaxPooling2D(2))
    if workload.filters:
        model.add(layers.Flatten())
    for units in workload.units:
        if workload.batch_norm == "before":
            model.add(layers.BatchNormalization())
        if workload.batch_norm == "after":
            model.add(layers.Dense(units, kernel_initializer=initializer))
            model.add(layers.BatchNormalization())
            model.add(layers.Activation(workload.activation))
        else:
            model.add(layers.Dense(units, activation=workload.activation, kernel_initializer=initializer))
    if workload.batch_norm == "before":
        model.add(layers.BatchNormalization())
    model.add(layers.Dense(CLASSES, activation="softmax"))
    optimizer = {
        "sgd": lambda: keras.optimizers.SGD(LEARNING_RATE, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(LEARNING_RATE),
        "nadam": lambda: keras.optimizers.Nadam(LEARNING_RATE),
    }[workload.optimizer]()
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def keras_fit(keras: Any, workload: Workload, x: np.ndarray, y: np.ndarray) -> Train:
    """Training with `fit`."""
    model = keras_model(keras, workload)

    # Hooks of epochs only: Keras runs ahead of a step's results as long as no callback asks for them.
    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.start)

    def train(epochs: int) -> tuple[list[float], float]:
        clock = Clock()
        history = model.fit(x, y, workload.batch_size, epochs, verbose=0, callbacks=[clock])
        return clock.seconds, history.history["loss"][-1]

    return train


def keras_train_on_batch(keras: Any, workload: Workload, x: np.ndarray, y: np.ndarray) -> Train:
    """Training with a loop around `train_on_batch`."""
    model, rng, size = keras_model(keras, workload), np.random.default_rng(0), workload.batch_size

    def train(epochs: int) -> tuple[list[float], float]:
        seconds, loss = [], math.nan
        for _ in range(epochs):
            start = time.perf_counter()
            order = rng.permutation(len(x))
            for first in range(0, len(x), size):
                batch = order[first : first + size]
                loss, _ = model.train_on_batch(x[batch], y[batch])
            seconds.append(time.perf_counter() - start)
        return seconds, float(loss)

    return train


# PyTorch.


def torch_model(workload: Workload) -> Any:
    """The same network, giving logits."""
    from torch import nn

    activation = {"relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU}[workload.activation]
    initialize = {
        "glorot_uniform": nn.init.xavier_uniform_,
        "he_normal": functools.partial(nn.init.kaiming_normal_, nonlinearity="relu"),
        "lecun_normal": functools.partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    }[workload.initializer]

    def initialized(layer: Any) -> Any:
        # PyTorch's own default lets the signal die in deep networks, and arithmetic on denormal numbers is slow.
        initialize(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    layers: list[Any] = []
    *sides, features = workload.inputs
    for filters in workload.filters:
        for _ in range(2):
            layers.append(initialized(nn.Conv2d(features, filters, 3, padding=1)))
            layers += [nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01), activation()]
            features = filters
        layers.append(nn.MaxPool2d(2))
        sides = [side // 2 for side in sides]
    if workload.filters:
        layers.append(nn.Flatten())
        features *= math.prod(sides)
    for units in workload.units:
        if workload.batch_norm == "before":
            layers.append(nn.BatchNorm1d(features, eps=1e-3, momentum=0.01))
        layers.append(initialized(nn.Linear(features, units)))
        if workload.batch_norm == "after":
            layers.append(nn.BatchNorm1d(units, eps=1e-3, momentum=0.01))
        layers.append(activation())
        features = units
    if workload.batch_norm == "before":
        layers.append(nn.BatchNorm1d(features, eps=1e-3, momentum=0.01))
    layers.append(initialized(nn.Linear(features, CLASSES)))
    return nn.Sequential(*layers)


def torch_eager(workload: Workload, x: np.ndarray, y: np.ndarray) -> Train:
    """Training with the usual loop; images and convolutions in the memory format that is faster on a CPU."""
    import torch

    model = torch_model(workload)
    if workload.filters:
        model = model.to(memory_format=torch.channels_last)
    optimizer = {
        "sgd": lambda parameters: torch.optim.SGD(parameters, LEARNING_RATE, momentum=0.9),
        "adam": lambda parameters: torch.optim.Adam(parameters, LEARNING_RATE),
        "nadam": lambda parameters: torch.optim.NAdam(parameters, LEARNING_RATE),
    }[workload.optimizer](model.parameters())
    samples, labels, size = torch.from_numpy(x), torch.from_numpy(y), workload.batch_size

    def epoch() -> tuple[float, float]:
        """The mean loss and the accuracy."""
        total, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for batch in torch.randperm(len(samples)).split(size):
            inputs, targets = samples[batch], labels[batch]
            if workload.filters:
                inputs = inputs.permute(0, 3, 1, 2)  # the axes in PyTorch's order, in memory the channels stay last
            optimizer.zero_grad(set_to_none=True)
            logits = model(inputs)
            loss = torch.nn.functional.cross_entropy(logits, targets)
            loss.backward()
            optimizer.step()
            total += loss.detach()
            correct += (logits.argmax(1) == targets).sum()
        return total.item() / workload.batches, correct.item() / len(samples)

    def train(epochs: int) -> tuple[list[float], float]:
        seconds, loss = [], math.nan
        model.train()
        for _ in range(epochs):
            start = time.perf_counter()
            loss, _ = epoch()
            seconds.append(time.perf_counter() - start)
        return seconds, loss

    return train


# One turn.


def trainer(framework: str, workload: Workload, train_on_batch: bool = False) -> Train:
    """How `framework`, which is imported here, trains the workload."""
    x, y = random_data(workload)
    if framework == "torch":
        return torch_eager(workload, x, y)
    return (keras_train_on_batch if train_on_batch else keras_fit)(importlib.import_module(framework), workload, x, y)


def measure(
    framework: str,
    workload: dict[str, Any],
    seconds: float = 2.0,
    steps: int | None = None,
    train_on_batch: bool = False,
) -> dict[str, Any]:
    """Train for so many seconds, or steps, after two epochs of warming up; times in ms, the peak memory in MB."""
    network = Workload(**workload)
    train = trainer(framework, network, train_on_batch)
    warm_up, _ = train(2)
    epochs = math.ceil(steps / network.batches if steps else seconds / warm_up[-1])
    times, loss = train(max(3, epochs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "framework": framework,
        "version": sys.modules[framework].__version__,
        "ms_per_step": [1e3 * t / network.batches for t in times],
        "loss": loss,
        "peak_mb": peak / (2**20 if sys.platform == "darwin" else 2**10),  # bytes there, kilobytes elsewhere
    }


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
