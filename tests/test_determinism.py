"""A seed fixes everything that is random, and nothing else depends on what else is random."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl.layers import BatchNormalization, Dense, Dropout

ROOT = Path(__file__).parents[1]

# Shuffling, dropout, batch normalization, and a last batch that is smaller.
TRAIN = """
import hashlib, sys
import numpy as np
import minidl as keras

before = np.random.get_state()
keras.utils.set_random_seed(int(sys.argv[1]))
rng = np.random.default_rng(0)
x, y = rng.standard_normal((70, 20), np.float32), rng.integers(0, 4, 70)
model = keras.Sequential([
    keras.Input((20,)),
    keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal"),
    keras.layers.BatchNormalization(),
    keras.layers.Dropout(0.3),
    keras.layers.RReLU(),
    keras.layers.Dense(4, activation="softmax"),
])
model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, batch_size=16, validation_split=0.2, verbose=0)
result = hashlib.sha256(repr(history.history).encode())
for array in (*model.get_weights(), model.predict(x, verbose=0), model(x, training=True).numpy()):
    result.update(array.tobytes())
after = np.random.get_state()
assert before[0] == after[0] and (before[1] == after[1]).all() and before[2:] == after[2:], "NumPy's state was touched"
print(result.hexdigest())
"""


def in_own_process(seed):
    """The digest of a training run. Python's hashes differ from one process to the next."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", TRAIN, str(seed)],
        env={**os.environ, "PYTHONHASHSEED": "random", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_with_the_same_seed_are_bitwise_equal():
    """And one with another seed is not. NumPy's global random state stays as it is in all of them."""
    processes = [in_own_process(seed) for seed in (42, 42, 43)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(outputs[0].strip()) == len(hashlib.sha256().hexdigest())
    assert outputs[0] == outputs[1]
    assert outputs[0] != outputs[2]


class Seen(keras.layers.Layer):
    """Passes its input on and writes down the samples of every training batch."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def call(self, inputs, training=None):
        if training:
            self.batches.append(inputs.numpy()[:, 0].tolist())
        return inputs


X = np.arange(20, dtype=np.float32)[:, None]


def trained(make_layers=list):
    """The initial kernels, the batches and the losses, with some layers between the two dense ones."""
    keras.utils.set_random_seed(5)
    seen = Seen()
    model = keras.Sequential([keras.Input((1,)), seen, Dense(4), *make_layers(), Dense(2)])
    kernels = [layer.kernel.numpy().copy() for layer in model.layers if isinstance(layer, Dense)]
    model.compile("sgd", "mse")
    history = model.fit(X / 20, np.zeros((20, 2)), batch_size=6, epochs=2, verbose=0)
    return kernels, seen.batches, history.history["loss"]


def dropout():
    return [Dropout(0.5)]


class TestStreams:
    """Each purpose has a stream of its own."""

    @pytest.mark.parametrize(
        "make_layers", [dropout, lambda: [BatchNormalization()], lambda: [Dropout(0.5), keras.layers.RReLU()]]
    )
    def test_a_layer_more_changes_neither_initial_weights_nor_the_order_of_batches(self, make_layers):
        kernels, batches, losses = trained()
        other_kernels, other_batches, other_losses = trained(make_layers)
        assert all(map(np.array_equal, kernels, other_kernels))
        assert batches == other_batches
        assert losses != other_losses

    def test_the_same_seed_again_gives_the_same(self):
        first, again = trained(dropout), trained(dropout)
        assert first[1:] == again[1:]

    def test_a_prediction_or_an_evaluation_changes_nothing(self):
        def losses(look):
            keras.utils.set_random_seed(5)
            model = keras.Sequential([keras.Input((1,)), Dense(4), Dropout(0.5), Dense(2)])
            model.compile("sgd", "mse")
            if look:
                model.predict(X, verbose=0)
                model.evaluate(X, np.zeros((20, 2)), verbose=0)
            return model.fit(X / 20, np.zeros((20, 2)), batch_size=6, epochs=2, verbose=0).history

        assert losses(look=True) == losses(look=False)

    def test_validation_data_change_nothing(self):
        def weights(**options):
            keras.utils.set_random_seed(5)
            model = keras.Sequential([keras.Input((1,)), Dense(4), Dropout(0.5), Dense(2)])
            model.compile("sgd", "mse")
            model.fit(X / 20, np.zeros((20, 2)), epochs=2, verbose=0, **options)
            return model.get_weights()

        assert all(map(np.array_equal, weights(), weights(validation_data=(X, np.zeros((20, 2))))))

    def test_saving_changes_nothing(self, tmp_path):
        def weights(save):
            keras.utils.set_random_seed(5)
            model = keras.Sequential([keras.Input((1,)), Dense(4), Dropout(0.5), Dense(2)])
            model.compile("sgd", "mse")
            if save:
                model.save(tmp_path / "model.minidl")
            model.fit(X / 20, np.zeros((20, 2)), verbose=0)
            return model.get_weights()

        assert all(map(np.array_equal, weights(save=False), weights(save=True)))


def test_numpys_global_state_decides_nothing():
    results = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        results.append(trained(dropout)[1:])
    assert results[0] == results[1]


def test_without_a_seed_two_processes_differ():
    """The default is entropy of the system, not a constant."""
    code = "import minidl; print(minidl.initializers.HeNormal()((2, 2)).tolist())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    outputs = {subprocess.check_output([sys.executable, "-c", code], env=environment) for _ in range(2)}
    assert len(outputs) == 2
