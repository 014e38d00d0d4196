"""The base class: calling, building, tracking, freezing, weights, configuration; on layers as a user writes them."""

import copy
import re

import numpy as np
import pytest

from minidl import config, ops
from minidl.autodiff import Tensor, grad, gradcheck, no_grad
from minidl.errors import ArgumentError, DTypeError, NotBuiltError, ShapeError, UnknownNameError
from minidl.layers import BatchNormalization, Dense, Dropout, Flatten, Layer, PReLU, Variable
from minidl.layers.naming import reset_names

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


class Scale(Layer):
    """y = a·x + b, with a learned and b fixed, made the other way round."""

    def build(self, input_shape):
        self.b = self.add_weight((1,), "ones", trainable=False, name="b")
        self.a = self.add_weight((1,), "ones", name="a")

    def call(self, inputs):
        return inputs * self.a + self.b


class Block(Layer):
    """Layers as attributes and in lists, each used once."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = Dense(units, dtype=self.dtype)
        self._private = [Dense(units, dtype=self.dtype), {"deep": (Dense(units, dtype=self.dtype),)}]
        self.grown = []
        for _ in range(2):
            self.grown.append(Dense(units, dtype=self.dtype))
        self.last = BatchNormalization(dtype=self.dtype)

    def call(self, inputs, training=None):
        for layer in (self.first, self._private[0], self._private[1]["deep"][0], *self.grown):
            inputs = layer(inputs)
        return self.last(inputs, training=training)


@pytest.fixture
def names():
    """Automatic names start anew."""
    reset_names()


class TestCalling:
    def test_a_subclass_needs_only_call(self):
        class Double(Layer):
            def call(self, inputs):
                return inputs * 2

        np.testing.assert_array_equal(Double()(X), 2 * X)

    def test_a_layer_without_call_says_what_is_missing(self):
        with pytest.raises(ArgumentError, match=re.escape("Layer has no `call` method: define call(self, inputs)")):
            Layer()(X)

    def test_training_reaches_call_only_where_it_is_asked_for(self):
        class Asks(Layer):
            def call(self, inputs, training=None):
                return inputs * (2.0 if training else 1.0)

        class DoesNot(Layer):
            def call(self, inputs):
                return inputs

        assert np.array_equal(Asks()(X, training=True), 2 * X)
        assert np.array_equal(DoesNot()(X, training=True), X)

    def test_training_reaches_a_call_with_keyword_arguments(self):
        class Passes(Layer):
            def __init__(self):
                super().__init__()
                self.dropout = Dropout(0.5, seed=0)

            def call(self, inputs, **kwargs):
                assert kwargs == {"training": True}
                return self.dropout(inputs, **kwargs)

        assert (Passes()(X, training=True).numpy() == 0).any()

    @pytest.mark.parametrize(
        ("training", "seen"), [(None, False), (False, False), (True, True), (np.bool_(True), True)]
    )
    def test_training_is_true_or_false_by_the_time_call_sees_it(self, training, seen):
        class Looks(Layer):
            def call(self, inputs, training=None):
                assert training is seen
                return inputs

        Looks()(X, training=training)

    def test_layers_inside_train_when_the_outer_one_does(self):
        class Outer(Layer):
            def __init__(self):
                super().__init__()
                self.dropout = Dropout(0.5, seed=0)

            def call(self, inputs):
                return self.dropout(inputs)

        outer = Outer()
        assert (outer(X, training=True).numpy() == 0).any()
        np.testing.assert_array_equal(outer(X), X)

    def test_an_explicit_training_inside_wins(self):
        class MonteCarlo(Dropout):
            def call(self, inputs, training=None):
                return super().call(inputs, training=True)

        assert (MonteCarlo(0.5, seed=0)(X, training=False).numpy() == 0).any()

        class Outer(Layer):
            def __init__(self):
                super().__init__()
                self.dropout = Dropout(0.5, seed=0)

            def call(self, inputs):
                return self.dropout(inputs, training=False)

        np.testing.assert_array_equal(Outer()(X, training=True), X)

    def test_an_error_inside_leaves_no_mode_behind(self):
        class Fails(Layer):
            def call(self, inputs):
                raise RuntimeError("on purpose")

        with pytest.raises(RuntimeError, match="on purpose"):
            Fails()(X, training=True)
        np.testing.assert_array_equal(Dropout(0.5)(X), X)

    @pytest.mark.parametrize("name", ["input", "output", "variables"])
    def test_what_a_layer_tells_of_itself_is_no_place_for_a_layer(self, name):
        with pytest.raises(ArgumentError, match=f"Layer: '{name}' is what a layer tells of itself: use another name"):
            setattr(Layer(), name, Dense(2))

    def test_several_inputs_nested_as_one_likes(self):
        class Add(Layer):
            def call(self, inputs, more=None):
                return inputs[0] + inputs[1]["b"] + more

        y = Add()([X, {"b": X}], more=X)
        np.testing.assert_array_equal(y, X + X + X)

    def test_inputs_by_keyword(self):
        dense = Dense(2)
        np.testing.assert_array_equal(dense(inputs=X), dense(X))
        assert dense.kernel.shape == (3, 2)

    @pytest.mark.parametrize("inputs", [[[1.0, 2.0]], None, "abc", 3])
    def test_what_is_no_array_is_an_error_that_says_so(self, inputs):
        with pytest.raises(ArgumentError, match=r"'d': expected arrays or tensors as inputs, got \w+: use np.array"):
            Dense(2, name="d")(inputs)

    def test_numbers_among_the_arguments_stay_numbers(self):
        class Power(Layer):
            def call(self, inputs, exponent, flag):
                assert type(exponent) is int
                assert flag is True
                return inputs**exponent

        np.testing.assert_array_equal(Power()(X, 2, flag=True), X**2)

    def test_gradients_flow_through_the_inputs(self):
        block = Block(dtype="float64")
        block(X)
        gradcheck(lambda x: block(x, training=True), X)


class TestDTypes:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_floating_point_inputs_are_cast_to_the_dtype_of_the_layer(self, dtype):
        class Same(Layer):
            def call(self, inputs):
                return inputs

        for x in (X, X.astype("float64"), Tensor(X)):
            assert Same(dtype=dtype)(x).dtype == dtype

    def test_other_numbers_stay_as_they_are(self):
        class Same(Layer):
            def call(self, inputs):
                return inputs

        assert Same()(np.ones((2, 3), "uint8")).dtype == "uint8"
        assert Same()(np.ones((2, 3), "bool")).dtype == "bool"

    def test_the_default_is_floatx(self):
        config.set_floatx("float64")
        try:
            assert Dense(2).dtype == "float64"
            assert Dense(2)(X).dtype == "float64"
        finally:
            config.set_floatx("float32")
        assert Dense(2).dtype == "float32"

    def test_an_unknown_one_is_an_error(self):
        with pytest.raises(DTypeError, match="expected a dtype such as 'float32', got 'float33'"):
            Dense(2, dtype="float33")


class TestBuilding:
    def test_happens_once_at_the_first_call(self):
        shapes = []

        class Counts(Layer):
            def build(self, input_shape):
                shapes.append(input_shape)

            def call(self, inputs):
                return inputs

        layer = Counts()
        assert not layer.built
        layer(X)
        layer(X[:2])
        assert layer.built
        assert shapes == [(None, 3)]

    def test_by_hand_gives_the_same_as_by_calling(self, names):
        by_hand, by_calling = Dense(2, name="d"), Dense(2, name="d")
        by_hand.build((None, 3))
        by_calling(X)
        assert by_hand.built
        assert [(w.path, w.shape) for w in by_hand.weights] == [(w.path, w.shape) for w in by_calling.weights]

    def test_again_replaces_the_weights(self):
        dense = Dense(2)
        dense.build((None, 3))
        dense.build((None, 4))
        assert [w.shape for w in dense.weights] == [(4, 2), (2,)]

    def test_a_layer_that_builds_another_names_its_variables_below_itself(self):
        class Outer(Layer):
            def __init__(self):
                super().__init__(name="outer")
                self.dense = Dense(2, name="dense")

            def build(self, input_shape):
                self.w = self.add_weight((1,), "zeros", name="w")
                self.dense.build(input_shape)

            def call(self, inputs):
                return self.dense(inputs) * self.w

        outer = Outer()
        outer(X)
        assert [w.path for w in outer.weights] == ["outer/w", "outer/dense/kernel", "outer/dense/bias"]

    def test_layers_built_by_their_first_call_have_the_same_paths(self, names):
        block = Block()
        block(X)
        assert [w.path for w in block.first.weights] == ["block/dense/kernel", "block/dense/bias"]
        assert block.last.gamma.path == "block/batch_normalization/gamma"

    @pytest.mark.parametrize("name", ["count_params", "stateless_call"])
    def test_what_needs_weights_says_that_there_are_none_yet(self, name):
        arguments = ([], [], X) if name == "stateless_call" else ()
        with pytest.raises(NotBuiltError, match="'d' has no weights yet: call it on data"):
            getattr(Dense(2, name="d"), name)(*arguments)


class TestOutputShape:
    def test_is_found_by_trial(self):
        class Pairs(Layer):
            def call(self, inputs):
                return ops.reshape(inputs, (*inputs.shape[:-1], inputs.shape[-1] // 2, 2))

        assert Pairs().compute_output_shape((None, 6)) == (None, 3, 2)
        assert Pairs().compute_output_shape((None, None, 6)) == (None, None, 3, 2)
        assert Pairs().compute_output_shape((7, 6)) == (7, 3, 2)

    def test_a_trial_builds_for_the_shape_it_is_asked_for(self):
        class Notes(Layer):
            def build(self, input_shape):
                self.shape = input_shape

            def call(self, inputs):
                return inputs

        notes = Notes()
        notes.compute_output_shape((None, None, 3))
        assert notes.shape == (None, None, 3)

    def test_a_trial_changes_no_weights(self):
        block = Block()
        assert block.compute_output_shape((None, 3)) == (None, 2)
        assert not block.last.moving_mean.numpy().any()
        assert (block.last.moving_variance.numpy() == 1).all()

    def test_the_input_shape_given_to_a_first_layer_is_kept_with_an_open_batch(self):
        assert Dense(2, input_shape=(3, 4)).batch_input_shape == (None, 3, 4)
        assert Dense(2, input_shape=[3]).batch_input_shape == (None, 3)
        assert Dense(2, input_dim=3).batch_input_shape == (None, 3)
        assert Flatten(input_shape=5).batch_input_shape == (None, 5)
        assert Dense(2).batch_input_shape is None


class TestTracking:
    def test_trainable_variables_come_first_then_the_others_then_layers_inside(self):
        layer = Scale()
        layer.inner = Scale()
        layer(X)
        layer.inner(X)
        assert [w.name for w in layer.variables] == ["a", "b", "a", "b"]
        assert layer.weights == layer.variables
        assert [w.name for w in layer.trainable_variables] == ["a", "a"]
        assert [w.name for w in layer.non_trainable_variables] == ["b", "b"]
        assert layer.trainable_weights == layer.trainable_variables
        assert layer.non_trainable_weights == layer.non_trainable_variables

    def test_finds_layers_in_lists_and_dictionaries_also_in_private_ones_and_in_those_that_grew(self):
        block = Block()
        block(X)
        assert block.count_params() == (3 * 2 + 2) + 4 * (2 * 2 + 2) + 4 * 2
        assert len(block.weights) == 5 * 2 + 4

    def test_finds_variables_that_are_attributes(self):
        layer = Layer()
        layer.direct = Variable(1.0, name="direct")
        layer.many = {"x": [Variable(2.0, name="in a list", trainable=False)]}
        assert [v.name for v in layer.variables] == ["direct", "in a list"]

    def test_counts_what_is_there_twice_once(self):
        layer = Layer()
        layer.a = layer.b = Dense(2)
        layer.c = [layer.a]
        layer.a(X)
        assert len(layer.variables) == 2

    def test_forgets_what_is_deleted_or_replaced(self):
        layer = Layer()
        layer.head = Dense(2)
        layer.tail = [Dense(3), Dense(4)]
        for part in (layer.head, *layer.tail):
            part(X)
        old = layer.head
        layer.head = Dense(5)
        layer.head(X)
        assert all(w is not v for w in layer.variables for v in old.variables)
        del layer.tail
        assert [w.shape for w in layer.variables] == [(3, 5), (5,)]

    def test_does_not_forget_what_has_another_place(self):
        layer = Layer()
        layer.a = layer.b = Dense(2)
        layer.c = [Dense(2)]
        layer.d = layer.c[0]
        layer.a = layer.d = None
        layer.b(X)
        layer.c[0](X)
        assert len(layer.variables) == 4

    def test_attributes_before_super_init_are_an_error_that_names_the_cure(self):
        class TooEarly(Layer):
            def __init__(self):
                self.dense = Dense(2)
                super().__init__()

        with pytest.raises(ArgumentError, match=re.escape("TooEarly: call super().__init__() before anything else")):
            TooEarly()


class TestFreezing:
    def test_moves_the_weights_to_the_others_and_back(self):
        layer = Scale()
        layer(X)
        order = [w.name for w in layer.variables]
        layer.trainable = False
        assert not layer.trainable
        assert layer.trainable_variables == []
        assert [(w.name, w.trainable) for w in layer.non_trainable_variables] == [("a", False), ("b", False)]
        layer.trainable = True
        assert [w.name for w in layer.trainable_variables] == ["a"]
        assert [w.name for w in layer.non_trainable_variables] == ["b"]
        assert [w.name for w in layer.variables] == order

    def test_reaches_layers_inside(self):
        block = Block()
        block(X)
        block.trainable = False
        assert not block.first.trainable
        assert not block.grown[1].trainable
        assert not any(w.trainable for w in block.weights)
        block.trainable = True
        assert [w.name for w in block.non_trainable_variables] == ["moving_mean", "moving_variance"]

    def test_of_an_inner_layer_alone(self):
        block = Block()
        block(X)
        block.first.trainable = False
        assert len(block.trainable_variables) == 4 * 2 + 2
        assert block.non_trainable_variables[:2] == [block.first.kernel, block.first.bias]

    def test_of_the_outer_layer_wins(self):
        block = Block()
        block(X)
        block.trainable = False
        block.first.trainable = True
        assert block.trainable_variables == []
        assert block.non_trainable_variables == block.variables

    @pytest.mark.parametrize("how", ["argument", "attribute"])
    def test_before_building(self, how):
        block = Block(trainable=False) if how == "argument" else Block()
        block.trainable = False
        block(X, training=True)
        assert block.trainable_variables == []
        assert not any(w.trainable for w in block.weights)
        # Batch normalization inside is frozen, too: it keeps its averages.
        assert not block.last.moving_mean.numpy().any()

    def test_frozen_weights_are_not_recorded(self):
        dense = Dense(2)
        assert dense(X).requires_grad
        dense.trainable = False
        assert not dense(X).requires_grad

    def test_weights_added_to_a_frozen_layer_are_frozen(self):
        layer = Layer(trainable=False)
        layer.w = layer.add_weight((2,), "zeros")
        assert not layer.w.trainable
        layer.trainable = True
        assert layer.w.trainable


class TestWeights:
    def test_are_copies(self):
        dense = Dense(2)
        dense(X)
        kernel, bias = dense.get_weights()
        kernel[...] = 0
        bias[...] = 1
        assert dense.kernel.numpy().any()
        assert not dense.bias.numpy().any()

    def test_can_be_given_back(self):
        dense, other = Dense(2), Dense(2)
        dense(X)
        other(X)
        other.set_weights(dense.get_weights())
        np.testing.assert_array_equal(other(X), dense(X))

    def test_keep_their_dtype(self):
        dense = Dense(2)
        dense(X)
        dense.set_weights([np.ones((3, 2)), Tensor([1, 2])])
        assert {w.dtype for w in dense.weights} == {np.dtype("float32")}
        np.testing.assert_array_equal(dense.bias, [1, 2])

    @pytest.mark.parametrize(
        ("weights", "error", "message"),
        [
            ([], ShapeError, "'d' has 2 weights, got 0 arrays$"),
            ([np.ones((3, 2))], ShapeError, "'d' has 2 weights, got 1 arrays$"),
            ([np.ones((3, 2)), np.ones(3)], ShapeError, r"assign to 'd/bias': expected shape \(2,\), got \(3,\)"),
            ([np.ones((3, 2)), np.ones((1, 2))], ShapeError, r"'d/bias': expected shape \(2,\), got \(1, 2\)"),
            ([np.ones((3, 2)), [1j, 1j]], DTypeError, "'d/bias': cannot turn complex128 into float32 without loss"),
            ([np.ones((3, 2)), ["a", "b"]], DTypeError, "'d/bias': cannot turn <U1 into float32 without loss"),
        ],
    )
    def test_that_do_not_fit_change_nothing(self, weights, error, message):
        dense = Dense(2, name="d")
        dense(X)
        before = dense.get_weights()
        with pytest.raises(error, match=message):
            dense.set_weights(weights)
        for value, w in zip(before, dense.weights, strict=True):
            np.testing.assert_array_equal(w, value)

    def test_of_integers_are_not_cut(self):
        layer = Layer()
        layer.count = Variable(np.zeros(2, "int64"), trainable=False, name="count")
        with pytest.raises(DTypeError, match="cannot turn float64 into int64 without loss"):
            layer.set_weights([[1.5, 2.5]])

    def test_cannot_be_set_before_they_exist(self):
        with pytest.raises(ShapeError, match="'d' has 0 weights, got 2 arrays: build the layer, or call it on data"):
            Dense(2, name="d").set_weights([np.ones((3, 2)), np.ones(2)])

    def test_add_weight_takes_names_objects_and_functions(self):
        layer = Layer()
        layer.a = layer.add_weight((2,), "ones", name="a")
        layer.b = layer.add_weight((2,), lambda shape, dtype: np.full(shape, 3, dtype), name="b")
        layer.c = layer.add_weight(name="c", initializer="zeros", dtype="int64", trainable=False)
        assert [v.tolist() for v in layer.variables] == [[1, 1], [3, 3], 0]
        assert [str(v.dtype) for v in layer.variables] == ["float32", "float32", "int64"]
        assert layer.a.path == f"{layer.name}/a"


class TestStatelessCall:
    def test_computes_with_the_values_it_is_given_and_changes_nothing(self):
        layer = Scale()
        layer(X)
        y, others = layer.stateless_call([[2.0]], [[5.0]], X)
        np.testing.assert_array_equal(y, 2 * X + 5)
        assert [v.tolist() for v in others] == [[5.0]]
        assert [v.tolist() for v in layer.variables] == [[1.0], [1.0]]

    def test_returns_the_moving_averages_after_the_call(self):
        layer = BatchNormalization(momentum=0.5)
        layer.build((None, 3))
        before = [np.zeros(3, "float32"), np.ones(3, "float32")]
        _, (mean, variance) = layer.stateless_call(layer.trainable_variables, before, X, training=True)
        np.testing.assert_allclose(mean, X.mean(0) / 2, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(variance, 0.5 + X.var(0) / 2, rtol=1e-5)
        assert not layer.moving_mean.numpy().any()
        assert not before[0].any()

    def test_is_differentiable_for_the_weights(self):
        layer = Scale(dtype="float64")
        layer(X)
        da = grad(lambda a: ops.sum(layer.stateless_call([a], [[0.0]], X.astype("float64"))[0]))(np.array([3.0]))
        np.testing.assert_allclose(da, [X.astype("float64").sum()], rtol=1e-12)

    def test_leaves_the_weights_tracked(self):
        layer = Scale()
        layer(X)
        layer.stateless_call([[2.0]], [[5.0]], X)
        ops.sum(layer(X)).backward()
        np.testing.assert_allclose(layer.a.grad, [X.sum()], rtol=1e-5)

    def test_leaves_the_weights_alone_when_the_call_fails(self):
        dense = Dense(2)
        dense(X)
        before = dense.get_weights()
        with pytest.raises(ShapeError):
            dense.stateless_call([np.ones((3, 2)), np.ones(2)], [], np.ones((2, 4)))
        for value, w in zip(before, dense.weights, strict=True):
            np.testing.assert_array_equal(w, value)

    def test_needs_a_value_of_the_right_shape_for_every_variable(self):
        dense = Dense(2, name="d")
        dense(X)
        with pytest.raises(ShapeError, match="stateless_call: 'd' has 2 variables, got 1 values"):
            dense.stateless_call([np.ones((3, 2))], [], X)
        with pytest.raises(ShapeError, match=r"stateless_call: 'd/bias' has shape \(2,\), got \(3,\)"):
            dense.stateless_call([np.ones((3, 2)), np.ones(3)], [], X)


class TestConfiguration:
    def test_follows_from_the_arguments_of_init(self):
        block = Block(units=4, name="b", trainable=False, dtype="float64")
        assert block.get_config() == {"name": "b", "trainable": False, "dtype": "float64", "units": 4}
        twin = Block.from_config(block.get_config())
        assert twin.get_config() == block.get_config()

    def test_has_no_base_arguments_that_init_does_not_take(self):
        class Fixed(Layer):
            def __init__(self, n):
                super().__init__()
                self.n = n

        assert Fixed(3).get_config() == {"n": 3}
        assert Fixed.from_config({"n": 3}).n == 3

    def test_turns_numpy_numbers_and_tuples_into_plain_values(self):
        class Holds(Layer):
            def __init__(self, values, **kwargs):
                super().__init__(**kwargs)
                self.values = values

        values = Holds((np.float32(0.5), np.int64(3), [True, None])).get_config()["values"]
        assert values == [0.5, 3, [True, None]]
        assert [type(v) for v in values] == [float, int, list]

    def test_an_argument_that_became_no_attribute_is_an_error(self):
        class Forgets(Layer):
            def __init__(self, n, m=2):
                super().__init__()
                self.m = m

        with pytest.raises(ArgumentError, match="Forgets: its __init__ keeps no attribute for its argument n: set an"):
            Forgets(3).get_config()
        # What is shown while debugging never fails.
        assert repr(Forgets(3, m=5)) == "Forgets(m=5)"

    def test_repr_shows_what_is_not_the_default(self):
        assert repr(Dense(3, name="d")) == "Dense(units=3, name='d')"
        assert repr(Dense(3, "relu", bias_initializer="ones", name="d")) == (
            "Dense(units=3, activation='relu', bias_initializer=Ones(), name='d')"
        )
        assert repr(Dense(3, PReLU(name="p"), name="d")) == "Dense(units=3, activation=PReLU(name='p'), name='d')"
        assert repr(BatchNormalization(axis=[0, 1], name="b")) == "BatchNormalization(axis=(0, 1), name='b')"

    def test_unknown_arguments_are_an_error(self):
        with pytest.raises(UnknownNameError, match="Unknown argument of Dense 'unit': did you mean 'units'"):
            Dense(3, unit=3)


def test_a_deep_copy_of_nested_layers_shares_nothing():
    block = Block()
    block(X)
    y = block(X).numpy()
    twin = copy.deepcopy(block)
    assert len(twin.weights) == len(block.weights)
    assert all(v is not w for v in twin.weights for w in block.weights)
    assert twin.weights[0] is twin.first.kernel
    twin.set_weights([np.full(w.shape, 2.0) for w in twin.weights])
    np.testing.assert_array_equal(block(X), y)
    twin.trainable = False
    assert block.first.kernel.trainable


def test_nothing_is_recorded_under_no_grad():
    dense = Dense(2)
    with no_grad():
        assert not dense(X).requires_grad
