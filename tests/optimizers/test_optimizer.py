"""What holds of every optimizer, and how one is found, configured, fed and refused."""

import json
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from minidl import ops, optimizers
from minidl.autodiff import GradientTape, Tensor
from minidl.errors import ArgumentError, DTypeError, MiniDLError, MiniDLWarning, ShapeError, UnknownNameError
from minidl.layers.variable import Variable
from minidl.optimizers import SGD, Adam, AdamW, Nadam, Optimizer
from minidl.optimizers.gradients import fitting
from minidl.optimizers.schedules import ExponentialDecay, InverseTimeDecay, LearningRateSchedule

# Every class with all that it remembers, and a learning rate with which it gets to the bottom of a bowl in 500 steps.
TABLE = [
    ("SGD", {"momentum": 0.9, "nesterov": True}, 0.02),
    ("SGD", {"momentum": 0.9}, 0.02),
    ("SGD", {}, 0.1),
    ("Adagrad", {"initial_accumulator_value": 0.2, "epsilon": 1e-3}, 1.0),
    ("RMSprop", {"rho": 0.8}, 0.01),
    ("RMSprop", {"rho": 0.8, "momentum": 0.5, "centered": True, "epsilon": 1e-2}, 0.01),
    ("Adam", {"beta_1": 0.8}, 0.05),
    ("Adam", {"beta_1": 0.8, "amsgrad": True}, 0.05),
    ("AdamW", {"weight_decay": 0.0, "beta_2": 0.99}, 0.05),
    ("Adamax", {"beta_2": 0.99}, 0.05),
    ("Nadam", {"beta_1": 0.8}, 0.05),
    ("Adadelta", {"rho": 0.9, "epsilon": 1e-3}, 0.1),
    ("Lion", {"beta_1": 0.8, "beta_2": 0.9}, 0.01),
]
IDS = [f"{name}-{'-'.join(arguments) or 'plain'}" for name, arguments, _ in TABLE]
every = pytest.mark.parametrize(("name", "arguments", "rate"), TABLE, ids=IDS)


@pytest.fixture
def kernel():
    variable = Variable(np.array([1.0, 2.0], "float32"), name="kernel")
    variable.path = "dense/kernel"
    return variable


@pytest.fixture
def bias():
    variable = Variable(np.array([3.0], "float32"), name="bias")
    variable.path = "dense/bias"
    return variable


def test_the_table_lists_every_public_optimizer():
    classes = {value for value in vars(optimizers).values() if isinstance(value, type)}
    public = {cls.__name__ for cls in classes if issubclass(cls, Optimizer) and cls is not Optimizer}
    assert public == {name for name, _, _ in TABLE}


