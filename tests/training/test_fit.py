"""`fit`: epochs of batches, what they are told as, and what may happen between and during them."""

from itertools import chain, pairwise

import numpy as np
import pytest

import minidl as keras
from minidl.autodiff import graph
from minidl.autodiff.recording import Trace
from minidl.autodiff.replaying import Runner


class Batches(keras.callbacks.Callback):
    """Counts the batches of every epoch."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append((epoch, 0))

    def on_train_batch_end(self, batch, logs=None):
        epoch, count = self.epochs[-1]
        assert batch == count
        self.epochs[-1] = epoch, count + 1


class Seen(keras.layers.Layer):
    """Passes its input on and writes down the first feature of every sample that it trains on."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def call(self, inputs, training=None):
        if training:
            self.batches.append(inputs.numpy()[:, 0].tolist())
        return inputs


@pytest.fixture
def counting():
    """A model whose samples are 0, 1, 2, … and the layer that sees them."""
    seen = Seen()
    model = keras.Sequential([keras.Input((1,)), seen, keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mae")
    return model, seen.batches, np.arange(10.0)[:, None], np.zeros(10)


class TestHistory:
    def test_has_a_number_for_every_epoch(self, model, x, y):
        history = model.fit(x, y, epochs=3, validation_split=0.25, verbose=0)
        assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
        assert all(len(values) == 3 and all(type(v) is float for v in values) for values in history.history.values())
        assert history.epoch == [0, 1, 2]
        assert history.params == {"verbose": 0, "epochs": 3, "steps": 1}
        assert model.history is history

    def test_is_that_of_the_last_fit(self, model, x, y):
        first = model.fit(x, y, epochs=2, verbose=0)
        second = model.fit(x, y, epochs=1, verbose=0)
        assert len(first.history["loss"]) == 2
        assert len(second.history["loss"]) == 1

    def test_counts_from_the_initial_epoch(self, model, x, y):
        history = model.fit(x, y, epochs=5, initial_epoch=3, verbose=0)
        assert history.epoch == [3, 4]
        assert len(history.history["loss"]) == 2

    @pytest.mark.parametrize("options", [{"epochs": 0}, {"epochs": 3, "initial_epoch": 3}])
    def test_of_no_epochs_is_empty(self, model, state, x, y, options):
        before = state(model)
        assert model.fit(x, y, verbose=0, **options).history == {}
        assert state(model) == before

    def test_has_the_validation_at_every_so_manieth_epoch_only(self, model, x, y):
        history = model.fit(x, y, epochs=5, validation_data=(x, y), validation_freq=2, verbose=0)
        assert len(history.history["loss"]) == 5
        assert len(history.history["val_loss"]) == 2

    def test_has_the_validation_at_the_epochs_that_are_listed(self, model, x, y):
        """They count from 1, as in Keras, while those of the history count from 0."""
        history = model.fit(x, y, epochs=5, validation_data=(x, y), validation_freq=[1, 4], verbose=0)
        assert history.epochs["val_loss"] == [0, 3]


class TestBatches:
    def test_are_of_32_samples_unless_told_otherwise(self, make_model):
        model, counted = make_model(), Batches()
        model.fit(np.zeros((65, 4)), np.zeros(65), callbacks=[counted], verbose=0)
        assert counted.epochs == [(0, 3)]

    def test_come_in_order_without_shuffling_and_the_last_may_be_smaller(self, counting):
        model, batches, x, y = counting
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] * 2

    def test_are_drawn_anew_for_every_epoch(self, counting):
        """Every sample once an epoch, in another order."""
        model, batches, x, y = counting
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        first, second = list(chain(*batches[:3])), list(chain(*batches[3:]))
        assert sorted(first) == sorted(second) == list(range(10))
        assert first != second
        assert list(range(10)) not in (first, second)

    def test_keep_targets_and_weights_beside_their_samples(self, counting):
        """With target = sample and weight = 0 wherever they differ, the loss of the identity is 0."""
        model, _, x, _ = counting
        y, weight = x[:, 0].copy(), np.ones(10)
        y[3], weight[3] = 99, 0
        history = model.fit(x, y, sample_weight=weight, batch_size=3, epochs=3, verbose=0)
        assert history.history["loss"] == [0, 0, 0]

    def test_of_steps_per_epoch_go_on_where_the_last_epoch_ended(self, counting):
        """Keras ends the epoch in which the data run out early, and warns."""
        model, batches, x, y = counting
        history = model.fit(x, y, batch_size=4, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0)
        assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert history.history["loss"] == [3.5, (0 + 1 + 2 + 3 + 8 + 9) / 6, (4 + 5 + 6 + 7 + 8 + 9) / 6]
        assert history.params["steps"] == 2

    def test_of_steps_per_epoch_may_be_more_than_one_pass(self, counting):
        model, batches, x, y = counting
        model.fit(x, y, batch_size=5, epochs=1, steps_per_epoch=5, shuffle=False, verbose=0)
        assert [batch[0] for batch in batches] == [0, 5, 0, 5, 0]

    def test_of_the_validation_can_be_the_first_ones_only(self, counting):
        model, _, x, y = counting
        options = {"validation_data": (x, y), "validation_batch_size": 4, "validation_steps": 2}
        history = model.fit(x, y, verbose=0, **options)
        assert history.history["val_loss"] == [3.5]


class TestData:
    @pytest.mark.parametrize("convert", [np.ndarray.tolist, lambda a: tuple(map(tuple, a.tolist())), keras.Tensor])
    def test_may_be_lists_tuples_or_tensors(self, make_model, x, y, convert):
        y = y[:, None]
        expected = make_model().fit(x, y, verbose=0).history["loss"]
        assert make_model().fit(convert(x), convert(y), verbose=0).history["loss"] == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float16", "float64"])
    def test_may_have_any_numeric_dtype_and_the_weights_stay_float32(self, make_model, x, y, dtype):
        x = (x > 0).astype(dtype)
        expected, found = make_model(), make_model()
        expected.fit(x.astype("float32"), y, shuffle=False, verbose=0)
        found.fit(x, y, shuffle=False, verbose=0)
        for a, b in zip(expected.get_weights(), found.get_weights(), strict=True):
            assert b.dtype == np.float32
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float32", "bool"])
    def test_labels_may_have_any_dtype(self, make_model, x, y, dtype):
        labels = (y > 0).astype(dtype)
        expected = make_model().fit(x, labels.astype("int64"), verbose=0).history
        assert make_model().fit(x, labels, verbose=0).history == expected

    def test_labels_may_be_a_column(self, make_model, x, y):
        assert make_model().fit(x, y[:, None], verbose=0).history == make_model().fit(x, y, verbose=0).history

    def test_labels_may_be_one_hot_with_their_loss(self, make_model, x, y):
        """The two cross-entropies take the same values in another order of summation."""
        expected = make_model().fit(x, y, verbose=0).history
        found = make_model(loss="categorical_crossentropy").fit(x, np.eye(3)[y], verbose=0).history
        assert found["accuracy"] == expected["accuracy"]
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)

    def test_is_not_modified(self, model, x, y):
        for array in (x, y):
            array.flags.writeable = False
        weight = np.ones(20)
        weight.flags.writeable = False
        model.fit(x, y, sample_weight=weight, validation_data=(x, y, weight), verbose=0)

    def test_validation_split_takes_the_last_samples_before_shuffling(self, counting):
        model, batches, x, y = counting
        history = model.fit(x, y, validation_split=0.25, verbose=0)
        assert sorted(batches[0]) == [0, 1, 2, 3, 4, 5, 6]
        assert history.history["val_loss"] == [8.0]

    def test_validation_data_goes_before_validation_split(self, counting):
        model, _, x, y = counting
        history = model.fit(x, y, validation_data=(x, y), validation_split=0.25, verbose=0)
        assert history.history["val_loss"] == [4.5]

    def test_validation_data_may_be_a_list_and_have_weights(self, counting):
        model, _, x, y = counting
        weight = np.zeros(10)
        weight[7] = 10
        history = model.fit(x, y, validation_data=[x, y, weight], verbose=0)
        assert history.history["val_loss"] == [7.0]

    def test_class_weights_are_sample_weights(self, make_model, x, y):
        """A class that is not named weighs 1; one-hot labels and columns of labels have classes, too."""
        weights = np.array([0.5, 1.0, 3.0])
        expected = make_model().fit(x, y, sample_weight=weights[y], verbose=0).history["loss"]
        by_class = {0: 0.5, np.int64(2): np.float32(3)}
        for labels in (y, y[:, None], y.astype("float32")):
            assert make_model().fit(x, labels, class_weight=by_class, verbose=0).history["loss"] == expected
        one_hot = make_model(loss="categorical_crossentropy")
        found = one_hot.fit(x, np.eye(3)[y], class_weight=by_class, verbose=0).history["loss"]
        assert found == pytest.approx(expected, rel=1e-6)

    def test_class_weights_of_a_class_that_does_not_occur_do_nothing(self, make_model, x, y):
        expected = make_model().fit(x, y, verbose=0).history
        assert make_model().fit(x, y, class_weight={7: 100.0}, verbose=0).history == expected


