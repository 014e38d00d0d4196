"""`Sequential`: adding and taking away layers, building at once or later, sharing them."""

import json
import re

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, NotBuiltError, ShapeError, UnknownNameError
from minidl.layers import BatchNormalization, Dense, Dropout, Flatten, Reshape

X = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)


def arrays_equal(a, b):
    return len(a) == len(b) and all(map(np.array_equal, a, b))


@pytest.fixture(autouse=True)
def fresh_names():
    keras.utils.clear_session()


class TestBuilding:
    @pytest.mark.parametrize(
        "layers",
        [
            [keras.Input((4,)), Dense(3)],
            [keras.Input(shape=[4]), Dense(3)],
            [keras.Input(batch_shape=(None, 4)), Dense(3)],
            [keras.layers.InputLayer((4,)), Dense(3)],
            [Dense(3, input_shape=(4,))],
            [Dense(3, input_shape=[4])],
            [Dense(3, input_dim=4)],
        ],
        ids=["Input", "Input of a list", "batch_shape", "InputLayer", "input_shape", "list", "input_dim"],
    )
    def test_at_once_if_the_shape_is_known(self, layers):
        model = keras.Sequential(layers)
        assert model.built
        assert [layer.built for layer in model.layers] == [True]
        assert model.input_shape == (None, 4)
        assert model.output_shape == (None, 3)
        assert model.count_params() == 15

    def test_of_layers_added_one_by_one(self):
        model = keras.Sequential()
        model.add(Flatten(input_shape=[28, 28]))
        model.add(Dense(300, activation="relu"))
        model.add(Dense(10, activation="softmax"))
        assert model.built
        assert model.input_shape == (None, 28, 28)
        assert model.count_params() == 784 * 300 + 300 + 300 * 10 + 10

    def test_later_if_the_shape_is_not_known(self):
        model = keras.Sequential([Dense(3), Dense(2)])
        assert not model.built
        assert model.weights == []
        for ask in (model.count_params, lambda: model.input_shape, lambda: model.output_shape):
            with pytest.raises(NotBuiltError, match="call it on data"):
                ask()
        assert model(X).shape == (6, 2)
        assert model.built
        assert model.input_shape == (None, 4)

    def test_by_hand(self):
        model = keras.Sequential([Dense(3), Dense(2)])
        model.build((None, 4))
        assert model.output_shape == (None, 2)
        assert [v.path for v in model.weights] == [
            "sequential/dense/kernel", "sequential/dense/bias", "sequential/dense_1/kernel", "sequential/dense_1/bias",
        ]  # fmt: skip
        weights = model.get_weights()
        model.build((32, 4))
        assert arrays_equal(weights, model.get_weights())

    def test_by_hand_for_another_shape_than_the_known_one(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3)])
        with pytest.raises(ShapeError, match=r"'sequential' expects inputs of shape \(None, 4\), got \(None, 5\)"):
            model.build((None, 5))

    def test_a_shape_that_cannot_be_built_for_is_forgotten(self):
        model = keras.Sequential([Reshape((2, 2)), Dense(3)])
        with pytest.raises(ShapeError, match="do not fill"):
            model(np.zeros((1, 5)))
        assert not model.built
        assert model(X).shape == (6, 2, 3)

    def test_paths_and_order_of_weights_are_those_of_keras(self):
        """See "Weights" in tests/golden/README.md."""
        model = keras.Sequential([keras.Input((4,)), Dense(3, use_bias=False), BatchNormalization(), Dense(2)])
        expected = [
            "sequential/dense/kernel",
            *(f"sequential/batch_normalization/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")),
            "sequential/dense_1/kernel",
            "sequential/dense_1/bias",
        ]
        assert [v.path for v in model.weights] == expected
        assert [v.name for v in model.non_trainable_variables] == ["moving_mean", "moving_variance"]
        model.layers[1].trainable = False
        assert [v.path for v in model.weights] == expected
        assert [v.name for v in model.non_trainable_variables] == ["gamma", "beta", "moving_mean", "moving_variance"]
        assert [v.name for v in model.trainable_variables] == ["kernel", "kernel", "bias"]

    def test_without_layers(self):
        with pytest.raises(NotBuiltError, match="'sequential' has no layers"):
            keras.Sequential()(X)

    def test_a_batch_size_in_input_does_not_bind(self):
        """As in Keras, only the other sizes are checked."""
        model = keras.Sequential([keras.Input((4,), batch_size=2), Dense(3)])
        assert model.input_shape == (2, 4)
        assert model.predict(X, verbose=0).shape == (6, 3)
        model.build((None, 4))
        assert model.input_shape == (2, 4)

    @pytest.mark.parametrize("shape", [(6, 3), (6,), (6, 4, 1)])
    def test_inputs_of_another_shape(self, shape):
        model = keras.Sequential([keras.Input((4,)), Dense(3)], name="net")
        with pytest.raises(ShapeError, match=re.escape(f"'net' expects inputs of shape (None, 4), got {shape}")):
            model(np.zeros(shape))


