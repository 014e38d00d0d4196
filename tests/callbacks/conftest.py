"""What the tests of callbacks share: data and a model that trains on them."""

from __future__ import annotations

import numpy as np
import pytest

import minidl as keras


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((10, 4)).astype(np.float32)


@pytest.fixture
def y() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 3, 10)


@pytest.fixture
def model() -> keras.Sequential:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
