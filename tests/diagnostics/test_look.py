"""One look at networks that are built to vanish, explode and die, and at healthy ones: what is seen and said."""

import numpy as np
import pytest

import minidl as keras
from minidl import layers, ops
from minidl.diagnostics import diagnose
from minidl.errors import NotCompiledError, ShapeError

FEATURES, CLASSES = 30, 3


@pytest.fixture
def data():
    """256 samples of three classes."""
    x = np.random.default_rng(0).standard_normal((256, FEATURES)).astype(np.float32)
    return x, x[:, :CLASSES].argmax(axis=1)


def deep(depth, activation, initializer="glorot_uniform", normalized=False, units=50, bias="zeros"):
    """A compiled network of `depth` hidden layers."""
    keras.utils.set_random_seed(1)
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((FEATURES,))])
    for _ in range(depth):
        model.add(layers.Dense(units, kernel_initializer=initializer, bias_initializer=bias))
        if normalized:
            model.add(layers.BatchNormalization())
        model.add(layers.Activation(activation))
    model.add(layers.Dense(CLASSES, activation="softmax"))
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    return model


def normal(stddev):
    return keras.initializers.RandomNormal(stddev=stddev)


class TestVerdictOnSickNetworks:
    def test_sigmoid_as_it_was_initialized_of_old(self, data):
        """Weights from N(0, 1): the sums of 300 of them are far out on the flat sides."""
        verdict = diagnose(deep(20, "sigmoid", normal(1.0), units=300), *data).verdict()
        assert verdict.startswith("layers 2–40 (activation … activation_19): sigmoid saturated in 80%: try Glorot")

    def test_sigmoid_with_glorot_initialization(self, data):
        """The slope is at most 1/4: every layer takes away three quarters of the gradient and more."""
        look = diagnose(deep(20, "sigmoid"), *data)
        assert look.verdict().startswith("layers 1–31 (dense … dense_15): gradients vanish, down to 2e-13 of the last")
        assert "try He initialization and ELU, or batch normalization" in look.verdict()
        gradients = [layer.gradient for layer in look.layers if layer.gradient is not None]
        assert gradients == sorted(gradients)

    def test_gradients_that_vanish_because_of_saturation(self, data):
        """Large weights in the lower half saturate it; small ones above let next to nothing through."""
        model = deep(12, "sigmoid", units=100)
        for layer in model.layers[:12:2]:
            layer.kernel.assign(np.random.default_rng(1).normal(0, 3, layer.kernel.shape))
        verdict = diagnose(model, *data).verdict()
        assert "gradients vanish" in verdict
        assert "; sigmoid saturated in 90%: try" in verdict
        assert len(verdict.splitlines()) == 1

    def test_relu_with_small_weights(self, data):
        verdict = diagnose(deep(20, "relu", normal(0.01)), *data).verdict()
        assert "gradients vanish" in verdict
        assert "outputs vanish, down to" in verdict
        assert "saturated" not in verdict

    def test_relu_with_large_weights(self, data):
        verdict = diagnose(deep(20, "relu", normal(1.0)), *data).verdict()
        assert "outputs explode, up to 4e+12 times the first layer's: try He initialization" in verdict

    def test_gradients_that_explode(self, data):
        """Outputs of tanh stay within ±1, whatever the weights."""
        verdict = diagnose(deep(20, "tanh", normal(1.0), units=100), *data).verdict()
        assert "gradients explode, up to 3e+06 times the last layer's; tanh saturated in 88%" in verdict
        assert "gradient clipping" in verdict

    def test_outputs_beyond_all_numbers(self, data):
        look = diagnose(deep(20, "relu", normal(1e3)), *data)
        assert not look.is_finite
        assert look.verdict().startswith("layers 21–41 (dense_10 … dense_20): outputs are not finite, dense_10 is the")
        assert len(look.verdict().splitlines()) == 1

    def test_weights_that_are_nan(self, data):
        model = deep(3, "relu", "he_normal")
        model.layers[2].bias.assign(np.full(50, np.nan))
        verdict = diagnose(model, *data).verdict()
        assert verdict.startswith("layers 3–7 (dense_1 … dense_3): outputs are not finite, dense_1 is the first")

    def test_units_that_are_dead(self, data):
        look = diagnose(deep(3, "relu", "he_normal", bias=keras.initializers.Constant(-10)), *data)
        assert look.verdict().startswith("layers 2–6 (activation … activation_2): 100% of the units are dead: try a")
        assert [layer.gradient for layer in look.layers if layer.gradient is not None][:-1] == [0, 0, 0]

    def test_nothing_comes_back_from_the_loss(self, data):
        """The softmax of scores in the millions is 1 in one class and 0 in the others: a plateau."""
        model = deep(1, "relu", "he_normal")
        model.layers[-1].kernel.assign(1e7 * model.layers[-1].kernel)
        assert "no gradient reaches the last layer" in diagnose(model, *data).verdict()