class TestAdd:
    def test_what_is_no_layer(self):
        with pytest.raises(ArgumentError, match="expected a layer, got 3"):
            keras.Sequential([3])

    def test_a_class_in_place_of_a_layer(self):
        with pytest.raises(ArgumentError, match=re.escape("write Dense(…)")):
            keras.Sequential([Dense])

    def test_two_layers_of_one_name(self):
        with pytest.raises(ArgumentError, match="'sequential' already has a layer named 'a': give it another name"):
            keras.Sequential([Dense(3, name="a"), Dense(3, name="a")])

    def test_the_same_layer_twice(self):
        layer = Dense(4)
        with pytest.raises(ArgumentError, match="already has a layer named 'dense'"):
            keras.Sequential([layer, layer])

    @pytest.mark.parametrize("first", [[keras.Input((4,))], [Dense(3)], [Dense(3, input_shape=(4,))]])
    def test_input_that_does_not_come_first(self, first):
        with pytest.raises(ArgumentError, match="it must come first"):
            keras.Sequential([*first, keras.Input((4,))])

    def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3)])
        with pytest.raises(ShapeError, match="do not fill"):
            model.add(Reshape((2, 2)))
        assert [layer.name for layer in model.layers] == ["dense"]
        model.add(Dense(2))
        assert model.output_shape == (None, 2)

    @pytest.mark.parametrize(
        "layers", [[keras.Input((4,))], [keras.Input((4,)), Dense(3)]], ids=["as first", "as second"]
    )
    def test_a_layer_for_another_shape(self, layers):
        with pytest.raises(ShapeError, match=r"'five' is for inputs of shape \(None, 5\), it would get \(None, [43]\)"):
            keras.Sequential([*layers, Dense(3, input_shape=(5,), name="five")])

    def test_a_layer_that_says_the_right_shape_again(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3, input_shape=(4,)), Dense(2, input_shape=(3,))])
        assert model.output_shape == (None, 2)

    def test_to_a_built_model_makes_the_weights_at_once(self):
        model = keras.Sequential([Dense(3)])
        model(X)
        model.add(Dense(2))
        assert model.count_params() == 15 + 8

    def test_to_a_frozen_model_freezes(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3)], trainable=False)
        model.add(Dense(2))
        assert model.trainable_variables == []
        assert not model.layers[-1].trainable


class TestPop:
    def test_gives_the_last_layer_back(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3), Dense(2)])
        first, last = model.layers
        assert model.pop() is last
        assert model.layers == [first]
        assert model.output_shape == (None, 3)
        assert model(X).shape == (6, 3)
        assert len(model.weights) == 2

    def test_makes_room_for_another_head(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3, activation="relu"), Dense(2)])
        body = model(X, training=False)
        model.pop()
        body = model(X).numpy()
        model.add(Dense(5, name="head"))
        head = model.layers[-1]
        np.testing.assert_allclose(model(X).numpy(), body @ head.kernel.numpy(), rtol=1e-5, atol=1e-6)

    def test_the_last_one_leaves_the_input(self):
        """As in Keras: Input stays, and the next layer is built for it."""
        model = keras.Sequential([keras.Input((4,)), Dense(3)])
        model.pop()
        assert model.layers == []
        assert not model.built
        with pytest.raises(NotBuiltError, match="has no layers"):
            model(X)
        model.add(Dense(2))
        assert model.output_shape == (None, 2)

    def test_of_nothing(self):
        with pytest.raises(ArgumentError, match="'sequential' has no layers"):
            keras.Sequential().pop()

    def test_the_rest_can_be_trained_without_compiling_again(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3), Dense(3)])
        model.compile(keras.optimizers.Adam(), "mse")
        model.fit(X, X[:, :3], verbose=0)
        model.pop()
        before = model.get_weights()
        model.fit(X, X[:, :3], verbose=0)
        assert not arrays_equal(before, model.get_weights())


