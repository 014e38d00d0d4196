"""The Hessian of a model's loss by its products: against formulas, difference quotients, and itself."""

import numpy as np
import pytest

import minidl as keras
from minidl import layers
from minidl.diagnostics import Hessian
from minidl.errors import ArgumentError, NotBuiltError, NotCompiledError, ShapeError


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def network(*middle, activation="tanh", loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(1)
    first, last = layers.Dense(5, activation=activation), layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((4,)), first, *middle, last])
    model.compile("sgd", loss)
    return model


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((20, 4)), rng.integers(0, 3, 20)


def gradient(model, x, y, training):
    with keras.GradientTape() as tape:
        loss = model.objective(y, model(x, training=training))
    return np.concatenate([np.asarray(g).ravel() for g in tape.gradient(loss, model.trainable_variables)])


def moved(model, step):
    """The model's weights, moved by a vector of all of them."""
    ends = np.cumsum([v.size for v in model.trainable_variables])[:-1]
    for variable, part in zip(model.trainable_variables, np.split(step, ends), strict=True):
        variable.assign_add(part.reshape(variable.shape))


@pytest.mark.usefixtures("float64")
class TestProduct:
    def test_of_logistic_regression_is_the_formula(self, data):
        """H = Xᵀ·diag(p(1 − p))·X/n, with a column of ones in X for the bias."""
        x, y = data
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid", kernel_initializer="ones")])
        model.compile("sgd", "binary_crossentropy")
        p = 1 / (1 + np.exp(-x.sum(axis=1)))
        ones = np.column_stack([x, np.ones(20)])
        exact = ones.T @ (ones * (p * (1 - p))[:, None]) / 20
        hessian = Hessian(model, x, y == 0)
        assert hessian.shape == (5, 5)
        np.testing.assert_allclose(hessian @ np.eye(5), exact, rtol=1e-10, atol=1e-14)

    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("middle", [[], [layers.BatchNormalization]])
    def test_is_the_derivative_of_the_gradient(self, data, middle, training):
        """(∇L(w + hv) − ∇L(w − hv))/2h is off by h² and rounding/h: 1e-10 and 1e-11. Batch statistics move with w."""
        x, y = data
        model = network(*(kind() for kind in middle))
        hessian = Hessian(model, x, y, training=training)
        v = np.random.default_rng(3).standard_normal(hessian.shape[0])
        product = hessian @ v
        h = 1e-5
        moved(model, h * v)
        after = gradient(model, x, y, training)
        moved(model, -2 * h * v)
        quotient = (after - gradient(model, x, y, training)) / (2 * h)
        np.testing.assert_allclose(product, quotient, atol=1e-7 * np.abs(quotient).max())

    def test_of_batch_normalization_depends_on_the_mode(self, data):
        model = network(layers.BatchNormalization())
        v = np.ones(Hessian(model, *data).shape[0])
        assert np.abs(Hessian(model, *data) @ v - Hessian(model, *data, training=True) @ v).max() > 1e-3

    def test_is_symmetric(self, data):
        model = network(layers.BatchNormalization(), layers.Dropout(0.4))
        matrix = Hessian(model, *data, training=True) @ np.eye(Hessian(model, *data).shape[0])
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)

    def test_weights_samples(self, data):
        """A sample that weighs twice as much as others is there twice; the sum is divided by the number of samples."""
        x, y = data
        model = network()
        v = np.random.default_rng(3).standard_normal(Hessian(model, x, y).shape[0])
        weighted = Hessian(model, x, y, sample_weight=np.array([2.0] + [1.0] * 19)) @ v
        twice = Hessian(model, np.concatenate([x[:1], x]), np.concatenate([y[:1], y])) @ v
        np.testing.assert_allclose(weighted * 20, twice * 21, rtol=1e-10, atol=1e-12)

    def test_by_variable_is_the_flat_one_in_pieces(self, data):
        model = network()
        hessian = Hessian(model, *data)
        vectors = [np.full(v.shape, k + 1.0) for k, v in enumerate(model.trainable_variables)]
        products = hessian.product(vectors)
        assert [p.shape for p in products] == [v.shape for v in model.trainable_variables]
        flat = hessian @ np.concatenate([v.ravel() for v in vectors])
        np.testing.assert_array_equal(np.concatenate([p.ravel() for p in products]), flat)

    def test_includes_what_regularizers_add(self, data):
        """The Hessian of λ·Σw² is 2λ·I; an activity regularizer counts as well."""
        x, y = data

        def hessian(**regularizers):
            keras.utils.set_random_seed(1)
            model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax", **regularizers)])
            model.compile("sgd", "sparse_categorical_crossentropy")
            return Hessian(model, x, y) @ np.eye(15)

        difference = hessian(kernel_regularizer=keras.regularizers.L2(0.1)) - hessian()
        np.testing.assert_allclose(difference, np.diag([0.2] * 12 + [0] * 3), atol=1e-12)
        assert np.abs(hessian(activity_regularizer="l2") - hessian()).max() > 1e-4

    def test_is_of_the_loss_that_the_model_computes(self, data):
        """Half of the loss it was compiled with; and one that its call adds, without targets."""

        class Halved(keras.Sequential):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
                return super().compute_loss(x, y, y_pred, sample_weight) / 2

        whole = network()
        half = Halved([keras.Input((4,)), *whole.layers])
        half.compile("sgd", whole.loss)
        v = np.random.default_rng(4).standard_normal(43)
        np.testing.assert_allclose(2 * (Hessian(half, *data) @ v), Hessian(whole, *data) @ v, rtol=1e-12, atol=1e-15)

        class Small(keras.Model):
            def __init__(self):
                super().__init__()
                self.layer = layers.Dense(1, use_bias=False)

            def call(self, x):
                self.add_loss(keras.ops.mean(self.layer(x) ** 2))
                return x

        x, model = data[0], Small()
        model(x)
        model.compile("sgd")
        np.testing.assert_allclose(Hessian(model, x) @ np.eye(4), 2 * x.T @ x / len(x), rtol=1e-12)

    def test_leaves_frozen_layers_out(self, data):
        model = network()
        everything = Hessian(model, *data) @ np.eye(43)
        model.layers[0].trainable = False
        assert Hessian(model, *data).shape == (18, 18)
        np.testing.assert_allclose(Hessian(model, *data) @ np.eye(18), everything[25:, 25:], atol=1e-14)

    def test_of_several_inputs_and_outputs(self, data):
        x, _ = data
        a, b = keras.Input((4,)), keras.Input((4,))
        joined = layers.Dense(3, activation="tanh")(layers.Add()([a, b]))
        model = keras.Model([a, b], [layers.Dense(1)(joined), layers.Dense(2)(joined)])
        model.compile("sgd", "mse")
        matrix = Hessian(model, [x, x[::-1]], [x[:, :1], x[:, :2]]) @ np.eye(27)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-13)
        assert np.abs(matrix).max() > 0.1


