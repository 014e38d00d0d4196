"""Looks at a training run: what is seen, when, what is said of it, and that training does not notice."""

import re
import sys

import numpy as np
import pytest

import minidl as keras
from minidl import layers
from minidl.diagnostics import Watch
from minidl.errors import ArgumentError, MissingExtraError, ShapeError


@pytest.fixture
def data():
    x = np.random.default_rng(0).standard_normal((100, 6)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1)


def make(learning_rate=0.05, hidden=None, run_eagerly=False):
    keras.utils.set_random_seed(1)
    keras.utils.clear_session()
    hidden = hidden or [layers.BatchNormalization(), layers.RReLU(), layers.Dropout(0.3)]
    first, last = layers.Dense(16, kernel_initializer="he_normal"), layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((6,)), first, *hidden, last])
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=run_eagerly)
    return model


def state(model):
    return [v.data.tobytes() for v in (*model.variables, *model.optimizer.variables)]


class TestLooks:
    def test_are_taken_before_training_and_after_every_epoch(self, data):
        watch = Watch(*data)
        make().fit(*data, epochs=3, verbose=0, callbacks=[watch])
        assert list(watch.looks) == [0, 1, 2, 3]
        losses = [look.loss for look in watch.looks.values()]
        assert losses == sorted(losses, reverse=True)

    def test_or_every_few_and_the_last(self, data):
        watch = Watch(*data, every=2)
        make().fit(*data, epochs=5, verbose=0, callbacks=[watch])
        assert list(watch.looks) == [0, 2, 4, 5]

    def test_count_epochs_as_fit_does(self, data):
        watch = Watch(*data)
        make().fit(*data, initial_epoch=4, epochs=6, verbose=0, callbacks=[watch])
        assert list(watch.looks) == [4, 5, 6]

    @pytest.mark.parametrize("run_eagerly", [False, True])
    @pytest.mark.parametrize("batch_size", [32, 100])
    def test_have_the_update_of_the_last_step(self, data, run_eagerly, batch_size):
        """Without momentum in the first step: Δw = −η·∂L/∂w, and with η = 0 nothing moves."""
        watch, still = Watch(*data), Watch(*data)
        make(run_eagerly=run_eagerly).fit(*data, batch_size, verbose=0, callbacks=[watch])
        updates = [layer.update for layer in watch.looks[1].layers]
        assert [update is None for update in updates] == [False, False, True, True, False]
        assert all(1e-5 < update < 0.1 for update in updates if update is not None)
        make(0.0, run_eagerly=run_eagerly).fit(*data, batch_size, verbose=0, callbacks=[still])
        assert [layer.update for layer in still.looks[1].layers] == [0, 0, None, None, 0]
        assert all(layer.update is None for layer in watch.looks[0].layers)

    def test_have_exactly_the_ratio_of_step_and_weights(self, data):
        x, y = data
        model, watch = make(hidden=[layers.ReLU()]), Watch(x, y)
        before = model.layers[0].kernel.numpy().copy()
        model.fit(x, y, 100, verbose=0, callbacks=[watch])
        kernel, bias = model.layers[0].kernel.numpy(), model.layers[0].bias.numpy()
        step = np.hypot(np.linalg.norm(kernel - before), np.linalg.norm(bias))
        assert watch.looks[1].layers[0].update == pytest.approx(step / np.linalg.norm(before), rel=1e-5)


class TestTraining:
    @pytest.mark.parametrize("run_eagerly", [False, True])
    def test_does_not_notice(self, data, run_eagerly):
        """Dropout, RReLU, moving averages, the order of the batches: all as without, to the last bit."""
        runs = []
        for callbacks in ([Watch(*data)], []):
            model = make(run_eagerly=run_eagerly)
            model.fit(*data, 32, epochs=3, verbose=0, callbacks=callbacks)
            runs.append((state(model), model.history.history))
        assert runs[0] == runs[1]


class TestWords:
    def test_of_a_healthy_run(self, data):
        watch = Watch(*data)
        make().fit(*data, epochs=2, verbose=0, callbacks=[watch])
        assert watch.verdict().startswith("nothing unusual in 5 layers")
        assert watch.report() == watch.looks[2].table()
        assert watch.report(epochs=0) == watch.looks[0].table()

    def test_of_a_learning_rate_that_kills(self, data):
        """Steps so large that in the end most units are positive for no sample."""
        keras.utils.set_random_seed(1)
        hidden = layers.Dense(16, activation="relu", name="hidden")
        model = keras.Sequential([keras.Input((6,)), hidden, layers.Dense(1)])
        model.compile(keras.optimizers.SGD(10.0, clipnorm=1.0), "mse")
        watch = Watch(data[0], data[1])
        model.fit(*data, 10, epochs=3, verbose=0, callbacks=[watch])
        assert watch.looks[0].verdict().startswith("nothing unusual")
        pattern = r"layer 1 \(hidden\): (\d+)% of the units are dead: try a smaller learning rate"
        dead = re.match(pattern, watch.verdict())
        assert int(dead[1]) > 80

    def test_of_steps_that_are_too_large(self, data):
        watch = Watch(*data)
        make(2.0).fit(*data, verbose=0, callbacks=[watch])
        assert "one step changes the weights by" in watch.verdict()

    def test_of_a_run_that_ends_in_nan(self, data):
        """When that was, and what was wrong in the look before."""
        model = keras.Sequential([keras.Input((6,)), layers.Dense(8, name="first"), layers.Dense(1, name="last")])
        model.compile(keras.optimizers.SGD(30.0), "mse")
        watch = Watch(data[0], data[1])
        with np.errstate(all="ignore"):
            model.fit(data[0], data[1], 10, epochs=4, verbose=0, callbacks=[watch])
        last, before = watch.verdict().splitlines()
        assert last.startswith("after epoch 1, layers 1–2 (first … last): outputs are not finite, first is the first")
        assert before.startswith("before the first step, nothing unusual")