class TestSharing:
    """Layers may be in several models, which then share weights."""

    def test_the_body_of_a_model(self):
        a = keras.Sequential([keras.Input((4,)), Dense(5, activation="relu"), Dense(3)])
        b = keras.Sequential(a.layers[:-1])
        b.add(Dense(1, activation="sigmoid"))
        assert b.layers[0] is a.layers[0]
        b.compile("sgd", "binary_crossentropy")
        before = a.predict(X, verbose=0)
        b.fit(X, np.ones(6), epochs=3, verbose=0)
        assert (a.predict(X, verbose=0) != before).any()

    def test_frozen_layers_stay_frozen(self):
        a = keras.Sequential([keras.Input((4,)), Dense(5), Dense(4), Dense(3)])
        for layer in a.layers[:-1]:
            layer.trainable = False
        b = keras.Sequential([*a.layers[:-1], Dense(1, name="head")])
        assert [layer.trainable for layer in b.layers] == [False, False, True]
        assert b.trainable_variables == b.layers[-1].weights
        b.compile("sgd", "mse")
        before = a.get_weights()
        b(X)
        b.fit(X, np.ones(6), verbose=0)
        assert arrays_equal(before, a.get_weights())

    def test_unfreezing_in_one_model_unfreezes_in_the_other(self):
        a = keras.Sequential([keras.Input((4,)), Dense(5), Dense(3)])
        b = keras.Sequential(a.layers[:-1])
        a.layers[0].trainable = False
        assert b.trainable_variables == []
        b.layers[0].trainable = True
        assert len(a.trainable_variables) == 4


class TestNested:
    @pytest.fixture
    def model(self):
        inner = keras.Sequential([Dense(5, activation="relu"), BatchNormalization()], name="inner")
        return keras.Sequential([keras.Input((4,)), inner, Dense(3)], name="outer")

    def test_a_model_is_a_layer(self, model):
        assert model.output_shape == (None, 3)
        assert [v.path for v in model.weights[:3]] == [
            "outer/inner/dense/kernel", "outer/inner/dense/bias", "outer/inner/batch_normalization/gamma",
        ]  # fmt: skip
        assert model.count_params() == 25 + 20 + 18

    def test_it_is_trained_and_frozen_with_the_rest(self, model):
        model.compile("sgd", "mse")
        before = model.get_weights()
        model.fit(X, X[:, :3], verbose=0)
        assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
        model.get_layer("inner").trainable = False
        assert [v.path.split("/")[1] for v in model.trainable_variables] == [model.layers[1].name] * 2

    def test_training_mode_reaches_the_layers_inside(self, model):
        moving_mean = model.get_layer("inner").layers[1].moving_mean
        model(X)
        assert (moving_mean.numpy() == 0).all()
        model(X, training=True)
        assert (moving_mean.numpy() != 0).any()


class TestLookingIn:
    @pytest.fixture
    def model(self):
        return keras.Sequential([keras.Input((2, 2)), Flatten(), Dense(3), Dropout(0.5), Dense(2, name="out")])

    def test_layers_are_a_list_without_the_input(self, model):
        assert [type(layer).__name__ for layer in model.layers] == ["Flatten", "Dense", "Dropout", "Dense"]
        model.layers.clear()
        assert len(model.layers) == 4

    def test_get_layer(self, model):
        assert model.get_layer("out") is model.get_layer(index=3) is model.get_layer(index=-1) is model.layers[-1]
        with pytest.raises(UnknownNameError, match="Unknown layer of 'sequential' 'outt': did you mean 'out'"):
            model.get_layer("outt")
        with pytest.raises(ArgumentError, match="'sequential' has 4 layers, got index 4"):
            model.get_layer(index=4)
        for wrong in ({}, {"name": "out", "index": 3}):
            with pytest.raises(ArgumentError, match="either a name or an index"):
                model.get_layer(**wrong)

    def test_weights_can_be_taken_out_and_put_in(self, model):
        weights = [np.full(w.shape, k, np.float64) for k, w in enumerate(model.get_weights())]
        model.set_weights(weights)
        assert arrays_equal(weights, model.get_weights())
        assert {w.dtype for w in model.get_weights()} == {np.dtype("float32")}
        model.get_weights()[0][...] = 99
        assert arrays_equal(weights, model.get_weights())

    def test_weights_that_do_not_fit_change_nothing(self, model):
        weights = model.get_weights()
        for wrong in (weights[:-1], [*weights[:-1], np.zeros(5)]):
            with pytest.raises(ShapeError):
                model.set_weights([w + 1 for w in wrong])
        assert arrays_equal(weights, model.get_weights())

    def test_summary_goes_where_it_is_told(self, model, capsys):
        texts = []
        model.summary(print_fn=texts.append)
        assert capsys.readouterr().out == ""
        model.summary()
        assert [capsys.readouterr().out] == texts
        assert '"sequential"' in texts[0]
        assert "23" in texts[0]

    def test_repr(self, model):
        assert repr(model) == (
            "Sequential(layers=[Flatten(name='flatten'), Dense(units=3, name='dense'), Dropout(rate=0.5, "
            "name='dropout'), Dense(units=2, name='out')], name='sequential')"
        )


