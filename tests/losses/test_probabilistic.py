"""The cross-entropies, the Kullback-Leibler divergence and the Poisson loss."""

import math

import numpy as np
import pytest

from minidl import kernels, losses
from minidl.autodiff import grad
from minidl.autodiff.tensor import Tensor
from minidl.config import epsilon
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy

TEN = np.full((4, 10), 0.1)
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])


class TestSparseCategoricalCrossentropy:
    @pytest.mark.parametrize(
        "labels",
        [
            [0, 2],
            [[0], [2]],
            np.array([0, 2], np.uint8),
            np.array([[0], [2]], np.int32),
            np.array([0, 2], np.uint64),
            [0.0, 2.0],
            Tensor([0, 2]),
        ],
    )
    @pytest.mark.parametrize("from_logits", [False, True])
    def test_takes_labels_in_many_forms(self, labels, from_logits):
        y_pred = np.log(P) + 5 if from_logits else P
        per_sample = losses.sparse_categorical_crossentropy(labels, y_pred, from_logits)
        np.testing.assert_allclose(per_sample, [-math.log(0.7), -math.log(0.6)], rtol=1e-14)
        loss = SparseCategoricalCrossentropy(from_logits)
        assert loss(labels, y_pred).item() == pytest.approx(-(math.log(0.7) + math.log(0.6)) / 2, rel=1e-14)

    def test_takes_truth_values_for_two_classes(self):
        per_sample = losses.sparse_categorical_crossentropy([True, False], np.array([[0.2, 0.8], [0.4, 0.6]]))
        np.testing.assert_allclose(per_sample, [-math.log(0.8), -math.log(0.4)], rtol=1e-14)

    def test_takes_labels_for_pixels(self):
        rng = np.random.default_rng(1)
        labels, y_pred = rng.integers(0, 4, (2, 3, 5)), rng.uniform(0.1, 1, (2, 3, 5, 4))
        expected = -np.log(np.take_along_axis(y_pred, labels[..., None], -1)[..., 0] / y_pred.sum(-1))
        for y in (labels, labels[..., None]):
            np.testing.assert_allclose(losses.sparse_categorical_crossentropy(y, y_pred), expected, rtol=1e-13)
        for y in (labels, labels[:, None]):
            first = np.moveaxis(y_pred, -1, 1)
            np.testing.assert_allclose(losses.sparse_categorical_crossentropy(y, first, axis=1), expected, rtol=1e-13)

    def test_equals_the_one_of_one_hot_labels(self):
        rng = np.random.default_rng(2)
        labels, y_pred = rng.integers(0, 5, 8), rng.uniform(0.1, 1, (8, 5))
        for from_logits in (False, True):
            sparse = losses.sparse_categorical_crossentropy(labels, y_pred, from_logits)
            dense = losses.categorical_crossentropy(np.eye(5)[labels], y_pred, from_logits)
            np.testing.assert_allclose(sparse, dense, rtol=1e-14)

    def test_keeps_the_labels_as_an_input_of_what_is_recorded(self):
        """A step may be recorded and replayed with other labels: they must not be part of a recorded kernel."""
        nodes, recorded = [SparseCategoricalCrossentropy()([0, 2], Tensor(P, requires_grad=True)).output[0]], set()
        while nodes:
            node = nodes.pop()
            recorded.add(type(node.kernel))
            nodes.extend(parent[0] for parent in node.parents if parent)
        assert kernels.Mean in recorded
        assert kernels.GetItem not in recorded

    @pytest.mark.parametrize("row", [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1e-30, 1.0, 0.0]])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_finite_for_probabilities_of_0_and_1(self, row, dtype):
        y_pred = np.array([row], dtype)
        p = np.clip(y_pred[0, 0], np.asarray(epsilon(), dtype), np.asarray(1 - epsilon(), dtype))
        for loss, label in ((SparseCategoricalCrossentropy(), [0]), (CategoricalCrossentropy(), [[1, 0, 0]])):
            np.testing.assert_allclose(loss(label, y_pred), -np.log(p), rtol=1e-6)
            np.testing.assert_array_equal(grad(lambda p, f=loss, y=label: f(y, p))(y_pred), np.zeros((1, 3)))

    @pytest.mark.parametrize("loss", [SparseCategoricalCrossentropy(), SparseCategoricalCrossentropy(True)])
    def test_names_a_label_outside_the_classes_and_its_position(self, loss):
        message = "SparseCategoricalCrossentropy: expected labels from 0 to 9, got 17 at position 3"
        for check in (loss, loss.check):
            with pytest.raises(ArgumentError, match=message):
                check([0, 9, 1, 17], TEN)
            with pytest.raises(ArgumentError, match="expected labels from 0 to 9, got -1 at position 1"):
                check(np.array([0, -1, 1, 17]), TEN)
            with pytest.raises(ArgumentError, match=r"expected labels from 0 to 9, got 10 at position \(0, 1\)"):
                check([[0, 10], [0, 0]], TEN.reshape(2, 2, 10))

    @pytest.mark.parametrize("wrong", [1.7, math.nan])
    def test_names_a_label_that_is_no_integer(self, wrong):
        loss = SparseCategoricalCrossentropy()
        for check in (loss, loss.check):
            with pytest.raises(ArgumentError, match=f"expected integer labels, got {wrong} at position 2"):
                check([0.0, 1.0, wrong, 2.0], TEN)

    def test_refuses_infinite_and_complex_labels(self):
        with pytest.raises(ArgumentError, match="expected labels from 0 to 9, got inf at position 0"):
            losses.sparse_categorical_crossentropy([math.inf, 0, 0, 0], TEN)
        with pytest.raises(DTypeError, match="expected integer labels, got dtype complex128"):
            losses.sparse_categorical_crossentropy(np.ones(4, complex), TEN)

    def test_recommends_the_dense_loss_for_one_hot_labels(self):
        message = (
            r"expected labels of shape \(4,\) for y_pred of shape \(4, 10\), got \(4, 10\): "
            "for one-hot labels use categorical_crossentropy"
        )
        with pytest.raises(ShapeError, match=message):
            SparseCategoricalCrossentropy()(np.eye(10)[:4], TEN)

    def test_refuses_labels_for_other_samples(self):
        message = r"expected labels of shape \(4,\) for y_pred of shape \(4, 10\), got \(5,\)"
        with pytest.raises(ShapeError, match=message):
            SparseCategoricalCrossentropy()(np.zeros(5, int), TEN)

    @pytest.mark.parametrize("shape", [(4, 1), (4, 0), ()])
    def test_needs_two_classes(self, shape):
        with pytest.raises(ShapeError, match=r"expected predictions for at least 2 classes.*use binary_crossentropy"):
            losses.sparse_categorical_crossentropy(np.zeros(shape[:1], int), np.ones(shape))


