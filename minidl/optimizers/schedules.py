"""Learning-rate schedules: the learning rate η as a function of the step s, which counts from 0.

A schedule takes the place of the number: `SGD(learning_rate=ExponentialDecay(0.1, 1000, 0.5))`. It is a function of the
step alone and works on arrays of steps, too: `plt.plot(schedule(np.arange(10_000)))` draws it. All of it is float64.

A schedule of your own derives from `LearningRateSchedule` and defines `__call__(self, step)`. If it keeps its arguments
as attributes, as the frozen dataclasses below do, it can be saved with its optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.autodiff.tensor import plain
from minidl.checks import count, flag, number
from minidl.configurable import Configurable
from minidl.errors import AbstractMethodError, ArgumentError
from minidl.optimizers.configs import class_and_config, described


class LearningRateSchedule(Configurable):
    """The learning rate as a function of the number of steps done so far."""

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`; an optimizer passes its count of steps done, a Python integer."""
        raise AbstractMethodError(f"{type(self).__name__} must define __call__(self, step)")


@dataclass(frozen=True)
class ExponentialDecay(LearningRateSchedule):
    """`η = η₀·r^(s/d)`: times `decay_rate` every `decay_steps`; with `staircase` s/d is rounded down."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "ExponentialDecay"

    def __post_init__(self) -> None:
        _check(self, initial_learning_rate="≥ 0", decay_steps="> 0", decay_rate="≥ 0")
        flag(self, "staircase", self.staircase)

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        p = _steps(step) / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (np.floor(p) if self.staircase else p)


@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule):
    """`η = η₀ / (1 + r·s/d)`, also known as power scheduling; with `staircase` s/d is rounded down."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "InverseTimeDecay"

    def __post_init__(self) -> None:
        _check(self, initial_learning_rate="≥ 0", decay_steps="> 0", decay_rate="≥ 0")
        flag(self, "staircase", self.staircase)

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        p = _steps(step) / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (np.floor(p) if self.staircase else p))


@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule):
    """`η = values[0]` while `s ≤ boundaries[0]`, `values[1]` while `s ≤ boundaries[1]`, ..., at last `values[-1]`."""

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(
                "PiecewiseConstantDecay: there must be one value more than boundaries, "
                f"got {len(self.boundaries)} boundaries and {len(self.values)} values"
            )
        for argument in ("boundaries", "values"):
            object.__setattr__(self, argument, [number(self, argument, x, "≥ 0") for x in getattr(self, argument)])
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ArgumentError(f"PiecewiseConstantDecay: boundaries must increase, got {self.boundaries}")

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        return np.array(self.values, np.float64)[np.searchsorted(self.boundaries, _steps(step))]


@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule):
    """`η = (η₀ − η₁)·(1 − s/d)ᵖ + η₁` until step d = `decay_steps`, then η₁ = `end_learning_rate`.

    With `cycle`, d is the first multiple of `decay_steps` that is not below s: the rate goes up again and again.
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    def __post_init__(self) -> None:
        _check(self, initial_learning_rate="≥ 0", decay_steps="> 0", end_learning_rate="≥ 0", power="≥ 0")
        flag(self, "cycle", self.cycle)

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        s = _steps(step)
        d = self.decay_steps * np.maximum(1, np.ceil(s / self.decay_steps)) if self.cycle else self.decay_steps
        rest = 1 - np.minimum(s / d, 1)
        return (self.initial_learning_rate - self.end_learning_rate) * rest**self.power + self.end_learning_rate


@dataclass(frozen=True)
class CosineDecay(LearningRateSchedule):
    """`η = η₀·((1 − α)·½(1 + cos πs/d) + α)` until step d = `decay_steps`, then η₀·α.

    With `warmup_target` the rate first goes from `initial_learning_rate` to it on a straight line of `warmup_steps`
    steps, and the cosine starts there, with η₀ the target. (Loshchilov and Hutter 2017, equation 5; the warm-up is that
    of Goyal et al. 2017, section 2.2)
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: float = 0

    def __post_init__(self) -> None:
        _check(self, initial_learning_rate="≥ 0", decay_steps="> 0", alpha="≥ 0", warmup_steps="≥ 0")
        if self.warmup_target is not None:
            _check(self, warmup_target="≥ 0")
        elif self.warmup_steps:
            raise ArgumentError(f"CosineDecay: warmup_steps={self.warmup_steps} needs a warmup_target")

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        s = _steps(step)
        if self.warmup_target is None:
            return self.initial_learning_rate * self._fraction(s)
        rise = (self.warmup_target - self.initial_learning_rate) / max(self.warmup_steps, 1)
        warmup = self.initial_learning_rate + rise * s
        decay = self.warmup_target * self._fraction(s - self.warmup_steps)
        return np.where(s < self.warmup_steps, warmup, decay)[()]

    def _fraction(self, s: Any) -> Any:
        """What is left of the rate after s steps of decay."""
        return _cosine(np.minimum(s / self.decay_steps, 1), self.alpha)


