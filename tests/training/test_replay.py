"""A step that is replayed gives bitwise what the step itself gives, whatever the model, and whatever happens meanwhile.

Every test trains one model twice from the same seed, with `run_eagerly=True` and without, and compares all there is to
compare, to the last bit: weights, moving averages, what the optimizer remembers, histories, predictions.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl as keras
from minidl import ops, threads
from minidl.errors import ArgumentError
from minidl.training import step

SAMPLES, FEATURES, CLASSES, BATCH = 22, 4, 3, 5
# 22 samples in batches of 5: four whole ones and a smaller one.
STEPS = 5
random = np.random.default_rng(1)
X = random.standard_normal((SAMPLES, FEATURES)).astype(np.float32)
Y = random.integers(0, CLASSES, SAMPLES)
Model = keras.Model


class Counter(keras.layers.Layer):
    """Passes its input on, and counts how often Python came along."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.passes = {"training": 0, "inference": 0}

    def call(self, inputs, training=False):
        self.passes["training" if training else "inference"] += 1
        return inputs


def network(*layers, last=CLASSES, activation="softmax") -> Callable[[], list[Any]]:
    """What makes the layers of a network: one Dense, those that `layers` makes, another Dense."""
    return lambda: [
        keras.Input((FEATURES,)),
        keras.layers.Dense(6, activation="relu"),
        *(make() for make in layers),
        keras.layers.Dense(last, activation=activation),
    ]


