"""Random generators, one stream for each purpose, all fixed by one seed.

NumPy's global state is never touched. Every consumer gets a `numpy.random.Generator` of its own, spawned from the
stream of its purpose: adding a Dropout layer changes neither the initial weights nor the order of the batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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
    return np.random.default_rng(spawn_seed(purpose) if seed is None else seed)


def spawn_seed(purpose: str) -> np.random.SeedSequence:
    """The next seed of the stream of `purpose`: `spawn` makes a generator of it."""
    return look_up("purpose of randomness", purpose, _streams_now()).spawn(1)[0]


def _streams_now() -> dict[str, np.random.SeedSequence]:
    global _current
    if _current is None:
        _current = _streams(None)
    return _current


def get_state() -> dict[str, Any]:
    """Where every stream stands, as plain JSON: `set_state` goes on from there."""
    return {purpose: described(stream) for purpose, stream in _streams_now().items()}


def set_state(state: Mapping[str, Any]) -> None:
    """Let every stream go on where it was when `get_state` gave `state`; one that it does not have begins anew."""
    global _current
    _current = _streams(None) | {name: seed_from(state[name]) for name in _PURPOSES if name in state}


@contextmanager
def undisturbed() -> Iterator[None]:
    """What the block takes from the streams is put back: whatever follows it draws what it would have drawn."""
    global _current
    before = get_state()
    try:
        yield
    finally:
        set_state(before)


def described(seed: np.random.SeedSequence) -> dict[str, Any]:
    """A seed, and how many have been spawned of it, as plain JSON."""
    return {"entropy": seed.entropy, "spawn_key": list(seed.spawn_key), "spawned": seed.n_children_spawned}


def seed_from(description: Mapping[str, Any]) -> np.random.SeedSequence:
    """The seed that `described` has described."""
    entropy, spawned, key = (description[name] for name in ("entropy", "spawned", "spawn_key"))
    if any(type(n) is not int or n < 0 for n in (entropy, spawned, *key)):
        raise ArgumentError(f"expected a seed of integers ≥ 0, got {description!r:.80}")
    return np.random.SeedSequence(entropy, spawn_key=tuple(key), n_children_spawned=spawned)