@every
class TestEveryOptimizer:
    def test_gets_to_the_bottom_of_a_bowl(self, name, arguments, rate):
        w = Variable(np.array([3.0, -2.0, 0.5]))
        target, curvature = np.array([1.0, 0.0, -1.0]), np.array([1.0, 4.0, 0.5])
        optimizer = getattr(optimizers, name)(rate, **arguments)
        for _ in range(500):
            optimizer.minimize(lambda: ops.sum(curvature * (w - target) ** 2), [w])
        np.testing.assert_allclose(w.data, target, atol=0.02)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_keeps_the_dtype_of_variables_and_slots(self, name, arguments, rate, dtype):
        w = Variable(np.ones((2, 2), dtype))
        optimizer = getattr(optimizers, name)(np.float64(rate), clipnorm=1.0, **{"weight_decay": 0.1} | arguments)
        optimizer.apply([np.ones((2, 2))], [w])
        slots = [v for v in optimizer.variables if v.shape == (2, 2)]
        assert w.dtype == dtype
        assert len(slots) == len(optimizer.slots())
        assert all(slot.dtype == dtype for slot in slots)

    def test_changes_variables_in_place_and_gradients_not_at_all(self, name, arguments, rate):
        w, g = Variable(np.ones(3)), Tensor(np.array([1.0, -2.0, 3.0]))
        optimizer = getattr(optimizers, name)(rate, **arguments)
        optimizer.build([w])
        array, version = w.data, w.version
        optimizer.apply([g], [w])
        assert w.data is array
        assert w.version == version + 1
        assert (array != 1).all()
        np.testing.assert_array_equal(g.data, [1, -2, 3])

    def test_the_rule_is_element_wise(self, name, arguments, rate, gradients, w0):
        """On pieces of one flat array `update` gives the same bits as on whole variables."""
        optimizer = getattr(optimizers, name)(rate, **arguments)
        whole, pieces = w0.copy(), w0.ravel().copy()
        slots = {slot: np.full(w0.shape, start) for slot, start in optimizer.slots().items()}
        flat = {slot: np.full(w0.size, start) for slot, start in optimizer.slots().items()}
        for t, g in enumerate(gradients, 1):
            coefficients = optimizer.coefficients(rate, t)
            assert all(type(c) is float for c in coefficients)
            optimizer.update(whole, g, *coefficients, **slots)
            for a, b in ((0, 4), (4, 5), (5, 6)):
                parts = {slot: x[a:b] for slot, x in flat.items()}
                optimizer.update(pieces[a:b], g.ravel()[a:b], *coefficients, **parts)
        np.testing.assert_array_equal(whole.ravel(), pieces)
        assert (whole != w0).all()

    def test_goes_on_from_its_config_and_its_variables(self, name, arguments, rate, run, w0, gradients):
        optimizer = getattr(optimizers, name)(rate, **arguments)
        expected = run(optimizer, w0, gradients)
        first = getattr(optimizers, name)(rate, **arguments)
        w = Variable(run(first, w0, gradients[:10])[-1])
        second = type(first).from_config(json.loads(json.dumps(first.get_config())))
        second.build([w])
        for old, new in zip(first.variables, second.variables, strict=True):
            new.assign(old)
        for g in gradients[10:]:
            second.apply([g], [w])
        np.testing.assert_array_equal(w.data, expected[-1])

    def test_takes_scalars_and_empty_variables(self, name, arguments, rate):
        scalar, empty = Variable(2.0, dtype="float64"), Variable(np.zeros((0, 3)))
        optimizer = getattr(optimizers, name)(rate, global_clipnorm=1.0, **arguments)
        optimizer.apply([1.0, np.zeros((0, 3))], [scalar, empty])
        assert scalar.shape == ()
        assert float(scalar) < 2
        assert empty.shape == (0, 3)

    def test_comes_back_from_its_config(self, name, arguments, rate):
        optimizer = getattr(optimizers, name)(rate, clipvalue=0.5, name="mine", **arguments)
        config = json.loads(json.dumps(optimizers.serialize(optimizer)))
        assert config["class_name"] == name
        given = arguments | {"learning_rate": rate, "clipvalue": 0.5, "name": "mine"}
        assert config["config"] | given == config["config"]
        again = optimizers.get(config)
        assert type(again) is type(optimizer)
        assert again.get_config() == optimizer.get_config()
        assert repr(again) == repr(optimizer)

    def test_is_found_by_its_name(self, name, arguments, rate):
        cls = getattr(optimizers, name)
        for identifier in (name, name.lower(), name.upper(), cls, cls(), {"class_name": name, "config": {}}):
            assert type(optimizers.get(identifier)) is cls


