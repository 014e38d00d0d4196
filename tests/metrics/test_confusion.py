"""Precision, recall, counts and areas, against loops over samples, thresholds and pairs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl import metrics
from minidl.errors import ArgumentError, NonFiniteError, ShapeError, UnknownNameError

grid = st.integers(0, 10).map(lambda i: i / 10)  # few scores, often equal to a threshold
COUNTS = metrics.TruePositives, metrics.FalsePositives, metrics.TrueNegatives, metrics.FalseNegatives


@st.composite
def decisions(draw, elements=grid, min_size=0):
    """Labels, scores and weights of some samples."""
    n = draw(st.integers(min_size, 8))
    weights = st.just(0.0) | st.floats(0.1, 3)
    return [draw(hnp.arrays(np.float64, n, elements=each)) for each in (st.sampled_from([0, 1]), elements, weights)]


def count(labels, scores, weights, threshold):
    """The sums of the weights of true and false positives, true and false negatives."""
    sums = {"tp": 0.0, "fp": 0.0, "tn": 0.0, "fn": 0.0}
    for label, score, weight in zip(labels, scores, weights, strict=True):
        yes, right = score > threshold, (score > threshold) == (label == 1)
        sums[("t" if right else "f") + ("p" if yes else "n")] += weight
    return sums


def ratio(a, b):
    return a / b if b else 0.0


@given(decisions(), st.lists(grid, min_size=1, max_size=4))
def test_counts_precision_and_recall_at_every_threshold(batch, thresholds):
    expected = [count(*batch, threshold) for threshold in thresholds]
    for make, key in zip(COUNTS, ("tp", "fp", "tn", "fn"), strict=True):
        np.testing.assert_allclose(make(thresholds)(*batch), np.squeeze([c[key] for c in expected]), rtol=1e-12)
    for make, other in (metrics.Precision, "fp"), (metrics.Recall, "fn"):
        ratios = [ratio(c["tp"], c["tp"] + c[other]) for c in expected]
        np.testing.assert_allclose(make(thresholds)(*batch), np.squeeze(ratios), rtol=1e-12)


def test_a_score_equal_to_the_threshold_is_a_no_in_float32_too():
    for dtype in np.float32, np.float64:
        assert metrics.TruePositives(0.1)([1, 1], np.array([0.1, 0.2], dtype)) == 1


def test_one_threshold_gives_a_scalar_and_several_an_array_in_their_order():
    y_true, y_pred = [1, 1, 0], [0.9, 0.4, 0.6]
    assert metrics.Recall()(y_true, y_pred) == 0.5
    assert metrics.Recall(thresholds=[0.95, 0.3, 0.95])(y_true, y_pred).tolist() == [0, 1, 0]


def test_top_k_keeps_the_highest_of_each_row_and_the_first_of_equals():
    y_true, y_pred = [[0, 1, 0], [1, 0, 1]], [[0.2, 0.2, 0.1], [-5.0, -4.0, -4.5]]
    assert metrics.Precision(top_k=1)(y_true, y_pred) == 0
    assert metrics.Precision(top_k=2)(y_true, y_pred) == 0.5
    assert metrics.Recall(top_k=2)(y_true, y_pred) == pytest.approx(2 / 3)
    assert metrics.Recall(top_k=9)(y_true, y_pred) == 1
    assert metrics.Precision(top_k=2)([y_true], [y_pred]) == 0.5
    assert metrics.Recall(top_k=2, thresholds=0.15)(y_true[:1], y_pred[:1]) == 1
    assert metrics.Recall(top_k=1, thresholds=0.15)(y_true[:1], y_pred[:1]) == 0


def test_class_id_looks_at_one_column():
    rng = np.random.default_rng(0)
    y_true, y_pred, weights = rng.integers(0, 2, (20, 3)), rng.uniform(size=(20, 3)), rng.uniform(size=20)
    for i in range(3):
        alone = metrics.Recall()(y_true[:, i], y_pred[:, i], weights)
        assert metrics.Recall(class_id=i)(y_true, y_pred, weights) == alone
    for i in -1, 3:
        with pytest.raises(ShapeError, match=rf"Recall: class_id={i} is no column of y_pred, of shape \(20, 3\)"):
            metrics.Recall(class_id=i).update_state(y_true, y_pred)
    with pytest.raises(ShapeError, match=r"class_id=0 is no column of y_pred, of shape \(20,\)"):
        metrics.Recall(class_id=0).update_state(y_true[:, 0], y_pred[:, 0])


def test_the_threshold_0_is_for_logits():
    assert metrics.Precision(thresholds=0)([1, 0, 1], [3.0, -2.0, -7.0]) == 1
    with pytest.raises(ArgumentError, match=r"Precision: y_pred must be .* from -7 to 3: .*thresholds=0 for logits"):
        metrics.Precision().update_state([1, 0, 1], [3.0, -2.0, -7.0])


# ---- areas


def share_of_ordered_pairs(labels, scores, weights):
    """The weight of the pairs (label 1, label 0) in which the first has the higher score; equal scores count half."""
    ordered = total = 0.0
    for i, j in itertools.product(np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)):
        pair = weights[i] * weights[j]
        total += pair
        ordered += pair * (1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
    return ratio(ordered, total)


BETWEEN = [(i + 0.5) / 10 for i in range(10)]  # a threshold between any two different scores of the grid


@given(decisions())
def test_area_under_roc_is_the_share_of_pairs_in_the_right_order(batch):
    expected = share_of_ordered_pairs(*batch)
    assert metrics.AUC(thresholds=BETWEEN)(*batch) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert metrics.AUC(num_thresholds=1000)(*batch) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_area_under_roc_of_many_scores():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    scores = np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
    exact = share_of_ordered_pairs(labels, scores, np.ones(300))
    assert metrics.AUC(num_thresholds=100_000)(labels, scores) == pytest.approx(exact, abs=1e-4)
    assert metrics.AUC()(labels, scores) == pytest.approx(exact, abs=1e-3)


@given(decisions(min_size=2, elements=st.floats(0, 1)), st.sampled_from(["ROC", "PR"]))
def test_minoring_is_below_and_majoring_above(batch, curve):
    low, middle, high = (
        metrics.AUC(num_thresholds=8, curve=curve, summation_method=method)(*batch)
        for method in ("minoring", "interpolation", "majoring")
    )
    assert low <= high + 1e-12
    if curve == "ROC":
        assert middle == pytest.approx((low + high) / 2, abs=1e-12)


@given(decisions(min_size=1, elements=st.floats(0, 1)))
def test_area_under_pr_is_an_integral_over_linearly_growing_counts(batch):
    thresholds = [-1e-7, 0.25, 0.5, 0.75, 1 + 1e-7]
    counts = [count(*batch, threshold) for threshold in thresholds]
    positives = counts[0]["tp"] + counts[0]["fn"]
    area = 0.0
    for lower, upper in itertools.pairwise(counts):  # the counts grow from those of `upper` to those of `lower`
        if upper["tp"] + upper["fp"] == 0:  # the precision there is that of the lower threshold, throughout
            area += ratio(lower["tp"], lower["tp"] + lower["fp"]) * ratio(lower["tp"], positives)
            continue
        middles = (np.arange(4000) + 0.5) / 4000  # the midpoint rule
        tp = upper["tp"] + middles * (lower["tp"] - upper["tp"])
        fp = upper["fp"] + middles * (lower["fp"] - upper["fp"])
        area += np.mean(tp / (tp + fp)) * ratio(lower["tp"] - upper["tp"], positives)
    # The weights differ by less than a factor of 8·3/0.1, so that the midpoint rule is good to 1e-5.
    assert metrics.AUC(num_thresholds=5, curve="PR")(*batch) == pytest.approx(area, abs=1e-5)


def test_area_of_known_curves():
    y_true, y_pred = [0, 0, 1, 1], [0, 0.5, 0.3, 0.9]
    assert metrics.AUC(num_thresholds=3)(y_true, y_pred) == 0.75
    assert metrics.AUC(num_thresholds=3)(y_true, y_pred, [1, 0, 0, 1]) == 1
    assert metrics.AUC(curve="PR")([1, 0], [0.9, 0.1]) == pytest.approx(1)
    assert metrics.AUC()([1, 0], [0.1, 0.9]) == 0
    assert metrics.AUC()([1, 1], [0.1, 0.9]) == 0  # without labels 0 there is no curve


def test_scores_of_exactly_0_and_1_are_between_the_outermost_thresholds():
    for dtype in np.float32, np.float64:
        assert metrics.AUC()([1, 0, 1, 0], np.array([1, 0, 0, 1], dtype)) == 0.5
        metric = metrics.AUC()
        metric.update_state([1, 1], np.array([1 + 9e-7, -9e-7], dtype))  # a rounding more or less
        assert metric.true_positives[0] == 2
        assert metric.true_positives[-1] == 0


def test_areas_of_several_labels_are_averaged():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 2, (30, 3)), rng.uniform(size=(30, 3))
    for curve in "ROC", "PR":
        areas = [metrics.AUC(curve=curve)(y_true[:, i], y_pred[:, i]) for i in range(3)]
        assert metrics.AUC(curve=curve, multi_label=True)(y_true, y_pred) == pytest.approx(np.mean(areas))
        weighted = metrics.AUC(curve=curve, multi_label=True, label_weights=[1, 0, 2])(y_true, y_pred)
        assert weighted == pytest.approx((areas[0] + 2 * areas[2]) / 3)
    pooled = metrics.AUC()(y_true.ravel(), y_pred.ravel())
    assert metrics.AUC()(y_true, y_pred) == pooled
    weighted = metrics.AUC()(y_true.ravel(), y_pred.ravel(), np.tile([1, 0, 2], 30))
    assert metrics.AUC(label_weights=[1, 0, 2])(y_true, y_pred) == weighted


def test_the_number_of_labels_is_learned_and_kept():
    metric = metrics.AUC(multi_label=True)
    assert metric.result() == 0
    metric.update_state([[1, 0], [0, 1]], [[0.9, 0.2], [0.1, 0.3]])
    assert metric.true_positives.shape == (200, 2)
    with pytest.raises(ShapeError, match=r"expected y_pred of shape \(n, 2\), got \(1, 3\)"):
        metric.update_state([[1, 0, 1]], [[0.9, 0.2, 0.1]])
    with pytest.raises(ShapeError, match=r"expected y_pred of shape \(n, 2\), got \(2,\)"):
        metric.update_state([1, 0], [0.9, 0.2])
    metric.reset_state()
    assert metric.true_positives.shape == (200, 2)
    with pytest.raises(ShapeError, match=r"\(n, labels\), got \(2,\)"):
        metrics.AUC(multi_label=True).update_state([1, 0], [0.9, 0.2])


def test_logits_of_any_size():
    labels, logits = [1, 0, 1, 0], np.array([1e30, -1e30, 0.1, -0.1], np.float32)
    assert metrics.AUC(from_logits=True)(labels, logits) == 1
    with pytest.raises(ArgumentError, match=r"AUC: y_pred must be probabilities .*AUC\(from_logits=True\)"):
        metrics.AUC().update_state(labels, logits)


def test_the_curve_can_be_drawn():
    metric = metrics.AUC(num_thresholds=5)
    metric.update_state([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], [1, 2, 3, 4])
    assert metric.true_positives.tolist() == [7, 7, 4, 4, 0]
    assert metric.false_positives.tolist() == [3, 2, 2, 0, 0]
    assert metric.false_negatives.tolist() == [0, 0, 3, 3, 7]
    assert metric.true_negatives.tolist() == [0, 1, 1, 3, 3]


# ---- errors

ALL = (*COUNTS, metrics.Precision, metrics.Recall, metrics.AUC)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_wrong_inputs_are_errors_that_change_nothing(make):
    metric = make()
    before = metric([1, 0, 1], [0.9, 0.2, 0.7])
    for error, match, *batch in (
        (ArgumentError, r"must hold labels 0 and 1 alone, got \[-1\.  1\.\]", [-1, 1], [0.1, 0.2]),
        (ArgumentError, r"got \[0\.5\]", [0.5], [0.1]),
        (NonFiniteError, "y_pred holds NaN", [0, 1], [0.1, math.nan]),
        (ArgumentError, r"in \[0, 1\], but it goes from -0.5 to 1", [0, 1], [-0.5, 1]),
        (ArgumentError, r"in \[0, 1\], but it goes from 0 to 1.1", [0, 1], [0, 1.1]),
        (ShapeError, r"got \(2,\) and \(2, 3\): labels are 0 or 1 for each score, one-hot", [0, 1], np.ones((2, 3))),
        (ShapeError, r"sample_weight has shape \(3,\)", [0, 1], [0, 1], [1, 2, 3]),
        (ArgumentError, "sample_weight must not be negative, got -2", [0, 1], [0, 1], [1, -2]),
    ):
        with pytest.raises(error, match=rf"{make.__name__}: .*{match}"):
            metric.update_state(*batch)
    assert metric.result() == before


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("thresholds", [[0.5, 1.5], [-0.1], [math.nan], [], [[0.5]]], ids=str)
def test_thresholds_are_numbers_from_0_to_1(make, thresholds):
    with pytest.raises(ArgumentError, match=f"{make.__name__}: thresholds must be numbers from 0 to 1, got"):
        make(thresholds=thresholds)


def test_wrong_arguments_of_auc_and_precision():
    with pytest.raises(UnknownNameError, match="Unknown curve of AUC 'ROCK': did you mean 'ROC'"):
        metrics.AUC(curve="rock")
    with pytest.raises(UnknownNameError, match="Unknown summation_method of AUC 'minor': did you mean"):
        metrics.AUC(summation_method="minor")
    with pytest.raises(ArgumentError, match="num_thresholds must be an integer ≥ 2, got 1"):
        metrics.AUC(num_thresholds=1)
    with pytest.raises(ArgumentError, match="num_labels is for multi_label=True alone"):
        metrics.AUC(num_labels=3)
    with pytest.raises(ArgumentError, match="label_weights must be numbers from 0 to inf"):
        metrics.AUC(label_weights=[1, -1])
    with pytest.raises(ArgumentError, match="label_weights must not all be 0"):
        metrics.AUC(label_weights=[0, 0])
    with pytest.raises(ShapeError, match=r"3 label_weights do not fit y_pred of shape \(4, 2\)"):
        metrics.AUC(label_weights=[1, 2, 3]).update_state(np.ones((4, 2)), np.ones((4, 2)))
    with pytest.raises(ArgumentError, match="Precision: top_k must be an integer ≥ 1, got 0"):
        metrics.Precision(top_k=0)
    assert metrics.AUC(curve="pr", summation_method="Majoring").get_config()["curve"] == "PR"
