"""Metrics made of right and wrong decisions: precision, recall, the four counts, areas under ROC and PR curves.

A score above a threshold is a yes. At each threshold the decisions fall into true and false positives (tp, fp: a yes
where the label is 1 or 0) and true and false negatives (tn, fn: a no where it is 0 or 1), each the sum of the weights.

The state is two histograms over the intervals between the thresholds: the weight of labels 1 and that of labels 0
whose scores lie there. The counts at all thresholds are their cumulative sums, so that a batch of n scores takes
O(n log T) time and O(n + T) memory for T thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.checks import count
from minidl.config import epsilon
from minidl.errors import ArgumentError, NonFiniteError, ShapeError, look_up
from minidl.memory import Array
from minidl.metrics.metric import DType, Metric, as_numbers, as_weights, check_probabilities, matching

FOR_ONE_HOT = ": labels are 0 or 1 for each score, one-hot for several classes"


class ConfusionMetric(Metric):
    """The state that the metrics of this file share, for `thresholds` in any order."""

    def __init__(self, thresholds: Sequence[float], dtype: DType, name: str | None, columns: int | None = None) -> None:
        super().__init__(dtype, name)
        self._edges, self._place = np.unique(thresholds, return_inverse=True)
        self._columns = columns
        self.reset_state()

    def reset_state(self) -> None:
        """Empty the histograms."""
        intervals = len(self._edges) + 1
        shape = (intervals,) if self._columns is None else (intervals, self._columns)
        self._positive, self._negative = np.zeros(shape), np.zeros(shape)

    @property
    def true_positives(self) -> Array:
        """The weight of labels 1 with scores above each threshold; (thresholds,), or (thresholds, labels)."""
        return self._above(self._positive)

    @property
    def false_positives(self) -> Array:
        """The weight of labels 0 with scores above each threshold."""
        return self._above(self._negative)

    @property
    def true_negatives(self) -> Array:
        """The weight of labels 0 with scores at or below each threshold."""
        return self._below(self._negative)

    @property
    def false_negatives(self) -> Array:
        """The weight of labels 1 with scores at or below each threshold."""
        return self._below(self._positive)

    def _above(self, histogram: Array) -> Array:
        return histogram[::-1].cumsum(axis=0)[-2::-1][self._place]

    def _below(self, histogram: Array) -> Array:
        return histogram.cumsum(axis=0)[:-1][self._place]

    def _inputs(
        self, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None
    ) -> tuple[Array, Array, Array]:
        """Labels, scores and weights as arrays of one shape; or the error that says what is wrong with them."""
        owner = type(self).__name__
        labels, scores = matching(owner, y_true, y_pred, FOR_ONE_HOT)
        if not np.all((labels == 0) | (labels == 1)):
            raise ArgumentError(f"{owner}: y_true must hold labels 0 and 1 alone, got {np.unique(labels)[:5]}")
        if np.isnan(scores.min(initial=0)):
            raise NonFiniteError(f"{owner}: y_pred holds NaN")
        weights = as_weights(owner, 1.0 if sample_weight is None else sample_weight, scores.shape)
        if weights.min(initial=0) < 0:
            raise ArgumentError(f"{owner}: sample_weight must not be negative, got {weights.min()}")
        return labels, scores, weights

    def _count(self, labels: Array, scores: Array, weights: Array) -> None:
        """Add arrays of one shape to the histograms; (n, columns) if there is one for each column."""
        cells = np.searchsorted(self._edges.astype(scores.dtype), scores)  # how many thresholds a score exceeds
        if self._columns is not None:
            cells = cells * self._columns + np.arange(self._columns)
        for histogram, weight in (self._positive, weights * labels), (self._negative, weights * (1 - labels)):
            histogram += np.bincount(cells.ravel(), weight.ravel(), histogram.size).reshape(histogram.shape)


class ThresholdMetric(ConfusionMetric):
    """A number for each threshold, or a scalar for a single one.

    `thresholds`: one or several in [0, 1], 0.5 unless given. Scores must be probabilities, unless the only threshold is
    0: that is the one for logits.
    `top_k`: in each row the scores other than the k highest are a no; a tie goes to the first class. Without
    `thresholds`, the k highest are a yes whatever their size.
    `class_id`: look at this class alone, a column of labels and scores.
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        self.thresholds = _as_list(type(self).__name__, "thresholds", thresholds, 1)
        super().__init__(self.thresholds or [0.5 if top_k is None else -np.inf], dtype, name)
        self.top_k = None if top_k is None else count(type(self).__name__, "top_k", top_k)
        self.class_id = class_id

    def update_state(
        self, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> None:
        """Take in labels 0 and 1 and scores of one shape; `sample_weight` as for `Mean`."""
        labels, scores, weights = self._inputs(y_true, y_pred, sample_weight)
        owner = type(self).__name__
        if self._edges[-1] > 0:
            check_probabilities(owner, scores, "apply a sigmoid or softmax, or use thresholds=0 for logits")
        if self.top_k is not None:
            scores = _keep_highest(scores, self.top_k)
        if self.class_id is not None:
            if scores.ndim < 2 or not 0 <= self.class_id < scores.shape[-1]:
                raise ShapeError(f"{owner}: class_id={self.class_id} is no column of y_pred, of shape {scores.shape}")
            labels, scores, weights = (array[..., self.class_id] for array in (labels, scores, weights))
        self._count(labels, scores, weights)

    def _each(self, values: Array) -> Any:
        return self._as_result(values[0] if len(values) == 1 else values)


class Precision(ThresholdMetric):
    """How much of the yes is right: `tp / (tp + fp)`, 0 where there is no yes.  Arguments: see `ThresholdMetric`."""

    direction = "up"

    def result(self) -> Any:
        """The precision at each threshold, a scalar for one."""
        return self._each(_ratio(self.true_positives, self.true_positives + self.false_positives))


class Recall(ThresholdMetric):
    """How much of the labels 1 is found: `tp / (tp + fn)`, 0 where there are none.  Arguments as for `Precision`."""

    direction = "up"

    def result(self) -> Any:
        """The recall at each threshold, a scalar for one."""
        return self._each(_ratio(self.true_positives, self.true_positives + self.false_negatives))


class TruePositives(ThresholdMetric):
    """The weight of the labels 1 that got a yes.  Arguments: see `ThresholdMetric`."""

    direction = "up"

    def result(self) -> Any:
        """The count at each threshold, a scalar for one."""
        return self._each(self.true_positives)


class FalsePositives(ThresholdMetric):
    """The weight of the labels 0 that got a yes.  Arguments: see `ThresholdMetric`."""

    direction = "down"

    def result(self) -> Any:
        """The count at each threshold, a scalar for one."""
        return self._each(self.false_positives)


class TrueNegatives(ThresholdMetric):
    """The weight of the labels 0 that got a no.  Arguments: see `ThresholdMetric`."""

    direction = "up"

    def result(self) -> Any:
        """The count at each threshold, a scalar for one."""
        return self._each(self.true_negatives)


class FalseNegatives(ThresholdMetric):
    """The weight of the labels 1 that got a no.  Arguments: see `ThresholdMetric`."""

    direction = "down"

    def result(self) -> Any:
        """The count at each threshold, a scalar for one."""
        return self._each(self.false_negatives)


class AUC(ConfusionMetric):
    """The area under recall over false-positive rate (ROC) or precision over recall (PR), drawn by the threshold.

        recall = tp / (tp + fn),   false-positive rate = fp / (fp + tn),   precision = tp / (tp + fp)

    The thresholds are `num_thresholds` evenly spaced ones, the outermost just outside [0, 1], or the inner ones given
    as `thresholds`. Between neighbours, `summation_method` takes the height of the curve for its lower end
    ("minoring": too small an area), its upper end ("majoring": too large) or its mean ("interpolation"); the PR curve
    is not interpolated by straight lines but as in Davis & Goadrich (2006), section 4.

    `multi_label`: labels and scores are (n, labels), and the areas of the columns are averaged, with `label_weights`
    if given. Without it all scores are pooled, and `label_weights` weigh the columns. `num_labels` is the number of
    columns; the first batch tells it otherwise. `from_logits`: a sigmoid is applied to the scores first.
    """

    direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: DType = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        self.num_thresholds = count("AUC", "num_thresholds", num_thresholds, least=2)
        self.curve = look_up("curve of AUC", curve.upper(), {"ROC": "ROC", "PR": "PR"})
        self.summation_method = summation_method.lower()
        self._height = look_up("summation_method of AUC", self.summation_method, _HEIGHTS)
        self.thresholds = _as_list("AUC", "thresholds", thresholds, 1)
        self.multi_label = multi_label
        self.num_labels = None if num_labels is None else count("AUC", "num_labels", num_labels)
        self.label_weights = _as_list("AUC", "label_weights", label_weights, math.inf)
        self.from_logits = from_logits
        if num_labels is not None and not multi_label:
            raise ArgumentError("AUC: num_labels is for multi_label=True alone")
        if self.label_weights is not None and not sum(self.label_weights):
            raise ArgumentError("AUC: label_weights must not all be 0")
        inner = self.thresholds or np.arange(1, num_thresholds - 1) / (num_thresholds - 1)
        super().__init__([-epsilon(), *np.sort(inner), 1 + epsilon()], dtype, name, self.num_labels)

    def update_state(
        self, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> None:
        """Take in labels 0 and 1 and scores of one shape; `sample_weight` as for `Mean`."""
        labels, scores, weights = self._inputs(y_true, y_pred, sample_weight)
        if self.from_logits:
            scores = np.exp(-np.logaddexp(0, -scores))
        check_probabilities("AUC", scores, "apply a sigmoid, or use AUC(from_logits=True)")
        scores = np.clip(scores, 0, 1)
        columns = scores.shape[-1]
        if self.label_weights is not None and len(self.label_weights) != columns:
            raise ShapeError(f"AUC: {len(self.label_weights)} label_weights do not fit y_pred of shape {scores.shape}")
        if self.multi_label:
            if scores.ndim != 2 or self._columns not in (None, columns):
                raise ShapeError(f"AUC: expected y_pred of shape (n, {self._columns or 'labels'}), got {scores.shape}")
            if self._columns is None:
                self._columns = columns
                self.reset_state()
        elif self.label_weights is not None:
            weights = weights * self.label_weights
        self._count(labels, scores, weights)

    def result(self) -> Any:
        """The area of everything seen, 0 if there is none."""
        tp, fp, tn, fn = self.true_positives, self.false_positives, self.true_negatives, self.false_negatives
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated(tp, fp, fn)
        else:
            recall, precision, false_positive_rate = _ratio(tp, tp + fn), _ratio(tp, tp + fp), _ratio(fp, fp + tn)
            x, y = (false_positive_rate, recall) if self.curve == "ROC" else (recall, precision)
            areas = np.sum(-np.diff(x, axis=0) * self._height(y[:-1], y[1:]), axis=0)
        return self._as_result(np.average(areas, weights=self.label_weights if self.multi_label else None))


def _interpolated(tp: Array, fp: Array, fn: Array) -> Array:
    """The area under the PR curve if tp grows linearly with the number of yes, p = tp + fp, between two thresholds.

    With tp = a + b·p the precision is a/p + b, and recall is tp/(tp + fn): the area between p₁ and p₀ is
    `b·(tp₀ − tp₁ + a·ln(p₀/p₁)) / (tp + fn)`, the logarithm being left out where p₁ is 0.
    """
    p = tp + fp
    slope = _ratio(np.diff(tp, axis=0), np.diff(p, axis=0))
    intercept = tp[1:] - slope * p[1:]
    growth = np.log(np.where(p[1:] > 0, _ratio(p[:-1], p[1:]), 1))
    area: Array = np.sum(_ratio(slope * (intercept * growth - np.diff(tp, axis=0)), tp[1:] + fn[1:]), axis=0)
    return area


def _as_list(owner: str, argument: str, value: npt.ArrayLike | None, highest: float) -> list[float] | None:
    """`value`, one or several numbers in [0, highest], as a list; or an `ArgumentError`. None stays None."""
    if value is None:
        return None
    numbers = np.atleast_1d(as_numbers(owner, argument, value)).astype(np.float64)
    if numbers.ndim > 1 or numbers.size == 0 or not np.all((numbers >= 0) & (numbers <= highest)):
        raise ArgumentError(f"{owner}: {argument} must be numbers from 0 to {highest}, got {value!r}")
    return list(map(float, numbers))


def _ratio(a: Array, b: Array) -> Array:
    """`a / b`, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(b), where=b != 0)


def _keep_highest(scores: Array, k: int) -> Array:
    """`scores` with −∞ in the place of all but the `k` highest of each row."""
    highest = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
    kept = np.zeros(scores.shape, bool)
    np.put_along_axis(kept, highest, True, -1)
    return np.where(kept, scores, -np.inf)


def _midpoint(a: Array, b: Array) -> Array:
    return 0.5 * a + 0.5 * b


_HEIGHTS: dict[str, Callable[[Array, Array], Array]] = {
    "interpolation": _midpoint,
    "minoring": np.minimum,
    "majoring": np.maximum,
}
