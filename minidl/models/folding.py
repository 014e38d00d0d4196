"""Batch normalization folded into the layer before it or after it: fewer passes over the data, the same predictions.

At inference batch normalization is y = s·x + t for each feature, with s = γ/√(σ² + ε) and t = β − s·μ. Beside a layer
that is linear, too, both are one:

    after it    s·(W·x + b) + t = (s·W)·x + (s·b + t)
    before it   W·(s·x + t) + b = (W·s)·x + (W·t + b)

The second holds for every output only where the layer pads nothing: a border of zeros would have become one of t.
(Jacob et al. 2018, section 3.2, has the first)
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from minidl import activations, ops
from minidl.errors import ArgumentError, NotBuiltError
from minidl.layers import (
    AveragePooling1D,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Layer,
    MaxPooling1D,
    MaxPooling2D,
    SeparableConv1D,
    SeparableConv2D,
)
from minidl.layers.symbolic import Node
from minidl.memory import Array
from minidl.models.functional import Functional
from minidl.models.graph import Graph
from minidl.models.model import Model
from minidl.models.reusing import copy_of, rebuilt
from minidl.models.sequential import Sequential

_DEPTHWISE = (DepthwiseConv1D, DepthwiseConv2D)
_SEPARABLE = (SeparableConv1D, SeparableConv2D)
_TRANSPOSED = (Conv1DTranspose, Conv2DTranspose)
_CONVOLUTIONS = (Conv1D, Conv2D, *_DEPTHWISE, *_SEPARABLE, *_TRANSPOSED)
_AVERAGES, _MAXIMA = (AveragePooling1D, AveragePooling2D), (MaxPooling1D, MaxPooling2D)


class Fold(NamedTuple):
    """A normalization that goes into a linear layer, which stands before it or after it."""

    normalization: BatchNormalization
    linear: Any
    linear_is_first: bool


def fold_batch_norm(model: Model) -> Any:
    """A new model that predicts the same, up to rounding, without those batch normalizations that can be folded away.

    One is folded into a Dense or convolutional layer directly before it that has no activation of its own; or else into
    one directly after it that has no padding. Pooling may stand between the first two: an average of s·x + t is s times
    that of x, plus t, and so is a maximum where no s is negative. Both layers must be called once only, and nothing
    else may see what is between them. What cannot be folded exactly stays as it is.

    The model is Sequential or functional, with such models inside. It stays as it is and shares nothing with the new
    one, which is for inference: it is not compiled, and would be trained without the normalizations.
    """
    if not isinstance(model, (Sequential, Functional)):
        raise ArgumentError(
            f"fold_batch_norm: {model!r} is a {type(model).__name__}: only its code knows which layer comes after "
            "which; expected a Sequential or functional model"
        )
    if not model.built:
        raise NotBuiltError(f"fold_batch_norm: {model.name!r} has no weights yet: build it or call it on data first")
    folds = _folds(model)
    gone, linear = {fold.normalization for fold in folds}, {fold.linear for fold in folds}
    made: dict[Layer, Any] = {}

    def make(layer: Layer) -> Layer | None:
        if layer in gone:
            return None
        return copy_of(layer, use_bias=True) if layer in linear else copy_of(layer)  # type: ignore[no-any-return]

    folded = rebuilt(model, make, made=made)
    for old, new in made.items():
        if old in linear:
            new.bias.assign(np.zeros(new.bias.shape, new.dtype))
            for variable in old.variables:
                getattr(new, variable.name).assign(variable)
        elif old not in gone and not isinstance(old, (Sequential, Functional)):
            new.set_weights(old.get_weights())
    for fold in folds:
        put_into = _into_the_one_before if fold.linear_is_first else _into_the_one_after
        put_into(made[fold.linear], *_scale_and_shift(fold.normalization))
    return folded


# What can be folded.


def _folds(model: Any) -> list[Fold]:
    """The normalizations of a model, and of those inside it, that can be folded, and what they are folded into."""
    graph = model.graph if isinstance(model, Functional) else Graph(model.inputs, model.output)
    calls = Counter(node.layer for node in graph.nodes)
    outputs = {graph.origin(tensor)[0] for tensor in model.outputs}
    users: dict[Node, list[Node]] = {node: [] for node in graph.nodes}
    for node in graph.nodes:
        for parent in graph.parents(node):
            users[parent].append(node)

    def private(node: Node) -> bool:
        """Whether its result is seen by one other call and by nobody else."""
        return len(users[node]) == 1 and node not in outputs

    folds = []
    for node in graph.nodes:
        if type(node.layer) is BatchNormalization and node not in graph.first and calls[node.layer] == 1:
            axis = _only_axis(node)
            scale, _ = _scale_and_shift(node.layer)
            pools = _AVERAGES if (scale < 0).any() else (*_AVERAGES, *_MAXIMA)
            before = graph.parents(node)[0]
            while private(before) and type(before.layer) in pools and not _is_pooled(axis, before.layer):
                before = graph.parents(before)[0]
            after = users[node][0] if private(node) else None
            if private(before) and calls[before.layer] == 1 and _takes_from_after(before.layer, axis):
                folds.append(Fold(node.layer, before.layer, True))
            elif after is not None and calls[after.layer] == 1 and _takes_from_before(after.layer, axis):
                folds.append(Fold(node.layer, after.layer, False))
    inside = [layer for layer in calls if isinstance(layer, (Sequential, Functional))]
    return [*folds, *(fold for layer in inside for fold in _folds(layer))]


def _only_axis(node: Node) -> int | None:
    """Which axis a normalization has statistics for; None if there are several."""
    axes, ndim = np.atleast_1d(node.layer.axis), len(node.inputs[0].shape)
    return int(axes[0]) % ndim if len(axes) == 1 else None


def _is_pooled(axis: int | None, layer: Any) -> bool:
    return axis is None or layer.spatial.start <= axis < layer.spatial.stop


def _takes_from_after(layer: Layer, axis: int | None) -> bool:
    """Whether a normalization of its output, on `axis`, can be folded into a layer."""
    return _features_are_on(axis, layer) and layer.activation is activations.linear  # type: ignore[attr-defined]


def _takes_from_before(layer: Any, axis: int | None) -> bool:
    """Whether a normalization of its input, on `axis`, can be folded into a layer."""
    if not _features_are_on(axis, layer) or isinstance(layer, _TRANSPOSED):
        return False
    return isinstance(layer, Dense) or layer.padding == "valid" or max(layer.kernel_size) == 1


def _features_are_on(axis: int | None, layer: Any) -> bool:
    """Whether a layer is a linear one, and no subclass, which may be anything, and has its features on this axis."""
    if type(layer) is Dense:
        return bool(axis == len(layer.built_shape) - 1)
    if type(layer) in _CONVOLUTIONS:
        return axis == (1 if layer.data_format == "channels_first" else layer.axes + 1)
    return False


# The folding.


def _scale_and_shift(normalization: BatchNormalization) -> tuple[Array, Array]:
    """s = γ/√(σ² + ε) and t = β − s·μ, in float64."""
    mean, variance = (v.data.astype(np.float64) for v in (normalization.moving_mean, normalization.moving_variance))
    gamma = 1.0 if normalization.gamma is None else normalization.gamma.data
    beta = 0.0 if normalization.beta is None else normalization.beta.data
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    return scale, beta - scale * mean


def _into_the_one_before(layer: Any, scale: Array, shift: Array) -> None:
    """W ← s·W, b ← s·b + t."""
    kernel = layer.pointwise_kernel if isinstance(layer, _SEPARABLE) else layer.kernel
    if isinstance(layer, _TRANSPOSED):
        factor = scale[:, None]
    else:
        factor = scale.reshape(kernel.shape[-2:]) if isinstance(layer, _DEPTHWISE) else scale
    kernel.assign(kernel.data * factor)
    layer.bias.assign(layer.bias.data * scale + shift)


def _into_the_one_after(layer: Any, scale: Array, shift: Array) -> None:
    """b ← W·t + b, W ← W·s."""
    kernel = layer.depthwise_kernel if isinstance(layer, _SEPARABLE) else layer.kernel
    # What the layer makes of an input that is t everywhere, and just as large as its window.
    if isinstance(layer, Dense):
        bias = ops.affine(shift[None], layer.kernel, layer.bias)
    else:
        window = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
        last = layer.data_format == "channels_last"
        everywhere = np.broadcast_to(shift, (1, *window, len(shift)))
        bias = layer.convolve_with_bias(everywhere if last else np.moveaxis(everywhere, -1, 1))
    layer.bias.assign(bias.data.reshape(-1))
    groups = getattr(layer, "groups", 1)
    factor = np.repeat(scale.reshape(groups, -1).T, kernel.shape[-1] // groups, axis=1)
    kernel.assign(kernel.data * factor)
