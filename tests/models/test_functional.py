"""Models drawn as graphs: `Model(inputs, outputs)`."""

import copy
import json

import numpy as np
import pytest

import minidl as keras
from minidl import Model, Sequential, Tensor, ops
from minidl.errors import ArgumentError, NotBuiltError, ShapeError, SymbolicError, UnknownNameError
from minidl.layers import Activation, Add, Concatenate, Dense, Dropout, Flatten, Input, InputLayer, Layer, ReLU
from minidl.layers.naming import reset_names
from minidl.models import Functional

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
Z = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")


@pytest.fixture(autouse=True)
def fresh_names():
    reset_names()


@pytest.fixture
def two():
    """Two inputs, two outputs, a shared layer, an operator."""
    x, z = Input((4,), name="x"), Input((3,), name="z")
    shared = Dense(3, activation="tanh", name="shared")
    hidden = shared(x) + z
    both = Concatenate(name="both")([hidden, z])
    return Model([x, z], [Dense(2, name="a")(both), Dense(1, name="b")(hidden * 2)], name="two")


class TestGraph:
    def test_computes_what_its_layers_compute(self, two):
        hidden = two.get_layer("shared")(X) + Z
        a, b = two([X, Z])
        np.testing.assert_array_equal(a, two.get_layer("a")(ops.concatenate([hidden, Z], axis=1)))
        np.testing.assert_array_equal(b, two.get_layer("b")(hidden * 2))

    def test_model_of_inputs_and_outputs_is_a_functional(self, two):
        assert type(two) is Functional
        assert isinstance(two, Model)
        x = Input((2,))
        assert Model(x, x).name == "functional"
        assert type(Model(inputs=x, outputs=x)) is Functional

    def test_layers_stand_in_the_order_of_keras(self, two):
        assert [layer.name for layer in two.layers] == ["x", "shared", "z", "both", "a", "b"]
        assert [layer.name for layer in two.operations] == ["x", "shared", "z", "add", "both", "multiply", "a", "b"]
        assert [v.path for v in two.variables] == [
            "shared/kernel", "shared/bias", "a/kernel", "a/bias", "b/kernel", "b/bias"
        ]  # fmt: skip

    def test_shapes_and_names(self, two):
        assert two.input_shape == [(None, 4), (None, 3)]
        assert two.output_shape == [(None, 2), (None, 1)]
        assert two.compute_output_shape([(5, 4), (5, 3)]) == [(5, 2), (5, 1)]
        assert (two.input_names, two.output_names) == (["x", "z"], ["a", "b"])
        assert two.inputs == two.input
        assert two.outputs == two.output

    def test_takes_its_inputs_in_order_or_by_name(self, two):
        expected = two([X, Z])
        for inputs in [(X, Z), {"z": Z, "x": X}, [Tensor(X), Z]]:
            for y, wanted in zip(two(inputs), expected, strict=True):
                np.testing.assert_array_equal(y, wanted)

    def test_a_dictionary_of_outputs(self):
        x = Input((4,), name="x")
        model = Model({"x": x}, {"twice": x * 2, "once": x})
        outputs = model({"x": X})
        assert list(outputs) == model.output_names == ["once", "twice"]
        np.testing.assert_array_equal(outputs["twice"], 2 * X)

    def test_a_list_of_one_is_that_one(self):
        x = Input((4,))
        model = Model([x], [x * 2])
        assert model.input_shape == (None, 4)
        np.testing.assert_array_equal(model(X), 2 * X)

    def test_a_shared_layer_has_one_set_of_weights(self):
        x = Input((4,))
        shared = Dense(4, name="d")
        model = Model(x, shared(shared(x)))
        assert [layer.name for layer in model.layers] == ["input_layer", "d"]
        assert model.count_params() == 20
        np.testing.assert_array_equal(model(X), shared(shared(X)))

    def test_the_same_tensor_twice(self):
        x = Input((4,))
        y = Dense(1, name="d")(x)
        model = Model(x, [y, y, y])
        assert model.output_names == ["d", "d_1", "d_2"]
        for output in model(X):
            np.testing.assert_array_equal(output, model(X)[0])

    def test_an_input_that_is_an_output_and_one_that_is_not_used(self):
        x, unused = Input((4,)), Input((2,), name="unused")
        model = Model([x, unused], x)
        np.testing.assert_array_equal(model([X, np.zeros((6, 2))]), X)
        with pytest.raises(ShapeError, match=r"'unused' expects inputs of shape \(None, 2\), got \(6, 3\)"):
            model([X, Z])

    def test_a_layer_with_several_results(self):
        class Halves(Layer):
            def call(self, inputs):
                return {"left": inputs[:, :2], "right": inputs[:, 2:]}

        x = Input((4,))
        halves = Halves()(x)
        assert {name: half.shape for name, half in halves.items()} == {"left": (None, 2), "right": (None, 2)}
        np.testing.assert_array_equal(Model(x, halves["right"] - halves["left"])(X), X[:, 2:] - X[:, :2])

    def test_keyword_arguments_and_constants(self):
        class Scaled(Layer):
            def call(self, inputs, by, plus=0.0, names=()):
                return inputs * by + plus

        x, z = Input((4,)), Input((4,))
        model = Model([x, z], Scaled()(x, np.float32([1, 2, 3, 4]), plus=z, names=("a", None)))
        np.testing.assert_allclose(model([X, X]), X * [1, 2, 3, 4] + X, rtol=1e-6)

    def test_training_reaches_the_layers_unless_they_were_told(self):
        x = Input((400,))
        ones = np.ones((1, 400), "float32")
        follows, always = Model(x, Dropout(0.5)(x)), Model(x, Dropout(0.5)(x, training=True))
        assert not (follows(ones).numpy() == 0).any()
        assert (follows(ones, training=True).numpy() == 0).any()
        assert (always(ones, training=False).numpy() == 0).any()

    def test_a_model_deeper_than_the_stack(self):
        x = y = Input((4,))
        for _ in range(1500):
            y = ReLU()(y)
        np.testing.assert_array_equal(Model(x, y)(X), np.maximum(X, 0))

    def test_integers(self):
        words = Input((3,), dtype="int32")
        assert Flatten()(words).dtype == "int32"
        y = ops.one_hot(words, 5)
        assert (y.shape, y.dtype) == ((None, 3, 5), "float32")
        assert Activation("relu")(words).dtype == "float32"
        np.testing.assert_array_equal(Model(words, y)(np.array([[0, 4, 2]]))[0], np.eye(5)[[0, 4, 2]])

    def test_is_copied_whole(self, two):
        twin = copy.deepcopy(two)
        assert twin.layers[1] is not two.layers[1]
        two.set_weights([0 * w for w in two.get_weights()])
        assert twin([X, Z])[0].numpy().any()

    def test_keeps_its_layers_when_an_attribute_lets_them_go(self, two):
        two.favourite = two.get_layer("a")
        two.favourite = None
        assert len(two.variables) == 6


