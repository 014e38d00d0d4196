"""Make `trajectories.npz`: 50 steps of training by Keras 3, for every optimizer and every part of a training.

    pip install "keras>=3.15" torch
    python tests/golden/make_trajectories.py

`cases` is a JSON object that describes each training: the network, a list of layers by class and arguments (or the name
of a functional one, which stands word for word in tests/training/test_trajectories.py); the optimizer; the arguments of
`compile` and of `fit`; the arrays it is trained on. 78 samples in batches of 8, the last one of 6, in order, make 10
steps an epoch. The arrays of a case are named case__key: the weights `start_0`, ... before and `end_0`, ... after;
`losses` (50,), what the logs of each batch call the loss (the mean since the epoch began); `rates` (5,), the learning
rate after each epoch. Everything is float32, from one fixed seed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

Config = dict[str, Any]


def layer(class_name: str, **arguments: Any) -> Config:
    """The description of a layer, or of anything else with arguments."""
    return {"class_name": class_name, **arguments}


def part(class_name: str, **config: Any) -> Config:
    """The description of a part of a layer or an optimizer, as Keras writes it."""
    return {"class_name": class_name, "config": config}


DENSE = [layer("Dense", units=12, activation="relu"), layer("Dense", units=4)]
NORMALIZED = [
    layer("Dense", units=12, use_bias=False), layer("BatchNormalization", momentum=0.9),
    layer("Activation", activation="elu"), layer("Dense", units=4, activation="softmax"),
]  # fmt: skip
REGULARIZED = [
    layer(
        "Dense", units=12, activation="tanh", kernel_regularizer=part("L1L2", l1=0.003, l2=0.01),
        bias_regularizer=part("L1", l1=0.02), activity_regularizer=part("L2", l2=0.005),
    ),
    layer("Dense", units=4, kernel_regularizer=part("OrthogonalRegularizer", factor=0.02)),
]  # fmt: skip
CONSTRAINED = [
    layer("Dense", units=12, activation="selu", kernel_constraint=part("MaxNorm", max_value=1.0)),
    layer("Dense", units=12, activation="softplus", kernel_constraint=part("UnitNorm"), bias_constraint=part("NonNeg")),
    layer("Dense", units=4, kernel_constraint=part("MinMaxNorm", min_value=0.5, max_value=1.0, rate=0.8)),
]
IMAGES = [
    layer("Conv2D", filters=4, kernel_size=3, padding="same", activation="relu"), layer("MaxPooling2D"),
    layer("Conv2D", filters=5, kernel_size=2, strides=2, use_bias=False), layer("BatchNormalization", momentum=0.8),
    layer("LeakyReLU"), layer("Flatten"), layer("Dense", units=4),
]  # fmt: skip
SEPARABLE = [
    layer("SeparableConv2D", filters=6, kernel_size=3), layer("LayerNormalization"), layer("PReLU"),
    layer("DepthwiseConv2D", kernel_size=2, depth_multiplier=2), layer("AveragePooling2D", pool_size=2, strides=1),
    layer("Conv2DTranspose", filters=3, kernel_size=2), layer("GlobalAveragePooling2D"), layer("Dense", units=4),
]  # fmt: skip
WORDS = [
    layer("Embedding", input_dim=9, output_dim=3), layer("Conv1D", filters=6, kernel_size=2, activation="gelu"),
    layer("GlobalMaxPooling1D"), layer("Dense", units=4),
]  # fmt: skip

LOGITS = part("SparseCategoricalCrossentropy", from_logits=True)
SMOOTH = part("CategoricalCrossentropy", from_logits=True, label_smoothing=0.2)


def case(network: Any, optimizer: Config, loss: Any = LOGITS, x: str = "x", y: str = "y", **options: Any) -> Config:
    """The description of a training."""
    return {"network": network, "optimizer": optimizer, "loss": loss, "x": x, "y": y, **options}


CASES: dict[str, Config] = {
    "sgd": case(DENSE, layer("SGD", learning_rate=0.1)),
    "momentum_exponential": case(DENSE, layer("SGD", momentum=0.9, learning_rate=part(
        "ExponentialDecay", initial_learning_rate=0.05, decay_steps=20, decay_rate=0.5))),
    "nesterov_cosine": case(DENSE, layer(
        "SGD", momentum=0.9, nesterov=True, learning_rate=part(
            "CosineDecay", initial_learning_rate=0.0, decay_steps=35, alpha=0.1, warmup_target=0.05, warmup_steps=10))),
    "adagrad_piecewise": case(DENSE, layer(
        "Adagrad", learning_rate=part("PiecewiseConstantDecay", boundaries=[10, 30], values=[0.1, 0.05, 0.01]))),
    "rmsprop_inverse_time": case(DENSE, layer(
        "RMSprop", learning_rate=part("InverseTimeDecay", initial_learning_rate=0.01, decay_steps=10, decay_rate=0.5))),
    "rmsprop_centered": case(DENSE, layer("RMSprop", learning_rate=0.003, momentum=0.8, centered=True)),
    "adam_polynomial": case(DENSE, layer("Adam", learning_rate=part(
        "PolynomialDecay", initial_learning_rate=0.02, decay_steps=15, end_learning_rate=0.001, power=2, cycle=True))),
    "adam_amsgrad": case(DENSE, layer("Adam", learning_rate=0.01, beta_2=0.9, amsgrad=True)),
    "adamw_restarts": case(DENSE, layer("AdamW", weight_decay=0.05, learning_rate=part(
        "CosineDecayRestarts", initial_learning_rate=0.02, first_decay_steps=10, t_mul=1.5, m_mul=0.8))),
    "adamax": case(DENSE, layer("Adamax", learning_rate=0.02)),
    "nadam": case(DENSE, layer("Nadam", learning_rate=0.01)),
    "lion": case(DENSE, layer("Lion", learning_rate=0.002, weight_decay=0.1)),
    "adadelta": case(DENSE, layer("Adadelta", learning_rate=5.0, rho=0.9)),
    "clipvalue": case(DENSE, layer("Adam", learning_rate=0.01, clipvalue=0.02)),
    "clipnorm": case(DENSE, layer("SGD", learning_rate=0.1, momentum=0.9, clipnorm=0.1)),
    "global_clipnorm": case(NORMALIZED, layer("SGD", learning_rate=0.1, global_clipnorm=0.3),
                            "sparse_categorical_crossentropy"),
    "regularized": case(REGULARIZED, layer("SGD", learning_rate=0.05, momentum=0.9)),
    "constrained": case(CONSTRAINED, layer("Nadam", learning_rate=0.01)),
    "batch_normalization": case(NORMALIZED, layer("Adam", learning_rate=0.01), "sparse_categorical_crossentropy"),
    "class_weight": case(DENSE, layer("SGD", learning_rate=0.1), class_weight={"0": 0.5, "1": 2.0, "2": 1.0, "3": 0.2}),
    "label_smoothing": case(NORMALIZED[:3] + DENSE[1:], layer("SGD", learning_rate=0.1, momentum=0.5), SMOOTH,
                            y="one_hot", class_weight={"0": 1.5, "1": 0.25, "2": 1.0, "3": 2.0}),
    "sample_weight": case(DENSE, layer("Adam", learning_rate=0.01), "mse", y="one_hot", sample_weight="weight"),
    # Not with Adam: a bias before batch normalization has a gradient of rounding errors, which Adam would enlarge.
    "images": case(IMAGES, layer("SGD", learning_rate=0.02, momentum=0.9), x="images"),
    "separable": case(SEPARABLE, layer("Adam", learning_rate=0.01), x="images"),
    "words": case(WORDS, layer("RMSprop", learning_rate=0.005), x="words"),
    "frozen": case(DENSE, layer("SGD", learning_rate=0.1), frozen=[0]),
    "scheduled": case(DENSE, layer("SGD", learning_rate=0.1, momentum=0.9), callback="LearningRateScheduler"),
    "assigned": case(DENSE, layer("Adam", learning_rate=0.01), callback="LambdaCallback"),
    "two_outputs": case("two_outputs", layer("SGD", learning_rate=0.02, momentum=0.9, global_clipnorm=1.0),
                        {"label": LOGITS, "score": "huber"}, loss_weights={"label": 0.5, "score": 2.0}),
}  # fmt: skip


def two_outputs(keras: Any) -> Any:
    """Two inputs, a shared layer, a sum around a block, and two outputs of which one reads the other."""
    layers = keras.layers
    x, z = keras.Input((6,), name="x"), keras.Input((6,), name="z")
    shared = layers.Dense(8, "elu", kernel_regularizer=keras.regularizers.L2(0.01))
    p, q = shared(x), shared(z)
    block = layers.BatchNormalization(momentum=0.9)(layers.Dense(8, "relu")(layers.Concatenate()([p, q])))
    hidden = layers.Add()([p, block])
    label = layers.Dense(4, name="label")(layers.Multiply()([hidden, q]))
    score = layers.Dense(1, name="score")(hidden - 0.1 * layers.Dense(8)(label))
    return keras.Model([x, z], {"label": label, "score": score})


def data() -> dict[str, np.ndarray]:
    """What the networks are trained on."""
    rng = np.random.default_rng(50)
    y = rng.integers(0, 4, 78)
    x = rng.normal(size=(78, 6)) + rng.normal(size=(4, 6))[y]
    images = rng.normal(size=(78, 6, 6, 2)) + rng.normal(size=(4, 6, 6, 2))[y]
    words = np.where(rng.random((78, 5)) < 0.5, rng.integers(0, 9, (78, 5)), 2 * y[:, None])
    found = {"x": x, "images": images, "one_hot": np.eye(4)[y], "weight": rng.uniform(0, 2, 78),
             "score": x[:, :1] - x[:, 1:2] ** 2}  # fmt: skip
    integers = {"y": y, "words": words}
    return {k: v.astype("float32") for k, v in found.items()} | {k: v.astype("int32") for k, v in integers.items()}


def made(parts: Config, module: Any) -> Any:
    """What a description stands for."""
    arguments = {key: value for key, value in parts.items() if key != "class_name"}
    return getattr(module, parts["class_name"])(**arguments)


def loss(described: Any) -> Any:
    """One loss, or one for each output."""
    if isinstance(described, dict) and "class_name" not in described:
        return {name: loss(each) for name, each in described.items()}
    return keras.losses.get(described)


def callbacks(name: str | None, model: Any, rates: list[float]) -> list[Any]:
    """What changes the learning rate between epochs, and what notes it."""

    def change(epoch: int, logs: Any = None) -> None:
        model.optimizer.learning_rate = 0.01 / (1 + epoch)

    found = {
        "LearningRateScheduler": [keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.6 if epoch else 0.08)],
        "LambdaCallback": [keras.callbacks.LambdaCallback(on_epoch_begin=change)],
    }.get(name or "", [])
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))))
    return [*found, note]


def trained(described: Config, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The weights before and after, and the losses and rates between."""
    keras.utils.set_random_seed(3)
    network, x = described["network"], arrays[described["x"]]
    if network == "two_outputs":
        model, inputs = two_outputs(keras), [x, x[:, ::-1]]
        targets = {"label": arrays["y"], "score": arrays["score"]}
    else:
        model = keras.Sequential([made(each, keras.layers) for each in network])
        model.build(x.shape)
        inputs, targets = x, arrays[described["y"]]
    for k in described.get("frozen", []):
        model.layers[k].trainable = False
    # Zeros would hide a bias that is forgotten.
    rng = np.random.default_rng(4)
    model.set_weights([w + rng.uniform(0.05, 0.15, w.shape) for w in model.get_weights()])
    found: dict[str, Any] = {f"start_{k}": w for k, w in enumerate(model.get_weights())}
    rate = described["optimizer"].get("learning_rate")
    if isinstance(rate, dict):
        rate = keras.optimizers.schedules.deserialize(rate)
    optimizer = made(described["optimizer"] | {"learning_rate": rate}, keras.optimizers)
    model.compile(optimizer, loss(described["loss"]), loss_weights=described.get("loss_weights"))
    running: list[float] = []
    rates: list[float] = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: running.append(float(logs["loss"])))
    weights = {int(k): w for k, w in described.get("class_weight", {}).items()} or None
    model.fit(inputs, targets, batch_size=8, epochs=5, shuffle=False, verbose=0, class_weight=weights,
              sample_weight=arrays.get(described.get("sample_weight", "")),
              callbacks=[note, *callbacks(described.get("callback"), model, rates)])
    found |= {f"end_{k}": w for k, w in enumerate(model.get_weights())}
    return found | {"losses": np.float32(running), "rates": np.float32(rates)}


def main() -> None:
    """Write the file."""
    arrays = data()
    found = dict(arrays, cases=np.array(json.dumps(CASES)))
    for name, described in CASES.items():
        results = trained(described, arrays)
        found |= {f"{name}__{key}": np.asarray(value) for key, value in results.items()}
        print(name, results["losses"][9::10], results["rates"], flush=True)
    target = Path(__file__).with_name("trajectories.npz")
    np.savez_compressed(target, **found)
    print(target.name, f"{target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
