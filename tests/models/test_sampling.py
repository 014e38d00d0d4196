"""Monte-Carlo dropout: `predict_mc`, `model(x, training=True)` stacked, and layers that drop at inference."""

import numpy as np
import pytest

import minidl as keras
from minidl import predict_mc
from minidl.errors import ArgumentError, ShapeError

X = np.random.default_rng(0).standard_normal((50, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 50)


class MCDropout(keras.layers.Dropout):
    """As in Géron's book."""

    def call(self, inputs):
        return super().call(inputs, training=True)


class MCAlphaDropout(keras.layers.AlphaDropout):
    def call(self, inputs):
        return super().call(inputs, training=True)


def network(*between, seed=1):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(40, activation="relu"), *between])
    model.add(keras.layers.Dense(3, activation="softmax"))
    return model


class TestPredictMC:
    def test_is_the_mean_and_spread_of_predictions_with_dropout_on(self):
        """Against training mode, stacked: with 2000 draws means agree within some σ/√2000, spreads within 5 %."""
        model = network(keras.layers.Dropout(0.5))
        stacked = np.stack([model(X, training=True) for _ in range(2000)])
        mean, deviation = predict_mc(model, X, samples=2000)
        assert mean.shape == deviation.shape == (50, 3)
        assert mean.dtype == deviation.dtype == np.float32
        assert (abs(mean - stacked.mean(0)) < 6 * deviation / np.sqrt(2000)).all()
        # The standard error of a standard deviation of 2000 draws is about 1.6 %, of 150 of them some are far off.
        np.testing.assert_allclose(deviation, stacked.std(0), rtol=0.1)
        np.testing.assert_allclose(mean.sum(axis=-1), 1, rtol=1e-5)

    def test_is_exactly_that_of_the_same_draws(self):
        """Batch by batch; the sums are taken in float64."""

        def model():
            return network(keras.layers.Dropout(0.4, seed=3))

        mean, deviation = predict_mc(model(), X, samples=7, batch_size=20)
        drawn, expected = model(), []
        for start in range(0, 50, 20):
            same = np.stack([drawn(X[start : start + 20], training=True).numpy() for _ in range(7)]).astype(np.float64)
            expected.append((same.mean(0), same.std(0)))
        np.testing.assert_allclose(mean, np.concatenate([m for m, _ in expected]), rtol=1e-6)
        np.testing.assert_allclose(deviation, np.concatenate([s for _, s in expected]), rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize(
        "layer",
        [
            lambda: keras.layers.Dropout(0.3), lambda: keras.layers.AlphaDropout(0.3), lambda: MCDropout(0.3),
            lambda: keras.layers.GaussianDropout(0.3), lambda: keras.layers.GaussianNoise(0.3),
            lambda: MCAlphaDropout(0.3),
            lambda: keras.Sequential([keras.layers.Reshape((5, 8)), keras.layers.SpatialDropout1D(0.3),
                                      keras.layers.Flatten()]),
        ],
    )  # fmt: skip
    def test_every_kind_of_noise_takes_part(self, layer):
        _, deviation = predict_mc(network(layer()), X, samples=20)
        assert (deviation > 0).all()

    def test_without_noise_the_spread_is_0(self):
        model = network()
        mean, deviation = predict_mc(model, X, samples=5)
        np.testing.assert_array_equal(mean, model.predict(X, verbose=0))
        assert not deviation.any()

    def test_one_sample_has_no_spread(self):
        assert not predict_mc(network(keras.layers.Dropout(0.5)), X, samples=1)[1].any()

    def test_leaves_batch_normalization_and_predict_alone(self):
        model = network(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
        model.layers[1].moving_mean.assign_add(np.full(40, 0.1, "float32"))
        before, predicted = model.get_weights(), model.predict(X, verbose=0)
        mean, _ = predict_mc(model, X, samples=500)
        for w, value in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(w, value)
        np.testing.assert_array_equal(model.predict(X, verbose=0), predicted)
        # With the statistics of the batch it would be far from the prediction of inference.
        assert abs(mean - predicted).max() < 0.1

    def test_is_not_turned_off_by_predictions_before(self):
        model = network(keras.layers.Dropout(0.5))
        for _ in range(3):
            model.predict(X, verbose=0)
        assert predict_mc(model, X, samples=10)[1].all()

    def test_several_inputs_and_outputs(self):
        keras.utils.set_random_seed(1)
        a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
        c = keras.layers.Dropout(0.5)(keras.layers.Dense(5)(keras.layers.concatenate([a, b])))
        model = keras.Model([a, b], [keras.layers.Dense(2)(c), keras.layers.Dense(1)(a)])
        mean, deviation = predict_mc(model, {"a": X, "b": X}, samples=10)
        assert [m.shape for m in mean] == [s.shape for s in deviation] == [(50, 2), (50, 1)]
        assert deviation[0].all()
        assert not deviation[1].any()

    @pytest.mark.parametrize("argument", ["samples", "batch_size"])
    def test_wants_at_least_one(self, argument):
        with pytest.raises(ArgumentError, match=f"predict_mc: {argument} must be an integer ≥ 1, got 0"):
            predict_mc(network(), X, **{argument: 0})

    def test_wants_samples(self):
        with pytest.raises(ShapeError, match="predict_mc: x has no samples"):
            predict_mc(network(), X[:0])


class TestLayersThatDropAtInference:
    @pytest.mark.parametrize("kind", [MCDropout, MCAlphaDropout])
    def test_every_prediction_is_new_also_of_a_recorded_step(self, kind):
        model = network(kind(0.5))
        drawn = [model.predict(X, verbose=0) for _ in range(6)] + [model(X).numpy() for _ in range(3)]
        for k, one in enumerate(drawn):
            assert all((one != other).any() for other in drawn[:k])

    @pytest.mark.parametrize("kind", [MCDropout, MCAlphaDropout])
    def test_training_recorded_and_eager_is_the_same(self, kind):
        results = []
        for eagerly in (True, False):
            model = network(kind(0.3))
            model.compile("nadam", "sparse_categorical_crossentropy", run_eagerly=eagerly)
            history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0, validation_data=(X, Y)).history
            results.append([*model.get_weights(), *history.values()])
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_take_over_the_weights_of_a_trained_model(self):
        trained = network(keras.layers.Dropout(0.5))
        layers = [MCDropout(x.rate) if isinstance(x, keras.layers.Dropout) else x for x in trained.layers]
        mc = keras.Sequential(layers)
        mc.set_weights(trained.get_weights())
        assert np.std([mc.predict(X[:1], verbose=0) for _ in range(20)], axis=0).all()
