"""Dense, Activation, Input, Lambda and Identity."""

import re

import numpy as np
import pytest

from minidl import Model, Sequential, Tensor, activations, ops
from minidl.autodiff import gradcheck
from minidl.errors import ArgumentError, DataFileError, ShapeError, UnknownNameError
from minidl.layers import Activation, Dense, Identity, Input, InputLayer, Lambda, LeakyReLU, PReLU
from minidl.layers.symbolic import KerasTensor
from minidl.models import load_model
from minidl.random import set_random_seed

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


class TestDense:
    def test_is_a_matrix_product_plus_bias(self):
        dense = Dense(2, bias_initializer="ones")
        np.testing.assert_allclose(dense(X), X @ dense.kernel.numpy() + 1, rtol=1e-6)

    @pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (2, 1, 4, 3)])
    def test_acts_on_the_last_axis(self, shape):
        x = np.random.default_rng(1).normal(size=shape)
        dense = Dense(4, dtype="float64")
        y = dense(x).numpy()
        assert y.shape == (*shape[:-1], 4)
        np.testing.assert_allclose(y, np.einsum("...i,ij->...j", x, dense.kernel.numpy()), rtol=1e-12, atol=1e-12)

    def test_weights(self):
        dense = Dense(2)
        dense.build((None, 7, 3))
        assert [(w.name, w.shape) for w in dense.weights] == [("kernel", (3, 2)), ("bias", (2,))]
        assert not dense.bias.numpy().any()
        assert dense.count_params() == 8
        limit = np.sqrt(6 / (3 + 2))
        assert 0 < abs(dense.kernel.numpy()).max() <= limit

    def test_without_bias(self):
        dense = Dense(2, use_bias=False)
        np.testing.assert_allclose(dense(X), X @ dense.kernel.numpy(), rtol=1e-6)
        assert dense.bias is None
        assert [w.name for w in dense.weights] == ["kernel"]

    def test_initializers_are_names_objects_or_arrays(self):
        kernel = np.arange(6.0).reshape(3, 2)
        dense = Dense(2, kernel_initializer=kernel, bias_initializer="ones")
        dense.build((None, 3))
        np.testing.assert_array_equal(dense.kernel, kernel)
        with pytest.raises(UnknownNameError, match="did you mean 'he_normal'"):
            Dense(2, kernel_initializer="he_normel")

    def test_a_seed_fixes_the_weights(self):
        kernels = []
        for _ in range(2):
            set_random_seed(7)
            dense = Dense(4)
            dense(X)
            kernels.append(dense.kernel.numpy())
        np.testing.assert_array_equal(*kernels)

    @pytest.mark.parametrize(
        ("activation", "function"),
        [
            ("relu", ops.relu),
            ("linear", lambda x: x),
            (None, lambda x: x),
            (activations.tanh, ops.tanh),
            (ops.exp, ops.exp),
        ],
    )
    def test_activation_is_a_name_or_a_function(self, activation, function):
        dense = Dense(2, activation=activation)
        plain = Dense(2)
        plain.build((None, 3))
        dense.build((None, 3))
        plain.set_weights(dense.get_weights())
        np.testing.assert_array_equal(dense(X), function(plain(X)))

    def test_activation_may_be_a_layer(self):
        dense = Dense(2, activation=PReLU(alpha_initializer="ones"), name="d")
        dense.build((None, 4, 3))
        assert [w.path for w in dense.weights] == ["d/kernel", "d/bias", f"d/{dense.activation.name}/alpha"]
        assert dense.activation.alpha.shape == (4, 2)
        x = np.random.default_rng(1).normal(size=(2, 4, 3))
        np.testing.assert_allclose(dense(x), x @ dense.kernel.numpy(), rtol=1e-5, atol=1e-6)
        dense.trainable = False
        assert dense.trainable_variables == []

    def test_activation_layer_survives_the_configuration(self):
        config = Dense(2, activation=LeakyReLU(0.1)).get_config()
        twin = Dense.from_config(config)
        assert isinstance(twin.activation, LeakyReLU)
        assert twin.activation.negative_slope == 0.1
        assert twin.get_config() == config

    def test_configuration_has_names(self):
        config = Dense(2, activation="relu", name="d").get_config()
        assert config["activation"] == "relu"
        assert config["kernel_initializer"]["class_name"] == "GlorotUniform"
        assert config["units"] == 2

    @pytest.mark.parametrize("units", [0, -1, 2.0, "2", None, True])
    def test_units_are_a_positive_integer(self, units):
        with pytest.raises(ArgumentError, match=f"Dense: expected units to be an integer ≥ 1, got {units!r}"):
            Dense(units)

    def test_units_may_come_from_numpy(self):
        units = Dense(np.int64(3)).get_config()["units"]
        assert type(units) is int

    @pytest.mark.parametrize("shape", [(), (3,), (5, None)])
    def test_needs_a_known_number_of_features(self, shape):
        with pytest.raises(ShapeError, match=re.escape("Dense 'd' needs inputs (batch, …, features)")):
            Dense(2, name="d").build_for(shape)

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((32, 28, 28), "Dense 'd' was built for 784 features but got (32, 28, 28): add Flatten() before it"),
            ((32, 10), "Dense 'd' was built for 784 features but got (32, 10): expected (batch, …, 784)"),
            ((784,), "Dense 'd' was built for 784 features but got (784,): expected (batch, …, 784)"),
            ((), "Dense 'd' was built for 784 features but got (): expected (batch, …, 784)"),
        ],
    )
    def test_other_inputs_than_it_was_built_for_are_an_error(self, shape, message):
        dense = Dense(2, name="d")
        dense.build((None, 784))
        with pytest.raises(ShapeError, match=re.escape(message)):
            dense(np.zeros(shape, "float32"))

    def test_a_single_feature_needs_an_axis(self):
        dense = Dense(2)
        dense.build((None, 1))
        with pytest.raises(ShapeError, match=re.escape("built for 1 features but got (5,): add Flatten() before it")):
            dense(np.zeros(5, "float32"))

    def test_takes_bytes(self):
        dense = Dense(2)
        y = dense(np.full((1, 3), 200, "uint8"))
        np.testing.assert_allclose(y, 200 * dense.kernel.numpy().sum(0, keepdims=True), rtol=1e-5)
        assert y.dtype == "float32"


