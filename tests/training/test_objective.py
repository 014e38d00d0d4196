"""`Objective`: the loss and the metrics, and how their numbers come about."""

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, ShapeError
from minidl.training import Objective, Objectives, objective_for


@pytest.fixture
def batches():
    """Two batches, of 3 samples and of 1: targets, predictions, weights."""
    return [
        (np.array([[0.0], [1.0], [4.0]]), keras.Tensor(np.array([[0.0], [0.0], [2.0]])), np.array([1.0, 2.0, 0.5])),
        (np.array([[3.0]]), keras.Tensor(np.array([[0.0]])), np.array([4.0])),
    ]


def after(objective, batches, weighted=True):
    for y, y_pred, weight in batches:
        weight = weight if weighted else None
        objective.update_loss(objective(y, y_pred, weight), len(y))
        objective.update_metrics(y, y_pred, weight)
    return objective.results()


def test_the_loss_is_the_mean_over_samples_and_not_over_batches(batches):
    """Errors 0, 1, 2 | 3."""
    assert after(Objective("mae", None, None), batches, weighted=False) == {"loss": 6 / 4}


def test_with_sample_weights_it_is_still_divided_by_the_number_of_samples(batches):
    """(0·1 + 1·2 + 2·½ | 3·4) / 4."""
    assert after(Objective("mae", None, None), batches) == {"loss": pytest.approx(15 / 4)}


def test_metrics_ignore_weights_and_weighted_metrics_divide_by_their_sum(batches):
    results = after(Objective("mse", ["mae"], ["mae"]), batches)
    assert list(results) == ["loss", "mae", "weighted_mae"]
    assert results["mae"] == pytest.approx(6 / 4)
    assert results["weighted_mae"] == pytest.approx(15 / 7.5)


def test_reset_starts_anew(batches):
    objective = Objective("mse", ["mae"], None)
    first = after(objective, batches)
    objective.reset()
    assert objective.results() == {"loss": 0, "mae": 0}
    assert after(objective, batches) == first


def test_a_metric_may_give_several_numbers(batches):
    class Extremes(keras.metrics.Metric):
        def __init__(self):
            super().__init__()
            self.reset_state()

        def reset_state(self):
            self.values = []

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.values.extend(np.ravel(y_pred))

        def result(self):
            return {"lowest": min(self.values), "highest": max(self.values)}

    results = after(Objective("mse", [Extremes()], None), batches)
    assert list(results) == ["loss", "lowest", "highest"]
    assert (results["lowest"], results["highest"]) == (0, 2)


def test_a_metric_may_be_a_single_one_without_a_list(batches):
    assert list(after(Objective("mse", keras.metrics.MeanAbsoluteError(), None), batches)) == [
        "loss", "mean_absolute_error",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("metrics", "weighted", "name"),
    [
        (["mae", "mae"], None, "mae"),
        ([keras.metrics.MeanSquaredError("loss")], None, "loss"),
        (None, ["mae", "mae", "mae"], "weighted_mae"),
    ],
)
def test_every_metric_needs_a_name_of_its_own(metrics, weighted, name):
    with pytest.raises(ArgumentError, match=f"the name {name!r} is taken: give the metric .* another name"):
        Objective("mse", metrics, weighted)


def test_a_loss_that_is_no_single_number(batches):
    objective = Objective(keras.losses.MeanSquaredError(reduction="none"), None, None)
    with pytest.raises(ShapeError, match="instead of one number"):
        after(objective, batches)


class TestSeveralOutputs:
    """Outputs a and b, of 2 samples: errors 1 and 3 in a, 2 and 2 in b."""

    Y = [np.zeros((2, 1)), np.zeros((2, 1))]
    PREDICTED = [np.array([[1.0], [3.0]]), np.array([[2.0], [2.0]])]

    def after(self, objective, y_pred=PREDICTED, weight=None):
        tensors = {k: keras.Tensor(v) for k, v in y_pred.items()} if isinstance(y_pred, dict) else y_pred
        loss = objective(self.Y, tensors, weight)
        objective.update_loss(loss.data, len(self.Y[0]))
        objective.update_metrics(self.Y, y_pred, weight)
        return objective.results()

    def test_the_loss_is_the_weighted_sum(self):
        objective = Objectives("ab", ["mae", "mse"], None, None, {"b": 0.5})
        assert self.after(objective) == {"loss": 4.0, "a_loss": 2.0, "b_loss": 4.0}

    def test_metrics_follow_the_losses_in_the_order_of_the_outputs(self):
        objective = Objectives("ab", "mae", {"b": ["mse"], "a": ["mae"]}, [["mae"], None])
        results = self.after(objective, weight=[np.array([1.0, 0.0]), None])
        assert results == {
            "loss": 2.5, "a_loss": 0.5, "b_loss": 2.0, "a_mae": 2.0, "a_weighted_mae": 1.0, "b_mse": 4.0
        }  # fmt: skip
        assert list(results) == objective.names

    def test_predictions_may_be_a_dictionary_in_any_order(self):
        objective = Objectives("ab", ["mae", "mse"], None, None)
        y_pred = {"b": self.PREDICTED[1], "a": self.PREDICTED[0]}
        assert self.after(objective, y_pred) == self.after(Objectives("ab", ["mae", "mse"], None, None))

    def test_of_a_single_loss_the_sum_alone_is_reported(self):
        assert self.after(Objectives("ab", [None, "mae"], None, None)) == {"loss": 2.0}

    def test_begins_anew(self):
        objective = Objectives("ab", "mae", [["mae"], []], None)
        first = self.after(objective)
        objective.reset()
        assert self.after(objective) == first

    def test_a_model_that_makes_another_number_of_outputs(self):
        with pytest.raises(ArgumentError, match="compile was told of 2 outputs \\(a, b\\), got 1"):
            Objectives("ab", "mae", None, None)(self.Y, [self.PREDICTED[0]])

    def test_names_are_those_of_the_losses_where_the_model_has_none(self):
        assert objective_for(None, {"p": "mae", "q": "mse"}, None, None, None).output_names == ["p", "q"]
        assert objective_for(None, ["mae", "mse"], None, None, None).output_names == ["output_0", "output_1"]
        assert isinstance(objective_for(None, "mae", None, None, None), Objective)
