"""What holds for every metric, and the base they stand on: Mean, Sum, MeanMetricWrapper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidl as keras
from minidl import metrics, ops
from minidl.errors import ArgumentError, DTypeError, MiniDLWarning, ShapeError


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)  # sums of tens of float64 in another order


# ---- every metric


def test_batches_one_after_the_other_are_as_good_as_all_at_once(case, rng):
    y_true, y_pred = case.data(rng, 30)
    weights = rng.uniform(0, 2, 30)
    streaming, whole = case.make(), case.make()
    for part in np.split(np.arange(30), [4, 5, 17]):
        streaming.update_state(y_true[part], y_pred[part], weights[part])
    close(streaming.result(), whole(y_true, y_pred, weights))


def test_a_weight_is_how_often_a_sample_occurs(case, rng):
    y_true, y_pred = case.data(rng, 30)
    times = rng.integers(0, 4, 30)
    again = np.repeat(np.arange(30), times)
    close(case.make()(y_true, y_pred, times), case.make()(y_true[again], y_pred[again]))


def test_weights_of_one_change_nothing_in_any_shape(case, rng):
    y_true, y_pred = case.data(rng, 12)
    for weights in np.ones(12), np.ones((12, 1)), np.ones(12, bool), [1] * 12:
        close(case.make()(y_true, y_pred, weights), case.make()(y_true, y_pred))


def test_an_empty_batch_changes_nothing_and_nothing_seen_gives_zero(case, rng):
    y_true, y_pred = case.data(rng, 12)
    metric = case.make()
    metric.update_state(y_true[:0], y_pred[:0])
    metric.update_state(y_true[:0], y_pred[:0], np.ones(0))
    close(metric.result(), 0 * metric.result())
    before = metric(y_true, y_pred)
    metric.update_state(y_true[:0], y_pred[:0])
    close(metric.result(), before)


def test_reset_state_starts_over(case, rng):
    metric = case.make()
    metric.update_state(*case.data(rng, 12))
    metric.reset_state()
    close(metric.result(), case.make().result())
    batch = case.data(rng, 12)
    close(metric(*batch), case.make()(*batch))


def test_float32_lists_and_float64_give_the_same(case, rng):
    y_true, y_pred = case.data(rng, 12)
    y_pred = y_pred.astype(np.float32).astype(np.float64) if y_pred.dtype.kind == "f" else y_pred
    expected = case.make()(y_true, y_pred)
    close(case.make()(y_true.tolist(), y_pred.tolist()), expected)
    single = case.make()(y_true.astype(np.float32), y_pred.astype(np.float32))
    np.testing.assert_allclose(single, expected, rtol=2e-6, atol=1e-6)  # the formulas are then computed in float32


def test_functions_take_samples_in_any_number_of_axes(case, rng):
    metric = case.make()
    if isinstance(metric, metrics.MeanMetricWrapper):
        y_true, y_pred = case.data(rng, 12)
        flat = metric.fn(y_true, y_pred, **metric.fn_kwargs)
        grid = metric.fn(
            y_true.reshape(2, 6, *y_true.shape[1:]), y_pred.reshape(2, 6, *y_pred.shape[1:]), **metric.fn_kwargs
        )
        close(grid, flat.reshape(2, 6, *flat.shape[1:]))


def test_inputs_are_not_modified(case, rng):
    y_true, y_pred = case.data(rng, 12)
    weights = np.ones(12)
    for array in y_true, y_pred, weights:
        array.setflags(write=False)
    case.make()(y_true, y_pred, weights)


@pytest.mark.parametrize("weights", [np.ones(11), np.ones((12, 1, 2)), np.ones((3, 12)), ["a"] * 12], ids=np.shape)
def test_weights_that_do_not_fit_are_an_error_that_changes_nothing(case, rng, weights):
    y_true, y_pred = case.data(rng, 12)
    metric = case.make()
    before = metric(y_true, y_pred)
    with pytest.raises((ShapeError, DTypeError), match="sample_weight"):
        metric.update_state(y_true, y_pred, weights)
    close(metric.result(), before)


def test_other_numbers_of_targets_and_outputs_are_an_error_that_changes_nothing(case, rng):
    y_true, y_pred = case.data(rng, 12)
    metric = case.make()
    before = metric(y_true, y_pred)
    with pytest.raises(ShapeError, match=r"\(11.*\(12"):
        metric.update_state(y_true[:11], y_pred)
    close(metric.result(), before)


def test_what_is_no_number_is_an_error(case, rng):
    y_true, y_pred = case.data(rng, 2)
    with pytest.raises(DTypeError, match="y_pred must be an array of real numbers, got 'cat'"):
        case.make().update_state(y_true, "cat")
    with pytest.raises(DTypeError, match=r"y_true must be an array of real numbers, got \[\[1\], \[2, 3\]\]"):
        case.make().update_state([[1], [2, 3]], y_pred)
    with pytest.raises(DTypeError, match="y_pred must be an array of real numbers, got an array of complex128"):
        case.make().update_state(y_true, y_pred + 0j)


def test_config_and_serialization_make_an_equal_metric(case, rng):
    metric = case.make()
    batch = case.data(rng, 12)
    for again in metric.from_config(metric.get_config()), metrics.deserialize(metrics.serialize(metric)):
        assert type(again) is type(metric)
        assert again.get_config() == metric.get_config()
        close(again(*batch), case.make()(*batch))


def test_direction_says_which_way_is_better(case, rng):
    # A perfect model is better than a random one, for all but the two counts that depend on how many labels there are.
    y_true, y_pred = case.data(rng, 40)
    if y_pred.shape != y_true.shape:
        perfect = np.eye(4)[y_true]
    else:
        perfect = y_true * (10 if case.make().name.endswith("hinge") else 1)
    good, bad = (np.sum(case.make()(y_true, predictions)) for predictions in (perfect, y_pred))
    assert {"up": good > bad, "down": good < bad}[case.make().direction]


# ---- Mean and Sum


def test_mean_is_the_weighted_mean_of_everything():
    mean = metrics.Mean()
    mean.update_state([1, 3, 5, 7], [1, 1, 0, 0])
    assert mean.result() == 2
    mean.update_state(10, 2)
    assert mean.result() == (1 + 3 + 20) / 4
    mean.reset_state()
    assert mean([[1, 3], [5, 7]]) == 4
    assert isinstance(mean.result(), float)


weighted_values = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 10)), min_size=1, max_size=5)


@given(st.lists(weighted_values, min_size=1, max_size=5))
def test_mean_and_sum_of_any_batches(batches):
    mean, total = metrics.Mean(), metrics.Sum()
    for batch in batches:
        values, weights = np.transpose(batch)
        mean.update_state(values, weights)
        total.update_state(values, weights)
    x, w = np.concatenate(batches).T
    assert total.result() == pytest.approx(x @ w, rel=1e-12, abs=1e-8)
    assert mean.result() * w.sum() == pytest.approx(x @ w, rel=1e-9, abs=1e-8)


def test_a_sample_of_several_values_counts_once():
    mean = metrics.Mean()
    mean.update_state(np.ones((1, 100)))
    mean.update_state(np.zeros((1, 1)))
    assert mean.result() == 0.5


def test_one_number_weighs_the_batch_as_one_value():
    mean = metrics.Mean()
    mean.update_state([1, 2, 3], 2.0)
    mean.update_state([10], 1.0)
    assert mean.result() == (2 * 2 + 10) / 3
    assert metrics.Sum()([1, 2, 3], 2.0) == 12


def test_weights_may_be_given_for_each_value_and_broadcast():
    values = np.arange(6.0).reshape(2, 3)
    for weights in [[1, 0, 2], [3, 1, 1]], [[1, 2, 3]], [[2], [1]], [2, 1]:
        broadcast = np.broadcast_to(np.reshape(weights, (2, 1)) if weights == [2, 1] else weights, (2, 3))
        assert metrics.Mean()(values, weights) == pytest.approx(np.average(values, weights=broadcast), rel=1e-15)
        assert metrics.Sum()(values, weights) == pytest.approx(np.sum(values * broadcast), rel=1e-15)


def test_weights_that_add_up_to_zero_give_zero():
    assert metrics.Mean()([1.0, 2.0], [0, 0]) == 0


def test_float32_values_are_added_up_in_float64():
    ones, few = np.broadcast_to(np.float32(1), 2**24), np.ones(3, np.float32)
    total, mean = metrics.Sum(), metrics.Mean()
    for metric in total, mean:
        metric.update_state(ones)
        metric.update_state(few)
    assert total.result() == 2**24 + 3  # in float32, 2²⁴ + 1 = 2²⁴
    assert mean.count == 2**24 + 3
    tenths = metrics.Mean()
    tenths.update_state(np.full(100_000, 0.1, np.float32))
    assert tenths.result() == pytest.approx(np.float32(0.1), rel=1e-12)


def test_dtype_is_that_of_the_result_alone():
    mean = metrics.Mean(dtype="float32")
    mean.update_state(np.array([0.1, 0.2]))
    assert mean.result().dtype == np.float32
    assert mean.total == 0.1 + 0.2
    assert metrics.Precision(dtype=np.float16, thresholds=[0.1, 0.2]).result().dtype == np.float16
    with pytest.raises(DTypeError, match="mean: dtype must be a float type, got 'int32'"):
        metrics.Mean(dtype="int32")
    with pytest.raises(DTypeError, match="got 'flaot32'"):
        metrics.Mean(dtype="flaot32")


# ---- functions


def test_any_function_of_targets_and_outputs_is_a_metric():
    def largest(y_true, y_pred, power=1):
        return np.abs(y_true - y_pred).max(axis=-1) ** power

    metric = metrics.get(largest)
    assert metric.name == "largest"
    assert metric.direction is None
    assert metric(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])) == 3
    squared = metrics.MeanMetricWrapper(largest, name="squared", power=2)
    assert squared(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 0]) == 4
    assert squared.get_config() == {"fn": largest, "name": "squared", "dtype": "float64", "power": 2}
    assert squared.from_config(squared.get_config()).fn_kwargs == {"power": 2}


def test_a_function_may_return_one_number_for_the_batch():
    metric = metrics.MeanMetricWrapper(lambda y_true, y_pred: 2.0 * len(y_true), name="twice")
    metric.update_state([1, 2, 3], [1, 2, 3])
    metric.update_state([1], [1])
    assert metric.result() == (6 + 2) / 2


def test_what_has_a_name_gives_it_to_its_metric():
    class Scale:
        name = "scale"

        def __call__(self, y_true, y_pred):
            return np.abs(y_pred)

    assert metrics.MeanMetricWrapper(Scale()).name == "scale"


def test_a_function_that_returns_no_numbers_is_an_error():
    def forgetful(y_true, y_pred):
        pass

    with pytest.raises(DTypeError, match="forgetful: values must be an array of real numbers, got None"):
        metrics.MeanMetricWrapper(forgetful).update_state([1], [1])
    with pytest.raises(ArgumentError, match=r"expected a function f\(y_true, y_pred\), got 3"):
        metrics.MeanMetricWrapper(3)


# ---- own metrics


class LargestError(metrics.Metric):
    def __init__(self, floor=0.0, **kwargs):
        super().__init__(**kwargs)
        self.floor = floor
        self.reset_state()

    def reset_state(self):
        self.largest = self.floor

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest = max(self.largest, np.abs(np.subtract(y_true, y_pred)).max())

    def result(self):
        return self.largest


def test_own_metrics():
    metric = LargestError(floor=1)
    assert metric([1, 2], [1, 5]) == 3
    assert metric([1, 2], [1, 2]) == 3
    metric.reset_state()
    assert metric.result() == 1
    assert repr(metric) == "LargestError(floor=1)"
    assert metric.get_config() == {"floor": 1, "name": "largest_error", "dtype": "float64"}
    assert LargestError.from_config({"floor": 2, "name": "worst"}).name == "worst"
    config = metrics.serialize(metric)
    assert metrics.deserialize(config, {"LargestError": LargestError}).floor == 1


def test_a_metric_lacking_a_method_says_which():
    class Empty(metrics.Metric):
        pass

    for method in "update_state", "result", "reset_state":
        with pytest.raises(NotImplementedError, match=f"Empty must define {method}"):
            getattr(Empty(), method)()


def test_config_needs_attributes_of_the_same_names():
    class Forgetful(metrics.Mean):
        def __init__(self, k=3):
            super().__init__()

    with pytest.raises(ArgumentError, match="keeps no attribute for its argument k"):
        Forgetful().get_config()
    assert repr(Forgetful()) == "Forgetful()"
    with pytest.raises(ArgumentError, match=r"Mean: cannot be made from the config \{'nome': 'x'\}"):
        metrics.Mean.from_config({"nome": "x"})


def test_the_old_name_of_reset_state_works_and_warns():
    mean = metrics.Mean()
    mean.update_state(3)
    with pytest.warns(MiniDLWarning, match=r"reset_states\(\) is an old spelling.* Metric\.reset_state\(\)"):
        mean.reset_states()
    assert mean.result() == 0


def test_repr_shows_the_arguments_that_are_set():
    assert repr(metrics.BinaryAccuracy()) == "BinaryAccuracy()"
    assert repr(metrics.Precision(top_k=3)) == "Precision(top_k=3)"


class TestVariables:
    """A metric as Keras's users write it."""

    class HuberMetric(metrics.Metric):
        def __init__(self, threshold=1.0, **kwargs):
            super().__init__(**kwargs)
            self.threshold = threshold
            self.total = self.add_weight(name="total", initializer="zeros")
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            error = ops.cast(y_true, "float32") - y_pred
            small = ops.abs(error) < self.threshold
            loss = ops.where(small, ops.square(error) / 2, self.threshold * (ops.abs(error) - self.threshold / 2))
            self.total.assign_add(ops.sum(loss))
            self.count.assign_add(ops.shape(y_true)[0])

        def result(self):
            return self.total / self.count

        def get_config(self):
            return {**super().get_config(), "threshold": self.threshold}

    def test_hold_the_state(self):
        metric = self.HuberMetric(2.0)
        metric.update_state(np.array([0.0, 0.0]), np.array([1.0, 10.0], np.float32))
        metric.update_state(np.array([1]), np.array([1.0], np.float32))
        assert float(metric.result()) == pytest.approx((0.5 + 18) / 3)
        assert [variable.name for variable in metric.variables] == ["total", "count"]
        metric.reset_state()
        assert [float(variable) for variable in metric.variables] == [0, 0]
        assert repr(metric) == "HuberMetric(threshold=2.0)"

    def test_work_in_fit(self):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "huber", metrics=[self.HuberMetric()])
        x, y = np.ones((8, 2), np.float32), np.arange(8.0)
        history = model.fit(x, y[:, None], batch_size=4, epochs=4, verbose=0).history
        loss, huber = model.evaluate(x, y[:, None], verbose=0)
        assert huber == pytest.approx(loss, rel=1e-6)
        assert history["huber_metric"] == pytest.approx(history["loss"], rel=1e-6)

    def test_of_keras_2_had_their_name_first(self):
        class Counts(metrics.Metric):
            def __init__(self):
                super().__init__()
                self.count = self.add_weight("count", initializer="ones")

        with pytest.warns(MiniDLWarning, match=r"add_weight\('count', …\) is an old .*add_weight\(name='count'\)"):
            assert Counts().variables[0].name == "count"

    def test_are_in_double_precision(self):
        """A float32 total of ones stops growing at 2²⁴."""
        assert self.HuberMetric().total.dtype == "float64"
