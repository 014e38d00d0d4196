"""`.minidl` files: what is saved is loaded, trained on, and never believed."""

import contextlib
import copy
import re
import zipfile

import numpy as np
import pytest

import minidl as keras
from minidl.errors import (
    ArgumentError,
    DataFileError,
    DataNotFoundError,
    MiniDLWarning,
    NotBuiltError,
    RemovedNameError,
)
from minidl.layers import BatchNormalization, Dense, Dropout, Flatten, LeakyReLU, PReLU, Reshape
from minidl.models import files, load_model
from minidl.saving import read_archive, write_archive

X = np.random.default_rng(1).standard_normal((10, 2, 3)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.minidl"


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((2, 3)),
        Flatten(),
        Dense(5, activation="elu", kernel_initializer="he_normal"),
        BatchNormalization(momentum=0.9),
        keras.Sequential([Dense(4), PReLU(), Dropout(0.5)], name="inner"),
        Dense(4, activation=LeakyReLU(0.1), trainable=False),
        Reshape((2, 2)),
        Flatten(),
        Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(
        keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.5), nesterov=True, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(ignore_class=7),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
        weighted_metrics=["acc"],
    )
    model.fit(X, Y, epochs=2, verbose=0)
    return model


class TestRoundTrip:
    def test_predictions_are_equal(self, model, path):
        model.save(path)
        loaded = load_model(path)
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
        assert loaded.get_config() == model.get_config()
        assert [v.trainable for v in loaded.variables] == [v.trainable for v in model.variables]
        for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)

    def test_it_is_compiled_as_it_was(self, model, path):
        model.save(path)
        loaded = load_model(path)
        assert loaded.get_compile_config() == model.get_compile_config()
        assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
        before = loaded.get_weights()
        loaded.fit(X, Y, verbose=0)
        assert any((a != b).any() for a, b in zip(before, loaded.get_weights(), strict=True))

    def test_metrics_are_kept_even_if_it_has_not_seen_data_yet(self, path):
        model = keras.Sequential([keras.Input((2,)), Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.save(path)
        loaded = load_model(path)
        assert loaded.metrics_names == ["loss", "accuracy"]
        assert set(loaded.fit(X[:, 0, :2], Y, verbose=0).history) == {"accuracy", "loss"}

    def test_without_compiling(self, model, path):
        model.save(path)
        loaded = load_model(path, compile=False)
        assert loaded.optimizer is None
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))

    def test_of_a_model_that_was_never_compiled(self, path):
        model = keras.Sequential([keras.Input((2,)), Dense(3)])
        model.save(path)
        assert load_model(path).optimizer is None

    def test_of_a_deferred_model_that_has_seen_data(self, path):
        model = keras.Sequential([Dense(3)])
        expected = model.predict(X[:, 0], verbose=0)
        model.save(path)
        np.testing.assert_array_equal(load_model(path).predict(X[:, 0], verbose=0), expected)

    def test_of_layers_that_come_from_another_model(self, model, path):
        """The paths of their variables begin with the name of the model that built them."""
        head = keras.Sequential([*model.layers[:-1], Dense(1, name="head")])
        expected = head.predict(X, verbose=0)
        head.save(path)
        np.testing.assert_array_equal(load_model(path).predict(X, verbose=0), expected)

    def test_of_float64(self, path):
        keras.config.set_floatx("float64")
        try:
            model = keras.Sequential([keras.Input((2,)), Dense(3)])
            model.save(path)
        finally:
            keras.config.set_floatx("float32")
        loaded = load_model(path)
        assert {w.dtype for w in loaded.get_weights()} == {np.dtype("float64")}
        np.testing.assert_array_equal(loaded.layers[0].kernel, model.layers[0].kernel)

    def test_equal_models_give_equal_files(self, model, path, tmp_path):
        model.save(path)
        load_model(path).save(tmp_path / "again.minidl")
        assert (tmp_path / "again.minidl").read_bytes() == path.read_bytes()

    def test_loading_does_not_use_up_names_of_the_file(self, model, path):
        model.save(path)
        assert load_model(path).name == load_model(path).name == model.name


