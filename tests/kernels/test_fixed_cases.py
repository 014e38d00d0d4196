"""What a dozen random examples may miss: every axis of another size, kinks under the complex step, types of arrays."""

import numpy as np
import pytest

from minidl import kernels
from minidl.kernels.kernel import normalize_axes, sum_axes
from minidl.kernels.reductions import shift_to_max
from minidl.memory import Heap
from minidl.testing import check_kernel

EINSUM = ["ij,jk,kl->il", "ij,jk->ki", "bij,bjk->bik", "iij,jk->k", "ijk->ki", "ij,k->j"]


def some(*shape):
    """Generic numbers, no two of them equal, none close to 0."""
    rng = np.random.default_rng(shape)
    return rng.permutation(np.linspace(0.4, 2.0, int(np.prod(shape)))).reshape(shape) * rng.choice([-1, 1], shape)


def forward(kernel, *inputs):
    return kernel.forward(Heap(), *inputs)[0]


def gradients(kernel, *inputs):
    """The gradients for a cotangent of ones."""
    y, saved = kernel.forward(Heap(), *inputs)
    return kernel.backward(Heap(), np.ones_like(y), saved)


@pytest.mark.parametrize(
    ("kernel", "inputs"),
    [
        (kernels.Sum(1), [some(2, 3, 4)]),
        (kernels.Mean(1), [some(2, 3, 4)]),
        (kernels.Variance(1), [some(2, 3, 4)]),
        (kernels.StandardDeviation(1), [some(2, 3, 4)]),
        (kernels.Max(1), [some(2, 3, 4)]),
        (kernels.Prod(0), [some(2, 3, 4)]),
        (kernels.Prod((2, 0)), [some(2, 3, 4)]),
        (kernels.LogSumExp(1), [some(2, 3, 4)]),
        (kernels.CumSum(1), [some(2, 3, 4)]),
        (kernels.Transpose((1, 2, 0)), [some(2, 3, 4)]),
        (kernels.BroadcastTo((2, 3, 4)), [some(3, 1)]),
        (kernels.Concatenate(1), [some(2, 3, 4), some(2, 1, 4)]),
        (kernels.Stack(1), [some(2, 3), some(2, 3)]),
        (kernels.Split((1, 3), 1), [some(2, 4, 3)]),
        (kernels.Pad(((0, 1), (2, 0), (1, 1))), [some(2, 3, 4)]),
        (kernels.Flip(1), [some(2, 3, 4)]),
        (kernels.Repeat(2, 1), [some(3, 4, 2)]),
        (kernels.Tile((3, 2)), [some(2, 3, 4)]),
        (kernels.Take(1), [some(2, 3, 4), np.array([[2, 0], [2, -1]])]),
        (kernels.Sort(1), [some(2, 3, 4)]),
        (kernels.GetItem(([0, 0, 1], slice(None))), [some(2, 3)]),
        (kernels.MatMul(), [some(2, 3, 4), some(2, 4, 5)]),
        (kernels.MatMul(), [some(2, 3, 4), some(4, 5)]),
        (kernels.MatMul(), [some(3, 4), some(2, 4, 5)]),
        (kernels.MatMul(), [some(2, 3, 4), some(4)]),
        (kernels.BatchNormalization(axis=(1,)), [some(2, 3, 4), some(3), some(3)]),
        (kernels.BatchNormalization(axis=(0,)), [some(2, 3, 4), some(2), some(2)]),
        (kernels.Standardization(axis=(1,)), [some(2, 3, 4), some(3), some(3), some(3), some(3) ** 2]),
        (kernels.Standardization(axis=(0, 2)), [some(2, 3, 4), *(some(2, 4),) * 3, some(2, 4) ** 2]),
        (kernels.SoftmaxCrossentropy(), [some(2, 3), np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])]),
        (kernels.SparseSoftmaxCrossentropy(), [some(2, 3, 4), np.array([[0, 3, 1], [2, 2, 0]])]),
    ],
    ids=lambda value: str(value) if isinstance(value, kernels.Kernel) else " ".join(str(x.shape) for x in value),
)
def test_unequal_sizes(kernel, inputs):
    check_kernel(kernel, inputs)


@pytest.mark.parametrize("subscripts", EINSUM)
def test_einsum_of_unequal_sizes(subscripts):
    sizes = dict(zip("bijkl", (6, 2, 3, 4, 5), strict=True))
    names = subscripts.partition("->")[0].split(",")
    check_kernel(
        kernels.Einsum(subscripts),
        [some(*(sizes[letter] for letter in name)) for name in names],
        lambda *operands: np.einsum(subscripts, *operands),
    )


