"""Initializers that fit the variance of the weights to the size of the layer.

A unit adds up fan_in products, so that its output has fan_in·Var[w] times the variance of its input; backwards, a
gradient has fan_out·Var[w] times its own. Unless these factors are about 1, signals and gradients vanish or explode
exponentially with depth. Every scheme below is an answer to the question which variance to take.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from minidl.checks import number
from minidl.errors import ArgumentError, ShapeError, unknown_name
from minidl.initializers.initializer import Initializer
from minidl.initializers.random import RandomInitializer, Seed, truncated_normal
from minidl.memory import Array, Shape

Axes = Sequence[int] | None

# σ of the standard normal distribution cut at ±2: √(1 − 4φ(2)/(2Φ(2) − 1)).
_TRUNCATED_STDDEV = 0.87962566103423978
_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")


class VarianceScaling(RandomInitializer):
    """Mean 0 and a variance that fits the layer: `Var[w] = scale / max(1, fan)`.

    `mode` chooses fan: "fan_in", the number of inputs of a unit; "fan_out", the number of units an input feeds;
    "fan_avg", their mean. See `compute_fans`, which `input_axes` and `output_axes` overrule.

    `distribution` chooses the form, each with that variance:
    - "truncated_normal" (also "normal"): σ = √Var[w] / 0.8796, cut at ±2σ; the division makes up for the cut;
    - "untruncated_normal": σ = √Var[w];
    - "uniform": U[−limit, limit) with limit = √(3·Var[w]).
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        super().__init__(seed)
        name = type(self).__name__
        self.scale = number(self, "scale", scale)
        if self.scale <= 0:
            raise ArgumentError(f"{name}: scale must be > 0, got {scale!r}")
        if mode not in _MODES:
            raise unknown_name(f"mode of {name}", mode, _MODES)
        self.mode = mode
        self.distribution = "truncated_normal" if distribution == "normal" else distribution
        if self.distribution not in _DISTRIBUTIONS:
            raise unknown_name(f"distribution of {name}", distribution, _DISTRIBUTIONS)
        if (input_axes is None) != (output_axes is None):
            raise ArgumentError(f"{name}: input_axes and output_axes go together, got {input_axes} and {output_axes}")
        self.input_axes = _as_axes(self, "input_axes", input_axes)
        self.output_axes = _as_axes(self, "output_axes", output_axes)

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw from the distribution with the variance that fits `shape`."""
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return stddev * rng.standard_normal(shape)
        return stddev / _TRUNCATED_STDDEV * truncated_normal(rng, shape)


def compute_fans(shape: Shape, input_axes: Axes = None, output_axes: Axes = None) -> tuple[int, int]:
    """How many inputs a unit has, and how many units an input feeds: `(fan_in, fan_out)`.

    Dense kernel (inputs, units): as its shape says. Convolution kernel (*window, channels in, channels out): channels
    times the elements of the window. One axis: its size, twice. Given axes: the product of their sizes.
    """
    if input_axes is not None and output_axes is not None:
        return _product(shape, input_axes), _product(shape, output_axes)
    window = math.prod(shape[:-2])
    return (window * shape[-2], window * shape[-1]) if len(shape) >= 2 else (math.prod(shape), math.prod(shape))


def _product(shape: Shape, axes: Sequence[int]) -> int:
    """The product of the sizes of `axes`."""
    try:
        return math.prod(shape[axis] for axis in axes)
    except IndexError:
        raise ShapeError(f"fans over the axes {tuple(axes)}: the shape {shape} has only {len(shape)}") from None


def _as_axes(owner: Initializer, argument: str, axes: Axes) -> tuple[int, ...] | None:
    """`axes` as a tuple of integers, or an `ArgumentError` that names the `argument` of `owner`."""
    try:
        return None if axes is None else tuple(operator.index(axis) for axis in axes)
    except TypeError:
        raise ArgumentError(f"{type(owner).__name__}: {argument} must be a tuple of integers, got {axes!r}") from None


class GlorotUniform(VarianceScaling):
    """Keeps the variance of signal and gradient as well as one number can: `w ~ U[−limit, limit)`.

    limit = √(6 / (fan_in + fan_out))  (Glorot & Bengio 2010, eq. 16). The default of dense and convolution layers.
    """

    def __init__(self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


class GlorotNormal(VarianceScaling):
    """Truncated normal with `Var[w] = 2 / (fan_in + fan_out)`.  (Glorot & Bengio 2010, eq. 12)"""

    def __init__(self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


class HeUniform(VarianceScaling):
    """`w ~ U[−limit, limit)` with limit = √(6 / fan_in): the variance of `HeNormal`.  (He et al. 2015, eq. 10)"""

    def __init__(self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


class HeNormal(VarianceScaling):
    """Truncated normal with `Var[w] = 2 / fan_in`: for ReLU and its kin, which halve the mean square.

    He et al. 2015, eq. 10 (forward); eq. 14 (backward) has fan_out instead and serves as well: the two differ by a
    factor that does not grow with depth. The paper does not cut the tails.
    """

    def __init__(self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class LecunUniform(VarianceScaling):
    """`w ~ U[−limit, limit)` with limit = √(3 / fan_in): the variance of `LecunNormal`.  (LeCun et al. 1998, §4.6)"""

    def __init__(self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


class LecunNormal(VarianceScaling):
    """Truncated normal with `Var[w] = 1 / fan_in`: sums of unit variance.  (LeCun et al. 1998, §4.6)

    What SELU needs to normalize itself (Klambauer et al. 2017).
    """

    def __init__(self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)
