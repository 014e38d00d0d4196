"""What layers add to the loss, and constraints: as in Keras, in `fit` and in loops of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl as keras
from minidl import ops

FILE = np.load(Path(__file__).parents[1] / "golden" / "regularization.npz")
random = np.random.default_rng(2)
X, Y = random.normal(size=(12, 4)).astype(np.float32), random.normal(size=(12, 2)).astype(np.float32)


def dense_network(keras: Any) -> Any:
    """Penalties on weights and outputs, a constraint that acts, and a layer that is used twice."""
    layers, l2 = keras.layers, keras.regularizers.l2
    x = keras.Input((4,))
    first = layers.Dense(
        8, "tanh", kernel_regularizer=l2(0.01), kernel_constraint=keras.constraints.MaxNorm(0.8),
        activity_regularizer=keras.regularizers.L1(0.02),
    )  # fmt: skip
    shared = layers.Dense(
        8, "tanh", kernel_regularizer="orthogonal_regularizer", bias_regularizer="l1", activity_regularizer="l2"
    )
    y = layers.BatchNormalization(gamma_regularizer="l2", beta_constraint="non_neg")(shared(shared(first(x))))
    y = layers.ActivityRegularization(l1=0.01, l2=0.005)(y)
    return keras.Model(x, layers.Dense(1, kernel_constraint=keras.constraints.UnitNorm())(y))


def image_network(keras: Any) -> Any:
    """Filters, with norms over three axes."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((6, 6, 2)),
        layers.Conv2D(
            4, 3, kernel_constraint=keras.constraints.max_norm(0.9, axis=[0, 1, 2]), kernel_regularizer="l1",
            activity_regularizer=keras.regularizers.l1_l2(l1=0.001, l2=0.001),
        ),
        layers.PReLU(alpha_regularizer="l2", alpha_constraint="non_neg"),
        layers.SeparableConv2D(3, 2, depthwise_regularizer="l2", pointwise_constraint="unit_norm"),
        layers.Flatten(),
        layers.Dense(1, bias_constraint="non_neg", kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02)),
    ])  # fmt: skip


def numbered(name: str, when: str) -> list[np.ndarray]:
    """The weights in the file, in their order."""
    keys = [key for key in FILE if key.startswith(f"{name}_training__{when}_")]
    return [FILE[f"{name}_training__{when}_{k}"] for k in range(len(keys))]


@pytest.mark.parametrize("eagerly", [True, False], ids=["eager", "replayed"])
@pytest.mark.parametrize(
    ("name", "make", "learning_rate"), [("dense", dense_network, 0.01), ("image", image_network, 0.002)],
    ids=["dense", "image"],
)  # fmt: skip
def test_fifty_steps_are_those_of_keras(name, make, learning_rate, eagerly):
    golden = {key.partition("__")[2]: FILE[key] for key in FILE if key.startswith(f"{name}_training__")}
    model, x, y = make(keras), golden["x"], golden["y"]
    model.set_weights(numbered(name, "before"))
    model.compile(keras.optimizers.SGD(learning_rate, momentum=0.9), "mse", metrics=["mae"], run_eagerly=eagerly)
    # float32 on both sides, with sums in other orders; after fifty steps with momentum they are 3e-6 apart.
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(model.evaluate(x, y, 10, verbose=0), golden["evaluated_before"], rtol=1e-5)
    history = model.fit(x, y, 5, epochs=5, shuffle=False, verbose=0, validation_data=(x[:20], y[:20])).history
    assert {f"history_{key}" for key in history} == {key for key in golden if key.startswith("history")}
    for key, values in history.items():
        np.testing.assert_allclose(values, golden[f"history_{key}"], **close, err_msg=key)
    for found, expected in zip(model.get_weights(), numbered(name, "after"), strict=True):
        np.testing.assert_allclose(found, expected, **close)
    np.testing.assert_allclose(model.evaluate(x, y, 10, verbose=0), golden["evaluated_after"], **close)
    model(x)
    # Keras lists the layers inside in another order.
    np.testing.assert_allclose(sorted(map(float, model.losses)), sorted(golden["losses"]), **close)