@pytest.mark.parametrize("direction", [1.0, -1.0])
class TestOnlyRealPartsDecide:
    """The Hessian-vector product takes x + ihv through `backward`, which must not choose another side of a kink."""

    @pytest.mark.parametrize(
        ("kernel", "kink"),
        [
            (kernels.Relu(), 0.0),
            (kernels.LeakyRelu(0.2), 0.0),
            (kernels.Elu(0.5), 0.0),
            (kernels.Selu(), 0.0),
            (kernels.HardSigmoid(), 3.0),
            (kernels.HardSigmoid(), -3.0),
            (kernels.Clip(-1.0, 2.0), -1.0),
            (kernels.Clip(-1.0, 2.0), 2.0),
            (kernels.GeneralRelu(0.1, 2.0, 0.5), 0.5),
            (kernels.GeneralRelu(0.1, 2.0, 0.5), 2.0),
        ],
        ids=repr,
    )
    def test_at_kinks(self, kernel, kink, direction):
        x, beside = np.array([kink]), np.array([kink + 1e-20j * direction])
        # The rounding of expm1 at a complex number leaves 1e-40.
        assert forward(kernel, beside).real == pytest.approx(forward(kernel, x), abs=1e-30)
        assert gradients(kernel, beside)[0].real == gradients(kernel, x)[0]

    def test_prelu(self, direction):
        assert gradients(kernels.PRelu(), np.array([1e-20j * direction]), np.array([0.3]))[0].real == 0.3

    def test_power_of_zero(self, direction):
        dx, da = gradients(kernels.Power(), np.array([1e-20j * direction]), np.array([0.0]))
        assert dx.real == da.real == 0

    @pytest.mark.parametrize("kernel", [kernels.Maximum(), kernels.Minimum()], ids=repr)
    def test_ties(self, kernel, direction):
        x, beside = np.array([1.0]), np.array([1 + 1e-20j * direction])
        assert [g.real for g in gradients(kernel, beside, x)] == [0.5, 0.5]
        assert [g.real for g in gradients(kernel, x, beside)] == [0.5, 0.5]

    @pytest.mark.parametrize("kernel", [kernels.Max(), kernels.Min()], ids=repr)
    def test_ties_within_an_array(self, kernel, direction):
        assert gradients(kernel, np.array([1 + 1e-20j * direction, 1.0]))[0].real.tolist() == [0.5, 0.5]

    def test_sort(self, direction):
        x = np.array([1 + 1e-20j * direction, 1 - 1e-20j * direction])
        assert forward(kernels.Sort(), x).tolist() == x.tolist()

    def test_dropout(self, direction):
        assert forward(kernels.Dropout(0.5), np.ones(1), np.array([0.5 + 1e-20j * direction])) == 2

    @pytest.mark.parametrize(("name", "answer"), [("less", False), ("equal", True), ("greater_equal", True)])
    def test_questions(self, name, answer, direction):
        assert forward(kernels.NonDifferentiable(name), np.array(1 + 1e-20j * direction), np.array(1.0)) == answer


class TestTypes:
    @pytest.mark.parametrize("condition", [[2, 0, -1], [0.5, 0.0, np.nan]])
    def test_a_condition_holds_where_it_is_not_zero(self, condition):
        y = forward(kernels.Where(), np.array(condition), np.ones(3), np.zeros(3))
        assert y.tolist() == [1, 0, 1]

    @pytest.mark.parametrize(
        ("kernel", "inputs"),
        [
            (kernels.NonDifferentiable("argmax"), [np.arange(3)]),
            (kernels.GetItem(1), [np.arange(3.0)]),
            (kernels.Take(), [np.arange(3.0), np.array(1)]),
            (kernels.Flip(), [np.array(3.0)]),
            (kernels.Prod(), [np.arange(3.0)]),
            (kernels.Einsum("i,i->"), [np.arange(3.0), np.arange(3.0)]),
        ],
        ids=str,
    )
    def test_single_numbers_are_arrays(self, kernel, inputs):
        assert isinstance(forward(kernel, *inputs), np.ndarray)
        if not isinstance(kernel, kernels.NonDifferentiable):
            assert isinstance(gradients(kernel, *inputs)[0], np.ndarray)

    def test_sums_of_small_integers_over_leading_axes_do_not_overflow(self):
        assert sum_axes(Heap(), np.full((3, 2), 100, "int8"), (0,)).tolist() == [300, 300]

    def test_cast_of_a_complex_number_to_integers_takes_its_real_part(self):
        assert forward(kernels.Cast("int32"), np.array([1.7 + 1e-20j])).tolist() == [1]

    def test_what_was_cast_from_integers_gets_no_gradient(self):
        assert gradients(kernels.Cast("float64"), np.arange(3)) == (None,)


def test_axes_are_sorted():
    assert normalize_axes((2, -3), 3) == (0, 2)


def test_the_distance_to_an_infinite_maximum():
    shifted, top = shift_to_max(Heap(), np.array([[-np.inf, -np.inf], [np.inf, 3.0]]), (1,))
    assert shifted.tolist() == [[0, 0], [0, -np.inf]]
    assert top.tolist() == [[-np.inf], [np.inf]]


@pytest.mark.parametrize(("shape", "axes"), [((0, 3), (1,)), ((2, 0), (1,)), ((0, 3), (0,))])
def test_the_distance_of_nothing_to_its_maximum(shape, axes):
    shifted, top = shift_to_max(Heap(), np.empty(shape), axes)
    assert shifted.shape == shape
    assert np.array_equal(top, np.full([1 if a in axes else n for a, n in enumerate(shape)], -np.inf))


def test_sort_keeps_the_order_of_many_equal_elements():
    x = np.arange(1000) % 3
    order = kernels.Sort().forward(Heap(), x)[1]
    assert order.tolist() == sorted(range(1000), key=lambda k: x[k])
