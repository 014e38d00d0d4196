"""Names that people have written since 2016: they work, or say what to write today."""

import warnings

import numpy as np
import pytest

import minidl as keras
import minidl.tf as tf
from minidl.errors import ArgumentError, MiniDLWarning, RemovedNameError, UnknownNameError

K = keras.backend
X = np.arange(12.0, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


def model(**compiled):
    keras.utils.set_random_seed(2)
    hidden, output = keras.layers.Dense(4, input_shape=[2]), keras.layers.Dense(2, activation="softmax")
    made = keras.models.Sequential([hidden, output])
    made.compile(**{"loss": "sparse_categorical_crossentropy", "optimizer": "sgd", **compiled})
    return made


class TestImports:
    def test_keras_is_in_every_place_it_was_imported_from(self):
        from minidl.tf import keras as from_tensorflow

        assert from_tensorflow is tf.keras is keras
        assert keras.tf is tf

    def test_of_single_names(self):
        from minidl.layers import BatchNormalization, Dense, LeakyReLU
        from minidl.losses import mean_squared_error, mse
        from minidl.models import Model, Sequential

        assert all((BatchNormalization, Dense, LeakyReLU, Model, Sequential))
        assert mse is mean_squared_error


class TestWarnings:
    @pytest.mark.parametrize(
        ("use", "old", "new"),
        [
            (lambda: keras.optimizers.SGD(lr=0.1), r"SGD\(lr=…\)", "learning_rate=…"),
            (lambda: keras.optimizers.SGD(0.1, decay=0.1), r"SGD\(decay=…\)", r"InverseTimeDecay\("),
            (lambda: keras.optimizers.Adam().lr, r"Adam\.lr", "learning_rate"),
            (lambda: keras.optimizers.legacy.Adam, r"optimizers\.legacy\.Adam", r"optimizers\.Adam"),
            (lambda: keras.layers.LeakyReLU(alpha=0.2), r"LeakyReLU\(alpha=…\)", r"LeakyReLU\(negative_slope=…\)"),
            (lambda: keras.layers.InputLayer(input_shape=[2]), r"\(input_shape=…\)", r"InputLayer\(shape=…\)"),
            (lambda: keras.layers.InputLayer(batch_input_shape=[None, 2]), r"batch_input", r"\(batch_shape=…\)"),
            (lambda: keras.metrics.Mean().reset_states(), "reset_states", r"reset_state\(\)"),
            (lambda: keras.layers.Layer().add_weight("w", (2, 3)), r"add_weight\('w', shape\)", r"shape, name='w'\)"),
            (lambda: model().fit(X, Y, nb_epoch=1, verbose=0), r"fit\(nb_epoch=…\)", r"fit\(epochs=…\)"),
            (lambda: model().fit(X, Y, workers=4, verbose=0), r"fit\(workers=…\)", "left out"),
            (lambda: model(metrics="accuracy"), 'metrics="accuracy"', r'metrics=\["accuracy"\]'),
            (lambda: model().compile("sgd", "mse", ["mae"]), "metrics as third argument", "metrics=…"),
            (lambda: keras.losses.Huber(reduction="auto"), 'reduction="auto"', 'reduction="sum_over_batch_size"'),
            (lambda: K.square(X), r"backend\.square", r"ops\.square"),
            (lambda: K.get_value(keras.Variable(1.0)), r"backend\.get_value\(x\)", r"x\.numpy\(\)"),
            (lambda: K.set_value(keras.Variable(1.0), 2.0), r"backend\.set_value", r"x\.assign\(value\)"),
            (lambda: K.variable([1.0]), r"backend\.variable", r"keras\.Variable"),
        ],
    )
    def test_name_the_new_spelling_and_this_line(self, use, old, new):
        message = rf"{old}.* is an old spelling, which works; today it is .*{new}"
        with pytest.warns(MiniDLWarning, match=message) as caught:
            use()
        assert [warning.filename for warning in caught] == [__file__]

    def test_come_once_for_each_line(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for _ in range(3):
                keras.optimizers.SGD(lr=0.1)
            keras.optimizers.SGD(lr=0.1)
        assert len({warning.lineno for warning in caught}) == len(caught) == 2

    def test_of_a_subclass_name_the_line_that_made_it(self):
        class Leaky(keras.layers.LeakyReLU):
            def __init__(self):
                super().__init__(alpha=0.1)

        with pytest.warns(MiniDLWarning) as caught:
            Leaky()
        assert caught[0].filename == __file__


class TestBackend:
    def test_settings(self):
        assert (K.epsilon(), K.floatx(), K.backend()) == (1e-7, "float32", "numpy")
        assert K.image_data_format() == "channels_last"
        K.set_image_data_format("channels_last")
        with pytest.raises(ArgumentError, match="'channels_last', got 'channels_first': give layers data_format="):
            K.set_image_data_format("channels_first")

    def test_clear_session(self):
        K.clear_session()
        first = keras.layers.Dense(1).name
        keras.layers.Dense(1)
        keras.backend.clear_session()
        assert keras.layers.Dense(1).name == first == "dense"

    @pytest.mark.filterwarnings("ignore:.*old spelling:minidl.errors.MiniDLWarning")
    def test_a_callback_that_changes_the_learning_rate(self):
        """As in the book's search for a learning rate: what was read must not change with what is assigned."""

        class Grows(keras.callbacks.Callback):
            def on_train_begin(self, logs=None):
                self.rates = []

            def on_batch_end(self, batch, logs=None):
                self.rates.append(K.get_value(self.model.optimizer.lr))
                K.set_value(self.model.optimizer.lr, self.model.optimizer.lr * 2)

        grows = Grows()
        model(optimizer=keras.optimizers.SGD(0.001)).fit(X, Y, batch_size=2, verbose=0, callbacks=[grows])
        np.testing.assert_allclose(grows.rates, [0.001, 0.002, 0.004])

    @pytest.mark.filterwarnings("ignore:.*old spelling:minidl.errors.MiniDLWarning")
    def test_functions_on_tensors_are_those_of_ops(self):
        np.testing.assert_array_equal(K.mean(K.square(X), axis=-1), (X**2).mean(-1))
        assert float(K.sqrt(K.sum(K.abs(X)))) == pytest.approx(np.sqrt(66))
        for name in K._IN_OPS:
            assert callable(getattr(K, name)), name
        with pytest.raises(ArgumentError, match="set_value: expected a variable, got 3"):
            K.set_value(3, 4)


class TestWhatIsGone:
    @pytest.mark.parametrize(
        ("use", "message"),
        [
            (lambda: K.learning_phase(), r"no 'learning_phase' any more: call .* with training=True"),
            (lambda: K.function([], []), r"no 'function' any more: .* keras\.Model\(inputs, outputs\)"),
            (lambda: keras.wrappers, "keras has no 'wrappers' any more: .* scikeras"),
            (lambda: keras.preprocessing.image, r"'preprocessing' any more: see keras\.layers"),
            (lambda: model().fit_generator(None), r"no 'fit_generator' any more: fit\(x, y\) takes arrays"),
            (lambda: model().predict_classes(X), r"more: np\.argmax\(model\.predict\(x\), axis=-1\)"),
            (lambda: model().predict_proba(X), "predict_proba"),
            (lambda: tf.Session(), "tf has no 'Session' any more: TensorFlow 1 built graphs"),
            (lambda: tf.layers.dense, r"tf has no 'layers' any more: .*keras\.layers"),
        ],
    )
    def test_says_what_to_use(self, use, message):
        with pytest.raises(RemovedNameError, match=message):
            use()

    @pytest.mark.parametrize("owner", [keras, K, tf, keras.optimizers.legacy, keras.Sequential()])
    def test_what_never_was_is_an_attribute_error_as_everywhere(self, owner):
        assert not hasattr(owner, "never_was")
        with pytest.raises(AttributeError, match="has no attribute 'never_was'"):
            owner.never_was


class TestTensorFlow:
    def test_names_of_operations(self):
        np.testing.assert_array_equal(tf.constant([1, 2]), [1, 2])
        np.testing.assert_array_equal(tf.concat([X, X], axis=0), np.concatenate([X, X]))
        np.testing.assert_array_equal(tf.argmax(X), [5, 5])
        np.testing.assert_array_equal(tf.argmin(X, axis=1), np.zeros(6))
        np.testing.assert_array_equal(tf.clip_by_value(X, 1.0, 3.0), X.clip(1, 3))
        np.testing.assert_array_equal(tf.one_hot([1], 3), [[0, 1, 0]])
        assert tf.cast(tf.constant(1.5), tf.int32).dtype == "int32"
        assert int(tf.size(X)) == 12
        assert float(tf.reduce_mean(X)) == float(tf.math.reduce_mean(X)) == 5.5
        assert float(tf.math.log(tf.exp(1.0))) == pytest.approx(1)
        assert float(tf.nn.relu(-1.0)) == 0
        assert float(tf.linalg.global_norm([X, X])) == pytest.approx(np.sqrt(2) * float(tf.linalg.norm(X)))

    def test_random(self):
        tf.random.set_seed(42)
        first = tf.random.normal([3, 2], stddev=2.0)
        tf.random.set_seed(42)
        np.testing.assert_array_equal(first, tf.random.normal([3, 2], stddev=2.0))
        assert first.dtype == "float32"
        assert float(tf.reduce_min(tf.random.uniform([50], 1.0, 2.0, seed=1))) >= 1

    def test_a_loop_of_ones_own(self):
        """Chapter 12's custom training loop."""
        network = tf.keras.Sequential([tf.keras.layers.Dense(2)])
        optimizer, loss_fn = tf.keras.optimizers.SGD(learning_rate=0.01), tf.keras.losses.MeanSquaredError()
        losses = []

        @tf.function
        def train(x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(loss_fn(y, network(x, training=True)))
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
            return loss

        for _ in range(10):
            losses.append(float(train(X / 10, X)))
        assert losses[-1] < losses[0]


class TestWays:
    @pytest.mark.filterwarnings("ignore:.*old spelling:minidl.errors.MiniDLWarning")
    def test_to_count_epochs(self):
        assert model().fit(X, Y, nb_epoch=3, verbose=0).epoch == [0, 1, 2]

    @pytest.mark.filterwarnings("ignore:.*old spelling:minidl.errors.MiniDLWarning")
    def test_to_make_weights_by_name(self):
        """The order of Keras 2: name, shape, dtype, initializer."""
        layer = keras.layers.Layer()
        weight = layer.add_weight("scale", [2, 3], "float64", "ones", trainable=False)
        assert (weight.name, weight.dtype, weight.trainable) == ("scale", np.float64, False)
        np.testing.assert_array_equal(weight, np.ones((2, 3)))
        assert layer.add_weight("w", shape=(4, 1), initializer="zeros").shape == (4, 1)

    """Losses, metrics, initializers and optimizers by class, by function and by string, in all spellings."""

    @pytest.mark.parametrize(
        "spelling",
        [
            "mse", "MSE", "mean_squared_error", "MeanSquaredError", keras.losses.mse, keras.losses.MSE,
            keras.losses.mean_squared_error, keras.losses.MeanSquaredError, keras.losses.MeanSquaredError(),
        ],
    )  # fmt: skip
    def test_losses(self, spelling):
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
        made.compile(loss=spelling, optimizer="sgd")
        assert made.evaluate(X, np.zeros(6), verbose=0) == pytest.approx((X.sum(1) ** 2).mean())

    @pytest.mark.parametrize(
        ("spelling", "name"),
        [
            ("mae", "mae"), ("MAE", "MAE"), ("mean_absolute_error", "mean_absolute_error"),
            (keras.metrics.mae, "mean_absolute_error"), (keras.metrics.mean_absolute_error, "mean_absolute_error"),
            (keras.losses.mae, "mean_absolute_error"), (keras.metrics.MeanAbsoluteError(), "mean_absolute_error"),
            (keras.metrics.MeanAbsoluteError(name="error"), "error"),
        ],
    )  # fmt: skip
    def test_metrics(self, spelling, name):
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
        made.compile(loss="mse", optimizer="sgd", metrics=[spelling])
        assert made.evaluate(X, np.zeros(6), verbose=0, return_dict=True)[name] == pytest.approx(X.sum(1).mean())

    @pytest.mark.parametrize(
        "spelling",
        [
            "he_normal", "HeNormal", keras.initializers.he_normal(), keras.initializers.HeNormal(),
            keras.initializers.HeNormal, keras.initializers.he_normal(seed=3),
            keras.initializers.VarianceScaling(scale=2.0, mode="fan_in", distribution="normal"),
            keras.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal"),
        ],
    )  # fmt: skip
    def test_initializers(self, spelling):
        dense = keras.layers.Dense(300, kernel_initializer=spelling)
        dense.build((None, 200))
        # Of 60,000 numbers: the standard deviation is within 1 % (3.5 σ).
        assert dense.kernel.numpy().std() == pytest.approx(0.1, rel=0.01)

    @pytest.mark.parametrize("spelling", ["nadam", "Nadam", keras.optimizers.Nadam, keras.optimizers.Nadam()])
    def test_optimizers(self, spelling):
        assert type(model(optimizer=spelling).optimizer) is keras.optimizers.Nadam

    @pytest.mark.parametrize("spelling", ["selu", keras.activations.selu, keras.layers.Activation("selu")])
    def test_activations(self, spelling):
        layer = keras.layers.Activation(spelling)
        np.testing.assert_array_equal(layer(X - 5), keras.activations.selu(X - 5))

    def test_compile_in_keras_3s_order(self):
        made = keras.Model(inputs := keras.Input((2,)), [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])
        made.compile("sgd", ["mse", "mse"], [1.0, 0.0], [["mae"], []], None, True, 1, False, True)
        assert made.objective.weights == [1.0, 0.0]
        assert made.run_eagerly


class TestTypos:
    def test_of_arguments_of_fit(self):
        with pytest.raises(TypeError, match=r"fit\(\) got an unexpected keyword argument 'epoch'"):
            model().fit(X, Y, epoch=3)

    @pytest.mark.parametrize(
        ("use", "message"),
        [
            (lambda: model(loss="sparse_categorical_crosentropy"), "did you mean 'sparse_categorical_crossentropy'"),
            (lambda: model(loss="meansquarederror"), "did you mean 'MeanSquaredError'"),
            (lambda: model(optimizer="Adaam"), "did you mean 'adam"),
            (lambda: model(metrics=["acuracy"]), "did you mean 'accuracy'"),
            (lambda: keras.layers.Dense(2, activation="reLu"), "did you mean 'relu"),
            (lambda: keras.layers.Dense(2, kernel_initializer="he-normal"), "did you mean .*'he_normal'"),
            (lambda: keras.layers.Dense(2, activaton="relu"), "argument of Dense 'activaton': did you mean 'activ"),
            (lambda: keras.optimizers.SGD(momentun=0.9), "argument of SGD 'momentun': did you mean 'momentum'"),
            (lambda: model().get_layer("dens"), "did you mean 'dense"),
        ],
    )
    def test_get_the_nearest_names(self, use, message):
        with pytest.raises(UnknownNameError, match=message):
            use()

    @pytest.mark.parametrize(
        ("use", "message"),
        [
            (lambda: model(optimizer=0.01), "expected an optimizer: a name such as 'adam'.* got 0.01"),
            (lambda: model(loss=X), "expected a loss: a name such as 'mse'"),
            (lambda: model(metrics=[0.5]), "expected a name, a metric or its class, or a function .*got 0.5"),
            (lambda: keras.Sequential([keras.layers.Dense]), r"expected a layer, got .*: write Dense\(…\)"),
            (lambda: model().fit(X, Y, callbacks=[keras.callbacks.History]), "got .*make an instance"),
            (lambda: model().fit(X, Y[:5], verbose=0), "x has 6 samples but y has 5"),
        ],
    )
    def test_of_type_say_what_was_expected(self, use, message):
        with pytest.raises(ValueError, match=message):
            use()
