"""`evaluate`, `predict`, and the methods that take a single batch: what they return."""

import re

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, DTypeError, ShapeError

X = np.random.default_rng(1).standard_normal((10, 4)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 10)


def compiled(metrics=("accuracy",), **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=list(metrics), **options)
    return model


@pytest.fixture
def model():
    return compiled()


def loss_and_accuracy(model, x=X, y=Y):
    p = model(x).numpy()
    return [-np.log(p[np.arange(len(y)), y]).mean(), (p.argmax(1) == y).mean()]


class TestEvaluate:
    def test_gives_the_loss_and_then_the_metrics(self, model):
        found = model.evaluate(X, Y, verbose=0)
        assert found == pytest.approx(loss_and_accuracy(model), rel=1e-6)
        assert [type(value) for value in found] == [float, float]

    def test_gives_a_number_if_there_are_no_metrics(self):
        model = compiled(metrics=())
        found = model.evaluate(X, Y, verbose=0)
        assert type(found) is float
        assert found == pytest.approx(loss_and_accuracy(model)[0], rel=1e-6)

    def test_gives_a_dictionary_in_alphabetical_order(self, model):
        loss, accuracy = model.evaluate(X, Y, verbose=0)
        found = model.evaluate(X, Y, verbose=0, return_dict=True)
        assert list(found.items()) == [("accuracy", accuracy), ("loss", loss)]

    @pytest.mark.parametrize("batch_size", [1, 3, 10, 100])
    def test_does_not_depend_on_the_batch_size(self, model, batch_size):
        expected = model.evaluate(X, Y, verbose=0)
        assert model.evaluate(X, Y, batch_size=batch_size, verbose=0) == pytest.approx(expected, rel=1e-6)

    def test_of_the_first_steps(self, model):
        assert model.evaluate(X, Y, batch_size=3, steps=2, verbose=0) == pytest.approx(
            model.evaluate(X[:6], Y[:6], verbose=0), rel=1e-6
        )
        with pytest.raises(ArgumentError, match="steps: expected at most 4, the number of batches of 3, got 5"):
            model.evaluate(X, Y, batch_size=3, steps=5)
        with pytest.raises(ArgumentError, match="steps must be an integer ≥ 1, got 0"):
            model.evaluate(X, Y, steps=0)

    def test_weighs_samples(self, model):
        weight = np.zeros(10)
        weight[4] = 10
        loss, accuracy = model.evaluate(X, Y, sample_weight=weight, verbose=0)
        assert loss == pytest.approx(model.evaluate(X[4:5], Y[4:5], verbose=0)[0], rel=1e-6)
        assert accuracy == model.evaluate(X, Y, verbose=0)[1]

    def test_changes_nothing(self, model):
        before = model.get_weights()
        model.evaluate(X, Y, verbose=0)
        assert all(map(np.array_equal, before, model.get_weights()))
        assert int(model.optimizer.iterations) == 0


class TestPredict:
    def test_gives_one_array_for_all_samples(self, model):
        found = model.predict(X, batch_size=3, verbose=0)
        assert type(found) is np.ndarray
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, model(X).numpy(), rtol=1e-6)

    def test_needs_no_compiling(self):
        model = keras.Sequential([keras.layers.Dense(2)])
        assert model.predict(X, verbose=0).shape == (10, 2)

    def test_is_done_in_inference_mode(self):
        model = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.BatchNormalization()])
        first = model.predict(X, verbose=0)
        np.testing.assert_array_equal(model.predict(X, verbose=0), first)
        assert (model.layers[1].moving_mean.numpy() == 0).all()

    def test_of_the_first_steps(self, model):
        assert model.predict(X, batch_size=3, steps=2, verbose=0).shape == (6, 3)

    def test_of_nan_is_nan(self, model):
        """Not the business of predict: the samples beside it have their predictions."""
        x = X.copy()
        x[2] = np.nan
        found = model.predict(x, verbose=0)
        assert np.isnan(found).any(axis=1).tolist() == [k == 2 for k in range(10)]

    @pytest.mark.parametrize("method", ["predict", "predict_on_batch"])
    @pytest.mark.parametrize(
        ("x", "error", "message"),
        [
            (X[:0], ShapeError, "x has no samples, its shape is (0, 4)"),
            ([], ShapeError, "x has no samples, its shape is (0,)"),
            (None, ArgumentError, "expected an array x, got None"),
            (1.0, ShapeError, "expected x to have one entry a sample, got the single number 1.0"),
            (["a"], DTypeError, "expected numbers in x, got dtype <U1"),
            (X[:, :3], ShapeError, "expects inputs of shape (None, 4), got (10, 3)"),
        ],
    )
    def test_of_what_cannot_be_predicted_for(self, model, method, x, error, message):
        with pytest.raises(error, match=re.escape(message)):
            getattr(model, method)(x)

    def test_on_batch_takes_all_samples_at_once(self, model):
        shapes = []

        class Shape(keras.layers.Layer):
            def call(self, inputs):
                shapes.append(inputs.shape)
                return inputs

        model.add(Shape())
        shapes.clear()
        found = model.predict_on_batch(np.ones((100, 4)))
        assert shapes == [(100, 3)]
        assert type(found) is np.ndarray


class TestOnBatch:
    """As in Keras, each call stands for itself: no running mean goes from one to the next."""

    def test_train_gives_the_loss_before_the_step(self, model):
        model.layers[0].trainable = False
        expected = loss_and_accuracy(model)
        assert model.train_on_batch(X, Y) == pytest.approx(expected, rel=1e-6)
        assert model.train_on_batch(X, Y)[0] < expected[0]
        assert int(model.optimizer.iterations) == 2

    def test_train_is_a_step_of_fit(self):
        once, other = compiled(), compiled()
        once.fit(X, Y, shuffle=False, verbose=0)
        other.train_on_batch(X, Y)
        assert all(map(np.array_equal, once.get_weights(), other.get_weights()))

    def test_test_changes_nothing(self, model):
        before = model.get_weights()
        assert model.test_on_batch(X, Y) == model.test_on_batch(X, Y) == model.evaluate(X, Y, verbose=0)
        assert all(map(np.array_equal, before, model.get_weights()))

    @pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
    def test_give_lists_numbers_or_dictionaries_as_evaluate_does(self, method):
        loss, accuracy = getattr(compiled(), method)(X, Y)
        assert getattr(compiled(), method)(X, Y, return_dict=True) == {"accuracy": accuracy, "loss": loss}
        assert getattr(compiled(metrics=()), method)(X, Y) == loss

    @pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
    def test_weigh_samples(self, method):
        weight = np.arange(10.0)
        losses = [getattr(compiled(), method)(X, Y, sample_weight=w)[0] for w in (None, weight, 2 * weight)]
        assert losses[1] != losses[0]
        assert losses[2] == pytest.approx(2 * losses[1], rel=1e-6)

    def test_train_weighs_classes(self):
        found = compiled().train_on_batch(X, Y, class_weight={0: 2.0, 2: 0.0})
        assert found == compiled().train_on_batch(X, Y, sample_weight=np.array([2.0, 1.0, 0.0])[Y])

    def test_do_not_disturb_each_other_or_a_failed_one(self, model):
        expected = model.test_on_batch(X, Y)
        with pytest.raises(ArgumentError):
            model.test_on_batch(X, Y + 3)
        assert model.test_on_batch(X, Y) == expected
