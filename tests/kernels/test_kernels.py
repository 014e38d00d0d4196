# ruff: noqa: F405 - all kernels are imported by the star: each of them is in the table
"""One table lists each kernel with a strategy for its inputs and a naive reference; everything else follows from it.

What follows is told by `minidl.testing.check_kernel`: the value equals the reference, the gradient the complex step,
the second derivative a difference quotient, Heap equals Arena, a fused kernel its composition, and so on.

The references are written for reading: one number at a time in plain Python where that is possible. The strategies stay
away from kinks and borders by construction.
"""

import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl import kernels
from minidl.errors import NotDifferentiableError
from minidl.kernels import *  # noqa: F403
from minidl.memory import Heap
from minidl.testing import (
    apart,
    arrays,
    axes_of,
    axis_of,
    booleans,
    broadcastable,
    check_forward,
    check_kernel,
    distinct,
    integers,
    matrices,
    probabilities,
    shapes,
)


@dataclass
class Row:
    """A kernel class, a strategy of (kernel, inputs), and `reference(*inputs, **hyperparameters)`."""

    kernel: type
    cases: st.SearchStrategy
    reference: Callable
    note: str = ""
    wrt: tuple[int, ...] | None = None

    def __str__(self):
        return f"{self.kernel.__name__} {self.note}".strip()


def of(kernel, *inputs):
    """A fixed kernel, and one strategy for each of its inputs."""
    return st.tuples(st.just(kernel), st.tuples(*inputs))


def each(f):
    """f, a function of numbers, for each element of arrays that broadcast."""

    def reference(*xs, **hyperparameters):
        elements = np.broadcast(*xs)
        return np.array([f(*values, **hyperparameters) for values in elements]).reshape(elements.shape)

    return reference


# ---- Elementary functions ------------------------------------------------------------------------------------------

ELEMENTARY = [
    Row(Negative, of(Negative(), arrays()), each(lambda x: -x)),
    Row(Square, of(Square(), arrays()), each(lambda x: x**2)),
    Row(Sqrt, of(Sqrt(), arrays(low=0.1)), each(math.sqrt)),
    Row(Absolute, of(Absolute(), arrays(away_from=[0])), each(abs)),
    Row(Sign, of(Sign(), arrays(away_from=[0])), each(lambda x: 1 if x > 0 else -1)),
    Row(Clip, of(Clip(-1, 2), arrays(away_from=[-1, 2])), each(lambda x, low, high: min(max(x, low), high))),
    Row(Clip, of(Clip(-math.inf, 1), arrays(away_from=[1])), each(lambda x, low, high: min(x, high)), "above"),
    Row(Exp, of(Exp(), arrays()), each(math.exp)),
    Row(Expm1, of(Expm1(), arrays()), each(math.expm1)),
    Row(Log, of(Log(), arrays(low=0.1)), each(math.log)),
    Row(Log1p, of(Log1p(), arrays(low=-0.9)), each(math.log1p)),
    Row(Sin, of(Sin(), arrays()), each(math.sin)),
    Row(Cos, of(Cos(), arrays()), each(math.cos)),
    Row(Tan, of(Tan(), arrays(low=-1.3, high=1.3)), each(math.tan)),
    Row(Arcsin, of(Arcsin(), arrays(low=-0.9, high=0.9)), each(math.asin)),
    Row(Arccos, of(Arccos(), arrays(low=-0.9, high=0.9)), each(math.acos)),
    Row(Arctan, of(Arctan(), arrays()), each(math.atan)),
    Row(Sinh, of(Sinh(), arrays()), each(math.sinh)),
    Row(Cosh, of(Cosh(), arrays()), each(math.cosh)),
    Row(Tanh, of(Tanh(), arrays()), each(math.tanh)),
    Row(Arcsinh, of(Arcsinh(), arrays()), each(math.asinh)),
    Row(Arccosh, of(Arccosh(), arrays(low=1.1)), each(math.acosh)),
    Row(Arctanh, of(Arctanh(), arrays(low=-0.9, high=0.9)), each(math.atanh)),
    Row(Erf, of(Erf(), arrays()), each(math.erf)),
]

# ---- Arithmetic of two arrays --------------------------------------------------------------------------------------


@st.composite
def pairs(draw, kernel, first=arrays, second=arrays):
    a, b = draw(broadcastable(2))
    return kernel, (draw(first(a)), draw(second(b)))


@st.composite
def pairs_apart(draw, kernel):
    return kernel, draw(apart(*draw(broadcastable(2))))


@st.composite
def choices(draw):
    condition, a, b = draw(broadcastable(3))
    truth = draw(st.sampled_from([booleans(condition), integers(condition, 0, 2)]))
    return Where(), (draw(truth), draw(arrays(a)), draw(arrays(b)))


def positive(shape):
    return arrays(shape, low=0.2)


def not_zero(shape):
    return arrays(shape, away_from=[0], gap=0.2)


def whole(shape):
    return integers(shape, -2, 3, np.float64)


ARITHMETIC = [
    Row(Add, pairs(Add()), each(lambda a, b: a + b)),
    Row(Subtract, pairs(Subtract()), each(lambda a, b: a - b)),
    Row(Multiply, pairs(Multiply()), each(lambda a, b: a * b)),
    Row(Divide, pairs(Divide(), arrays, not_zero), each(lambda a, b: a / b)),
    Row(Power, pairs(Power(), positive, arrays), each(lambda x, a: x**a)),
    # A negative base has real powers for whole exponents only, so there is no derivative for the exponent.
    Row(Power, pairs(Power(), not_zero, whole), each(lambda x, a: x**a), "of negative numbers", wrt=(0,)),
    Row(Maximum, pairs_apart(Maximum()), each(max)),
    Row(Minimum, pairs_apart(Minimum()), each(min)),
    Row(Where, choices(), each(lambda condition, a, b: a if condition else b)),
]

