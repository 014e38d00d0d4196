"""`TerminateOnNaN`: when it ends a training, and what it says began it."""

import numpy as np
import pytest

import minidl as keras
from minidl import ops
from minidl.callbacks import TerminateOnNaN
from minidl.errors import NonFiniteError

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")


class Logarithm(keras.layers.Layer):
    """NaN for what is negative."""

    def call(self, inputs):
        return ops.log(inputs)


def chain(*layers, optimizer="sgd", loss="mse"):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, name="last")])
    model.compile(optimizer, loss)
    return model


@pytest.fixture
def targets(y):
    return np.eye(3)[y]


def test_it_ends_after_the_batch(x, targets, capsys):
    model, callback = chain(Logarithm(name="wrong")), TerminateOnNaN()
    batches = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    history = model.fit(x, targets, batch_size=2, epochs=5, callbacks=[callback, count], verbose=0)
    assert (history.epoch, batches) == ([0], [0])
    assert callback.reason == f"Layer '{model.name}/wrong' was the first to give NaN (in Log)."
    assert capsys.readouterr().out == f"Batch 0: Invalid loss, terminating training. {callback.reason}\n"


def test_a_layer_inside_others_is_found(x, targets):
    inside = keras.Sequential([keras.layers.Dense(4), Logarithm(name="deep"), keras.layers.Dense(4)], name="part")
    model, callback = chain(keras.layers.Dense(4, name="before"), inside), TerminateOnNaN()
    model.fit(x, targets, callbacks=[callback], verbose=0)
    assert "part/deep' was the first to give NaN" in callback.reason


def test_steps_that_grow_overflow_in_some_layer(x, targets):
    """With a rate of 10¹², in the second or third step; the weights before it are what is looked at."""
    model = chain(keras.layers.Dense(8, "relu", name="first"), optimizer=keras.optimizers.SGD(1e12))
    callback = TerminateOnNaN()
    model.fit(x, targets, batch_size=2, callbacks=[callback], verbose=0)
    assert "was the first to give infinity" in callback.reason or "the loss itself is not finite" in callback.reason


def test_a_loss_that_is_not_finite_of_itself(x, targets):
    model, callback = chain(loss=lambda y, z: ops.mean(z) / 0.0), TerminateOnNaN()
    model.fit(x, targets, callbacks=[callback], verbose=0)
    assert callback.reason == "All layers gave finite results: the loss itself is not finite."


def test_weights_that_the_step_before_has_broken(x, targets):
    """The loss is finite, its gradient is not: the weights are NaN when the next batch comes."""
    model = chain(loss=lambda y, z: ops.mean(ops.sqrt(z * 0.0)))
    callback = TerminateOnNaN()
    model.fit(x, targets, batch_size=5, callbacks=[callback], verbose=0)
    assert callback.reason.startswith(f"Before it {model.name}/last/kernel")
    assert callback.reason.endswith("had become NaN or infinite: the step before was too large.")


def test_a_model_of_ones_own_with_arithmetic_outside_of_layers(x, targets):
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.dense = keras.layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs) * np.float32(np.inf)

    model, callback = Own(), TerminateOnNaN()
    model.compile("sgd", "mse")
    model.fit(x, targets, callbacks=[callback], verbose=0)
    assert callback.reason.startswith("Layer 'own' was the first to give")


@pytest.mark.parametrize("eagerly", [False, True])
def test_the_training_is_the_same_to_the_bit(x, targets, eagerly):
    """Also after it has happened: what is looked at later is put back, generators included."""
    results = []
    for callbacks in ([], [TerminateOnNaN()]):
        model = chain(
            keras.layers.Dense(8, "relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5),
            optimizer=keras.optimizers.Adam(0.01),
        )  # fmt: skip
        model.compile(model.optimizer, "mse", run_eagerly=eagerly)
        model.fit(x, targets, batch_size=3, epochs=3, callbacks=callbacks, verbose=0)
        model.fit(np.where(x > 2, 1e38, x).astype("float32"), targets, batch_size=10, callbacks=callbacks, verbose=0)
        model.fit(x, targets, batch_size=3, callbacks=callbacks, verbose=0, steps_per_epoch=1)
        results.append([v.data.tobytes() for v in (*model.variables, *model.optimizer.variables)])
    assert results[0] == results[1]


def test_raise_error(x, targets):
    model, told = chain(Logarithm(name="wrong")), []
    end = keras.callbacks.LambdaCallback(on_train_end=lambda logs: told.append("end"))
    with pytest.raises(NonFiniteError, match=r"NaN or Inf loss encountered at batch 0: nan\. Layer '.*wrong' was the"):
        model.fit(x, targets, callbacks=[TerminateOnNaN(raise_error=True), end], verbose=0)
    assert told == []


def test_a_training_that_goes_well_is_left_alone(model, x, y, capsys):
    callback = TerminateOnNaN()
    assert model.fit(x, y, epochs=3, callbacks=[callback], verbose=0).epoch == [0, 1, 2]
    assert callback.reason is None
    assert capsys.readouterr().out == ""
