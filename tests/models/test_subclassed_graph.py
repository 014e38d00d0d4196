"""A subclass of Model made as M(inputs, outputs): its own steps on a graph of layers, as in Keras."""

import copy

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError

X = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 2, 20)


class Counting(keras.Model):
    """Counts its steps."""

    def train_step(self, data):
        self.count = getattr(self, "count", 0) + 1
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def graph():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    return inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.Dense(4, activation="relu")(inputs))


class TestMadeOfInputsAndOutputs:
    @pytest.mark.parametrize("named", [False, True])
    def test_is_both(self, named):
        inputs, outputs = graph()
        model = Counting(inputs=inputs, outputs=outputs, name="m") if named else Counting(inputs, outputs, name="m")
        assert isinstance(model, Counting)
        assert isinstance(model, type(keras.Model(inputs, outputs)))
        assert (type(model).__name__, model.name, len(model.layers)) == ("Counting", "m", 3)

    def test_learns_by_its_own_step_what_the_usual_one_learns(self):
        own, usual = Counting(*graph()), keras.Model(*graph())
        for model in (own, usual):
            model.compile("sgd", "sparse_categorical_crossentropy")
            model.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
        assert own.count == 8
        for a, b in zip(own.get_weights(), usual.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_may_have_an_init_of_its_own(self):
        class Small(Counting):
            def __init__(self, units):
                inputs = keras.Input((3,))
                super().__init__(inputs, keras.layers.Dense(units)(inputs))

        assert Small(5).output_shape == (None, 5)

    def test_can_be_copied(self):
        model = Counting(*graph())
        twin = copy.deepcopy(model)
        np.testing.assert_array_equal(twin.predict(X, verbose=0), model.predict(X, verbose=0))

    def test_takes_both_or_neither(self):
        with pytest.raises(ArgumentError, match="expected either inputs and outputs or neither, got KerasTensor"):
            Counting(graph()[0])
        with pytest.raises(ArgumentError, match="Counting: expected either inputs and outputs or neither, got units"):
            Counting(units=3)

    def test_ignores_nothing(self):
        with pytest.raises(TypeError, match="dtype"):
            Counting(*graph(), dtype="float64")