# ---- Activations ---------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def elu(x, alpha=1.0):
    return x if x > 0 else alpha * math.expm1(x)


def general_relu(x, negative_slope, max_value, threshold):
    if x >= max_value:
        return max_value
    return x if x >= threshold else negative_slope * (x - threshold)


def tanh_gelu(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x, axis):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


@st.composite
def with_alpha(draw):
    """x, and one α for all elements, for each column, or for each element."""
    shape = draw(shapes())
    alpha = tuple(draw(st.sampled_from([1, n])) for n in shape[draw(st.integers(0, len(shape))) :])
    return PRelu(), (draw(arrays(shape, away_from=[0])), draw(arrays(alpha)))


@st.composite
def along_axis(draw, kernel):
    x = draw(arrays(shapes(min_dims=1)))
    axis = draw(st.one_of(axis_of(x.ndim), axes_of(x.ndim).filter(lambda a: isinstance(a, tuple) and a)))
    return kernel(axis), (x,)


ACTIVATIONS = [
    Row(Sigmoid, of(Sigmoid(), arrays()), each(sigmoid)),
    Row(
        HardSigmoid,
        of(HardSigmoid(), arrays(low=-5, high=5, away_from=[-3, 3])),
        each(lambda x: min(max(x / 6 + 0.5, 0), 1)),
    ),
    Row(Relu, of(Relu(), arrays(away_from=[0])), each(lambda x: max(x, 0))),
    Row(GeneralRelu, of(GeneralRelu(0.1, 2.0, 0.5), arrays(away_from=[0.5, 2])), each(general_relu)),
    Row(GeneralRelu, of(GeneralRelu(), arrays(away_from=[0])), each(general_relu), "by default"),
    Row(GeneralRelu, of(GeneralRelu(0.5, 1.0, -1.0), arrays(away_from=[-1, 1])), each(general_relu), "below 0"),
    Row(
        LeakyRelu,
        of(LeakyRelu(0.3), arrays(away_from=[0])),
        each(lambda x, negative_slope: x if x > 0 else negative_slope * x),
    ),
    Row(PRelu, with_alpha(), each(lambda x, alpha: x if x > 0 else alpha * x)),
    Row(Elu, of(Elu(), arrays(away_from=[0])), each(elu)),
    Row(Elu, of(Elu(0.5), arrays(away_from=[0])), each(elu), "with α"),
    Row(Selu, of(Selu(), arrays(away_from=[0])), each(lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772))),
    Row(Gelu, of(Gelu(), arrays()), each(lambda x: x * statistics.NormalDist().cdf(x))),
    Row(TanhGelu, of(TanhGelu(), arrays()), each(tanh_gelu)),
    Row(TanhShrink, of(TanhShrink(), arrays()), each(lambda x: x - math.tanh(x))),
    Row(Silu, of(Silu(), arrays()), each(lambda x, beta: x * sigmoid(x))),
    Row(Silu, of(Silu(1.7), arrays()), each(lambda x, beta: x * sigmoid(beta * x)), "with β"),
    Row(Mish, of(Mish(), arrays()), each(lambda x: x * math.tanh(math.log(1 + math.exp(x))))),
    Row(Softplus, of(Softplus(), arrays()), each(lambda x: math.log(1 + math.exp(x)))),
    Row(Softsign, of(Softsign(), arrays(away_from=[0])), each(lambda x: x / (1 + abs(x)))),
    Row(Softmax, along_axis(Softmax), softmax),
    Row(LogSoftmax, along_axis(LogSoftmax), lambda x, axis: np.log(softmax(x, axis))),
]

# ---- Reductions ----------------------------------------------------------------------------------------------------


def over_axes(f):
    """f, a function of a list of numbers, over `axis`."""

    def reference(x, axis, keepdims):
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        reduced = {a % x.ndim for a in axes}
        y = np.empty([1 if a in reduced else n for a, n in enumerate(x.shape)])
        for index in np.ndindex(y.shape):
            elements = x[tuple(slice(None) if a in reduced else i for a, i in enumerate(index))]
            y[index] = f(np.ravel(elements).tolist())
        return y if keepdims else y.reshape([n for a, n in enumerate(y.shape) if a not in reduced])

    return reference


@st.composite
def reductions(draw, kernel, elements=arrays, min_side=0):
    shape = draw(shapes(min_side=min_side))
    return kernel(draw(axes_of(len(shape))), draw(st.booleans())), (draw(elements(shape)),)


def reduces_more_than_one(case):
    """The standard deviation of one number is 0, where the root has no derivative."""
    kernel, (x,) = case
    return x.size != over_axes(len)(x, kernel.axis, True).size


@st.composite
def along_one_axis(draw, kernel, elements=arrays):
    x = draw(elements(shapes(min_dims=1)))
    return kernel(draw(axis_of(x.ndim))), (x,)


