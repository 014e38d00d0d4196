"""Clones have weights of their own, shared layers are shared, and what is frozen stays."""

import numpy as np
import pytest

import minidl as keras
from minidl import ops
from minidl.errors import ArgumentError, MiniDLWarning, NotBuiltError
from minidl.layers import BatchNormalization, Dense, Dropout, Input
from minidl.models import clone_model, freeze, unfreeze, variables_matching

X = np.random.default_rng(1).standard_normal((40, 4)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 3, 40)


def sequential():
    keras.utils.set_random_seed(1)
    return keras.Sequential([
        Input((4,)), Dense(5, activation="relu", name="first"), BatchNormalization(name="bn"),
        Dense(5, activation="relu", name="second"), Dense(3, activation="softmax", name="last"),
    ], name="net")  # fmt: skip


def functional():
    keras.utils.set_random_seed(1)
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = Dense(5, activation="relu", name="shared")
    inner = keras.Sequential([Dense(5, name="deep"), Dropout(0.5)], name="inner")
    x = keras.layers.Concatenate()([shared(a), shared(b)]) + 1
    return keras.Model({"a": a, "b": b}, [Dense(3, name="y")(inner(x)), x], name="two")


def assert_same_weights(a, b):
    for left, right in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


class TestCloneModel:
    def test_of_a_sequential_has_fresh_weights_and_no_share_in_those_of_the_model(self):
        model = sequential()
        clone = clone_model(model)
        assert clone.get_config() == model.get_config()
        assert (clone.layers[0].kernel.numpy() != model.layers[0].kernel.numpy()).any()
        clone.set_weights(model.get_weights())
        np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
        before = model.get_weights()
        clone.compile("sgd", "sparse_categorical_crossentropy")
        clone.fit(X, Y, verbose=0)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_of_a_functional_model_keeps_branches_shared_layers_and_names(self):
        model = functional()
        clone = clone_model(model)
        assert clone.get_config() == model.get_config()
        assert not {id(v) for v in clone.variables} & {id(v) for v in model.variables}
        clone.set_weights(model.get_weights())
        data = {"a": X, "b": X[::-1]}
        for old, new in zip(model.predict(data, verbose=0), clone.predict(data, verbose=0), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_that_is_not_built_is_not_built(self):
        assert not clone_model(keras.Sequential([Dense(3)])).built

    def test_is_compiled_as_the_model_was_and_its_optimizer_remembers_nothing(self):
        def my_loss(y_true, y_pred):
            return ops.mean(ops.square(y_pred - 0.5), axis=-1)

        model = sequential()
        model.compile(keras.optimizers.Adam(0.02), my_loss, metrics=["accuracy"])
        model.fit(X, Y, verbose=0)
        clone = clone_model(model)
        assert clone.loss.fn is my_loss
        assert clone.optimizer.get_config() == model.optimizer.get_config()
        assert int(clone.optimizer.iterations) == 0
        clone.set_weights(model.get_weights())
        assert clone.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)

    def test_says_if_it_cannot_be_compiled_alike(self):
        model = sequential()
        model.compile(keras.optimizers.SGD(lambda: 0.1), "mse")
        with pytest.warns(MiniDLWarning, match="the clone is not compiled"):
            assert clone_model(model).optimizer is None

    def test_keeps_functions_and_classes_of_ones_own(self):
        class Twice(keras.layers.Layer):
            def __init__(self, factor=2.0, **kwargs):
                super().__init__(**kwargs)
                self.factor = factor

            def call(self, inputs):
                return inputs * self.factor

        def bump(z):
            return ops.exp(-(z**2))

        class Gray(keras.initializers.Initializer):
            def __call__(self, shape, dtype=None):
                return np.full(shape, 0.5, dtype)

        model = keras.Sequential([Input((4,)), Dense(2, activation=bump, kernel_initializer=Gray()), Twice(3.0)])
        np.testing.assert_array_equal(clone_model(model).predict(X, verbose=0), model.predict(X, verbose=0))

    def test_keeps_apart_what_has_the_same_name(self):
        """Also in a model inside the model, each layer gets its own function and class again."""

        def relu(x):
            return 3 * x

        def layer(factor):
            class Dense(keras.layers.Dense):
                def call(self, inputs):
                    return super().call(inputs) * factor

            return Dense(3, activation=relu)

        a = Input((4,))
        deep = keras.Model(a, keras.layers.Lambda(lambda x: x + 1)(keras.layers.Lambda(lambda x: x * 2)(a)))
        inner = keras.Sequential([layer(2.0), layer(5.0), Dense(3, activation="tanh")])
        model = keras.Sequential([Input((4,)), deep, inner])
        clone = clone_model(model)
        clone.set_weights(model.get_weights())
        np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))

    def test_says_if_a_layer_is_made_with_two_things_of_one_name(self):
        class Both(keras.layers.Layer):
            def __init__(self, first, second, **kwargs):
                super().__init__(**kwargs)
                self.first, self.second = first, second

            def call(self, inputs):
                return self.first(inputs) + self.second(inputs)

        model = keras.Sequential([Input((4,)), Both(lambda x: x, lambda x: 2 * x, name="both")])
        with pytest.raises(ArgumentError, match="'both' is made with two different '<lambda>': rename one of them"):
            clone_model(model)

    def test_with_a_clone_function_changes_or_shares_layers(self):
        model = sequential()

        def clone(layer):
            if isinstance(layer, BatchNormalization):
                return layer
            return type(layer).from_config({**layer.get_config(), "kernel_initializer": "zeros"})

        changed = clone_model(model, clone_function=clone)
        assert changed.layers[1] is model.layers[1]
        assert not changed.layers[0].kernel.numpy().any()

    @pytest.mark.parametrize("new", [None, {"units": 3}])
    def test_wants_layers_of_a_clone_function(self, new):
        for model in (sequential(), functional()):
            with pytest.raises(ArgumentError, match=r"clone_function\('\w+'\) must give a layer, got"):
                clone_model(model, clone_function=lambda layer: new)

    @pytest.mark.parametrize("recursive", [False, True])
    def test_is_frozen_where_the_model_is(self, recursive):
        """Also where a layer was thawed inside a model that is frozen."""
        model = functional()
        model.get_layer("inner").trainable = False
        model.get_layer("inner").layers[0].trainable = True
        model.get_layer("shared").trainable = False
        clone = clone_model(model, recursive=recursive)
        assert [v.shape for v in clone.trainable_variables] == [v.shape for v in model.trainable_variables]
        assert not clone.get_layer("inner").trainable
        assert clone.get_layer("inner").layers[0].trainable
        model.trainable = False
        assert clone_model(model).trainable_variables == []

    def test_is_of_a_model(self):
        for other in ("net", Dense(3)):
            with pytest.raises(ArgumentError, match="clone_model: expected a model, got "):
                clone_model(other)

    def test_with_input_tensors_begins_there(self):
        x = Input((4,), batch_size=8)
        assert clone_model(sequential(), input_tensors=x).input is x
        a, model = Input((4,), name="left"), functional()
        clone = clone_model(model, input_tensors={"b": Input((4,)), "a": a})
        assert clone.inputs[0] is a
        clone.set_weights(model.get_weights())
        data = {"a": X, "b": X[::-1]}
        np.testing.assert_array_equal(clone.predict(data, verbose=0)[1], model.predict(data, verbose=0)[1])
        with pytest.raises(ArgumentError, match="2 symbolic tensors as input_tensors"):
            clone_model(functional(), input_tensors=[a])
        with pytest.raises(ArgumentError, match="one symbolic tensor"):
            clone_model(sequential(), input_tensors=X)

    def test_with_a_call_function_adds_layers(self):
        x = Input((4,))
        model = keras.Model(x, Dense(3)(Dense(2)(x)))

        def call(layer, *args, **kwargs):
            return Dropout(0.5)(layer(*args, **kwargs))

        clone = clone_model(model, clone_function=lambda layer: layer, call_function=call)
        assert [type(layer).__name__ for layer in clone.layers[1:]] == ["Dense", "Dropout"] * 2
        with pytest.raises(ArgumentError, match="call_function is for functional models"):
            clone_model(sequential(), call_function=call)

    @pytest.mark.parametrize(("recursive", "seen"), [(False, ["shared", "inner"]), (True, ["shared", "deep"])])
    def test_goes_into_models_inside_if_asked_to(self, recursive, seen):
        names = []

        def clone(layer):
            names.append(layer.name)
            from minidl.models.reusing import copy_of

            return copy_of(layer)

        clone_model(functional(), clone_function=clone, recursive=recursive)
        assert [name for name in names if name in ("shared", "inner", "deep")] == seen

    def test_of_a_class_of_ones_own_follows_its_config(self):
        class Mine(keras.Model):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.units = units
                self.dense = Dense(units)

            def call(self, inputs):
                return self.dense(inputs)

        model = Mine(3)
        model(X)
        clone = clone_model(model)
        assert clone.units == 3
        clone.set_weights(model.get_weights())
        np.testing.assert_array_equal(clone(X).numpy(), model(X).numpy())
        with pytest.raises(ArgumentError, match="of which only the class knows"):
            clone_model(model, clone_function=lambda layer: layer)


