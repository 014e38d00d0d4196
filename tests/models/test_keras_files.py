"""Files of Keras: those that it wrote are opened, and those written here are read back.

That Keras opens those written here is checked by `tests/golden/check_in_keras.py`, with Keras at hand.
"""

import builtins
import contextlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, DataFileError, MiniDLWarning, MissingExtraError
from minidl.models import load_model, read_weights
from minidl.optimizers import schedules
from minidl.saving import hdf5

pytest.importorskip("h5py")

GOLDEN = Path(__file__).parents[1] / "golden"
ENDINGS = [".keras", ".h5"]
X = np.random.default_rng(1).standard_normal((10, 4)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 10)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "keras_files.npz") as file:
        return dict(file)


def several(golden, start):
    found = [golden[f"{start}_{k}"] for k in range(len(golden)) if f"{start}_{k}" in golden]
    assert found
    return found


def inputs(golden, name):
    found = several(golden, f"{name}__x")
    return found if len(found) > 1 else found[0]


def close(found, expected):
    """float32 rounds to 6e-8 of the largest term of a sum, and sums here have up to 50 terms."""
    for a, b in zip(found if isinstance(found, list) else [found], expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6)


class TestFilesThatKerasWrote:
    @pytest.mark.parametrize("ending", ENDINGS)
    @pytest.mark.parametrize("name", ["chain", "graph", "every"])
    def test_predict_the_same(self, name, ending, golden):
        model = load_model(GOLDEN / f"keras_{name}{ending}")
        assert model.name == name
        close(model.predict(inputs(golden, name), verbose=0), several(golden, f"{name}__before"))

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_go_on_training_where_they_were(self, ending, golden):
        """The step depends on what Adam remembers, and on where the schedule is."""
        model = load_model(GOLDEN / f"keras_chain{ending}")
        model.fit(inputs(golden, "chain"), golden["chain__y_0"], batch_size=4, shuffle=False, verbose=0)
        close(model.predict(inputs(golden, "chain"), verbose=0), several(golden, "chain__after"))

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_are_compiled_as_they_were(self, ending, golden):
        model = load_model(GOLDEN / f"keras_graph{ending}")
        numbers = model.evaluate(inputs(golden, "graph"), several(golden, "graph__y"), verbose=0, return_dict=True)
        np.testing.assert_allclose(sorted(numbers.values()), np.sort(golden["graph__evaluate_0"]), rtol=1e-5)
        chain = load_model(GOLDEN / f"keras_chain{ending}")
        assert chain.metrics_names == ["loss", "accuracy", "top2"]
        assert isinstance(chain.optimizer.get_config()["learning_rate"], dict)
        assert not chain.get_layer("named").trainable
        assert load_model(GOLDEN / f"keras_chain{ending}", compile=False).optimizer is None

    @pytest.mark.parametrize("name", ["chain", "graph"])
    def test_of_weights(self, name, golden):
        model = load_model(GOLDEN / f"keras_{name}.keras")
        expected = model.predict(inputs(golden, name), verbose=0)
        for file in (f"keras_{name}.weights.h5", f"keras_{name}.h5", f"keras_{name}.keras"):
            model.set_weights([w + 1 for w in model.get_weights()])
            model.load_weights(GOLDEN / file)
            found = model.predict(inputs(golden, name), verbose=0)
            close(found, expected if isinstance(expected, list) else [expected])

    def test_have_weights_with_readable_names(self):
        of_three = read_weights(GOLDEN / "keras_graph.keras")
        assert {"shared/0", "shared/1", "inside/middle/0", "tower/top/1", "a/0"} <= of_three.keys()
        assert of_three.keys() == read_weights(GOLDEN / "keras_graph.weights.h5").keys()
        of_two = read_weights(GOLDEN / "keras_graph.h5")
        np.testing.assert_array_equal(of_two["shared/kernel"], of_three["shared/0"])


def make():
    keras.utils.set_random_seed(1)
    x = keras.Input((4,), name="x")
    h = keras.layers.Dense(5, activation="relu", name="hidden")(x)
    y = keras.layers.Dense(3, activation="softmax", name="out")(keras.layers.Dropout(0.5)(h * 2.0) + x[:, :1])
    model = keras.Model(x, y, name="mine")
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    model.fit(X, Y, verbose=0)
    return model


@pytest.fixture(params=ENDINGS)
def path(request, tmp_path):
    return tmp_path / f"model{request.param}"