class TestVerdictOnHealthyNetworks:
    @pytest.mark.parametrize(
        ("depth", "activation", "initializer", "normalized"),
        [
            (20, "relu", "he_normal", False), (50, "relu", "he_normal", False), (50, "selu", "lecun_normal", False),
            (20, "elu", "he_normal", False), (20, "leaky_relu", "he_normal", False), (0, "relu", "zeros", False),
            (20, "relu", "glorot_uniform", True), (10, "sigmoid", "glorot_uniform", True),
            (5, "tanh", "glorot_uniform", False),
        ],
    )  # fmt: skip
    def test_is_a_clean_bill(self, data, depth, activation, initializer, normalized):
        verdict = diagnose(deep(depth, activation, initializer, normalized), *data).verdict()
        assert verdict.startswith(f"nothing unusual in {depth * (2 + normalized) + 1} layers, gradient norms from ")

    def test_of_a_sure_answer_nobody_says_saturated(self, data):
        x, y = data
        model = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy")
        model.layers[0].kernel.assign(5 * np.ones((FEATURES, 1)))
        look = diagnose(model, x, y == 0)
        assert look.layers[0].saturated > 0.8
        assert look.verdict().startswith("nothing unusual")


class TestNumbers:
    def test_are_those_of_the_outputs_and_gradients(self, data):
        x, y = data
        model = deep(1, "relu", "he_normal")
        dense, _, last = model.layers
        z = x @ dense.kernel.numpy()
        with keras.GradientTape() as tape:
            loss = keras.losses.SparseCategoricalCrossentropy()(y, model(x))
        kernel, bias = tape.gradient(loss, [last.kernel, last.bias])
        first, activation, output = diagnose(model, x, y).layers
        assert (first.layer, first.activation, activation.activation) == ("dense", "", "Relu")
        assert first.mean == pytest.approx(z.mean(), rel=1e-4)
        assert activation.spread == pytest.approx(np.maximum(z, 0).std(), rel=1e-4)
        assert output.gradient == pytest.approx(np.hypot(np.linalg.norm(kernel), np.linalg.norm(bias)), rel=1e-4)
        assert (first.dead, first.saturated, activation.saturated, first.update) == (None, None, None, None)
        assert [layer.is_output for layer in (first, activation, output)] == [False, False, True]

    @pytest.mark.parametrize(
        ("activation", "edge"),
        # Where the slope is a fifth of that at 0: y(1 − y) = 1/20, 1 − y² = 1/5, 1/(1 + |x|)² = 1/5.
        [("sigmoid", 2.887), ("tanh", np.arctanh(np.sqrt(0.8))), ("softsign", np.sqrt(5) - 1), ("hard_sigmoid", 3.0)],
    )
    def test_saturated_is_where_the_slope_is_below_a_fifth(self, activation, edge):
        x = np.array([[0, edge * 0.99, -edge * 0.99, edge * 1.01, -edge * 1.01]], np.float32).T
        model = keras.Sequential([layers.Activation(activation)])
        model.compile("sgd", "mse")
        (look,) = diagnose(model, x, x).layers
        assert look.saturated == pytest.approx(2 / 5)
        assert look.gradient is None

    def test_a_unit_is_dead_if_it_is_for_all_samples(self):
        x = np.array([[1, -1, -1, 1e-9], [1, 1, -1, -1]], np.float32)
        model = keras.Sequential([layers.ReLU()])
        model.compile("sgd", "mse")
        (look,) = diagnose(model, x, x).layers
        assert look.dead == 1 / 4

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_of_a_convolution_a_unit_is_a_channel(self, data_format):
        x = np.random.default_rng(0).standard_normal((8, 6, 7, 2)).astype(np.float32)
        if data_format == "channels_first":
            x = x.transpose(0, 3, 1, 2)
        model = keras.Sequential([
            layers.Conv2D(4, 3, activation="relu", data_format=data_format, bias_initializer=lambda *_: [0, 0, 0, -99]),
            layers.Flatten(),
            layers.Dense(1),
        ])  # fmt: skip
        model.compile("sgd", "mse")
        look = diagnose(model, x, np.zeros((8, 1)))
        assert [layer.layer.rstrip("_0123456789") for layer in look.layers] == ["conv2d", "flatten", "dense"]
        assert look.layers[0].dead == 1 / 4

    def test_are_those_of_what_a_layer_hands_on(self):
        """Not of what it computes on the side, and not of the last thing it computes."""

        class Doubled(layers.Layer):
            def call(self, x):
                y = 2 * x
                ops.sum(ops.square(y - 100))
                return y

        x = np.array([[1.0, 3.0], [5.0, 7.0]])
        model = keras.Sequential([Doubled(name="doubled"), layers.Flatten(name="flat"), Doubled(name="last")])
        model.compile("sgd", "mse")
        looks = diagnose(model, x, x).layers
        assert [(look.layer, look.mean) for look in looks] == [("doubled", 8), ("flat", 8), ("last", 16)]

    def test_of_a_regularized_layer(self, data):
        """What regularizers compute is no output; what they add is part of the loss and its gradient."""
        x, y = data

        def look(**regularizers):
            keras.utils.set_random_seed(1)
            last = layers.Dense(CLASSES, activation="softmax")
            model = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(5, **regularizers), last])
            model.compile("sgd", "sparse_categorical_crossentropy")
            return diagnose(model, x, y)

        plain, active, heavy = look(), look(activity_regularizer="l2"), look(kernel_regularizer="l2")
        assert len(active.layers) == len(heavy.layers) == 2
        assert active.layers[0].spread == heavy.layers[0].spread == plain.layers[0].spread
        assert min(active.loss, heavy.loss) > plain.loss
        assert plain.layers[0].gradient not in (active.layers[0].gradient, heavy.layers[0].gradient)

    def test_a_table_has_a_line_for_each_layer(self, data):
        lines = diagnose(deep(1, "sigmoid"), *data).table().splitlines()
        headers = ["#", "Layer", "Activation", "Mean", "Spread", "Saturated", "Dead", "Gradient", "Update/weight"]
        assert lines[0].split() == headers
        assert len(lines) == 2 + 3
        assert lines[3].split()[:3] == ["2", "activation", "Sigmoid"]
        assert lines[3].split()[-2:] == ["0%", "0%"]