class TestModel:
    def test_stays_as_it_is_and_keeps_its_precision(self, data):
        """Moving averages and the generator of dropout as well: every product has the same units dropped."""
        model = network(layers.BatchNormalization(), layers.Dropout(0.4))
        hessian = Hessian(model, *data, training=True)
        before = [w.tobytes() for w in model.get_weights()]
        v = np.ones(hessian.shape[0], np.float32)
        first, second = hessian @ v, hessian @ v
        np.testing.assert_array_equal(first, second)
        assert first.dtype == hessian.dtype == np.float32
        assert [w.tobytes() for w in model.get_weights()] == before

    def test_may_learn_between_products(self, data):
        model = network()
        hessian = Hessian(model, *data)
        v = np.ones(43, np.float32)
        before = hessian @ v
        model.fit(*data, verbose=0)
        assert np.abs(hessian @ v - before).max() > 1e-4


@pytest.mark.usefixtures("float64")
class TestEigenvalues:
    def test_top_one_is_the_largest_in_modulus(self, data):
        hessian = Hessian(network(), *data)
        values, vectors = np.linalg.eigh(hessian @ np.eye(43))
        top = np.abs(values).argmax()
        value, vector = hessian.top_eigenvalue(iterations=1000, tolerance=1e-6)
        assert value == pytest.approx(values[top], rel=1e-6)
        assert abs(vector @ vectors[:, top]) == pytest.approx(1, abs=1e-6)
        assert np.linalg.norm(vector) == pytest.approx(1)

    def test_says_where_gradient_descent_falls_apart(self):
        """L = w²/2·λ: with a learning rate above 2/λ every step leads farther away."""
        model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="ones")])
        x, y = np.array([[3.0]]), np.zeros((1, 1))
        model.compile("sgd", "mse")
        top, _ = Hessian(model, x, y).top_eigenvalue()
        assert top == pytest.approx(2 * 9)
        for factor, grows in ((0.99, False), (1.01, True)):
            model.layers[0].kernel.assign([[1.0]])
            model.compile(keras.optimizers.SGD(factor * 2 / top), "mse")
            model.fit(x, y, epochs=10, verbose=0)
            assert (abs(model.layers[0].kernel.numpy().item()) > 1) == grows

    def test_a_flat_loss(self):
        """Without curvature there is nothing to divide by."""
        model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
        model.compile("sgd", lambda y, y_pred: y_pred)
        value, vector = Hessian(model, np.ones((3, 2)), np.ones((3, 1))).top_eigenvalue()
        assert value == 0
        assert np.linalg.norm(vector) == pytest.approx(1)

    def test_scipy_takes_it_for_an_operator(self, data):
        linalg = pytest.importorskip("scipy.sparse.linalg")
        hessian = Hessian(network(), *data)
        largest = linalg.eigsh(linalg.aslinearoperator(hessian), k=3, which="LA", return_eigenvectors=False)
        np.testing.assert_allclose(np.sort(largest), np.linalg.eigvalsh(hessian @ np.eye(43))[-3:], rtol=1e-8)