class TestIgnoreClass:
    Y, MINUS_LOG = np.array([0, -1, 2, -1]), -np.log([0.7, 0.6])
    Y_PRED = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6], [0.3, 0.3, 0.4]])

    @pytest.mark.parametrize("y", [Y, Y[:, None], np.array([0, 255, 2, 255], np.uint8), Y.astype(float)])
    @pytest.mark.parametrize("from_logits", [False, True])
    def test_gives_0_and_no_gradient_there(self, y, from_logits):
        y_pred = np.log(self.Y_PRED) if from_logits else self.Y_PRED
        ignored = y.ravel()[1]
        per_sample = losses.sparse_categorical_crossentropy(y, y_pred, from_logits, ignore_class=int(ignored))
        np.testing.assert_allclose(per_sample, [self.MINUS_LOG[0], 0, self.MINUS_LOG[1], 0], rtol=1e-14)
        loss = SparseCategoricalCrossentropy(from_logits, ignore_class=int(ignored))
        np.testing.assert_array_equal(grad(lambda p: loss(y, p))(y_pred).data[[1, 3]], np.zeros((2, 3)))

    @pytest.mark.parametrize(
        ("reduction", "weights", "expected"),
        [
            ("sum_over_batch_size", None, MINUS_LOG.sum() / 2),
            ("mean", [1.0, 2.0, 3.0, 4.0], MINUS_LOG @ [1, 3] / 2),
            ("mean_with_sample_weight", None, MINUS_LOG.sum() / 2),
            ("mean_with_sample_weight", [1.0, 2.0, 3.0, 4.0], MINUS_LOG @ [1, 3] / 4),
            ("sum", [1.0, 2.0, 3.0, 4.0], MINUS_LOG @ [1, 3]),
        ],
    )
    def test_is_not_counted_in_a_mean(self, reduction, weights, expected):
        loss = SparseCategoricalCrossentropy(ignore_class=-1, reduction=reduction)
        assert loss(self.Y, self.Y_PRED, weights).item() == pytest.approx(expected, rel=1e-14)

    def test_everywhere_gives_0(self):
        loss = SparseCategoricalCrossentropy(ignore_class=-1)
        assert loss([-1, -1], P).item() == 0

    def test_may_be_outside_the_range_of_the_labels_dtype(self):
        loss = SparseCategoricalCrossentropy(ignore_class=-1)
        plain = SparseCategoricalCrossentropy()
        assert loss(np.array([0, 2], np.uint8), P).item() == pytest.approx(plain([0, 2], P).item(), rel=1e-15)

    def test_leaves_the_other_labels_to_be_checked(self):
        with pytest.raises(ArgumentError, match="expected labels from 0 to 2, got 3 at position 1"):
            SparseCategoricalCrossentropy(ignore_class=-1)([-1, 3], P)


