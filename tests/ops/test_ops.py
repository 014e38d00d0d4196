"""One table lists each public operation with a strategy for its arguments and its namesake in NumPy or SciPy.

From the table follows what `minidl.testing.check_function` tells: value, reverse mode, forward mode, second derivative,
dtype. The mathematics itself is proven kernel by kernel in tests/kernels; here it is proven that each operation reaches
the right kernel with the right arguments.
"""

import functools
import types
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import minidl
from minidl import Tensor, ops
from minidl.errors import NotDifferentiableError
from minidl.testing import (
    apart,
    arrays,
    axes_of,
    axis_of,
    booleans,
    broadcastable,
    check_function,
    distinct,
    integers,
    matrices,
    probabilities,
    shapes,
)


@dataclass
class Row:
    """An operation, a strategy of (inputs, keyword arguments), its reference, and what else `check_function` takes."""

    name: str
    cases: st.SearchStrategy
    reference: Callable
    note: str = ""
    options: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.name} {self.note}".strip()


def of(*inputs, **keywords):
    """A strategy for each input, and fixed keyword arguments."""
    return st.tuples(st.tuples(*inputs), st.just(keywords))


@st.composite
def pairs(draw, first=arrays, second=arrays):
    a, b = draw(broadcastable(2))
    return (draw(first(a)), draw(second(b))), {}


@st.composite
def pairs_apart(draw):
    return draw(apart(*draw(broadcastable(2)))), {}


def positive(shape):
    return arrays(shape, low=0.2)


def not_zero(shape):
    return arrays(shape, away_from=[0], gap=0.2)


@st.composite
def three(draw):
    condition, a, b = draw(broadcastable(3))
    return (draw(booleans(condition)), draw(arrays(a)), draw(arrays(b))), {}


@st.composite
def factors(draw):
    a, b = draw(matrices())
    return (draw(arrays(a)), draw(arrays(b))), {}


# ---- Element by element --------------------------------------------------------------------------------------------

kink_at_zero = of(arrays(away_from=[0]))
one_sided = of(arrays(low=0.1))
inside_one = of(arrays(low=-0.9, high=0.9))


def relu(x, negative_slope=0.0, max_value=np.inf, threshold=0.0):
    return np.minimum(np.where(x >= threshold, x, negative_slope * (x - threshold)), max_value)


def gelu(x, approximate=True):
    if approximate:
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * special.ndtr(x)


def softplus(x):
    return np.log1p(np.exp(x))


@st.composite
def with_alpha(draw):
    shape = draw(shapes())
    alpha = shape[draw(st.integers(0, len(shape))) :]
    return (draw(arrays(shape, away_from=[0])), draw(arrays(alpha))), {}


