"""Where a training stands: what must be known to go on with it as if it had never stopped.

The random order of a pass over the data depends on a seed and the number of the pass, the random changes of a batch on
a seed and the number of the batch, and on nothing else: to go on in the middle, it is enough to know the seeds and how
many batches are over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from minidl import random
from minidl.callbacks import CallbackList
from minidl.checks import count


@dataclass
class Run:
    """A training: the seeds of its randomness, the epochs and batches that are over, what its callbacks remember."""

    order: np.random.SeedSequence
    changes: np.random.SeedSequence
    epoch: int = 0
    batches: int = 0
    _callback_states: Mapping[str, Any] = field(default_factory=dict)
    # While it is going on.
    _callbacks: CallbackList | None = None

    @classmethod
    def begin(cls, epoch: int = 0) -> Self:
        """A new training, which counts its epochs from `epoch`."""
        return cls(random.spawn_seed("shuffling"), random.spawn_seed("augmentation"), epoch)

    def shuffling(self, number: int) -> np.random.Generator:
        """What the order of a pass over the data comes from."""
        return _child(self.order, number)

    def augmenting(self, number: int) -> np.random.Generator:
        """What the changes of a batch come from."""
        return _child(self.changes, number)

    @property
    def callback_states(self) -> Mapping[str, Any]:
        """What the callbacks remember, by their names."""
        return self._callback_states if self._callbacks is None else self._callbacks.get_states()

    def start(self, callbacks: CallbackList) -> None:
        """Let these callbacks, which have been told of the beginning, go on where those before them were."""
        callbacks.set_states(self.callback_states)
        self._callbacks = callbacks

    def stop(self) -> None:
        """Keep what the callbacks remember, and let them go."""
        self._callback_states, self._callbacks = self.callback_states, None

    def get_state(self) -> dict[str, Any]:
        """All of it as plain values and arrays."""
        return {
            "epoch": self.epoch,
            "batches": self.batches,
            "shuffling": random.described(self.order),
            "augmentation": random.described(self.changes),
            "callbacks": dict(self.callback_states),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The training that `get_state` described."""
        order, changes = (random.seed_from(state[name]) for name in ("shuffling", "augmentation"))
        epoch, batches = (count("Run", name, state[name], 0) for name in ("epoch", "batches"))
        return cls(order, changes, epoch, batches, dict(state["callbacks"]))


def _child(seed: np.random.SeedSequence, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, number)))
