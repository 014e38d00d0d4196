"""Normalization as layers: over the batch, with moving averages for inference; or sample by sample, in groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidl import initializers, ops
from minidl.autodiff.tensor import Tensor, perform
from minidl.checks import axes, count, flag, number
from minidl.errors import ArgumentError, ShapeError, unknown_name
from minidl.layers.layer import OpenShape, SameShape
from minidl.layers.variable import Variable
from minidl.memory import Array, Shape


class _ScaledAndShifted(SameShape):
    """What follows a normalization: γ and β, if they are wanted."""

    regularizable = ("beta", "gamma")

    gamma: Variable | None
    beta: Variable | None
    gamma_initializer: initializers.Initializer
    beta_initializer: initializers.Initializer

    def add_scale_and_shift(self, shape: Shape, scale: bool, shift: bool) -> None:
        """Make γ and β."""
        self.gamma = self.beta = None
        if scale:
            self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma", **self.rules("gamma"))
        if shift:
            self.beta = self.add_weight(shape, self.beta_initializer, name="beta", **self.rules("beta"))


class BatchNormalization(_ScaledAndShifted):
    """y = γ(x − μ)/√(σ² + ε) + β, with statistics for each position on `axis`.  (Ioffe & Szegedy 2015)

    In training μ and σ² are those of the batch, and the moving averages follow: moving ← moving·momentum +
    batch·(1 − momentum). At inference, and where `trainable` is False, μ and σ² are the moving averages. σ² is the
    biased variance throughout, as in Keras; the paper (Algorithm 2, line 10) has m/(m − 1) times it at inference.

    `center` and `scale` say whether there are β and γ. `axis` is one axis or several (the features, last by default);
    the parameters have the sizes of the input on it. Variables: gamma, beta, moving_mean, moving_variance.

    With `renorm` (batch renormalization; Ioffe 2017) training already sees almost what inference will: x̂ becomes
    x̂·r + d, where r = √(σ² + ε)/s and d = (μ − m)/s are constants for the gradient, and m and s are moving averages of
    μ and √(σ² + ε) with momentum `renorm_momentum`. `renorm_clipping`, a dictionary, keeps r in [rmin, rmax] and d in
    [−dmax, dmax]; the paper begins with r = 1 and d = 0, plain batch normalization, and lets them go slowly.
    As in Keras the moving average for inference is one of √(σ² + ε), moving_stddev, from which moving_variance follows.
    Further variables: moving_stddev, renorm_mean, renorm_stddev.
    """

    moving_mean: Variable
    moving_variance: Variable
    moving_stddev: Variable
    renorm_mean: Variable
    renorm_stddev: Variable

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
        *,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
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
        self.renorm = flag(self, "renorm", renorm)
        self.renorm_clipping = None if renorm_clipping is None else _clipping(renorm_clipping)
        self.renorm_momentum = number(self, "renorm_momentum", renorm_momentum, "in [0, 1]")
        self.synchronized = flag(self, "synchronized", synchronized)
        if synchronized:
            raise ArgumentError("BatchNormalization: synchronized=True is for several devices, and there is one")

    def build(self, input_shape: OpenShape) -> None:
        """Make γ and β, and the moving averages."""
        self.sizes = shape = sizes_on(self, input_shape)
        self.add_scale_and_shift(shape, self.scale, self.center)
        self.moving_mean = self.add_weight(shape, self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        if self.renorm:
            self.moving_stddev, self.renorm_mean, self.renorm_stddev = (
                self.add_weight(shape, "zeros", trainable=False, name=name)
                for name in ("moving_stddev", "renorm_mean", "renorm_stddev")
            )
            self.renorm_mean.assign(self.moving_mean)
            for deviation in (self.moving_stddev, self.renorm_stddev):
                deviation.assign(np.sqrt(self.moving_variance.data))
        super().build(input_shape)

    def call(self, inputs: Tensor, training: bool = False, mask: Any = None) -> Tensor:
        """The normalized input."""
        if mask is not None:
            raise ArgumentError(f"{self.name!r}: masks are not supported: every element counts for the statistics")
        shape = sizes_on(self, inputs.shape, self.sizes)
        gamma = ops.ones(shape, self.dtype) if self.gamma is None else self.gamma
        beta = ops.zeros(shape, self.dtype) if self.beta is None else self.beta
        if not (training and self.trainable):
            return ops.standardize(inputs, gamma, beta, self.moving_mean, self.moving_variance, self.axis, self.epsilon)
        if self.renorm:
            return self._renormalized(inputs, gamma, beta)
        outputs, mean, variance = ops.batch_normalization(inputs, gamma, beta, self.axis, self.epsilon)
        # A batch without samples has no statistics.
        if inputs.size:
            perform(self._follow, mean, variance)
        return outputs

    def _follow(self, mean: Array, variance: Array) -> None:
        """moving ← moving·momentum + batch·(1 − momentum), outside of what is differentiated."""
        _approach(self.moving_mean, mean, self.momentum)
        _approach(self.moving_variance, variance, self.momentum)

    def _renormalized(self, inputs: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """γ(x̂·r + d) + β."""
        shape = self.moving_mean.shape
        one, zero = ops.ones(shape, self.dtype), ops.zeros(shape, self.dtype)
        x_hat, mean, variance = ops.batch_normalization(inputs, one, zero, self.axis, self.epsilon)
        mean, variance = ops.stop_gradient(mean), ops.stop_gradient(variance)
        deviation = ops.sqrt(variance + self.epsilon)
        average = ops.maximum(self.renorm_stddev, math.sqrt(self.epsilon))
        limits = self.renorm_clipping or {}
        farthest = limits.get("dmax", math.inf)
        r = ops.clip(deviation / average, limits.get("rmin"), limits.get("rmax"))
        d = ops.clip((mean - self.renorm_mean) / average, -farthest, farthest)
        # r and d come from the averages before this batch.
        if inputs.size:
            perform(self._follow_renormalized, mean, deviation)
        kept = {a % inputs.ndim for a in np.atleast_1d(self.axis)}
        broadcastable = tuple(n if a in kept else 1 for a, n in enumerate(inputs.shape))
        scale, shift = (ops.reshape(x, broadcastable) for x in (r * gamma, d * gamma + beta))
        return x_hat * scale + shift

    def _follow_renormalized(self, mean: Array, deviation: Array) -> None:
        """Both pairs of averages, and the variance that inference uses."""
        _approach(self.renorm_mean, mean, self.renorm_momentum)
        _approach(self.renorm_stddev, deviation, self.renorm_momentum)
        _approach(self.moving_mean, mean, self.momentum)
        _approach(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.assign(np.maximum(np.square(self.moving_stddev.data) - self.epsilon, 0))


# What `renorm_clipping` may hold.
_LIMITS = ("rmin", "rmax", "dmax")


def _approach(average: Variable, batch: Array, momentum: float) -> None:
    """average ← average·momentum + batch·(1 − momentum)."""
    np.add(average.data * momentum, batch.real * (1 - momentum), out=average.data, casting="same_kind")
    average.version += 1


def _clipping(limits: Mapping[str, float]) -> dict[str, float]:
    """The checked limits of r and d."""
    owner = "BatchNormalization"
    given = {key: number(owner, f"renorm_clipping[{key!r}]", x, "≥ 0") for key, x in limits.items()}
    unknown = [key for key in given if key not in _LIMITS]
    if unknown:
        raise unknown_name(f"limit in renorm_clipping of {owner}", unknown[0], _LIMITS)
    if given.get("rmin", 0) > given.get("rmax", math.inf):
        raise ArgumentError(f"{owner}: expected rmin ≤ rmax in renorm_clipping, got {given}")
    return given


class GroupNormalization(_ScaledAndShifted):
    """y = γ(x − μ)/√(σ² + ε) + β, with statistics for each sample and group of channels.  (Wu & He 2018)

    The channels, on `axis`, are cut into `groups` equal parts, and μ and σ² (biased) are taken over a part and all
    places of the image. Nothing depends on the batch: training and inference are the same, and small batches do no
    harm. groups=1 is layer normalization over the whole image; groups=−1 gives each channel statistics of its own
    (instance normalization; Ulyanov et al. 2016).

    `center` and `scale` say whether there are β and γ, one number for each channel. Variables: gamma, beta.
    """

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
        self.add_scale_and_shift(shape, self.scale, self.center)
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


class LayerNormalization(_ScaledAndShifted):
    """y = γ(x − μ)/√(σ² + ε) + β, with statistics over `axis` of each sample.  (Ba et al. 2016)

    `axis` is one axis or several (the features, last by default): μ and σ² (biased) are taken over them, and γ and β
    have their sizes. Training and inference are the same. ε is 0.001 as in Keras (PyTorch: 10⁻⁵).

    `center` and `scale` say whether there are β and γ. `rms_scaling`, of older Keras, is y = γx/√(σ² + ε): neither
    centred nor divided by the root mean square, for which there is `RMSNormalization`. Variables: gamma, beta.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        *,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = axes(self, axis)
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.rms_scaling = flag(self, "rms_scaling", rms_scaling)

    def build(self, input_shape: OpenShape) -> None:
        """Make γ and β."""
        self.sizes = shape = sizes_on(self, input_shape)
        self.add_scale_and_shift(shape, self.scale, self.center and not self.rms_scaling)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized input."""
        sizes_on(self, inputs.shape, self.sizes)
        if not self.rms_scaling:
            return ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)
        chosen = {a % inputs.ndim for a in np.atleast_1d(self.axis)}
        scaled = inputs * ops.rsqrt(ops.var(inputs, tuple(chosen), keepdims=True) + self.epsilon)
        if self.gamma is None:
            return scaled
        return scaled * ops.reshape(self.gamma, [n if a in chosen else 1 for a, n in enumerate(inputs.shape)])


class RMSNormalization(SameShape):
    """y = γx/√(m + ε), m the mean square over `axis` of each sample.  (Zhang & Sennrich 2019)

    Layer normalization without the mean, which is cheaper and often as good. `axis` is one axis or several, of which γ
    has the sizes. Variables: scale, which is γ.
    """

    scale: Variable

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axes(self, axis)
        self.epsilon = number(self, "epsilon", epsilon, "≥ 0")

    def build(self, input_shape: OpenShape) -> None:
        """Make γ."""
        self.sizes = sizes_on(self, input_shape)
        self.scale = self.add_weight(self.sizes, "ones", name="scale")
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized input."""
        sizes_on(self, inputs.shape, self.sizes)
        return ops.rms_normalization(inputs, self.scale, self.axis, self.epsilon)