class TestActivation:
    @pytest.mark.parametrize("activation", ["relu", "softmax", activations.gelu, LeakyReLU(0.2), None])
    def test_is_the_activation(self, activation):
        layer = Activation(activation)
        np.testing.assert_array_equal(layer(X), layer.activation(X))

    def test_may_be_a_layer_with_weights(self):
        layer = Activation(PReLU())
        layer.build((None, 3))
        assert layer.count_params() == 3
        twin = Activation.from_config(layer.get_config())
        np.testing.assert_array_equal(twin(X), layer(X))

    @pytest.mark.parametrize(
        ("activation", "error", "message"),
        [
            ("rely", UnknownNameError, "did you mean 'relu"),
            (3, ArgumentError, "expected an activation: None, a name"),
            ({"class_name": "PRelu", "config": {}}, UnknownNameError, "Unknown activation layer 'PRelu'"),
        ],
    )
    def test_what_is_none_is_an_error(self, activation, error, message):
        with pytest.raises(error, match=message):
            Activation(activation)


class TestInput:
    @pytest.mark.parametrize(
        ("arguments", "shape"),
        [
            ({"shape": (28, 28)}, (None, 28, 28)),
            ({"shape": [None, 3]}, (None, None, 3)),
            ({"shape": 4}, (None, 4)),
            ({"shape": ()}, (None,)),
            ({"shape": (4,), "batch_size": 32}, (32, 4)),
            ({"batch_shape": (None, 4)}, (None, 4)),
        ],
    )
    def test_says_which_shape_a_network_expects(self, arguments, shape):
        layer = InputLayer(**arguments)
        assert layer.built
        assert layer.batch_shape == layer.batch_input_shape == shape
        assert layer.weights == []
        tensor = Input(**arguments)
        assert isinstance(tensor, KerasTensor)
        assert tensor.shape == shape

    def test_the_symbolic_tensor_is_that_of_a_layer_of_its_name(self):
        tensor = Input((3,), dtype="int32", name="words")
        assert repr(tensor) == "<KerasTensor shape=(None, 3), dtype=int32, name=words>"
        layer = tensor.node.layer
        assert isinstance(layer, InputLayer)
        assert layer.name == "words"
        assert layer.output is layer.input is tensor

    def test_passes_its_input_on(self):
        np.testing.assert_array_equal(InputLayer((3,))(X), X)
        assert InputLayer((3,)).compute_output_shape((5, 3)) == (5, 3)

    @pytest.mark.parametrize(("shape", "inputs"), [((4,), (5, 3)), ((None,), (5,)), ((3,), (5, 3, 1))])
    def test_other_inputs_are_an_error(self, shape, inputs):
        with pytest.raises(ShapeError, match=r"'i' expects inputs of shape \(None, .*\), got \(5,"):
            InputLayer(shape, name="i")(np.zeros(inputs))

    def test_checks_a_fixed_batch_size(self):
        with pytest.raises(ShapeError, match=r"expects inputs of shape \(2, 3\), got \(5, 3\)"):
            InputLayer((3,), batch_size=2)(X)

    @pytest.mark.parametrize("shape", [(-1,), (2.0,), ("3",)])
    def test_sizes_are_integers(self, shape):
        with pytest.raises(ArgumentError, match="Input: expected sizes ≥ 0, or None for an open one, got"):
            Input(shape)

    @pytest.mark.parametrize("arguments", [{}, {"shape": (3,), "batch_shape": (None, 3)}])
    def test_needs_one_shape(self, arguments):
        with pytest.raises(ArgumentError, match=r"Input: expected either shape .* or batch_shape"):
            Input(**arguments)

    def test_may_be_of_integers(self):
        layer = InputLayer((3,), dtype="uint8")
        assert layer(np.ones((2, 3), "uint8")).dtype == "uint8"
        # Fractions are not cut to fit.
        np.testing.assert_array_equal(layer(X), X)