class TestPartsOfModels:
    def test_a_feature_extractor_shares_its_weights(self, two):
        features = Model(two.input, two.get_layer("shared").output)
        assert [layer.name for layer in features.layers] == ["x", "z", "shared"]
        assert features.get_layer("shared") is two.get_layer("shared")
        np.testing.assert_array_equal(features([X, Z]), two.get_layer("shared")(X))

    def test_from_a_tensor_in_the_middle(self):
        x = Input((4,))
        hidden = Dense(3, name="hidden")(x)
        model = Model(x, Dense(2, name="out")(hidden))
        tail = Model(hidden, model.output)
        assert [type(layer) for layer in tail.layers] == [InputLayer, Dense]
        np.testing.assert_array_equal(tail(Z), model.get_layer("out")(Z))

    def test_a_sequential_has_symbolic_tensors_too(self):
        model = Sequential([Input((4,)), Dense(3, name="hidden"), Dense(2)])
        features = Model(model.inputs, [model.get_layer("hidden").output, *model.outputs])
        hidden, y = features(X)
        np.testing.assert_array_equal(hidden, model.layers[0](X))
        np.testing.assert_array_equal(y, model(X))

    def test_models_are_layers(self, two):
        x, z = Input((4,)), Input((3,))
        chain = Sequential([Dense(3), ReLU()], name="chain")
        a, _ = two({"x": x, "z": chain(x)})
        outer = Model([x, z], a)
        assert [layer.name for layer in outer.layers] == ["input_layer", "chain", "input_layer_1", "two"]
        assert outer.get_layer("two") is two
        np.testing.assert_array_equal(outer([X, Z]), two([X, chain(X)])[0])
        assert len(outer.trainable_variables) == 8
        two.trainable = False
        assert len(outer.trainable_variables) == 2

    def test_a_model_inside_called_twice(self):
        inner = Sequential([Input((4,)), Dense(3)], name="inner")
        x, y = Input((4,)), Input((4,))
        model = Model([x, y], Add()([inner(x), inner(y)]))
        np.testing.assert_array_equal(model([X, 2 * X]), inner(X) + inner(2 * X))
        assert model.count_params() == inner.count_params()