class TestModels:
    def test_functional_with_branches_a_shared_layer_and_a_model_inside(self):
        keras.utils.set_random_seed(1)
        a, b = keras.Input((4,)), keras.Input((4,))
        shared = layers.Dense(5, activation="tanh", name="shared")
        inner = keras.Sequential([keras.Input((5,)), layers.Dense(5, activation="relu", name="deep")], name="block")
        joined = layers.Add(name="sum")([inner(shared(a)), shared(b)])
        model = keras.Model([a, b], [layers.Dense(1, name="left")(joined), layers.Dense(2, name="right")(joined)])
        model.compile("sgd", "mse")
        rng = np.random.default_rng(0)
        x = [rng.standard_normal((16, 4)), rng.standard_normal((16, 4))]
        look = diagnose(model, x, [np.zeros((16, 1)), np.zeros((16, 2))])
        found = {layer.layer: layer for layer in look.layers}
        assert set(found) == {"shared", "block/deep", "sum", "left", "right"}
        assert found["shared"].gradient > 0
        assert found["sum"].gradient is None
        assert {name for name, layer in found.items() if layer.is_output} == {"left", "right"}

    def test_subclassed_that_computes_by_itself(self, data):
        class Network(keras.Model):
            def __init__(self):
                super().__init__(name="network")
                self.blocks = [layers.Dense(20, name=f"dense{k}") for k in range(2)]
                self.out = layers.Dense(CLASSES, activation="softmax", name="out")

            def call(self, x):
                for block in self.blocks:
                    x = ops.relu(block(x) - 50.0)
                return self.out(x)

        model = Network()
        model.compile("sgd", "sparse_categorical_crossentropy")
        look = diagnose(model, *data)
        assert {layer.layer for layer in look.layers} == {"dense0", "dense1", "out", "network"}
        assert "(network): 100% of the units are dead" in look.verdict()

    def test_frozen_layers_have_no_gradient(self, data):
        model = deep(2, "relu", "he_normal")
        model.layers[0].trainable = False
        gradients = [layer.gradient for layer in diagnose(model, *data).layers]
        assert [g is None for g in gradients] == [True, True, False, True, False]

    def test_not_built_yet(self, data):
        model = keras.Sequential([layers.Dense(CLASSES, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        assert len(diagnose(model, *data).layers) == 1

    def test_stay_as_they_are_to_the_last_bit(self, data):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([layers.Dense(5), layers.BatchNormalization(), layers.RReLU(), layers.Dropout(0.5)])
        model.compile("sgd", "mse")
        x, y = data[0], np.zeros((256, 5))
        model.build((None, FEATURES))
        before = [w.tobytes() for w in model.get_weights()]
        first = diagnose(model, x, y)
        assert [w.tobytes() for w in model.get_weights()] == before
        # The random numbers are where they were: the second look sees the very same.
        assert diagnose(model, x, y).layers == first.layers


class TestErrors:
    def test_a_model_without_a_loss(self, data):
        with pytest.raises(NotCompiledError, match="is not compiled"):
            diagnose(keras.Sequential([layers.Dense(1)]), *data)

    def test_data_of_different_lengths(self, data):
        with pytest.raises(ShapeError, match="diagnose: x has 256 samples but y has 255"):
            diagnose(deep(1, "relu"), data[0], data[1][1:])
