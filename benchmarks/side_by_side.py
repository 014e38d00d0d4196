"""Train the same network in minidl, PyTorch and Keras on this machine, and print the ratios of their times.

    pip install torch keras jax        # by hand: minidl never needs them
    python benchmarks/side_by_side.py

Every framework runs in a process of its own, in turn, for several rounds; what counts is the median time of a step
(loss, accuracy, gradients, update: the same work), so that a busy moment of the machine hits all of them alike. A
framework that is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

LAYERS = (784, 300, 100, 10)


def data(batch_size: int, batches: int = 20) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random images and labels, float32 and int64."""
    rng = np.random.default_rng(0)
    return [
        (rng.standard_normal((batch_size, LAYERS[0]), np.float32), rng.integers(0, LAYERS[-1], batch_size))
        for _ in range(batches)
    ]


def minidl_step(batch_norm: bool) -> Callable[[np.ndarray, np.ndarray], object]:
    """One training step in minidl."""
    import minidl

    return _keras_like_step(minidl, batch_norm)


def keras_step(batch_norm: bool) -> Callable[[np.ndarray, np.ndarray], object]:
    """One training step in Keras 3 with the JAX backend."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    return _keras_like_step(keras, batch_norm)


def _keras_like_step(keras: object, batch_norm: bool) -> Callable[[np.ndarray, np.ndarray], object]:
    model = keras.Sequential([keras.Input((LAYERS[0],))])
    for units in LAYERS[1:]:
        if batch_norm:
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Dense(units, activation="softmax" if units == LAYERS[-1] else "relu"))
    optimizer = keras.optimizers.SGD(learning_rate=0.01, momentum=0.9)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.train_on_batch


def torch_step(batch_norm: bool) -> Callable[[np.ndarray, np.ndarray], object]:
    """One training step in PyTorch, eager."""
    import torch

    layers = []
    for inputs, outputs in itertools.pairwise(LAYERS):
        if batch_norm:
            layers.append(torch.nn.BatchNorm1d(inputs))
        layers.append(torch.nn.Linear(inputs, outputs))
        if outputs != LAYERS[-1]:
            layers.append(torch.nn.ReLU())
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(x: np.ndarray, y: np.ndarray) -> object:
        optimizer.zero_grad()
        targets = torch.from_numpy(y)
        logits = model(torch.from_numpy(x))
        loss = torch.nn.functional.cross_entropy(logits, targets)
        loss.backward()
        optimizer.step()
        accuracy = (logits.argmax(1) == targets).float().mean()
        return loss.item(), accuracy.item()

    return step


FRAMEWORKS = {"minidl": minidl_step, "torch": torch_step, "keras": keras_step}


def measure(framework: str, batch_size: int, batch_norm: bool, seconds: float) -> float:
    """The median time of a step in milliseconds."""
    step = FRAMEWORKS[framework](batch_norm)
    batches = data(batch_size)
    for x, y in batches[:3]:
        step(x, y)
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 20:
        x, y = batches[len(times) % len(batches)]
        start = time.perf_counter()
        step(x, y)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def in_own_process(framework: str, batch_size: int, batch_norm: bool, seconds: float) -> float:
    """`measure` in a fresh interpreter."""
    task = json.dumps([framework, batch_size, batch_norm, seconds])
    result = subprocess.run([sys.executable, __file__, "--task", task], capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def main() -> None:
    """Measure all frameworks in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often every framework has its turn (3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long one turn is (3)")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        print(measure(*json.loads(options.task)))
        return
    present = [name for name in FRAMEWORKS if importlib.util.find_spec(name)]
    print(f"ms a step, 784-300-100-10, SGD with momentum, {os.cpu_count()} cores; median of {options.rounds} rounds")
    print("| network | batch | " + " | ".join(present) + " | fastest peer / minidl |")
    print("|---" * (len(present) + 3) + "|")
    for batch_norm, batch_size in ((False, 32), (False, 128), (False, 1000), (True, 32)):
        rounds = {name: [] for name in present}
        for _ in range(options.rounds):
            for name in present:
                rounds[name].append(in_own_process(name, batch_size, batch_norm, options.seconds))
        medians = {name: statistics.median(values) for name, values in rounds.items()}
        peers = [value for name, value in medians.items() if name != "minidl"]
        ratio = f"{min(peers) / medians['minidl']:.2f}" if peers else "no peer installed"
        cells = " | ".join(f"{medians[name]:.2f}" for name in present)
        print(f"| {'with BN' if batch_norm else 'plain'} | {batch_size} | {cells} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
