"""Schedules against the values of Keras 3, and what holds of all of them."""

import json
import math
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import numpy as np
import pytest

from minidl import callbacks
from minidl.autodiff import Tensor
from minidl.errors import ArgumentError, UnknownNameError
from minidl.layers import Variable
from minidl.optimizers import SGD, schedules
from minidl.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

STEPS = [0, 1, 9, 10, 11, 29, 30, 31, 69, 100]
# What Keras 3.15 returns at these steps; it computes in float32.
KERAS = [
    (ExponentialDecay(0.1, 10, 0.5),
     [0.1, 0.0933033, 0.05358868, 0.05, 0.04665165, 0.01339717, 0.0125, 0.01166291, 0.000837323, 9.765625e-05]),
    (ExponentialDecay(0.1, 10, 0.5, staircase=True),
     [0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.0125, 0.0125, 0.0015625, 9.765625e-05]),
    (InverseTimeDecay(0.1, 10, 0.5),
     [0.1, 0.0952381, 0.06896552, 0.06666667, 0.06451613, 0.04081633, 0.04, 0.03921569, 0.02247191, 0.01666667]),
    (InverseTimeDecay(0.1, 10, 0.5, staircase=True),
     [0.1, 0.1, 0.1, 0.06666667, 0.06666667, 0.05, 0.04, 0.04, 0.025, 0.01666667]),
    (PiecewiseConstantDecay([10, 30], [0.1, 0.05, 0.01]),
     [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.01, 0.01, 0.01]),
    (PolynomialDecay(0.1, 30),
     [0.1, 0.09667, 0.07003, 0.0667, 0.06337, 0.00343, 0.0001, 0.0001, 0.0001, 0.0001]),
    (PolynomialDecay(0.1, 30, 0.01, power=2.0),
     [0.1, 0.09409999, 0.0541, 0.05, 0.0461, 0.0101, 0.01, 0.01, 0.01, 0.01]),
    (PolynomialDecay(0.1, 30, 0.01, power=0.5, cycle=True),
     [0.1, 0.09848729, 0.0852994, 0.08348469, 0.08162402, 0.02643168, 0.01, 0.07256996, 0.05347414, 0.04674235]),
    (CosineDecay(0.1, 30),
     [0.1, 0.0997261, 0.07938927, 0.075, 0.07033683, 0.0002739042, 0.0, 0.0, 0.0, 0.0]),
    (CosineDecay(0.1, 30, alpha=0.1),
     [0.1, 0.09975348, 0.08145034, 0.0775, 0.07330316, 0.01024651, 0.01, 0.01, 0.01, 0.01]),
    (CosineDecay(0.01, 30, alpha=0.1, warmup_target=0.2, warmup_steps=10),
     [0.01, 0.029, 0.181, 0.2, 0.19950697, 0.07339369, 0.06499999, 0.05709933, 0.02, 0.02]),
    (CosineDecayRestarts(0.1, 10),
     [0.1, 0.09755283, 0.002447176, 0.1, 0.09938442, 0.0006155819, 0.1, 0.09984587, 0.0001541317, 0.06913417]),
    (CosineDecayRestarts(0.1, 10, t_mul=3.0, m_mul=0.5, alpha=0.1),
     [0.1, 0.09779754, 0.01220246, 0.055, 0.05487674, 0.02334842, 0.02125, 0.01927483, 0.02721159, 0.01562500]),
    (CosineDecayRestarts(0.1, 10, t_mul=1.0, m_mul=0.5),
     [0.1, 0.09755283, 0.002447176, 0.05, 0.04877642, 0.0006117918, 0.0125, 0.0121941, 3.823699e-05, 9.765625e-05]),
]  # fmt: skip
IDS = [f"{type(schedule).__name__}{k}" for k, (schedule, _) in enumerate(KERAS)]


@dataclass(frozen=True)
class Halving(LearningRateSchedule):
    start: float

    def __call__(self, step):
        return self.start / 2**step


