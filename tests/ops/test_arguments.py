"""Arguments that make no sense get an error that shows them; sensible ones of every kind are taken."""

import numpy as np
import pytest

from minidl import Tensor, config, ops
from minidl.errors import ArgumentError, DTypeError, MiniDLError, ShapeError

A = np.ones((2, 3))

WRONG = [
    (lambda: ops.add(A, np.ones(2)), ShapeError, r"add: \(2, 3\) and \(2,\) do not broadcast: sizes must be"),
    (lambda: ops.where(A > 0, A, np.ones(4)), ShapeError, r"where: \(2, 3\) and \(2, 3\) and \(4,\) do not broadcast"),
    (lambda: ops.matmul(A, A), ShapeError, r"matmul: expected \(…, m, k\) and \(…, k, n\), got \(2, 3\) and \(2, 3\)"),
    (lambda: ops.matmul(2.0, A), ShapeError, r"matmul: expected"),
    (lambda: ops.matmul(np.ones((2, 1, 3)), np.ones((4, 3, 1))), ShapeError, r"\(leading axes\): \(2,\) and \(4,\)"),
    (lambda: ops.dot(A, np.ones((2, 2))), ShapeError, r"dot: axis −1 of \(2, 3\) and axis 0 of \(2, 2\) differ"),
    (lambda: ops.einsum("ij->j", A, A), ShapeError, "names 1 operands, got 2"),
    (lambda: ops.einsum("ijk->j", A), ShapeError, r"names 3 axes of an operand of shape \(2, 3\)"),
    (lambda: ops.einsum("ij,ij->j", A, A.T), ShapeError, "axis 'i' has sizes 2 and 3"),
    (lambda: ops.einsum("ij->k", A), ShapeError, "must name axes of the operands, each once"),
    (lambda: ops.einsum("ij->ii", A), ShapeError, "must name axes of the operands, each once"),
    (lambda: ops.sum(A, axis=2), ShapeError, "expected axes from -2 to 1, each once, got axis=2 for 2 axes"),
    (lambda: ops.sum(A, axis=(0, -2)), ShapeError, r"each once, got axis=\(0, -2\)"),
    (lambda: ops.softmax(A, axis=-3), ShapeError, "got axis=-3"),
    (lambda: ops.log_softmax(A, axis=(1, 1)), ShapeError, r"got axis=\(1, 1\)"),
    (lambda: ops.max(np.ones((0, 3)), axis=0), ShapeError, r"max: a tensor of shape \(0, 3\) has no elements"),
    (lambda: ops.argmin(np.ones(0)), ShapeError, r"argmin: a tensor of shape \(0,\) has no elements along axis None"),
    (lambda: ops.argmax(A, axis=(0, 1)), ArgumentError, r"argmax: expected one axis or None, got \(0, 1\)"),
    (lambda: ops.cumsum(A, axis=5), ShapeError, "got axis=5"),
    (lambda: ops.clip(A, 2, 1), ArgumentError, "clip: expected x_min ≤ x_max, got 2 and 1"),
    (lambda: ops.clip(A, np.nan, 1), ArgumentError, "clip: expected x_min ≤ x_max"),
    (lambda: ops.reshape(A, (4,)), ShapeError, r"reshape: 6 elements of shape \(2, 3\) do not fill the shape \(4,\)"),
    (lambda: ops.reshape(A, (-1, -1)), ShapeError, "do not fill"),
    (lambda: ops.reshape(A, (-2, 3)), ShapeError, "do not fill"),
    (lambda: ops.reshape(np.ones((0, 3)), (-1, 0)), ShapeError, "do not fill"),
    (lambda: ops.transpose(A, (0,)), ShapeError, r"transpose: expected each of 2 axes once, got \(0,\)"),
    (lambda: ops.transpose(A, (0, 0)), ShapeError, "each once"),
    (lambda: ops.moveaxis(A, 2, 0), ShapeError, "got axis=2"),
    (lambda: ops.swapaxes(A, 0, -3), ShapeError, "got axis=-3"),
    (lambda: ops.expand_dims(A, 3), ShapeError, r"got axis=\(3,\) for 3 axes"),
    (lambda: ops.squeeze(A, 0), ShapeError, r"squeeze: expected axes of size 1, got axis=0 for shape \(2, 3\)"),
    (lambda: ops.broadcast_to(A, (3, 3)), ShapeError, "broadcast_to: .* do not broadcast"),
    (lambda: ops.broadcast_to(A, (1, 3)), ShapeError, r"broadcast_to: \(2, 3\) does not broadcast to \(1, 3\)"),
    (lambda: ops.concatenate([]), ArgumentError, "concatenate: expected at least one tensor, got none"),
    (lambda: ops.concatenate([A, A[:, :2]]), ShapeError, r"may differ along axis 0 only, got \(2, 3\), \(2, 2\)"),
    (lambda: ops.concatenate([A, np.ones(3)]), ShapeError, r"may differ along axis 0 only"),
    (lambda: ops.stack([]), ArgumentError, "stack: expected at least one tensor, got none"),
    (lambda: ops.stack([A, A.T]), ShapeError, r"stack: expected equal shapes, got \(2, 3\), \(3, 2\)"),
    (lambda: ops.split(A, 2, axis=1), ShapeError, "split: axis 1 of size 3 has no 2 equal parts"),
    (lambda: ops.split(A, 0), ShapeError, "no 0 equal parts"),
    (lambda: ops.split(A, [2, 1]), ShapeError, r"split: expected rising positions from 0 to 2, got \(2, 1\)"),
    (lambda: ops.split(A, [3]), ShapeError, r"rising positions from 0 to 2, got \(3,\)"),
    (lambda: ops.pad(A, 1, mode="mirror"), ArgumentError, "pad: expected mode constant, reflect, .* got 'mirror'"),
    (lambda: ops.pad(A, ((1, 1),) * 3), ShapeError, "pad: expected one pair for each of 2 axes"),
    (lambda: ops.pad(A, (-1, 1)), ArgumentError, "pad: expected widths ≥ 0"),
    (lambda: ops.repeat(A, -1), ArgumentError, "repeat: expected a count ≥ 0 or one for each of 6 positions, got -1"),
    (lambda: ops.repeat(A, [1, 2], axis=1), ArgumentError, r"one for each of 3 positions, got \[1, 2\]"),
    (lambda: ops.repeat(A, 1.5), ArgumentError, "repeat: expected a count ≥ 0"),
    (lambda: ops.tile(A, (1, -1)), ArgumentError, r"tile: expected counts ≥ 0, got \(1, -1\)"),
    (lambda: ops.take(A, [6]), ShapeError, "take: expected indices from -6 to 5, got 6 to 6"),
    (lambda: ops.take(A, [-3], axis=0), ShapeError, "take: expected indices from -2 to 1, got -3 to -3"),
    (lambda: ops.take(A, [0.5]), DTypeError, "take: expected integer indices, got dtype float32"),
    (lambda: ops.take_along_axis(A, [0, 1]), ShapeError, r"expected indices with 2 axes, got shape \(2,\)"),
    (lambda: ops.one_hot([0.0], 3), DTypeError, "one_hot: expected integers, got dtype float32"),
    (lambda: ops.sort(2.0), ShapeError, "got axis=-1 for 0 axes"),
    (lambda: ops.prelu(A, np.ones((4, 2, 3))), ShapeError, r"α of shape \(4, 2, 3\) does not broadcast"),
    (lambda: ops.softmax_crossentropy(A, A[:1]), ShapeError, r"expected equal shapes, got \(2, 3\) and \(1, 3\)"),
    (lambda: ops.sigmoid_crossentropy(A, A[0]), ShapeError, r"expected equal shapes, got \(2, 3\) and \(3,\)"),
    (lambda: ops.sparse_softmax_crossentropy(A, [0.0, 1.0]), DTypeError, "expected integer labels, got dtype float32"),
    (lambda: ops.sparse_softmax_crossentropy(A, [0, 3]), ArgumentError, "expected labels from 0 to 2, got 0 to 3"),
    (lambda: ops.sparse_softmax_crossentropy(A, [-1, 0]), ArgumentError, "expected labels from 0 to 2, got -1 to 0"),
    (lambda: ops.sparse_softmax_crossentropy(A, [0]), ShapeError, r"expected labels of shape \(2,\) .* got \(1,\)"),
    (lambda: ops.batch_normalization(A, np.ones(2), np.ones(2)), ShapeError, r"of shape \(3,\) for \(2, 3\)"),
    (lambda: ops.standardize(A, *[np.ones(2)] * 4), ShapeError, r"standardize: expected parameters of shape \(3,\)"),
    (lambda: ops.dropout(A, 1.0), ArgumentError, "dropout: expected 0 ≤ rate < 1, got 1.0"),
    (lambda: ops.dropout(A, -0.1), ArgumentError, "dropout: expected 0 ≤ rate < 1"),
    (lambda: ops.dropout(A, 0.5, noise_shape=(2, 2)), ShapeError, r"noise_shape \(2, 2\) does not broadcast"),
    (lambda: ops.alpha_dropout(A, 1), ArgumentError, "alpha_dropout: expected 0 ≤ rate < 1, got 1"),
    (lambda: ops.alpha_dropout(A, 0, (2,)), ShapeError, r"alpha_dropout: noise_shape \(2,\) does not broadcast"),
    (lambda: ops.gaussian_dropout(A, -1), ArgumentError, "gaussian_dropout: expected 0 ≤ rate < 1, got -1"),
    (lambda: ops.gaussian_noise(A, -1), ArgumentError, "gaussian_noise: stddev must be a number ≥ 0, got -1"),
    (lambda: ops.layer_normalization(A, np.ones(2)), ShapeError, r"layer_normalization: .* shape \(3,\) for \(2, 3\)"),
    (lambda: ops.rms_normalization(A, np.ones(2)), ShapeError, r"rms_normalization: .* of shape \(3,\) for \(2, 3\)"),
    (lambda: ops.layer_normalization(A, axis=(1, -1)), ShapeError, r"each once, got axis=\(1, -1\)"),
    (lambda: ops.normalize(A, order=1), ArgumentError, "normalize: expected order=2, the Euclidean norm, got 1"),
    (lambda: ops.exp("one"), DTypeError, "expected numbers, got str"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[str(k) for k in range(len(WRONG))])
def test_wrong_arguments(call, error, message):
    assert issubclass(error, MiniDLError)
    with pytest.raises(error, match=message):
        call()


class TestDTypes:
    FUNCTIONS_OF_FLOATS = [ops.exp, ops.log1p, ops.sqrt, ops.tanh, ops.sigmoid, ops.softmax, ops.mean, ops.var, ops.erf]

    @pytest.mark.parametrize("function", FUNCTIONS_OF_FLOATS)
    def test_integers_become_floatx(self, function):
        assert function(np.array([1, 2])).dtype == "float32"
        config.set_floatx("float64")
        try:
            assert function(np.array([1, 2])).dtype == "float64"
        finally:
            config.set_floatx("float32")

    @pytest.mark.parametrize("function", [ops.absolute, ops.negative, ops.square, ops.sign, ops.sum, ops.max])
    def test_integers_stay_integers_where_they_can(self, function):
        assert function(np.array([1, 2])).dtype == "int64"

    def test_division_of_integers(self):
        y = ops.divide(np.array([1, 2]), np.array([2, 2]))
        assert y.dtype == "float32"
        assert y.tolist() == [0.5, 1]

    def test_clip_keeps_integers_between_integers(self):
        assert ops.clip(np.array([1, 5]), 2, 3).dtype == "int64"
        assert ops.clip(np.array([1, 5]), 2, 3).tolist() == [2, 3]
        assert ops.clip(np.array([1, 5]), 0.5, None).dtype == "float32"

    def test_truth_values_are_counted(self):
        truth = np.array([True, False, True])
        assert ops.sum(truth).item() == 2
        assert ops.cumsum(truth).tolist() == [1, 1, 2]
        assert ops.add(truth, 1).tolist() == [2, 1, 2]
        assert ops.add(truth, 0.5).dtype == "float32"

    def test_sums_of_small_integers_do_not_overflow(self):
        assert ops.sum(np.full(3, 200, "uint8")).item() == 600
        assert ops.cumsum(np.full(3, 200, "uint8")).tolist() == [200, 400, 600]

    @pytest.mark.parametrize("number", [2, 2.0, True])
    def test_python_numbers_do_not_change_the_dtype(self, number):
        for dtype in ("float32", "float64"):
            for function in (ops.add, ops.multiply, ops.maximum, ops.power, ops.divide):
                assert function(A.astype(dtype), number).dtype == dtype
                assert function(number, A.astype(dtype)).dtype == dtype

    def test_a_list_of_tensors_is_a_tensor(self):
        y = ops.concatenate([Tensor([1.0]), [2], np.array([3.0], "float32")])
        assert y.dtype == "float32"
        assert y.tolist() == [1, 2, 3]


class TestSensibleArguments:
    def test_negative_powers_of_integers(self):
        assert ops.power(np.array([1, 2]), -1).tolist() == [1, 0.5]

    def test_dropout_with_a_generator_advances_it(self):
        generator = np.random.default_rng(0)
        first, second = (ops.dropout(np.ones(20), 0.5, seed=generator).tolist() for _ in range(2))
        assert first != second
        assert ops.dropout(np.ones(20), 0.5, seed=np.random.default_rng(0)).tolist() == first

    def test_dropout_with_a_seed_repeats_itself(self):
        assert ops.dropout(np.ones(20), 0.5, seed=1).tolist() == ops.dropout(np.ones(20), 0.5, seed=1).tolist()

    def test_dropout_with_a_noise_shape_drops_rows(self):
        y = ops.dropout(np.ones((50, 4)), 0.5, noise_shape=(None, 1), seed=0).data
        assert (y == y[:, :1]).all()
        assert set(y[:, 0]) == {0, 2}

    def test_dropout_keeps_the_mean(self):
        # 100,000 draws of 0 or 1/(1 − 0.3) have a mean of 1 with a standard error of 0.002.
        assert ops.dropout(np.ones(100_000), 0.3, seed=0).data.mean() == pytest.approx(1, abs=0.01)

    def test_an_empty_list_of_positions(self):
        assert ops.take(A, [], axis=0).shape == (0, 3)
        assert ops.repeat(np.ones(0), []).shape == (0,)

    def test_convert_to_tensor_keeps_a_tensor(self):
        x = Tensor([1.0])
        assert ops.convert_to_tensor(x) is x
        assert ops.convert_to_tensor(x, "float64").dtype == "float64"
