"""A training that was saved and goes on is bitwise the one that never stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl import random
from minidl.errors import ArgumentError, DataFileError, ShapeError
from minidl.models import load_model
from minidl.optimizers import schedules
from minidl.saving import read_archive, write_archive
from minidl.sparse import PolynomialPruning, SparseDense, prune, to_sparse

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(1).standard_normal((50, 4)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 50)

OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate),
    "momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adagrad": lambda rate: keras.optimizers.Adagrad(rate),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate, momentum=0.5, centered=True),
    "adam": lambda rate: keras.optimizers.Adam(rate, amsgrad=True, global_clipnorm=0.5),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, clipnorm=0.1),
    "adamax": lambda rate: keras.optimizers.Adamax(rate),
    "nadam": lambda rate: keras.optimizers.Nadam(rate, clipvalue=0.1),
    "adadelta": lambda rate: keras.optimizers.Adadelta(rate),
    "lion": lambda rate: keras.optimizers.Lion(rate, weight_decay=0.1),
}
SCHEDULES = {
    "constant": 0.01,
    "exponential": schedules.ExponentialDecay(0.01, 7, 0.8, staircase=True),
    "power": schedules.InverseTimeDecay(0.01, 5, 0.3),
    "piecewise": schedules.PiecewiseConstantDecay([20, 35], [0.01, 0.005, 0.001]),
    "polynomial": schedules.PolynomialDecay(0.01, 40, power=2.0),
    "cosine": schedules.CosineDecay(0.0, 30, warmup_target=0.01, warmup_steps=10),
    "restarts": schedules.CosineDecayRestarts(0.01, 9),
    "one cycle": schedules.OneCycle(0.01, 40),
}


class Patience(keras.callbacks.Callback):
    """Like early stopping: what it does depends on all epochs so far, and it keeps the best weights."""

    def on_train_begin(self, logs=None):
        self.best, self.wait, self.weights = np.inf, 0, None

    def on_epoch_end(self, epoch, logs=None):
        if logs["loss"] < self.best:
            self.best, self.wait, self.weights = logs["loss"], 0, self.model.get_weights()
        else:
            self.wait += 1
        if self.wait == 2:  # back to the best ones, and on from there
            self.model.set_weights(self.weights)
            self.wait = 0

    def get_state(self):
        return {"best": self.best, "wait": self.wait, "weights": self.weights}

    def set_state(self, state):
        self.best, self.wait, self.weights = state["best"], state["wait"], state["weights"]


def shift(x, generator):
    return x + generator.normal(0, 0.1, x.shape).astype(np.float32)


def make(optimizer="adam", schedule="constant", **options):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(8, activation="elu"),
        keras.layers.BatchNormalization(),
        keras.Sequential([keras.layers.Dropout(0.3), keras.layers.RReLU(), keras.layers.Dropout(0.1, seed=3)]),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(OPTIMIZERS[optimizer](SCHEDULES[schedule]), "sparse_categorical_crossentropy", **options)
    return model


def train(model, epochs, **options):
    arguments = {"batch_size": 16, "callbacks": [Patience()], "verbose": 0, "initial_epoch": model.epoch, **options}
    return model.fit(X, Y, epochs=epochs, **arguments)


def same(a, b):
    assert len(a.get_weights()) == len(b.get_weights())
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=x.path)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.minidl"


def go_on(model, path, epochs=10, **options):
    """What becomes of a model that is saved and goes on as another one, while everything else is random anew."""
    model.save(path)
    keras.utils.set_random_seed(99)
    loaded = load_model(path)
    train(loaded, epochs, **options)
    return loaded


class TestGoingOn:
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_is_as_if_it_had_never_stopped(self, optimizer, schedule, path):
        through, stopped = make(optimizer, schedule), make(optimizer, schedule)
        train(make(optimizer, schedule), 1)  # of another training, nothing is left
        through = make(optimizer, schedule)
        train(through, 10)
        stopped = make(optimizer, schedule)
        train(stopped, 6)
        same(go_on(stopped, path), through)

    @pytest.mark.parametrize(
        "options",
        [
            {"shuffle": False, "steps_per_epoch": 3},
            {"steps_per_epoch": 3},  # an epoch ends in the middle of the data
            {"augment": shift, "steps_per_epoch": 7},
            {"validation_data": (X[:9], Y[:9])},
        ],
        ids=lambda options: ", ".join(options),
    )
    def test_wherever_the_data_are(self, options, path):
        through = make()
        train(through, 5, **options)
        stopped = make()
        train(stopped, 3, **options)
        same(go_on(stopped, path, 5, **options), through)

    def test_layer_by_layer(self, path):
        through = make(run_eagerly=True)
        train(through, 5)
        stopped = make(run_eagerly=True)
        train(stopped, 3)
        loaded = go_on(stopped, path, 5)
        same(loaded, through)
        assert loaded.run_eagerly

    def test_within_a_program(self):
        through, stopped = make(), make()
        train(through, 5)
        train(stopped, 2)
        train(stopped, 4)
        train(stopped, 5)
        keras.utils.set_random_seed(5)
        assert stopped.epoch == through.epoch == 5

    def test_several_times(self, path):
        through = make()
        train(through, 6)
        model = make()
        train(model, 1)
        for epochs in (2, 3, 6):
            model = go_on(model, path, epochs)
        same(model, through)

    def test_from_a_file_written_by_a_callback(self, path):
        class Saving(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                if epoch == 2:
                    self.model.save(path)

        through = make()
        train(through, 6, callbacks=[Patience(), Saving()])
        loaded = load_model(path)
        assert loaded.epoch == 3
        train(loaded, 6, callbacks=[Patience()])
        same(loaded, through)

    def test_with_weights_that_were_frozen_and_spared(self, path):
        def run(stop):
            model = make("adamw")
            model.optimizer.exclude_from_weight_decay([model.layers[0].kernel], ["bias"])
            model.layers[0].trainable = False
            train(model, 2)
            model.layers[0].trainable = True
            train(model, 3)
            if stop:
                return go_on(model, path, 6)
            train(model, 6)
            return model

        same(run(stop=True), run(stop=False))

    def test_of_a_graph(self, path):
        def graph():
            keras.utils.set_random_seed(5)
            a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
            shared = keras.layers.Dense(5, activation="tanh")
            h = keras.layers.Dropout(0.2)(keras.layers.concatenate([shared(a), shared(b)]))
            h = keras.layers.BatchNormalization()(h) * 2.0
            outputs = [keras.layers.Dense(3, activation="softmax", name="p")(h), keras.layers.Dense(1, name="q")(h)]
            model = keras.Model([a, b], outputs)
            model.compile("nadam", ["sparse_categorical_crossentropy", "mse"], loss_weights=[1.0, 0.5])
            return model

        def fit(model, epochs):
            model.fit([X, X[::-1]], [Y, X[:, :1]], epochs=epochs, initial_epoch=model.epoch, verbose=0)
            return model

        through, stopped = fit(graph(), 5), fit(graph(), 3)
        stopped.save(path)
        same(fit(load_model(path), 5), through)

    def test_in_a_new_process(self, path):
        """One trains 10 epochs, one 6 and leaves a file, a third goes on with it."""
        results = []
        for epochs in ((0, 10), (0, 6), (6, 10)):
            code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_resuming as t
first, last = {epochs}
model = t.load_model({str(path)!r}) if first else t.make("nadam", "cosine")
assert model.epoch == first
t.train(model, last, augment=t.shift)
model.save({str(path)!r})
import json; print(json.dumps([w.tolist() for w in model.get_weights()]))
"""
            done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
        assert results[0] == results[2] != results[1]