class TestOperations:
    @pytest.mark.parametrize(
        "function",
        [
            lambda x: x + 1, lambda x: 1 - x, lambda x: x * x, lambda x: 2 / (x + 5), lambda x: x**2, lambda x: 2.0**x,
            lambda x: x @ np.ones((4, 2), "float32"), lambda x: -x, lambda x: abs(x), lambda x: x[:, ::2],
            lambda x: x[..., None, 1], lambda x: x.T, lambda x: x.sum(axis=1), lambda x: x.mean(axis=1, keepdims=True),
            lambda x: x.reshape(-1, 2), lambda x: x.reshape((-1, 2)), lambda x: x.astype("float64"),
            lambda x: ops.relu(x), lambda x: ops.concatenate([x, x], axis=1), lambda x: ops.stack([x, 2 * x], axis=1),
            lambda x: ops.where(x > 0, x, 0.0), lambda x: ops.split(x, 2, axis=1)[1], lambda x: x - ops.mean(x),
            lambda x: ops.einsum("bi,bj->bij", x, x), lambda x: np.float32([1, 2, 3, 4]) * x,
            lambda x: np.ones((2, 4), "float32") @ x.T, lambda x: ops.squeeze(x[:, :1]), lambda x: ops.maximum(0.1, x),
            lambda x: keras.activations.gelu(x), lambda x: x <= 0, lambda x: 1 / ops.abs(x), lambda x: ops.log(abs(x)),
        ],
    )  # fmt: skip
    def test_are_those_on_tensors(self, function):
        x = Input((4,))
        y = function(x)
        model = Model(x, y)
        wanted = function(Tensor(X))
        assert y.dtype == wanted.dtype
        assert len(y.shape) == wanted.ndim
        assert all(n in (None, m) for n, m in zip(y.shape, wanted.shape, strict=True))
        np.testing.assert_array_equal(model(X), wanted)
        again = Functional.from_config(json.loads(json.dumps(model.get_config())))
        np.testing.assert_array_equal(again(X), wanted)

    def test_their_names(self):
        x = Input((4,))
        layers = Model(x, ops.expand_dims(x / 2, 1)[0] + x).operations
        assert [layer.name for layer in layers] == ["input_layer", "true_divide", "expand_dims", "get_item", "add"]
        assert [layer.title for layer in layers[1:]] == ["TrueDivide", "ExpandDims", "GetItem", "Add"]

    def test_shape(self):
        assert ops.shape(Input((4, None))) == (None, 4, None)
        assert Input((4,)).ndim == 2

    @pytest.mark.parametrize(
        "use", [bool, float, int, len, list, np.asarray, lambda x: Tensor(X) + x, lambda x: keras.grad(ops.sum)(x)]
    )
    def test_there_are_no_values(self, use):
        with pytest.raises(SymbolicError, match="name=input_layer> has no values until its model is called: compute"):
            use(Input((4,)))

    def test_results_that_are_no_tensors(self):
        with pytest.raises(ArgumentError, match="'convert_to_numpy': expected tensors as results, got a ndarray"):
            ops.convert_to_numpy(Input((4,)))

    def test_a_variable_would_not_be_trained(self):
        with pytest.raises(ArgumentError, match="would be a constant of the model and not be trained: a layer of your"):
            Input((4,)) * keras.Variable([1.0, 2.0, 3.0, 4.0], name="scale")

    def test_shapes_that_do_not_fit(self):
        with pytest.raises(ShapeError, match="do not broadcast"):
            Input((4,)) + Input((3,))

    def test_a_number_of_axes_that_depends_on_the_batch(self):
        class Odd(Layer):
            def call(self, inputs):
                return inputs[0] if len(inputs) == 2 else inputs

        with pytest.raises(ShapeError, match="'odd': the number of axes depends on the size of the batch"):
            Odd()(Input((4,)))


