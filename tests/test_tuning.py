"""`find_learning_rate`: what it sees, what it suggests, and that it leaves no trace."""

import copy
import re

import numpy as np
import pytest

import minidl as keras
from minidl import tuning
from minidl.errors import ArgumentError, MiniDLWarning, NonFiniteError, NotCompiledError
from minidl.layers.snapshot import generators
from minidl.optimizers import schedules

# A bowl: the loss is ½·curvature·w² on average, so that gradient descent diverges above a rate of 2/curvature. Its root
# is exact in float32.
CURVATURE = 16.0


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((640, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def y(x):
    return (x @ np.arange(24).reshape(8, 3)).argmax(axis=1)


def network(optimizer="sgd", **options):
    """One with everything that changes in training: moving averages, generators, slots."""
    keras.utils.set_random_seed(4)
    model = keras.Sequential([
        keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.2), keras.layers.Dense(3, "softmax"),
    ])  # fmt: skip
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def state(model):
    """Everything that a training may change, bit by bit."""
    values = [v.data.tobytes() for v in (*model.variables, *model.optimizer.variables)]
    return values, [copy.deepcopy(generator.bit_generator.state) for generator in generators(model)]


class TestSweep:
    def test_unpacks_into_rates_and_losses(self, x, y):
        found = keras.find_learning_rate(network(), x, y, steps=60)
        rates, losses = found
        assert rates is found.rates
        assert losses is found.losses

    def test_turns_where_the_mathematics_says(self):
        """Descent on ½·c·w² from afar: w is multiplied by 1 − ηc in each step, so the loss climbs above η = 2/c."""
        inputs = np.full((32, 1), CURVATURE**0.5)
        keras.utils.set_random_seed(0)
        layer = keras.layers.Dense(1, use_bias=False, dtype="float64")
        model = keras.Sequential([keras.Input((1,), dtype="float64"), layer])
        model.set_weights([np.ones((1, 1))])
        model.compile("sgd", lambda y, z: 0.5 * keras.ops.square(z))
        found = keras.find_learning_rate(model, inputs, np.zeros((32, 1)), 1e-4, 1e4, steps=400)
        steps = np.log(2 / CURVATURE / found.turning_point) / np.log(1e8) * 399
        assert abs(steps) < 10, "half of what it is smoothed over"
        # The weight from step to step, by hand.
        w = np.cumprod([1.0, *(1 - CURVATURE * found.rates[:-1])])
        np.testing.assert_allclose(found.losses, 0.5 * CURVATURE * w**2, rtol=1e-9, atol=1e-12)

    def test_rates_grow_by_a_constant_factor(self, x, y):
        found = keras.find_learning_rate(network(), x, y, 1e-4, 1e2, batch_size=16, epochs=3)
        all_steps = np.geomspace(1e-4, 1e2, 120)
        np.testing.assert_array_equal(found.rates, all_steps[: len(found.rates)])
        assert len(found.rates) == len(found.losses) == len(found.smoothed) <= 120

    def test_the_suggestion_is_a_tenth_of_the_turning_point(self, x, y):
        found = keras.find_learning_rate(network(), x, y, epochs=8)
        assert found.suggestion == found.turning_point / 10
        assert found.turning_point == found.rates[found.smoothed.argmin()]
        assert 1e-3 < found.suggestion < 1
        assert repr(found).startswith("<LearningRates: the loss climbs from ")

    def test_a_training_with_the_suggestion_works(self, x, y):
        model = network()
        model.optimizer.learning_rate = keras.find_learning_rate(model, x, y, epochs=8).suggestion
        assert model.fit(x, y, epochs=8, verbose=0).history["accuracy"][-1] > 0.8

    def test_ends_when_the_loss_explodes(self):
        """A linear model without bounds: the loss grows until it is four times the first one, and not to the end."""
        generator = np.random.default_rng(1)
        x, y = generator.standard_normal((320, 4)), generator.standard_normal((320, 1))
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        found = keras.find_learning_rate(model, x, y, 1e-3, 1e6, steps=300)
        assert len(found.rates) < 200
        assert found.losses[-1] > 4 * found.losses[0]
        assert (found.losses[:-30] < 4 * found.losses[0]).all()

    def test_ends_when_the_loss_is_not_finite(self, x, y):
        """Huge steps at once, so that the next loss is NaN: what was seen before counts."""
        model = network("sgd")
        with pytest.warns(MiniDLWarning, match="the loss climbed, but did not fall before: lower min_rate"):
            found = keras.find_learning_rate(model, x, y, 1e30, 1e38, steps=50)
        assert 0 < len(found.losses) < 50
        assert np.isfinite(found.losses).all()

    def test_is_the_same_every_time(self, x, y):
        model = network()
        first, second = (keras.find_learning_rate(model, x, y, steps=60) for _ in range(2))
        np.testing.assert_array_equal(first.losses, second.losses)
        assert (first.losses != keras.find_learning_rate(model, x, y, steps=60, seed=1).losses).any()

    def test_eagerly_it_is_the_same_to_the_bit(self, x, y):
        found = [keras.find_learning_rate(network(run_eagerly=eagerly), x, y, steps=40) for eagerly in (False, True)]
        np.testing.assert_array_equal(found[0].losses, found[1].losses)

    def test_weighs_samples(self, x, y):
        plain = keras.find_learning_rate(network(), x, y, steps=20)
        weighted = keras.find_learning_rate(network(), x, y, steps=20, sample_weight=np.full(len(x), 2.0))
        np.testing.assert_allclose(weighted.losses[0], 2 * plain.losses[0], rtol=1e-6)

    @pytest.mark.parametrize(
        ("rates", "message"),
        [
            ((1e-9, 1e-6), "the loss did not climb: raise max_rate"),
            ((1e-4, 1e-3), "the loss did not climb: raise max_rate"),
        ],
    )
    def test_warns_of_a_loss_that_did_not_turn(self, x, y, rates, message):
        with pytest.warns(MiniDLWarning, match=f"find_learning_rate: {message}, or take more steps"):
            keras.find_learning_rate(network("adam"), x, y, *rates, epochs=5)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.01, momentum=0.9),
        lambda: keras.optimizers.Adam(0.001),
        lambda: keras.optimizers.Nadam(schedules.ExponentialDecay(0.01, 10, 0.5)),
        lambda: keras.optimizers.RMSprop(lambda: 0.003),
    ],
)
class TestNoTrace:
    def test_of_a_trained_model(self, x, y, optimizer):
        model = network(optimizer())
        model.fit(x, y, epochs=1, verbose=0)
        rate, before = model.optimizer._learning_rate, state(model)
        keras.find_learning_rate(model, x, y, steps=30)
        assert state(model) == before
        assert model.optimizer._learning_rate is rate

    def test_in_the_training_that_follows(self, x, y, optimizer):
        """Bit by bit that of a model which was never looked at, order of samples and dropout included."""
        histories, weights = [], []
        for look in (False, True):
            model = network(optimizer())
            if look:
                keras.find_learning_rate(model, x, y, steps=30)
            histories.append(model.fit(x, y, epochs=2, verbose=0).history)
            weights.append(state(model))
        assert histories[0] == histories[1]
        assert weights[0] == weights[1]

    def test_if_it_fails(self, x, y, optimizer, monkeypatch):
        model = network(optimizer())
        model.fit(x, y, epochs=1, verbose=0)
        before = state(model)
        monkeypatch.setattr(tuning._Sweep, "explodes", lambda sweep, loss: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keras.find_learning_rate(model, x, y, steps=30)
        assert state(model) == before


def test_a_model_that_is_not_built_is_built(x, y):
    model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    keras.find_learning_rate(model, x, y, 1e-3, 1e3, steps=100)
    assert model.built


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_rate": 0}, "find_learning_rate: min_rate must be a number > 0, got 0"),
        ({"max_rate": np.inf}, "find_learning_rate: max_rate must be a number > 0, got inf"),
        ({"min_rate": 1, "max_rate": 0.1}, "find_learning_rate: expected min_rate < max_rate, got 1 and 0.1"),
        ({"steps": 2}, "find_learning_rate: steps must be an integer ≥ 3, got 2"),
        ({"batch_size": 0}, "find_learning_rate: batch_size must be an integer ≥ 1, got 0"),
        ({"batch_size": 640}, "find_learning_rate: steps must be an integer ≥ 3, got 1"),
        ({"epochs": 1.5}, "find_learning_rate: epochs must be an integer ≥ 1, got 1.5"),
        ({"y": np.zeros(3)}, "find_learning_rate: "),
    ],
)
def test_arguments(x, y, arguments, message):
    model = network()
    before = state(model)
    with pytest.raises(ArgumentError if "y" not in arguments else ValueError, match=re.escape(message)):
        keras.find_learning_rate(model, x, **{"y": y, **arguments})
    assert state(model) == before