@pytest.mark.parametrize(("schedule", "values"), KERAS, ids=IDS)
class TestEverySchedule:
    def test_has_the_values_of_keras(self, schedule, values):
        # Seven digits where float32 has them; 5e-9 where a difference of numbers of size 0.1 is all but 0.
        np.testing.assert_allclose([schedule(step) for step in STEPS], values, rtol=1e-6, atol=5e-9)

    def test_takes_arrays_and_tensors(self, schedule, values):
        expected = np.array([schedule(step) for step in STEPS])
        assert expected.dtype == np.float64
        np.testing.assert_array_equal(schedule(np.array(STEPS)), expected)
        np.testing.assert_array_equal(schedule(Tensor(np.array(STEPS).reshape(2, 5))), expected.reshape(2, 5))

    def test_comes_back_from_its_config(self, schedule, values):
        config = json.loads(json.dumps(schedules.serialize(schedule)))
        assert config["class_name"] == type(schedule).__name__
        assert schedules.deserialize(config) == schedule
        assert type(schedule).from_config(schedule.get_config()) == schedule

    def test_cannot_be_changed(self, schedule, values):
        with pytest.raises(FrozenInstanceError):
            schedule.name = "other"


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "callbacks.json").read_text())["schedules"]


@pytest.mark.parametrize("case", GOLDEN, ids=[f"{case['class_name']}{k}" for k, case in enumerate(GOLDEN)])
class TestAgainstKeras:
    """120 steps of each, made from the configs that Keras takes."""

    def test_step_by_step(self, case):
        schedule = schedules.deserialize({"class_name": case["class_name"], "config": case["config"]})
        # Keras computes in float32, and a little above the end of a cosine that is all but 0.
        np.testing.assert_allclose(schedule(np.arange(120)), case["values"], rtol=2e-6, atol=1e-8)

    def test_in_an_optimizer(self, case):
        """Step k is taken with the rate of k, which counts from 0."""
        schedule = schedules.deserialize(case)
        optimizer, w = SGD(schedule), Variable(np.zeros(1), dtype="float64")
        taken = []
        for k in range(120):
            assert float(optimizer.learning_rate) == float(schedule(k))
            before = float(w[0])
            optimizer.apply([np.array([-1.0])], [w])
            taken.append(float(w[0]) - before)
        # Differences of sums of up to 120 rates in float64.
        np.testing.assert_allclose(taken, schedule(np.arange(120)), rtol=0, atol=1e-13)