CALLBACKS = {
    # No epoch is better than the first: it stops after the fifth, and goes back to the first.
    "EarlyStopping": lambda model: keras.callbacks.EarlyStopping("loss", 10.0, patience=4, restore_best_weights=True),
    "ReduceLROnPlateau": lambda model: keras.callbacks.ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.05, cooldown=1),
    "OneCycle": lambda model: keras.callbacks.OneCycle(0.01, momentum=(0.95, 0.85)),
    "OneCycleScheduler": lambda model: keras.callbacks.OneCycleScheduler(24, 0.01),
    "ModelCheckpoint": lambda model: keras.callbacks.ModelCheckpoint("best.minidl", "loss", save_best_only=True),
    "ModelCheckpoint of weights": lambda model: keras.callbacks.ModelCheckpoint(
        "{epoch}-{batch}.weights.h5", save_freq=3, save_weights_only=True
    ),
    "ModelCheckpoint of Keras": lambda model: keras.callbacks.ModelCheckpoint("{epoch}.keras"),
    "LearningRateScheduler": lambda model: keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.9 * rate),
    "CSVLogger": lambda model: keras.callbacks.CSVLogger("log.csv", append=True),
    "LambdaCallback": lambda model: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    "TerminateOnNaN": lambda model: keras.callbacks.TerminateOnNaN(),
    "PolynomialPruning": lambda model: PolynomialPruning(0.8, frequency=7),
    "PolynomialPruning that has ended": lambda model: PolynomialPruning(0.8, frequency=5, end_step=9, globally=True),
    "Masks": lambda model: prune(model, 0.5),
}  # fmt: skip