ELEMENTWISE = [
    Row("add", pairs(), np.add),
    Row("subtract", pairs(), np.subtract),
    Row("multiply", pairs(), np.multiply),
    Row("divide", pairs(arrays, not_zero), np.divide),
    Row("power", pairs(positive, arrays), np.power),
    Row("power", of(arrays(), exponent=2), lambda x, exponent: x**2, "by two"),
    Row("power", of(not_zero(shapes()), exponent=-1), lambda x, exponent: 1 / x, "by minus one"),
    Row("power", of(arrays(low=0.2), exponent=0.5), lambda x, exponent: np.sqrt(x), "by a half"),
    Row("maximum", pairs_apart(), np.maximum),
    Row("minimum", pairs_apart(), np.minimum),
    Row("where", three(), np.where),
    Row("negative", of(arrays()), np.negative),
    Row("absolute", kink_at_zero, np.abs),
    Row("sign", kink_at_zero, np.sign),
    Row("square", of(arrays()), np.square),
    Row("sqrt", one_sided, np.sqrt),
    Row("rsqrt", one_sided, lambda x: 1 / np.sqrt(x)),
    Row("reciprocal", of(not_zero(shapes())), np.reciprocal),
    Row("exp", of(arrays()), np.exp),
    Row("expm1", of(arrays()), np.expm1),
    Row("log", one_sided, np.log),
    Row("log1p", of(arrays(low=-0.9)), np.log1p),
    Row("sin", of(arrays()), np.sin),
    Row("cos", of(arrays()), np.cos),
    Row("tan", of(arrays(low=-1.3, high=1.3)), np.tan),
    Row("arcsin", inside_one, np.arcsin),
    Row("arccos", inside_one, np.arccos),
    Row("arctan", of(arrays()), np.arctan),
    Row("sinh", of(arrays()), np.sinh),
    Row("cosh", of(arrays()), np.cosh),
    Row("tanh", of(arrays()), np.tanh),
    Row("arcsinh", of(arrays()), np.arcsinh),
    Row("arccosh", of(arrays(low=1.1)), np.arccosh),
    Row("arctanh", inside_one, np.arctanh),
    Row("erf", of(arrays()), special.erf),
    Row("clip", of(arrays(away_from=[-1, 2]), x_min=-1, x_max=2), lambda x, x_min, x_max: np.clip(x, -1, 2)),
    Row("clip", of(arrays(away_from=[1]), x_min=None, x_max=1), lambda x, x_min, x_max: np.minimum(x, 1), "above"),
    Row("clip", of(arrays(away_from=[1]), x_min=1.0, x_max=None), lambda x, x_min, x_max: np.maximum(x, 1), "below"),
    Row("sigmoid", of(arrays()), special.expit),
    Row("clip_by_value", of(arrays(away_from=[-1, 2]), clip_value_min=-1, clip_value_max=2),
        lambda x, clip_value_min, clip_value_max: np.clip(x, -1, 2)),
    # Of one number alone it is the sign.
    Row("clip_by_norm", of(arrays((2, 3), low=1), clip_norm=0.5), lambda x, clip_norm: x / np.sqrt((x * x).sum()) / 2),
    Row("clip_by_norm", of(arrays(low=1), clip_norm=1000), lambda x, clip_norm: x, "short"),
    Row("norm", of(arrays(low=0.2)), lambda x: np.sqrt((x * x).sum())),
    Row("norm", of(arrays(away_from=[0]), ord=1), lambda x, ord: np.abs(x).sum(), "of sizes"),
    Row("hard_sigmoid", of(arrays(low=-5, high=5, away_from=[-3, 3])), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    Row("relu", kink_at_zero, relu),
    Row("relu", of(arrays(away_from=[0]), negative_slope=0.2), relu, "with slope"),
    Row("relu", of(arrays(away_from=[0, 2]), max_value=2.0), relu, "with maximum"),
    Row("relu", of(arrays(away_from=[1]), threshold=1.0), relu, "with threshold"),
    Row("leaky_relu", kink_at_zero, lambda x: np.where(x > 0, x, 0.2 * x)),
    Row("leaky_relu", of(arrays(away_from=[0]), negative_slope=0.3), lambda x, negative_slope: relu(x, 0.3), "0.3"),
    Row("prelu", with_alpha(), lambda x, alpha: np.where(x > 0, x, alpha * x)),
    Row("elu", kink_at_zero, lambda x: np.where(x > 0, x, np.expm1(x))),
    Row("elu", of(arrays(away_from=[0]), alpha=0.5), lambda x, alpha: np.where(x > 0, x, 0.5 * np.expm1(x)), "½"),
    Row("selu", kink_at_zero, lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    Row("gelu", of(arrays()), gelu),
    Row("gelu", of(arrays(), approximate=False), gelu, "exact"),
    Row("silu", of(arrays()), lambda x: x * special.expit(x)),
    Row("silu", of(arrays(), beta=2.0), lambda x, beta: x * special.expit(2 * x), "with β"),
    Row("mish", of(arrays()), lambda x: x * np.tanh(softplus(x))),
    Row("softplus", of(arrays()), softplus),
    Row("softsign", kink_at_zero, lambda x: x / (1 + np.abs(x))),
]

# ---- Along axes ----------------------------------------------------------------------------------------------------


@st.composite
def reductions(draw, elements=arrays, min_side=0):
    x = draw(elements(shapes(min_side=min_side)))
    return (x,), {"axis": draw(axes_of(x.ndim)), "keepdims": draw(st.booleans())}


@st.composite
def spreads(draw):
    """At least two numbers along every axis: the standard deviation of one number is at the kink of the root."""
    x = draw(distinct(shapes(min_dims=1, min_side=2)))
    axis = draw(axes_of(x.ndim).filter(lambda axis: axis != ()))
    return (x,), {"axis": axis, "keepdims": draw(st.booleans())}


@st.composite
def along_axis(draw, elements=arrays):
    x = draw(elements(shapes(min_dims=1, min_side=1)))
    return (x,), {"axis": draw(axis_of(x.ndim))}


def logsumexp(x, axis, keepdims):
    return np.log(np.sum(np.exp(x), axis, keepdims=keepdims))


ALONG_AXES = [
    Row("sum", reductions(), np.sum),
    Row("mean", reductions(min_side=1), np.mean),
    Row("var", reductions(min_side=1), np.var),
    Row("std", spreads(), np.std),
    Row("max", reductions(distinct, min_side=1), np.max),
    Row("min", reductions(distinct, min_side=1), np.min),
    Row("prod", reductions(), np.prod),
    Row("logsumexp", reductions(min_side=1), logsumexp),
    Row("cumsum", along_axis(), np.cumsum),
    Row("cumsum", of(arrays()), np.cumsum, "of all"),
    Row("softmax", along_axis(), special.softmax),
    Row("softmax", of(arrays(shapes(min_dims=2, min_side=1)), axis=(0, -1)), special.softmax, "over two axes"),
    Row("log_softmax", along_axis(), special.log_softmax),
    Row("sort", along_axis(distinct), np.sort),
]

# ---- Moving and picking elements -----------------------------------------------------------------------------------


@st.composite
def reshapes(draw):
    x = draw(arrays(shapes(min_side=1)))
    return (x,), {"shape": draw(st.sampled_from([x.size, -1, (x.size, 1), (1, -1), x.shape[::-1], list(x.shape)]))}


@st.composite
def permutations(draw):
    x = draw(arrays())
    return (x,), {"axes": draw(st.one_of(st.none(), st.permutations(range(x.ndim))))}


@st.composite
def two_axes(draw, first, second):
    x = draw(arrays(shapes(min_dims=1)))
    return (x,), {first: draw(axis_of(x.ndim)), second: draw(axis_of(x.ndim))}


@st.composite
def new_axes(draw):
    x = draw(arrays(shapes(max_dims=2)))
    several = st.lists(axis_of(x.ndim + 2), min_size=2, max_size=2, unique_by=lambda a: a % (x.ndim + 2)).map(tuple)
    return (x,), {"axis": draw(st.one_of(axis_of(x.ndim + 1), several))}


@st.composite
def squeezes(draw):
    shape = draw(shapes(max_dims=2))
    where = draw(st.integers(0, len(shape)))
    x = draw(arrays((*shape[:where], 1, *shape[where:])))
    return (x,), draw(st.sampled_from([{}, {"axis": where}, {"axis": (where - x.ndim,)}]))


@st.composite
def broadcasts(draw):
    small, other = draw(broadcastable(2))
    return (draw(arrays(small)),), {"shape": np.broadcast_shapes(small, other)}


@st.composite
def concatenations(draw):
    shape = draw(shapes(min_dims=1))
    axis = draw(axis_of(len(shape)))
    longer = list(shape)
    longer[axis] += 2
    return (draw(arrays(shape)), draw(arrays(tuple(longer))), draw(arrays(shape))), {"axis": axis}


@st.composite
def affine_maps(draw):
    shape, units = draw(shapes(min_dims=2)), draw(st.integers(0, 3))
    return (draw(arrays(shape)), draw(arrays((shape[-1], units))), draw(arrays((units,)))), {}


@st.composite
def stacks(draw):
    shape = draw(shapes(max_dims=2))
    return (draw(arrays(shape)), draw(arrays(shape))), {"axis": draw(axis_of(len(shape) + 1))}


@st.composite
def splits(draw):
    x = draw(arrays(shapes(min_dims=1)))
    axis = draw(axis_of(x.ndim))
    divisors = [n for n in (1, 2, 3) if x.shape[axis] % n == 0]
    cuts = st.lists(st.integers(0, x.shape[axis]), max_size=2).map(sorted)
    return (x,), {"indices_or_sections": draw(st.one_of(st.sampled_from(divisors), cuts)), "axis": axis}


@st.composite
def frames(draw):
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    one_pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    widths = st.one_of(st.integers(0, 2), one_pair, st.tuples(*[one_pair] * x.ndim))
    modes = st.sampled_from(["constant", "edge", "symmetric", "wrap", "reflect"])
    return (x,), {"pad_width": draw(widths), "mode": draw(modes)}


@st.composite
def flips(draw):
    x = draw(arrays())
    return (x,), {"axis": draw(axes_of(x.ndim))}


@st.composite
def repeats(draw):
    x = draw(arrays(shapes(min_dims=1)))
    axis = draw(st.one_of(st.none(), axis_of(x.ndim)))
    length = x.size if axis is None else x.shape[axis]
    counts = st.lists(st.integers(0, 2), min_size=length, max_size=length)
    return (x,), {"repeats": draw(st.one_of(st.integers(0, 3), counts)), "axis": axis}


@st.composite
def tiles(draw):
    x = draw(arrays(shapes(max_dims=2)))
    several = st.lists(st.integers(0, 2), max_size=3).map(tuple)
    return (x,), {"repeats": draw(st.one_of(st.integers(0, 2), several))}


@st.composite
def takes(draw):
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    axis = draw(st.one_of(st.none(), axis_of(x.ndim)))
    n = x.size if axis is None else x.shape[axis]
    return (x, draw(integers(draw(shapes(max_dims=2)), -n, n - 1))), {"axis": axis}


@st.composite
def takes_along(draw):
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    axis = draw(axis_of(x.ndim))
    shape = list(x.shape)
    shape[axis] = draw(st.integers(0, 4))
    return (x, draw(integers(tuple(shape), -x.shape[axis], x.shape[axis] - 1))), {"axis": axis}


def expand_dims(x, axis):
    return np.expand_dims(x, axis)


MOVING = [
    Row("convert_to_tensor", of(arrays()), lambda x: x),
    Row("cast", of(arrays(), dtype="float64"), lambda x, dtype: x, options={"single": False}),
    Row("reshape", reshapes(), lambda x, shape: np.reshape(x, shape)),
    Row("ravel", of(arrays()), np.ravel),
    Row("transpose", permutations(), np.transpose),
    Row("moveaxis", two_axes("source", "destination"), np.moveaxis),
    Row("swapaxes", two_axes("axis1", "axis2"), np.swapaxes),
    Row("expand_dims", new_axes(), expand_dims),
    Row("squeeze", squeezes(), np.squeeze),
    Row("broadcast_to", broadcasts(), np.broadcast_to),
    Row("concatenate", concatenations(), lambda *xs, axis: np.concatenate(xs, axis)),
    Row("stack", stacks(), lambda *xs, axis: np.stack(xs, axis)),
    Row("split", splits(), np.split),
    Row("pad", frames(), np.pad),
    Row("pad", of(arrays(), pad_width=1, constant_values=2.5), np.pad, "with a value"),
    Row("flip", flips(), np.flip),
    Row("repeat", repeats(), np.repeat),
    Row("tile", tiles(), lambda x, repeats: np.tile(x, repeats)),
    Row("take", takes(), np.take),
    Row("take_along_axis", takes_along(), np.take_along_axis),
]

# ---- Products ------------------------------------------------------------------------------------------------------


@st.composite
def dots(draw):
    """Vectors, matrices, stacks and scalars; the last axis of the first meets the last but one of the second."""
    first, second, k = draw(shapes(max_dims=2)), draw(shapes(max_dims=2)), draw(st.integers(0, 3))
    if draw(st.integers(0, 4)) == 0:
        return (draw(arrays(())), draw(arrays(second))), {}
    contracted = max(len(second) - 1, 0)
    return (draw(arrays((*first, k))), draw(arrays((*second[:contracted], k, *second[contracted:])))), {}


NOTATIONS = ["ij,jk", "i,i", "...i,i->...", "b...,b...->...", "ij...->j...", "ii", "i j , k -> kij", "ij,"]


@st.composite
def sums_of_products(draw):
    subscripts = draw(st.sampled_from(NOTATIONS))
    sizes = {letter: (draw(st.integers(1, 3)),) for letter in "bijk"}
    sizes["."] = draw(shapes(max_dims=2, min_side=1))
    names = subscripts.partition("->")[0].replace(" ", "").replace("...", ".").split(",")
    operands = (arrays(tuple(n for letter in name for n in sizes[letter])) for name in names)
    return tuple(draw(operand) for operand in operands), {"subscripts": subscripts}


PRODUCTS = [
    Row("matmul", factors(), np.matmul),
    Row("affine", affine_maps(), lambda x, w, b: np.matmul(x, w) + b),
    Row("dot", dots(), np.dot),
    Row("einsum", sums_of_products(), lambda *xs, subscripts: np.einsum(subscripts, *xs)),
]

# ---- Losses and layers ---------------------------------------------------------------------------------------------


@st.composite
def logits_and_targets(draw):
    shape = (*draw(shapes(max_dims=2)), draw(st.integers(1, 4)))
    return (draw(arrays(shape)), draw(probabilities(shape))), {}


@st.composite
def logits_and_labels(draw):
    batch, classes = draw(shapes(max_dims=2)), draw(st.integers(1, 4))
    return (draw(arrays((*batch, classes))), draw(integers(batch, 0, classes - 1))), {}


@st.composite
def logits_and_truths(draw):
    shape = draw(shapes())
    return (draw(arrays(shape)), draw(arrays(shape, low=0, high=1))), {}


@st.composite
def batches(draw, parameters):
    """x with a channel axis, and that many arrays of one number for each channel; the last of them is positive."""
    x = draw(distinct(shapes(min_dims=1, min_side=1)))
    axis = draw(st.one_of(axis_of(x.ndim), st.just(tuple(range(x.ndim)[1:]))))
    sizes = (x.shape[axis],) if isinstance(axis, int) else tuple(x.shape[a] for a in axis)
    values = [draw(arrays(sizes)) for _ in range(parameters - 1)]
    return (x, *values, draw(arrays(sizes, low=0.2))), {"axis": axis, "epsilon": 0.01}


def sparse_crossentropy(logits, labels):
    return -np.take_along_axis(special.log_softmax(logits, -1), labels[..., None], -1)[..., 0]


def standardize(x, gamma, beta, mean, variance, axis, epsilon):
    kept = [axis % x.ndim] if isinstance(axis, int) else axis
    broadcastable = [n if a in kept else 1 for a, n in enumerate(x.shape)]
    gamma, beta, mean, variance = (p.reshape(broadcastable) for p in (gamma, beta, mean, variance))
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def batch_normalization(x, gamma, beta, axis, epsilon):
    kept = [axis % x.ndim] if isinstance(axis, int) else axis
    averaged = tuple(a for a in range(x.ndim) if a not in kept)
    mean, variance = x.mean(axis=averaged), x.var(axis=averaged)
    return standardize(x, gamma, beta, mean, variance, axis, epsilon), mean, variance


@st.composite
def channels_in_groups(draw):
    """x with two channels in each of one to three groups, on the last axis."""
    groups = draw(st.integers(1, 3))
    x = draw(distinct((*draw(shapes(min_dims=1, max_dims=2, min_side=1)), 2 * groups)))
    parameters = [draw(arrays((2 * groups,))) for _ in range(2)]
    return (x, *parameters), {"groups": groups, "axis": draw(st.sampled_from([-1, x.ndim - 1])), "epsilon": 0.01}


def group_normalization(x, gamma, beta, groups, axis, epsilon):
    parts = x.reshape(*x.shape[:-1], groups, 2)
    averaged = tuple(a for a in range(1, parts.ndim) if a != x.ndim - 1)
    mean, variance = parts.mean(averaged, keepdims=True), parts.var(averaged, keepdims=True)
    return gamma * ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape) + beta


@st.composite
def images(draw, elements):
    """Images on one or two axes, and how they are pooled, with some of the arguments left out."""
    axes = draw(st.integers(1, 2))
    window, strides = (draw(st.tuples(*[st.integers(1, 3)] * axes)) for _ in range(2))
    sizes = [draw(st.integers(k, k + 3)) for k in window]
    keywords = {"pool_size": window, "strides": strides, "padding": draw(st.sampled_from(["valid", "same"]))}
    keywords["data_format"] = draw(st.sampled_from([None, "channels_last", "channels_first"]))
    shape = [draw(st.integers(0, 2)), *sizes]
    shape.insert(1 if keywords["data_format"] == "channels_first" else len(shape), draw(st.integers(1, 2)))
    for name in draw(st.sets(st.sampled_from(["strides", "padding"]))):
        del keywords[name]
    return (draw(elements(tuple(shape))),), keywords


def pooling(f):
    """f over each window; the padding is NaN, which `f` leaves out."""

    def reference(x, pool_size, strides=None, padding="valid", data_format=None):
        strides = pool_size if strides is None else strides
        x = np.moveaxis(x, 1, -1) if data_format == "channels_first" else x
        margins = [(0, 0)] * len(pool_size)
        if padding == "same":
            each = zip(x.shape[1:-1], pool_size, strides, strict=True)
            totals = [max(0, (-(-n // s) - 1) * s + k - n) for n, k, s in each]
            margins = [(n // 2, n - n // 2) for n in totals]
        framed = np.pad(x, [(0, 0), *margins, (0, 0)], constant_values=np.nan)
        spatial = tuple(range(1, x.ndim - 1))
        every = np.lib.stride_tricks.sliding_window_view(framed, pool_size, spatial)
        y = f(every[:, *(slice(None, None, s) for s in strides)], tuple(range(x.ndim, every.ndim)))
        return np.moveaxis(y, -1, 1) if data_format == "channels_first" else y

    return reference


@st.composite
def rows(draw, parameters, min_side=1):
    """x, axes to normalize over, and parameters of their sizes; some of them left out."""
    x = draw(distinct(shapes(min_dims=1, min_side=min_side)))
    axis = draw(st.one_of(axis_of(x.ndim), axes_of(x.ndim).filter(lambda a: isinstance(a, tuple) and a)))
    sizes = tuple(x.shape[a] for a in over(x, axis))
    given = [draw(arrays(sizes)) for _ in range(draw(st.integers(0, parameters)))]
    return (x, *given), {"axis": axis, "epsilon": 0.01}


def over(x, axis):
    return tuple(sorted({a % x.ndim for a in np.atleast_1d(axis)}))


def spread(parameter, x, axis):
    """A parameter of the sizes on the axes as an array that broadcasts."""
    return np.reshape(parameter, [n if a in over(x, axis) else 1 for a, n in enumerate(x.shape)])


def layer_normalization(x, *parameters, axis, epsilon):
    gamma, beta = (*parameters, *[np.float64(1), np.float64(0)][len(parameters) :])
    gamma, beta = (spread(p, x, axis) if p.ndim else p for p in (gamma, beta))
    x_hat = (x - x.mean(over(x, axis), keepdims=True)) / np.sqrt(x.var(over(x, axis), keepdims=True) + epsilon)
    return gamma * x_hat + beta


def rms_normalization(x, *scale, axis, epsilon):
    gamma = spread(scale[0], x, axis) if scale else 1
    return gamma * x / np.sqrt((x**2).mean(over(x, axis), keepdims=True) + epsilon)


def normalize(x, axis, epsilon):
    return x / np.maximum(np.sqrt((x**2).sum(over(x, axis), keepdims=True)), epsilon)


def alpha_dropout(x, rate, seed):
    saturated = -1.0507009873554805 * 1.6732632423543772
    a = ((1 - rate) * (1 + rate * saturated**2)) ** -0.5
    kept = np.random.default_rng(seed).random(x.shape) >= rate
    return a * np.where(kept, x, saturated) - a * saturated * rate


def normal(x, seed):
    return np.random.default_rng(seed).standard_normal(x.shape)


def dropout(x, rate, seed):
    return np.where(np.random.default_rng(seed).random(x.shape) >= rate, x / (1 - rate), 0)


def rrelu(x, training, seed):
    return np.where(x > 0, x, (1 / 8 + (1 / 3 - 1 / 8) * np.random.default_rng(seed).random(x.shape)) * x)


LOSSES_AND_LAYERS = [
    Row(
        "softmax_crossentropy",
        logits_and_targets(),
        lambda logits, targets: -(targets * special.log_softmax(logits, -1)).sum(-1),
    ),
    Row("sparse_softmax_crossentropy", logits_and_labels(), sparse_crossentropy),
    Row(
        "sigmoid_crossentropy",
        logits_and_truths(),
        lambda x, t: -t * np.log(special.expit(x)) - (1 - t) * np.log(special.expit(-x)),
    ),
    Row("batch_normalization", batches(2), batch_normalization),
    Row("standardize", batches(4), standardize),
    Row("group_normalization", channels_in_groups(), group_normalization),
    Row("layer_normalization", rows(2), layer_normalization),
    Row("rms_normalization", rows(1), rms_normalization),
    # A vector of one element is 1 or −1, whatever it is: its derivatives are 0 but for rounding.
    Row("normalize", rows(0, min_side=2), normalize),
    Row("max_pool", images(distinct), pooling(np.nanmax)),
    Row("average_pool", images(arrays), pooling(np.nanmean)),
    # Noise of another float type is other noise, so that float32 and float64 do not compare.
    Row("dropout", of(arrays(), rate=0.4, seed=3), dropout, options={"single": False}),
    Row("dropout", of(arrays(), rate=0.0), lambda x, rate: x, "of nothing"),
    Row("alpha_dropout", of(arrays(), rate=0.4, seed=3), alpha_dropout, options={"single": False}),
    Row("alpha_dropout", of(arrays(), rate=0.0), lambda x, rate: x, "of nothing"),
    Row(
        "gaussian_dropout",
        of(arrays(), rate=0.2, seed=3),
        lambda x, rate, seed: x * (1 + 0.5 * normal(x, seed)),
        options={"single": False},
    ),
    Row("gaussian_dropout", of(arrays(), rate=0.0), lambda x, rate: x, "of nothing"),
    Row(
        "gaussian_noise",
        of(arrays(), stddev=0.2, seed=3),
        lambda x, stddev, seed: x + 0.2 * normal(x, seed),
        options={"single": False},
    ),
    Row("gaussian_noise", of(arrays(), stddev=0.0), lambda x, stddev: x, "of nothing"),
    Row("rrelu", of(arrays(away_from=[0])), lambda x: np.where(x > 0, x, (1 / 8 + 1 / 3) / 2 * x)),
    Row("rrelu", of(arrays(away_from=[0]), training=True, seed=3), rrelu, "in training", options={"single": False}),
]

# ---- Convolutions --------------------------------------------------------------------------------------------------


@st.composite
def images(draw, kernel):
    """Images with their channels first or last, and kernels of the shapes that `kernel(channels)` gives."""
    window = draw(st.tuples(*[st.integers(1, 3)] * draw(st.integers(1, 2))))
    strides, dilation = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2), (2, 2)]))
    sizes = [(k - 1) * dilation + 1 + draw(st.integers(0, 2)) for k in window]
    channels = draw(st.sampled_from([2, 4]))
    n, padding = draw(st.integers(0, 2)), draw(st.sampled_from(["valid", "same", "SAME"]))
    data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
    last = data_format == "channels_last"
    x = draw(arrays((n, *sizes, channels) if last else (n, channels, *sizes)))
    several = draw(st.booleans())
    keywords = {
        "strides": (strides,) * len(window) if several else strides,
        "padding": padding,
        "data_format": data_format,
        "dilation_rate": [dilation] * len(window) if several else dilation,
    }
    return (x, *(draw(arrays(shape)) for shape in kernel(window, channels))), keywords


def convolution(x, *ws, strides, padding, data_format, dilation_rate, depthwise=False):
    """Frame the images, then one product of a window with the kernel for each position."""
    if data_format == "channels_first":
        x = np.moveaxis(x, 1, -1)
    (w, *pointwise), axes = ws, x.ndim - 2
    window, strides, dilation = w.shape[:axes], np.ones(axes, int) * strides, np.ones(axes, int) * dilation_rate
    if padding.lower() == "same":
        each = zip(x.shape[1:], window, strides, dilation, strict=False)
        totals = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in each]
        x = np.pad(x, [(0, 0), *((total // 2, total - total // 2) for total in totals), (0, 0)])
    each = zip(x.shape[1:], window, strides, dilation, strict=False)
    outputs = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in each]
    groups = 1 if depthwise else x.shape[-1] // w.shape[-2]
    filters = w.shape[-2] * w.shape[-1] if depthwise else w.shape[-1]
    y = np.zeros((len(x), *outputs, filters))
    for o in np.ndindex(*outputs):
        each = zip(o, strides, window, dilation, strict=True)
        seen = x[:, *(slice(a * s, a * s + (k - 1) * d + 1, d) for a, s, k, d in each)]
        if depthwise:
            y[:, *o] = (seen[..., None] * w).sum(tuple(range(1, 1 + axes))).reshape(len(x), filters)
        else:
            parts = zip(np.split(seen, groups, -1), np.split(w, groups, -1), strict=True)
            y[:, *o] = np.concatenate([np.tensordot(a, b, axes + 1) for a, b in parts], -1)
    y = y @ pointwise[0].reshape(pointwise[0].shape[-2:]) if pointwise else y
    return np.moveaxis(y, -1, 1) if data_format == "channels_first" else y


@st.composite
def smaller_images(draw):
    x, w, arguments = draw(images(lambda window, channels: [(*window, 3, channels)]).map(lambda c: (*c[0], c[1])))
    strides = arguments["strides"] if isinstance(arguments["strides"], int) else arguments["strides"][0]
    extra = draw(st.sampled_from([None, *range(strides)]))
    return (x, w), arguments | {"output_padding": extra, "padding": arguments["padding"].lower()}


def transposed_convolution(x, w, strides, padding, data_format, dilation_rate, output_padding):
    """Each input puts its multiple of the window into an image, whose ends are then cut off, or lengthened."""
    if data_format == "channels_first":
        x = np.moveaxis(x, 1, -1)
    axes = x.ndim - 2
    sizes, window = x.shape[1:-1], w.shape[:axes]
    strides, dilation = (np.ones(axes, int) * strides).tolist(), (np.ones(axes, int) * dilation_rate).tolist()
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    full = np.zeros((len(x), *((n - 1) * s + span for n, s, span in zip(sizes, strides, spans, strict=True)), 3))
    for o in np.ndindex(*sizes):
        each = zip(o, strides, spans, dilation, strict=True)
        place = full[:, *(slice(a * s, a * s + span, d) for a, s, span, d in each)]
        place += np.tensordot(x[:, *o], w, (1, axes + 1))
    for axis, (n, s, span) in enumerate(zip(sizes, strides, spans, strict=True), start=1):
        if padding == "valid":
            total = -max(s - span, 0) if output_padding is None else -output_padding
        else:
            total = full.shape[axis] - (n * s if output_padding is None else (n - 1) * s + span % 2 + output_padding)
        before = max(total // 2, 0)
        full = np.concatenate([full, np.zeros_like(full)], axis)
        length = full.shape[axis] // 2 - total
        full = full[(slice(None),) * axis + (slice(before, before + length),)]
    return np.moveaxis(full, -1, 1) if data_format == "channels_first" else full


CONVOLUTIONS = [
    Row("conv", images(lambda window, channels: [(*window, channels, 3)]), convolution),
    Row("conv", images(lambda window, channels: [(*window, channels // 2, 4)]), convolution, "in two groups"),
    Row(
        "depthwise_conv",
        images(lambda window, channels: [(*window, channels, 2)]),
        functools.partial(convolution, depthwise=True),
    ),
    Row(
        "separable_conv",
        images(lambda window, channels: [(*window, channels, 1), (*[1] * len(window), channels, 3)]),
        functools.partial(convolution, depthwise=True),
    ),
    Row(
        "conv_transpose",
        smaller_images().filter(lambda case: transposed_convolution(*case[0], **case[1]).size or not len(case[0][0])),
        transposed_convolution,
    ),
]

TABLE = [*ELEMENTWISE, *ALONG_AXES, *MOVING, *PRODUCTS, *LOSSES_AND_LAYERS, *CONVOLUTIONS]

# These take their tensors in another way than one after the other.
CALLS = {
    "concatenate": lambda *xs, axis: ops.concatenate(xs, axis),
    "stack": lambda *xs, axis: ops.stack(xs, axis),
    "einsum": lambda *xs, subscripts: ops.einsum(subscripts, *xs),
}


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_operation(row):
    operation = CALLS.get(row.name, getattr(ops, row.name))

    @given(row.cases)
    def holds(case):
        inputs, keywords = case

        check_function(
            functools.partial(operation, **keywords),
            inputs,
            functools.partial(row.reference, **keywords),
            kind="operations",
            **row.options,
        )

    holds()


# ---- Operations without a derivative -------------------------------------------------------------------------------

some = of(arrays())
WITHOUT_DERIVATIVE = [
    Row("floor", some, np.floor),
    Row("ceil", some, np.ceil),
    Row("round", some, np.round),
    Row("isnan", some, np.isnan),
    Row("isinf", some, np.isinf),
    Row("isfinite", some, np.isfinite),
    Row("logical_not", some, np.logical_not),
    Row("logical_and", pairs(), np.logical_and),
    Row("logical_or", pairs(), np.logical_or),
    Row("equal", pairs(), np.equal),
    Row("not_equal", pairs(), np.not_equal),
    Row("less", pairs(), np.less),
    Row("less_equal", pairs(), np.less_equal),
    Row("greater", pairs(), np.greater),
    Row("greater_equal", pairs(), np.greater_equal),
    Row("argmax", along_axis(), np.argmax),
    Row("argmin", along_axis(), np.argmin),
    Row("argsort", along_axis(), lambda x, axis: np.argsort(x, axis, kind="stable")),
    Row("any", reductions(), np.any),
    Row("all", reductions(), np.all),
]


@pytest.mark.parametrize("row", WITHOUT_DERIVATIVE, ids=str)
def test_operation_without_derivative(row):
    operation = getattr(ops, row.name)

    @given(row.cases)
    def holds(case):
        inputs, keywords = case
        y, expected = operation(*inputs, **keywords), row.reference(*inputs, **keywords)
        assert y.dtype == expected.dtype
        assert np.array_equal(y.data, expected)
        _, pull = minidl.vjp(lambda *xs: operation(*xs, **keywords), *inputs)
        with pytest.raises(NotDifferentiableError, match=row.name):
            pull(np.ones(y.shape))

    holds()


# ---- Operations that make tensors, or leave them -------------------------------------------------------------------


class TestMakingTensors:
    @pytest.mark.parametrize("shape", [(), 3, (2, 0), [2, 3]])
    def test_zeros_ones_full(self, shape):
        for made, value in [(ops.zeros(shape), 0), (ops.ones(shape), 1), (ops.full(shape, 2.5), 2.5)]:
            assert np.array_equal(made.data, np.full(shape, value))
            assert made.dtype == "float32"
        assert ops.zeros(shape, "int32").dtype == ops.ones(shape, "int32").dtype == ops.full(shape, 1, "int32").dtype

    def test_zeros_like_and_ones_like(self):
        x = np.arange(6).reshape(2, 3)
        assert ops.zeros_like(x).tolist() == [[0, 0, 0], [0, 0, 0]]
        assert ops.ones_like(x).dtype == x.dtype
        assert ops.ones_like(Tensor(x), "float32").dtype == "float32"

    def test_eye(self):
        assert ops.eye(2).tolist() == [[1, 0], [0, 1]]
        assert ops.eye(2, 3, "int8").tolist() == [[1, 0, 0], [0, 1, 0]]
        assert ops.eye(2).dtype == "float32"

    def test_arange(self):
        assert ops.arange(3).tolist() == [0, 1, 2]
        assert ops.arange(1, 7, 2).tolist() == [1, 3, 5]
        assert ops.arange(4, step=2).tolist() == [0, 2]
        assert ops.arange(0, 1, 0.5).dtype == "float32"
        assert ops.arange(3, dtype="float64").dtype == "float64"

    def test_one_hot(self):
        y = ops.one_hot([[0, 2], [3, -1]], 3)
        assert y.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]]
        assert y.dtype == "float32"
        assert ops.one_hot([1], 2, "int8").dtype == "int8"

    def test_shape_and_convert_to_numpy(self):
        assert ops.shape([[1, 2, 3]]) == (1, 3)
        assert (ops.size([[1, 2, 3]]), ops.size(2.0), ops.size(np.ones((0, 3)))) == (3, 1, 0)
        assert ops.size(minidl.Input((3,))) is None
        array = ops.convert_to_numpy(Tensor([1.0, 2.0]))
        assert type(array) is np.ndarray
        assert array.tolist() == [1, 2]

    def test_stop_gradient(self):
        # d(x·stop(x))/dx = x instead of 2x.
        gradient = minidl.grad(lambda x: ops.sum(x * ops.stop_gradient(x)))
        assert gradient(np.array([3.0, 4.0])).tolist() == [3, 4]


MAKING = {
    "arange", "convert_to_numpy", "eye", "full", "one_hot", "ones", "ones_like", "shape", "size", "stop_gradient",
    "zeros", "zeros_like",
}  # fmt: skip

# Those of lists, in test_clipping.py.
OF_LISTS = {"clip_by_global_norm", "global_norm"}


def test_no_operation_is_missing_from_the_tables():
    tested = {row.name for row in TABLE + WITHOUT_DERIVATIVE} | MAKING | OF_LISTS
    functions = {getattr(ops, name) for name in tested}
    public = {name for name, value in vars(ops).items() if name[0] != "_" and not isinstance(value, types.ModuleType)}
    # An alias, as `abs` of `absolute`, is the same function under a second name.
    assert not {name for name in public - tested if getattr(ops, name) not in functions}
    assert tested <= public