class TestGet:
    def test_an_optimizer_is_itself(self):
        optimizer = Adam()
        assert optimizers.get(optimizer) is optimizer
        assert optimizers.get(None) is None

    def test_unknown_name(self):
        with pytest.raises(UnknownNameError, match="Unknown optimizer 'adamm': did you mean 'adam'"):
            optimizers.get("adamm")

    @pytest.mark.parametrize("identifier", [3, ["adam"], int, {"config": {}}, {"class_name": "adam", "config": []}])
    def test_nonsense(self, identifier):
        with pytest.raises(ArgumentError, match=r"expected (an|the) optimizer"):
            optimizers.get(identifier)

    def test_an_optimizer_of_ones_own(self):
        class SignDescent(Optimizer):
            def __init__(self, learning_rate=0.5, **options):
                super().__init__(learning_rate, **options)

            def update(self, w, g, learning_rate):
                w -= learning_rate * np.sign(g)

        optimizer = SignDescent(clipvalue=2)
        w = Variable(np.zeros(2))
        optimizer.apply([[3.0, -1.0]], [w])
        np.testing.assert_array_equal(w.data, [-0.5, 0.5])
        config = optimizers.serialize(optimizer)
        assert config["config"]["clipvalue"] == 2
        again = optimizers.deserialize(config, {"SignDescent": SignDescent})
        assert repr(again) == "SignDescent(clipvalue=2)"

    def test_an_optimizer_of_ones_own_may_not_take_the_name_of_another(self):
        impostor = type("Adam", (SGD,), {})
        with pytest.raises(ArgumentError, match="your optimizer Adam has the name of one of minidl's"):
            optimizers.serialize(impostor())

    def test_an_optimizer_without_a_rule(self):
        with pytest.raises(NotImplementedError, match=r"Optimizer must define update\(self, w, g, ...\)"):
            Optimizer(0.1).apply([[1.0]], [Variable([1.0])])

    def test_an_argument_that_was_not_kept(self):
        class Forgetful(SGD):
            def __init__(self, warmth=1.0, **options):
                super().__init__(**options)

        with pytest.raises(ArgumentError, match="Forgetful: its __init__ keeps no attribute for its argument warmth"):
            Forgetful().get_config()

    def test_a_config_with_an_argument_that_is_none(self):
        with pytest.raises(UnknownNameError, match="Unknown argument of SGD 'momentun': did you mean 'momentum'"):
            SGD.from_config({"momentun": 0.9})


class TestArguments:
    @pytest.mark.parametrize(
        "argument",
        ["use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps"],
    )
    def test_what_minidl_has_not_is_refused(self, argument):
        with pytest.raises(UnknownNameError, match=f"Unknown argument of Adam '{argument}'"):
            Adam(**{argument: None})

    def test_only_one_way_to_clip(self):
        with pytest.raises(ArgumentError, match="SGD: only one of clipnorm, clipvalue, global_clipnorm can be set"):
            SGD(clipnorm=1.0, clipvalue=0.5)

    @pytest.mark.parametrize("argument", ["clipnorm", "clipvalue", "global_clipnorm"])
    @pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), "1"])
    def test_limits_are_positive(self, argument, limit):
        with pytest.raises(ArgumentError, match=f"Adam: {argument} must be a number > 0, got"):
            Adam(**{argument: limit})

    @pytest.mark.parametrize("decay", [-0.1, float("nan"), float("inf"), True])
    def test_weight_decay_is_not_negative(self, decay):
        with pytest.raises(ArgumentError, match="SGD: weight_decay must be a number ≥ 0, got"):
            SGD(weight_decay=decay)

    def test_repr_shows_what_was_given(self):
        assert repr(SGD(0.1, 0.9)) == "SGD(learning_rate=0.1, momentum=0.9)"
        shown = "ExponentialDecay(initial_learning_rate=0.1, decay_steps=10, decay_rate=0.5, staircase=False, name="
        assert shown in repr(AdamW(ExponentialDecay(0.1, 10, 0.5)))


class TestOldSpellings:
    def test_lr(self, kernel):
        with pytest.warns(MiniDLWarning, match=r"SGD\(lr=…\) is an old spelling.*learning_rate=…") as record:
            optimizer = SGD(lr=0.5)
        assert [warning.filename for warning in record] == [__file__]
        assert float(optimizer.learning_rate) == 0.5

    def test_lr_and_learning_rate(self):
        with pytest.warns(MiniDLWarning), pytest.raises(ArgumentError, match="SGD: got both lr and learning_rate"):
            SGD(0.1, lr=0.5)

    def test_decay_is_power_scheduling(self):
        message = r"Adam\(decay=…\) is an old spelling.* learning_rate=InverseTimeDecay\(learning_rate, 1, decay\)"
        with pytest.warns(MiniDLWarning, match=message) as record:
            optimizer = Adam(0.5, decay=0.1)
        assert len(record) == 1
        assert optimizer.get_config() == Adam(InverseTimeDecay(0.5, 1, 0.1)).get_config()
        optimizer.iterations.assign(5)
        assert float(optimizer.learning_rate) == 0.5 / (1 + 0.1 * 5)

    def test_both(self):
        with pytest.warns(MiniDLWarning, match="is an old spelling") as record:
            optimizer = AdamW(lr=0.5, decay=0.25)
        assert len(record) == 2
        assert optimizer.get_config() == AdamW(InverseTimeDecay(0.5, 1, 0.25)).get_config()

    def test_decay_zero_is_a_constant_rate(self):
        with pytest.warns(MiniDLWarning, match=r"decay=…\) is an old"):
            assert SGD(0.5, decay=0.0).get_config()["learning_rate"] == 0.5

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"decay": -1}, "SGD: decay must be a number ≥ 0, got -1"),
            ({"decay": 0.1, "learning_rate": ExponentialDecay(1, 1, 1)}, "learning_rate with decay must be a number"),
        ],
    )
    def test_decay_that_makes_no_sense(self, arguments, message):
        with pytest.warns(MiniDLWarning), pytest.raises(ArgumentError, match=message):
            SGD(**arguments)

    def test_the_attribute_lr(self):
        optimizer = SGD(0.5)
        message = r"SGD\.lr is an old spelling, which works; today it is learning_rate"
        with pytest.warns(MiniDLWarning, match=message) as setting:
            optimizer.lr = 0.25
        with pytest.warns(MiniDLWarning, match=message) as getting:
            assert float(optimizer.lr) == 0.25
        assert [warning.filename for warning in [*setting, *getting]] == [__file__] * 2
        assert float(optimizer.learning_rate) == 0.25


