"""What the tests of the optimizers share: a problem to follow a rule on, and the golden values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minidl.layers.variable import Variable
from minidl.optimizers import Optimizer


@pytest.fixture
def w0() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, 2))


@pytest.fixture
def gradients() -> np.ndarray:
    """30 gradients of very different sizes, one of them 0."""
    rng = np.random.default_rng(2)
    g = rng.standard_normal((30, 3, 2)) * rng.permutation(np.geomspace(1e-3, 1e2, 30))[:, None, None]
    g[4] = 0
    return g


@pytest.fixture
def run() -> Callable[..., np.ndarray]:
    """`run(optimizer, w0, gradients)` gives the weights after each step; the gradients cannot be written to."""

    def run(optimizer: Optimizer, w0: np.ndarray, gradients: Iterable[np.ndarray]) -> np.ndarray:
        w, trajectory = Variable(w0), []
        for gradient in gradients:
            gradient = np.array(gradient)
            gradient.flags.writeable = False
            optimizer.apply([gradient], [w])
            trajectory.append(w.data.copy())
        return np.array(trajectory)

    return run


@pytest.fixture
def golden() -> Callable[[str], tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]]:
    """`golden(name)` gives the cases and the arrays of a file in tests/golden."""

    def load(name: str) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
        with np.load(Path(__file__).parents[1] / "golden" / f"{name}.npz") as file:
            arrays = dict(file)
        return json.loads(str(arrays.pop("cases"))), arrays

    return load