class TestLayersOfAnotherModel:
    def test_are_shared_training_either_changes_both(self):
        model_a = sequential()
        model_b = keras.Sequential([*model_a.layers[:-1], Dense(1, activation="sigmoid")])
        model_b.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
        model_a.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        for model, y in ((model_b, (Y == 0).astype(np.float32)[:, None]), (model_a, Y), (model_b, Y[:, None] > 1)):
            before = model_a.layers[0].kernel.numpy().copy()
            model.fit(X, y, epochs=1, verbose=0)
            assert (before != model_a.layers[0].kernel.numpy()).all()
            np.testing.assert_array_equal(model_a.layers[0].kernel.numpy(), model_b.layers[0].kernel.numpy())
            np.testing.assert_array_equal(
                keras.Sequential(model_a.layers[:-1]).predict(X, verbose=0),
                keras.Sequential(model_b.layers[:-1]).predict(X, verbose=0),
            )

    def test_stay_as_they_are_if_they_come_from_a_clone(self):
        model_a = sequential()
        clone = clone_model(model_a)
        clone.set_weights(model_a.get_weights())
        model_b = keras.Sequential([*clone.layers[:-1], Dense(1, activation="sigmoid")])
        model_b.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
        before = model_a.predict(X, verbose=0)
        model_b.fit(X, (Y == 0)[:, None], verbose=0)
        np.testing.assert_array_equal(model_a.predict(X, verbose=0), before)