class TestErrors:
    def test_a_model_without_a_loss_or_without_weights(self, data):
        model = keras.Sequential([layers.Dense(3)])
        with pytest.raises(NotCompiledError, match="is not compiled"):
            Hessian(model, *data)
        model.compile("sgd", "mse")
        with pytest.raises(NotBuiltError, match="has no weights yet"):
            Hessian(model, data[0], np.ones((20, 3)))

    def test_nothing_to_train(self, data):
        model = network()
        model.trainable = False
        with pytest.raises(ArgumentError, match="has no trainable variables: set trainable = True"):
            Hessian(model, *data).top_eigenvalue()

    def test_vectors_that_do_not_fit(self, data):
        hessian = Hessian(network(), *data)
        with pytest.raises(ShapeError, match=r"expected a vector of 43 numbers, got shape \(42,\)"):
            hessian @ np.ones(42)
        with pytest.raises(ShapeError, match="expected 4 arrays, one for each variable, got 1"):
            hessian.product([np.ones((4, 5))])
        with pytest.raises(ShapeError, match=r"'sequential\S*/dense\S*/kernel' has shape \(4, 5\), got \(5, 4\)"):
            hessian.product([np.ones((5, 4))] * 4)

    def test_numbers(self, data):
        with pytest.raises(ArgumentError, match="training must be True or False"):
            Hessian(network(), *data, training="yes")
        with pytest.raises(ArgumentError, match="iterations must be an integer ≥ 1"):
            Hessian(network(), *data).top_eigenvalue(iterations=0)
        with pytest.raises(ArgumentError, match="tolerance must be a number > 0"):
            Hessian(network(), *data).top_eigenvalue(tolerance=0)
