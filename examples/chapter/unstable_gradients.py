"""Vanishing and exploding gradients, seen: one look at each of some deep networks, and at what training makes of them.

Twenty hidden layers, by activation and initialization: what `minidl.diagnostics` says of each before the first step,
and the loss after a few epochs. Networks with a clean bill learn; of the others only some get better by themselves.
"""

from __future__ import annotations

import argparse

import numpy as np

import minidl as keras
from minidl.diagnostics import Watch

NETWORKS = {
    "sigmoid, N(0, 1)": ("sigmoid", keras.initializers.RandomNormal(stddev=1.0), False),
    "sigmoid, Glorot": ("sigmoid", "glorot_uniform", False),
    "tanh, Glorot": ("tanh", "glorot_uniform", False),
    "ReLU, N(0, 1)": ("relu", keras.initializers.RandomNormal(stddev=1.0), False),
    "ReLU, N(0, 0.01²)": ("relu", keras.initializers.RandomNormal(stddev=0.01), False),
    "ReLU, Glorot": ("relu", "glorot_uniform", False),
    "ReLU, He": ("relu", "he_normal", False),
    "ELU, He": ("elu", "he_normal", False),
    "SELU, LeCun": ("selu", "lecun_normal", False),
    "sigmoid, Glorot, batch normalization": ("sigmoid", "glorot_uniform", True),
    "ReLU, He, batch normalization": ("relu", "he_normal", True),
}


def network(activation: str, initializer, normalized: bool) -> keras.Sequential:
    model = keras.models.Sequential([keras.layers.Flatten(input_shape=[28, 28])])
    for _ in range(20):
        model.add(keras.layers.Dense(100, kernel_initializer=initializer))
        if normalized:
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Activation(activation))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little data and one epoch: to see that it runs")
    parser.add_argument("--plot", metavar="FOLDER", help="write a figure for each network to this folder")
    arguments = parser.parse_args()
    images, epochs = (200, 1) if arguments.quick else (2000, 5)
    (x, y), _ = keras.datasets.fashion_mnist.load_sample()
    x = ((x[:images] - x.mean(axis=0)) / (x.std(axis=0) + 1e-7)).astype(np.float32)
    y = y[:images]
    for name, design in NETWORKS.items():
        keras.utils.set_random_seed(42)
        keras.utils.clear_session()
        model, watch = network(*design), Watch(x[:200], y[:200])
        model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.SGD(0.01, momentum=0.9))
        with np.errstate(all="ignore"):
            history = model.fit(x, y, epochs=epochs, callbacks=[watch], verbose=0).history
        verdict = watch.looks[0].verdict().replace("\n", "\n  ")
        print(f"{name}: loss {watch.looks[0].loss:.2f}, after {epochs} epochs {history['loss'][-1]:.2f}\n  {verdict}")
        if arguments.plot:
            watch.plot(f"{arguments.plot}/{name}.png")


if __name__ == "__main__":
    main()