def test_a_model_that_needs_no_targets(data):
    """Its loss is what `call` adds."""

    class Autoencoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.code, self.copy = layers.Dense(3, activation="tanh"), layers.Dense(6)

        def call(self, x):
            y = self.copy(self.code(x))
            self.add_loss(keras.ops.mean((y - x) ** 2))
            return y

    model, watch = Autoencoder(), Watch(data[0])
    model.compile("sgd")
    losses = model.fit(data[0], batch_size=100, epochs=2, verbose=0, callbacks=[watch]).history["loss"]
    np.testing.assert_allclose([watch.looks[0].loss, watch.looks[1].loss], losses, rtol=1e-6)  # two orders of summation
    assert keras.diagnostics.diagnose(model, data[0]).loss == watch.looks[2].loss


class TestErrors:
    def test_nothing_seen_yet(self, data):
        for ask in (Watch(*data).verdict, Watch(*data).report, Watch(*data).plot):
            with pytest.raises(ArgumentError, match=r"nothing was seen yet: hand it to fit in callbacks"):
                ask()

    def test_no_look_after_so_many_epochs(self, data):
        watch = Watch(*data, every=2)
        make().fit(*data, epochs=2, verbose=0, callbacks=[watch])
        with pytest.raises(ArgumentError, match="no look after 1 epochs, there are: 0, 2"):
            watch.report(1)

    def test_a_sample_that_does_not_fit(self, data):
        with pytest.raises(ShapeError, match="Watch: x has 100 samples but y has 99"):
            make().fit(*data, verbose=0, callbacks=[Watch(data[0], data[1][1:])])

    def test_every(self, data):
        with pytest.raises(ArgumentError, match="Watch: every must be an integer ≥ 1, got 0"):
            Watch(*data, every=0)


@pytest.mark.filterwarnings("default")  # of matplotlib's own
class TestFigure:
    def test_has_a_panel_for_each_number_and_a_line_for_each_look(self, data, tmp_path):
        pytest.importorskip("matplotlib")
        watch = Watch(*data)
        make().fit(*data, epochs=2, verbose=0, callbacks=[watch])
        figure = watch.plot(tmp_path / "inside.png")
        mean, spread, *_, update = figure.axes
        assert [panel.get_title() for panel in figure.axes] == [
            "mean of outputs", "spread of outputs", "gradient norm",
            "share of saturated outputs", "share of dead units", "last step / weights",
        ]  # fmt: skip
        assert [len(panel.lines) for panel in figure.axes] == [3] * 6
        np.testing.assert_allclose(mean.lines[2].get_ydata(), [layer.mean for layer in watch.looks[2].layers])
        assert mean.get_yscale() == "linear"
        np.testing.assert_allclose(spread.lines[2].get_ydata(), [layer.spread for layer in watch.looks[2].layers])
        assert list(update.lines[0].get_xdata()) == []
        assert list(update.lines[1].get_xdata()) == [1, 2, 5]
        assert (tmp_path / "inside.png").read_bytes().startswith(b"\x89PNG")

    def test_of_a_single_look_and_of_what_is_not_finite(self, data):
        pytest.importorskip("matplotlib")
        model = make()
        model.layers[0].bias.assign(np.full(16, np.inf))
        figure = keras.diagnostics.diagnose(model, *data).plot()
        figure.draw_without_rendering()
        assert [len(panel.lines) for panel in figure.axes] == [1] * 6

    def test_an_empty_panel_says_why(self, data):
        pytest.importorskip("matplotlib")
        model = make(hidden=[layers.Dense(9, activation="relu", kernel_initializer="zeros")])
        figure = keras.diagnostics.diagnose(model, *data).plot()
        said = {panel.get_title(): [text.get_text() for text in panel.texts] for panel in figure.axes}
        assert said["share of saturated outputs"] == ["no squashing activation"]
        assert said["last step / weights"] == ["no step was seen"]
        assert said["mean of outputs"] == said["gradient norm"] == []

    def test_large_means_are_drawn_on_a_scale_of_powers(self, data):
        pytest.importorskip("matplotlib")
        model = make(hidden=[layers.Rescaling(1e6, 1e6)])
        assert keras.diagnostics.diagnose(model, *data).plot().axes[0].get_yscale() == "symlog"

    def test_without_matplotlib_one_line_names_the_command(self, data, monkeypatch):
        watch = Watch(*data)
        make().fit(*data, verbose=0, callbacks=[watch])
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(MissingExtraError, match=r'pip install "minidl\[plot\]"'):
            watch.plot()
