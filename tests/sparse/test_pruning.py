"""The smallest weights become zero, as many as asked for, and stay zero."""

import numpy as np
import pytest

import minidl as keras
from minidl.callbacks import Callback
from minidl.errors import ArgumentError
from minidl.layers import BatchNormalization, Dense, Input
from minidl.sparse import Masks, PolynomialPruning, prune, sparsity

X = np.random.default_rng(1).standard_normal((60, 8)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 60)


def network(eagerly=False):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        Input((8,)), Dense(10, activation="tanh", name="first"), BatchNormalization(),
        Dense(3, activation="softmax", name="last"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=eagerly)
    return model


class TestPrune:
    def test_makes_the_smallest_of_every_kernel_zero(self):
        model = network()
        before = model.layers[0].kernel.numpy().copy()
        masks = prune(model, 0.75)
        after = model.layers[0].kernel.numpy()
        kept = after != 0
        assert kept.sum() == 20
        np.testing.assert_array_equal(after[kept], before[kept])
        assert np.abs(before[kept]).min() >= np.abs(before[~kept]).max()
        # 30 weights in the last layer: three quarters of them, rounded.
        assert list(sparsity(model).values()) == [0.75, pytest.approx(22 / 30)]
        assert masks.sparsity == pytest.approx((60 + 22) / 110)

    def test_globally_takes_the_smallest_of_all(self):
        model = network()
        model.layers[2].kernel.assign(10 * np.ones((10, 3)))
        prune(model, 0.5, globally=True)
        assert list(sparsity(model).values()) == [pytest.approx(55 / 80), 0]

    def test_by_a_threshold(self):
        model = network()
        model.layers[0].kernel.assign(np.linspace(-1, 1, 80).reshape(8, 10))
        prune(model, threshold=0.5, pattern="first/kernel")
        kernel = model.layers[0].kernel.numpy()
        assert np.abs(kernel[kernel != 0]).min() >= 0.5
        assert (kernel == 0).sum() == 40

    @pytest.mark.parametrize(("share", "left"), [(0.0, 80), (1.0, 0)])
    def test_of_nothing_and_of_everything(self, share, left):
        model = network()
        prune(model, share)
        assert np.count_nonzero(model.layers[0].kernel.numpy()) == left

    def test_bad_arguments(self):
        for arguments in ({}, {"sparsity": 0.5, "threshold": 0.1}):
            with pytest.raises(ArgumentError, match="expected either a sparsity"):
                prune(network(), **arguments)
        with pytest.raises(ArgumentError, match=r"sparsity must be a number in \[0, 1\], got 80"):
            prune(network(), 80)
        with pytest.raises(ArgumentError, match="'conv' is found in no path"):
            prune(network(), 0.5, pattern="conv")


class TestMasks:
    def test_keep_zero_what_is_zero_after_every_step(self):
        class Watch(Callback):
            def on_train_batch_end(self, batch, logs=None):
                assert list(sparsity(self.model).values()) == [0.75, 0]

        model = network()
        masks = prune(model, 0.75, pattern="first/")
        before = model.get_weights()
        model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[masks, Watch()])
        assert (model.layers[0].kernel.numpy() != before[0]).sum() == 20

    def test_without_them_training_fills_the_zeros(self):
        model = network()
        prune(model, 0.75)
        model.fit(X, Y, verbose=0)
        assert max(sparsity(model).values()) < 0.5

    def test_can_be_applied_by_hand(self):
        model = network()
        kernel = model.layers[0].kernel
        masks = Masks({kernel: np.eye(8, 10, dtype=bool)})
        masks.apply()
        assert (kernel.numpy() != 0).sum() == 8


class TestPolynomialPruning:
    def test_follows_the_formula(self):
        """s = s_f + (s_i − s_f)(1 − (t − t₀)/(t₁ − t₀))³"""
        callback = PolynomialPruning(0.9, initial_sparsity=0.5, begin_step=10, end_step=50)
        expected = [0.5, 0.5, 0.9 - 0.4 * 0.75**3, 0.9 - 0.4 * 0.5**3, 0.9, 0.9]
        np.testing.assert_allclose(callback.sparsity_at([0, 10, 20, 30, 50, 99]), expected)

    def test_prunes_when_it_is_due_and_keeps_what_it_pruned(self):
        seen = []

        class Watch(Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(np.count_nonzero(self.model.layers[0].kernel.numpy() == 0))

        callback = PolynomialPruning(0.8, begin_step=2, end_step=8, frequency=4)
        history = network().fit(X, Y, batch_size=20, epochs=4, verbose=0, callbacks=[callback, Watch()])
        # Due in the steps 2 (s = 0), 6 (two thirds of the way) and 8.
        third = round(80 * 0.8 * (1 - (1 / 3) ** 3))
        assert seen == [0, 0, 0, 0, 0, third, third, 64, 64, 64, 64, 64]
        assert history.history["sparsity"] == pytest.approx([0, (third + round(30 * 0.8 * 26 / 27)) / 110, 0.8, 0.8])
        assert callback.masks.sparsity == pytest.approx(0.8)

    def test_ends_after_three_quarters_of_the_training_unless_told(self):
        callback = PolynomialPruning(0.5, frequency=1)
        network().fit(X, Y, batch_size=20, epochs=4, verbose=0, callbacks=[callback])
        assert callback.sparsity_at(8) < 0.5
        assert callback.sparsity_at(9) == 0.5

    def test_gives_the_same_with_steps_that_are_replayed(self):
        weights = []
        for eagerly in (True, False):
            model = network(eagerly)
            model.fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[PolynomialPruning(0.7, frequency=2)])
            weights.append(model.get_weights())
        for a, b in zip(*weights, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_goes_on_at_the_initial_epoch(self):
        callback = PolynomialPruning(0.8, end_step=10, frequency=1)
        model = network()
        model.fit(X, Y, batch_size=20, epochs=3, initial_epoch=2, steps_per_epoch=4, verbose=0, callbacks=[callback])
        assert callback.masks.sparsity == pytest.approx(0.8)

    def test_bad_arguments(self):
        with pytest.raises(ArgumentError, match="initial_sparsity must not be above final_sparsity"):
            PolynomialPruning(0.5, initial_sparsity=0.6)
        with pytest.raises(ArgumentError, match="end_step must come after begin_step"):
            PolynomialPruning(0.5, begin_step=5, end_step=5)
        with pytest.raises(ArgumentError, match="known once fit has begun: give end_step"):
            PolynomialPruning(0.5).sparsity_at(1)
        with pytest.raises(ArgumentError, match="training has 2 steps, pruning would end at step 100"):
            network().fit(X, Y, verbose=0, callbacks=[PolynomialPruning(0.5, end_step=100)])