class TestOutputs:
    def test_can_be_stacked_by_numpy(self):
        """Monte Carlo dropout (Gal & Ghahramani 2016), as it is usually written."""
        model = keras.Sequential([keras.Input((4,)), Dense(8), Dropout(0.5), Dense(3, activation="softmax")])
        stacked = np.stack([model(X, training=True) for _ in range(100)])
        assert stacked.shape == (100, 6, 3)
        assert stacked.std(axis=0).min() > 0.01
        assert np.ptp(np.stack([model(X) for _ in range(3)]), axis=0).max() == 0

    def test_are_float32_whatever_comes_in(self):
        model = keras.Sequential([keras.Input((2, 2)), Flatten(), Dense(3), BatchNormalization()])
        for dtype in ("uint8", "int64", "bool", "float16", "float32", "float64"):
            for training in (False, True):
                assert model(np.ones((5, 2, 2), dtype), training=training).dtype == np.float32


class TestConfig:
    def test_goes_through_json(self):
        model = keras.Sequential([
            keras.Input((2, 4)),
            Flatten(),
            Dense(5, activation="elu", kernel_initializer=keras.initializers.HeNormal(seed=1), trainable=False),
            keras.layers.LeakyReLU(negative_slope=0.2),
            BatchNormalization(momentum=0.9),
            keras.layers.Activation("tanh"),
            Dropout(0.5, seed=2),
            Reshape((5, 1)),
            keras.Sequential([keras.layers.PReLU(shared_axes=[1])], name="inner"),
        ], name="outer")  # fmt: skip
        config = json.loads(json.dumps(model.get_config()))
        copy = keras.Sequential.from_config(config)
        assert copy.get_config() == model.get_config()
        assert [w.shape for w in copy.get_weights()] == [w.shape for w in model.get_weights()]
        assert [v.trainable for v in copy.variables] == [v.trainable for v in model.variables]
        copy.set_weights(model.get_weights())
        x = np.random.default_rng(3).standard_normal((3, 2, 4))
        np.testing.assert_array_equal(copy(x), model(x))

    @pytest.mark.parametrize("layers", [[], [keras.Input((4,))], [Dense(3)]], ids=["empty", "input only", "unbuilt"])
    def test_of_a_model_without_weights(self, layers):
        model = keras.Sequential(layers)
        copy = keras.Sequential.from_config(model.get_config())
        assert copy.get_config() == model.get_config()
        assert not copy.built
        copy.add(Dense(2))
        assert copy.built == (layers != [] and not isinstance(layers[0], Dense))

    def test_of_a_frozen_model(self):
        model = keras.Sequential([keras.Input((4,)), Dense(3)], trainable=False)
        copy = keras.Sequential.from_config(model.get_config())
        assert not copy.trainable
        copy.add(Dense(2))
        assert copy.trainable_variables == []

    def test_of_layers_of_ones_own(self):
        class Scale(keras.layers.Layer):
            def __init__(self, factor, **kwargs):
                super().__init__(**kwargs)
                self.factor = factor

            def call(self, inputs):
                return inputs * self.factor

        model = keras.Sequential([keras.Input((4,)), Scale(3.0)])
        with pytest.raises(UnknownNameError, match="Unknown layer 'Scale'"):
            keras.Sequential.from_config(model.get_config())
        copy = keras.Sequential.from_config(model.get_config(), {"Scale": Scale})
        np.testing.assert_array_equal(copy(X), X * np.float32(3))
