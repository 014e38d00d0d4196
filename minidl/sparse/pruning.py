"""Pruning: the smallest weights become zero, at once or more and more of them during training, and stay zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidl.callbacks import Callback
from minidl.checks import count, number
from minidl.errors import ArgumentError, ShapeError
from minidl.layers.layer import Layer
from minidl.layers.variable import Variable
from minidl.memory import Array
from minidl.models import variables_matching

Logs = dict[str, Any]

# Biases and normalizations are few, and every one of them matters.
KERNELS = r"kernel$"


class Masks(Callback):
    """Which elements of variables may be other than zero: as a callback, it makes the others zero after every step.

    `prune` gives them. In a loop of one's own, call `apply` after each step of the optimizer.

        masks = prune(model, 0.8)
        model.fit(x, y, callbacks=[masks])       # what was pruned stays zero
    """

    def __init__(self, masks: Mapping[Variable, Array]) -> None:
        self.masks = dict(masks)

    def apply(self) -> None:
        """Make zero what is masked."""
        for variable, mask in self.masks.items():
            variable.assign(np.where(mask, variable.data, variable.dtype.type(0)))

    @property
    def sparsity(self) -> float:
        """The share of elements that are masked."""
        kept = sum(int(mask.sum()) for mask in self.masks.values())
        return 1 - kept / max(1, sum(mask.size for mask in self.masks.values()))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Apply the masks."""
        self.apply()


def prune(
    model: Layer,
    sparsity: float | None = None,
    *,
    threshold: float | None = None,
    pattern: str = KERNELS,
    globally: bool = False,
) -> Masks:
    """Make the smallest weights of a model zero, by their magnitude; gives the masks that keep them so.

    `sparsity` is the share that becomes zero: of every variable in whose path the regular expression `pattern` is found
    (the kernels), or, `globally`, of all of them together, so that layers with large weights keep more. Or give a
    `threshold`: what is smaller becomes zero, such as what a strong l1 penalty has left of weights.  (Han et al. 2015)
    """
    variables = variables_matching(model, pattern)
    if (sparsity is None) == (threshold is None):
        raise ArgumentError("prune: expected either a sparsity, such as 0.8, or a threshold")
    if threshold is not None:
        limit = number("prune", "threshold", threshold, "≥ 0")
        masks = Masks({v: ~(np.abs(v.data) < limit) for v in variables})
    else:
        masks = masks_for(variables, number("prune", "sparsity", sparsity, "in [0, 1]"), globally)
    masks.apply()
    return masks


def masks_for(variables: Sequence[Variable], sparsity: float, globally: bool = False) -> Masks:
    """The masks under which the share `sparsity` of the elements vanishes, those of smallest magnitude."""
    if globally:
        kept = _largest(np.concatenate([np.abs(v.data).ravel() for v in variables]), sparsity)
        parts = np.split(kept, np.cumsum([v.size for v in variables])[:-1])
    else:
        parts = [_largest(np.abs(v.data).ravel(), sparsity) for v in variables]
    return Masks({v: part.reshape(v.shape) for v, part in zip(variables, parts, strict=True)})


def _largest(magnitudes: Array, sparsity: float) -> Array:
    """True for all but the share `sparsity`, rounded to whole elements."""
    kept = np.ones(len(magnitudes), bool)
    gone = round(sparsity * len(magnitudes))
    if gone:
        kept[np.argpartition(magnitudes, gone - 1)[:gone]] = False
    return kept


def sparsity(model: Layer, pattern: str = KERNELS) -> dict[str, float]:
    """The share of zeros in each variable in whose path `pattern` is found."""
    return {v.path: 1 - np.count_nonzero(v.data) / max(1, v.size) for v in variables_matching(model, pattern)}


