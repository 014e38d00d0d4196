"""Steps that a user writes: `train_step`, `test_step`, `predict_step`, `compute_loss`, `compute_metrics`."""

import numpy as np
import pytest

import minidl as keras
from minidl import ops
from minidl.errors import ArgumentError, NotCompiledError
from minidl.layers import Dense, Dropout

RNG = np.random.default_rng(3)
X = RNG.standard_normal((20, 4)).astype(np.float32)
Y = (X @ RNG.standard_normal((4, 2))).astype(np.float32)
WEIGHTS = RNG.uniform(0.5, 2.0, 20).astype(np.float32)


def unpacked(data):
    return keras.utils.unpack_x_y_sample_weight(data)


class Base(keras.Model):
    """Two layers; the subclasses say how they learn."""

    def __init__(self):
        super().__init__()
        self.hidden = Dense(8, activation="relu")
        self.dropout = Dropout(0.2)
        self.out = Dense(2)

    def call(self, inputs, training=None):
        return self.out(self.dropout(self.hidden(inputs), training=training))


class Spelled(Base):
    """The usual step, spelled out as Keras's guide does."""

    def train_step(self, data):
        x, y, sample_weight = unpacked(data)
        with keras.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=len(x))
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data):
        x, y, sample_weight = unpacked(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)
        self.metrics[0].update_state(loss, sample_weight=len(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data):
        return self(unpacked(data)[0], training=False)


class Decorated(Base):
    """The step of `minidl.function`."""

    @keras.function
    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = ops.mean(ops.square(y - self(x, training=True)))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class Inherited(Base):
    """More than the usual step."""

    steps_taken = 0

    def train_step(self, data):
        logs = super().train_step(data)
        self.steps_taken += 1
        return {**logs, "steps": self.steps_taken}


class OwnLoss(Base):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.square(y - y_pred))


class OwnMetrics(Base):
    def __init__(self):
        super().__init__()
        self.worst = keras.metrics.Mean(name="worst")

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.worst.update_state(ops.max(ops.abs(y - y_pred)))
        return super().compute_metrics(x, y, y_pred, sample_weight)


def trained(kind, *, compile_with=None, x=X, y=Y, **options):
    keras.utils.set_random_seed(5)
    model = kind()
    model.compile("adam", **{"loss": "mse", "metrics": ["mae"], **(compile_with or {})})
    history = model.fit(x, y, batch_size=8, epochs=3, verbose=0, **options).history
    return model, history


def assert_same(model, other, *results):
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for ours, theirs in zip(*[iter(results)] * 2, strict=True):
        assert ours == theirs


