"""Makes functional.npz: a model with two inputs and two outputs, trained by Keras.

    KERAS_BACKEND=jax python tests/golden/make_functional.py
"""

import json
from pathlib import Path

import keras
import numpy as np

CASES = {
    "one_loss": ({"loss": "mse"}, {}),
    "losses": ({"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]], "loss_weights": [1.0, 0.25]}, {}),
    "named": (
        {"loss": {"a": "mae", "b": "mse"}, "weighted_metrics": {"a": ["mae"]}, "metrics": {"a": ["mae"]}},
        {"sample_weight": True},
    ),
    "validation": (
        {"loss": {"a": "mse", "b": "huber"}, "loss_weights": {"a": 2.0, "b": 3.0}},
        {"validation_split": 0.25},
    ),
}


def network() -> keras.Model:
    """A shared layer, a residual sum, a merging layer and an operation."""
    x, z = keras.Input((4,), name="x"), keras.Input((4,), name="z")
    shared = keras.layers.Dense(5, activation="tanh", name="shared")
    p, q = shared(x), shared(z)
    hidden = keras.layers.Add()([p, keras.layers.BatchNormalization(momentum=0.9)(q)])
    both = keras.layers.Concatenate()([hidden, p * q, keras.ops.max(x, axis=1, keepdims=True)])
    return keras.Model([x, z], [keras.layers.Dense(2, name="a")(both), keras.layers.Dense(1, name="b")(hidden)])


def main() -> None:
    """Write the file."""
    rng = np.random.default_rng(7)
    data = {name: rng.normal(size=shape).astype("float32") for name, shape in
            {"x": (24, 4), "z": (24, 4), "a": (24, 2), "b": (24, 1)}.items()}
    data["weight"] = rng.uniform(0, 2, 24).astype("float32")
    start = [rng.normal(size=w.shape).astype("float32") / 2 for w in network().get_weights()]
    start[5] = abs(start[5]) + 1  # the moving variance
    arrays = {**data, **{f"start_{k}": w for k, w in enumerate(start)}}
    for case, (compiled, options) in CASES.items():
        model = network()
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), **compiled)
        chosen = {"sample_weight": [data["weight"]] * 2} if "sample_weight" in options else options
        history = model.fit([data["x"], data["z"]], [data["a"], data["b"]], batch_size=5, epochs=3, shuffle=False,
                            verbose=0, **chosen).history
        arrays |= {f"{case}__history_{name}": np.array(values) for name, values in history.items()}
        arrays |= {f"{case}__end_{k}": w for k, w in enumerate(model.get_weights())}
        results = model.evaluate([data["x"], data["z"]], [data["a"], data["b"]], verbose=0, return_dict=True)
        arrays |= {f"{case}__evaluate_{name}": np.array(value) for name, value in results.items()}
        predicted = model.predict([data["x"], data["z"]], verbose=0)
        arrays |= {f"{case}__predict_{k}": y for k, y in enumerate(predicted)}
    arrays["cases"] = np.array(json.dumps(CASES))
    np.savez_compressed(Path(__file__).parent / "functional.npz", **arrays)


if __name__ == "__main__":
    main()