class TestRoundTrip:
    def test_everything_is_as_it_was(self, path):
        model = make()
        model.save(path)
        loaded = load_model(path)
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
        assert loaded.get_config() == model.get_config()
        assert loaded.get_compile_config()["metrics"] == ["accuracy"]
        assert loaded.optimizer.iterations == 1
        assert loaded.run_eagerly
        for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-7)  # float64 here, float32 there
            assert a.dtype == b.dtype

    @pytest.mark.parametrize("ending", [".minidl", ".h5", ".weights.h5"])
    def test_of_weights(self, ending, tmp_path):
        model = make()
        model.save_weights(tmp_path / f"model{ending}")
        other = make()
        other.set_weights([w * 0 for w in other.get_weights()])
        other.load_weights(tmp_path / f"model{ending}")
        for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        names = read_weights(tmp_path / f"model{ending}")
        assert any(name.startswith("hidden/") for name in names)
        assert len(names) == 4

    @pytest.mark.parametrize("ending", [".minidl", ".h5", ".weights.h5"])
    def test_of_weights_that_do_not_fit(self, ending, tmp_path):
        def dense(units):
            return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(units)])

        dense(3).save_weights(tmp_path / f"model{ending}")
        model = dense(5)
        before = model.get_weights()
        with pytest.raises(DataFileError, match=r"do not fit its model: .*expected .*\(2, 5\).*has .*\(2, 3\)"):
            model.load_weights(tmp_path / f"model{ending}")
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        with pytest.warns(MiniDLWarning, match=r"left out: .*expected"):
            model.load_weights(tmp_path / f"model{ending}", skip_mismatch=True)
        assert (before[0] != model.get_weights()[0]).any()
        np.testing.assert_array_equal(before[2], model.get_weights()[2])

    def test_objects_of_ones_own(self, path):
        class Scale(keras.layers.Layer):
            def __init__(self, start=1.0, **kwargs):
                super().__init__(**kwargs)
                self.start = start

            def build(self, input_shape):
                self.factor = self.add_weight((), keras.initializers.Constant(self.start), name="factor")

            def call(self, inputs):
                return inputs * self.factor

        def double(x):
            return x * 2

        model = keras.Sequential([keras.Input((4,)), Scale(3.0), keras.layers.Dense(2, activation=double)])
        model.save(path)
        own = {"Scale": Scale, "double": double}
        np.testing.assert_array_equal(load_model(path, own).predict(X, verbose=0), model.predict(X, verbose=0))
        with keras.utils.custom_object_scope(own):
            assert load_model(path).layers[0].start == 3.0
        with pytest.raises(DataFileError, match=r"Unknown layer 'Scale'.*custom_objects"):
            load_model(path, {"double": double})
        with pytest.raises(DataFileError, match=r"Unknown activation 'double'.*custom_objects"):
            load_model(path, {"Scale": Scale})

    def test_a_model_of_ones_own(self, path):
        class Towers(keras.Model):
            def __init__(self, units=3, **kwargs):
                super().__init__(**kwargs)
                self.units = units
                self.towers = [keras.layers.Dense(units), keras.layers.Dense(units)]
                self.out = keras.layers.Dense(1)

            def call(self, inputs):
                return self.out(keras.ops.concatenate([tower(inputs) for tower in self.towers], axis=-1))

        model = Towers(2)
        expected = model.predict(X, verbose=0)
        model.save(path)
        loaded = load_model(path, {"Towers": Towers})
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)

    @pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop", "adam", "adamw", "adamax", "nadam"])
    def test_of_every_optimizer(self, optimizer, path):
        def fit(model):
            model.fit(X, Y, shuffle=False, epochs=2, verbose=0)
            return model

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.compile(keras.optimizers.get(optimizer), "sparse_categorical_crossentropy")
        model.optimizer.learning_rate = schedules.CosineDecay(0.125, 8)
        fit(model).save(path)
        a, b = fit(load_model(path)), fit(model)
        for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)

    def test_what_keras_lacks(self, path):
        x = keras.Input((4,))
        with pytest.raises(ArgumentError, match=r"the function 'cumsum' cannot be saved for Keras: save it as .minidl"):
            keras.Model(x, keras.ops.cumsum(x, axis=1)).save(path)
        with pytest.raises(ArgumentError, match=r"Keras has no relu with max_value=3"):
            keras.Model(x, keras.ops.relu(x, max_value=3.0)).save(path)
        assert not path.exists()


class TestWithoutH5py:
    @pytest.fixture(autouse=True)
    def hidden(self, monkeypatch):
        real = builtins.__import__

        def hide(name, *args, **kwargs):
            if name == "h5py":
                raise ImportError(name)
            return real(name, *args, **kwargs)

        import importlib

        monkeypatch.setattr(importlib, "import_module", lambda name: hide(name))

    def test_one_line_says_what_to_install(self, path):
        for attempt in (
            lambda: make().save(path),
            lambda: load_model(GOLDEN / f"keras_chain{path.suffix}"),
            lambda: make().load_weights(GOLDEN / "keras_chain.h5"),
        ):
            with pytest.raises(MissingExtraError, match=r"this needs the package .h5py.: pip install .minidl.keras."):
                attempt()
        assert not path.exists()


