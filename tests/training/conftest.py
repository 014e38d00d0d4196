"""What the tests of training share: a small problem, a model for it, and everything about the model that may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl as keras

CLASSES = 3


@pytest.fixture
def x() -> np.ndarray:
    """20 samples of 4 features."""
    return np.random.default_rng(1).standard_normal((20, 4)).astype(np.float32)


@pytest.fixture
def y() -> np.ndarray:
    """Their classes."""
    return np.random.default_rng(2).integers(0, CLASSES, 20)


@pytest.fixture
def make_model() -> Callable[..., keras.Sequential]:
    """`make_model()` gives a compiled model with moving averages and an optimizer with slots, always the same one."""

    def make_model(**options: Any) -> keras.Sequential:
        keras.utils.set_random_seed(3)
        model = keras.Sequential([
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ])  # fmt: skip
        arguments = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **options}
        model.compile(keras.optimizers.Adam(0.01), **arguments)
        return model

    return make_model


@pytest.fixture
def model(make_model: Callable[..., keras.Sequential]) -> keras.Sequential:
    return make_model()


@pytest.fixture
def state() -> Callable[[keras.Sequential], bytes]:
    """`state(model)`: weights, moving averages, and all that the optimizer remembers, bit by bit."""

    def state(model: keras.Sequential) -> bytes:
        return b"".join(variable.data.tobytes() for variable in (*model.variables, *model.optimizer.variables))

    return state