class Saving(keras.callbacks.Callback):
    """Saves the model once, in the middle of a training."""

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            self.model.save(self.path)


class Own(keras.Model):
    """A model that says itself what a step is."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden, self.drop = keras.layers.Dense(8, activation="tanh"), keras.layers.Dropout(0.3)
        self.out = keras.layers.Dense(units, activation="softmax")
        self.tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs, training=None):
        return self.out(self.drop(self.hidden(inputs), training=training))

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


class OwnSequential(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def double(x):
    return 2 * x


def chain_of(*layers, shape=(4,), dtype=None):
    """A classifier with these layers before the last."""
    keras.utils.set_random_seed(5)
    out = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input(shape, dtype=dtype), *layers, out])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def on_images(*layers):
    return chain_of(*layers, keras.layers.Flatten(), shape=(6, 6, 3))


def own(model):
    keras.utils.set_random_seed(5)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def sparse():
    model = chain_of(keras.layers.Dense(8))
    prune(model, 0.5)
    model = to_sparse(model)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


layers, regularizers = keras.layers, keras.regularizers
IMAGES = np.random.default_rng(3).uniform(0, 1, (24, 6, 6, 3)).astype(np.float32)
MODELS = {
    "noise": lambda: chain_of(layers.AlphaDropout(0.2), layers.GaussianNoise(0.1), layers.GaussianDropout(0.1)),
    "renormalization": lambda: chain_of(layers.Dense(5), layers.BatchNormalization(renorm=True)),
    "rules": lambda: chain_of(
        layers.Dense(5, kernel_regularizer=regularizers.L1L2(0.1, 0.1), activity_regularizer="l2",
                     kernel_constraint=keras.constraints.MaxNorm(1.0)),
        layers.BatchNormalization(gamma_regularizer="l2", gamma_constraint="non_neg"),
        layers.ActivityRegularization(0.1),
    ),
    "random images": lambda: on_images(
        layers.RandomFlip(), layers.RandomCrop(5, 5), layers.RandomTranslation(0.2, 0.2), layers.RandomRotation(0.1),
        layers.RandomZoom(0.2), layers.RandomContrast(0.1), layers.RandomBrightness(0.1), layers.RandomErasing(0.5),
        layers.MixUp(0.3), layers.SpatialDropout2D(0.3),
    ),
    "a layer by Lambda": lambda: chain_of(layers.Lambda(double)),
    "embedding": lambda: chain_of(layers.Embedding(9, 5), layers.Flatten(), dtype="int32"),
    "sparse": sparse,
    "own steps": lambda: own(Own()),
    "own steps of a Sequential": lambda: own(
        OwnSequential([keras.Input((4,)), layers.Dropout(0.3), layers.Dense(3, activation="softmax")])
    ),
}  # fmt: skip
INPUTS = {"embedding": np.random.default_rng(4).integers(0, 9, (24, 4)), "random images": IMAGES}


class TestGoingOnFromTheMiddle:
    """The file is written by the last callback of a training; another goes on from there to the same end."""

    @pytest.fixture(autouse=True)
    def in_a_folder_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def check(self, make, callback=None, x=X[:24], y=Y[:24], **options):
        def fit(model, first, *others):
            callbacks = [callback(model)] if callback else []
            options_of_all = {"epochs": 6, "batch_size": 8, "initial_epoch": first, "verbose": 0, **options}
            model.fit(x, y, callbacks=[*callbacks, *others], **options_of_all)

        through = make()
        fit(through, 0, Saving("middle.minidl"))
        keras.utils.set_random_seed(99)
        own = {"SparseDense": SparseDense, "Own": Own, "OwnSequential": OwnSequential, "double": double}
        loaded = load_model("middle.minidl", own)
        assert loaded.epoch == 3
        fit(loaded, 3)
        same(loaded, through)

    @pytest.mark.parametrize("name", CALLBACKS)
    def test_with_every_callback(self, name):
        if "Keras" in name or "weights" in name:
            pytest.importorskip("h5py")
        self.check(make, CALLBACKS[name])

    @pytest.mark.parametrize("name", MODELS)
    def test_of_every_kind_of_model(self, name):
        self.check(MODELS[name], x=INPUTS.get(name, X[:24]))

    def test_with_mixup(self):
        def make():
            model = on_images(layers.SpatialDropout2D(0.3))
            model.compile("adam", "categorical_crossentropy")
            return model

        self.check(make, x=IMAGES, y=np.eye(3, dtype=np.float32)[Y[:24]], augment=keras.augmentation.mixup)

    def test_the_best_weights_are_in_the_file(self):
        model = make()
        stopping = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[stopping, Saving("middle.minidl")])
        state = load_model("middle.minidl")._run.callback_states["EarlyStopping"]
        assert state["best"] == stopping.best
        for a, b in zip(state["best_weights"], stopping.best_weights, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_masks_of_another_model_are_refused(self):
        callback = PolynomialPruning(0.5, frequency=1)
        model = make()
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback, Saving("middle.minidl")])
        loaded = load_model("middle.minidl")
        others = PolynomialPruning(0.5, frequency=1, pattern="gamma|beta")
        with pytest.raises(ShapeError, match=r"masks of the shapes \[\(8,\), \(8,\)\], got \[\(4, 8\), \(8, 3\)\]"):
            loaded.fit(X, Y, epochs=6, initial_epoch=3, verbose=0, callbacks=[others])


class TestWhatAFileRemembers:
    def test_a_new_training_begins_at_the_beginning(self, path):
        model = make()
        train(model, 3)
        model.save(path)
        loaded = load_model(path)
        assert loaded.epoch == 3
        loaded.fit(X, Y, epochs=2, verbose=0)
        assert loaded.epoch == 2

    def test_the_learning_rate_that_a_callback_set(self, path):
        model = make()
        train(model, 1)
        model.optimizer.learning_rate = 1 / 3
        model.save(path)
        assert float(load_model(path).optimizer.learning_rate) == 1 / 3

    def test_loading_takes_nothing_from_the_streams(self, path):
        make().save(path)
        keras.utils.set_random_seed(1)
        before = random.get_state()
        load_model(path)
        assert random.get_state() == before

    def test_the_streams_go_on_if_they_are_asked_to(self, path):
        model = make()
        train(model, 1)
        model.save(path)
        expected = keras.layers.Dense(3)
        expected.build((None, 4))
        keras.utils.set_random_seed(99)
        load_model(path, random_state=True)
        layer = keras.layers.Dense(3)
        layer.build((None, 4))
        np.testing.assert_array_equal(layer.kernel, expected.kernel)

    def test_the_optimizer_may_be_left_out(self, path):
        model = make()
        train(model, 1)
        model.save(path, include_optimizer=False)
        config, arrays = read_archive(path)
        assert config["compile_config"] is config["training"] is None
        assert len(arrays) == len(model.variables)
        assert load_model(path).optimizer is None

    def test_a_state_that_no_file_can_hold_is_an_error(self, path):
        class Odd(Patience):
            def get_state(self):
                return {"self": self}

        model = make()
        with pytest.raises(TypeError, match=r"\['Odd'\]\['self'\]: expected plain JSON .* got a Odd"):
            train(model, 1, callbacks=[Odd()])
            model.save(path)
        assert not path.exists()

    def test_files_of_a_training_that_do_not_fit_are_refused(self, path):
        model = make()
        train(model, 1)
        model.save(path)
        config, arrays = read_archive(path)
        for name in [name for name in arrays if name.startswith("optimizer/")]:
            write_archive(path, config, {key: array for key, array in arrays.items() if key != name})
            with pytest.raises(DataFileError, match=f"'{name}' of the optimizer is missing"):
                load_model(path)
        del config["training"]["generators"]["4/_generator"]
        write_archive(path, config, arrays)
        with pytest.raises(DataFileError, match="generators"):
            load_model(path)


def test_a_generator_of_another_kind_is_refused(path):
    model = make()
    train(model, 1)
    model.save(path)
    config, arrays = read_archive(path)
    config["training"]["generators"]["4/_generator"]["bit_generator"] = "MT19937"
    write_archive(path, config, arrays)
    with pytest.raises(DataFileError, match="PCG64"):
        load_model(path)


def test_keys_with_a_meaning_of_their_own_are_refused(path):
    class Odd(Patience):
        def get_state(self):
            return {"__array__": 1}

    model = make()
    train(model, 1, callbacks=[Odd()])
    with pytest.raises(ArgumentError, match="meaning of their own"):
        model.save(path)