def doubled(x, factor=2.0):
    """A function that a file can name."""
    return x * factor


class TestLambda:
    def test_is_its_function(self):
        np.testing.assert_array_equal(Lambda(lambda x: ops.square(x) + 1)(np.array([[1.0, 2.0]])), [[2, 5]])
        np.testing.assert_array_equal(Lambda(doubled, arguments={"factor": 3})(np.ones((1, 2))), [[3, 3]])

    def test_tells_the_function_whether_it_trains(self):
        layer = Lambda(lambda x, training=False: x if training else -x)
        assert layer(np.ones(1), training=True).tolist() == [1]
        assert layer(np.ones(1)).tolist() == [-1]

    def test_tells_nothing_to_others(self):
        assert Lambda(lambda x, **others: x + len(others))(np.ones(1), training=True).tolist() == [1]
        assert Lambda(np.negative)(np.ones(1), training=True).tolist() == [-1]

    def test_in_a_model(self):
        x = Input((4, 3))
        model = Model([x], Lambda(lambda x: ops.mean(x, axis=1))(x))
        assert model.output_shape == (None, 3)
        np.testing.assert_array_equal(model(np.ones((2, 4, 3))), np.ones((2, 3)))

    def test_of_several_inputs(self):
        a, b = Input((2,)), Input((2,))
        model = Model([a, b], Lambda(lambda xs: xs[0] - xs[1])([a, b]))
        assert model([np.ones((1, 2)), np.ones((1, 2))]).tolist() == [[0, 0]]

    @pytest.mark.parametrize("shape", [(3,), lambda shape: (shape[0], 3)])
    def test_a_shape_that_is_given_is_believed(self, shape):
        assert Lambda(doubled, output_shape=shape).compute_output_shape((None, 4, 3)) == (None, 3)

    def test_gradients(self):
        gradcheck(Lambda(lambda x: ops.exp(x) * x, dtype="float64"), np.array([[0.5, -1.0]]))

    def test_a_file_names_the_function_and_has_no_code(self, tmp_path):
        model = Sequential([Input((2,)), Lambda(doubled, arguments={"factor": 3.0}), Dense(1)])
        model.save(tmp_path / "model.minidl")
        x = np.ones((1, 2), "float32")
        again = load_model(tmp_path / "model.minidl", custom_objects={"doubled": doubled})
        np.testing.assert_array_equal(again(x), model(x))
        with pytest.raises(DataFileError, match="a file has no code, only a name: hand the function over"):
            load_model(tmp_path / "model.minidl")

    def test_repr_and_configuration_name_the_function(self):
        layer = Lambda(doubled, name="twice")
        assert repr(layer).endswith("doubled', name='twice')")
        assert layer.get_config()["arguments"] == {}
        assert Lambda(np.tanh, name="t").get_config()["function"] == "numpy.tanh"

    def test_arguments(self):
        with pytest.raises(ArgumentError, match="Lambda: expected a function, got 3"):
            Lambda(3)
        with pytest.raises(ArgumentError, match="Lambda: masks are not supported"):
            Lambda(doubled, mask=doubled)


def test_identity_gives_what_it_is_given():
    xs = [Tensor(np.ones((2, 3)), "float32"), Tensor(np.zeros(2), "float32")]
    assert all(a is b for a, b in zip(Identity()(xs), xs, strict=True))
    assert Identity().compute_output_shape((None, 3)) == (None, 3)