class TestTraining:
    LOSSES = {"loss": ["mse", "mae"], "metrics": [["mae"], []], "loss_weights": [1.0, 0.5]}
    Y = [np.zeros((6, 2), "float32"), np.ones((6, 1), "float32")]

    def test_fits_evaluates_and_predicts(self, two):
        two.compile("sgd", **self.LOSSES)
        history = two.fit([X, Z], self.Y, epochs=30, batch_size=4, verbose=0, validation_split=0.34).history
        names = ["a_loss", "a_mae", "b_loss", "loss"]
        assert list(history) == [*names, *(f"val_{name}" for name in names)]
        assert history["loss"][-1] < history["loss"][0]
        results = two.evaluate([X, Z], self.Y, verbose=0, return_dict=True)
        assert list(results) == names
        assert results["loss"] == pytest.approx(results["a_loss"] + 0.5 * results["b_loss"], rel=1e-6)
        assert two.metrics_names == ["loss", "a_loss", "b_loss", "a_mae"]
        assert two.evaluate([X, Z], self.Y, verbose=0) == [results[name] for name in two.metrics_names]
        a, b = two.predict([X, Z], batch_size=4, verbose=0)
        wanted = two([X, Z])
        np.testing.assert_allclose(a, wanted[0], rtol=1e-6)
        np.testing.assert_allclose(b, wanted[1], rtol=1e-6)
        assert results["a_loss"] == pytest.approx(np.mean(a**2), rel=1e-5)

    def test_by_name_is_by_order(self, two):
        weights = two.get_weights()
        losses = {"b": "mae", "a": "mse"}
        runs = []
        for x, y, asked in [
            ([X, Z], self.Y, self.LOSSES),
            ({"z": Z, "x": X}, {"b": self.Y[1], "a": self.Y[0]},
             {"loss": losses, "metrics": {"a": ["mae"]}, "loss_weights": {"b": 0.5}}),
        ]:  # fmt: skip
            two.set_weights(weights)
            two.compile("sgd", **asked)
            runs.append(two.fit(x, y, shuffle=False, verbose=0).history)
        assert runs[0] == runs[1]

    def test_eager_and_recorded_steps_are_equal(self, two):
        weights, runs = two.get_weights(), []
        for eagerly in (True, False):
            two.set_weights(weights)
            two.compile("adam", **self.LOSSES, run_eagerly=eagerly)
            history = two.fit([X, Z], self.Y, epochs=3, batch_size=4, shuffle=False, verbose=0).history
            runs.append((history, two.get_weights()))
        assert runs[0][0] == runs[1][0]
        for a, b in zip(runs[0][1], runs[1][1], strict=True):
            np.testing.assert_array_equal(a, b)

    def test_one_loss_for_all(self, two):
        two.compile("sgd", "mse")
        assert set(two.fit([X, Z], self.Y, verbose=0).history) == {"a_loss", "b_loss", "loss"}

    def test_an_output_without_a_loss(self, two):
        two.compile("sgd", ["mse", None], metrics={"b": ["mae"]})
        results = two.evaluate([X, Z], self.Y, verbose=0, return_dict=True)
        assert list(results) == ["b_mae", "loss"]
        assert results["loss"] == pytest.approx(np.mean(two([X, Z])[0].numpy() ** 2), rel=1e-6)

    def test_sample_weights_for_each_output_or_for_all(self, two):
        two.compile("sgd", ["mse", "mae"], weighted_metrics=[["mae"], []])
        weight = np.arange(6.0, dtype="float32")
        both = two.evaluate([X, Z], self.Y, sample_weight=weight, verbose=0)
        assert both == two.evaluate([X, Z], self.Y, sample_weight=[weight, weight], verbose=0)
        only_a = two.evaluate([X, Z], self.Y, sample_weight={"a": weight}, verbose=0, return_dict=True)
        a, b = (y.numpy() for y in two([X, Z]))
        assert only_a["a_loss"] == pytest.approx(np.mean(weight * np.mean(a**2, axis=1)), rel=1e-5)
        assert only_a["b_loss"] == pytest.approx(np.mean(abs(b - 1)), rel=1e-5)
        assert only_a["a_mae"] == pytest.approx(np.sum(weight * np.mean(abs(a), axis=1)) / 15, rel=1e-5)

    def test_one_batch(self, two):
        two.compile("sgd", **self.LOSSES)
        before = two.test_on_batch([X, Z], self.Y)
        assert two.train_on_batch([X, Z], self.Y) == before
        assert two.test_on_batch([X, Z], self.Y)[0] < before[0]
        assert [y.shape for y in two.predict_on_batch([X, Z])] == [(6, 2), (6, 1)]

    def test_a_single_output_has_plain_names(self):
        x = Input((4,), name="x")
        model = Model(x, Dense(1, name="o")(x))
        model.compile("sgd", loss={"o": "mse"}, metrics={"o": ["mae"]})
        assert list(model.fit({"x": X}, {"o": self.Y[1]}, verbose=0).history) == ["loss", "mae"]
        assert model.predict({"x": X}, verbose=0).shape == (6, 1)

    def test_a_dictionary_of_outputs(self, two):
        named = Model(two.inputs, dict(zip("pq", two.outputs, strict=True)))
        named.compile("sgd", {"p": "mse", "q": "mae"})
        y = dict(zip("pq", self.Y, strict=True))
        assert set(named.fit([X, Z], y, verbose=0).history) == {"loss", "p_loss", "q_loss"}
        assert {name: y.shape for name, y in named.predict([X, Z], verbose=0).items()} == {"p": (6, 2), "q": (6, 1)}


