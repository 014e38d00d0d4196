"""Checks that Keras opens what minidl writes, and that both predict the same, before and after further training.

    KERAS_BACKEND=jax python tests/golden/check_in_keras.py
"""

import tempfile
import warnings
from pathlib import Path

import keras
import make_keras_files as cases
import numpy as np

import minidl


def main() -> None:
    """Write, open, compare; the largest difference of each is printed."""
    warnings.filterwarnings("error", message=".*optimizer.*")  # its state could not be loaded
    with tempfile.TemporaryDirectory() as folder:
        for name in cases.MODELS:
            model = cases.prepared(minidl, name)
            inputs, _ = cases.data(name)
            predicted = {"": model.predict(inputs, verbose=0)}
            for ending in (".keras", ".h5"):
                path = Path(folder, f"{name}{ending}")
                model.save(path)
                # Keras 3 builds the optimizer in an .h5 file for no variables: it cannot go on, whoever wrote it.
                opened = keras.models.load_model(path, compile=ending == ".keras")
                compare(path.name, predicted, {"": opened.predict(inputs, verbose=0)})
                if path.name == "every.h5":  # Keras cannot write again the lists that it read for RandomContrast
                    continue
                # And back, from Keras's own hand.
                opened.save(path)
                again = minidl.models.load_model(path)
                compare(f"{path.name} back", predicted, {"": again.predict(inputs, verbose=0)})
            model.save_weights(Path(folder, f"{name}.weights.h5"))
            fresh = cases.MODELS[name](keras)
            fresh.optimizer = None  # of which a file of weights says nothing
            fresh.load_weights(Path(folder, f"{name}.weights.h5"))
            compare(f"{name}.weights.h5", predicted, {"": fresh.predict(inputs, verbose=0)})
            model.save_weights(Path(folder, f"{name}.h5"))
            fresh = cases.MODELS[name](keras)
            fresh.load_weights(Path(folder, f"{name}.h5"))
            compare(f"{name}.h5 (weights)", predicted, {"": fresh.predict(inputs, verbose=0)})
            path = Path(folder, f"{name}.keras")
            model.save(path)
            opened = keras.models.load_model(path)
            compare(f"{name} goes on", cases.results(model, name), cases.results(opened, name))


def compare(what: str, ours: dict, theirs: dict) -> None:
    """Print the largest difference, and fail if it is more than rounding."""
    flat = [
        [np.asarray(part) for value in found.values() for part in (value if isinstance(value, list) else [value])]
        for found in (ours, theirs)
    ]
    worst = max(np.abs(a - b).max() for a, b in zip(*flat, strict=True))
    print(f"{what:24} {worst:.1e}")
    assert worst < 1e-5, what


if __name__ == "__main__":
    main()