class TestLearningRate:
    def test_is_a_variable_in_float64(self):
        rate = SGD(0.1).learning_rate
        assert isinstance(rate, Variable)
        assert (rate.path, rate.shape, rate.dtype, rate.trainable) == ("sgd/learning_rate", (), np.float64, False)
        assert rate.numpy() == 0.1

    def test_can_be_assigned_a_number(self, kernel):
        optimizer = SGD(0.1)
        rate = optimizer.learning_rate
        for value in (0.5, np.float32(0.5), np.array(0.5), Tensor(0.5)):
            optimizer.learning_rate = 0.0
            optimizer.learning_rate = value
            assert optimizer.learning_rate is rate
            assert float(rate) == 0.5
        rate.assign(1.0)
        optimizer.apply([[1.0, 1.0]], [kernel])
        np.testing.assert_array_equal(kernel.data, [0.0, 1.0])

    def test_a_schedule_is_asked_with_the_number_of_steps_done(self, kernel):
        asked = []

        class Asked(LearningRateSchedule):
            def __call__(self, step):
                asked.append(step)
                return 0.5**step

        optimizer = SGD(Asked())
        for _ in range(3):
            optimizer.apply([[1.0, 1.0]], [kernel])
        assert asked == [0, 1, 2]
        assert all(type(step) is int for step in asked)
        np.testing.assert_array_equal(kernel.data, [1 - 1.75, 2 - 1.75])
        assert type(optimizer.learning_rate) is Tensor
        assert optimizer.learning_rate.numpy() == 0.125
        assert [v.name for v in optimizer.variables] == ["iteration"]

    def test_a_schedule_replaces_a_number_and_the_other_way_round(self):
        optimizer = SGD(0.1)
        optimizer.learning_rate = ExponentialDecay(0.5, 1, 0.5)
        assert float(optimizer.learning_rate) == 0.5
        assert [v.name for v in optimizer.variables] == ["iteration"]
        optimizer.learning_rate = 0.25
        assert float(optimizer.learning_rate) == 0.25
        assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate"]

    def test_a_function_is_called_without_arguments(self, kernel):
        rates = iter([0.5, 0.25])
        optimizer = SGD(lambda: next(rates))
        optimizer.apply([[1.0, 1.0]], [kernel])
        np.testing.assert_array_equal(kernel.data, [0.5, 1.5])
        with pytest.raises(ArgumentError, match="SGD: a function as learning_rate has no config"):
            optimizer.get_config()
        assert "SGD(learning_rate=<function" in repr(optimizer)
        assert float(optimizer.learning_rate) == 0.25  # nobody asked for the second rate before

    def test_a_function_of_the_step_is_a_schedule(self):
        with pytest.raises(ArgumentError, match=r"must take no arguments, got .* derive from LearningRateSchedule"):
            SGD(lambda step: 0.5 / step)
        with pytest.raises(ArgumentError, match="must take no arguments"):
            SGD(ExponentialDecay)

    @pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), "0.1", None, True, [0.1], np.array([0.1])])
    def test_is_finite_and_not_negative(self, rate):
        message = "SGD: learning_rate must be a number ≥ 0, got"
        with pytest.raises(ArgumentError, match=message):
            SGD(rate)
        optimizer = SGD(0.5)
        with pytest.raises(ArgumentError, match=message):
            optimizer.learning_rate = rate
        assert float(optimizer.learning_rate) == 0.5

    def test_is_checked_at_every_step_before_anything_changes(self, kernel):
        optimizer = SGD(ExponentialDecay(1.0, 1, 1e200))
        optimizer.apply([[0.0, 0.0]], [kernel])
        optimizer.iterations.assign(2)
        message = r"learning_rate \(from ExponentialDecay\(.*\) after 2 steps\) must be a number ≥ 0, got .*inf"
        with np.errstate(over="ignore"), pytest.raises(ArgumentError, match=message):
            optimizer.apply([[1.0, 1.0]], [kernel])
        np.testing.assert_array_equal(kernel.data, [1, 2])
        assert int(optimizer.iterations) == 2

    def test_a_schedule_of_ones_own_is_saved_with_the_optimizer(self):
        @dataclass(frozen=True)
        class Halving(LearningRateSchedule):
            start: float

            def __call__(self, step):
                return self.start / 2**step

        config = optimizers.serialize(SGD(Halving(0.5)))
        again = optimizers.deserialize(config, {"Halving": Halving})
        assert float(again.learning_rate) == 0.5