class TestOneCycle:
    def test_is_the_callback_of_the_same_name(self):
        arguments = {"start_learning_rate": 0.02, "last_learning_rate": 0.001, "rise": 0.3, "annealing": 0.2}
        steps = np.arange(120)
        np.testing.assert_array_equal(
            OneCycle(0.1, 100, **arguments)(steps), callbacks.OneCycle(0.1, 100, **arguments).learning_rate_at(steps)
        )

    def test_has_its_corners_where_they_should_be(self):
        rates = OneCycle(1.0, 101)(np.array([0, 45, 90, 100, 500]))
        np.testing.assert_allclose(rates, [0.1, 1, 0.1, 1e-4, 1e-4], rtol=1e-12)

    def test_comes_back_from_its_config(self):
        schedule = OneCycle(0.1, 100)
        config = json.loads(json.dumps(schedules.serialize(schedule)))
        assert schedules.deserialize(config) == schedule
        assert config["config"]["start_learning_rate"] == 0.01

    def test_drives_an_optimizer(self):
        optimizer = SGD(OneCycle(0.1, 11))
        optimizer.iterations.assign(5)
        assert float(optimizer.learning_rate) == pytest.approx(OneCycle(0.1, 11)(5), rel=1e-12)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"steps": 2.5}, "OneCycle: steps must be an integer ≥ 1, got 2.5"),
            ({"max_learning_rate": 0}, "OneCycle: max_learning_rate must be a number > 0, got 0"),
            ({"last_learning_rate": -1}, "OneCycle: last_learning_rate must be a number ≥ 0, got -1"),
            ({"rise": 0.6, "annealing": 0.4}, r"OneCycle: rise \+ annealing must be < 1, got 0.6 \+ 0.4"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            OneCycle(**{"max_learning_rate": 0.1, "steps": 10, **arguments})


@pytest.mark.parametrize("t_mul", [1, 2, 3, 7, 10])
def test_restarts_fall_on_their_step_exactly(t_mul):
    """Period i starts at d·(1 + t + t² + ...): there the rate is at its peak, one step before near its bottom."""
    for d in (1000, 1728):
        schedule = CosineDecayRestarts(1.0, d, t_mul=t_mul, m_mul=0.9)
        for i in range(1, 7):
            start = d * sum(t_mul**k for k in range(i))
            assert schedule(start) == pytest.approx(0.9**i, rel=1e-9)
            assert schedule(start - 1) < 1e-5


def test_warm_up_of_no_steps_starts_at_the_target():
    assert CosineDecay(0.0, 10, warmup_target=0.5)(0) == 0.5


def test_piecewise_without_boundaries_is_constant():
    assert PiecewiseConstantDecay([], [0.5])(7) == 0.5


def test_arguments_become_python_numbers():
    schedule = ExponentialDecay(np.float32(0.5), np.int64(10), Tensor(0.25))
    assert [type(x) for x in (schedule.initial_learning_rate, schedule.decay_steps, schedule.decay_rate)] == [
        float, int, float,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialDecay(-1, 10, 0.5), "ExponentialDecay: initial_learning_rate must be a number ≥ 0, got -1"),
        (lambda: ExponentialDecay(0.1, 0, 0.5), "ExponentialDecay: decay_steps must be a number > 0, got 0"),
        (lambda: ExponentialDecay(0.1, 10, "half"), "ExponentialDecay: decay_rate must be a number ≥ 0, got 'half'"),
        (lambda: ExponentialDecay(0.1, 10, 0.5, 3), "ExponentialDecay: staircase must be True or False, got 3"),
        (lambda: InverseTimeDecay(0.1, -1, 0.5), "InverseTimeDecay: decay_steps must be a number > 0, got -1"),
        (lambda: InverseTimeDecay(0.1, 1, 0.5, "no"), "InverseTimeDecay: staircase must be True or False, got 'no'"),
        (lambda: PolynomialDecay(math.nan, 10), "PolynomialDecay: initial_learning_rate must be a number ≥ 0, got nan"),
        (lambda: PolynomialDecay(0.1, 10, cycle=0), "PolynomialDecay: cycle must be True or False, got 0"),
        (lambda: CosineDecay(math.inf, 10), "CosineDecay: initial_learning_rate must be a number ≥ 0, got inf"),
        (lambda: CosineDecay(0.1, 10, warmup_steps=5), "CosineDecay: warmup_steps=5 needs a warmup_target"),
        (lambda: CosineDecay(0.1, 10, warmup_target=-1), "CosineDecay: warmup_target must be a number ≥ 0, got -1"),
        (lambda: CosineDecayRestarts(0.1, 10, 0.5), "CosineDecayRestarts: t_mul must be a number ≥ 1, got 0.5"),
        (lambda: PiecewiseConstantDecay([10], [0.1]), "one value more than boundaries, got 1 boundaries and 1 values"),
        (lambda: PiecewiseConstantDecay([9, 9], [1, 2, 3]), r"boundaries must increase, got \[9, 9\]"),
        (lambda: PiecewiseConstantDecay([9], [1, -2]), "PiecewiseConstantDecay: values must be a number ≥ 0, got -2"),
    ],
)
def test_arguments_that_make_no_sense(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_schedule_of_ones_own_is_saved_by_its_class_name():
    config = schedules.serialize(Halving(0.8))
    assert config == {"class_name": "Halving", "config": {"start": 0.8}}
    assert schedules.deserialize(config, {"Halving": Halving})(2) == 0.2
    with pytest.raises(UnknownNameError, match="Unknown schedule 'halving': known are: CosineDecay"):
        schedules.deserialize(config)


def test_a_schedule_of_ones_own_may_not_take_the_name_of_another():
    impostor = dataclass(frozen=True)(type("CosineDecay", (LearningRateSchedule,), {}))
    with pytest.raises(ArgumentError, match="your schedule CosineDecay has the name of one of minidl's"):
        schedules.serialize(impostor())


def test_a_schedule_must_say_what_it_computes():
    class Plain(LearningRateSchedule):
        pass

    with pytest.raises(NotImplementedError, match=r"Plain must define __call__\(self, step\)"):
        Plain()(0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_name": "ExponentialDecy"}, "Unknown schedule"),
        ({"class_name": "CosineDecay", "config": 3}, "expected the schedule as"),
        ("CosineDecay", "expected the schedule as"),
        ({"class_name": "CosineDecay", "config": {"steps": 3}}, "CosineDecay: cannot be made from the config"),
    ],
)
def test_configs_that_make_no_sense(config, message):
    with pytest.raises(ArgumentError, match=message):
        schedules.deserialize(config)
