"""The checks of `minidl.testing` find what is wrong: a lie planted in each place where one can hide."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from minidl import layers, losses, ops, optimizers
from minidl.autodiff import apply
from minidl.errors import ArgumentError, MiniDLError
from minidl.kernels import Kernel
from minidl.testing import (
    PoisonedArena,
    ProofError,
    apart,
    arrays,
    axes_of,
    broadcastable,
    check_function,
    check_kernel,
    check_layer,
    check_loss,
    check_optimizer,
    distinct,
    integers,
    matrices,
    probabilities,
    proven,
    shapes,
)

X = np.array([[0.3, -1.7, 2.1], [1.1, 0.2, -0.7]])


@dataclass(frozen=True)
class Cube(Kernel):
    """y = x³: right, and the base of the wrong ones below."""

    def forward(self, memory, x):
        y = memory.like(x)
        np.multiply(x, x, out=y)
        return np.multiply(y, x, out=y), x

    def backward(self, memory, dy, x):
        return (np.multiply(3 * x * x, dy, out=memory.like(x)),)


class WrongSign(Cube):
    def backward(self, memory, dy, x):
        return (-3 * x * x * dy,)


class WrongInTheTenthDigit(Cube):
    def backward(self, memory, dy, x):
        return (3 * x * x * dy * (1 + 1e-9),)


class WrongForComplexNumbers(Cube):
    def backward(self, memory, dy, x):
        return (3 * x.real * x * dy,)


class Modulus(Cube):
    def forward(self, memory, x):
        return np.abs(x) ** 3 * np.sign(x.real), x


class ModifiesItsInput(Cube):
    def forward(self, memory, x):
        x *= 1
        return super().forward(memory, x)


class ModifiesItsCotangent(Cube):
    def backward(self, memory, dy, x):
        dy *= 3 * x * x
        return (dy,)


class UsesUpWhatItSaved(Cube):
    def forward(self, memory, x):
        return super().forward(memory, x)[0], 3 * x * x

    def backward(self, memory, dy, slope):
        slope *= dy
        return (slope,)


class BecomesFloat64(Cube):
    def backward(self, memory, dy, x):
        return (np.multiply(3 * x * x, dy).astype(np.result_type(x, np.float64)),)


class LosesDigitsInFloat32(Cube):
    def forward(self, memory, x):
        return (x + 1e4) - 1e4 + super().forward(memory, x)[0] - x, x


class ReadsBeforeWriting(Cube):
    def backward(self, memory, dy, x):
        dx = memory.like(x)
        dx *= 0
        dx += 3 * x * x * dy
        return (dx,)


class DependsOnTheLayout(Cube):
    def forward(self, memory, x):
        return super().forward(memory, x)[0] * (1 if x.flags.c_contiguous else 1 + 1e-9), x


class HasAnotherReference(Cube):
    def reference(self, ops, x):
        return x * x


class OneGradientTooMany(Cube):
    def backward(self, memory, dy, x):
        return (*super().backward(memory, dy, x), None)


class ForgetsAnAxis(Cube):
    def backward(self, memory, dy, x):
        return (super().backward(memory, dy, x)[0][0],)


class TestKernels:
    def test_a_right_one_is_counted(self):
        before = proven["kernels"]
        check_kernel(Cube(), [X], lambda x: x**3)
        assert proven["kernels"] == before + 1

    @pytest.mark.parametrize(
        ("kernel", "message"),
        [
            (WrongSign(), r"gradient of input 0 against the complex step: at \[\d, \d\] got .* expected"),
            (WrongInTheTenthDigit(), "gradient of input 0 against the complex step"),
            (WrongForComplexNumbers(), "Hessian-vector product for input 0"),
            (Modulus(), "gradient of input 0 against the complex step"),
            (BecomesFloat64(), "gradient of input 0 of float32 inputs has dtype float64, not float32"),
            (LosesDigitsInFloat32(), "result 0 in float32 against float64"),
            (UsesUpWhatItSaved(), "from a second backward pass"),
            (ReadsBeforeWriting(), "from an Arena|NaN"),
            (DependsOnTheLayout(), "with fortran_ordered arrays"),
            (HasAnotherReference(), "value against its composition"),
            (OneGradientTooMany(), "2 gradients for 1 inputs"),
            (ForgetsAnAxis(), r"got shape \(3,\), expected \(2, 3\)"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Kernel) else "",
    )
    @pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
    def test_lies_are_found(self, kernel, message):
        with pytest.raises(ProofError, match=message):
            check_kernel(kernel, [X])

    @pytest.mark.parametrize("kernel", [ModifiesItsInput(), ModifiesItsCotangent()])
    def test_arrays_to_read_cannot_be_written_to(self, kernel):
        with pytest.raises(ValueError, match="read-only"):
            check_kernel(kernel, [X])

    def test_a_wrong_value_is_found(self):
        with pytest.raises(ProofError, match=r"Cube\(\) of float64\[2, 3\]: result 0 against the reference"):
            check_kernel(Cube(), [X], lambda x: x**2)

    def test_an_error_is_an_assertion_and_one_of_minidl(self):
        assert issubclass(ProofError, (AssertionError, MiniDLError))

    def test_a_poisoned_arena_forgets(self):
        arena = PoisonedArena()
        arena.empty((2,), "float32")[...] = 1
        arena.rewind()
        assert np.isnan(arena.empty((2,), "float32")).all()


class TestFunctions:
    def test_a_right_one(self):
        check_function(lambda x: x * x * x, [X], lambda x: x**3)

    @pytest.mark.parametrize(
        ("f", "message"),
        [
            (lambda x: x * ops.stop_gradient(x), "gradient of input 0 against the complex step"),
            (lambda x: apply(WrongSign(), x), "gradient of input 0 against the complex step"),
            (lambda x: apply(WrongForComplexNumbers(), x), "Hessian-vector product for input 0"),
            (lambda x: x * np.float64(2), "result 0 of float32 inputs has dtype float64"),
            (lambda x: ops.cast(x + 1000, "float32") - 1000, "complex step|float32"),
        ],
    )
    def test_lies_are_found(self, f, message):
        with pytest.raises(ProofError, match=message):
            check_function(f, [X])

    def test_a_wrong_value_is_found(self):
        with pytest.raises(ProofError, match="result 0 against the reference"):
            check_function(lambda x: x * x, [X], lambda x: x**3)

    def test_only_the_inputs_asked_for_are_differentiated(self):
        def f(a, b):
            return a * ops.stop_gradient(b)

        check_function(f, [X, X], wrt=[0])
        with pytest.raises(ProofError, match="gradient of input 1"):
            check_function(f, [X, X])


class Scale(layers.Layer):
    """y = x·w: right, and the base of the wrong ones below."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1],), "ones", name="w")
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")

    def call(self, inputs, training=None):
        return inputs * self.w * self.factor


