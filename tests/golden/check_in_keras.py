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
    warnings.filterwarnings("error", message=".*optimizer.*")  # that its state could not be loaded
    with tempfile.TemporaryDirectory() as folder:
        for name in cases.MODELS:
            expected = None
            for ending in (".keras", ".h5"):
                path = Path(folder, f"{name}{ending}")
                model = cases.prepared(minidl, name)
                model.save(path)
                opened = keras.models.load_model(path)
                compare(path.name, cases.results(model, name), cases.results(opened, name))
                # And back, from Keras's own hand.
                opened.save(path)
                compare(f"{path.name} back", cases.results(minidl.models.load_model(path), name),
                        cases.results(opened, name) if expected is None else expected)
            model.save_weights(Path(folder, f"{name}.weights.h5"))
            fresh = cases.MODELS[name](keras)
            fresh.load_weights(Path(folder, f"{name}.weights.h5"))
            inputs, _ = cases.data(name)
            compare(f"{name}.weights.h5", {"": model.predict(inputs, verbose=0)}, {"": fresh.predict(inputs, verbose=0)})


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
