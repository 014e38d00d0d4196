"""Initializers by chance: normal and uniform weights of a chosen width, and random rotations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from minidl.checks import number
from minidl.errors import AbstractMethodError, ArgumentError, ShapeError
from minidl.initializers.initializer import Initializer, as_dtype, as_shape
from minidl.memory import Array, Shape
from minidl.random import spawn

# An integer, a `numpy.random.Generator` or None; to name that class here would import numpy.random, which takes long.
Seed = Any


class RandomInitializer(Initializer):
    """The base of the random ones: a subclass defines `sample`, from a generator and a shape to a float64 array.

    Sampling in float64 and rounding once means that one seed gives the same weights in every precision.

    `seed` decides what the next call returns:
    - None: other values at every call, all of them fixed by `minidl.utils.set_random_seed`. (In Keras they are the
      same, a known mistake: layers of one shape that share an initializer start as copies of each other.)
    - an integer ≥ 0: the same values at every call, as in Keras.
    - a `numpy.random.Generator`: its next values. A config holds the state it is in, from which a generator of its own
      is restored.
    """

    def __init__(self, seed: Seed = None) -> None:
        if seed is not None and not isinstance(seed, np.random.Generator):
            if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
                expected = "None, an integer ≥ 0 or a numpy.random.Generator"
                raise ArgumentError(f"{type(self).__name__}: seed must be {expected}, got {seed!r}")
            seed = int(seed)
        self.seed = seed

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw a float64 array of `shape` from `rng`."""
        raise AbstractMethodError(f"{type(self).__name__} must define sample(self, rng, shape)")

    def __call__(self, shape: Sequence[int], dtype: npt.DTypeLike | None = None) -> Array:
        """A random array of `shape` and `dtype`, which must be a float type."""
        shape, dtype = as_shape(self, shape), as_dtype(self, dtype, "f")
        rng = self.seed if isinstance(self.seed, np.random.Generator) else spawn("initialization", self.seed)
        return np.asarray(self.sample(rng, shape), dtype, order="C")

    def get_config(self) -> dict[str, Any]:
        """The arguments by name; a generator as the state it is in."""
        config = super().get_config()
        if isinstance(config.get("seed"), np.random.Generator):
            config["seed"] = config["seed"].bit_generator.state
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The initializer that `get_config` described, with a generator of its own where it had one."""
        seed = config.get("seed")
        return super().from_config({**config, "seed": _restored(seed)} if isinstance(seed, Mapping) else config)


def _restored(state: Mapping[str, Any]) -> np.random.Generator:
    """A generator in `state`."""
    rng = np.random.default_rng(0)
    try:
        rng.bit_generator.state = state
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"seed: not the state of a generator made by numpy.random.default_rng: {error}") from error
    return rng


class RandomNormal(RandomInitializer):
    """Normal: `w ~ N(mean, stddev²)`."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.mean = number(self, "mean", mean)
        self.stddev = number(self, "stddev", stddev)
        if self.stddev < 0:
            raise ArgumentError(f"{type(self).__name__}: stddev must be ≥ 0, got {stddev!r}")

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw from N(mean, stddev²)."""
        return self.mean + self.stddev * rng.standard_normal(shape)


class TruncatedNormal(RandomNormal):
    """Normal without its tails: `w ~ N(mean, stddev²)` given that `|w − mean| ≤ 2·stddev`.

    `stddev` is that of the normal before the cut; what is left has 0.8796 of it.
    """

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw from N(mean, stddev²) between ±2·stddev."""
        return self.mean + self.stddev * truncated_normal(rng, shape)


def truncated_normal(rng: np.random.Generator, shape: Shape) -> Array:
    """The standard normal distribution cut at ±2: whatever falls outside, one in 22, is drawn again."""
    z = np.asarray(rng.standard_normal(shape))
    while (outside := np.abs(z) > 2.0).any():
        z[outside] = rng.standard_normal(np.count_nonzero(outside))
    return z


class RandomUniform(RandomInitializer):
    """Uniform: `w ~ U[minval, maxval)`; rounding to float32 may give `maxval` itself."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.minval = number(self, "minval", minval)
        self.maxval = number(self, "maxval", maxval)
        if self.minval > self.maxval:
            raise ArgumentError(f"{type(self).__name__}: minval must be ≤ maxval, got {minval!r} and {maxval!r}")

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw from U[minval, maxval)."""
        return rng.uniform(self.minval, self.maxval, shape)


class Orthogonal(RandomInitializer):
    """`gain` times a random orthogonal matrix, which keeps lengths and angles whatever the depth.  (Saxe et al. 2014)

    The shape is read as a matrix W of (∏shape[:-1], shape[-1]). A tall W has orthogonal columns, WᵀW = gain²·I; a wide
    one has orthogonal rows, WWᵀ = gain²·I. It is the Q of the QR decomposition of a normal matrix, each column times
    the sign of R's diagonal: so it is uniform over all such matrices, and without the signs it is not (Mezzadri 2007).
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        super().__init__(seed)
        self.gain = number(self, "gain", gain)

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw an orthogonal matrix and shape it; `ShapeError` when there are fewer than two axes."""
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal: expected a shape of two axes or more, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= self.gain * np.copysign(1.0, np.diagonal(r))
        return (q if rows >= columns else q.T).reshape(shape)