class DetachedWeight(Scale):
    def call(self, inputs, training=None):
        return inputs * ops.stop_gradient(self.w)


class WrongInTrainingOnly(Scale):
    def call(self, inputs, training=None):
        return inputs * ops.stop_gradient(self.w) if training else inputs * self.w


class AnnouncesAnotherShape(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape, 1)


class AlwaysFloat64(Scale):
    def call(self, inputs, training=None):
        return ops.cast(inputs * self.w, "float64")


class LearnsAtInference(Scale):
    def call(self, inputs, training=None):
        self.calls.assign_add(1)
        return inputs * self.w


class ForgetsItsFactor(Scale):
    def get_config(self):
        return {**super().get_config(), "factor": 1 if self.factor == 3 else 3}


class TestLayers:
    def test_a_right_one_is_counted_in_both_modes_and_left_alone(self):
        layer, before = Scale(2.0), proven["layers"]
        check_layer(layer, X)
        assert proven["layers"] == before + 2
        assert not layer.built

    def test_a_built_one_is_proven_with_its_weights(self):
        layer = Scale()
        layer(X)
        layer.set_weights([np.full(3, np.inf), 0.0])
        with np.errstate(all="ignore"), pytest.raises(ProofError, match=r"not finite|got"):
            check_layer(layer, X)
        assert np.isinf(layer.w.data).all()

    def test_layers_that_draw_random_numbers_draw_the_same_ones(self):
        check_layer(layers.Dropout(0.5), X)

    def test_hidden_kinks(self):
        check_layer(layers.Dense(3, activation="relu"), X, twice=False)

    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (DetachedWeight(), "at inference .* gradient of input 1 against the complex step"),
            (WrongInTrainingOnly(), "in training .* gradient of input 1 against the complex step"),
            (AnnouncesAnotherShape(), r"announces \(2, 3, 1\), the output has shape \(2, 3\)"),
            (AlwaysFloat64(), "the output of a float32 layer has dtype float64"),
            (LearnsAtInference(), "calls after inference"),
            (ForgetsItsFactor(2.0), "the configuration .* comes back as"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
    )
    def test_lies_are_found(self, layer, message):
        with pytest.raises(ProofError, match=message):
            check_layer(layer, X)

    @given(arrays(shapes(min_dims=2, max_dims=2)))
    def test_three_lines_prove_a_layer(self, x):
        check_layer(Scale(1.5), x)


