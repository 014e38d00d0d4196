"""Layers that act in training only, by noise, to keep a network from learning its data by heart.

`predict_mc` lets them act at inference, too: see `sampling`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from minidl import ops, random, regularizers
from minidl.autodiff.tensor import Tensor
from minidl.checks import number
from minidl.errors import AbstractMethodError, ShapeError
from minidl.layers.layer import OpenShape, SameShape
from minidl.ops.convolution import check_data_format
from minidl.scopes import during

_sampling: ContextVar[bool] = ContextVar("sampling", default=False)


def sampling() -> AbstractContextManager[None]:
    """Inside the block these layers draw their noise at inference, too; all others behave as at inference."""
    return during(_sampling, True)


class _Noise(SameShape):
    """y = noise(x) in training, y = x at inference; a subclass says what the noise is.

    `seed` fixes the sequence of draws; each call draws anew.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._generator = random.spawn("dropout", seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The input, with noise in training."""
        return self.noisy(inputs) if training or _sampling.get() else inputs

    def noisy(self, inputs: Tensor) -> Tensor:
        """The input with new noise."""
        raise AbstractMethodError(f"{type(self).__name__} has no `noisy` method")


class _Dropping(_Noise):
    """Noise of which a rate says how much there is."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = number(self, "rate", rate, "in [0, 1)")


class _DroppingTogether(_Dropping):
    """Noise that may be the same along some axes."""

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)


class Dropout(_DroppingTogether):
    """In training y = x/(1 − rate) with probability 1 − rate, else 0; at inference y = x.  (Srivastava et al. 2014)

    `noise_shape` has size 1 (or None for the input's) on each axis; along an axis of size 1 elements are dropped
    together.
    """

    def noisy(self, inputs: Tensor) -> Tensor:
        """The input, thinned out."""
        return ops.dropout(inputs, self.rate, self.noise_shape, seed=self._generator)


class AlphaDropout(_DroppingTogether):
    """Dropout for SELU networks: in training y = a·x + b with probability 1 − rate, else a·α′ + b; at inference y = x.

    α′ ≈ −1.7581 is where SELU saturates; a and b are such that mean 0 and variance 1 stay what they are, on which
    self-normalization rests. Rates of 0.05 and 0.1 are usual. (Klambauer et al. 2017, section 3) `noise_shape` is that
    of `Dropout`.
    """

    def noisy(self, inputs: Tensor) -> Tensor:
        """The input, saturated here and there."""
        return ops.alpha_dropout(inputs, self.rate, self.noise_shape, seed=self._generator)


class GaussianDropout(_Dropping):
    """In training y = x·ξ with ξ ~ N(1, rate/(1 − rate)), the mean and variance of dropout; at inference y = x.

    (Srivastava et al. 2014, section 10)
    """

    def noisy(self, inputs: Tensor) -> Tensor:
        """The input times the noise."""
        return ops.gaussian_dropout(inputs, self.rate, self._generator)


class GaussianNoise(_Noise):
    """In training y = x + ξ with ξ ~ N(0, stddev²); at inference y = x.  (Bishop 1995)"""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = number(self, "stddev", stddev, "≥ 0")

    def noisy(self, inputs: Tensor) -> Tensor:
        """The input plus the noise."""
        return ops.gaussian_noise(inputs, self.stddev, self._generator)


class _SpatialDropout(_Dropping):
    """Dropout of whole channels: each channel of a sample is kept everywhere or dropped everywhere."""

    noise_shape: tuple[int | None, ...]

    def build(self, input_shape: OpenShape) -> None:
        """Check that there is an axis for each of batch, places and channels."""
        self.compute_output_shape(input_shape)
        super().build(input_shape)

    def noisy(self, inputs: Tensor) -> Tensor:
        """The input without some of its channels."""
        return ops.dropout(inputs, self.rate, self.noise_shape, seed=self._generator)

    def compute_output_shape(self, input_shape: OpenShape) -> OpenShape:
        """The same shape, if it has the right number of axes."""
        axes = len(self.noise_shape)
        if len(input_shape) != axes:
            raise ShapeError(f"{type(self).__name__} {self.name!r} needs inputs with {axes} axes, got {input_shape}")
        return input_shape


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of sequences, (batch, steps, channels): y = x/(1 − rate) or 0 at all steps.

    Neighbouring steps are so much alike that a single one dropped is hardly missed.  (Tompson et al. 2015)
    """

    noise_shape: tuple[int | None, ...] = (None, 1, None)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images, (batch, height, width, channels).  (Tompson et al. 2015)

    With data_format "channels_first" the channels are on axis 1.
    """

    noise_shape: tuple[int | None, ...] = (None, 1, 1, None)

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)
        self.data_format = check_data_format("SpatialDropout2D", data_format)
        if self.data_format == "channels_first":
            self.noise_shape = (None, None, 1, 1)

    def is_default(self, name: str, value: Any, default: Any) -> bool:
        """Whether an argument has its default; channels are last."""
        return (name == "data_format" and value == "channels_last") or super().is_default(name, value, default)


class ActivityRegularization(SameShape):
    """y = x, and l1·Σ|x| + l2·Σx², divided by the size of the batch, is added to the loss.

    The outputs of the layer before it are kept small, or, by `l1`, sparse.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1 = number(self, "l1", l1, "≥ 0")
        self.l2 = number(self, "l2", l2, "≥ 0")

    @classmethod
    def arguments(cls) -> dict[str, inspect.Parameter]:
        """The arguments of `__init__`: `activity_regularizer` is made of them."""
        found = super().arguments()
        del found["activity_regularizer"]
        return found

    def call(self, inputs: Tensor) -> Tensor:
        """The input."""
        return inputs