class TestApply:
    def test_pairs_and_lists_are_the_same(self, kernel, bias):
        optimizer = SGD(0.5)
        steps = optimizer.apply_gradients(zip([[1.0, 1.0], [1.0]], [kernel, bias], strict=True))
        assert steps is optimizer.iterations
        optimizer.apply([[1.0, 1.0], [1.0]], [kernel, bias])
        optimizer.apply([[1.0, 1.0], [1.0]])
        np.testing.assert_array_equal(kernel.data, [-0.5, 0.5])
        np.testing.assert_array_equal(bias.data, [1.5])
        assert int(steps) == 3

    def test_gradients_come_from_a_tape(self, kernel, bias):
        with GradientTape() as tape:
            loss = ops.sum(kernel**2) + 5 * ops.sum(bias)
        SGD(0.1).apply_gradients(zip(tape.gradient(loss, [kernel, bias]), [kernel, bias], strict=True))
        np.testing.assert_allclose(kernel.data, [0.8, 1.6], rtol=1e-6)
        np.testing.assert_allclose(bias.data, [2.5], rtol=1e-6)

    def test_minimize_returns_the_loss_before_the_step(self, kernel):
        optimizer = SGD(0.5)
        loss = optimizer.minimize(lambda: ops.sum(kernel**2), [kernel])
        assert float(loss) == 5
        np.testing.assert_array_equal(kernel.data, [0, 0])

    def test_a_change_makes_an_old_graph_invalid(self, kernel):
        loss = ops.sum(kernel**2)
        SGD(0.5).apply([[1.0, 1.0]], [kernel])
        with pytest.raises(MiniDLError):
            loss.backward()

    def test_the_state_is_named_in_a_fixed_order(self, kernel, bias):
        optimizer = Adam(name="mine")
        assert not optimizer.built
        optimizer.build([kernel, bias])
        optimizer.build([kernel, bias])
        assert optimizer.built
        assert [v.path for v in optimizer.variables] == [
            "mine/iteration", "mine/learning_rate", "mine/dense_kernel_momentum", "mine/dense_kernel_velocity",
            "mine/dense_bias_momentum", "mine/dense_bias_velocity",
        ]  # fmt: skip
        assert not any(v.trainable for v in optimizer.variables)
        assert (optimizer.iterations.dtype, optimizer.iterations.shape) == (np.int64, ())

    def test_a_missing_gradient_leaves_its_variable_alone(self, kernel, bias):
        optimizer = Adam(weight_decay=0.5)
        with pytest.warns(MiniDLWarning, match="no gradients for dense/bias: the loss does not") as record:
            optimizer.apply([[1.0, 1.0], None], [kernel, bias])
        assert len(record) == 1
        np.testing.assert_array_equal(bias.data, [3.0])
        assert bias.version == 0
        assert (kernel.data < [1, 2]).all()
        assert int(optimizer.iterations) == 1

    def test_all_gradients_missing(self, kernel, bias):
        optimizer = SGD()
        with pytest.raises(ArgumentError, match="SGD: no gradients for any variable: does the loss depend on dense/"):
            optimizer.apply([None, None], [kernel, bias])
        assert int(optimizer.iterations) == 0

    def test_no_gradients_no_step(self):
        optimizer = SGD()
        optimizer.apply([], [])
        optimizer.apply_gradients([])
        assert int(optimizer.iterations) == 0

    def test_frozen_variables_that_are_passed_are_changed(self, kernel):
        """As in Keras: it is the caller who leaves them out."""
        kernel.trainable = False
        SGD(0.5).apply([[1.0, 1.0]], [kernel])
        np.testing.assert_array_equal(kernel.data, [0.5, 1.5])

    def test_variables_may_come_and_go(self, kernel, bias):
        optimizer = SGD(1.0, momentum=0.5)
        optimizer.apply([[1.0, 1.0]], [kernel])
        optimizer.apply([[1.0]], [bias])
        optimizer.apply([[1.0, 1.0], [1.0]], [kernel, bias])
        np.testing.assert_array_equal(kernel.data, [1 - 1 - 1.5, 2 - 1 - 1.5])
        np.testing.assert_array_equal(bias.data, [3 - 1 - 1.5])

    def test_nan_is_no_error(self, kernel):
        SGD(0.5).apply([[np.nan, 1.0]], [kernel])
        np.testing.assert_array_equal(kernel.data, [np.nan, 1.5])

    def test_a_variable_as_gradient_is_read_before_it_changes(self):
        """The gradient of a·b is (b, a), also where it is a view of their memory."""
        for view in (lambda x: x, lambda x: x.numpy()[:]):
            a, b = Variable(np.array([2.0, 3.0])), Variable(np.array([5.0, 7.0]))
            SGD(0.5, weight_decay=0.1).apply([view(b), view(a)], [a, b])
            np.testing.assert_allclose(a.data, [2 * 0.95 - 2.5, 3 * 0.95 - 3.5])
            np.testing.assert_allclose(b.data, [5 * 0.95 - 1.0, 7 * 0.95 - 1.5])

    def test_gradients_that_are_ready_are_not_copied(self, kernel):
        g = np.ones(2, "float32")
        assert fitting("SGD", [g], [kernel])[0][0].data is g
        assert fitting("SGD", [Tensor(g)], [kernel])[0][0].data is g

    @pytest.mark.parametrize(
        ("grads", "error", "message"),
        [
            ([[1.0, 1.0]], ArgumentError, "Nadam: got 1 gradients for 2 variables"),
            ([[1.0, 1.0], [1.0, 1.0]], ShapeError, r"gradient of 'dense/bias' must have its shape, \(1,\), got \(2,\)"),
            ([[1.0, 1.0], 1.0], ShapeError, r"gradient of 'dense/bias' must have its shape, \(1,\), got \(\)"),
            ([[1.0, 1.0], [1j]], DTypeError, "gradient of 'dense/bias' must be real, got complex128"),
            ([[1.0, 1.0], ["a"]], DTypeError, "gradient of 'dense/bias' must be real, got <U1"),
        ],
    )
    def test_gradients_that_do_not_fit_change_nothing(self, kernel, bias, grads, error, message):
        optimizer = Nadam()
        with pytest.raises(error, match=message):
            optimizer.apply(grads, [kernel, bias])
        np.testing.assert_array_equal(kernel.data, [1, 2])
        assert kernel.version == 0
        assert int(optimizer.iterations) == 0
        assert not optimizer.built

    def test_variables_that_cannot_be_optimized(self, kernel):
        with pytest.raises(ArgumentError, match="SGD: a variable comes twice, add its gradients: dense/kernel, dense"):
            SGD().apply([[1.0, 1.0], [1.0, 1.0]], [kernel, kernel])
        with pytest.raises(DTypeError, match="SGD: expected a Variable in place 0, got ndarray"):
            SGD().apply([[1.0]], [np.ones(1)])
        counter = Variable(3, dtype="int64", trainable=False, name="counter")
        with pytest.raises(DTypeError, match="SGD: 'counter' has dtype int64: only real floating-point variables"):
            SGD().apply([1], [counter])
        with pytest.raises(ArgumentError, match="without variables the optimizer must be built"):
            SGD().apply([[1.0]])
        with pytest.raises(ArgumentError, match=r"apply_gradients: expected pairs \(gradient, variable\)"):
            SGD().apply_gradients([(kernel,)])