REDUCTIONS = [
    Row(Sum, reductions(Sum), over_axes(math.fsum)),
    Row(Mean, reductions(Mean), over_axes(lambda v: math.fsum(v) / len(v) if v else math.nan)),
    Row(Variance, reductions(Variance), over_axes(lambda v: statistics.pvariance(v) if v else math.nan)),
    Row(
        StandardDeviation,
        reductions(StandardDeviation, distinct).filter(reduces_more_than_one),
        over_axes(lambda v: statistics.pstdev(v) if v else math.nan),
    ),
    Row(Max, reductions(Max, distinct, min_side=1), over_axes(max)),
    Row(Min, reductions(Min, distinct, min_side=1), over_axes(min)),
    Row(Prod, reductions(Prod), over_axes(math.prod)),
    Row(
        LogSumExp,
        reductions(LogSumExp),
        over_axes(lambda v: math.log(math.fsum(map(math.exp, v))) if v else -math.inf),
    ),
    Row(CumSum, along_one_axis(CumSum), lambda x, axis: np.cumsum(x, axis)),
]

# ---- Linear algebra ------------------------------------------------------------------------------------------------


@st.composite
def products(draw, max_dims):
    a, b = draw(matrices(max_dims))
    return MatMul(), (draw(arrays(a)), draw(arrays(b)))


@st.composite
def stack_times_matrix(draw):
    shape = draw(shapes(min_dims=3, max_dims=4))
    return MatMul(), (draw(arrays(shape)), draw(arrays((shape[-1], draw(st.integers(0, 3))))))


@st.composite
def sparse_maps(draw):
    shape, units = draw(shapes(min_dims=2, max_dims=3)), draw(st.integers(1, 3))
    there = draw(hnp.arrays(bool, (units, max(1, shape[-1]))))
    columns, rows = np.nonzero(there)
    indptr = np.searchsorted(columns, np.arange(units + 1)).astype(np.int32)
    inputs = draw(arrays((*shape[:-1], there.shape[1]))), draw(arrays((len(rows),)))
    return SparseAffine(), (*inputs, rows.astype(np.int32), indptr, draw(arrays((units,))))


def sparse_affine(x, values, rows, indptr, b):
    w = np.zeros((x.shape[-1], len(b)), values.dtype)
    for j in range(len(b)):
        for k in range(indptr[j], indptr[j + 1]):
            w[rows[k], j] = values[k]
    return matmul(x, w) + b


@st.composite
def affine_maps(draw):
    shape, units = draw(shapes(min_dims=2, max_dims=3)), draw(st.integers(0, 3))
    return Affine(), (draw(arrays(shape)), draw(arrays((shape[-1], units))), draw(arrays((units,))))


def matmul(a, b):
    """Σₖ a[…, i, k]·b[…, k, j], with a vector as one row or one column."""
    rows = a if a.ndim > 1 else a[None, :]
    columns = b if b.ndim > 1 else b[:, None]
    y = (rows[..., :, :, None] * columns[..., None, :, :]).sum(axis=-2)
    y = y if a.ndim > 1 else y[..., 0, :]
    return y if b.ndim > 1 else y[..., 0]


SUMS_OF_PRODUCTS = [
    "ij,jk->ik", "ij,kj->ki", "bij,bjk->bik", "i,i->", "i,j->ij", "ij->ji", "ij->", "ij->j", "ii->i", "ii->", "iij->j",
    "ii,i->i", "ij,jk,kl->il", "i,i,i->i", "i,->i", "->", "ij,k->i", "ij,ij->ij", "ijj,ik->k",
]  # fmt: skip


@st.composite
def sums_of_products(draw):
    subscripts = draw(st.sampled_from(SUMS_OF_PRODUCTS))
    sizes = {letter: draw(st.integers(0, 3)) for letter in sorted(set(subscripts) - set(",->"))}
    names = subscripts.partition("->")[0].split(",")
    return Einsum(subscripts), tuple(draw(arrays(tuple(sizes[c] for c in name))) for name in names)


def einsum(*operands, subscripts):
    """One product for each choice of all letters, added up where the output's letters say."""
    inputs, output = subscripts.split("->")
    names = inputs.split(",")
    sizes = {c: n for name, x in zip(names, operands, strict=True) for c, n in zip(name, x.shape, strict=True)}
    y = np.zeros([sizes[c] for c in output])
    for position in itertools.product(*(range(n) for n in sizes.values())):
        at = dict(zip(sizes, position, strict=True))
        factors = [x[tuple(at[c] for c in name)] for name, x in zip(names, operands, strict=True)]
        y[tuple(at[c] for c in output)] += math.prod(factors)
    return y


LINEAR_ALGEBRA = [
    Row(MatMul, products(max_dims=2), matmul, "of matrices and vectors"),
    Row(MatMul, products(max_dims=4), matmul, "of stacks that broadcast"),
    Row(MatMul, stack_times_matrix(), matmul, "of a stack and one matrix"),
    Row(Affine, affine_maps(), lambda x, w, b: matmul(x, w) + b),
    Row(SparseAffine, sparse_maps(), sparse_affine),
    Row(Einsum, sums_of_products(), einsum),
]

# ---- Moving elements -----------------------------------------------------------------------------------------------