def compiled(make_layers, eagerly: bool, **options: Any) -> Model:
    """A model with a counter, always from the same seed; `optimizer` may be a function that makes one."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([*make_layers(), Counter(name="counter")])
    optimizer = options.pop("optimizer", lambda: keras.optimizers.Adam(0.01))
    arguments = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **options}
    model.compile(optimizer() if callable(optimizer) else optimizer, run_eagerly=eagerly, **arguments)
    return model


def passes(model: Model) -> dict[str, int]:
    return model.get_layer("counter").passes


def state(model: Model) -> list[np.ndarray]:
    """Weights, moving averages, what the optimizer remembers."""
    return [np.array(v.data) for v in (*model.variables, *model.optimizer.variables)]


def everything(model: Model, *results: Any) -> list[np.ndarray]:
    """The state and, in the order they stand in, all numbers in `results`."""
    flat: list[np.ndarray] = state(model)

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for name in sorted(value):
                add(value[name])
        elif isinstance(value, (list, tuple)):
            for item in value:
                add(item)
        elif value is not None:
            flat.append(np.asarray(value))

    add(list(results))
    return flat


def assert_bitwise_equal(eager: list[np.ndarray], replayed: list[np.ndarray]) -> None:
    assert len(eager) == len(replayed)
    for k, (a, b) in enumerate(zip(eager, replayed, strict=True)):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), f"array {k} differs:\n{a}\n{b}"


def fit_and_look(model: Model, x: np.ndarray = X, y: np.ndarray = Y, **options: Any) -> list[np.ndarray]:
    """Train for three epochs, with validation; then evaluate and predict."""
    options = {"batch_size": BATCH, "epochs": 3, "verbose": 0, "validation_data": (x, y), **options}
    history = model.fit(x, y, **options)
    results = model.evaluate(x, y, batch_size=BATCH, verbose=0)
    return everything(model, history.history, results, model.predict(x, batch_size=BATCH, verbose=0))


def proven(
    make_layers: Callable[[], list[Any]],
    run: Callable[[Model], list[np.ndarray]] = fit_and_look,
    replays: bool | None = True,
    **options: Any,
) -> None:
    """Check that `run` does the same either way; and that there are `replays`, or none (None: as may be).

    An option of the form `fresh_x` makes the option x anew for each of the two models.
    """
    outcomes, counts = [], []
    for eagerly in (True, False):
        given = {
            name.removeprefix("fresh_"): value() if name.startswith("fresh_") else value
            for name, value in options.items()
        }
        model = compiled(make_layers, eagerly, **given)
        outcomes.append(run(model))
        counts.append(passes(model)["training"])
    assert_bitwise_equal(*outcomes)
    if replays:
        assert counts[1] < counts[0], "nothing was replayed"
    elif replays is False:
        assert counts[1] == counts[0], "this must not be replayed"


LAYERS = {
    "dense": (),
    "no_bias": (lambda: keras.layers.Dense(5, use_bias=False),),
    "batch_normalization": (lambda: keras.layers.BatchNormalization(momentum=0.8),),
    "group_normalization": (lambda: keras.layers.GroupNormalization(2),),
    "dropout": (lambda: keras.layers.Dropout(0.4),),
    "dropout_with_a_noise_shape": (lambda: keras.layers.Dropout(0.4, noise_shape=(None, 1)),),
    "two_dropouts_and_a_normalization": (
        lambda: keras.layers.Dropout(0.4), lambda: keras.layers.BatchNormalization(), lambda: keras.layers.Dropout(0.2),
    ),
    "alpha_dropout": (lambda: keras.layers.AlphaDropout(0.3),),
    "gaussian_noise_and_dropout": (lambda: keras.layers.GaussianNoise(0.2), lambda: keras.layers.GaussianDropout(0.2)),
    "spatial_dropout": (
        lambda: keras.layers.Reshape((3, 2)), lambda: keras.layers.SpatialDropout1D(0.4),
        lambda: keras.layers.Flatten(),
    ),
    "batch_renormalization": (
        lambda: keras.layers.BatchNormalization(momentum=0.8, renorm=True, renorm_momentum=0.5),
    ),
    "layer_normalization": (lambda: keras.layers.LayerNormalization(),),
    "rms_and_unit_normalization": (lambda: keras.layers.RMSNormalization(), lambda: keras.layers.UnitNormalization()),
    "normalization": (lambda: keras.layers.Normalization(),),
    "function": (lambda: keras.layers.Lambda(lambda x: ops.tanh(x) + x), lambda: keras.layers.Identity()),
    "prelu": (lambda: keras.layers.PReLU(),),
    "leaky_relu": (lambda: keras.layers.LeakyReLU(),),
    "elu": (lambda: keras.layers.ELU(),),
    "softmax": (lambda: keras.layers.Softmax(),),
    "reshape_and_flatten": (lambda: keras.layers.Reshape((2, 3)), lambda: keras.layers.Flatten()),
    "gelu": (lambda: keras.layers.Activation("gelu"),),
    "nested": (lambda: keras.Sequential([keras.layers.Dense(5, activation="tanh"), keras.layers.Dropout(0.3)]),),
}  # fmt: skip


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers(layers):
    proven(network(*layers))


IMAGE_LAYERS = {
    "flip": lambda: keras.layers.RandomFlip(),
    "crop": lambda: keras.layers.RandomCrop(1, 2),
    "translation": lambda: keras.layers.RandomTranslation(0.3, 0.3, fill_mode="constant"),
    "rotation": lambda: keras.layers.RandomRotation(0.3),
    "zoom": lambda: keras.layers.RandomZoom(0.5, interpolation="nearest"),
    "contrast": lambda: keras.layers.RandomContrast(0.5, value_range=(-3, 3)),
    "brightness": lambda: keras.layers.RandomBrightness(0.2, value_range=(-3, 3)),
    "erasing": lambda: keras.layers.RandomErasing(0.5, value_range=(-3, 3)),
    "mixup": lambda: keras.layers.MixUp(),
    "resizing": lambda: keras.layers.Resizing(3, 5, interpolation="bicubic", antialias=True),
    "center_crop": lambda: keras.layers.CenterCrop(1, 2),
}


@pytest.mark.parametrize("first", [True, False], ids=["of the data", "of what was learned"])
@pytest.mark.parametrize("layer", IMAGE_LAYERS.values(), ids=IMAGE_LAYERS)
def test_images(layer, first):
    """In front of the network, and behind a layer that gradients flow back to."""
    before = () if first else (lambda: keras.layers.Dense(4),)
    shape = lambda: keras.layers.Reshape((2, 2, 1))  # noqa: E731
    proven(lambda: [
        keras.Input((FEATURES,)), *(make() for make in (*before, shape, layer)), keras.layers.Flatten(),
        keras.layers.Dense(CLASSES, activation="softmax"),
    ])  # fmt: skip


class Adding(keras.layers.Layer):
    """Adds to the loss what it is given."""

    def call(self, inputs):
        self.add_loss(ops.mean(ops.square(inputs)))
        return inputs


def twice():
    """A layer that is called twice, with a penalty on its outputs and a limit for its weights."""
    shared = keras.layers.Dense(6, kernel_constraint="unit_norm", activity_regularizer="l1", name="shared")
    return [shared, keras.layers.Activation("tanh"), keras.Sequential([shared])]


L1L2, MaxNorm = keras.regularizers.L1L2, keras.constraints.MaxNorm
ADDED = {
    "weights": lambda: [keras.layers.Dense(6, kernel_regularizer=L1L2(0.01, 0.02), bias_regularizer="l2")],
    "orthogonal": lambda: [keras.layers.Dense(6, kernel_regularizer="orthogonal")],
    "activities": lambda: [keras.layers.Dense(6, activity_regularizer="l2"), keras.layers.ActivityRegularization(0.01)],
    "added_in_call": lambda: [Adding(), keras.Sequential([Adding(), Adding()])],
    "twice": twice,
    "norms": lambda: [keras.layers.Dense(6, kernel_constraint=MaxNorm(0.5), bias_constraint="non_neg")],
    "constrained_normalization": lambda: [keras.layers.BatchNormalization(gamma_constraint=MaxNorm(0.9))],
    "functions": lambda: [
        keras.layers.Dense(6, kernel_regularizer=lambda w: ops.sum(w ** 4), kernel_constraint=lambda w: w * 0.9)
    ],
    "functions_that_look": lambda: [
        keras.layers.Dense(6, kernel_constraint=lambda w: w * 0.9 if float(ops.sum(w)) > 0.1 else w)
    ],
}  # fmt: skip


@pytest.mark.parametrize("make", ADDED.values(), ids=ADDED)
def test_what_layers_add_to_the_loss_and_what_weights_are_held_to(make):
    proven(lambda: [keras.layers.Dense(6, activation="relu"), *make(), keras.layers.Dense(CLASSES, "softmax")])


SGD, Adam, AdamW = keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.AdamW
OPTIMIZERS = {
    "sgd": lambda **o: SGD(0.05, **o),
    "momentum": lambda **o: SGD(0.05, momentum=0.9, **o),
    "nesterov": lambda **o: SGD(0.05, momentum=0.9, nesterov=True, **o),
    "adagrad": lambda **o: keras.optimizers.Adagrad(0.05, **o),
    "rmsprop": lambda **o: keras.optimizers.RMSprop(0.01, **o),
    "rmsprop_centered": lambda **o: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True, **o),
    "adam": lambda **o: Adam(0.01, **o),
    "amsgrad": lambda **o: Adam(0.01, amsgrad=True, **o),
    "adamw": lambda **o: AdamW(0.01, **o),
    "adamax": lambda **o: keras.optimizers.Adamax(0.01, **o),
    "nadam": lambda **o: keras.optimizers.Nadam(0.01, **o),
    "lion": lambda **o: keras.optimizers.Lion(0.003, **o),
    "adadelta": lambda **o: keras.optimizers.Adadelta(1.0, **o),
}
OPTIONS = [{}, {"clipnorm": 0.1}, {"clipvalue": 0.01}, {"global_clipnorm": 0.1}, {"weight_decay": 0.02}]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options), "plain"))
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers(optimizer, options):
    proven(network(lambda: keras.layers.BatchNormalization()), fresh_optimizer=lambda: optimizer(**options))


def test_weight_decay_that_spares_some():
    def optimizer():
        adamw = AdamW(0.01, weight_decay=0.1)
        adamw.exclude_from_weight_decay(var_names=["bias", "gamma"])
        return adamw

    proven(network(lambda: keras.layers.BatchNormalization()), fresh_optimizer=optimizer)


def test_weight_decay_that_spares_others_from_then_on():
    class Exclude(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.exclude_from_weight_decay(var_names=["bias"] if epoch == 0 else [])

    def run(model):
        return fit_and_look(model, callbacks=[Exclude()])

    proven(network(), run, fresh_optimizer=lambda: AdamW(0.01, weight_decay=0.1))


SCHEDULES = {
    "exponential": lambda: keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5),
    "piecewise": lambda: keras.optimizers.schedules.PiecewiseConstantDecay([3, 8], [0.1, 0.05, 0.01]),
    "cosine": lambda: keras.optimizers.schedules.CosineDecay(0.1, 10),
    "function": lambda: iter(np.linspace(0.1, 0.01, 100)).__next__,
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_learning_rates_that_change_with_each_step(schedule):
    proven(network(), fresh_optimizer=lambda: SGD(schedule(), momentum=0.9))


def at_batch(changes: dict[int, Callable[[Model], None]]) -> Callable[[Model], list[np.ndarray]]:
    """A run in which something is changed before the k-th batch of all."""

    class Changes(keras.callbacks.Callback):
        seen = 0

        def on_train_batch_begin(self, batch, logs=None):
            changes.get(self.seen, lambda model: None)(self.model)
            self.seen += 1

    return lambda model: fit_and_look(model, epochs=4, callbacks=[Changes()])


def setting(path: str, value: Any) -> Callable[[Model], None]:
    """What sets "layer.attribute", or "optimizer.attribute", of a model."""
    owner, attribute = path.split(".")
    return lambda model: setattr(
        model.optimizer if owner == "optimizer" else model.get_layer(owner), attribute, value
    )


def named_layers():
    return [
        keras.Input((FEATURES,)),
        keras.layers.Dense(6, name="first"),
        keras.layers.BatchNormalization(name="normalization", momentum=0.7),
        keras.layers.Dropout(0.5, name="dropout"),
        keras.layers.Dense(CLASSES, activation="softmax", name="last"),
    ]


CHANGES = {
    "learning_rate": {7: setting("optimizer.learning_rate", 0.3), 12: setting("optimizer.learning_rate", 0.001)},
    "learning_rate_assigned": {7: lambda model: model.optimizer.learning_rate.assign(0.3)},
    "schedule_instead_of_a_number": {
        7: lambda model: setattr(model.optimizer, "learning_rate", SCHEDULES["exponential"]())
    },
    "beta": {7: setting("optimizer.beta_1", 0.3)},
    "weight_decay": {7: setting("optimizer.weight_decay", 0.3)},
    "clipping_on": {7: setting("optimizer.global_clipnorm", 0.01)},
    "clipping_on_and_off": {6: setting("optimizer.clipvalue", 0.001), 13: setting("optimizer.clipvalue", None)},
    "dense_frozen_and_thawed": {6: setting("first.trainable", False), 13: setting("first.trainable", True)},
    "normalization_frozen_and_thawed": {
        6: setting("normalization.trainable", False), 13: setting("normalization.trainable", True)
    },
    "frozen_by_a_single_variable": {8: lambda model: setattr(model.get_layer("first").kernel, "trainable", False)},
    "frozen_and_thawed_by_a_pattern": {
        6: lambda model: keras.models.freeze(model, "first|normalization"),
        13: lambda model: keras.models.unfreeze(model, "first/bias|gamma"),
    },
    "dropout_rate": {6: setting("dropout.rate", 0.1), 13: setting("dropout.rate", 0.0)},
    "momentum_of_the_averages": {8: setting("normalization.momentum", 0.1)},
    "activation": {8: lambda model: setattr(model.get_layer("first"), "activation", keras.activations.tanh)},
    "weights": {8: lambda model: model.set_weights([w * 0.5 for w in model.get_weights()])},
    "one_variable": {8: lambda model: model.get_layer("last").kernel.assign(np.ones((6, CLASSES)))},
    "another_array": {
        8: lambda model: setattr(model.get_layer("last").kernel, "data", np.ones((6, CLASSES), np.float32))
    },
    "optimizer": {8: lambda model: setattr(model, "optimizer", SGD(0.1))},
    "regularizer": {
        6: lambda model: setattr(model.get_layer("first").kernel, "regularizer", keras.regularizers.L2(0.1)),
        13: lambda model: setattr(model.get_layer("first").kernel, "regularizer", None),
    },
    "activity_regularizer": {8: setting("last.activity_regularizer", keras.regularizers.L1(0.1))},
    "constraint": {
        6: lambda model: setattr(model.get_layer("first").kernel, "constraint", keras.constraints.MaxNorm(0.2)),
        13: lambda model: setattr(model.get_layer("first").kernel, "constraint", None),
    },
    "nan": {8: lambda model: model.get_layer("last").bias.assign(np.full(CLASSES, np.nan))},
    "state_of_the_optimizer": {
        8: lambda model: [v.assign(v.data * 0.5) for v in model.optimizer.variables[2:]]
    },
    "prediction_and_evaluation_in_between": {
        8: lambda model: (model.predict(X, verbose=0), model.test_on_batch(X, Y)),
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_changes_between_steps(changes):
    proven(named_layers, at_batch(changes), metrics=[])


def test_pruning():
    def run(model):
        pruning = keras.sparse.PolynomialPruning(0.8, frequency=2)
        return [*fit_and_look(model, callbacks=[pruning]), *fit_and_look(model, callbacks=[pruning.masks])]

    proven(network(lambda: keras.layers.BatchNormalization()), run)


def test_frozen_normalization_keeps_its_moving_averages():
    """That the change comes through at all, which equality alone would not show."""
    seen = []
    changes = {k: lambda model: seen.append(model.get_layer("normalization").moving_mean.data.copy()) for k in (6, 12)}
    freeze = changes[6]
    changes[6] = lambda model: (setting("normalization.trainable", False)(model), freeze(model))
    at_batch(changes)(compiled(named_layers, False))
    assert np.array_equal(*seen)


def train_on_batches(model: Model) -> list[np.ndarray]:
    """Batches of many sizes, each of them several times."""
    results = []
    for k in range(12):
        n = 2 + k % 3
        results.append(model.train_on_batch(X[k : k + n], Y[k : k + n]))
        results.append(model.test_on_batch(X[:n], Y[:n]))
        results.append(model.predict_on_batch(X[:n]))
    return everything(model, results)


DATA = {
    "shuffled": {},
    "in_order": {"shuffle": False},
    "one_batch": {"batch_size": SAMPLES, "epochs": 6},
    "single_samples": {"batch_size": 1, "epochs": 1},
    "sample_weight": {"sample_weight": np.linspace(0, 2, SAMPLES)},
    "class_weight": {"class_weight": {0: 0.2, 2: 3.0}},
    "validation_split": {"validation_data": None, "validation_split": 0.3},
    "without_validation": {"validation_data": None},
    "weighted_validation": {"validation_data": (X, Y, np.linspace(0, 1, SAMPLES))},
    "steps_per_epoch": {"steps_per_epoch": 3, "epochs": 4},
    "columns_of_labels": {"y": Y[:, None]},
    "uint8": {"x": (X * 50 + 128).clip(0, 255).astype(np.uint8)},
    "float64": {"x": X.astype(np.float64)},
    "fortran_order": {"x": np.asfortranarray(X)},
    "small_integers_as_labels": {"y": Y.astype(np.uint8)},
}


@pytest.mark.parametrize("options", DATA.values(), ids=DATA)
def test_data(options):
    layers = network(lambda: keras.layers.Dropout(0.3), lambda: keras.layers.BatchNormalization())
    proven(layers, lambda model: fit_and_look(model, **options))


def test_batches_of_alternating_sizes():
    proven(network(lambda: keras.layers.Dropout(0.3)), train_on_batches)


def test_the_same_array_as_input_and_target():
    """One array in two places is two arrays another time."""

    def run(model):
        for _ in range(4):
            model.train_on_batch(X, X)
        return everything(model, [model.train_on_batch(X, np.roll(X, 1, axis=1)) for _ in range(2)])

    proven(network(last=FEATURES, activation=None), run, loss="mse", metrics=[])


one_hot, signs = np.eye(CLASSES, dtype=np.float32)[Y], np.where(np.eye(CLASSES)[Y] > 0, 1.0, -1.0)
LOSSES = {
    **dict.fromkeys(("categorical_crossentropy", "categorical_hinge", "kl_divergence", "kld"), ("softmax", one_hot)),
    **dict.fromkeys(("binary_crossentropy", "bce"), ("sigmoid", one_hot)),
    **dict.fromkeys(("hinge", "squared_hinge", "cosine_similarity"), (None, signs)),
    **{
        name: ("softplus", np.abs(random.standard_normal((SAMPLES, CLASSES))).astype(np.float32))
        for name in (
            "mse", "mae", "mape", "msle", "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
            "mean_squared_logarithmic_error", "huber", "huber_loss", "log_cosh", "logcosh", "poisson",
        )
    },
    "sparse_categorical_crossentropy": ("softmax", Y),
}  # fmt: skip
LOSS_OBJECTS = {
    "from_logits": (keras.losses.SparseCategoricalCrossentropy(from_logits=True), None, Y),
    "categorical_from_logits": (keras.losses.CategoricalCrossentropy(from_logits=True), None, one_hot),
    "binary_from_logits": (keras.losses.BinaryCrossentropy(from_logits=True), None, one_hot),
    "smoothed": (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax", one_hot),
    "ignored_class": (keras.losses.SparseCategoricalCrossentropy(ignore_class=1), "softmax", Y),
    "sum": (keras.losses.MeanSquaredError(reduction="sum"), None, one_hot),
    "mean_with_sample_weight": (keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"), None, one_hot),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_losses(name, weighted):
    activation, y = LOSSES[name]
    weights = np.linspace(0, 2, SAMPLES) if weighted else None
    proven(network(activation=activation), lambda model: fit_and_look(model, y=y, sample_weight=weights), loss=name,
           metrics=[])  # fmt: skip


@pytest.mark.parametrize(("loss", "activation", "y"), LOSS_OBJECTS.values(), ids=LOSS_OBJECTS)
def test_loss_objects(loss, activation, y):
    weights = np.linspace(0, 2, SAMPLES)
    run = lambda model: fit_and_look(model, y=y, sample_weight=weights)  # noqa: E731
    proven(network(activation=activation), run, loss=loss, metrics=[])


def pure(y_true, y_pred):
    """Nothing but operations."""
    return ops.mean(ops.square(y_true - y_pred) * ops.exp(-ops.abs(y_pred)), axis=-1)


def with_numpy(y_true, y_pred):
    """Weights that are computed outside of minidl's operations."""
    weights = 1 / (1 + np.asarray(y_true).sum(axis=0))
    return ops.mean(ops.square(y_true - y_pred) * weights, axis=-1)