def changed_by_training(model, **options):
    """The names of the variables that a training changes."""
    before = model.get_weights()
    model.fit(X, Y, verbose=0, **options)
    return [
        v.path.removeprefix("net/")
        for v, old in zip(model.variables, before, strict=True)
        if (v.numpy() != old).any()
    ]


class TestFreezing:
    @pytest.mark.parametrize("eagerly", [False, True])
    def test_takes_effect_at_once_and_can_be_undone(self, eagerly):
        model = sequential()
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", run_eagerly=eagerly)
        model.fit(X, Y, verbose=0)
        assert freeze(model, r"(first|second)/kernel") == ["net/first/kernel", "net/second/kernel"]
        rest = ["bn/beta", "bn/gamma", "bn/moving_mean", "bn/moving_variance", "first/bias", "last/bias", "last/kernel"]
        assert sorted(changed_by_training(model)) == [*rest, "second/bias"]
        assert unfreeze(model, "second") == ["net/second/kernel", "net/second/bias"]
        assert sorted(changed_by_training(model)) == [*rest, "second/bias", "second/kernel"]

    def test_of_all_weights_of_a_layer_freezes_the_layer(self):
        """As `layer.trainable = False` does: batch normalization then keeps its moving averages."""
        model = sequential()
        model.compile("sgd", "sparse_categorical_crossentropy")
        freeze(model, "^net/(first|bn)/")
        assert [layer.trainable for layer in model.layers] == [False, False, True, True]
        assert {name.split("/")[0] for name in changed_by_training(model)} == {"second", "last"}
        unfreeze(model, "bn/gamma")
        assert [layer.trainable for layer in model.layers] == [False, True, True, True]
        assert {"bn/gamma", "bn/moving_mean"} <= set(changed_by_training(model))
        assert not model.get_layer("bn").beta.trainable

    def test_of_everything_and_back(self):
        model = sequential()
        trained = [v.path for v in model.trainable_variables]
        assert freeze(model) == trained
        assert model.trainable_variables == []
        assert unfreeze(model) == trained
        assert [v.path for v in model.trainable_variables] == trained

    def test_part_of_a_model_that_was_frozen_as_a_whole_thaws(self):
        model = functional()
        model.trainable = False
        assert unfreeze(model, "^inner/") == ["inner/deep/kernel", "inner/deep/bias"]
        assert [v.path for v in model.trainable_variables] == ["inner/deep/kernel", "inner/deep/bias"]
        assert not model.get_layer("shared").trainable

    def test_says_if_nothing_is_meant(self):
        with pytest.raises(ArgumentError, match=r"'hidden' is found in no path of a variable of 'net': net/first/ker"):
            freeze(sequential(), "hidden")
        with pytest.raises(ArgumentError, match="expected a regular expression"):
            freeze(sequential(), "(")
        with pytest.raises(ArgumentError, match="expected a model or a layer, got "):
            freeze(sequential().layers, "first")
        with pytest.raises(NotBuiltError, match="no variables yet"):
            unfreeze(keras.Sequential([Dense(3)]))


class TestStepsOnSomeVariables:
    def test_minimize_changes_those_alone(self):
        model = sequential()
        loss_fn, optimizer = keras.losses.SparseCategoricalCrossentropy(), keras.optimizers.Nadam(0.01)
        chosen = variables_matching(model, "(second|last)/")
        before = model.get_weights()
        losses = [float(optimizer.minimize(lambda: loss_fn(Y, model(X)), var_list=chosen)) for _ in range(10)]
        assert losses[-1] < losses[0]
        changed = [v.path for v, old in zip(model.variables, before, strict=True) if (v.numpy() != old).any()]
        assert changed == [v.path for v in chosen]

    def test_minimize_gives_what_fit_gives_on_a_frozen_model(self):
        by_fit, by_hand = sequential(), sequential()
        freeze(by_fit, "first|bn")
        by_fit.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        by_fit.fit(X, Y, batch_size=40, epochs=3, shuffle=False, verbose=0)
        loss_fn, optimizer = keras.losses.SparseCategoricalCrossentropy(), keras.optimizers.Adam(0.01)
        by_hand.get_layer("bn").trainable = False
        for _ in range(3):
            optimizer.minimize(lambda: loss_fn(Y, by_hand(X)), variables_matching(by_hand, "second|last"))
        assert_same_weights(by_fit, by_hand)
