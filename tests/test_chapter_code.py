"""A book's chapter on training deep networks, as its readers have typed it: nothing but the import is changed.

Every piece trains for an epoch or two on 64 small images: what is tested is that the code runs, in the spellings of
Keras 2 and 3, and does what it says; how well it does is another matter.
"""

from functools import partial

import numpy as np
import pytest

import minidl as keras
import minidl.tf as tf

pytestmark = pytest.mark.filterwarnings("ignore:.*is an old spelling:minidl.errors.MiniDLWarning")

RNG = np.random.default_rng(42)
X_train_full = RNG.integers(0, 256, (64, 28, 28)).astype(np.uint8)
y_train_full = RNG.integers(0, 10, 64)
X_train, X_valid = X_train_full[:48] / 255.0, X_train_full[48:] / 255.0
y_train, y_valid = y_train_full[:48], y_train_full[48:]
pixel_means, pixel_stds = X_train.mean(axis=0, keepdims=True), X_train.std(axis=0, keepdims=True)
X_train_scaled, X_valid_scaled = (X_train - pixel_means) / pixel_stds, (X_valid - pixel_means) / pixel_stds


def needs(name):
    """Leave a piece out until its part of the library is there."""
    owner = keras
    for part in name.split("."):
        owner = getattr(owner, part, None)
    return pytest.mark.skipif(owner is None, reason=f"{name} is not there yet")


@pytest.fixture(autouse=True)
def fresh():
    tf.random.set_seed(42)
    np.random.seed(42)  # noqa: NPY002  # as in the book; minidl does not use NumPy's global state
    keras.backend.clear_session()


def trains(model, x=X_train, y=y_train, loss="sparse_categorical_crossentropy", optimizer=None, **options):
    """Compile and fit a model as most of the chapter does."""
    optimizer = optimizer or keras.optimizers.SGD(learning_rate=1e-3)
    model.compile(loss=loss, optimizer=optimizer, metrics=["accuracy"])
    history = model.fit(x, y, epochs=1, validation_data=(X_valid, y_valid), verbose=0, **options)
    assert np.isfinite(history.history["loss"]).all()
    return history


class TestInitialization:
    def test_he(self):
        dense = keras.layers.Dense(10, activation="relu", kernel_initializer="he_normal")
        assert isinstance(dense.kernel_initializer, keras.initializers.HeNormal)

    def test_he_by_the_average_of_fans(self):
        init = keras.initializers.VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform")
        dense = keras.layers.Dense(10, activation="relu", kernel_initializer=init)
        dense.build((None, 20))
        assert np.abs(dense.kernel.numpy()).max() <= np.sqrt(3 * 2 / 15)

    def test_names_of_initializers(self):
        assert [name for name in dir(keras.initializers) if not name.startswith("_")]


