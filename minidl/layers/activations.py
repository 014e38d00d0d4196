"""Activations that are layers of their own, as they have settings, weights or randomness; and as part of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minidl import activations, initializers, ops, random
from minidl.autodiff.tensor import Tensor
from minidl.checks import axes, integers, number
from minidl.errors import ArgumentError, ShapeError, look_up, warn_old_name
from minidl.layers.layer import Layer, OpenShape, SameShape, layer_shape
from minidl.layers.variable import Variable
from minidl.memory import Shape


class ReLU(SameShape):
    """y = max(x, 0); in general `max_value` above it, x down to `threshold`, negative_slope·(x − threshold) below."""

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else number(self, "max_value", max_value, "≥ 0")
        self.negative_slope = number(self, "negative_slope", negative_slope, "≥ 0")
        self.threshold = number(self, "threshold", threshold, "≥ 0")

    def call(self, inputs: Tensor) -> Tensor:
        """ReLU with its three settings."""
        return ops.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(SameShape):
    """y = x where x > 0, αx elsewhere, with α = `negative_slope`, 0.3 as in Keras.  (Maas et al. 2013)

    `alpha` is its old name.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warn_old_name("LeakyReLU(alpha=…)", "LeakyReLU(negative_slope=…)")
        super().__init__(**kwargs)
        self.negative_slope = number(self, "negative_slope", negative_slope, "≥ 0")

    def call(self, inputs: Tensor) -> Tensor:
        """x, or αx where it is negative."""
        return ops.leaky_relu(inputs, self.negative_slope)


class PReLU(SameShape):
    """y = x where x > 0, αx elsewhere, with α learned, from zeros on.  (He et al. 2015, eq. 1)

    One α for each element of a sample; along `shared_axes` (counted from 1, the batch is axis 0) they share one.
    """

    regularizable = ("alpha",)

    alpha: Variable

    def __init__(
        self, alpha_initializer: Any = "zeros", shared_axes: int | Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.shared_axes = None if shared_axes is None else list(integers(self, "shared_axes", shared_axes))

    def build(self, input_shape: OpenShape) -> None:
        """Make α."""
        if any(not 1 <= a < len(input_shape) for a in self.shared_axes or ()):
            raise ShapeError(f"PReLU {self.name!r}: shared_axes {self.shared_axes} do not exist in {input_shape}")
        shape = self._alpha_shape(input_shape)
        self.alpha = self.add_weight(shape, self.alpha_initializer, name="alpha", **self.rules("alpha"))
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """x, or αx where it is negative."""
        if self._alpha_shape(inputs.shape) != self.alpha.shape:
            raise ShapeError(f"PReLU {self.name!r} has α of shape {self.alpha.shape}, got inputs {inputs.shape}")
        return ops.prelu(inputs, self.alpha)

    def _alpha_shape(self, input_shape: OpenShape) -> Shape:
        return layer_shape(tuple(1 if a in (self.shared_axes or ()) else n for a, n in enumerate(input_shape)))


class RReLU(SameShape):
    """y = x where x > 0, αx elsewhere; α random in training, its mean (lower + upper)/2 at inference.  (Xu et al. 2015)

    In training α ~ U[lower, upper) anew for each element: noise that regularizes.
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lower = number(self, "lower", lower, "≥ 0")
        self.upper = number(self, "upper", upper, "≥ 0")
        if lower > upper:
            raise ArgumentError(f"RReLU: expected lower ≤ upper, got {lower} and {upper}")
        self.seed = seed
        self._generator = random.spawn("dropout", seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """x, or αx where it is negative."""
        return ops.rrelu(inputs, self.lower, self.upper, training, seed=self._generator)


class ELU(SameShape):
    """y = x where x > 0, α(eˣ − 1) elsewhere.  (Clevert et al. 2016)"""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = number(self, "alpha", alpha, "≥ 0")

    def call(self, inputs: Tensor) -> Tensor:
        """The exponential linear unit."""
        return ops.elu(inputs, self.alpha)


class Softmax(SameShape):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along `axis`."""

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axes(self, axis)

    def call(self, inputs: Tensor) -> Tensor:
        """Softmax along the axis."""
        return ops.softmax(inputs, self.axis)


ACTIVATION_LAYERS = {kind.__name__: kind for kind in (ReLU, LeakyReLU, PReLU, RReLU, ELU, Softmax)}


def as_activation(identifier: Any) -> Any:
    """What stands for an activation as a function of a tensor: also a layer, and the configuration of one."""
    if isinstance(identifier, Mapping) and isinstance(identifier.get("config"), Mapping):
        kind = look_up("activation layer", str(identifier.get("class_name")), ACTIVATION_LAYERS)
        return kind.from_config(dict(identifier["config"]))
    return activations.get(identifier)


def build_activation(layer: Any, input_shape: OpenShape) -> None:
    """Make the weights of an activation that is a layer inside another."""
    if isinstance(layer.activation, Layer):
        with layer.naming_scope():
            layer.activation.build_for(input_shape)