class TestErrors:
    def test_an_input_that_is_missing(self):
        x, z = Input((4,)), Input((4,), name="other")
        hidden = Dense(4, name="d")(z)
        with pytest.raises(ArgumentError, match=r"Graph disconnected: 'd' needs .*name=other>, which is none of the"):
            Model(x, Add()([x, hidden]))

    def test_an_output_that_is_another_input(self):
        with pytest.raises(ArgumentError, match=r"the output .*name=other> depends on none of the inputs"):
            Model(Input((4,)), Input((4,), name="other"))

    def test_two_layers_of_one_name(self):
        x = Input((4,))
        with pytest.raises(ArgumentError, match="2 layers of the model have the name 'd': give them different names"):
            Model(x, Dense(1, name="d")(Dense(2, name="d")(x)))

    @pytest.mark.parametrize(
        ("inputs", "outputs", "message"),
        [
            ([], Input((2,)), "expected at least one symbolic tensor as inputs"),
            (Input((2,)), None, "expected outputs that are symbolic, .* got a NoneType"),
            (Input((2,)), Dense(2), r"expected outputs that are symbolic, as Input\(…\) and .* got a Dense"),
            (X, Input((2,)), "expected inputs that are symbolic, .* got a ndarray"),
        ],
    )
    def test_what_is_not_symbolic(self, inputs, outputs, message):
        with pytest.raises(ArgumentError, match=message):
            Model(inputs, outputs)

    def test_too_few_inputs(self, two):
        with pytest.raises(ShapeError, match=r"'two' has 2 inputs \(x, z\), got 1"):
            two(X)
        with pytest.raises(ArgumentError, match="'two': nothing is given for its input 'z'"):
            two({"x": X})
        with pytest.raises(UnknownNameError, match="Unknown input of 'two' 'y'"):
            two({"x": X, "y": Z})

    def test_another_shape(self, two):
        with pytest.raises(ShapeError, match=r"'z' expects inputs of shape \(None, 3\), got \(6, 4\)"):
            two([X, X])

    def test_a_symbolic_input_of_another_shape(self, two):
        with pytest.raises(ShapeError, match="built for 4 features but got"):
            two([Input((5,)), Input((3,))])

    def test_a_layer_that_was_never_called(self):
        with pytest.raises(NotBuiltError, match="'d' has no output: it was never called on a symbolic tensor"):
            Dense(2, name="d").output
        with pytest.raises(NotBuiltError, match="does not know its input shape yet: begin with Input, or build it"):
            Sequential([Dense(2)]).inputs

    @pytest.mark.parametrize(
        ("x", "y", "error", "message"),
        [
            (X, TestTraining.Y, ArgumentError, r"expected x as a list or dictionary of 2 arrays \(x, z\), got a nd"),
            ([X], TestTraining.Y, ArgumentError, r"2 arrays \(x, z\), got 1 of them"),
            ({"x": X, "w": Z}, TestTraining.Y, UnknownNameError, "Unknown key of x 'w'"),
            ({"x": X}, TestTraining.Y, ArgumentError, r"fit: expected an array x\['z'\], got None"),
            ([X, Z[:5]], TestTraining.Y, ShapeError, r"fit: x\[0\] has 6 samples but x\[1\] has 5"),
            ([X, Z], TestTraining.Y[0], ArgumentError, r"expected y as a list or dictionary of 2 arrays \(a, b\)"),
            ([X, Z], [TestTraining.Y[0], np.ones((5, 1))], ShapeError, r"x\[0\] has 6 samples but y\[1\] has 5"),
            ([X, Z * np.nan], TestTraining.Y, ValueError, r"fit: x\[1\] has nan in sample 0"),
            ([X, Z], [TestTraining.Y[0], np.ones((6, 3))], ShapeError, "fit: "),
        ],
    )
    def test_bad_data_changes_nothing(self, two, x, y, error, message):
        two.compile("sgd", "mse")
        before = two.get_weights()
        with pytest.raises(error, match=message):
            two.fit(x, y, verbose=0)
        for a, b in zip(before, two.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"loss": ["mse"]}, r"expected loss as a list or dictionary for the outputs a, b, got \['mse'\]"),
            ({"loss": {"a": "mse"}}, "compile: no loss for the output 'b': give None to leave it out"),
            ({"loss": {"a": "mse", "c": "mse"}}, "Unknown output in loss 'c'"),
            ({"loss": "mse", "metrics": ["mae"]}, "expected metrics as a list or dictionary for the outputs a, b"),
            ({"loss": "mse", "loss_weights": [1.0, "x"]}, r"loss_weights\['b'\] must be a finite number, got 'x'"),
        ],
    )
    def test_bad_objectives(self, two, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            two.compile("sgd", **arguments)

    def test_class_weights_need_a_single_output(self, two):
        two.compile("sgd", "mse")
        with pytest.raises(ArgumentError, match="class_weight is for models with a single output: use sample_weight"):
            two.fit([X, Z], TestTraining.Y, class_weight={0: 1.0}, verbose=0)

    def test_loss_weights_need_several_outputs(self):
        x = Input((2,))
        with pytest.raises(ArgumentError, match="loss_weights are for models with several outputs"):
            Model(x, Dense(1)(x)).compile("sgd", "mse", loss_weights=[2.0])