class Scale(keras.layers.Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight((), keras.initializers.Constant(self.start), name="factor")

    def call(self, inputs):
        return inputs * self.factor


class Halves(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return np.full(shape, 0.5, dtype)


class Largest(keras.metrics.MeanMetricWrapper):
    def __init__(self, name="largest", dtype=None):
        super().__init__(largest, name, dtype)


def double(x):
    return x * 2


def largest(y_true, y_pred):
    return np.max(y_pred, axis=-1)


def squares(y_true, y_pred):
    return keras.ops.sum(keras.ops.square(y_true - y_pred), axis=-1)


OWN = {thing.__name__: thing for thing in (Scale, Halves, Largest, double, largest, squares)}


class TestCustomObjects:
    @pytest.fixture
    def model(self):
        model = keras.Sequential([
            keras.Input((2,)),
            Scale(2.0),
            Dense(3, activation=double, kernel_initializer=Halves(), name="double"),
            keras.Sequential([Scale(3.0)], name="largest"),
        ])  # fmt: skip
        model.compile("sgd", squares, metrics=[largest, Largest("other")])
        return model

    def test_are_handed_over_by_name(self, model, path):
        model.save(path)
        loaded = load_model(path, custom_objects=OWN)
        x = np.array([[1.0, 3.0]])
        np.testing.assert_allclose(loaded.predict(x, verbose=0), [[24.0] * 3])
        assert loaded.layers[1].activation is double
        assert type(loaded.layers[1].kernel_initializer) is Halves
        y = np.zeros((1, 3))
        assert loaded.evaluate(x, y, verbose=0) == [3 * 24.0**2, 24.0, 24.0]
        assert loaded.metrics_names == ["loss", "largest", "other"]
        assert [layer.name for layer in loaded.layers[1:]] == ["double", "largest"]

    @pytest.mark.parametrize("missing", sorted(OWN))
    def test_that_are_missing_are_named(self, model, path, missing):
        model.save(path)
        rest = {name: thing for name, thing in OWN.items() if name != missing}
        with pytest.raises(DataFileError, match=f"{missing}.*what is your own goes into custom_objects"):
            load_model(path, custom_objects=rest)

    def test_of_compiling_are_not_needed_without_it(self, model, path):
        model.save(path)
        layers = {name: OWN[name] for name in ("Scale", "Halves", "double")}
        assert load_model(path, custom_objects=layers, compile=False).built

    @pytest.mark.parametrize(
        "arguments",
        [
            {"loss": lambda y_true, y_pred: keras.ops.mean(y_pred)},
            {"loss": "mse", "metrics": [lambda y_true, y_pred: np.mean(y_pred)]},
            {"loss": "mse", "optimizer": keras.optimizers.SGD(lambda: 0.1)},
        ],
        ids=["loss", "metric", "learning rate"],
    )
    def test_without_a_name_cannot_be_saved_and_a_warning_says_so(self, model, path, arguments):
        model.compile(**arguments)
        with pytest.warns(MiniDLWarning, match="the file does not say how 'sequential.*' was compiled") as caught:
            model.save(path)
        assert caught[0].filename == __file__
        loaded = load_model(path, custom_objects=OWN)
        assert loaded.optimizer is None
        assert loaded.built


class Scaled(keras.Model):
    """A model of one's own, with a variable beside its layers."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = Dense(units)
        self.scale = self.add_weight((1,), "ones", name="scale")

    def call(self, inputs):
        return self.dense(inputs) * self.scale


class TestGraphs:
    """Functional models, and classes of one's own."""

    Z = X[:, 0]
    Y = [np.zeros((10, 2), "float32"), np.ones((10, 1), "float32")]

    @pytest.fixture
    def graph(self):
        x, z = keras.Input((2, 3), name="x"), keras.Input((3,), name="z")
        shared = Dense(3, activation="elu", name="shared")
        inner = keras.Sequential([Dense(3), BatchNormalization()], name="inner")
        hidden = shared(x[:, 0]) + 0.5 * inner(shared(z))
        both = keras.layers.Concatenate(axis=1)([hidden, z, keras.ops.mean(x, axis=(1, 2), keepdims=False)[:, None]])
        scaled = Scaled(2, name="a")
        return keras.Model([x, z], {"a": scaled(both), "b": Dense(1)(hidden * np.float32([1, 2, 3]))}, name="graph")

    def test_are_loaded_as_they_were_saved(self, graph, path):
        graph.compile("adam", {"a": "mse", "b": "mae"}, metrics={"b": ["mse"]}, loss_weights={"a": 2.0})
        y = dict(zip("ab", self.Y, strict=True))
        graph.fit([X, self.Z], y, verbose=0)
        graph.save(path)
        loaded = load_model(path, {"Scaled": Scaled})
        assert loaded.get_config() == graph.get_config()
        assert [layer.name for layer in loaded.operations] == [layer.name for layer in graph.operations]
        for name, predicted in loaded.predict([X, self.Z], verbose=0).items():
            np.testing.assert_array_equal(predicted, graph.predict([X, self.Z], verbose=0)[name])
        assert loaded.get_compile_config() == graph.get_compile_config()
        assert loaded.evaluate([X, self.Z], y, verbose=0) == graph.evaluate([X, self.Z], y, verbose=0)

    def test_an_output_without_a_loss_stays_so(self, graph, path):
        graph.compile("adam", {"a": "mse", "b": None}, weighted_metrics={"b": ["mse"]})
        graph.save(path)
        loaded = load_model(path, {"Scaled": Scaled})
        assert loaded.metrics_names == graph.metrics_names == ["loss", "b_mse"]

    def test_a_part_of_a_model_is_loaded_as_a_model(self, graph, path):
        part = keras.Model(graph.input, graph.get_layer("shared").output)
        part.save(path)
        np.testing.assert_array_equal(load_model(path)([X, self.Z]), part([X, self.Z]))

    @pytest.mark.parametrize(
        "function",
        [lambda x: x[:, None, ..., 1:], lambda x: keras.ops.take(x, np.array([1, 0]), axis=1), lambda x: x * x,
         lambda x: keras.ops.clip(x, x_min=None, x_max=np.float32(0.5)),
         lambda x: keras.ops.pad(x, ((0, 0), (1, 2), (0, 0)))],
    )  # fmt: skip
    def test_operations_keep_their_arguments(self, function, path):
        x = keras.Input((2, 3))
        keras.Model(x, function(x)).save(path)
        np.testing.assert_array_equal(load_model(path)(X), function(keras.Tensor(X)))

    def test_a_class_of_ones_own(self, path):
        model = Scaled(4, name="mine")
        model(self.Z)
        model.set_weights([w + 1 for w in model.get_weights()])
        model.save(path)
        loaded = load_model(path, {"Scaled": Scaled})
        assert (loaded.name, loaded.units, loaded.input_shape) == ("mine", 4, (None, 3))
        np.testing.assert_array_equal(loaded(self.Z), model(self.Z))
        with pytest.raises(DataFileError, match=r"Unknown model 'Scaled'.*what is your own goes into custom_objects"):
            load_model(path)

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (("calls",), []), (("calls", 1, "layer"), 99), (("calls", 2, "args"), [{"result": [9, 0]}]),
            (("calls", 2, "args"), [{"pickle": "…"}]), (("calls", 2, "args"), [{}]), (("outputs",), {"result": [0, 7]}),
            (("layers", 1, "config", "function"), "__import__"), (("layers", 1, "class_name"), "Model"),
            (("calls", 2, "args"), [{"array": [1], "dtype": "object"}]), (("inputs",), None),
        ],
    )  # fmt: skip
    def test_hostile_graphs_are_refused(self, place, value, graph, path):
        graph.save(path)
        config, arrays = read_archive(path)
        part = config["config"]
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value
        write_archive(path, config, arrays)
        with pytest.raises(DataFileError, match=r"holds no model that can be made here|do not fit its model"):
            load_model(path, {"Scaled": Scaled})