class Cubic(losses.Loss):
    """(y − p)³: right, and the base of the wrong ones below."""

    def call(self, y_true, y_pred):
        return ops.mean((y_true - y_pred) ** 3, axis=-1)


class DetachedPrediction(Cubic):
    def call(self, y_true, y_pred):
        return ops.mean((y_true - ops.stop_gradient(y_pred)) ** 3, axis=-1) + ops.mean(y_pred, axis=-1)


class AlwaysTheMean(Cubic):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return ops.mean(self.call(y_true, y_pred))


class IgnoresWeights(Cubic):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(y_true, y_pred)


class TestLosses:
    TARGETS = np.array([[0.0, 1.0, 0.5], [1.0, -1.0, 2.0]])

    def test_a_right_one_is_counted(self):
        before = proven["losses"]
        check_loss(Cubic(), self.TARGETS, X, lambda t, p: np.mean((t - p) ** 3))
        assert proven["losses"] == before + 1

    def test_a_function(self):
        check_loss(lambda t, p: ops.mean((p - t) ** 2), self.TARGETS, X, lambda t, p: np.mean((t - p) ** 2))

    @pytest.mark.parametrize(
        ("loss", "message"),
        [
            (DetachedPrediction(), "gradient of input 0 against the complex step"),
            (AlwaysTheMean(), "reduction 'none'"),
            (IgnoresWeights(), "reduction 'none' with sample_weight"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, losses.Loss) else "",
    )
    def test_lies_are_found(self, loss, message):
        with pytest.raises(ProofError, match=message):
            check_loss(loss, self.TARGETS, X)

    def test_a_wrong_value_is_found(self):
        with pytest.raises(ProofError, match=r"Cubic.* result 0 against the reference"):
            check_loss(Cubic(), self.TARGETS, X, lambda t, p: np.mean((t - p) ** 2))


class SignDescent(optimizers.Optimizer):
    """w −= η·sign(g): right, and the base of the wrong ones below."""

    def __init__(self, learning_rate=0.001, **options):
        super().__init__(learning_rate, **options)

    def update(self, w, g, learning_rate):
        w -= learning_rate * np.sign(g)


class Ascent(SignDescent):
    def update(self, w, g, learning_rate):
        w += learning_rate * np.sign(g)


class WritesToTheGradient(SignDescent):
    def update(self, w, g, learning_rate):
        g *= learning_rate
        w -= g


class HiddenMemory(SignDescent):
    def update(self, w, g, learning_rate):
        self.velocity = 0.9 * getattr(self, "velocity", 0) - learning_rate * g
        w += self.velocity


class TiesElementsTogether(SignDescent):
    def update(self, w, g, learning_rate):
        w -= learning_rate * g / np.abs(g).max()


class StandsStill(SignDescent):
    def update(self, w, g, learning_rate):
        w -= 1e-6 * learning_rate * g


class ForgetsItsRate(SignDescent):
    def get_config(self):
        return {**super().get_config(), "learning_rate": float(self.learning_rate) / 2}


class TestOptimizers:
    @pytest.mark.parametrize(
        "optimizer",
        [
            SignDescent(), optimizers.SGD(), optimizers.SGD(0.01, momentum=0.9, nesterov=True),
            optimizers.Adagrad(0.01), optimizers.RMSprop(), optimizers.RMSprop(centered=True, momentum=0.5),
            optimizers.Adam(), optimizers.Adam(amsgrad=True), optimizers.AdamW(), optimizers.Adamax(),
            optimizers.Nadam(), optimizers.SGD(clipnorm=0.1), optimizers.Adam(global_clipnorm=0.1),
            optimizers.SGD(clipvalue=0.05), optimizers.SGD(weight_decay=1e-3),
            optimizers.SGD(optimizers.schedules.ExponentialDecay(0.05, 100, 0.9)),
        ],
        ids=repr,
    )  # fmt: skip
    def test_right_ones(self, optimizer):
        check_optimizer(optimizer)
        assert int(optimizer.iterations) == 0

    @pytest.mark.parametrize(
        ("optimizer", "message"),
        [
            (Ascent(), "the first step goes uphill"),
            (HiddenMemory(), "a copy of the state continues otherwise"),
            (TiesElementsTogether(), "a variable in two parts"),
            (StandsStill(), "1000 steps bring the bowl from .* to .* only"),
            (ForgetsItsRate(), "the configuration .* comes back as"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, optimizers.Optimizer) else "",
    )
    def test_lies_are_found(self, optimizer, message):
        with pytest.raises(ProofError, match=message):
            check_optimizer(optimizer)

    def test_gradients_cannot_be_written_to(self):
        with pytest.raises(ValueError, match="read-only"):
            check_optimizer(WritesToTheGradient())


class TestStrategies:
    @given(arrays(low=-2, high=3, away_from=[0, 1.5]))
    def test_arrays_stay_between_their_bounds_and_away_from_points(self, x):
        assert x.dtype == np.float64
        assert ((x >= -2) & (x <= 3)).all()
        assert (abs(x) > 0.1 - 1e-12).all()
        assert (abs(x - 1.5) > 0.1 - 1e-12).all()

    @pytest.mark.parametrize(
        "condition",
        [
            lambda x: x.size == 0,
            lambda x: x.ndim == 0,
            lambda x: 1 in x.shape,
            lambda x: (x == 0).any(),
            lambda x: (x < -2.8).any(),
            lambda x: (x > 2.8).any(),
        ],
    )
    def test_arrays_reach_what_is_worth_reaching(self, condition):
        find(arrays(), condition)

    def test_arrays_without_room_are_an_error(self):
        with pytest.raises(ArgumentError, match=r"no room between 0 and 1 for numbers 0.6 away from \[0.5\]"):
            arrays(low=0, high=1, away_from=[0.5], gap=0.6)

    @given(distinct(low=0, high=1))
    def test_distinct_numbers_are_spaced(self, x):
        assert (np.diff(np.sort(x, axis=None)) >= 0.5 / max(x.size, 1) - 1e-12).all()

    @given(broadcastable(2).flatmap(lambda pair: apart(*pair)))
    def test_numbers_apart_differ_also_where_they_meet(self, pair):
        assert (np.subtract(*pair) != 0).all()

    @given(matrices(max_dims=4))
    def test_matrices_can_be_multiplied(self, pair):
        np.matmul(*(np.ones(shape) for shape in pair))

    @given(shapes(min_dims=1).flatmap(probabilities))
    def test_probabilities_sum_to_one(self, p):
        assert p.sum(axis=-1) == pytest.approx(np.full(p.shape[:-1], 0 if p.shape[-1] == 0 else 1))

    @given(st.data())
    def test_axes_exist_and_come_once(self, data):
        ndim = data.draw(st.integers(0, 3))
        np.zeros([1] * ndim).sum(axis=data.draw(axes_of(ndim)))

    @given(integers((50,), -2, 2))
    def test_integers_include_both_ends(self, x):
        assert set(x.tolist()) <= {-2, -1, 0, 1, 2}

    def test_integers_reach_both_ends(self):
        find(integers((), -2, 2), lambda x: x == -2)
        find(integers((), -2, 2), lambda x: x == 2)
