"""Why nobody trains with the full Hessian, and what is good to know of it: its largest eigenvalue λ.

Newton's method, w ← w − H⁻¹∇L, needs the n × n matrix of second derivatives and the solution of n equations with it.
What both would cost is measured here for a small network; so is a product H·v, which is enough to find λ. Gradient
descent with a rate up to 2/λ lowers the loss in every step. Above, steps raise it, until descent has been thrown out of
the valley to a place that is flatter, or has been lost (Lewkowycz et al. 2020; Cohen et al. 2021).
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import numpy as np

import minidl as keras
from minidl.diagnostics import Hessian
from minidl.profiling import matmul_peak


def seconds(function, repetitions=3) -> float:
    """How long a call takes, the fastest of a few."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def gradient(model, x, y):
    with keras.GradientTape() as tape:
        loss = model.objective(y, model(x, training=True))
    return loss, tape.gradient(loss, model.trainable_variables)


def costs(model, x, y) -> None:
    hessian = Hessian(model, x, y)
    n = hessian.shape[0]
    v = np.ones(n, np.float32)
    one, product = seconds(lambda: gradient(model, x, y)), seconds(lambda: hessian @ v)
    solution = n**3 / 3 / (matmul_peak() * 1e9 / 2)
    print(f"{n:,} weights, {len(x):,} images. The Hessian has {n**2:,} numbers, {4 * n**2 / 1e9:,.1f} GB in float32.")
    print("| what | time |\n|---|---|")
    print(f"| a gradient | {one * 1e3:.1f} ms |")
    print(f"| a product H·v | {product * 1e3:.1f} ms, {product / one:.1f} gradients |")
    print(f"| the whole Hessian, n products | {n * product / 60:,.1f} minutes |")
    print(f"| solving for Newton's step, n³/3 multiplications (estimated) | {solution / 60:,.1f} minutes |")
    print(f"With 25 million weights, as a ResNet-50 has them: {4 * 25e6**2 / 1e15:,.1f} petabytes.\n")


def descent(model, x, y, rate: float, steps: int) -> list[float]:
    """The losses of gradient descent on all of the data."""
    losses = []
    for _ in range(steps):
        loss, gradients = gradient(model, x, y)
        losses.append(loss.item())
        for variable, g in zip(model.trainable_variables, gradients, strict=True):
            variable.assign_sub(rate * g)
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little data and few steps: to see that it runs")
    quick = parser.parse_args().quick
    images, steps, products = (100, 10, 10) if quick else (500, 1000, 100)
    (x, y), _ = keras.datasets.fashion_mnist.load_sample()
    x, y = (x[:images] / 255).astype(np.float32), y[:images]
    keras.utils.set_random_seed(42)
    model = keras.models.Sequential([
        keras.layers.Flatten(input_shape=[28, 28]),
        keras.layers.Dense(30, activation="tanh"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
    costs(model, x, y)

    hessian, weights = Hessian(model, x, y), model.get_weights()
    start, _ = hessian.top_eigenvalue(products)
    print(f"Before training λ = {start:.1f}: the rate should be below 2/λ = {2 / start:.3f}. {steps} steps later:")
    print("| rate | loss | steps that raised it | λ | 2/rate |\n|---|---|---|---|---|")
    for factor in (0.25, 0.5, 1, 2, 4, 8):
        model.set_weights(weights)
        rate = factor * 2 / start
        losses = descent(model, x, y, rate, steps)
        raised = sum(after > before for before, after in pairwise(losses))
        top, _ = hessian.top_eigenvalue(products)
        print(f"| {rate:.3f} | {losses[-1]:.4f} | {raised} | {top:.1f} | {2 / rate:.1f} |")


if __name__ == "__main__":
    main()