class TestSaving:
    def test_without_weights(self, path):
        with pytest.raises(NotBuiltError, match="has no weights yet"):
            keras.Sequential([Dense(3)]).save(path)

    @pytest.mark.parametrize("name", ["model.kears", "model.npz", "model"])
    def test_under_another_ending(self, model, tmp_path, name):
        with pytest.raises(ArgumentError, match=re.escape("expected a path that ends in .minidl")):
            model.save(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_over_a_file(self, model, path):
        path.write_text("precious")
        with pytest.raises(ArgumentError, match="exists: delete it, or leave overwrite=True"):
            model.save(path, overwrite=False)
        assert path.read_text() == "precious"
        model.save(str(path))
        assert load_model(str(path)).built

    def test_where_it_cannot_be_written(self, model, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataFileError, match="cannot be written"):
            model.save(tmp_path / "file" / "model.minidl")

    def test_a_class_of_ones_own_that_does_not_say_how_to_make_it_again(self, path):
        class Network(keras.Model):
            def __init__(self, units):
                super().__init__()
                self.dense = Dense(units)

            def call(self, inputs):
                return self.dense(inputs)

        network = Network(3)
        network(X)
        with pytest.raises(ArgumentError, match=r"is a Network, .* by its get_config\(\): .* argument units: set an"):
            network.save(path)
        assert not path.exists()

    def test_a_layer_that_is_also_in_a_model_inside(self, path):
        x = keras.Input((2,))
        shared = Dense(2)
        inner = keras.Model(x, shared(x))
        with pytest.raises(ArgumentError, match="has a layer that is also in a model inside it"):
            keras.Model(x, shared(inner(x))).save(path)

    def test_an_argument_that_is_no_plain_value(self, path):
        class Applied(keras.layers.Layer):
            def call(self, inputs, function):
                return function(inputs)

        x = keras.Input((2,))
        with pytest.raises(ArgumentError, match=r"is called with <function.*which a file cannot hold: make it an"):
            keras.Model(x, Applied()(x, keras.ops.relu)).save(path)
        assert not path.exists()


class TestHostileFiles:
    """Whatever a file says, loading it gives the model that was asked for or a DataFileError."""

    @pytest.fixture
    def parts(self, model, path):
        model.save(path)
        return read_archive(path)

    @pytest.fixture
    def load(self, monkeypatch):
        """`load(config, arrays)` is what `load_model` makes of a file with this content."""

        def load(config, arrays, **options):
            monkeypatch.setattr(files, "kind_of", lambda path: "minidl")
            monkeypatch.setattr(files, "read_archive", lambda path: (config, arrays))
            return load_model("it.minidl", **options)

        return load

    @pytest.fixture
    def refused(self, load):
        def refused(config, arrays, match=None, **options):
            with pytest.raises(DataFileError, match=match) as caught:
                load(config, arrays, **options)
            assert "'it.minidl'" in str(caught.value)

        return refused

    def test_no_file(self, path):
        with pytest.raises(DataNotFoundError):
            load_model(path)

    def test_another_file(self, path):
        path.write_bytes(b"\x89HDF\r\n\x1a\n")
        with pytest.raises(DataFileError, match="HDF5"):
            load_model(path)

    @pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
    def test_a_part_of_a_file(self, model, path, cut):
        model.save(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * cut)])
        with pytest.raises(DataFileError):
            load_model(path)

    @pytest.mark.parametrize("name", ["Dnse", "os.system", "Layer", "Model", "", None, 3, ["Dense"], {}])
    def test_classes_that_are_not_known(self, refused, parts, name):
        config, arrays = parts
        config["config"]["layers"][1]["class_name"] = name
        refused(config, arrays)

    @pytest.mark.parametrize("name", ["Dense", "Model", "print", None, 1, []])
    def test_models_that_are_not_known(self, refused, parts, name):
        config, arrays = parts
        config["class_name"] = name
        refused(config, arrays)

    def test_no_function_of_the_caller_is_called_in_place_of_a_class(self, refused, parts):
        config, arrays = parts
        called = []
        config["config"]["layers"][1]["class_name"] = "own"
        refused(config, arrays, custom_objects={"own": lambda **kwargs: called.append(kwargs)})
        assert called == []

    @pytest.mark.parametrize("value", [None, -1, "x", [], 10**30])
    def test_any_value_replaced_by_nonsense(self, load, parts, value):
        """Each place in the config in turn: refused, or a model with the weights in the file."""
        config, arrays = parts
        shapes = sorted(array.shape for name, array in arrays.items() if not name.startswith("optimizer/"))
        for place in places(config):
            changed = copy.deepcopy(config)
            put(changed, place, value)
            with contextlib.suppress(DataFileError):
                assert sorted(w.shape for w in load(changed, arrays).get_weights()) == shapes

    def test_any_key_left_out(self, load, parts):
        config, arrays = parts
        for place in places(config):
            if isinstance(place[-1], str):
                changed = copy.deepcopy(config)
                remove(changed, place)
                with contextlib.suppress(DataFileError):
                    load(changed, arrays)

    @pytest.mark.parametrize("key", ["class_name", "config", "compile_config"])
    def test_keys_that_must_be_there(self, refused, parts, key):
        config, arrays = parts
        del config[key]
        refused(config, arrays, match=key)

    def test_layers_inside_layers_without_end(self, refused):
        config = {"name": "a", "trainable": True, "batch_input_shape": None, "layers": []}
        config["layers"].append({"class_name": "Sequential", "config": config})
        refused({"class_name": "Sequential", "config": config, "compile_config": None}, {}, match="RecursionError")

    def test_more_weights_than_memory(self, refused, parts):
        config, arrays = parts
        config["config"]["layers"][1]["config"]["units"] = 10**15
        refused(config, arrays)

    def test_weights_that_are_missing_or_too_many_or_of_another_shape(self, refused, parts):
        config, arrays = parts
        name = next(name for name in arrays if name.endswith("kernel"))
        rest = {key: value for key, value in arrays.items() if key != name}
        for changed in (rest, {**arrays, "9/0/kernel": arrays[name]}, {**arrays, name: arrays[name].T.copy()}):
            refused(config, changed, match="its weights do not fit its model: ")

    def test_layers_larger_than_the_file_are_not_even_made(self, refused, parts):
        config, arrays = parts
        config["config"]["layers"][1]["config"]["units"] = 10**15
        refused(config, arrays, match="a layer needs .* bytes of weights where .* are left")

    def test_weights_of_another_dtype(self, refused, parts):
        config, arrays = parts
        for dtype in ("float64", "float16", "int32"):
            changed = {name: array.astype(dtype) for name, array in arrays.items()}
            refused(config, changed, match="its weights do not fit its model: ")

    def test_nothing_is_left_of_a_refused_file(self, path, parts):
        """A member swapped for that of another model: refused before any model is given out."""
        config, arrays = parts
        write_archive(path, config, arrays)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["weights.safetensors"] = members["weights.safetensors"][:-4]
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        with pytest.raises(DataFileError):
            load_model(path)


def places(value, path=()):
    """The ways to all values inside nested lists and dictionaries."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def put(value, place, new):
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = new


def remove(value, place):
    for key in place[:-1]:
        value = value[key]
    del value[place[-1]]


def test_save_model_is_a_function_too(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    keras.models.save_model(model, tmp_path / "model.minidl")
    assert load_model(tmp_path / "model.minidl").get_config() == model.get_config()
    with pytest.raises(ArgumentError, match=r"save: .* exists: delete it"):
        keras.models.save_model(model, tmp_path / "model.minidl", overwrite=False)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("load_model", r"minidl\.models\.load_model"), ("register_keras_serializable", "custom_objects")],
)
def test_what_keras_has_in_saving_is_told(name, advice):
    with pytest.raises(RemovedNameError, match=f"minidl.saving has no '{name}': .*{advice}"):
        getattr(keras.saving, name)
    assert not hasattr(keras.saving, "nothing")