class TestActivations:
    def test_names(self):
        assert "relu" in [name for name in dir(keras.activations) if not name.startswith("_")]
        assert "LeakyReLU" in [name for name in dir(keras.layers) if "relu" in name.lower()]

    @pytest.mark.parametrize("activation", [keras.layers.LeakyReLU, keras.layers.PReLU])
    def test_leaky_relu_as_a_layer_of_its_own(self, activation):
        model = keras.models.Sequential([
            keras.layers.Flatten(input_shape=[28, 28]),
            keras.layers.Dense(30, kernel_initializer="he_normal"),
            activation(),
            keras.layers.Dense(10, kernel_initializer="he_normal"),
            activation(),
            keras.layers.Dense(10, activation="softmax"),
        ])  # fmt: skip
        trains(model)

    def test_leaky_relu_inside_a_layer(self):
        leaky_relu = keras.layers.LeakyReLU(alpha=0.2)
        dense = keras.layers.Dense(50, activation=leaky_relu, kernel_initializer="he_normal")
        assert float(np.min(dense(np.ones((1, 784))))) < 0

    def test_leaky_relu_of_two_words(self):
        trains(keras.models.Sequential([
            keras.layers.Dense(10, activation=keras.layers.LeakyReLU(negative_slope=0.2)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]))  # fmt: skip

    def test_elu_and_selu(self):
        keras.layers.Dense(10, activation="elu")
        layer = keras.layers.Dense(10, activation="selu", kernel_initializer="lecun_normal")
        assert layer.activation is keras.activations.selu

    def test_a_hundred_layers_with_selu(self):
        model = keras.models.Sequential()
        model.add(keras.layers.Flatten(input_shape=[28, 28]))
        model.add(keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal"))
        for _ in range(99):
            model.add(keras.layers.Dense(10, activation="selu", kernel_initializer="lecun_normal"))
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile(
            loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.SGD(lr=1e-3), metrics=["accuracy"]
        )
        model.fit(X_train_scaled, y_train, epochs=1, validation_data=(X_valid_scaled, y_valid), verbose=0)
        assert len(model.layers) == 102

    def test_the_names_that_came_later(self):
        for name in ("gelu", "swish", "mish", "silu"):
            keras.layers.Dense(10, activation=name)


class TestBatchNormalization:
    def test_after_every_layer(self):
        model = keras.models.Sequential([
            keras.layers.Flatten(input_shape=[28, 28]),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(30, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(10, activation="softmax"),
        ])  # fmt: skip
        lines = []
        model.summary(print_fn=lines.append)
        assert "batch_normalization" in "\n".join(lines)
        bn1 = model.layers[1]
        assert [(var.name, var.trainable) for var in bn1.variables] == [
            ("gamma", True), ("beta", True), ("moving_mean", False), ("moving_variance", False),
        ]  # fmt: skip
        trains(model)

    def test_before_the_activation(self):
        model = keras.models.Sequential([
            keras.layers.Flatten(input_shape=[28, 28]),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(30, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Dense(10, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Dense(10, activation="softmax"),
        ])  # fmt: skip
        trains(model)


class TestGradientClipping:
    @pytest.mark.parametrize("how", [{"clipvalue": 1.0}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}])
    def test_in_the_optimizer(self, how):
        trains(small(), optimizer=keras.optimizers.SGD(**how))


def small(*layers, last="softmax"):
    return keras.models.Sequential(
        [keras.layers.Flatten(input_shape=[28, 28]), *layers, keras.layers.Dense(10, activation=last)]
    )


class TestTransferLearning:
    def split(self):
        is_sandal_or_shirt = (y_train == 5) | (y_train == 6)
        return X_train[~is_sandal_or_shirt], y_train[~is_sandal_or_shirt] % 8, X_train[:20], (y_train[:20] == 6) * 1.0

    def model_A(self):
        model = keras.models.Sequential()
        model.add(keras.layers.Flatten(input_shape=[28, 28]))
        for n_hidden in (30, 10):
            model.add(keras.layers.Dense(n_hidden, activation="selu"))
        model.add(keras.layers.Dense(8, activation="softmax"))
        x, y, _, _ = self.split()
        model.compile(
            loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.SGD(learning_rate=1e-3),
            metrics=["accuracy"],
        )  # fmt: skip
        model.fit(x, y, epochs=1, verbose=0)
        return model

    def test_layers_in_another_model_are_shared(self):
        model_A = self.model_A()
        model_B_on_A = keras.models.Sequential(model_A.layers[:-1])
        model_B_on_A.add(keras.layers.Dense(1, activation="sigmoid"))
        for layer in model_B_on_A.layers[:-1]:
            layer.trainable = False
        model_B_on_A.compile(
            loss="binary_crossentropy", optimizer=keras.optimizers.SGD(learning_rate=1e-3), metrics=["accuracy"]
        )
        _, _, X_train_B, y_train_B = self.split()
        before = model_A.layers[1].get_weights()[0]
        model_B_on_A.fit(X_train_B, y_train_B, epochs=1, verbose=0)
        np.testing.assert_array_equal(model_A.layers[1].get_weights()[0], before)
        for layer in model_B_on_A.layers[:-1]:
            layer.trainable = True
        model_B_on_A.compile(loss="binary_crossentropy", optimizer=keras.optimizers.SGD(lr=1e-4), metrics=["accuracy"])
        model_B_on_A.fit(X_train_B, y_train_B, epochs=1, verbose=0)
        assert (model_A.layers[1].get_weights()[0] != before).any()
        assert len(model_B_on_A.evaluate(X_train_B, y_train_B, verbose=0)) == 2

    @needs("models.clone_model")
    def test_a_clone_leaves_the_first_model_alone(self):
        model_A = self.model_A()
        model_A_clone = keras.models.clone_model(model_A)
        model_A_clone.set_weights(model_A.get_weights())
        np.testing.assert_array_equal(model_A_clone.predict(X_valid, verbose=0), model_A.predict(X_valid, verbose=0))

    def test_saved_and_loaded(self, tmp_path):
        model_A = self.model_A()
        model_A.save(tmp_path / "my_model_A.minidl")
        loaded = keras.models.load_model(tmp_path / "my_model_A.minidl")
        np.testing.assert_array_equal(loaded.predict(X_valid, verbose=0), model_A.predict(X_valid, verbose=0))


class TestOptimizers:
    @pytest.mark.parametrize(
        "optimizer",
        [
            keras.optimizers.SGD(learning_rate=0.001, momentum=0.9),
            keras.optimizers.SGD(learning_rate=0.001, momentum=0.9, nesterov=True),
            keras.optimizers.Adagrad(learning_rate=0.001),
            keras.optimizers.RMSprop(learning_rate=0.001, rho=0.9),
            keras.optimizers.Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
            keras.optimizers.Adamax(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
            keras.optimizers.Nadam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
            keras.optimizers.AdamW(weight_decay=1e-5, learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        ],
        ids=lambda optimizer: type(optimizer).__name__,
    )
    def test_all(self, optimizer):
        trains(small(), optimizer=optimizer)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        "make",
        [
            lambda: keras.optimizers.SGD(lr=0.001, momentum=0.9, nesterov=True),
            lambda: keras.optimizers.SGD(lr=0.001, decay=1e-4, nesterov=True, momentum=0.9, clipvalue=1.0),
            lambda: keras.optimizers.RMSprop(lr=0.001, rho=0.9),
            lambda: keras.optimizers.Adam(lr=0.001, beta_1=0.9, beta_2=0.999),
            lambda: keras.optimizers.legacy.Adam(learning_rate=0.001),
            lambda: "nadam",
        ],
    )
    def test_as_written_before(self, make):
        trains(small(), optimizer=make())


class TestSchedules:
    def test_power(self):
        optimizer = keras.optimizers.SGD(lr=0.01, decay=1e-4)
        trains(small(), optimizer=optimizer, batch_size=16)
        assert float(optimizer.learning_rate) == pytest.approx(0.01 / (1 + 3e-4))

    @needs("callbacks.LearningRateScheduler")
    def test_exponential_by_the_epoch(self):
        def exponential_decay(lr0, s):
            def exponential_decay_fn(epoch):
                return lr0 * 0.1 ** (epoch / s)

            return exponential_decay_fn

        lr_scheduler = keras.callbacks.LearningRateScheduler(exponential_decay(lr0=0.01, s=20))
        model = small()
        history = trains(model, callbacks=[lr_scheduler])
        assert len(history.epoch) == 1
        assert float(model.optimizer.learning_rate) == pytest.approx(0.01)

    @needs("callbacks.LearningRateScheduler")
    def test_exponential_from_the_rate_before(self):
        def exponential_decay_fn(epoch, lr):
            return lr * 0.1 ** (1 / 20)

        model = small()
        trains(model, callbacks=[keras.callbacks.LearningRateScheduler(exponential_decay_fn)])
        assert float(model.optimizer.learning_rate) == pytest.approx(1e-3 * 0.1 ** (1 / 20))

    def test_exponential_by_the_batch_in_a_callback(self):
        K = keras.backend

        class ExponentialDecay(keras.callbacks.Callback):
            def __init__(self, s=40000):
                super().__init__()
                self.s = s

            def on_batch_begin(self, batch, logs=None):
                lr = K.get_value(self.model.optimizer.lr)
                K.set_value(self.model.optimizer.lr, lr * 0.1 ** (1 / self.s))

            def on_epoch_end(self, epoch, logs=None):
                logs = logs or {}
                logs["lr"] = K.get_value(self.model.optimizer.lr)

        history = trains(small(), callbacks=[ExponentialDecay(s=3)], batch_size=16)
        assert history.history["lr"] == [pytest.approx(1e-4)]

    @needs("callbacks.LearningRateScheduler")
    def test_piecewise_constant(self):
        def piecewise_constant_fn(epoch):
            if epoch < 5:
                return 0.01
            return 0.005 if epoch < 15 else 0.001

        trains(small(), callbacks=[keras.callbacks.LearningRateScheduler(piecewise_constant_fn)])

    @needs("callbacks.ReduceLROnPlateau")
    def test_by_performance(self):
        lr_scheduler = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=5)
        trains(small(), callbacks=[lr_scheduler])

    @pytest.mark.parametrize(
        "schedule",
        [
            keras.optimizers.schedules.ExponentialDecay(0.01, 20, 0.1),
            keras.optimizers.schedules.ExponentialDecay(initial_learning_rate=0.01, decay_steps=20, decay_rate=0.1),
            keras.optimizers.schedules.PiecewiseConstantDecay(boundaries=[1, 2], values=[0.01, 0.005, 0.001]),
            keras.optimizers.schedules.InverseTimeDecay(0.01, decay_steps=10, decay_rate=1.0),
        ],
        ids=lambda schedule: type(schedule).__name__,
    )
    def test_as_objects(self, schedule):
        model = small()
        trains(model, optimizer=keras.optimizers.SGD(schedule), batch_size=16)
        assert float(model.optimizer.learning_rate) < 0.01

    def test_search_for_a_learning_rate_and_1cycle_in_the_books_own_callbacks(self):
        K = keras.backend

        class ExponentialLearningRate(keras.callbacks.Callback):
            def __init__(self, factor):
                self.factor = factor
                self.rates = []
                self.losses = []

            def on_batch_end(self, batch, logs):
                self.rates.append(K.get_value(self.model.optimizer.lr))
                self.losses.append(logs["loss"])
                K.set_value(self.model.optimizer.lr, self.model.optimizer.lr * self.factor)

        class OneCycleScheduler(keras.callbacks.Callback):
            def __init__(self, iterations, max_rate):
                self.iterations, self.max_rate, self.start_rate = iterations, max_rate, max_rate / 10
                self.half_iteration = iterations // 2
                self.iteration = 0

            def on_batch_begin(self, batch, logs):
                share = 1 - abs(self.iteration / self.half_iteration - 1)
                self.iteration += 1
                K.set_value(self.model.optimizer.lr, self.start_rate + share * (self.max_rate - self.start_rate))

        model = small()
        init_weights = model.get_weights()
        finds = ExponentialLearningRate(np.exp(np.log(10 / 1e-5) / 6))
        trains(model, optimizer=keras.optimizers.SGD(learning_rate=1e-5), callbacks=[finds], batch_size=8)
        np.testing.assert_allclose(finds.rates, 1e-5 * finds.factor ** np.arange(6), rtol=1e-6)
        model.set_weights(init_weights)
        trains(model, callbacks=[OneCycleScheduler(6, max_rate=0.05)], batch_size=8)


class TestRegularization:
    @needs("regularizers")
    def test_l2(self):
        layer = keras.layers.Dense(
            10, activation="elu", kernel_initializer="he_normal", kernel_regularizer=keras.regularizers.l2(0.01)
        )
        trains(small(layer))

    @needs("regularizers")
    def test_the_same_arguments_for_many_layers(self):
        RegularizedDense = partial(
            keras.layers.Dense, activation="elu", kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.l1_l2(0.1, 0.01),
        )  # fmt: skip
        trains(small(RegularizedDense(20), RegularizedDense(10)))

    def test_dropout(self):
        trains(keras.models.Sequential([
            keras.layers.Flatten(input_shape=[28, 28]),
            keras.layers.Dropout(rate=0.2),
            keras.layers.Dense(30, activation="elu", kernel_initializer="he_normal"),
            keras.layers.Dropout(rate=0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]))  # fmt: skip

    @needs("layers.AlphaDropout")
    def test_alpha_dropout(self):
        selu = partial(keras.layers.Dense, activation="selu", kernel_initializer="lecun_normal")
        model = small(keras.layers.AlphaDropout(rate=0.2), selu(30), keras.layers.AlphaDropout(rate=0.2))
        trains(model)

    def test_monte_carlo_dropout_by_calls(self):
        model = small(keras.layers.Dropout(rate=0.2))
        trains(model)
        y_probas = np.stack([model(X_valid, training=True) for sample in range(20)])
        y_proba, y_std = y_probas.mean(axis=0), y_probas.std(axis=0)
        assert y_proba.shape == y_std.shape == (16, 10)
        assert (y_std > 0).all()
        assert np.round(model.predict(X_valid[:1], verbose=0), 2).shape == (1, 10)
        assert 0 <= np.sum(np.argmax(y_proba, axis=1) == y_valid) / len(y_valid) <= 1

    def test_monte_carlo_dropout_by_a_layer(self):
        class MCDropout(keras.layers.Dropout):
            def call(self, inputs):
                return super().call(inputs, training=True)

        model = small(keras.layers.Dropout(0.2))
        mc_model = keras.models.Sequential([
            MCDropout(layer.rate) if isinstance(layer, keras.layers.Dropout) else layer for layer in model.layers
        ])  # fmt: skip
        mc_model.set_weights(model.get_weights())
        mc_model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
        samples = np.mean([mc_model.predict(X_valid[:1], verbose=0) for sample in range(10)], axis=0)
        assert samples.shape == (1, 10)
        assert (mc_model.predict(X_valid, verbose=0) != mc_model.predict(X_valid, verbose=0)).any()

    @needs("constraints")
    def test_max_norm(self):
        layer = keras.layers.Dense(
            10, activation="selu", kernel_initializer="lecun_normal",
            kernel_constraint=keras.constraints.max_norm(1.0),
        )  # fmt: skip
        trains(small(layer))
        assert np.linalg.norm(layer.get_weights()[0], axis=0).max() < 1.0001


class TestExercise:
    @needs("callbacks.EarlyStopping")
    def test_cifar10_with_early_stopping_and_checkpoints(self, tmp_path):
        X, y = RNG.integers(0, 256, (40, 32, 32, 3)).astype(np.uint8), RNG.integers(0, 10, (40, 1))
        model = keras.models.Sequential()
        model.add(keras.layers.Flatten(input_shape=[32, 32, 3]))
        for _ in range(20):
            model.add(keras.layers.Dense(10, activation="elu", kernel_initializer="he_normal"))
        model.add(keras.layers.Dense(10, activation="softmax"))
        optimizer = keras.optimizers.Nadam(lr=5e-5)
        model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
        early_stopping_cb = keras.callbacks.EarlyStopping(patience=20)
        path = str(tmp_path / "my_cifar10_model.minidl")
        model_checkpoint_cb = keras.callbacks.ModelCheckpoint(path, save_best_only=True)
        callbacks = [early_stopping_cb, model_checkpoint_cb]
        model.fit(X, y, epochs=2, validation_data=(X, y), callbacks=callbacks, verbose=0)
        model = keras.models.load_model(path)
        assert len(model.evaluate(X, y, verbose=0)) == 2


class TestOfOnesOwn:
    """The chapter after: losses, metrics, layers and models that a user writes."""

    def huber_fn(self, y_true, y_pred):
        error = y_true - y_pred
        is_small_error = tf.abs(error) < 1
        return tf.where(is_small_error, tf.square(error) / 2, tf.abs(error) - 0.5)

    def test_a_loss_function(self):
        model = keras.models.Sequential([keras.layers.Flatten(input_shape=[28, 28]), keras.layers.Dense(1)])
        model.compile(loss=self.huber_fn, optimizer="nadam", metrics=["mae", self.huber_fn])
        loss, _, huber = model.evaluate(X_train, y_train[:, None], verbose=0)
        assert loss == pytest.approx(huber, rel=1e-5)

    def test_a_loss_class(self):
        class HuberLoss(keras.losses.Loss):
            def __init__(self, threshold=1.0, **kwargs):
                self.threshold = threshold
                super().__init__(**kwargs)

            def call(self, y_true, y_pred):
                error = y_true - y_pred
                squared_loss = tf.square(error) / 2
                linear_loss = self.threshold * tf.abs(error) - self.threshold**2 / 2
                return tf.where(tf.abs(error) < self.threshold, squared_loss, linear_loss)

            def get_config(self):
                base_config = super().get_config()
                return {**base_config, "threshold": self.threshold}

        model = keras.models.Sequential([keras.layers.Flatten(input_shape=[28, 28]), keras.layers.Dense(1)])
        model.compile(loss=HuberLoss(2.0), optimizer="nadam", metrics=[keras.losses.Huber(2.0)])
        loss, huber = model.evaluate(X_train, y_train[:, None], batch_size=48, verbose=0)
        assert loss == pytest.approx(huber, rel=1e-5)

    def test_functions_for_activation_and_initializer(self):
        def my_softplus(z):
            return tf.math.log(1.0 + tf.exp(z))

        def my_glorot_initializer(shape, dtype=tf.float32):
            stddev = tf.sqrt(2.0 / (shape[0] + shape[1]))
            return tf.random.normal(shape, stddev=float(stddev), dtype=dtype)

        trains(small(keras.layers.Dense(20, activation=my_softplus, kernel_initializer=my_glorot_initializer)))

    def test_a_model_with_a_loop_of_its_own(self):
        model = small()
        loss_fn, optimizer = keras.losses.sparse_categorical_crossentropy, keras.optimizers.Nadam(learning_rate=0.01)
        mean_loss = keras.metrics.Mean()
        metrics = [keras.metrics.SparseCategoricalAccuracy()]
        for _ in range(3):
            with tf.GradientTape() as tape:
                y_pred = model(X_train, training=True)
                loss = tf.reduce_mean(loss_fn(y_train, y_pred))
            gradients = tape.gradient(loss, model.trainable_variables)
            gradients = [tf.clip_by_value(g, -1.0, 1.0) for g in gradients]
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            mean_loss(loss)
            for metric in metrics:
                metric(y_train, y_pred)
        assert float(mean_loss.result()) > 0
        for metric in [mean_loss, *metrics]:
            metric.reset_states()