class TestClipping:
    """kernel has a gradient of norm 5, bias one of norm 12; both together 13."""

    @pytest.mark.parametrize(
        ("arguments", "of_kernel", "of_bias"),
        [
            ({}, [3, 4], [12]),
            ({"clipvalue": 3.5}, [3, 3.5], [3.5]),
            ({"clipnorm": 6}, [3, 4], [6]),
            ({"clipnorm": 1}, [0.6, 0.8], [1]),
            ({"global_clipnorm": 6.5}, [1.5, 2], [6]),
            ({"global_clipnorm": 13}, [3, 4], [12]),
        ],
    )
    def test_gradients_are_clipped_before_the_rule(self, kernel, bias, arguments, of_kernel, of_bias):
        before = [kernel.data.copy(), bias.data.copy()]
        SGD(1.0, **arguments).apply([[3.0, 4.0], [12.0]], [kernel, bias])
        np.testing.assert_allclose(before[0] - kernel.data, of_kernel, rtol=1e-6)
        np.testing.assert_allclose(before[1] - bias.data, of_bias, rtol=1e-6)

    def test_a_missing_gradient_has_no_length(self, kernel, bias):
        with pytest.warns(MiniDLWarning, match="no gradients for dense/kernel"):
            SGD(1.0, global_clipnorm=6).apply([None, [12.0]], [kernel, bias])
        np.testing.assert_array_equal(bias.data, [3 - 6])