class UnitNormalization(SameShape):
    """y = x/‖x‖ over `axis` of each sample, one axis or several: vectors of length 1. Zeros stay zeros."""

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axes(self, axis)

    def call(self, inputs: Tensor) -> Tensor:
        """The vectors of length 1."""
        sizes_on(self, inputs.shape)
        return ops.normalize(inputs, self.axis, epsilon=1e-12)


def sizes_on(layer: Any, shape: OpenShape, built: Shape | None = None) -> Shape:
    """The sizes on the layer's `axis`, in the order of the axes; an error unless they are known, and equal to `built`.
    """
    axis = layer.axis
    chosen, ndim = np.atleast_1d(axis).astype(int), len(shape)
    if any(not -ndim <= a < ndim for a in chosen) or len({a % ndim for a in chosen}) < len(chosen):
        raise ShapeError(f"{layer.name!r}: expected axes of {shape}, each once, got axis={axis}")
    sizes = tuple(shape[a] for a in sorted(a % ndim for a in chosen))
    if None in sizes:
        raise ShapeError(f"{layer.name!r}: the size of axis {axis} must be known, got {shape}")
    if built not in (None, sizes):
        raise ShapeError(f"{layer.name!r} was built for sizes {built} on axis {axis} but got {shape}")
    return tuple(n for n in sizes if n is not None)