class Penalized(keras.layers.Layer):
    """Passes its input on and adds its mean square to the loss."""

    def call(self, inputs):
        self.add_loss(0.5 * ops.mean(ops.square(inputs)))
        return inputs


class Subclassed(keras.Model):
    """A model that adds to the loss itself, and has a layer that does."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2, kernel_regularizer="l2")
        self.penalized = Penalized()

    def call(self, inputs):
        outputs = self.penalized(self.dense(inputs))
        self.add_loss([ops.sum(outputs[0]), ops.max(outputs, axis=0)])
        return outputs


def by_hand(model, x):
    """What `Subclassed` adds, in NumPy."""
    w, b = model.dense.get_weights()
    outputs = x @ w + b
    own = outputs[0].sum() + outputs.max(axis=0).sum()
    return own + 0.5 * np.square(outputs).mean() + 0.01 * np.square(w).sum()


class TestLosses:
    def test_are_those_of_the_last_outermost_call(self):
        model = Subclassed()
        assert model.losses == []
        for x in (X, X[:3], X):
            model(x)
            assert len(model.losses) == 4
            assert sum(float(ops.sum(loss)) for loss in model.losses) == pytest.approx(by_hand(model, x), rel=1e-5)
        model.forget_losses()
        assert len(model.losses) == 1, "the weights remain"

    def test_of_a_layer_called_twice_are_two(self):
        shared = keras.layers.Dense(3, activity_regularizer=lambda y: ops.sum(y * y))
        x = keras.Input((3,))
        model = keras.Model(x, shared(shared(x)))
        assert model.losses == [], "symbolic calls compute nothing"
        a = shared(X[:, :3]).numpy()
        b = shared(a).numpy()
        model(X[:, :3])
        assert list(map(float, model.losses)) == pytest.approx([(a * a).sum() / 12, (b * b).sum() / 12], rel=1e-5)
        assert list(map(float, shared.losses)) == list(map(float, model.losses))
        shared(X[:, :3])
        assert len(model.losses) == 1

    def test_of_activities_are_divided_by_the_size_of_the_batch(self):
        layer = keras.layers.ActivityRegularization(l1=0.5, l2=2.0)
        expected = (0.5 * np.abs(X) + 2.0 * X * X).sum() / len(X)
        np.testing.assert_array_equal(layer(X), X)
        assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-6)
        layer(np.concatenate([X, X]))
        assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-6)
        layer(X[:0])
        assert float(layer.losses[0]) == 0
        assert layer.losses[0].dtype == np.float32

    def test_of_several_outputs_are_several(self):
        class Two(keras.layers.Layer):
            def call(self, inputs):
                return {"a": inputs, "b": inputs * 2}

        layer = Two(activity_regularizer=keras.regularizers.L1(1.0))
        layer(X)
        each = np.abs(X).sum() / len(X)
        assert list(map(float, layer.losses)) == pytest.approx([each, 2 * each], rel=1e-6)

    def test_of_frozen_weights_are_none(self):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_regularizer="l2", name="first"),
                                  keras.layers.Dense(2, kernel_regularizer="l1")])  # fmt: skip
        assert len(model.losses) == 2
        model.get_layer("first").trainable = False
        assert len(model.losses) == 1
        model.trainable = False
        assert model.losses == []

    def test_need_tensors(self):
        class Wrong(keras.layers.Layer):
            def call(self, inputs):
                self.add_loss(0.5)
                return inputs

        message = r"add_loss: 'wrong.*' expected a tensor, .* got a float: 0\.5"
        with pytest.raises(keras.errors.ArgumentError, match=message):
            Wrong()(X)

    def test_are_left_behind_by_copies_and_not_asked_for_by_predict(self):
        import copy

        model = Subclassed()
        model(X)
        assert len(copy.deepcopy(model).losses) == 1
        model.compile("sgd", "mse")
        model.forget_losses()
        model.predict(X, verbose=0)
        assert len(model.losses) == 1

    def test_are_part_of_a_pure_function(self):
        model = Subclassed()
        model(X)
        weights = [w.data for w in model.trainable_variables]

        def penalty(*weights):
            _, fixed, losses = model.stateless_call(weights, [], X, return_losses=True)
            assert fixed == []
            return sum(ops.sum(loss) for loss in losses)

        assert float(penalty(*weights)) == pytest.approx(by_hand(model, X), rel=1e-5)
        # The layers compute in float32.
        keras.gradcheck(penalty, *weights, tolerance=1e-6)


class TestTraining:
    @pytest.mark.parametrize("eagerly", [True, False], ids=["eager", "replayed"])
    def test_and_evaluation_report_the_whole_loss(self, eagerly):
        model = Subclassed()
        model(X)
        error = np.square(model(X).numpy() - Y).mean()
        expected = error + by_hand(model, X)
        model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mse"], run_eagerly=eagerly)
        for _ in range(4):
            assert model.train_on_batch(X, Y) == pytest.approx([expected, error], rel=1e-5)
            assert model.test_on_batch(X, Y) == pytest.approx([expected, error], rel=1e-5)
        assert model.evaluate(X, Y, batch_size=12, verbose=0) == pytest.approx([expected, error], rel=1e-5)
        assert len(model.losses) == 1, "those of the call are forgotten with the step"

    def test_follows_the_gradient_of_the_whole_loss(self):
        """One step of `fit` is one step of a loop of one's own, and that of a sum written out."""
        fitted, looped, written = (dense_network(keras) for _ in range(3))
        for model in (looped, written):
            model.set_weights(fitted.get_weights())
        fitted.compile(keras.optimizers.SGD(0.1), "mse")
        for _ in range(3):
            fitted.train_on_batch(X, Y[:, :1])
        loss_fn, optimizer = keras.losses.MeanSquaredError(), keras.optimizers.SGD(0.1)
        for _ in range(3):
            with keras.GradientTape() as tape:
                loss = loss_fn(Y[:, :1], looped(X, training=True)) + sum(looped.losses)
            gradients = tape.gradient(loss, looped.trainable_variables)
            optimizer.apply_gradients(zip(gradients, looped.trainable_variables, strict=True))
        # The same terms in the same order.
        for a, b in zip(fitted.get_weights(), looped.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("record", [lambda f: f, keras.function], ids=["eager", "recorded"])
    def test_in_a_step_of_ones_own(self, record):
        keras.utils.set_random_seed(6)
        model, optimizer = Subclassed(), keras.optimizers.SGD(0.01)
        model(X)

        @record
        def step(x, y):
            with keras.GradientTape() as tape:
                loss = ops.mean(ops.square(model(x) - y)) + sum(ops.sum(part) for part in model.losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        for _ in range(5):
            w, b = model.dense.get_weights()
            expected = np.square(X @ w + b - Y).mean() + by_hand(model, X)
            assert float(step(X, Y)) == pytest.approx(expected, rel=1e-5)
        if record is keras.function:
            assert len(model.losses) == 1, "a replay does not renew the others"

    def test_of_a_model_with_several_outputs(self):
        x = keras.Input((4,))
        dense = keras.layers.Dense(2, name="a", kernel_regularizer=keras.regularizers.L2(0.1))(x)
        model = keras.Model(x, [dense, keras.layers.Dense(2, name="b")(x)])
        model.compile("sgd", "mse", loss_weights=[1.0, 0.5])
        results = model.evaluate(X, [Y, Y], verbose=0, return_dict=True)
        penalty = 0.1 * np.square(model.get_layer("a").kernel.data).sum()
        assert results["loss"] == pytest.approx(results["a_loss"] + 0.5 * results["b_loss"] + penalty, rel=1e-5)

    def test_starts_over_when_a_regularizer_changes(self):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, kernel_regularizer="l2")])
        model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mse"])
        for factor in (0.0, 1.0):
            model.layers[0].kernel.regularizer = keras.regularizers.L2(factor)
            for _ in range(4):
                loss, error = model.train_on_batch(X, Y)
            # The error is a number around 1, rounded in float32.
            assert loss - error == pytest.approx(factor * np.square(model.get_weights()[0]).sum(), rel=1e-5, abs=1e-6)


