"""How much faster networks predict once their batch normalizations are folded away.

    python benchmarks/folding.py

prints, for networks of the command line, how many normalizations there are and how many are left, the time for a batch
before and after, in turns so that both meet the same machine, and the largest difference of a prediction. The weights
are random, of the sizes that training leaves behind: times do not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import minidl as keras
from minidl.applications import build_network
from minidl.layers import BatchNormalization
from minidl.models import Model, fold_batch_norm

NETWORKS = {"bn": (28, 28), "bn_before": (28, 28), "cnn": (28, 28), "resnet9": (32, 32, 3), "resnet20": (32, 32, 3)}


def stirred(model: Model) -> Model:
    """The model with normalizations that do something."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("beta", "moving_mean"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def normalizations(model: Model) -> int:
    return sum(isinstance(layer, BatchNormalization) for layer in model.layers)


def milliseconds(models: list[Model], x: np.ndarray, rounds: int, seconds: float) -> list[float]:
    """The median time for a batch of each model; a round takes `seconds` for each, one after the other."""
    times: list[list[float]] = [[] for _ in models]
    for model in models:
        for _ in range(3):
            model.predict_on_batch(x)
    for _ in range(rounds):
        for model, found in zip(models, times, strict=True):
            end = time.perf_counter() + seconds
            while (start := time.perf_counter()) < end:
                model.predict_on_batch(x)
                found.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(found) for found in times]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each model in each round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="see whether it runs")
    options = parser.parse_args()
    keras.config.set_num_threads(options.threads)
    rounds, seconds = (1, 0.02) if options.quick else (options.rounds, options.seconds)
    print(f"batches of {options.batch_size}, {options.threads} thread(s), medians of {rounds} rounds of {seconds} s\n")
    print("| network | normalizations | left | before, ms | after, ms | gain | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for name, shape in NETWORKS.items():
        x = np.random.default_rng(2).integers(0, 256, (options.batch_size, *shape)).astype(np.uint8)
        model = stirred(build_network(name, shape, 10))
        folded = fold_batch_norm(model)
        difference = np.abs(model.predict_on_batch(x) - folded.predict_on_batch(x)).max()
        before, after = milliseconds([model, folded], x, rounds, seconds)
        counts = f"{normalizations(model)} | {normalizations(folded)}"
        print(f"| {name} | {counts} | {before:.3f} | {after:.3f} | {before / after:.2f} × | {difference:.0e} |")


if __name__ == "__main__":
    main()