class TestTrainStep:
    def test_spelled_out_gives_bitwise_what_the_usual_one_gives(self):
        options = {"validation_data": (X[:6], Y[:6]), "sample_weight": WEIGHTS}
        (usual, history), (own, own_history) = trained(Base, **options), trained(Spelled, **options)
        assert_same(usual, own, history, own_history)
        assert list(history) == list(own_history) == ["loss", "mae", "val_loss", "val_mae"]
        assert usual.evaluate(X, Y, verbose=0) == own.evaluate(X, Y, verbose=0)
        np.testing.assert_array_equal(usual.predict(X, verbose=0), own.predict(X, verbose=0))

    def test_may_call_the_usual_one(self):
        (usual, history), (own, own_history) = trained(Base), trained(Inherited)
        assert own_history.pop("steps") == [3, 6, 9]
        assert_same(usual, own, history, own_history)

    def test_made_a_function_it_is_recorded(self):
        _, history = trained(Base)
        model, own_history = trained(Decorated)
        assert_same(trained(Base)[0], model)
        assert list(own_history) == ["loss"]
        # The loss of the last batch alone, as it is returned.
        assert own_history["loss"] != history["loss"]
        assert any(agreed for _, _, agreed in type(model).train_step._programs.values())

    def test_is_given_what_fit_was(self):
        seen = []

        class Looks(Base):
            def train_step(self, data):
                seen.append(data)
                return {}

        model = Looks()
        model.compile("sgd")
        model.fit(X, batch_size=20, verbose=0)
        model.fit(X.astype(np.float64), Y, batch_size=20, verbose=0)
        model.fit(X, np.arange(20), sample_weight=WEIGHTS, batch_size=20, shuffle=False, verbose=0)
        model.fit([X, X], {"a": Y}, batch_size=20, verbose=0)
        alone, pair, triple, nested = seen
        assert isinstance(alone, keras.Tensor)
        assert [part.dtype.name for part in pair] == ["float32", "float32"]
        assert [part.dtype.name for part in triple] == ["float32", "int64", "float32"]
        np.testing.assert_array_equal(triple[2].numpy(), WEIGHTS)
        assert [len(nested[0]), list(nested[1])] == [2, ["a"]]

    def test_may_keep_its_batches(self):
        class Keeps(Base):
            def train_step(self, data):
                kept.append(data)
                return {}

        kept = []
        model = Keeps()
        model.compile("sgd")
        model.fit(np.arange(40.0).reshape(40, 1), batch_size=4, verbose=0)
        assert sorted(np.concatenate(kept)[:, 0]) == list(range(40))

    def test_reports_what_the_last_batch_returned_and_may_decide_by_numbers(self):
        class Counts(Base):
            def __init__(self):
                super().__init__()
                self.seen = 0

            def train_step(self, data):
                self.seen += 1
                return {"seen": self.seen, "even": self.seen % 2 == 0, "rows": ops.shape(data[0])[0]}

        _, history = trained(Counts)
        assert history == {"seen": [3, 6, 9], "even": [0, 1, 0], "rows": [4, 4, 4]}

    def test_on_a_batch(self):
        model, _ = trained(Spelled)
        loss, mae = model.train_on_batch(X, Y)
        assert (loss, mae) != tuple(model.test_on_batch(X, Y))
        assert list(model.train_on_batch(X, Y, return_dict=True)) == ["loss", "mae"]

    def test_order_of_evaluate_is_that_of_the_metrics_and_then_of_the_alphabet(self):
        class Many(Base):
            def test_step(self, data):
                return {"b": 2.0, "a": 1.0, "mae": 3.0, "loss": 4.0}

        model, _ = trained(Many)
        assert model.evaluate(X, Y, verbose=0) == [4.0, 3.0, 1.0, 2.0]
        assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"a": 1.0, "b": 2.0, "loss": 4.0, "mae": 3.0}

    def test_replaced_on_an_object(self):
        model, _ = trained(Base)
        model.train_step = lambda data: {"own": 7.0}
        assert model.fit(X, Y, verbose=0).history == {"own": [7.0]}

    def test_that_returns_no_dictionary(self):
        class Nothing(Base):
            def train_step(self, data):
                return 3.0

        with pytest.raises(ArgumentError, match=r"expected a step to return a dictionary \{name: number\}, got 3.0"):
            trained(Nothing)

    def test_outside_of_fit(self):
        """As a plain method, with arrays or tensors."""
        model, _ = trained(Base)
        model.reset_metrics()
        logs = model.train_step((X, Y))
        assert logs.keys() == {"loss", "mae"}
        model.reset_metrics()
        assert model.test_step((X, Y))["loss"] < logs["loss"]
        np.testing.assert_array_equal(model.predict_step(X).numpy(), model.predict(X, verbose=0))
        with pytest.raises(ArgumentError, match=r"expected data as x, \(x,\), \(x, y\) or .*, got 4 parts"):
            model.train_step((X, Y, WEIGHTS, None))


class TestComputeLoss:
    def test_takes_the_place_of_the_loss(self):
        (usual, history), (own, own_history) = trained(Base), trained(OwnLoss, compile_with={"loss": None})
        assert_same(usual, own)
        np.testing.assert_allclose(own_history["loss"], history["loss"], rtol=1e-6)

    def test_may_need_no_targets(self):
        class Autoencoder(keras.Model):
            def __init__(self):
                super().__init__()
                self.out = Dense(4)

            def call(self, inputs):
                return self.out(inputs)

            def compute_loss(self, x, y, y_pred, sample_weight, training=True):
                return ops.mean(ops.square(x - y_pred))

        model = Autoencoder()
        model.compile("adam")
        history = model.fit(X, epochs=3, verbose=0, validation_data=X).history
        assert history["loss"] == sorted(history["loss"], reverse=True)
        assert history["val_loss"][-1] == pytest.approx(model.evaluate(X, verbose=0))

    def test_is_told_whether_it_is_training(self):
        class Told(Base):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                loss = super().compute_loss(x, y, y_pred, sample_weight)
                return loss if training else loss * 0.0

        model, history = trained(Told)
        assert min(history["loss"]) > 0
        assert model.evaluate(X, Y, verbose=0)[0] == 0

    def test_may_count_in_a_metric(self):
        """A metric that counts is not seen by a recording: the step must run as it stands."""

        class Counts(Base):
            def __init__(self):
                super().__init__()
                self.count = keras.metrics.Sum(name="count")

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                self.count.update_state(1)
                return super().compute_loss(x, y, y_pred, sample_weight)

        _, history = trained(Counts, compile_with={"metrics": None})
        assert history["count"] == [3, 3, 3]