class PolynomialPruning(Callback):
    """Prunes during training, fast at first and ever more slowly.  (Zhu & Gupta 2017, eq. 1)

    In step t the share of zeros is s = s_f + (s_i − s_f)·(1 − (t − t₀)/(t₁ − t₀))^power, from `initial_sparsity` s_i at
    `begin_step` t₀ to `final_sparsity` s_f at `end_step` t₁; every `frequency` steps, and at t₁, it is brought up to
    that. What is zero stays zero, after t₁, too.

    - `end_step`: three quarters of all steps of `fit` unless given; the rest heals the damage.
    - `pattern`, `globally`: see `prune`.

    Steps count from 1; a training that goes on at `initial_epoch` goes on in the schedule. The share that is reached is
    added to the logs of every epoch as "sparsity"; afterwards, `masks` has the masks.

        model.fit(x, y, epochs=10, callbacks=[PolynomialPruning(0.9)])
    """

    remembers = ("kept",)

    def __init__(
        self,
        final_sparsity: float,
        initial_sparsity: float = 0.0,
        begin_step: int = 0,
        end_step: int | None = None,
        frequency: int = 100,
        power: float = 3.0,
        pattern: str = KERNELS,
        globally: bool = False,
    ) -> None:
        self.final_sparsity = number(self, "final_sparsity", final_sparsity, "in [0, 1]")
        self.initial_sparsity = number(self, "initial_sparsity", initial_sparsity, "in [0, 1]")
        if self.initial_sparsity > self.final_sparsity:
            raise ArgumentError(
                f"PolynomialPruning: initial_sparsity must not be above final_sparsity, got {initial_sparsity} and "
                f"{final_sparsity}"
            )
        self.begin_step = count(self, "begin_step", begin_step, 0)
        self.end_step = None if end_step is None else count(self, "end_step", end_step)
        if self.end_step is not None and self.end_step <= self.begin_step:
            raise ArgumentError(f"PolynomialPruning: end_step must come after begin_step, got {end_step}")
        self.frequency = count(self, "frequency", frequency)
        self.power = number(self, "power", power, "> 0")
        self.pattern = pattern
        self.globally = globally
        # For each variable, which elements may be other than zero; None until there are zeros.
        self.kept: list[Array] | None = None
        self._variables: list[Variable] = []
        self._end = self.end_step
        self._first = 0

    @property
    def masks(self) -> Masks | None:
        """What is pruned so far; None before the first time."""
        return None if self.kept is None else Masks(dict(zip(self._variables, self.kept, strict=True)))

    def sparsity_at(self, step: Any) -> Any:
        """The share of zeros that is aimed at in a step, or an array of them."""
        if self._end is None:
            raise ArgumentError("PolynomialPruning: the number of steps is known once fit has begun: give end_step")
        left = 1 - np.clip((np.asarray(step) - self.begin_step) / (self._end - self.begin_step), 0, 1)
        return self.final_sparsity + (self.initial_sparsity - self.final_sparsity) * left**self.power

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find the variables, and when pruning is to end."""
        self._variables = variables_matching(self.model, self.pattern)
        steps = self.params["epochs"] * self.params["steps"]
        self._end = self.end_step or max(self.begin_step + 1, steps * 3 // 4)
        if self._end > steps:
            raise ArgumentError(f"PolynomialPruning: training has {steps} steps, pruning would end at step {self._end}")
        self.kept = None

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave; `ShapeError` if it is that of other variables."""
        super().set_state(state)
        shapes, expected = [np.shape(mask) for mask in self.kept or []], [v.shape for v in self._variables]
        if self.kept is not None and shapes != expected:
            raise ShapeError(f"PolynomialPruning: expected masks of the shapes {expected}, got {shapes}")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The number of steps before the epoch."""
        self._first = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Prune if it is time to, and keep what is pruned zero."""
        step = self._first + batch + 1
        due = step == self._end or (step - self.begin_step) % self.frequency == 0
        if due and self.begin_step <= step <= (self._end or 0):
            self.kept = list(masks_for(self._variables, float(self.sparsity_at(step)), self.globally).masks.values())
        masks = self.masks
        if masks is not None:
            masks.apply()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the share into the logs."""
        if logs is not None:
            masks = self.masks
            logs["sparsity"] = 0.0 if masks is None else masks.sparsity
