"""Random generators, one stream for each purpose, all fixed by one seed.

NumPy's global state is never touched. Every consumer gets a `numpy.random.Generator` of its own, spawned from the
stream of its purpose: adding a Dropout layer changes neither the initial weights nor the order of the batches.
"""

from __future__ import annotations

import numpy as np

from minidl.errors import ArgumentError, look_up

_PURPOSES = ("initialization", "dropout", "shuffling", "augmentation")


def _streams(seed: int | None) -> dict[str, np.random.SeedSequence]:
    entropy = np.random.SeedSequence(seed).entropy
    return {purpose: np.random.SeedSequence(entropy, spawn_key=(k,)) for k, purpose in enumerate(_PURPOSES)}


# The streams of the seed, made when the first is asked for: numpy.random takes a while to import.
_current: dict[str, np.random.SeedSequence] | None = None


def set_random_seed(seed: int) -> None:
    """Make everything random that follows a function of `seed` alone: initial weights, dropout, order of batches."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"set_random_seed: expected an integer ≥ 0, got {seed!r}")
    global _current
    _current = _streams(int(seed))


def set_seed(seed: int) -> None:
    """The name of `set_random_seed` in `keras.random` of old."""
    set_random_seed(seed)


def spawn(purpose: str, seed: int | None = None) -> np.random.Generator:
    """A new generator: the next of the stream of `purpose`, or the one that `seed` alone determines."""
    if seed is not None:
        return np.random.default_rng(seed)
    global _current
    if _current is None:
        _current = _streams(None)
    stream = look_up("purpose of randomness", purpose, _current)
    return np.random.default_rng(stream.spawn(1)[0])