def test_weights_and_layers_in_lists_and_dictionaries_are_learned():
    class Many(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = {"hidden": [Dense(6, activation="tanh"), Dense(6, activation="tanh")], "out": Dense(2)}
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def call(self, inputs):
            for layer in self.parts["hidden"]:
                inputs = layer(inputs)
            return self.parts["out"](inputs) * self.scale

        def train_step(self, data):
            x, y = data
            with keras.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    model = Many()
    model(X)
    assert len(model.trainable_variables) == 7
    before = model.get_weights()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_figures_are_those_of_keras():
    """Of Keras 3.15 (PyTorch), for the same class, data and weights."""

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = Dense(2)
            self.worst = keras.metrics.Mean(name="worst")

        def call(self, inputs):
            return self.out(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(ops.square(y - y_pred)) * 3.0

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.worst.update_state(ops.max(ops.abs(y - y_pred)))
            return super().compute_metrics(x, y, y_pred, sample_weight)

    rng = np.random.default_rng(3)
    x = rng.standard_normal((20, 4)).astype("float32")
    y = (x @ rng.standard_normal((4, 2))).astype("float32")
    weights, kernel = rng.uniform(0.5, 2, 20).astype("float32"), rng.standard_normal((4, 2)).astype("float32")
    model = Own()
    model(x[:1])
    model.out.set_weights([kernel, np.zeros(2)])
    model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"], weighted_metrics=["mse"])
    history = model.fit(
        x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, sample_weight=weights, validation_data=(x[:5], y[:5])
    ).history
    expected = {
        "loss": [19.09824, 4.94806], "mae": [1.8512, 0.89592], "mse": [6.17721, 1.59203], "worst": [5.34104, 2.84901],
        "val_loss": [6.60369, 2.98388], "val_mae": [1.11579, 0.7529], "val_mse": [2.20123, 0.99463],
        "val_worst": [3.37913, 2.32536],
    }  # fmt: skip
    assert history == {name: pytest.approx(values, abs=1e-5) for name, values in expected.items()}
    assert model.evaluate(x, y, verbose=0) == pytest.approx([2.38396, 0.64246, 0.79465, 2.32536], abs=1e-5)


class TestMetrics:
    def test_compute_metrics_adds_to_the_usual_ones(self):
        (usual, history), (own, own_history) = trained(Base), trained(OwnMetrics)
        worst = own_history.pop("worst")
        assert_same(usual, own, history, own_history)
        assert all(value > mae for value, mae in zip(worst, history["mae"], strict=True))

    @pytest.mark.parametrize("kind", [OwnLoss, OwnMetrics, Spelled])
    def test_recorded_and_eager_steps_are_bitwise_equal(self, kind):
        (a, history), (b, eager_history) = trained(kind), trained(kind, compile_with={"run_eagerly": True})
        assert_same(a, b, history, eager_history)

    def test_that_are_attributes_are_reset_with_each_epoch(self):
        class Tracks(Base):
            def __init__(self):
                super().__init__()
                self.trackers = {"first": keras.metrics.Sum(name="batches")}
                self.hidden.rows = [keras.metrics.Sum(name="rows")]

            def train_step(self, data):
                x, _ = data
                self.trackers["first"].update_state(1)
                self.hidden.rows[0].update_state(len(x))
                return self.get_metrics_result()

        model, history = trained(Tracks)
        assert history == {"batches": [3, 3, 3], "loss": [0, 0, 0], "rows": [20, 20, 20]}
        assert [metric.name for metric in model.metrics] == ["loss", "compile_metrics", "batches", "rows"]
        assert model.metrics_names == ["loss", "mae", "batches", "rows"]

    def test_may_be_listed_in_a_property(self):
        class Lists(Base):
            def __init__(self):
                super().__init__()
                self.tracker = keras.metrics.Mean(name="mine")

            @property
            def metrics(self):
                return [self.tracker]

            def train_step(self, data):
                self.tracker.update_state(ops.mean(data[0]))
                return {"mine": self.tracker.result()}

        model, history = trained(Lists)
        assert list(history) == ["mine"]
        assert model.metrics_names == ["mine"]

    def test_of_a_model_inside_are_its_own(self):
        class Outer(keras.Model):
            def __init__(self):
                super().__init__()
                self.inside = OwnMetrics()

        assert Outer().metrics == []
        assert [metric.name for metric in OwnMetrics().metrics] == ["worst"]


class GAN(keras.Model):
    """Two networks against each other, with an optimizer each (Goodfellow et al. 2014)."""

    def __init__(self, generator, discriminator, codings):
        super().__init__()
        self.generator, self.discriminator, self.codings = generator, discriminator, codings
        self.noise = np.random.default_rng(1)
        self.d_tracker, self.g_tracker = keras.metrics.Mean(name="d_loss"), keras.metrics.Mean(name="g_loss")

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    @property
    def metrics(self):
        return [self.d_tracker, self.g_tracker]

    def train_step(self, real):
        n = ops.shape(real)[0]
        codes = self.noise.standard_normal((n, self.codings)).astype("float32")
        both = ops.concatenate([self.generator(codes), real], axis=0)
        labels = ops.concatenate([ops.zeros((n, 1)), ops.ones((n, 1))], axis=0)
        with keras.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(both, training=True))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
        with keras.GradientTape() as tape:
            g_loss = self.loss_fn(ops.ones((n, 1)), self.discriminator(self.generator(codes, training=True)))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
        self.d_tracker.update_state(d_loss)
        self.g_tracker.update_state(g_loss)
        return {metric.name: metric.result() for metric in self.metrics}


def test_two_networks_with_an_optimizer_each():
    """The generator must find the mean of the data, (3, −2), which it is never shown."""
    keras.utils.set_random_seed(0)
    gan = GAN(
        keras.Sequential([keras.Input((2,)), Dense(2)]),
        keras.Sequential([keras.Input((2,)), Dense(16, activation="relu"), Dense(1)]),
        codings=2,
    )
    gan.compile(
        keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    data = np.array([3.0, -2.0]) + 0.5 * np.random.default_rng(0).standard_normal((256, 2))
    history = gan.fit(data, batch_size=32, epochs=40, verbose=0).history
    assert list(history) == ["d_loss", "g_loss"]
    assert all(np.isfinite(history["g_loss"]))
    made = gan.generator.predict(np.random.default_rng(2).standard_normal((500, 2)), verbose=0).mean(axis=0)
    # It begins at a distance of 3.6 and circles around the mean.
    assert np.linalg.norm(made - [3, -2]) < 1.2


class TestWithoutALoss:
    def test_the_usual_step_says_what_is_missing_before_anything_is_learned(self):
        model = keras.Sequential([keras.Input((4,)), Dense(2)])
        model.compile("sgd", metrics=["mae"])
        with pytest.raises(NotCompiledError, match="fit: there is no loss: compile with one, such as loss="):
            model.fit(X, Y, verbose=0)
        assert model.optimizer.iterations.numpy() == 0

    @pytest.mark.parametrize("run_eagerly", [False, True])
    def test_what_layers_add_to_it_is_enough(self, run_eagerly):
        class Autoencoder(keras.Model):
            def __init__(self):
                super().__init__()
                self.out = Dense(4)

            def call(self, inputs):
                outputs = self.out(inputs)
                self.add_loss(ops.mean(ops.square(outputs - inputs)))
                return outputs

        model = Autoencoder()
        model.compile("adam", run_eagerly=run_eagerly)
        history = model.fit(X, epochs=5, verbose=0).history["loss"]
        assert history == sorted(history, reverse=True)
        assert 0 < model.evaluate(X, verbose=0) < history[-1]

    def test_of_several_outputs(self):
        x = keras.Input((4,))
        model = keras.Model(x, [Dense(2, name="a")(x), Dense(2, name="b")(x)])
        model.compile("sgd")
        with pytest.raises(NotCompiledError, match="there is no loss: compile with one for the outputs a, b"):
            model.fit(X, [Y, Y], verbose=0)

    def test_weights_without_targets_weigh_nothing(self):
        model = Spelled()
        model.compile("sgd")
        with pytest.raises(ArgumentError, match="fit: sample_weight needs targets y to weigh"):
            model.fit(X, sample_weight=WEIGHTS, verbose=0)
        with pytest.raises(ArgumentError, match="class_weight needs y to be one array of labels"):
            model.fit(X, class_weight={0: 1.0}, verbose=0)