class TestHostileFiles:
    """Whatever a file says, loading it gives a model or a DataFileError, and nothing it names is run."""

    @pytest.fixture
    def changed(self, tmp_path):
        """`changed(f)` is a `.keras` file in which f has changed the config, or put its result in its place."""

        def changed(change):
            path = tmp_path / "it.keras"
            with zipfile.ZipFile(GOLDEN / "keras_chain.keras") as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            config = json.loads(members["config.json"])
            text = change(config)
            members["config.json"] = json.dumps(config).encode() if text is None else text
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in members.items():
                    archive.writestr(name, content)
            return path

        return changed

    def test_classes_are_never_imported(self, changed):
        def change(config):
            config["config"]["layers"][1] |= {"module": "os", "class_name": "system", "registered_name": "os>system"}

        with pytest.raises(DataFileError, match="Unknown layer 'system'"):
            load_model(changed(change))

    def test_code_is_never_run(self, changed):
        def change(config):
            code = {"class_name": "__lambda__", "config": {"value": "4wEAAAAA"}}
            config["config"]["layers"][1]["config"]["activation"] = code

        with pytest.raises(DataFileError, match="a lambda is code, which is never taken from a file"):
            load_model(changed(change))

    def test_settings_that_do_not_exist_here(self, changed):
        def change(config):
            config["config"]["layers"][1]["config"]["lora_rank"] = 3

        with pytest.raises(DataFileError, match="there is no Dense with lora_rank=3 here"):
            load_model(changed(change))

    def test_layers_larger_than_the_file_are_not_even_made(self, changed):
        def change(config):
            config["config"]["layers"][1]["config"]["units"] = 10**12

        with pytest.raises(DataFileError, match=r"a layer needs .* bytes of weights where .* are left"):
            load_model(changed(change))

    @pytest.mark.parametrize("text", [b"", b"[]", b"[" * 10_000, b'{"class_name": 1, "config": []}', b'{"a":1,"a":2}'])
    def test_configs_that_are_none(self, changed, text):
        with pytest.raises(DataFileError):
            load_model(changed(lambda config: text))

    @pytest.mark.filterwarnings("ignore:load_model.*begins anew")  # without layers that learn, or without a slot
    @pytest.mark.parametrize("value", [None, -1, "x", [], {}, 10**30])
    def test_any_value_replaced_by_nonsense(self, monkeypatch, value):
        from minidl.models import keras_files

        for name in ("chain", "graph"):
            parts = keras_files._read(GOLDEN / f"keras_{name}.keras")
            text = json.dumps(parts[0])
            spots = list(places(parts[0]))
            for place in spots[:: max(len(spots) // 60, 1)]:
                config = json.loads(text)
                put(config, place, value)
                monkeypatch.setattr(keras_files, "_read", lambda path, found=(config, *parts[1:]): found)
                with contextlib.suppress(DataFileError):
                    assert load_model(GOLDEN / f"keras_{name}.keras").built

    def test_compressed_members(self, tmp_path):
        path = tmp_path / "it.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", b" " * 10_000_000)
            archive.writestr("model.weights.h5", b"\0" * 10_000_000)
        with pytest.raises(DataFileError, match="is compressed, expected it stored as it is"):
            load_model(path)

    def test_members_that_come_twice(self, tmp_path):
        path = tmp_path / "it.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", b"{}")
            archive.writestr("model.weights.h5", b"")
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("config.json", b"{}")
        with pytest.raises(DataFileError, match="expected the members"):
            load_model(path)

    def test_files_of_weights_are_no_models(self):
        with pytest.raises(DataFileError, match="holds weights alone: make the model and call load_weights"):
            load_model(GOLDEN / "keras_chain.weights.h5")

    def test_lists_that_name_what_is_not_there(self, tmp_path):
        path = tmp_path / "it.h5"
        with open(path, "wb") as file:
            hdf5.write_hdf5(file, {}, {"": {"layer_names": ["d"]}, "d": {"weight_names": ["d/kernel"]}})
        with pytest.raises(DataFileError, match="lists 'd/kernel', which is not there"):
            make().load_weights(path)


def places(value, path=()):
    """The ways to all values inside nested lists and dictionaries."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(item, (*path, key))


def put(value, place, new):
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = new
