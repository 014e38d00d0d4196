"""Makes keras_chain.keras, keras_chain.h5, … and keras_files.npz: models that Keras wrote, and what it computes.

    KERAS_BACKEND=jax python tests/golden/make_keras_files.py

The models are made by functions of a module that is Keras here, and minidl in `check_in_keras.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def chain(keras: Any) -> Any:
    """A Sequential that has been trained, with a Sequential inside and a frozen layer."""
    model = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(5, activation="elu", kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.Sequential([keras.layers.Dense(4), keras.layers.PReLU(), keras.layers.Dropout(0.0)], name="inner"),
        keras.layers.Dense(4, activation=keras.layers.LeakyReLU(negative_slope=0.1), name="named", trainable=False),
        keras.layers.Dense(3, activation="softmax"),
    ], name="chain")  # fmt: skip
    rate = keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.5)
    model.compile(
        keras.optimizers.Adam(rate, clipnorm=1.0, amsgrad=True),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
    )
    return model


def graph(keras: Any) -> Any:
    """Two inputs, two outputs, a shared layer, models inside, one of them called twice, functions on tensors."""
    layers, ops = keras.layers, keras.ops
    x, z = keras.Input((4,), name="x"), keras.Input((4,), name="z")
    shared = layers.Dense(5, activation="tanh", name="shared")
    p, q = shared(x), shared(z)
    start = keras.Input((5,), name="start")
    middle = layers.Dense(5, name="middle")(start)
    inside = keras.Model(start, [layers.ReLU()(middle), middle], name="inside")
    first, second = inside(p)
    third, _ = inside(q + second * 0.5)
    tower = [keras.Input((5,)), layers.Dense(3, name="top"), layers.GroupNormalization(1)]
    tower = keras.Sequential(tower, name="tower")
    both = layers.Concatenate()([first, tower(third), 1 / (2.0 + p**2), ops.max(x, axis=1, keepdims=True), z[:, 1:3]])
    both = ops.expand_dims(both, 1)
    both = ops.reshape(layers.Dropout(0.3)(both), (-1, 16))
    a = layers.Dense(2, activation="sigmoid", name="a")(shared(first[:, :4]) - ops.mean(both, axis=-1, keepdims=True))
    b = layers.Dense(1, name="b")(ops.relu(both))
    model = keras.Model({"x": x, "z": z}, [a, b], name="graph")
    model.compile(
        keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True), loss={"a": "mse", "b": keras.losses.Huber()},
        loss_weights={"a": 1.0, "b": 0.5}, metrics={"a": ["mae"], "b": [keras.metrics.RootMeanSquaredError()]},
    )  # fmt: skip
    return model


def every(keras: Any) -> Any:
    """Every layer that both have, each on the same small image, or on its rows."""
    layers, regularizers, constraints = keras.layers, keras.regularizers, keras.constraints
    image, row = keras.Input((6, 6, 4), name="image"), keras.Input((8, 4), name="row")
    words = keras.Input((3,), name="words", dtype="int32")
    common = [
        layers.Activation("gelu"), layers.BatchNormalization(), layers.Dense(2), layers.ELU(0.7), layers.Flatten(),
        layers.GroupNormalization(2), layers.LeakyReLU(negative_slope=0.2), layers.PReLU(shared_axes=[1]),
        layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.1), layers.Rescaling(0.5, offset=1.0),
        layers.Softmax(), layers.Dropout(0.2), layers.AlphaDropout(0.2, noise_shape=(None, 1, 1), seed=3),
        layers.GaussianDropout(0.2), layers.GaussianNoise(0.3), layers.LayerNormalization(epsilon=0.01, center=False),
        layers.LayerNormalization(axis=[1, 2]), layers.RMSNormalization(), layers.UnitNormalization(axis=[1, -1]),
        layers.Identity(), layers.ActivityRegularization(0.1, 0.2), layers.Normalization(),
        layers.Normalization(None, 0.5, 2.0), layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1, 2, 3, 4.0]),
        layers.Normalization(axis=(1, -1), invert=True),
        layers.Dense(2, activation="tanh", kernel_regularizer=regularizers.L1L2(0.1, 0.2), bias_regularizer="l2",
                     activity_regularizer=regularizers.L1(0.1), kernel_constraint=constraints.MaxNorm(2, axis=0),
                     bias_constraint="non_neg"),
        layers.Dense(2, kernel_regularizer=regularizers.OrthogonalRegularizer(0.1, "columns")),
        layers.BatchNormalization(gamma_regularizer="l1", beta_regularizer=regularizers.L2(0.3),
                                  gamma_constraint=constraints.MinMaxNorm(0.5, 2, 0.5)),
    ]  # fmt: skip
    on_image = [
        *common, layers.AveragePooling2D(2), layers.Conv2D(3, 3, padding="same", strides=2, activation="relu"),
        layers.Conv2D(4, 3, groups=2), layers.Conv2DTranspose(2, 3, strides=2), layers.Cropping2D(((1, 2), (0, 1))),
        layers.DepthwiseConv2D(3, depth_multiplier=2), layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(keepdims=True), layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.SeparableConv2D(3, 3), layers.UpSampling2D(2), layers.ZeroPadding2D(((1, 2), (0, 1))),
        layers.Permute((3, 1, 2)), layers.Reshape((-1, 12)), layers.SpatialDropout2D(0.2),
        layers.Conv2D(2, 3, kernel_regularizer="l1", activity_regularizer=regularizers.L1L2(0.1),
                      kernel_constraint=constraints.UnitNorm(axis=[0, 1, 2])),
        layers.Resizing(5, 9), layers.Resizing(4, 3, "nearest", crop_to_aspect_ratio=True), layers.CenterCrop(3, 4),
        layers.RandomFlip("horizontal", seed=1), layers.RandomCrop(6, 6), layers.RandomTranslation(0.2, (-0.1, 0.3)),
        layers.RandomRotation(0.1, "constant", "nearest", fill_value=1.0), layers.RandomZoom(0.2, fill_mode="wrap"),
        # Keras itself cannot write a RandomBrightness to an .h5 file.
        layers.RandomContrast(0.3, (0, 1)),
        layers.RandomErasing(0.5, (0.1, 0.2), fill_value=0.0), layers.MixUp(0.3),
    ]  # fmt: skip
    on_row = [
        layers.AveragePooling1D(2), layers.Conv1D(3, 3, padding="causal"), layers.Conv1D(2, 3, dilation_rate=2),
        layers.Conv1DTranspose(2, 3, strides=2), layers.Cropping1D((1, 2)), layers.DepthwiseConv1D(3),
        layers.GlobalAveragePooling1D(), layers.GlobalMaxPooling1D(), layers.MaxPooling1D(2),
        layers.SeparableConv1D(3, 3), layers.UpSampling1D(2), layers.ZeroPadding1D((1, 2)),
        layers.SpatialDropout1D(0.2),
    ]  # fmt: skip
    flat = layers.GlobalAveragePooling1D()(row)
    pair = [layers.Dense(3)(row), layers.Dense(3, use_bias=False)(row)]
    merging = [layers.Add(), layers.Average(), layers.Concatenate(axis=1), layers.Maximum(), layers.Minimum(),
               layers.Multiply(), layers.Subtract(), layers.Dot(2), layers.Dot((1, 1), normalize=True)]  # fmt: skip
    outputs = [layer(image) for layer in on_image] + [layer(row) for layer in on_row]
    outputs += [layer(pair) for layer in merging] + [layers.RepeatVector(3)(flat)]
    outputs += [layers.Embedding(5, 3, embeddings_regularizer="l2", embeddings_constraint="unit_norm")(words)]
    return keras.Model([image, row, words], outputs, name="every")


MODELS = {"chain": chain, "graph": graph, "every": every}


def data(name: str) -> tuple[Any, Any]:
    """Inputs and targets for a model."""
    rng = np.random.default_rng(3)

    def some(*shape: int) -> Any:
        return rng.normal(size=shape).astype("float32")

    if name == "chain":
        return some(12, 6), rng.integers(0, 3, 12)
    if name == "graph":
        return {"x": some(12, 4), "z": some(12, 4)}, [some(12, 2), some(12, 1)]
    return [some(2, 6, 6, 4), some(2, 8, 4), rng.integers(0, 5, (2, 3)).astype("int32")], None


def prepared(keras: Any, name: str) -> Any:
    """A model with weights that no layer begins with, trained for a few steps if it is compiled."""
    keras.utils.set_random_seed(1)
    model = MODELS[name](keras)
    rng = np.random.default_rng(4)
    model.set_weights([(np.abs(w) + rng.uniform(0.1, 0.5, w.shape)).astype(w.dtype) for w in model.get_weights()])
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # Normalization of Keras calculates with what it last knew
            layer.finalize_state()
    x, y = data(name)
    if y is not None:
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model


def results(model: Any, name: str) -> dict[str, Any]:
    """What it predicts, and what it predicts after another epoch, which shows what its optimizer remembers."""
    x, y = data(name)
    found = {"before": model.predict(x, verbose=0)}
    # Dropout is not the same in any two libraries.
    if name == "chain":
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        found["after"] = model.predict(x, verbose=0)
    if y is not None:
        found["evaluate"] = np.array(list(model.evaluate(x, y, verbose=0, return_dict=True).values()))
    return {f"{name}__{key}_{k}": value for key, values in found.items()
            for k, value in enumerate(values if isinstance(values, list) else [values])}  # fmt: skip


def main() -> None:
    """Write the files."""
    import keras

    arrays: dict[str, Any] = {}
    for name in MODELS:
        model = prepared(keras, name)
        model.save(FOLDER / f"keras_{name}.keras")
        model.save(FOLDER / f"keras_{name}.h5")
        if name != "every":
            model.save_weights(FOLDER / f"keras_{name}.weights.h5")
        x, y = data(name)
        parts = x.values() if isinstance(x, dict) else x if isinstance(x, list) else [x]
        arrays |= {f"{name}__x_{k}": part for k, part in enumerate(parts)}
        if y is not None:
            arrays |= {f"{name}__y_{k}": part for k, part in enumerate(y if isinstance(y, list) else [y])}
        arrays |= results(model, name)
    np.savez_compressed(FOLDER / "keras_files.npz", **arrays)


if __name__ == "__main__":
    main()