class TestFreezing:
    """`trainable` is read at every step: nothing has to be compiled again."""

    def test_between_two_fits(self, model, x, y):
        model.fit(x, y, verbose=0)
        first, batch_normalization, last = model.layers
        first.trainable = False
        batch_normalization.trainable = False
        frozen = first.get_weights() + batch_normalization.get_weights()
        bias = last.bias.numpy().copy()
        model.fit(x, y, epochs=2, verbose=0)
        for before, after in zip(frozen, first.get_weights() + batch_normalization.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        assert (last.bias.numpy() != bias).any()

    def test_and_unfreezing(self, model, x, y):
        model.trainable = False
        model.fit(x, y, verbose=0)
        kernel = model.layers[0].kernel.numpy().copy()
        model.trainable = True
        model.fit(x, y, verbose=0)
        assert (model.layers[0].kernel.numpy() != kernel).all()

    def test_everything_leaves_every_weight_as_it_is(self, model, x, y):
        model.trainable = False
        before = model.get_weights()
        history = model.fit(x, y, epochs=2, verbose=0, shuffle=False)
        assert history.history["loss"][0] == history.history["loss"][1]
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_in_a_callback(self, model, x, y):
        first = model.layers[0]
        kernels = []

        class FreezeAfterTwoBatches(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                first.trainable = batch < 1
                kernels.append(first.kernel.numpy().copy())

        model.fit(x, y, batch_size=4, callbacks=[FreezeAfterTwoBatches()], verbose=0)
        changed = [bool((a != b).any()) for a, b in pairwise(kernels)]
        assert changed == [True, False, False, False]


class TestWhileTraining:
    def test_ctrl_c_between_two_lines_leaves_no_block_open(self, make_model, state, x, y):
        """As if it came just after a recording or `no_grad` had begun, before the block that would end it."""

        class Unlucky(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                graph._trace.set(Trace([], Runner()))
                graph._recording.set(False)
                raise KeyboardInterrupt

        interrupted, calm = make_model(), make_model()
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(x, y, batch_size=20, shuffle=False, verbose=0, callbacks=[Unlucky()])
        assert graph.active_trace() is None
        assert graph.is_recording()
        interrupted.fit(x, y, batch_size=20, shuffle=False, verbose=0)
        calm.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0)
        assert state(interrupted) == state(calm)

    def test_the_learning_rate_may_change(self, make_model, x, y):
        """With rate 0 from the second epoch on, the weights stay those of the first."""

        class ToZero(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    self.model.optimizer.learning_rate = 0.0

        once, thrice = make_model(), make_model()
        for model in (once, thrice):
            model.layers[1].trainable = False
        once.fit(x, y, epochs=1, shuffle=False, verbose=0)
        thrice.fit(x, y, epochs=3, shuffle=False, callbacks=[ToZero()], verbose=0)
        for a, b in zip(once.get_weights(), thrice.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_another_evaluation_may_take_place(self, model, x, y):
        results = []

        class EvaluateEveryEpoch(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                results.append(self.model.evaluate(x, y, verbose=0, return_dict=True))
                logs["extra"] = self.model.predict(x, verbose=0).shape[0]

        history = model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[EvaluateEveryEpoch()], verbose=0)
        assert [result["loss"] for result in results] == history.history["val_loss"]
        assert history.history["extra"] == [20, 20]

    def test_ctrl_c_keeps_what_was_learned(self, make_model, x, y, capsys):
        """The history has the finished epochs, the weights are those after the last step, and training can go on."""

        class CtrlC(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                self.steps = getattr(self, "steps", 0) + 1
                if self.steps == 8:
                    raise KeyboardInterrupt

        interrupted, expected = make_model(), make_model()
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(x, y, batch_size=4, epochs=5, shuffle=False, callbacks=CtrlC(), verbose=1)
        assert capsys.readouterr().out.endswith("\n")
        assert interrupted.history.epoch == [0]
        assert len(interrupted.history.history["loss"]) == 1

        expected.fit(x, y, batch_size=4, epochs=1, steps_per_epoch=8, shuffle=False, verbose=0)
        for model in (interrupted, expected):
            model.fit(x, y, verbose=0, shuffle=False)
        for a, b in zip(interrupted.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert interrupted.evaluate(x, y, verbose=0) == expected.evaluate(x, y, verbose=0)

    def test_a_loss_that_becomes_nan_is_shown_as_such(self, make_model, x, y):
        model = make_model(loss=lambda y_true, y_pred: keras.ops.log(y_pred[:, 0] - y_pred[:, 0] - 1), metrics=[])
        with np.errstate(invalid="ignore"):
            assert np.isnan(model.fit(x, y, verbose=0).history["loss"]).all()


def test_training_goes_on_where_it_stopped(make_model, x, y):
    """Two fits of one epoch are one fit of two: the optimizer remembers."""
    once, twice = make_model(), make_model()
    once.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        twice.fit(x, y, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_deferred_model_is_built_by_its_first_data(x, y):
    weights = []
    for first in ([], [keras.Input((4,))]):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([*first, keras.layers.Dense(3, activation="softmax")])
        model.compile(loss="sparse_categorical_crossentropy")
        model.fit(x, y, verbose=0)
        weights.append(model.layers[0].kernel.numpy())
        assert model.input_shape == (None, 4)
    np.testing.assert_array_equal(*weights)


def test_a_subclassed_model(x, y):
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = [keras.layers.Dense(8, activation="tanh"), keras.layers.BatchNormalization()]
            self.out = keras.layers.Dense(3)

        def call(self, inputs, training=None):
            for layer in self.hidden:
                inputs = layer(inputs, training=training)
            return self.out(inputs)

    keras.utils.set_random_seed(1)
    model = Network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    history = model.fit(x, y, epochs=30, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert [layer.name for layer in model.layers] == [*(layer.name for layer in model.hidden), model.out.name]