@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule):
    """`CosineDecay` that starts again whenever it is down: `η = η₀·((1 − α)·mⁱ·½(1 + cos πf) + α)`.

    The first period has `first_decay_steps` steps and each one `t_mul` times as many as the one before; f is the
    fraction of period i that is over. A period starts at `m_mul` times the rate of the one before.
    (Loshchilov and Hutter 2017, equation 5 and the paragraphs after it)
    """

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str = "SGDRDecay"

    def __post_init__(self) -> None:
        _check(self, initial_learning_rate="≥ 0", first_decay_steps="> 0", t_mul="≥ 1", m_mul="≥ 0", alpha="≥ 0")

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        x = _steps(step) / self.first_decay_steps
        if self.t_mul == 1:
            i = np.floor(x)
            start, length = i, 1.0
        else:
            # Periods of length 1, t, t², ... start at (tⁱ − 1)/(t − 1). The logarithm of a start may be rounded down
            # to just below i: the small number keeps it from counting as the end of the period before.
            i = np.floor(np.log1p(x * (self.t_mul - 1)) / math.log(self.t_mul) + 1e-12)
            length = self.t_mul**i
            start = (length - 1) / (self.t_mul - 1)
        return self.initial_learning_rate * _cosine((x - start) / length, self.alpha, self.m_mul**i)


@dataclass(frozen=True)
class OneCycle(LearningRateSchedule):
    """Up and down once, on three straight lines: large rates regularize.  (Smith 2018, section 4)

    Of S = `steps` steps the first `rise`·S go from `start_learning_rate` up to `max_learning_rate`, the next back down,
    and the last `annealing`·S on to `last_learning_rate`, where the rate stays. With the defaults of `rise` and
    `annealing`, 0.45 and 0.1, up and down take equally long.

    - `start_learning_rate`: a tenth of the maximum unless given. `last_learning_rate`: a thousandth of the start.

    The callback of the same name finds S by itself, and moves the momentum the other way.
    """

    max_learning_rate: float
    steps: int
    start_learning_rate: float | None = None
    last_learning_rate: float | None = None
    rise: float = 0.45
    annealing: float = 0.1
    name: str = "OneCycle"

    def __post_init__(self) -> None:
        _check(self, max_learning_rate="> 0", rise="in [0, 1]", annealing="in [0, 1]")
        count(self, "steps", self.steps)
        if self.start_learning_rate is None:
            object.__setattr__(self, "start_learning_rate", self.max_learning_rate / 10)
        _check(self, start_learning_rate="≥ 0")
        if self.last_learning_rate is None:
            object.__setattr__(self, "last_learning_rate", float(self.start_learning_rate or 0) / 1000)
        _check(self, last_learning_rate="≥ 0")
        if self.rise + self.annealing >= 1:
            raise ArgumentError(f"OneCycle: rise + annealing must be < 1, got {self.rise} + {self.annealing}")

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        return self.along(step, self.start_learning_rate, self.max_learning_rate, self.last_learning_rate)

    def along(self, step: Any, start: Any, middle: Any, last: Any) -> Any:
        """What goes start → middle → start → last as the rate does."""
        end = self.steps - 1
        # Whole steps: the greatest rate is reached.
        top = round(self.rise * end)
        # Of few steps, rounding may leave none for the way down.
        corners = [0, top, max(top, end - round(self.annealing * end)), end]
        return np.interp(_steps(step), corners, [start, middle, start, last])


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The schedule as plain data, `{"class_name": ..., "config": ...}`."""
    return described("schedule", learning_rate_schedule, _BY_NAME)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` described; `custom_objects` adds classes of the user by their names."""
    cls, arguments = class_and_config("schedule", config, _BY_NAME, custom_objects)
    schedule: LearningRateSchedule = cls.from_config(arguments)
    return schedule


def _steps(step: Any) -> Any:
    """A step, or an array of steps, in float64."""
    return np.asarray(plain(step), np.float64)[()]


def _cosine(fraction: Any, alpha: float, height: Any = 1.0) -> Any:
    """Half a cosine, from `height` at fraction 0 to 0 at 1, lifted so that it ends at `alpha`."""
    return (1 - alpha) * height * 0.5 * (1 + np.cos(np.pi * fraction)) + alpha


def _check(schedule: LearningRateSchedule, **ranges: str) -> None:
    """Check that the fields are numbers in their ranges, and make Python numbers of them."""
    for argument, allowed in ranges.items():
        object.__setattr__(schedule, argument, number(schedule, argument, getattr(schedule, argument), allowed))


_BY_NAME: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls
    for cls in (
        ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay, CosineDecay, CosineDecayRestarts,
        OneCycle,
    )
}  # fmt: skip