class TestConstraints:
    def limited(self):
        keras.utils.set_random_seed(4)
        model = keras.Sequential([
            keras.Input((4,)),
            keras.layers.Dense(6, kernel_constraint=keras.constraints.MaxNorm(0.5), bias_constraint="non_neg"),
            keras.layers.Dense(2, kernel_constraint=lambda w: ops.clip(w, -0.1, 0.1)),
        ])  # fmt: skip
        # Not before the first step: initializers do as they like.
        assert (np.linalg.norm(model.layers[0].kernel, axis=0) > 0.5).all()
        return model

    def check(self, model):
        first, bias, last, free = model.get_weights()
        assert (np.linalg.norm(first, axis=0) <= 0.5).all()
        assert (bias >= 0).all()
        assert (np.abs(last) <= np.float32(0.1)).all()
        assert (free != 0).any()

    @pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam"])
    def test_hold_after_each_step_of_fit(self, optimizer):
        model = self.limited()
        model.compile(optimizer, "mse")
        check = keras.callbacks.Callback()
        check.on_train_batch_end = lambda batch, logs=None: self.check(model)
        model.fit(X, Y, 5, epochs=4, verbose=0, callbacks=[check])

    def test_hold_in_a_loop_of_ones_own(self):
        model, optimizer = self.limited(), keras.optimizers.Adam(0.1)
        for _ in range(3):
            with keras.GradientTape() as tape:
                loss = ops.mean(ops.square(model(X) - Y))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            self.check(model)

    def test_touch_only_what_is_trained(self):
        model = self.limited()
        kernel = np.full((4, 6), 3.0, np.float32)
        model.layers[0].kernel.assign(kernel)
        model.layers[0].trainable = False
        model.compile("sgd", "mse")
        model.train_on_batch(X, Y)
        np.testing.assert_array_equal(model.layers[0].kernel, kernel)

    def test_leave_variables_where_the_optimizer_has_them(self):
        model, optimizer = self.limited(), keras.optimizers.SGD(0.1)
        gradients = [np.ones(v.shape, np.float32) for v in model.trainable_variables]
        optimizer.apply(gradients, model.trainable_variables)
        homes = [v.data for v in model.trainable_variables]
        optimizer.apply(gradients, model.trainable_variables)
        assert all(v.data is home for v, home in zip(model.trainable_variables, homes, strict=True))

    def test_that_do_not_fit_are_found_when_the_layer_is_built(self):
        for constraint, message in [
            (lambda w: ops.sum(w), r"constraint of 'mine/kernel': .*expected shape \(4, 2\), got \(\)"),
            (keras.constraints.MaxNorm(axis=[0, 1, 2]), r"constraint of 'mine/kernel': expected axes .* got axis="),
        ]:
            with pytest.raises(keras.errors.ShapeError, match=message):
                keras.layers.Dense(2, kernel_constraint=constraint, name="mine").build((None, 4))
        variable = keras.Variable(np.ones(3))
        for role in ("constraint", "regularizer"):
            with pytest.raises(keras.errors.DTypeError, match=f"{role} of 'variable': expected a function .* got 3"):
                setattr(variable, role, 3)

    def test_stay_with_a_copy(self):
        import copy

        layer = keras.layers.Dense(2, kernel_constraint="max_norm", bias_regularizer="l2")
        layer(X)
        twin = copy.deepcopy(layer)
        assert twin.kernel.constraint is layer.kernel.constraint is not None
        assert twin.bias.regularizer is layer.bias.regularizer is not None


