"""`OneCycle`: the learning rate of every step on three straight lines, and the momentum the other way."""

import numpy as np
import pytest

import minidl as keras
from minidl.callbacks import Callback, OneCycle, OneCycleScheduler
from minidl.errors import ArgumentError


class Watched(Callback):
    """Writes down what the optimizer has in every step."""

    def __init__(self):
        self.rates, self.momenta = [], []

    def on_train_batch_end(self, batch, logs=None):
        optimizer = self.model.optimizer
        self.rates.append(float(optimizer.learning_rate))
        self.momenta.append(getattr(optimizer, "beta_1", getattr(optimizer, "momentum", None)))


@pytest.fixture
def model(model):
    """The model of the other tests with momentum; ten samples in batches of 1 are ten steps an epoch."""
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def cycle(steps, **options):
    callback = OneCycle(1.0, steps, **options)
    return callback.learning_rate_at(np.arange(steps))


class TestLearningRate:
    def test_rises_falls_and_is_annealed_on_straight_lines(self):
        """101 steps: corners at 0, 45, 90 and 100."""
        rates = cycle(101)
        up, down, last = np.linspace(0.1, 1, 46), np.linspace(1, 0.1, 46), np.linspace(0.1, 0.0001, 11)
        np.testing.assert_allclose(rates, np.concatenate([up, down[1:], last[1:]]), rtol=1e-12)

    def test_corners_are_where_and_how_high_one_wants(self):
        rates = cycle(41, start_learning_rate=0.2, last_learning_rate=0.05, rise=0.25, annealing=0.5)
        np.testing.assert_allclose(rates[[0, 5, 10, 15, 20, 30, 40]], [0.2, 0.6, 1, 0.6, 0.2, 0.125, 0.05], rtol=1e-12)

    def test_by_default_it_begins_with_a_tenth_and_ends_with_a_thousandth_of_that(self):
        callback = OneCycle(0.5)
        assert callback.start_learning_rate == 0.05
        assert callback.last_learning_rate == pytest.approx(5e-5, rel=1e-12)
        assert OneCycle(0.5, start_learning_rate=0.2).last_learning_rate == pytest.approx(2e-4, rel=1e-12)

    @pytest.mark.parametrize("steps", [3, 4, 7, 10, 13, 100, 777])
    def test_reaches_the_maximum_exactly_and_once(self, steps):
        rates = cycle(steps)
        assert (rates == 1).sum() == 1
        peak = int(rates.argmax())
        assert (np.diff(rates[: peak + 1]) > 0).all()
        assert (np.diff(rates[peak:]) < 0).all()
        assert rates[-1] == pytest.approx(0.0001)

    @pytest.mark.parametrize("steps", [1, 2])
    def test_too_few_steps_for_a_cycle_have_a_rate_all_the_same(self, steps):
        rates = cycle(steps)
        assert ((rates > 0) & (rates <= 1)).all()

    def test_without_annealing_only_the_last_step_has_the_last_rate(self):
        np.testing.assert_allclose(cycle(5, rise=0.5, annealing=0), [0.1, 0.55, 1, 0.55, 1e-4], rtol=1e-12)

    def test_without_a_rise_it_begins_at_the_top(self):
        np.testing.assert_allclose(cycle(11, rise=0)[[0, 3, 6, 9, 10]], [1, 0.7, 0.4, 0.1, 1e-4], rtol=1e-12)

    @pytest.mark.parametrize("steps", range(2, 12))
    def test_a_short_way_down_goes_down(self, steps):
        """Three steps and less have no room for it."""
        rates = cycle(steps, rise=0.5, annealing=0.45)
        assert rates[-1] == pytest.approx(1e-4)
        assert (np.diff(rates[rates.argmax() :]) <= 0).all()
        assert ((rates > 0) & (rates <= 1)).all()

    def test_after_the_last_step_it_stays(self):
        assert OneCycle(1.0, 50).learning_rate_at(1000) == pytest.approx(0.0001)