def with_a_decision(y_true, y_pred):
    """Another formula where the predictions say so."""
    error = ops.mean(ops.abs(y_true - y_pred), axis=-1)
    return error if float(ops.mean(error)) > 0.4 else ops.square(error)


def with_numpy_functions(y_true, y_pred):
    """NumPy's functions on tensors that have become constants."""
    return ops.mean(ops.square(y_true - y_pred), axis=-1) * np.median(y_pred.detach())


FUNCTIONS = {pure: True, with_numpy: False, with_a_decision: False, with_numpy_functions: False}


@pytest.mark.parametrize(("loss", "replays"), FUNCTIONS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_loss_functions_of_ones_own(loss, replays):
    run = lambda model: fit_and_look(model, y=one_hot)  # noqa: E731
    proven(network(activation="sigmoid"), run, replays, loss=loss, metrics=[])


class LargestMargin(keras.metrics.Metric):
    """A metric of one's own, with state."""

    def __init__(self, name="largest_margin"):
        super().__init__(name=name)
        self.reset_state()

    def reset_state(self):
        self.largest = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        ordered = np.sort(y_pred, axis=-1)
        self.largest = max(self.largest, float((ordered[:, -1] - ordered[:, -2]).max()))

    def result(self):
        return self.largest


class Median(keras.metrics.Metric):
    """A metric that keeps all predictions: the arrays it is given are its own."""

    def __init__(self, name="median"):
        super().__init__(name=name)
        self.reset_state()

    def reset_state(self):
        self.seen = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.append(y_pred)

    def result(self):
        return float(np.median(np.concatenate(self.seen))) if self.seen else 0.0


def entropy(y_true, y_pred):
    """A metric of one's own, as a function."""
    return -np.sum(y_pred * np.log(y_pred + 1e-7), axis=-1)


METRICS = {
    "accuracy": ["accuracy"],
    "several": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_2")],
    "function": [entropy],
    "own": [LargestMargin()],
}


@pytest.mark.parametrize("metrics", METRICS.values(), ids=METRICS)
def test_metrics(metrics):
    proven(network(), metrics=metrics, weighted_metrics=[entropy] if metrics != [entropy] else None)


def test_auc_of_two_classes():
    run = lambda model: fit_and_look(model, y=(Y > 0).astype(np.float32))  # noqa: E731
    proven(network(last=1, activation="sigmoid"), run, loss="binary_crossentropy",
           fresh_metrics=lambda: [keras.metrics.AUC(), "accuracy", keras.metrics.Precision()])  # fmt: skip


def test_a_metric_that_keeps_what_it_is_given():
    proven(network(), fresh_metrics=lambda: [Median()])


class Scale(keras.layers.Layer):
    """The base of the layers below: a weight, and a number that is added to."""

    def build(self, input_shape):
        self.scale = self.add_weight((), "ones", name="scale")
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")
        super().build(input_shape)


class WithNumPy(Scale):
    def call(self, inputs):
        return inputs * self.scale / (1 + np.abs(np.asarray(inputs)).max())


class WithADecision(Scale):
    def call(self, inputs):
        return inputs * self.scale if ops.mean(inputs) > 0.3 else inputs


class WithAnAttribute(Scale):
    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * self.scale * (1 + 0.1 * self.calls)


class WithNumbersInAList(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.numbers = [1.0]

    def call(self, inputs):
        self.numbers[0] += 0.1
        return inputs * self.scale * self.numbers[0]


class WithNoise(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = np.random.default_rng(5)

    def call(self, inputs):
        return inputs * self.scale + self.generator.normal(size=inputs.shape).astype(np.float32)


class WithNoiseInABuffer(WithNoise):
    """The same array with other numbers in it, each time."""

    def build(self, input_shape):
        self.buffer = np.empty(input_shape[1:], np.float32)
        super().build(input_shape)

    def call(self, inputs):
        self.generator.random(out=self.buffer, dtype=np.float32)
        return inputs * self.scale + self.buffer


class WithAPermutation(WithNoise):
    """The index of an operation changes in place."""

    def build(self, input_shape):
        self.order = np.arange(input_shape[1])
        super().build(input_shape)

    def call(self, inputs):
        self.generator.shuffle(self.order)
        return inputs[:, self.order] * self.scale


class WithAVariable(Scale):
    def call(self, inputs, training=False):
        if training:
            self.steps.assign_add(1)
        return inputs * self.scale * (1 + 0.1 * self.steps)


class WithAVariableSetFromTheInput(Scale):
    def call(self, inputs, training=False):
        if training:
            self.steps.assign(0.9 * self.steps + 0.1 * ops.mean(inputs))
        return inputs * self.scale - self.steps


class WithADecisionByAVariable(Scale):
    """Warm-up: the scale has a say from the sixth step on."""

    def call(self, inputs, training=False):
        if training:
            self.steps.assign_add(1)
        return inputs * self.scale if float(self.steps) > 5 else inputs * 2


class WithANewLayer(Scale):
    """A layer that is built in the third call."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        if self.calls == 3:
            self.late = keras.layers.Dense(6, name="late")
        return self.late(inputs) if self.calls >= 3 else inputs


LAYERS_OF_ONES_OWN = {
    WithNumPy: False, WithADecision: False, WithAnAttribute: False, WithNumbersInAList: False, WithNoise: False,
    WithNoiseInABuffer: False, WithAPermutation: False, WithAVariable: True, WithAVariableSetFromTheInput: True,
    WithANewLayer: False,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*no gradients for:minidl.errors.MiniDLWarning")
@pytest.mark.parametrize(
    ("layer", "replays"), LAYERS_OF_ONES_OWN.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_layers_of_ones_own(layer, replays):
    proven(network(layer), replays=replays)


@pytest.mark.filterwarnings("ignore:.*no gradients for:minidl.errors.MiniDLWarning")
def test_a_decision_by_the_value_of_a_variable():
    proven(network(WithADecisionByAVariable), replays=None)


def test_the_strength_of_a_loss_changed_by_a_callback():
    """As the weight of a divergence that is raised epoch by epoch."""

    class Penalized(keras.losses.Loss):
        strength = 0.0

        def call(self, y_true, y_pred):
            return ops.mean(ops.square(y_true - y_pred), axis=-1) + self.strength * ops.mean(ops.abs(y_pred), axis=-1)

    class Raise(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.loss.strength = 0.1 * epoch

    run = lambda model: fit_and_look(model, y=one_hot, epochs=4, callbacks=[Raise()])  # noqa: E731
    proven(network(), run, fresh_loss=Penalized, metrics=[])


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C before a batch."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 4:
            raise KeyboardInterrupt


def test_training_goes_on_after_an_interruption():
    def run(model):
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, Y, batch_size=4, verbose=0, callbacks=[Interrupt()])
        return fit_and_look(model)

    proven(network(lambda: keras.layers.Dropout(0.3)), run)


def test_an_interruption_in_the_middle_of_a_step():
    """The metric is told of predictions after the forward pass, before anything is learned."""

    def run(model):
        failing = {"at": 8}

        def fragile(y_true, y_pred):
            failing["at"] -= 1
            if not failing["at"]:
                raise KeyboardInterrupt
            return y_pred[:, 0]

        model.compile(Adam(0.01), "sparse_categorical_crossentropy", metrics=[fragile], run_eagerly=model.run_eagerly)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, batch_size=4, epochs=3, verbose=0)
        before = state(model)
        return [*before, *fit_and_look(model)]

    proven(network(lambda: keras.layers.BatchNormalization()), run)


def test_an_error_in_a_replayed_step_changes_nothing():
    """Labels are looked at in a replay as well, and before anything is learned."""
    model = compiled(network(), eagerly=False)
    for _ in range(4):
        model.train_on_batch(X, Y)
    before, count = state(model), passes(model)["training"]
    with pytest.raises(ArgumentError, match="expected labels from 0 to 2, got 7"):
        model.train_on_batch(X, np.full_like(Y, 7))
    assert_bitwise_equal(before, state(model))
    model.train_on_batch(X, Y)
    assert passes(model)["training"] == count


def test_nan_in_the_data_of_a_prediction():
    x = X.copy()
    x[3] = np.nan

    def run(model):
        fit_and_look(model)
        return everything(model, [model.predict(x, batch_size=BATCH, verbose=0) for _ in range(3)])

    proven(network(), run)


def test_models_that_share_layers_and_are_trained_in_turn():
    """Each optimizer lays the shared weights beside those that it knows."""

    def run(model):
        shared = model.layers[0]
        other = keras.Sequential([shared, keras.layers.Dense(FEATURES)])
        other.compile(SGD(0.05, momentum=0.9), "mse", run_eagerly=model.run_eagerly)
        results = []
        for _ in range(4):
            results.append(model.train_on_batch(X, Y))
            results.append(other.train_on_batch(X, X))
            results.append(model.predict_on_batch(X))
        results.append(model.fit(X, Y, epochs=2, batch_size=BATCH, verbose=0).history)
        results.append(other.fit(X, X, epochs=2, batch_size=BATCH, verbose=0).history)
        return everything(model, results, state(other))

    proven(network(), run)


def test_recurring_files(tmp_path):
    """Saved, loaded, trained on, and the weights put back into the first."""

    def run(model):
        fit_and_look(model)
        path = tmp_path / f"{model.run_eagerly}.minidl"
        model.save(path)
        saved = keras.models.load_model(path, custom_objects={"Counter": Counter})
        saved.compile(Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=model.run_eagerly)
        fit_and_look(saved)
        model.set_weights(saved.get_weights())
        return [*fit_and_look(model), *state(saved)]

    proven(network(lambda: keras.layers.BatchNormalization()), run)


def test_steps_by_hand_after_fit():
    """A tape on the variables that now lie side by side, with the model's optimizer and with another one."""

    def run(model):
        fit_and_look(model)
        losses = []
        for optimizer in (model.optimizer, SGD(0.1), model.optimizer):
            for _ in range(3):
                with keras.GradientTape() as tape:
                    loss = keras.losses.SparseCategoricalCrossentropy()(Y, model(X, training=True))
                variables = model.trainable_variables
                optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
                losses.append(float(loss))
        return [*fit_and_look(model), np.array(losses)]

    proven(network(lambda: keras.layers.Dropout(0.3)), run)


def test_a_stateless_call_after_fit():
    def run(model):
        fit_and_look(model)
        trainable = [v.data * 0.5 for v in model.trainable_variables]
        others = [v.data.copy() for v in model.non_trainable_variables]
        before = state(model)
        outputs, new = model.stateless_call(trainable, others, X, training=True)
        assert_bitwise_equal(before, state(model))
        return [*fit_and_look(model), outputs.data, *(v.data for v in new)]

    proven(network(lambda: keras.layers.BatchNormalization()), run)


def test_a_copy_of_a_trained_model_learns_by_itself():
    def run(model):
        fit_and_look(model)
        before = state(model)
        twin = copy.deepcopy(model)
        trained = fit_and_look(twin)
        assert_bitwise_equal(before, state(model))
        assert not np.array_equal(before[0], state(twin)[0])
        return [*fit_and_look(model), *trained]

    proven(network(lambda: keras.layers.BatchNormalization()), run)


def test_compiled_anew():
    def run(model):
        results = fit_and_look(model)
        model.compile(SGD(0.1), keras.losses.SparseCategoricalCrossentropy(), run_eagerly=model.run_eagerly)
        return [*results, *fit_and_look(model)]

    proven(network(lambda: keras.layers.BatchNormalization()), run)


class TestSubclassedModels:
    class Own(keras.Model):
        """Two ways through the network, and a choice between them by a Python attribute."""

        def __init__(self):
            super().__init__()
            self.first = keras.layers.Dense(6, activation="relu")
            self.second = keras.layers.Dense(CLASSES, activation="softmax")
            self.dropout = keras.layers.Dropout(0.4)
            self.doubled = False

        def call(self, inputs, training=False):
            hidden = self.dropout(self.first(inputs), training=training)
            return self.second(hidden + hidden if self.doubled else hidden)

    def test_with_an_attribute_changed_in_between(self):
        outcomes = []
        for eagerly in (True, False):
            keras.utils.set_random_seed(2)
            model = self.Own()
            model.compile(Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=eagerly)
            first = fit_and_look(model)
            model.doubled = True
            outcomes.append([*first, *fit_and_look(model)])
        assert_bitwise_equal(*outcomes)

    def test_with_several_outputs(self):
        outcomes = []
        for eagerly in (True, False):
            keras.utils.set_random_seed(2)
            inputs = keras.Input((FEATURES,))
            hidden = keras.layers.Dense(6, activation="relu")(inputs)
            outputs = [
                keras.layers.Dense(CLASSES, activation="softmax", name="kind")(hidden),
                keras.layers.Dense(1, name="size")(keras.layers.BatchNormalization()(hidden)),
            ]
            model = keras.Model(inputs, outputs)
            losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
            model.compile(
                Adam(0.01), losses, metrics={"kind": ["accuracy"]}, loss_weights={"kind": 0.5, "size": 2.0},
                run_eagerly=eagerly,
            )  # fmt: skip
            targets = {"kind": Y, "size": X[:, :1]}
            history = model.fit(X, targets, batch_size=BATCH, epochs=3, verbose=0).history
            results = model.evaluate(X, targets, verbose=0)
            outcomes.append(everything(model, history, results, model.predict(X, batch_size=BATCH, verbose=0)))
        assert_bitwise_equal(*outcomes)


class TestRecordings:
    """How often Python comes along."""

    def test_twice_for_each_size_of_batch_in_an_epoch(self):
        model = compiled(network(), eagerly=False)
        model.train_on_batch(X[:3], Y[:3])  # which makes the optimizer's slots
        before = passes(model)["training"]
        for _ in range(5):
            for n in (2, 5, 7):
                model.train_on_batch(X[:n], Y[:n])
        assert passes(model)["training"] == before + 2 * 3

    def test_always_where_steps_run_eagerly(self):
        model = compiled(network(), eagerly=True)
        model.fit(X, Y, batch_size=BATCH, epochs=3, verbose=0)
        assert passes(model)["training"] == 3 * STEPS

    def test_predictions_may_be_kept(self):
        model = compiled(network(), eagerly=False)
        kept = [model.predict_on_batch(X[k : k + 2]) for k in range(8)]
        assert_bitwise_equal(kept, [np.array(model(X[k : k + 2]).data) for k in range(8)])


class TestWhoDividesLargeProducts:
    """BLAS, in networks whose weights are matrices and vectors; nobody, where there are convolutions as well."""

    @pytest.mark.parametrize(
        ("layers", "divided"),
        [
            ([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")], True),
            (
                [
                    keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(),
                    keras.layers.Dense(3, activation="softmax"),
                ],
                False,
            ),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("eagerly", [True, False])
    def test_is_a_matter_of_the_model(self, monkeypatch, layers, divided, eagerly):
        seen = []
        inside = threads.products_divided

        @contextlib.contextmanager
        def spy(yes):
            seen.append(yes)
            with inside(yes):
                yield

        monkeypatch.setattr(step, "products_divided", spy)
        model = keras.Sequential(layers)
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
        x, y = np.ones((4, 8, 8, 1), np.float32), np.zeros(4, int)
        model.fit(x, y, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.predict(x, verbose=0)
        assert seen == [divided] * 3

    def test_and_a_replay_gives_what_the_step_gives(self):
        x, y = random.standard_normal((200, 400)).astype(np.float32), random.integers(0, CLASSES, 200)

        def weights(eagerly):
            keras.utils.set_random_seed(3)
            model = keras.Sequential([keras.Input((400,)), keras.layers.Dense(50), keras.layers.Dense(CLASSES)])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile("sgd", loss, run_eagerly=eagerly)
            model.fit(x, y, batch_size=200, epochs=5, verbose=0)
            return model.get_weights()

        for eager, replayed in zip(weights(True), weights(False), strict=True):
            np.testing.assert_array_equal(eager, replayed)