class TestArguments:
    def test_of_add_weight(self):
        class Scale(keras.layers.Layer):
            def build(self, input_shape):
                self.scale = self.add_weight((4,), "ones", regularizer="l2", constraint="non_neg", name="scale")

            def call(self, inputs):
                return inputs * self.scale

        layer = Scale()
        layer(X)
        assert float(layer.losses[0]) == pytest.approx(0.04)
        assert isinstance(layer.scale.constraint, keras.constraints.NonNeg)

    def test_of_a_subclass_come_along(self):
        class Wide(keras.layers.Dense):
            def __init__(self, units=9, **kwargs):
                super().__init__(units, **kwargs)

        layer = Wide(kernel_regularizer="l1", activity_regularizer="l2")
        assert Wide.from_config(layer.get_config()).get_config() == layer.get_config()
        with pytest.raises(keras.errors.UnknownNameError, match="Unknown argument of Wide 'kernel_regulariser'"):
            Wide(kernel_regulariser="l1")

    @pytest.mark.parametrize(
        ("make", "names"),
        [
            (lambda **o: keras.layers.Dense(2, **o), ["kernel", "bias"]),
            (lambda **o: keras.layers.Conv1D(2, 1, **o), ["kernel", "bias"]),
            (lambda **o: keras.layers.Conv2D(2, 1, **o), ["kernel", "bias"]),
            (lambda **o: keras.layers.Conv1DTranspose(2, 1, **o), ["kernel", "bias"]),
            (lambda **o: keras.layers.Conv2DTranspose(2, 1, **o), ["kernel", "bias"]),
            (lambda **o: keras.layers.DepthwiseConv1D(1, **o), ["depthwise", "bias"]),
            (lambda **o: keras.layers.DepthwiseConv2D(1, **o), ["depthwise", "bias"]),
            (lambda **o: keras.layers.SeparableConv1D(2, 1, **o), ["depthwise", "pointwise", "bias"]),
            (lambda **o: keras.layers.SeparableConv2D(2, 1, **o), ["depthwise", "pointwise", "bias"]),
            (lambda **o: keras.layers.BatchNormalization(**o), ["gamma", "beta"]),
            (lambda **o: keras.layers.GroupNormalization(2, **o), ["gamma", "beta"]),
            (lambda **o: keras.layers.PReLU(**o), ["alpha"]),
        ],
    )
    def test_reach_the_weights_they_name(self, make, names):
        """Each weight gets its own regularizer and constraint, in the order of the variables."""
        rules = {f"{name}_regularizer": keras.regularizers.L2(k + 1) for k, name in enumerate(names)}
        limits = {f"{name}_constraint": keras.constraints.MaxNorm(k + 1) for k, name in enumerate(names)}
        layer = make(**rules, **limits)
        layer.build((None, 4, 2) if "1D" in type(layer).__name__ else (None, 4, 4, 2))
        for k, variable in enumerate(layer.trainable_variables):
            assert variable.regularizer.l2 == variable.constraint.max_value == k + 1
        assert len(layer.trainable_variables) == len(names)

    def test_survive_saving(self, tmp_path):
        model = dense_network(keras)
        model.save(tmp_path / "model.minidl")
        again = keras.models.load_model(tmp_path / "model.minidl")
        for a, b in zip(model.layers, again.layers, strict=True):
            assert a.get_config() == b.get_config()
        assert list(map(float, again.losses)) == list(map(float, model.losses))

    def test_of_the_users_own_come_back_from_custom_objects(self, tmp_path):
        def tiny(w):
            return 1e-3 * ops.sum(w * w)

        class Half(keras.constraints.Constraint):
            def __call__(self, w):
                return w * 0.5

        dense = keras.layers.Dense(2, kernel_regularizer=tiny, kernel_constraint=Half())
        model = keras.Sequential([keras.Input((4,)), dense])
        model.save(tmp_path / "model.minidl")
        again = keras.models.load_model(tmp_path / "model.minidl", custom_objects={"tiny": tiny, "Half": Half})
        assert again.layers[0].kernel.regularizer is tiny
        for own in (lambda w: ops.sum(w), type(tiny)(tiny.__code__, {}, "l2")):
            with pytest.raises(keras.errors.ArgumentError, match="has no name of its own to be saved under"):
                keras.layers.Dense(2, kernel_regularizer=own).get_config()
        assert isinstance(again.layers[0].kernel.constraint, Half)