class TestTraining:
    def test_every_step_has_its_rate(self, model, x, y):
        """Three epochs of ten steps."""
        watched, callback = Watched(), OneCycle(0.1)
        model.fit(x, y, batch_size=1, epochs=3, callbacks=[callback, watched], verbose=0)
        np.testing.assert_allclose(watched.rates, OneCycle(0.1, 30).learning_rate_at(np.arange(30)), rtol=1e-12)
        assert watched.momenta == [0.9] * 30

    def test_the_step_is_taken_with_it(self, x, y):
        """With plain gradient descent, by hand: the rate of a step is on the gradient of that step."""
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        w, b = (value.astype(np.float64) for value in model.get_weights())
        model.fit(x, y, batch_size=2, shuffle=False, callbacks=OneCycle(0.5), verbose=0)
        for k, rate in enumerate(OneCycle(0.5, 5).learning_rate_at(np.arange(5))):
            batch, labels = x[2 * k : 2 * k + 2].astype(np.float64), y[2 * k : 2 * k + 2]
            p = np.exp(batch @ w + b)
            dz = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / 2
            w, b = w - rate * batch.T @ dz, b - rate * dz.sum(axis=0)
        # Five steps in float32.
        np.testing.assert_allclose(model.get_weights()[0], w, atol=1e-6)
        np.testing.assert_allclose(model.get_weights()[1], b, atol=1e-6)

    def test_momentum_goes_the_other_way(self, model, x, y):
        watched = Watched()
        model.fit(x, y, batch_size=1, epochs=3, callbacks=[OneCycle(0.1, momentum=(0.95, 0.85)), watched], verbose=0)
        rates, momenta = np.array(watched.rates), np.array(watched.momenta)
        rising, falling = rates >= 0.01, rates < 0.01
        np.testing.assert_allclose((momenta - 0.85)[rising] / 0.1, (0.1 - rates[rising]) / 0.09, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(momenta[falling], 0.95, rtol=1e-12)
        assert model.optimizer.momentum == momenta[-1]

    @pytest.mark.parametrize("optimizer", ["adam", "nadam", "adamw", "adamax"])
    def test_the_momentum_of_adam_is_beta_1(self, model, x, y, optimizer):
        model.compile(optimizer, "sparse_categorical_crossentropy")
        watched = Watched()
        model.fit(x, y, batch_size=1, callbacks=[OneCycle(0.1, momentum=(0.95, 0.85)), watched], verbose=0)
        assert min(watched.momenta) == 0.85
        assert (watched.momenta[0], watched.momenta[-1]) == (0.95, 0.95)

    def test_the_last_rate_stays(self, model, x, y):
        model.fit(x, y, batch_size=1, callbacks=OneCycle(0.1), verbose=0)
        assert float(model.optimizer.learning_rate) == pytest.approx(1e-5)

    def test_a_training_that_goes_on_goes_on_in_the_cycle(self, model, x, y):
        """As one of four epochs would, if two of them come first."""
        watched = Watched()
        for first, last in ((0, 2), (2, 4)):
            callbacks = [OneCycle(0.1, steps=40), watched]
            model.fit(x, y, batch_size=1, epochs=last, initial_epoch=first, callbacks=callbacks, verbose=0)
        np.testing.assert_allclose(watched.rates, OneCycle(0.1, 40).learning_rate_at(np.arange(40)), rtol=1e-12)

    def test_a_second_training_is_a_second_cycle(self, model, x, y):
        watched, callback = Watched(), OneCycle(0.1)
        for _ in range(2):
            model.fit(x, y, batch_size=1, callbacks=[callback, watched], verbose=0)
        assert watched.rates[:10] == watched.rates[10:]

    def test_the_history_knows_the_rate_at_the_end_of_every_epoch(self, model, x, y):
        history = model.fit(x, y, batch_size=1, epochs=3, callbacks=OneCycle(0.1), verbose=0)
        expected = OneCycle(0.1, 30).learning_rate_at(np.array([9, 19, 29]))
        np.testing.assert_allclose(history.history["learning_rate"], expected, rtol=1e-12)


class BookOneCycle(Callback):
    """The class of "Hands-On Machine Learning", chapter 11, as its readers have it, but for the backend's set_value."""

    def __init__(self, iterations, max_rate, start_rate=None, last_iterations=None, last_rate=None):
        self.iterations = iterations
        self.max_rate = max_rate
        self.start_rate = start_rate or max_rate / 10
        self.last_iterations = last_iterations or iterations // 10 + 1
        self.half_iteration = (iterations - self.last_iterations) // 2
        self.last_rate = last_rate or self.start_rate / 1000
        self.iteration = 0

    def _interpolate(self, iter1, iter2, rate1, rate2):
        return (rate2 - rate1) * (self.iteration - iter1) / (iter2 - iter1) + rate1

    def on_batch_begin(self, batch, logs):
        if self.iteration < self.half_iteration:
            rate = self._interpolate(0, self.half_iteration, self.start_rate, self.max_rate)
        elif self.iteration < 2 * self.half_iteration:
            rate = self._interpolate(self.half_iteration, 2 * self.half_iteration, self.max_rate, self.start_rate)
        else:
            rate = self._interpolate(2 * self.half_iteration, self.iterations, self.start_rate, self.last_rate)
        self.iteration += 1
        self.model.optimizer.learning_rate = rate


class TestScheduler:
    """`OneCycleScheduler`, the same by the names of the book."""

    @pytest.mark.parametrize(
        "options", [{}, {"start_rate": 0.002}, {"last_iterations": 11, "last_rate": 1e-5}, {"last_iterations": 1}]
    )
    def test_has_the_rates_of_the_class_in_the_book(self, model, x, y, options):
        """Five epochs of ten steps."""
        seen = []
        for callback in (BookOneCycle(50, 0.05, **options), OneCycleScheduler(50, max_rate=0.05, **options)):
            watched = Watched()
            model.fit(x, y, batch_size=1, epochs=5, callbacks=[callback, watched], verbose=0)
            seen.append(watched.rates)
        np.testing.assert_allclose(seen[1], seen[0], rtol=1e-12)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((0, 0.1), "OneCycleScheduler: iterations must be an integer ≥ 1, got 0"),
            ((10, -0.1), "OneCycle: max_learning_rate must be a number > 0, got -0.1"),
            ((10, 0.1, None, 9), "OneCycleScheduler: 10 iterations leave no way up before the last 9"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            OneCycleScheduler(*arguments)


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"max_learning_rate": 0}, "OneCycle: max_learning_rate must be a number > 0, got 0"),
            ({"max_learning_rate": "big"}, "OneCycle: max_learning_rate must be a number > 0, got 'big'"),
            ({"steps": 0}, "OneCycle: steps must be an integer ≥ 1, got 0"),
            ({"start_learning_rate": -1}, "OneCycle: start_learning_rate must be a number ≥ 0, got -1"),
            ({"last_learning_rate": np.nan}, "OneCycle: last_learning_rate must be a number ≥ 0, got nan"),
            ({"rise": 2}, r"OneCycle: rise must be a number in \[0, 1\], got 2"),
            ({"annealing": -0.1}, r"OneCycle: annealing must be a number in \[0, 1\], got -0.1"),
            ({"rise": 0.7, "annealing": 0.4}, r"OneCycle: rise \+ annealing must be < 1, got 0.7 \+ 0.4"),
            ({"rise": 0.5, "annealing": 0.5}, r"OneCycle: rise \+ annealing must be < 1, got 0.5 \+ 0.5"),
            ({"momentum": 0.9}, r"OneCycle: expected momentum as \(high, low\), got 0.9"),
            ({"momentum": (0.9, 0.8, 0.7)}, r"OneCycle: expected momentum as \(high, low\), got \(0.9, 0.8, 0.7\)"),
            ({"momentum": (1.5, 0.8)}, r"OneCycle: momentum must be a number in \[0, 1\), got 1.5"),
            ({"momentum": (0.8, 0.9)}, r"OneCycle: expected momentum as \(high, low\), both > 0, got \(0.8, 0.9\)"),
            ({"momentum": (0.8, 0.0)}, r"OneCycle: expected momentum as \(high, low\), both > 0, got \(0.8, 0.0\)"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            OneCycle(**{"max_learning_rate": 0.1, **arguments})

    def test_before_fit_nobody_knows_how_many_steps_there_are(self):
        with pytest.raises(ArgumentError, match="OneCycle: how many steps there are is known once fit has begun"):
            OneCycle(0.1).learning_rate_at(0)

    def test_a_schedule_is_not_overruled(self, model, x, y):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
        model.compile(keras.optimizers.SGD(schedule), "sparse_categorical_crossentropy")
        with pytest.raises(ArgumentError, match="OneCycle: the optimizer has a schedule already: give it a number"):
            model.fit(x, y, callbacks=OneCycle(0.1), verbose=0)

    @pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad"])
    def test_an_optimizer_without_momentum(self, model, x, y, optimizer):
        model.compile(optimizer, "sparse_categorical_crossentropy")
        before = model.get_weights()
        with pytest.raises(ArgumentError, match="OneCycle: there is no momentum to set: use SGD"):
            model.fit(x, y, callbacks=OneCycle(0.1, momentum=(0.95, 0.85)), verbose=0)
        assert all(map(np.array_equal, before, model.get_weights()))
