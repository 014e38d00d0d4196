"""Variables side by side in one long array: a step over all of them is a step on each by itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import optimizers
from minidl.layers import Variable
from minidl.optimizers.flat import Block, Run, runs

SHAPES = ((3, 2), (4,), (), (0, 3), (2, 1, 2))
random = np.random.default_rng(1)


def variables(shapes=SHAPES, dtype="float32"):
    return [
        Variable(np.arange(np.prod(shape)).reshape(shape) + 10.0 * k, dtype=dtype, name=f"v{k}")
        for k, shape in enumerate(shapes)
    ]


class TestBlock:
    def test_values_are_where_the_variables_are(self):
        found = variables()
        before = [v.data.copy() for v in found]
        block = Block(found)
        assert block.values.shape == (6 + 4 + 1 + 0 + 4,)
        assert block.values.dtype == np.float32
        for v, old in zip(found, before, strict=True):
            assert np.array_equal(v.data, old)
            assert v.data.shape == v.shape == old.shape
            assert v.size == 0 or np.shares_memory(v.data, block.values)
        block.values += 1
        assert all(np.array_equal(v.data, old + 1) for v, old in zip(found, before, strict=True))

    def test_places_follow_one_another(self):
        found = variables()
        places = [Block(found).places[v] for v in found]
        assert places == [slice(0, 6), slice(6, 10), slice(10, 11), slice(11, 11), slice(11, 15)]

    def test_gradients_and_slots_are_laid_out_as_the_values_are(self):
        found = variables()
        block = Block(found)
        assert not block.gradients.any()
        block.add_slot("velocity", 0.5)
        assert np.array_equal(block.slots["velocity"], np.full(15, 0.5, np.float32))
        for v in found:
            for array, view in ((block.gradients, block.gradient_of[v]), (block.values, v.data)):
                assert np.array_equal(block.view(array, v), view)
                assert block.view(array, v).shape == v.shape
        block.gradient_of[found[1]][...] = 3
        assert np.array_equal(np.flatnonzero(block.gradients), [6, 7, 8, 9])

    def test_a_variable_that_was_moved_is_taken_back_with_its_value(self):
        found = variables()
        block = Block(found)
        own, elsewhere = found[0].data, np.full((3, 2), 7, np.float32)
        found[0].data = elsewhere
        block.house(found[0])
        assert found[0].data is own
        assert (block.values[:6] == 7).all()
        own[...] = 8
        assert (elsewhere == 7).all(), "the other array belongs to somebody else"

    def test_a_variable_at_home_stays(self):
        found = variables()
        block = Block(found)
        before = [v.data for v in found]
        for v in found:
            block.house(v)
        assert all(v.data is old for v, old in zip(found, before, strict=True))

    def test_two_blocks_take_turns(self):
        found = variables()
        first, second = Block(found), Block(found[:2])
        assert np.shares_memory(found[0].data, second.values)
        assert np.shares_memory(found[4].data, first.values)
        found[0].assign_add(np.ones((3, 2)))
        for block in (first, second, first):
            block.house(found[0])
            assert np.array_equal(found[0].data, np.arange(6).reshape(3, 2) + 1)
            assert np.shares_memory(found[0].data, block.values)


class TestRuns:
    def summary(self, found):
        return [(run.start, run.stop, run.decays) for run in found]

    def homes(self, *groups):
        return [(block, v) for group in groups for block in [Block(group)] for v in group]

    def test_neighbours_are_one(self):
        assert self.summary(runs(self.homes(variables()), lambda v: True)) == [(0, 15, True)]

    def test_what_decays_is_kept_from_what_does_not(self):
        decays = lambda v: v.name not in ("v1", "v2")  # noqa: E731
        assert self.summary(runs(self.homes(variables()), decays)) == [(0, 6, True), (6, 11, False), (11, 15, True)]

    def test_gaps_are_left_out(self):
        homes = self.homes(variables())
        assert self.summary(runs([homes[0], homes[2], homes[4]], lambda v: False)) == [(0, 6, False), (10, 15, False)]

    def test_in_another_order_each_is_by_itself(self):
        homes = self.homes(variables(((2,), (3,))))
        assert self.summary(runs(homes[::-1], lambda v: True)) == [(2, 5, True), (0, 2, True)]

    def test_of_different_blocks_each_has_its_own(self):
        found = runs(self.homes(variables(((2,),)), variables(((3,),))), lambda v: True)
        assert self.summary(found) == [(0, 2, True), (0, 3, True)]
        assert found[0].block is not found[1].block

    def test_of_nothing(self):
        assert runs([], lambda v: True) == []

    @given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=8), st.data())
    def test_every_element_is_in_exactly_one(self, asked, data):
        found = variables(tuple((n,) for n, _ in asked))
        decaying = {v: decays for v, (_, decays) in zip(found, asked, strict=True)}
        chosen = data.draw(st.permutations(self.homes(found)))[: data.draw(st.integers(1, len(found)))]
        times = np.zeros(sum(n for n, _ in asked), int)
        for run in runs(chosen, decaying.__getitem__):
            assert isinstance(run, Run)
            times[run.start : run.stop] += 1 + run.decays
        for block, v in chosen:
            assert (times[block.places[v]] == 1 + decaying[v]).all()
        assert times.sum() == sum((1 + decaying[v]) * v.size for _, v in chosen)


OPTIMIZERS = {
    "sgd": lambda **o: optimizers.SGD(0.1, momentum=0.9, nesterov=True, **o),
    "adagrad": lambda **o: optimizers.Adagrad(0.1, **o),
    "rmsprop": lambda **o: optimizers.RMSprop(0.1, momentum=0.5, centered=True, **o),
    "adam": lambda **o: optimizers.Adam(0.1, amsgrad=True, **o),
    "adamw": lambda **o: optimizers.AdamW(0.1, **o),
    "adamax": lambda **o: optimizers.Adamax(0.1, **o),
    "nadam": lambda **o: optimizers.Nadam(0.1, **o),
}
# What works on each variable or element by itself: the global norm is that of all of them.
OPTIONS = [{}, {"weight_decay": 0.1}, {"clipnorm": 0.5}, {"clipvalue": 0.2}]


def slots_of(optimizer):
    """What it remembers of the variables v0, v1, …."""
    return [variable for variable in optimizer.variables if "/v" in variable.path]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options), "plain"))
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_together_is_as_each_by_itself(make, options):
    """Bitwise: values and slots of many variables, some longer than a piece, are those of as many optimizers."""
    shapes = (*SHAPES, (300, 301), (7,))
    together, alone = variables(shapes), variables(shapes)
    one, many = make(**options), [make(**options) for _ in alone]
    for _ in range(3):
        gradients = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
        one.apply(gradients, together)
        for optimizer, g, v in zip(many, gradients, alone, strict=True):
            optimizer.apply([g], [v])
    assert all(np.array_equal(v.data, w.data) for v, w in zip(together, alone, strict=True))
    slots = [slot for optimizer in many for slot in slots_of(optimizer)]
    assert all(np.array_equal(s.data, t.data) for s, t in zip(slots_of(one), slots, strict=True))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_variables_of_two_dtypes(make):
    single, double = variables(), variables(dtype="float64")
    mixed = [v for pair in zip(single, double, strict=True) for v in pair]
    expected = [variables(), variables(dtype="float64")]
    one, two = make(), [make(), make()]
    for _ in range(3):
        gradients = [random.standard_normal(v.shape).astype(v.dtype) for v in mixed]
        one.apply(gradients, mixed)
        for k in range(2):
            two[k].apply(gradients[k::2], expected[k])
    pairs = zip([*single, *double], [*expected[0], *expected[1]], strict=True)
    assert all(np.array_equal(v.data, w.data) for v, w in pairs)


def test_variables_that_come_later_have_slots_from_then_on():
    early, late = variables()[:2], variables()[2:]
    adam, separate = optimizers.Adam(0.1), (variables()[:2], variables()[2:])
    ones = [np.ones(v.shape, np.float32) for v in early + late]
    adam.apply(ones[:2], early)
    adam.apply(ones, early + late)
    by_itself = optimizers.Adam(0.1)
    by_itself.apply(ones[:2], separate[0])
    by_itself.apply(ones[:2], separate[0])
    assert all(np.array_equal(v.data, w.data) for v, w in zip(early, separate[0], strict=True))
    # Their momentum begins at 0, and their step has number 2.
    momentum = {slot.path: slot for slot in adam.variables[2:]}["adam/v4_momentum"]
    assert np.array_equal(momentum, np.full((2, 1, 2), np.float32(1 - adam.beta_1) * 1))


def test_some_variables_of_many_leave_the_others_alone():
    found = variables()
    adam = optimizers.Adam(0.1, weight_decay=0.1)
    adam.build(found)
    before = [v.data.copy() for v in found]
    slots = [slot.data.copy() for slot in adam.variables[2:]]
    adam.apply([np.ones(found[k].shape, np.float32) for k in (2, 0)], [found[2], found[0]])
    changed = [not np.array_equal(v.data, old) for v, old in zip(found, before, strict=True)]
    assert changed == [True, False, True, False, False]
    moved = [not np.array_equal(s.data, old) for s, old in zip(adam.variables[2:], slots, strict=True)]
    assert moved == [True, True, False, False, True, True, False, False, False, False]


def test_a_slot_that_an_argument_asks_for_later_is_made_then():
    found = variables()
    sgd = optimizers.SGD(0.1)
    ones = [np.ones(v.shape, np.float32) for v in found]
    sgd.apply(ones, found)
    assert len(sgd.variables) == 2
    sgd.momentum = 0.9
    sgd.apply(ones, found)
    sgd.apply(ones, found)
    assert len(sgd.variables) == 2 + len(found)
    # −0.1 in each of the first two steps, and −0.1 − 0.9·0.1 in the third.
    assert found[1].data == pytest.approx(np.arange(4) + 10 - 0.39)


def test_assigning_to_a_slot_is_what_the_next_step_goes_on_from():
    outcomes = []
    for factor in (1.0, 0.0):
        found, adam = variables(), optimizers.Adam(0.1)
        ones = [np.ones(v.shape, np.float32) for v in found]
        adam.apply(ones, found)
        for slot in adam.variables[2:]:
            slot.assign(slot * factor)
        adam.apply(ones, found)
        outcomes.append(found[0].data.copy())
    assert not np.array_equal(*outcomes)


def test_optimizers_of_the_same_variables_take_turns():
    """As models do that share layers; each has slots of its own, and both see every change of the values."""
    found, expected = variables(), variables()
    first, second = optimizers.SGD(0.1, momentum=0.5), optimizers.SGD(0.01)
    velocity = [np.zeros(v.shape, np.float32) for v in expected]
    for step in range(4):
        ones = [np.full(v.shape, step + 1, np.float32) for v in found]
        first.apply(ones, found)
        second.apply(ones[:2], found[:2])
        found[0].assign_add(np.ones((3, 2)))
        for k, (v, g) in enumerate(zip(expected, ones, strict=True)):
            velocity[k] = np.float32(0.5) * velocity[k] - np.float32(0.1) * g
            v.data = v.data + velocity[k] - (np.float32(0.01) * g if k < 2 else 0) + (k == 0)
    for v, w in zip(found, expected, strict=True):
        assert v.data == pytest.approx(w.data, rel=1e-6)


def test_the_gradient_that_a_step_gathers_in_may_be_given_to_it():
    """What a recorded step does: the gradient is computed where the optimizer wants it."""
    found, expected = variables(), variables()
    sgd, other = optimizers.SGD(0.1), optimizers.SGD(0.1)
    gradients = [random.standard_normal(v.shape).astype(np.float32) for v in found]
    sgd.build(found)
    places = [sgd._blocks[v].gradient_of[v] for v in found]
    for place, g in zip(places, gradients, strict=True):
        place[...] = g
    sgd.apply(places, found)
    other.apply(gradients, expected)
    assert all(np.array_equal(v.data, w.data) for v, w in zip(found, expected, strict=True))


def test_a_copy_goes_on_by_itself():
    found, adam = variables(), optimizers.Adam(0.1)
    ones = [np.ones(v.shape, np.float32) for v in found]
    adam.apply(ones, found)
    others, twin = copy.deepcopy((found, adam))
    before = [v.data.copy() for v in found]
    twin.apply(ones, others)
    assert all(np.array_equal(v.data, old) for v, old in zip(found, before, strict=True))
    adam.apply(ones, found)
    assert all(np.array_equal(v.data, w.data) for v, w in zip(found, others, strict=True))
    assert all(np.array_equal(s.data, t.data) for s, t in zip(adam.variables, twin.variables, strict=True))
