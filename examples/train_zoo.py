"""Train the models of `minidl.applications` and write their weights, rounded to float16, to FOLDER.

The same seed gives the same weights on the same machine; another BLAS rounds differently.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import minidl as keras
from minidl import applications
from minidl.applications.zoo import weights_of
from minidl.callbacks import OneCycle
from minidl.saving import safetensors

# How many epochs each is trained.
MODELS = {"fashion_mnist_dense": 10, "fashion_mnist_cnn": 6}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("output/zoo"), metavar="FOLDER")
parser.add_argument("--model", choices=MODELS, help="only this one")
parser.add_argument("--quick", action="store_true", help="one epoch on the sample that comes with minidl")
arguments = parser.parse_args()

data = keras.datasets.fashion_mnist
(x, y), (x_test, y_test) = data.load_sample() if arguments.quick else data.load_data()

for name in [arguments.model] if arguments.model else MODELS:
    keras.utils.set_random_seed(42)
    model = getattr(applications, name)(weights=None)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=5e-3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(
        x, y, batch_size=128, epochs=1 if arguments.quick else MODELS[name], callbacks=[OneCycle(0.1, rise=0.3)],
        verbose=2,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    weights = weights_of(model)
    model.set_weights(list(weights.values()))
    accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / f"{name}.safetensors"
    path.write_bytes(safetensors.dump(weights))
    print(f"{name}: {model.count_params():,} weights, {path.stat().st_size:,} bytes, {seconds:.0f} s")
    print(f"{name}: test accuracy {accuracy:.4f}")
