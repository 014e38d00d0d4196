"""`compile`: an optimizer, a loss and metrics, as names, objects, classes or functions."""

import warnings

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, MiniDLWarning, NotCompiledError, UnknownNameError

X = np.random.default_rng(1).standard_normal((12, 4)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 12)


def network(outputs=3, activation="softmax"):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(outputs, activation=activation)])


def results(loss, metrics, y=Y, outputs=3, activation="softmax", **options):
    model = network(outputs, activation)
    model.compile(loss=loss, metrics=metrics, **options)
    return model.evaluate(X, y, verbose=0, return_dict=True)


def test_before_it_a_model_can_predict_and_nothing_else():
    model = network()
    assert model.predict(X, verbose=0).shape == (12, 3)
    for use in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(NotCompiledError, match=r"'sequential\w*' is not compiled: call compile\(optimizer="):
            use(X, Y)
    with pytest.raises(NotCompiledError):
        model.metrics_names
    assert model.optimizer is None


@pytest.mark.parametrize(
    "optimizer", ["sgd", "SGD", keras.optimizers.SGD(), keras.optimizers.SGD, {"class_name": "SGD", "config": {}}]
)
def test_optimizers(optimizer):
    model = network()
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    assert type(model.optimizer) is keras.optimizers.SGD
    assert model.optimizer.learning_rate.numpy() == 0.01


def test_the_optimizer_is_rmsprop_unless_told_otherwise():
    model = network()
    model.compile(loss="mse")
    assert type(model.optimizer) is keras.optimizers.RMSprop


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
        lambda y_true, y_pred: keras.losses.sparse_categorical_crossentropy(keras.ops.cast(y_true, "int64"), y_pred),
    ],
    ids=["name", "class name", "object", "class", "function", "function of one's own"],
)
def test_losses(loss):
    probabilities = network().predict(X, verbose=0)
    expected = -np.log(probabilities[np.arange(12), Y]).mean()
    assert results(loss, None) == {"loss": pytest.approx(expected, rel=1e-5)}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"loss": "mse", "optimizer": None}, ArgumentError, "expected an optimizer, such as optimizer="),
        ({"loss": "msee"}, UnknownNameError, "Unknown loss 'msee': did you mean 'mse'"),
        ({"loss": "mse", "optimizer": "adm"}, UnknownNameError, "Unknown optimizer 'adm': did you mean 'adam'"),
        ({"loss": "mse", "metrics": ["acuracy"]}, UnknownNameError, "'acuracy': did you mean 'accuracy'"),
        ({"loss": "mse", "weighted_metrics": ["mea"]}, UnknownNameError, "Unknown metric 'mea': did you mean 'mean'"),
        ({"loss": 3}, ArgumentError, "expected a loss: a name"),
        ({"loss": "mse", "optimizer": 3}, ArgumentError, "expected an optimizer: a name"),
        ({"loss": "mse", "metrics": [3]}, ArgumentError, "expected a name, a metric or its class, or a function"),
        ({"loss": "mse", "metrics": [["mae"]]}, ArgumentError, "expected a name, a metric or its class, or a function"),
        ({"loss": "mse", "metrics": ["mae", "mae"]}, ArgumentError, "the name 'mae' is taken"),
    ],
)
def test_what_makes_no_sense_leaves_the_model_as_it_was(arguments, error, message):
    model = network()
    model.compile("sgd", "mae")
    optimizer, objective = model.optimizer, model.objective
    with pytest.raises(error, match=message):
        model.compile(**arguments)
    assert model.optimizer is optimizer
    assert model.objective is objective


class TestMetrics:
    def test_have_the_names_they_were_asked_for_with(self):
        metrics = ["acc", "sparse_categorical_accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")]
        found = results("sparse_categorical_crossentropy", metrics)
        assert list(found) == ["acc", "loss", "sparse_categorical_accuracy", "top2"]
        assert found["acc"] == found["sparse_categorical_accuracy"]

    def test_names_come_in_the_order_of_evaluate(self):
        model = network()
        weighted = ["acc", "crossentropy"]
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"], weighted_metrics=weighted)
        assert model.metrics_names == ["loss", "acc", "weighted_acc", "crossentropy"]
        named = model.evaluate(X, Y, verbose=0, return_dict=True)
        assert model.evaluate(X, Y, verbose=0) == [named[name] for name in model.metrics_names]

    def test_accuracy_is_sparse_for_labels(self):
        expected = (network().predict(X, verbose=0).argmax(1) == Y).mean()
        for y in (Y, Y[:, None]):
            assert results("sparse_categorical_crossentropy", ["accuracy"], y)["accuracy"] == pytest.approx(expected)

    def test_accuracy_is_categorical_for_one_hot_labels(self):
        expected = (network().predict(X, verbose=0).argmax(1) == Y).mean()
        assert results("categorical_crossentropy", ["accuracy"], np.eye(3)[Y])["accuracy"] == pytest.approx(expected)

    def test_accuracy_is_binary_for_a_single_output(self):
        y = Y > 0
        expected = ((network(1, "sigmoid").predict(X, verbose=0)[:, 0] > 0.5) == y).mean()
        for labels in (y, y[:, None], y.astype("float32")):
            found = results("binary_crossentropy", ["accuracy"], labels, 1, "sigmoid")
            assert found["accuracy"] == pytest.approx(expected)

    def test_crossentropy_is_that_of_the_shapes(self):
        found = results("sparse_categorical_crossentropy", ["crossentropy"])
        assert found["crossentropy"] == pytest.approx(found["loss"], rel=1e-6)

    def test_may_be_functions(self):
        def largest_probability(y_true, y_pred):
            return y_pred.max(axis=-1)

        expected = network().predict(X, verbose=0).max(axis=1).mean()
        found = results("sparse_categorical_crossentropy", [largest_probability])
        assert found["largest_probability"] == pytest.approx(expected, rel=1e-6)

    def test_may_be_functions_of_operations_on_tensors(self):
        """As Keras users write them, with ops, although minidl hands them arrays."""

        def worst(y_true, y_pred):
            return keras.ops.max(keras.ops.abs(y_true - y_pred), axis=-1)

        assert results("mse", [worst], X[:, :3], activation=None)["worst"] > 0

    @pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
    def test_may_be_a_single_string_with_a_warning_that_names_this_line(self, argument):
        model = network()
        with pytest.warns(MiniDLWarning, match=rf'{argument}="accuracy" is an old spelling') as caught:
            model.compile("sgd", "sparse_categorical_crossentropy", **{argument: "accuracy"})
        assert [warning.filename for warning in caught] == [__file__]
        assert list(model.evaluate(X, Y, verbose=0, return_dict=True)) == ["accuracy", "loss"]

    def test_of_a_tuple_need_no_warning(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            network().compile("sgd", "sparse_categorical_crossentropy", metrics=("accuracy",))


def test_compiling_again_forgets_the_optimizer_and_the_metrics_and_keeps_the_weights():
    model = network()
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, verbose=0)
    weights = model.get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert isinstance(model.evaluate(X, Y, verbose=0), float)
    assert int(model.optimizer.iterations) == 0


def test_what_was_compiled_can_be_asked_for():
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile("sgd", loss)
    assert model.loss is loss
    assert model.run_eagerly is False


def test_the_optimizers_learning_rate_can_be_read_and_assigned():
    model = network()
    model.compile(keras.optimizers.SGD(learning_rate=0.5), "mse")
    assert model.optimizer.learning_rate.numpy() == 0.5
    model.optimizer.learning_rate = 0.25
    assert float(model.optimizer.learning_rate) == 0.25
