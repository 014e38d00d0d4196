"""Normalization as layers: over the batch, with moving averages for inference; or sample by sample, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl import initializers, ops
from minidl.autodiff.tensor import Tensor, perform
from minidl.checks import axes, count, number
from minidl.errors import ArgumentError, ShapeError
from minidl.layers.layer import OpenShape, SameShape
from minidl.layers.variable import Variable
from minidl.memory import Array, Shape


class BatchNormalization(SameShape):
    """y = γ(x − μ)/√(σ² + ε) + β, with statistics for each position on `axis`.  (Ioffe & Szegedy 2015)

    In training μ and σ² are those of the batch, and the moving averages follow: moving ← moving·momentum +
    batch·(1 − momentum). At inference, and where `trainable` is False, μ and σ² are the moving averages. σ² is the
    biased variance throughout, as in Keras; the paper (Algorithm 2, line 10) has m/(m − 1) times it at inference.

    `center` and `scale` say whether there are β and γ. `axis` is one axis or several (the features, last by default);
    the parameters have the sizes of the input on it. Variables: gamma, beta, moving_mean, moving_variance.
    """

    regularizable = ("beta", "gamma")

    gamma: Variable | None
    beta: Variable | None
    moving_mean: Variable
    moving_variance: Variable

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = axes(self, axis)
        self.momentum = number(self, "momentum", momentum, "in [0, 1]")
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: OpenShape) -> None:
        """Make γ and β, and the moving averages."""
        shape = self._parameter_shape(input_shape)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma", **self.rules("gamma"))
        if self.center:
            self.beta = self.add_weight(shape, self.beta_initializer, name="beta", **self.rules("beta"))
        self.moving_mean = self.add_weight(shape, self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        super().build(input_shape)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The normalized input."""
        shape = self.moving_mean.shape
        if self._parameter_shape(inputs.shape) != shape:
            raise ShapeError(f"{self.name!r} was built for sizes {shape} on axis {self.axis} but got {inputs.shape}")
        gamma = ops.ones(shape, self.dtype) if self.gamma is None else self.gamma
        beta = ops.zeros(shape, self.dtype) if self.beta is None else self.beta
        if not (training and self.trainable):
            return ops.standardize(inputs, gamma, beta, self.moving_mean, self.moving_variance, self.axis, self.epsilon)
        outputs, mean, variance = ops.batch_normalization(inputs, gamma, beta, self.axis, self.epsilon)
        # A batch without samples has no statistics.
        if inputs.size:
            perform(self._follow, mean, variance)
        return outputs

    def _follow(self, mean: Array, variance: Array) -> None:
        """moving ← moving·momentum + batch·(1 − momentum), outside of what is differentiated."""
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving.data * self.momentum + batch.real * (1 - self.momentum))

    def _parameter_shape(self, input_shape: OpenShape) -> Shape:
        """The sizes on `axis`, in the order of the axes."""
        chosen, ndim = np.atleast_1d(self.axis), len(input_shape)
        if any(not -ndim <= a < ndim for a in chosen) or len({a % ndim for a in chosen}) < len(chosen):
            raise ShapeError(f"{self.name!r}: expected axes of {input_shape}, each once, got axis={self.axis}")
        sizes = [input_shape[a] for a in sorted(a % ndim for a in chosen)]
        if None in sizes:
            raise ShapeError(f"{self.name!r}: the size of axis {self.axis} must be known, got {input_shape}")
        return tuple(n for n in sizes if n is not None)


class GroupNormalization(SameShape):
    """y = γ(x − μ)/√(σ² + ε) + β, with statistics for each sample and group of channels.  (Wu & He 2018)

    The channels, on `axis`, are cut into `groups` equal parts, and μ and σ² (biased) are taken over a part and all
    places of the image. Nothing depends on the batch: training and inference are the same, and small batches do no
    harm. groups=1 is layer normalization over the whole image; groups=−1 gives each channel statistics of its own
    (instance normalization; Ulyanov et al. 2016).

    `center` and `scale` say whether there are β and γ, one number for each channel. Variables: gamma, beta.
    """

    regularizable = ("beta", "gamma")

    gamma: Variable | None
    beta: Variable | None

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups = groups if groups == -1 else count(self, "groups", groups)
        one_axis = axes(self, axis)
        if not isinstance(one_axis, int):
            raise ArgumentError(f"GroupNormalization: axis must be one axis, got {axis!r}")
        self.axis = one_axis
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)

    def build(self, input_shape: OpenShape) -> None:
        """Make γ and β."""
        self.channels = self._channels(input_shape)
        shape = (self.channels,)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma", **self.rules("gamma"))
        if self.center:
            self.beta = self.add_weight(shape, self.beta_initializer, name="beta", **self.rules("beta"))
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized input."""
        if self._channels(inputs.shape) != self.channels:
            where = f"{self.channels} channels on axis {self.axis}"
            raise ShapeError(f"{self.name!r} was built for {where} but got {inputs.shape}")
        gamma = ops.ones(self.channels, self.dtype) if self.gamma is None else self.gamma
        beta = ops.zeros(self.channels, self.dtype) if self.beta is None else self.beta
        groups = self.channels if self.groups == -1 else self.groups
        return ops.group_normalization(inputs, gamma, beta, groups, self.axis, self.epsilon)

    def _channels(self, input_shape: OpenShape) -> int:
        """The size of `axis`, or an error if it cannot be cut into the groups."""
        ndim = len(input_shape)
        if not -ndim <= self.axis < ndim or self.axis % ndim == 0:
            raise ShapeError(f"{self.name!r}: expected axis={self.axis} to be one of {input_shape} after the batch")
        channels = input_shape[self.axis]
        if channels is None:
            raise ShapeError(f"{self.name!r}: the size of axis {self.axis} must be known, got {input_shape}")
        if channels % self.groups:
            raise ShapeError(
                f"{self.name!r}: the {channels} channels of {input_shape} are no multiple of groups={self.groups}"
            )
        return channels