def test_a_model_that_needs_no_targets(x):
    class Autoencoder(keras.Sequential):
        def call(self, x, training=None):
            y = super().call(x, training)
            self.add_loss(keras.ops.mean((y - x) ** 2))
            return y

    model = Autoencoder([keras.Input(x.shape[1:]), keras.layers.Dense(x.shape[1])])
    model.compile("sgd")
    assert keras.find_learning_rate(model, x, epochs=10, max_rate=100).losses[-1] > 0


def test_a_model_that_is_not_compiled(x, y):
    with pytest.raises(NotCompiledError, match="is not compiled"):
        keras.find_learning_rate(keras.Sequential([keras.layers.Dense(3)]), x, y)


def test_a_loss_that_is_not_finite_from_the_start(x, y):
    model = network()
    model.set_weights([np.full(v.shape, np.nan) for v in model.get_weights()])
    with pytest.raises(NonFiniteError, match="the loss is not finite before anything has been learned"):
        keras.find_learning_rate(model, x, y)


@pytest.mark.filterwarnings("default")  # of matplotlib's own
def test_the_picture(x, y, tmp_path):
    pytest.importorskip("matplotlib")
    found = keras.find_learning_rate(network(), x, y, epochs=8)
    figure = found.plot(tmp_path / "rates.png", title="mine")
    (panel,) = figure.axes
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert (panel.get_xscale(), panel.get_xlabel(), panel.get_ylabel()) == ("log", "learning rate", "loss")
    raw, smoothed, turn, suggestion = panel.lines
    np.testing.assert_array_equal(raw.get_ydata(), found.losses)
    np.testing.assert_array_equal(smoothed.get_ydata(), found.smoothed)
    assert (turn.get_xdata()[0], suggestion.get_xdata()[0]) == (found.turning_point, found.suggestion)
    assert figure.get_suptitle() == "mine"