class TestCategoricalCrossentropy:
    def test_smooths_labels_evenly_over_the_classes(self):
        smoothed = losses.categorical_crossentropy([[1, 0, 0], [0, 0, 1]], P, label_smoothing=0.3)
        by_hand = losses.categorical_crossentropy([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]], P)
        np.testing.assert_allclose(smoothed, by_hand, rtol=1e-14)

    def test_smooths_along_the_axis_of_the_classes(self):
        smoothed = losses.categorical_crossentropy(np.eye(3)[:, :2], P.T, label_smoothing=0.3, axis=0)
        by_hand = losses.categorical_crossentropy(np.eye(3)[:2], P, label_smoothing=0.3)
        np.testing.assert_allclose(smoothed, by_hand, rtol=1e-14)

    @pytest.mark.parametrize("labels", [np.zeros(4, int), np.zeros((4, 1), int), np.zeros(4)])
    def test_recommends_the_sparse_loss_for_integer_labels(self, labels):
        message = r"CategoricalCrossentropy: .*\(4, 10\), got .* for integer labels use sparse_categorical_crossentropy"
        with pytest.raises(ShapeError, match=message):
            CategoricalCrossentropy()(labels, TEN)

    def test_needs_two_classes(self):
        with pytest.raises(ShapeError, match="CategoricalCrossentropy: expected predictions for at least 2 classes"):
            CategoricalCrossentropy()(np.ones((4, 1)), np.ones((4, 1)))

    def test_of_another_number_of_classes_is_an_error_without_that_advice(self):
        with pytest.raises(ShapeError, match=r"got \(4, 9\)$"):
            CategoricalCrossentropy()(np.zeros((4, 9)), TEN)


class TestBinaryCrossentropy:
    def test_is_the_mean_over_the_outputs(self):
        y, p = np.array([[1.0, 0.0], [0.5, 1.0]]), np.array([[0.9, 0.2], [0.5, 0.4]])
        expected = [-(math.log(0.9) + math.log(0.8)) / 2, -(math.log(0.5) + math.log(0.4)) / 2]
        np.testing.assert_allclose(losses.binary_crossentropy(y, p), expected, rtol=1e-14)
        logits = np.log(p / (1 - p))
        np.testing.assert_allclose(losses.binary_crossentropy(y, logits, from_logits=True), expected, rtol=1e-13)
        np.testing.assert_allclose(losses.binary_crossentropy(y.T, p.T, axis=0), expected, rtol=1e-14)

    def test_smooths_labels_towards_one_half(self):
        smoothed = losses.binary_crossentropy([[1], [0]], np.array([[0.9], [0.2]]), label_smoothing=0.2)
        by_hand = losses.binary_crossentropy([[0.9], [0.1]], np.array([[0.9], [0.2]]))
        np.testing.assert_allclose(smoothed, by_hand, rtol=1e-14)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_finite_for_probabilities_of_0_and_1(self, dtype):
        y, p = np.array([[1.0, 1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0, 1.0]], dtype)
        low, high = np.asarray(epsilon(), dtype), np.asarray(1 - epsilon(), dtype)
        expected = -(np.log(low) + np.log(high) + np.log(1 - low) + np.log(1 - high)) / 4
        np.testing.assert_allclose(losses.binary_crossentropy(y, p), [expected], rtol=1e-6)
        np.testing.assert_array_equal(grad(lambda p: losses.binary_crossentropy(y, p).sum())(p), np.zeros((1, 4)))

    @pytest.mark.parametrize(("label", "shown"), [(-1.0, "-1.0"), (2.0, "2.0")])
    def test_names_a_label_that_is_not_from_0_to_1(self, label, shown):
        loss = BinaryCrossentropy(from_logits=True)
        message = rf"BinaryCrossentropy: expected labels from 0 to 1, got {shown} at position \(1, 0\)"
        for check in (loss, loss.check):
            with pytest.raises(ArgumentError, match=message):
                check(np.array([[1.0], [label]]), np.zeros((2, 1)))