@st.composite
def reshapes(draw):
    x = draw(arrays())
    splits = [(x.size // n, n) for n in (1, 2, 3) if x.size % n == 0]
    return Reshape(draw(st.sampled_from([(x.size,), (x.size, 1), x.shape, x.shape[::-1], *splits]))), (x,)


@st.composite
def transposes(draw):
    x = draw(arrays())
    signs = [draw(st.sampled_from([0, x.ndim])) for _ in range(x.ndim)]
    order = draw(st.permutations(range(x.ndim)))
    axes = tuple(a - sign for a, sign in zip(order, signs, strict=True))
    return Transpose(draw(st.sampled_from([None, axes]))), (x,)


@st.composite
def broadcasts(draw):
    small, other = draw(broadcastable(2))
    return BroadcastTo(np.broadcast_shapes(small, other)), (draw(arrays(small)),)


@st.composite
def concatenations(draw):
    shape = draw(shapes(min_dims=1))
    axis = draw(axis_of(len(shape)))
    lengths = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = [(*shape[: axis % len(shape)], n, *shape[axis % len(shape) + 1 :]) for n in lengths]
    return Concatenate(axis), tuple(draw(arrays(part)) for part in parts)


@st.composite
def stacks(draw):
    shape = draw(shapes(max_dims=2))
    count = draw(st.integers(1, 3))
    return Stack(draw(axis_of(len(shape) + 1))), tuple(draw(arrays(shape)) for _ in range(count))


@st.composite
def splits(draw):
    x = draw(arrays(shapes(min_dims=1)))
    axis = draw(axis_of(x.ndim))
    cuts = sorted(draw(st.lists(st.integers(0, x.shape[axis]), max_size=3)))
    return Split(tuple(cuts), axis), (x,)


@st.composite
def frames(draw):
    x = draw(arrays(shapes(max_side=2)))
    widths = tuple(draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in range(x.ndim))
    return Pad(widths, draw(st.sampled_from([0.0, -1.5]))), (x,)


@st.composite
def flips(draw):
    x = draw(arrays())
    return Flip(draw(axes_of(x.ndim))), (x,)


@st.composite
def repeats(draw):
    x = draw(arrays(shapes(min_dims=1)))
    return Repeat(draw(st.integers(0, 3)), draw(axis_of(x.ndim))), (x,)


@st.composite
def tiles(draw):
    x = draw(arrays(shapes(max_dims=2)))
    return Tile(tuple(draw(st.lists(st.integers(0, 2), max_size=3)))), (x,)


MOVING = [
    Row(Cast, of(Cast(np.float64), arrays()), lambda x, dtype: x),
    Row(Reshape, reshapes(), lambda x, shape: np.array(x.ravel().tolist()).reshape(shape)),
    Row(Transpose, transposes(), lambda x, axes: np.transpose(x, axes)),
    Row(BroadcastTo, broadcasts(), lambda x, shape: np.zeros(shape) + x),
    Row(Concatenate, concatenations(), lambda *xs, axis: np.concatenate(xs, axis)),
    Row(Stack, stacks(), lambda *xs, axis: np.concatenate([np.expand_dims(x, axis) for x in xs], axis)),
    Row(Split, splits(), lambda x, cuts, axis: tuple(np.split(x, cuts, axis))),
    Row(Pad, frames(), lambda x, widths, value: np.pad(x, widths, constant_values=value) if x.ndim else x),
    Row(Flip, flips(), lambda x, axis: np.flip(x, axis)),
    Row(Repeat, repeats(), lambda x, repeats, axis: np.repeat(x, repeats, axis)),
    Row(Tile, tiles(), lambda x, repeats: np.tile(x, repeats)),
]

# ---- Picking elements ----------------------------------------------------------------------------------------------


@st.composite
def slices(draw):
    x = draw(arrays())
    return GetItem(draw(hnp.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=True))), (x,)


@st.composite
def picks(draw):
    """Arrays of integers that broadcast, with positions named twice, from the front and from the back; and masks."""
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    if draw(st.booleans()):
        return GetItem(draw(booleans(x.shape[: draw(st.integers(1, x.ndim))]))), (x,)
    result = draw(shapes(max_dims=2))
    indexed = draw(st.sampled_from(range(1, x.ndim + 1)))
    index = tuple(draw(integers(result, -n, n - 1)) for n in x.shape[:indexed])
    return GetItem(draw(st.sampled_from([index, (*index[:-1], slice(None)), index[0].tolist()]))), (x,)


@st.composite
def takes(draw):
    x = draw(arrays(shapes(min_dims=1)))
    axis = draw(axis_of(x.ndim))
    n = x.shape[axis]
    where = draw(shapes(max_dims=2)) if n else (0,)
    return Take(axis), (x, draw(integers(where, -n, n - 1)))


PICKING = [
    Row(GetItem, slices(), lambda x, index: np.asarray(x[index]), "of slices"),
    Row(GetItem, picks(), lambda x, index: x[index], "of integers and masks"),
    Row(Take, takes(), lambda x, indices, axis: x[(*[slice(None)] * (axis % x.ndim), indices)]),
    Row(Sort, along_one_axis(Sort, distinct), lambda x, axis: np.sort(x, axis)),
]

# ---- Cross-entropies -----------------------------------------------------------------------------------------------


@st.composite
def logits_and_targets(draw):
    shape = (*draw(shapes(max_dims=2)), draw(st.integers(1, 4)))
    return SoftmaxCrossentropy(), (draw(arrays(shape)), draw(st.one_of(probabilities(shape), arrays(shape))))


@st.composite
def logits_and_labels(draw):
    batch, classes = draw(shapes(max_dims=2)), draw(st.integers(1, 4))
    labels = integers(batch, 0, classes - 1, draw(st.sampled_from([np.int64, np.uint8])))
    return SparseSoftmaxCrossentropy(), (draw(arrays((*batch, classes))), draw(labels))


@st.composite
def logits_and_truths(draw):
    shape = draw(shapes())
    return SigmoidCrossentropy(), (draw(arrays(shape)), draw(arrays(shape, low=0, high=1)))


@st.composite
def probabilities_and_labels(draw):
    batch, classes = draw(shapes(max_dims=2)), draw(st.integers(1, 4))
    # At least two classes, or p/Σp is the constant 1, which is kept at 1 − ε.
    p = draw(arrays((*batch, classes + 1), low=0.1, high=2))
    return SparseCrossentropy(1e-7), (p, draw(integers(batch, 0, classes)))


def sparse_crossentropy_of_probabilities(p, labels, epsilon):
    """−ln of the share that the label's probability has, kept in [ε, 1 − ε]."""
    shares = [p[(*index, labels[index])] / max(p[index].sum(), epsilon) for index in np.ndindex(labels.shape)]
    return -np.log(np.clip(shares, epsilon, 1 - epsilon)).reshape(labels.shape)


def sparse_crossentropy(logits, labels):
    p = softmax(logits, -1)
    return -np.log([p[(*index, labels[index])] for index in np.ndindex(labels.shape)]).reshape(labels.shape)


def sigmoid_crossentropy(x, t):
    return -t * math.log(sigmoid(x)) - (1 - t) * math.log(1 - sigmoid(x))


CROSSENTROPIES = [
    Row(SoftmaxCrossentropy, logits_and_targets(), lambda x, t: -(t * np.log(softmax(x, -1))).sum(axis=-1)),
    Row(SparseSoftmaxCrossentropy, logits_and_labels(), sparse_crossentropy),
    Row(SparseCrossentropy, probabilities_and_labels(), sparse_crossentropy_of_probabilities),
    Row(SigmoidCrossentropy, logits_and_truths(), each(sigmoid_crossentropy)),
]

# ---- Normalization and noise ---------------------------------------------------------------------------------------


@st.composite
def kept_axes(draw, ndim):
    """The axes with statistics of their own: one, several or none, from the front or the back, sorted."""
    several = st.permutations(range(ndim)).flatmap(lambda order: st.sampled_from([order[:n] for n in range(ndim + 1)]))
    axes = draw(st.one_of(st.sampled_from([[a] for a in range(ndim)]), several))
    return tuple(a - draw(st.sampled_from([0, ndim])) for a in sorted(axes))


@st.composite
def batches(draw):
    shape = draw(shapes(min_dims=1))
    axis = draw(kept_axes(len(shape)))
    parameters = arrays(tuple(shape[a] for a in axis))
    kernel = BatchNormalization(draw(st.sampled_from([0.01, 0.2])), axis)
    return kernel, (draw(distinct(shape)), draw(parameters), draw(parameters))


@st.composite
def standardizations(draw):
    shape = draw(shapes(min_dims=1))
    axis = draw(kept_axes(len(shape)))
    sizes = tuple(shape[a] for a in axis)
    parameters = [draw(arrays(sizes)) for _ in range(3)]
    return Standardization(0.01, axis), (draw(arrays(shape)), *parameters, draw(arrays(sizes, low=0.2)))


def standardize(x, gamma, beta, mean, variance, epsilon, axis):
    """Element by element; a parameter has the position of the element on the kept axes."""
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        channel = tuple(index[a] for a in axis)
        x_hat = (x[index] - mean[channel]) / math.sqrt(variance[channel] + epsilon)
        y[index] = gamma[channel] * x_hat + beta[channel]
    return y


def batch_normalization(x, gamma, beta, epsilon, axis):
    """Mean and biased variance for each position on the kept axes; both 0 over nothing."""
    mean, variance = np.zeros(gamma.shape), np.zeros(gamma.shape)
    kept = [a % x.ndim for a in axis]
    for channel in np.ndindex(gamma.shape):
        at = dict(zip(kept, channel, strict=True))
        elements = x[tuple(at.get(a, slice(None)) for a in range(x.ndim))].ravel().tolist()
        if elements:
            mean[channel], variance[channel] = statistics.fmean(elements), statistics.pvariance(elements)
    return standardize(x, gamma, beta, mean, variance, epsilon, axis), mean, variance


@st.composite
def groupings(draw):
    """The channels on any axis but the first, in groups."""
    groups, size = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    batch, *others = draw(shapes(min_dims=1))
    where = draw(st.integers(0, len(others)))
    shape = (batch, *others[:where], groups * size, *others[where:])
    axis = 1 + where - draw(st.sampled_from([0, len(shape)]))
    kernel = GroupNormalization(groups, draw(st.sampled_from([0.01, 0.2])), axis)
    return kernel, (draw(distinct(shape)), *(draw(arrays((groups * size,))) for _ in range(2)))


def group_normalization(x, gamma, beta, groups, epsilon, axis):
    """Mean and biased variance over the channels of each group of each sample."""
    y = np.empty(x.shape)
    channels_last = np.moveaxis(x, axis, -1)
    size = x.shape[axis] // groups
    for n, channel in np.ndindex(len(x), x.shape[axis]):
        first = channel // size * size
        elements = channels_last[n, ..., first : first + size].ravel().tolist()
        if elements:
            x_hat = channels_last[n, ..., channel] - statistics.fmean(elements)
            x_hat = x_hat / math.sqrt(statistics.pvariance(elements) + epsilon)
            np.moveaxis(y, axis, -1)[n, ..., channel] = gamma[channel] * x_hat + beta[channel]
    return y


@st.composite
def rows_to_normalize(draw):
    """Any axes to normalize over, at least one; without centring also numbers that are all alike."""
    shape = draw(shapes(min_dims=1))
    axis = draw(kept_axes(len(shape)).filter(len))
    center = draw(st.booleans())
    parameters = arrays(tuple(shape[a] for a in axis))
    kernel = LayerNormalization(draw(st.sampled_from([0.01, 0.2])), axis, center)
    return kernel, (draw((distinct if center else arrays)(shape)), draw(parameters), draw(parameters))


def layer_normalization(x, gamma, beta, epsilon, axis, center):
    """Mean, or 0, and mean squared distance from it for each position on the other axes."""
    y = np.empty(x.shape)
    others = [a for a in range(x.ndim) if a not in {b % x.ndim for b in axis}]
    for position in np.ndindex(*(x.shape[a] for a in others)):
        at = dict(zip(others, position, strict=True))
        here = tuple(at.get(a, slice(None)) for a in range(x.ndim))
        elements = x[here].ravel().tolist()
        if elements:
            mean = statistics.fmean(elements) if center else 0.0
            square = statistics.fmean([(element - mean) ** 2 for element in elements])
            y[here] = gamma * (x[here] - mean) / math.sqrt(square + epsilon) + beta
    return y


@st.composite
def drops(draw, kernel):
    """x, and noise of its shape or of size 1 on some of its axes."""
    shape = draw(shapes())
    noise = tuple(draw(st.sampled_from([1, n])) for n in shape)
    return kernel(0.4), (draw(arrays(shape)), draw(arrays(noise, low=0, high=1, away_from=[0.4])))


def alpha_dropout(x, u, rate):
    """With the numbers of Klambauer et al. 2017: α′ = −1.7581, a and b as they are for a rate of 0.4."""
    alpha = -1.0507009873554805 * 1.6732632423543772
    a = (0.6 + alpha**2 * 0.6 * 0.4) ** -0.5
    return a * (x if u >= rate else alpha) - a * 0.4 * alpha


NORMALIZATION_AND_NOISE = [
    Row(BatchNormalization, batches(), batch_normalization),
    Row(Standardization, standardizations(), standardize),
    Row(GroupNormalization, groupings(), group_normalization),
    Row(LayerNormalization, rows_to_normalize(), layer_normalization),
    Row(Dropout, drops(Dropout), each(lambda x, u, rate: x / (1 - rate) if u >= rate else 0.0), wrt=(0,)),
    Row(AlphaDropout, drops(AlphaDropout), each(alpha_dropout), wrt=(0,)),
]

# ---- Convolutions --------------------------------------------------------------------------------------------------


@st.composite
def windows(draw):
    """A window on one or two axes: its sizes, strides, dilation and padding, and the sizes of a framed image."""
    rank = draw(st.integers(1, 2))

    def each(low, high):
        return draw(st.tuples(*[st.integers(low, high)] * rank))

    window, strides, dilation = each(1, 3), each(1, 3), each(1, 2)
    padding = tuple(zip(each(0, 2), each(0, 2), strict=True))
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    return window, strides, dilation, padding, [span + more for span, more in zip(spans, each(0, 3), strict=True)]


@st.composite
def convolutions(draw):
    window, strides, dilation, padding, framed = draw(windows().filter(unframed_is_not_negative))
    sizes = [n - sum(frame) for n, frame in zip(framed, padding, strict=True)]
    n, groups, channels, filters = (draw(st.integers(low, 2)) for low in (0, 1, 1, 1))
    x, w = arrays((n, *sizes, channels * groups)), arrays((*window, channels, filters * groups))
    return Convolution(strides, dilation, padding, groups), (draw(x), draw(w))


def unframed_is_not_negative(case):
    return all(n >= sum(frame) for n, frame in zip(case[-1], case[-2], strict=True))


@st.composite
def transposed_convolutions(draw):
    """What is drawn as the framed image is the output before it is cut."""
    window, strides, dilation, padding, framed = draw(windows().filter(unframed_is_not_negative))
    sizes, rest = zip(
        *(divmod(n - (k - 1) * d - 1, s) for n, k, d, s in zip(framed, window, dilation, strides, strict=True)),
        strict=True,
    )
    n, groups, channels, filters = (draw(st.integers(low, 2)) for low in (0, 1, 1, 1))
    x = arrays((n, *(size + 1 for size in sizes), filters * groups))
    kernel = ConvolutionTranspose(strides, dilation, padding, groups, rest)
    return kernel, (draw(x), draw(arrays((*window, channels, filters * groups))))


@st.composite
def depthwise_convolutions(draw):
    window, strides, dilation, padding, framed = draw(windows().filter(unframed_is_not_negative))
    sizes = [n - sum(frame) for n, frame in zip(framed, padding, strict=True)]
    n, channels = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    x, w = arrays((n, *sizes, channels)), arrays((*window, channels))
    return DepthwiseConvolution(strides, dilation, padding), (draw(x), draw(w))


def connections(x_sizes, y_sizes, window, strides, dilation, padding):
    """Where a convolution multiplies: (position in x, position in the window, position in y)."""
    for o in itertools.product(*map(range, y_sizes)):
        for p in itertools.product(*map(range, window)):
            each = zip(o, strides, p, dilation, padding, strict=True)
            at = tuple(a * s + b * d - before for a, s, b, d, (before, _) in each)
            if all(0 <= a < n for a, n in zip(at, x_sizes, strict=True)):
                yield at, p, o


def convolution(x, w, strides, dilation, padding, groups):
    """One product for each connection, input channel of a group, filter of that group, and image."""
    each = zip(x.shape[1:-1], padding, w.shape, dilation, strides, strict=False)
    sizes = [(n + sum(frame) - (k - 1) * d - 1) // s + 1 for n, frame, k, d, s in each]
    y = np.zeros((len(x), *sizes, w.shape[-1]))
    channels, filters = w.shape[-2], w.shape[-1] // groups
    for at, p, o in connections(x.shape[1:-1], sizes, w.shape[:-2], strides, dilation, padding):
        for g, c, f in itertools.product(range(groups), range(channels), range(filters)):
            f += g * filters
            y[:, *o, f] += x[:, *at, g * channels + c] * w[*p, c, f]
    return y


def transposed_convolution(x, w, strides, dilation, padding, groups, output_padding):
    """The connections of the convolution, walked the other way."""
    each = zip(x.shape[1:-1], strides, w.shape, dilation, padding, output_padding, strict=False)
    sizes = [(n - 1) * s + (k - 1) * d + 1 - sum(frame) + extra for n, s, k, d, frame, extra in each]
    channels, filters = w.shape[-2], w.shape[-1] // groups
    y = np.zeros((len(x), *sizes, channels * groups))
    for at, p, o in connections(sizes, x.shape[1:-1], w.shape[:-2], strides, dilation, padding):
        for g, c, f in itertools.product(range(groups), range(channels), range(filters)):
            f += g * filters
            y[:, *at, g * channels + c] += x[:, *o, f] * w[*p, c, f]
    return y


def depthwise_convolution(x, w, strides, dilation, padding):
    """A convolution of each channel by itself."""
    kernels = [w[..., c, None, None] for c in range(x.shape[-1])]
    parts = [convolution(x[..., c : c + 1], k, strides, dilation, padding, 1) for c, k in enumerate(kernels)]
    return np.concatenate(parts, axis=-1)


@st.composite
def same_convolutions(draw):
    n, height, width, channels, filters = (draw(st.integers(1, most)) for most in (3, 9, 9, 3, 3))
    inputs = [draw(arrays((n, height, width, channels))), draw(arrays((3, 3, channels, filters)))]
    bias = [draw(arrays((filters,)))] if draw(st.booleans()) else []
    return WinogradConvolution(draw(st.sampled_from([2, 4]))), (*inputs, *bias)


def same_convolution(x, w, bias=0.0, m=None):
    return convolution(x, w, (1, 1), (1, 1), ((1, 1), (1, 1)), 1) + bias


CONVOLUTIONS = [
    Row(Convolution, convolutions(), convolution),
    Row(WinogradConvolution, same_convolutions(), same_convolution),
    Row(ConvolutionTranspose, transposed_convolutions(), transposed_convolution),
    Row(DepthwiseConvolution, depthwise_convolutions(), depthwise_convolution),
]

# ---- Pooling -------------------------------------------------------------------------------------------------------


@st.composite
def poolings(draw, kernel, elements):
    """Windows side by side that fill the image, or of any step, reaching beyond the border by less than a window."""
    rank = draw(st.integers(1, 2))
    window = draw(st.tuples(*[st.integers(1, 3)] * rank))
    if draw(st.booleans()):
        strides, padding = window, ((0, 0),) * rank
        sizes = [draw(st.integers(1, 2)) * k for k in window]
    else:
        strides = draw(st.tuples(*[st.integers(1, 3)] * rank))
        padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in window)
        least = [max(1, k - sum(beyond)) for k, beyond in zip(window, padding, strict=True)]
        sizes = [draw(st.integers(n, n + 2)) for n in least]
    shape = (draw(st.integers(0, 2)), *sizes, draw(st.integers(1, 2)))
    return kernel(window, strides, padding), (draw(elements(shape)),)


def over_windows(f):
    """f, a function of a list of numbers, of the elements inside each window."""

    def reference(x, window, strides, padding):
        each = zip(x.shape[1:-1], padding, window, strides, strict=True)
        sizes = [(n + sum(beyond) - k) // s + 1 for n, beyond, k, s in each]
        y = np.empty((len(x), *sizes, x.shape[-1]))
        for n, *o, c in np.ndindex(y.shape):
            starts = [a * s - before for a, s, (before, _) in zip(o, strides, padding, strict=True)]
            inside = [slice(max(a, 0), a + k) for a, k in zip(starts, window, strict=True)]
            y[n, *o, c] = f(x[n, *inside, c].ravel().tolist())
        return y

    return reference


POOLING = [
    Row(MaxPooling, poolings(MaxPooling, distinct), over_windows(max)),
    Row(AveragePooling, poolings(AveragePooling, arrays), over_windows(statistics.fmean)),
]

# ---- Images cut out and turned -------------------------------------------------------------------------------------


@st.composite
def samplings(draw):
    """Places at quarters between pixels, never half way, where "nearest" has to choose; far beyond the border, too."""
    n, height, width, channels = (draw(st.integers(least, 4)) for least in (0, 1, 1, 1))
    interpolation = st.sampled_from(["bilinear", "nearest"])
    mode = st.sampled_from(["reflect", "wrap", "nearest", "constant"])
    kernel = AffineSampling(draw(interpolation), draw(mode), draw(st.sampled_from([0, 0.5])))
    whole = draw(hnp.arrays(np.int64, (n, 2, 3), elements=st.integers(-2, 2)))
    shift = draw(hnp.arrays(np.int64, (n, 2, 3), elements=st.integers(-7, 7)))
    quarters = draw(st.sampled_from([0.0, 0.25, -0.25]))
    transforms = whole + np.array([0.0, 0.0, quarters]) + shift * np.array([0, 0, 1])
    return kernel, (draw(arrays((n, height, width, channels))), transforms)


def beyond(image, i, j, fill_mode, fill_value):
    """A pixel, or what stands for one outside."""
    places = []
    for k, size in zip((i, j), image.shape, strict=False):
        if fill_mode == "constant" and not 0 <= k < size:
            return np.full(image.shape[2:], fill_value)
        period = list(range(size)) + (list(range(size))[::-1] if fill_mode == "reflect" else [])
        places.append(min(max(k, 0), size - 1) if fill_mode in ("nearest", "constant") else period[k % len(period)])
    return image[tuple(places)]


def sampled(x, transforms, interpolation, fill_mode, fill_value):
    """Pixel by pixel: the place in the old image, and what is there."""
    y = np.empty_like(x)
    for n, i, j in np.ndindex(x.shape[:3]):
        row, column = (a * i + b * j + c for a, b, c in transforms[n].tolist())
        top, left = math.floor(row), math.floor(column)
        weights = {
            (k, m): (1 - abs(row - k)) * (1 - abs(column - m)) for k in (top, top + 1) for m in (left, left + 1)
        }
        if interpolation == "nearest":
            weights = {max(weights, key=weights.get): 1}
        y[n, i, j] = sum(w * beyond(x[n], *place, fill_mode, fill_value) for place, w in weights.items())
    return y


@st.composite
def crops(draw):
    n, height, width, channels = (draw(st.integers(least, 4)) for least in (0, 1, 1, 1))
    size = draw(st.integers(1, height)), draw(st.integers(1, width))
    corners = [[draw(st.integers(0, height - size[0])), draw(st.integers(0, width - size[1]))] for _ in range(n)]
    return Crop(size), (draw(arrays((n, height, width, channels))), np.array(corners, int).reshape(n, 2))


def cropped(x, corners, size):
    windows = [x[k, top : top + size[0], left : left + size[1]] for k, (top, left) in enumerate(corners)]
    return np.array(windows).reshape(len(x), *size, x.shape[-1])


@st.composite
def flips(draw):
    x = draw(arrays(shapes(min_dims=2)))
    chosen = draw(hnp.arrays(bool, x.shape[:1]))
    return FlipSome(draw(st.integers(1, x.ndim - 1))), (x, chosen)


def flipped(x, chosen, axis):
    images = [np.flip(image, axis - 1) if yes else image for image, yes in zip(x, chosen, strict=True)]
    return np.array(images).reshape(x.shape)


IMAGES = [
    Row(AffineSampling, samplings(), sampled, wrt=(0,)),
    Row(FlipSome, flips(), flipped, wrt=(0,)),
    Row(Crop, crops(), cropped, wrt=(0,)),
]

TABLE = [
    *ELEMENTARY, *ARITHMETIC, *ACTIVATIONS, *REDUCTIONS, *LINEAR_ALGEBRA, *MOVING, *PICKING, *CROSSENTROPIES,
    *NORMALIZATION_AND_NOISE, *CONVOLUTIONS, *POOLING, *IMAGES,
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_kernel(row):
    @given(row.cases)
    def holds(case):
        kernel, inputs = case
        check_kernel(kernel, inputs, lambda *xs: row.reference(*xs, **vars(kernel)), wrt=row.wrt)

    holds()


# ---- Kernels without a derivative ----------------------------------------------------------------------------------


@st.composite
def questions(draw):
    """A NumPy function that answers with integers or truth values."""
    x = draw(arrays(shapes(min_dims=1, min_side=1)))
    name = draw(st.sampled_from(["argmax", "argmin", "argsort", "any", "isnan", "floor", "round", "logical_not"]))
    with_axis = name in ("argmax", "argmin", "argsort", "any")
    return NonDifferentiable(name, (("axis", draw(axis_of(x.ndim))),) if with_axis else ()), (x,)


def one_hot(labels, classes, dtype):
    y = np.zeros((*labels.shape, classes))
    for index in np.ndindex(labels.shape):
        if 0 <= labels[index] < classes:
            y[(*index, labels[index])] = 1
    return y


WITHOUT_DERIVATIVE = [
    Row(OneHot, of(OneHot(3), integers(shapes(), -1, 3)), one_hot),
    Row(OneHot, of(OneHot(0, np.float64), integers(shapes(), -1, 1)), one_hot, "without classes"),
    Row(
        NonDifferentiable,
        pairs(NonDifferentiable("less_equal"), whole, whole),
        lambda a, b, name, arguments: a <= b,
        "of two",
    ),
    Row(NonDifferentiable, questions(), lambda x, name, arguments: getattr(np, name)(x, **dict(arguments)), "of one"),
]


@pytest.mark.parametrize("row", WITHOUT_DERIVATIVE, ids=str)
def test_kernel_without_derivative(row):
    @given(row.cases)
    def holds(case):
        kernel, inputs = case
        check_forward(kernel, inputs, lambda *xs: row.reference(*xs, **vars(kernel)))
        with pytest.raises(NotDifferentiableError, match="not differentiable"):
            kernel.backward(Heap(), None, None)

    holds()


def test_no_kernel_is_missing_from_the_tables():
    # What is drawn at random is in test_noise.py, which measures its distribution.
    drawn = {"Drawn", "RandomNormal", "RandomUniform"}
    listed = {row.kernel.__name__ for row in TABLE + WITHOUT_DERIVATIVE} | {"Kernel"} | drawn
    assert listed == set(kernels.__all__)
