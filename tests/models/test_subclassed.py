"""Models and layers of one's own: subclasses that write `call`."""

import numpy as np
import pytest

import minidl as keras
from minidl import Model, Sequential, ops
from minidl.errors import ShapeError
from minidl.layers import Add, BatchNormalization, Dense, Input, Layer
from minidl.layers.naming import reset_names
from minidl.models import Functional

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


@pytest.fixture(autouse=True)
def fresh_names():
    reset_names()


class Residual(Layer):
    """A block whose inner layers are made in `build`."""

    def build(self, input_shape):
        self.dense = Dense(input_shape[-1])

    def call(self, inputs):
        return inputs + ops.relu(self.dense(inputs))


class Network(Model):
    def __init__(self):
        super().__init__()
        self.blocks = [Residual(name=f"block_{k}") for k in range(2)]
        self.normalization = BatchNormalization()
        self.out = Dense(2, name="out")

    def call(self, inputs, training=None):
        for block in self.blocks:
            inputs = block(inputs)
        return self.out(self.normalization(inputs, training=training))


class Pair(Model):
    def __init__(self):
        super().__init__()
        self.left, self.right = Dense(2, name="left"), Dense(2, name="right")

    def call(self, inputs):
        a, b = self.left(inputs["a"]), self.right(inputs["b"])
        return {"sum": a + b, "difference": a - b}


class TestBuilding:
    def test_build_makes_the_weights_of_the_layers_inside(self):
        model = Network()
        assert not model.built
        model.build((None, 4))
        assert model.count_params() == 2 * 20 + 16 + 10
        assert (model.input_shape, model.output_shape) == ((None, 4), (None, 2))
        assert [v.path for v in model.blocks[0].variables] == [
            "network/block_0/dense/kernel", "network/block_0/dense/bias"
        ]  # fmt: skip

    def test_the_trial_leaves_moving_averages_alone(self):
        model = Network()
        model.build((None, 4))
        assert not model.normalization.moving_mean.numpy().any()

    def test_so_does_the_first_call(self):
        model = Network()
        assert model(X).shape == (6, 2)
        assert model.input_shape == (None, 4)

    def test_several_inputs_have_several_shapes(self):
        model = Pair()
        model.build({"a": (None, 3), "b": (None, 4)})
        assert model.count_params() == 8 + 10
        assert model.output_shape == {"sum": (None, 2), "difference": (None, 2)}

    def test_a_shape_that_does_not_fit_leaves_the_model_unbuilt(self):
        model = Sequential([Input((3,)), Dense(2)])

        class Wraps(Model):
            def __init__(self):
                super().__init__()
                self.inner = model

            def call(self, inputs):
                return self.inner(inputs)

        outer = Wraps()
        with pytest.raises(ShapeError, match="expects inputs of shape"):
            outer.build((None, 4))
        assert not outer.built
        outer.build((None, 3))
        assert outer.output_shape == (None, 2)

    def test_a_model_that_builds_itself_is_not_tried(self):
        class Own(Model):
            def build(self, input_shape):
                self.w = self.add_weight((input_shape[-1], 2), name="w")
                super().build(input_shape)

            def call(self, inputs):
                return inputs @ self.w

        model = Own()
        model.build((None, 4))
        assert model.count_params() == 8
        assert model(X).shape == (6, 2)


class TestInGraphs:
    def test_a_model_of_ones_own_is_a_layer(self):
        x = Input((4,))
        inner = Network()
        model = Model(x, Add()([inner(x), inner(2 * x)]))
        np.testing.assert_allclose(model(X), inner(X).numpy() + inner(2 * X).numpy(), rtol=1e-6)
        assert model.count_params() == inner.count_params()
        assert model.output_shape == (None, 2)

    def test_named_inputs_and_outputs(self):
        a, b = Input((3,), name="a"), Input((4,), name="b")
        inner = Pair()
        model = Model([a, b], inner({"b": b, "a": a})["sum"])
        np.testing.assert_array_equal(model([X[:, :3], X]), inner({"a": X[:, :3], "b": X})["sum"])

    def test_a_layer_that_takes_a_list_is_built_for_the_shapes(self):
        seen = []

        class Mixes(Layer):
            def build(self, input_shape):
                seen.append(input_shape)

            def call(self, inputs):
                return inputs[0] * inputs[1]

        y = Mixes()([Input((4,)), Input((1,))])
        assert seen == [[(None, 4), (None, 1)]]
        assert y.shape == (None, 4)

    def test_functional_can_be_subclassed(self):
        class Classifier(Functional):
            def __init__(self, classes):
                x = Input((4,))
                super().__init__(x, Dense(classes, activation="softmax")(x))
                self.classes = classes

            def most_likely(self, x):
                return self.predict(x, verbose=0).argmax(axis=1)

        assert Classifier(3).most_likely(X).shape == (6,)


class TestTraining:
    def test_several_inputs_and_outputs(self):
        model = Pair()
        model.compile("sgd", {"sum": "mse", "difference": "mae"}, metrics={"sum": ["mae"]})
        x = {"a": X[:, :3], "b": X}
        y = {"difference": np.zeros((6, 2)), "sum": np.ones((6, 2))}
        history = model.fit(x, y, epochs=2, batch_size=4, verbose=0).history
        assert list(history) == ["difference_loss", "loss", "sum_loss", "sum_mae"]
        predicted = model.predict(x, batch_size=4, verbose=0)
        assert {name: part.shape for name, part in predicted.items()} == {"sum": (6, 2), "difference": (6, 2)}

    def test_learns_as_the_same_graph_does(self):
        keras.utils.set_random_seed(0)
        own = Network()
        own.build((None, 4))
        x = Input((4,))
        graph = Model(x, Dense(2)(BatchNormalization()(Residual()(Residual()(x)))))
        graph.set_weights(own.get_weights())
        histories = []
        for model in (own, graph):
            model.compile("adam", "mse")
            histories.append(model.fit(X, X[:, :2], epochs=3, shuffle=False, verbose=0).history)
        assert histories[0] == histories[1]

    def test_a_model_may_have_an_attribute_called_steps(self):
        class Unrolled(Model):
            def __init__(self):
                super().__init__()
                self.steps = 3
                self.dense = Dense(4, "tanh")

            def call(self, inputs):
                for _ in range(self.steps):
                    inputs = self.dense(inputs)
                return inputs

        model = Unrolled()
        model.compile("sgd", "mse")
        model.fit(X, X, verbose=0)
        assert model.steps == 3