class TestLogits:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_are_good_up_to_1e30(self, dtype):
        logits = np.array([[-1e30, 1e30, 0.0], [1000.0, -1000.0, 999.0]], dtype)
        one_hot = np.eye(3)[[0, 2]]
        for loss, y in (
            (SparseCategoricalCrossentropy(from_logits=True, reduction="none"), [0, 2]),
            (CategoricalCrossentropy(from_logits=True, reduction="none"), one_hot),
        ):
            np.testing.assert_allclose(loss(y, logits), [2e30, math.log1p(math.e)], rtol=1e-6)
            gradient = grad(lambda z, f=loss, y=y: f(y, z).sum())(logits)
            p = 1 / (1 + math.exp(-1))
            np.testing.assert_allclose(gradient, [[-1, 1, 0], [p, 0, -p]], rtol=1e-6)
        loss = BinaryCrossentropy(from_logits=True, reduction="none")
        np.testing.assert_allclose(loss(one_hot, logits), [(2e30 + math.log(2)) / 3, 1000 / 3], rtol=1e-6)
        gradient = grad(lambda z: loss(one_hot, z).sum())(logits)
        np.testing.assert_allclose(gradient, np.array([[-1, 1, 0.5], [1, 0, 0]]) / 3, rtol=1e-6)

    @pytest.mark.parametrize(
        ("function", "y"),
        [
            (losses.sparse_categorical_crossentropy, [0, 0]),
            (losses.categorical_crossentropy, np.eye(3)[:2]),
            (losses.binary_crossentropy, np.eye(3)[:2]),
        ],
    )
    def test_are_not_taken_for_probabilities(self, function, y):
        logits = np.array([[2.5, -1.5, 0.0], [0.0, 0.0, 0.0]])
        with pytest.raises(
            ArgumentError, match=r"expected y_pred from 0 to .*, but it goes from -1.5 to 2.5: .* use from_logits=True"
        ):
            function(y, logits)
        function(y, logits, from_logits=True)

    def test_rounding_is_no_logit(self):
        p = np.array([[1 + 1e-7, -1e-7]], np.float32)
        assert losses.binary_crossentropy([[1, 0]], p).item() < 1e-6
        assert losses.categorical_crossentropy([[1, 0]], p).item() < 1e-6


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, math.nan])
@pytest.mark.parametrize("name", ["BinaryCrossentropy", "CategoricalCrossentropy"])
def test_label_smoothing_is_from_0_to_1(name, smoothing):
    with pytest.raises(ArgumentError, match=f"{name}: expected label_smoothing from 0 to 1, got {smoothing}"):
        getattr(losses, name)(label_smoothing=smoothing)
    function = {"BinaryCrossentropy": losses.binary_crossentropy}.get(name, losses.categorical_crossentropy)
    with pytest.raises(ArgumentError, match=f"{name}: expected label_smoothing from 0 to 1, got {smoothing}"):
        function(P, P, label_smoothing=smoothing)


class TestKLDivergence:
    def test_is_0_between_equal_distributions(self):
        np.testing.assert_allclose(losses.kl_divergence(P, P), [0, 0], atol=1e-16)

    def test_bounds_probabilities_by_epsilon(self):
        expected = math.log(1 / 1e-7) + 1e-7 * math.log(1e-7)
        np.testing.assert_allclose(losses.kl_divergence([[1, 0]], np.array([[0.0, 1.0]])), [expected], rtol=1e-13)

    def test_needs_probabilities(self):
        with pytest.raises(ArgumentError, match=r"KLDivergence: expected y_pred from 0 to 1, but .* with a softmax"):
            losses.kl_divergence(P, P * 20)


class TestPoisson:
    def test_is_smallest_where_the_expectation_is_the_count(self):
        counts = np.array([[0.0, 1.0, 5.0]])
        gradient = grad(lambda p: losses.poisson(counts, p).sum())(np.array([[1.0, 1.0, 5.0]]))
        np.testing.assert_allclose(gradient, [[1 / 3, 0, 0]], atol=1e-7)

    def test_is_finite_at_0(self):
        np.testing.assert_allclose(losses.poisson([[2.0]], np.zeros((1, 1))), [-2 * math.log(1e-7)], rtol=1e-14)

    def test_needs_expectations_from_0_on(self):
        with pytest.raises(ArgumentError, match="Poisson: expected y_pred from 0 to inf, but it goes from -1e-09 to 0"):
            losses.poisson([[2.0]], np.array([[-1e-9]]))
