"""`import minidl as keras`: the names that code written for Keras 3 uses, and what users write themselves."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl import ops

PACKAGES = [
    "minidl",
    *(f"minidl.{module.name}" for module in pkgutil.iter_modules(keras.__path__) if module.ispkg),
]


def public(package):
    """The names that a package offers: its `__all__`, or all without an underscore."""
    module = importlib.import_module(package)
    return getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])


class TestNames:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_everything_in_all_exists_and_says_what_it_is(self, package):
        module = importlib.import_module(package)
        assert module.__doc__
        assert len(set(public(package))) == len(public(package))
        for name in public(package):
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing):
                assert (thing.__doc__ or "").strip(), f"{package}.{name} has no docstring"

    @pytest.mark.parametrize("package", PACKAGES)
    def test_a_star_import_gives_them_all(self, package):
        namespace = {}
        exec(f"from {package} import *", namespace)
        assert set(public(package)) <= set(namespace)

    @pytest.mark.parametrize("package", PACKAGES)
    def test_public_classes_document_their_public_methods(self, package):
        module = importlib.import_module(package)
        for name in public(package):
            thing = getattr(module, name)
            if inspect.isclass(thing):
                for method, value in vars(thing).items():
                    if not method.startswith("_") and (inspect.isroutine(value) or isinstance(value, property)):
                        assert inspect.getdoc(getattr(thing, method)), f"{package}.{name}.{method} has no docstring"

    @pytest.mark.parametrize(
        "name",
        [
            "GradientTape", "Initializer", "Input", "KerasTensor", "Layer", "Loss", "Metric", "Model", "Optimizer",
            "Sequential", "Tensor", "Variable", "__version__",
            "activations.relu", "activations.elu", "activations.selu", "activations.leaky_relu", "activations.get",
            "callbacks.Callback", "callbacks.History",
            "callbacks.CSVLogger", "callbacks.EarlyStopping", "callbacks.LambdaCallback", "callbacks.TensorBoard",
            "callbacks.LearningRateScheduler", "callbacks.ModelCheckpoint", "callbacks.ReduceLROnPlateau",
            "callbacks.TerminateOnNaN",
            "config.floatx", "config.set_floatx", "config.epsilon",
            "constraints.Constraint", "constraints.MaxNorm", "constraints.MinMaxNorm", "constraints.NonNeg",
            "constraints.UnitNorm", "constraints.get", "constraints.max_norm", "constraints.min_max_norm",
            "constraints.non_neg", "constraints.unit_norm",
            "regularizers.L1", "regularizers.L1L2", "regularizers.L2", "regularizers.OrthogonalRegularizer",
            "regularizers.Regularizer", "regularizers.get", "regularizers.l1", "regularizers.l1_l2", "regularizers.l2",
            "regularizers.orthogonal_regularizer", "Regularizer", "layers.ActivityRegularization",
            "datasets.fashion_mnist.load_data", "datasets.mnist.load_data", "datasets.cifar10.load_data",
            "initializers.HeNormal", "initializers.he_normal", "initializers.VarianceScaling", "initializers.get",
            "layers.Add", "layers.Average", "layers.Concatenate", "layers.Multiply", "layers.concatenate",
            "layers.Activation", "layers.BatchNormalization", "layers.Conv1D", "layers.Conv2D",
            "layers.Conv2DTranspose", "layers.Convolution2D", "layers.DepthwiseConv2D", "layers.SeparableConv2D",
            "layers.Dense", "layers.Dropout", "layers.ELU",
            "layers.Flatten", "layers.Input", "layers.InputLayer", "layers.Layer", "layers.LeakyReLU", "layers.PReLU",
            "layers.AveragePooling2D", "layers.GlobalAvgPool2D", "layers.GroupNormalization", "layers.MaxPool2D",
            "layers.MaxPooling2D", "layers.Permute", "layers.RepeatVector", "layers.UpSampling2D",
            "layers.ZeroPadding2D", "layers.Cropping2D", "layers.ReLU", "layers.Reshape", "layers.Softmax",
            "losses.BinaryCrossentropy", "losses.CategoricalCrossentropy", "losses.Huber", "losses.MeanSquaredError",
            "losses.SparseCategoricalCrossentropy", "losses.KLDivergence", "losses.LogCosh", "losses.Hinge",
            "losses.Loss", "losses.get", "losses.mean_squared_error",
            "metrics.AUC", "metrics.Mean", "metrics.Metric", "metrics.Precision", "metrics.Recall",
            "metrics.SparseCategoricalAccuracy", "metrics.TopKCategoricalAccuracy",
            "models.Functional", "models.Model", "models.Sequential", "models.load_model",
            "ops.matmul", "ops.conv", "ops.conv_transpose", "ops.depthwise_conv", "ops.separable_conv",
            "ops.relu", "ops.logsumexp", "ops.mean", "ops.convert_to_tensor",
            "optimizers.SGD", "optimizers.Adagrad", "optimizers.RMSprop", "optimizers.Adam", "optimizers.AdamW",
            "optimizers.Adamax", "optimizers.Nadam", "optimizers.schedules.ExponentialDecay", "optimizers.get",
            "random.set_random_seed", "utils.set_random_seed", "utils.to_categorical", "utils.clear_session",
        ],
    )  # fmt: skip
    def test_of_keras_are_where_keras_has_them(self, name):
        thing = keras
        for part in name.split("."):
            thing = getattr(thing, part)
        assert thing is not None

    def test_that_appear_twice_are_one_thing(self):
        assert keras.Sequential is keras.models.Sequential
        assert keras.Model is keras.models.Model
        assert keras.Layer is keras.layers.Layer
        assert keras.Input is keras.layers.Input
        assert keras.Loss is keras.losses.Loss
        assert keras.Metric is keras.metrics.Metric
        assert keras.Optimizer is keras.optimizers.Optimizer
        assert keras.Initializer is keras.initializers.Initializer
        assert keras.Regularizer is keras.regularizers.Regularizer

    def test_import_works_as_people_write_it(self):
        from minidl.datasets import fashion_mnist
        from minidl.layers import Dense
        from minidl.models import Sequential
        from minidl.optimizers import Adam

        assert all((fashion_mnist, Dense, Sequential, Adam))


class TestImport:
    def run(self, code):
        root = Path(__file__).parents[1]
        subprocess.run([sys.executable, "-W", "error", "-c", f"import sys; {code}"], check=True, cwd=root)

    def test_needs_nothing_slow_and_nothing_optional(self):
        """SciPy and tqdm are imported where they are used; matplotlib and Hypothesis may not be installed."""
        slow = ["scipy", "tqdm", "matplotlib", "hypothesis", "urllib.request", "keras", "torch"]
        self.run(f"import minidl; found = [name for name in {slow} if name in sys.modules]; assert not found, found")

    def test_of_the_command_line_too(self):
        self.run("import minidl.cli; assert not {'scipy', 'matplotlib'} & set(sys.modules)")

    def test_does_not_touch_numpys_error_handling_or_warnings(self):
        self.run(
            "import numpy, warnings; before = numpy.geterr(), list(warnings.filters); import minidl; "
            "assert (numpy.geterr(), list(warnings.filters)) == before"
        )


@pytest.fixture
def problem():
    """A separable problem: 60 points in the plane, of three classes."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 60)
    centers = np.array([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    return (centers[y] + 0.3 * rng.standard_normal((60, 2))).astype(np.float32), y


@pytest.fixture
def network():
    keras.utils.set_random_seed(1)
    return keras.Sequential([
        keras.Input((2,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip


class TestLoopsOfOnesOwn:
    def test_with_a_tape(self, network, problem):
        """As in "Custom training loops" of Keras: loss, metrics, gradients, update."""
        x, y = problem
        optimizer = keras.optimizers.SGD(learning_rate=0.1, momentum=0.9)
        loss_fn = keras.losses.SparseCategoricalCrossentropy()
        mean_loss, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
        losses = []
        for _ in range(20):
            for start in range(0, 60, 20):
                batch = slice(start, start + 20)
                with keras.GradientTape() as tape:
                    y_pred = network(x[batch], training=True)
                    loss = loss_fn(y[batch], y_pred)
                gradients = tape.gradient(loss, network.trainable_variables)
                optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
                mean_loss.update_state(loss)
                accuracy.update_state(y[batch], y_pred)
            losses.append(float(mean_loss.result()))
            result = float(accuracy.result())
            mean_loss.reset_state()
            accuracy.reset_state()
        assert losses[-1] < 0.1 * losses[0]
        assert result > 0.95

    def test_with_backward(self, network, problem):
        x, y = problem
        optimizer = keras.optimizers.Adam(0.02)
        losses = []
        for _ in range(30):
            for variable in network.trainable_variables:
                variable.grad = None
            loss = keras.losses.SparseCategoricalCrossentropy()(y, network(x, training=True))
            loss.backward()
            optimizer.apply([v.grad for v in network.trainable_variables], network.trainable_variables)
            losses.append(loss.item())
        assert losses[-1] < 0.3 * losses[0]

    def test_with_value_and_grad_of_a_function_of_arrays(self, problem):
        x, y = problem

        def loss(w, b):
            return ops.mean(keras.losses.sparse_categorical_crossentropy(y, x @ w + b, from_logits=True))

        w, b = np.zeros((2, 3)), np.zeros(3)
        step = keras.value_and_grad(loss, argnums=(0, 1))
        losses = []
        for _ in range(30):
            value, (dw, db) = step(w, b)
            w, b = w - 0.5 * np.asarray(dw), b - 0.5 * np.asarray(db)
            losses.append(float(value))
        assert losses[0] == pytest.approx(np.log(3))
        assert losses[-1] < 0.1

    def test_gives_what_fit_gives(self, problem):
        """A batch of all samples: three loops, one result."""
        x, y = problem

        def make():
            keras.utils.set_random_seed(1)
            return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])

        fitted, taped = make(), make()
        fitted.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        fitted.fit(x, y, batch_size=60, epochs=5, shuffle=False, verbose=0)
        optimizer = keras.optimizers.SGD(0.1)
        for _ in range(5):
            with keras.GradientTape() as tape:
                loss = keras.losses.SparseCategoricalCrossentropy()(y, taped(x, training=True))
            gradients = tape.gradient(loss, taped.trainable_variables)
            optimizer.apply_gradients(zip(gradients, taped.trainable_variables, strict=True))
        for a, b in zip(fitted.get_weights(), taped.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


class TestThingsOfOnesOwn:
    """Written as for Keras 3, with `keras.ops` for the mathematics."""

    def test_loss_as_a_function(self, network, problem):
        def focal(y_true, y_pred):
            p = ops.sum(ops.one_hot(ops.cast(y_true, "int64"), 3) * y_pred, axis=-1)
            return -((1 - p) ** 2) * ops.log(p)

        x, y = problem
        network.compile("adam", focal, metrics=["accuracy"])
        history = network.fit(x, y, epochs=30, verbose=0).history
        assert history["loss"][-1] < 0.7 * history["loss"][0]

    def test_loss_as_a_class(self, problem):
        class HuberLoss(keras.losses.Loss):
            def __init__(self, threshold=1.0, **kwargs):
                super().__init__(**kwargs)
                self.threshold = threshold

            def call(self, y_true, y_pred):
                error = y_true - y_pred
                small = ops.abs(error) < self.threshold
                return ops.where(small, ops.square(error) / 2, self.threshold * (ops.abs(error) - self.threshold / 2))

        x, _ = problem
        y = x[:, :1] * 3
        model = keras.Sequential([keras.layers.Dense(1)])
        reference = lambda y_true, y_pred: keras.losses.huber(y_true, y_pred, delta=2.0)  # noqa: E731
        model.compile(keras.optimizers.SGD(0.1), HuberLoss(2.0), metrics=[reference])
        numbers = model.evaluate(x, y, verbose=0)
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-5)
        assert model.fit(x, y, epochs=10, verbose=0).history["loss"][-1] < 0.1 * numbers[0]
        assert HuberLoss.from_config(HuberLoss(2.0).get_config()).threshold == 2.0

    def test_metric_as_a_class(self, network, problem):
        class Errors(keras.metrics.Metric):
            def __init__(self, name="errors", **kwargs):
                super().__init__(name=name, **kwargs)
                self.reset_state()

            def reset_state(self):
                self.count = 0

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.count += int(np.sum(np.argmax(y_pred, axis=-1) != y_true))

            def result(self):
                return self.count

        x, y = problem
        network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy", Errors()])
        _, accuracy, errors = network.evaluate(x, y, batch_size=7, verbose=0)
        assert errors == round((1 - accuracy) * 60)

    def test_layer(self, problem):
        class MyDense(keras.layers.Layer):
            def __init__(self, units, activation=None, **kwargs):
                super().__init__(**kwargs)
                self.units = units
                self.activation = keras.activations.get(activation)

            def build(self, batch_input_shape):
                self.kernel = self.add_weight(
                    name="kernel", shape=[batch_input_shape[-1], self.units], initializer="he_normal"
                )
                self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zeros")

            def call(self, x):
                return self.activation(x @ self.kernel + self.bias)

        class AddGaussianNoise(keras.layers.Layer):
            def __init__(self, stddev, **kwargs):
                super().__init__(**kwargs)
                self.stddev = stddev
                self.generator = np.random.default_rng(1)

            def call(self, x, training=False):
                if training:
                    return x + self.generator.normal(0, self.stddev, x.shape).astype("float32")
                return x

        x, y = problem
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((2,)), AddGaussianNoise(0.1), MyDense(16, "relu"), MyDense(3, "softmax")])
        assert model.output_shape == (None, 3)
        assert [(v.name, v.trainable) for v in model.layers[1].variables] == [("kernel", True), ("bias", True)]
        model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=60, verbose=0)
        assert model.evaluate(x, y, verbose=0)[1] > 0.9
        assert (model.predict(x, verbose=0) == model.predict(x, verbose=0)).all()

    def test_callback(self, network, problem):
        """Find a learning rate: let it grow with every batch and write the loss down."""

        class ExponentialLearningRate(keras.callbacks.Callback):
            def __init__(self, factor):
                self.factor = factor
                self.rates = []
                self.losses = []

            def on_batch_end(self, batch, logs=None):
                rate = self.model.optimizer.learning_rate.numpy() * self.factor
                self.model.optimizer.learning_rate = rate
                self.rates.append(rate)
                self.losses.append(logs["loss"])

        x, y = problem
        network.compile(keras.optimizers.SGD(learning_rate=1e-3), "sparse_categorical_crossentropy")
        finder = ExponentialLearningRate(factor=2)
        network.fit(x, y, batch_size=10, callbacks=[finder], verbose=0)
        assert finder.rates == pytest.approx([1e-3 * 2**k for k in range(1, 7)])
        assert len(finder.losses) == 6
        assert float(network.optimizer.learning_rate) == pytest.approx(0.064)

    def test_initializer(self):
        class Gray(keras.initializers.Initializer):
            def __init__(self, value):
                self.value = value

            def __call__(self, shape, dtype=None):
                return ops.full(shape, self.value, dtype)

        def by_hand(shape, dtype=None):
            return np.full(shape, 0.25, dtype)

        layer = keras.layers.Dense(3, kernel_initializer=Gray(0.5), bias_initializer=by_hand)
        layer.build((None, 2))
        assert (layer.kernel.numpy() == 0.5).all()
        assert (layer.bias.numpy() == 0.25).all()
        assert layer.kernel.dtype == np.float32

    def test_activation(self):
        def my_softplus(z):
            return ops.log(1.0 + ops.exp(z))

        layer = keras.layers.Dense(4, activation=my_softplus, kernel_initializer="ones")
        np.testing.assert_allclose(layer(np.zeros((1, 2), "float32")), np.full((1, 4), np.log(2)), rtol=1e-6)

    def test_model(self, problem):
        """Two towers that meet: no Sequential could."""

        class Towers(keras.Model):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.left = keras.layers.Dense(units, activation="tanh")
                self.right = keras.layers.Dense(units, activation="relu")
                self.out = keras.layers.Dense(3, activation="softmax")

            def call(self, inputs):
                return self.out(ops.concatenate([self.left(inputs), self.right(inputs)], axis=-1))

        x, y = problem
        model = Towers(4, name="towers")
        model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=20, validation_split=0.2, verbose=0)
        assert model.evaluate(x, y, verbose=0)[1] > 0.9
        assert [layer.name for layer in model.layers] == [model.left.name, model.right.name, model.out.name]
        assert model.count_params() == 2 * 12 + 27