class TestWeightDecay:
    def test_shrinks_before_the_update(self, kernel):
        SGD(0.5, weight_decay=0.25).apply([[1.0, 1.0]], [kernel])
        np.testing.assert_array_equal(kernel.data, [1 - 0.125 - 0.5, 2 - 0.25 - 0.5])

    def test_follows_the_schedule(self, kernel):
        optimizer = SGD(ExponentialDecay(0.5, 1, 0.5), weight_decay=0.5)
        optimizer.apply([[0.0, 0.0]], [kernel])
        optimizer.apply([[0.0, 0.0]], [kernel])
        np.testing.assert_array_equal(kernel.data, np.array([1, 2]) * 0.75 * 0.875)

    def test_a_small_decay_is_right_on_average(self):
        """In float32 1 − 7.5·2⁻²⁴ is 1 − 8·2⁻²⁴, 7 % too much; w − 7.5·2⁻²⁴·w is rounded up as often as down."""
        w0 = np.random.default_rng(3).uniform(1, 2, 100_000).astype("float32")
        w = Variable(w0)
        SGD(1.0, weight_decay=7.5 / 2**24).apply([np.zeros_like(w0)], [w])
        decay = 1 - w.data.astype("float64") / w0
        assert decay.mean() == pytest.approx(7.5 / 2**24, rel=0.02)

    def test_spares_what_is_excluded(self, kernel, bias):
        for arguments in ({"var_list": [bias]}, {"var_names": ["bia"]}, {"var_names": ["gamma", "bias"]}):
            optimizer = SGD(1.0, weight_decay=0.5)
            optimizer.exclude_from_weight_decay(**arguments)
            kernel.assign([1.0, 2.0])
            optimizer.apply([[0.0, 0.0], [0.0]], [kernel, bias])
            np.testing.assert_array_equal(kernel.data, [0.5, 1.0])
            np.testing.assert_array_equal(bias.data, [3.0])
        optimizer.exclude_from_weight_decay()
        optimizer.apply([[0.0, 0.0], [0.0]], [kernel, bias])
        np.testing.assert_array_equal(bias.data, [1.5])

    def test_a_single_name_would_be_taken_for_letters(self):
        with pytest.raises(ArgumentError, match="var_names must be a list of strings, got 'bias'"):
            AdamW().exclude_from_weight_decay(var_names="bias")


def test_nothing_warns_in_normal_use(kernel):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, arguments, rate in TABLE:
            optimizer = getattr(optimizers, name)(rate, **arguments)
            for g in ([0.0, 0.0], [1e-30, 1e10], [-1e-8, 0.0]):
                optimizer.apply([g], [kernel])
