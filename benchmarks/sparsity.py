"""How large a pruned network is, and how fast it predicts, with its zeros left out, beside the same network dense.

    python benchmarks/sparsity.py

prints a row for each share of zeros: the size of the file, the time for one sample and for a batch, and the largest
difference of a prediction. The weights are random: neither size nor time depends on them. Accuracy does: a second table
has that of `applications.fashion_mnist_dense` on 2,000 test images, pruned at once, and trained on afterwards on 10,000
images, what was pruned kept zero.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from folding import milliseconds

import minidl as keras
from minidl.applications import fashion_mnist_dense
from minidl.sparse import prune, to_sparse

SHARES = (0.5, 0.8, 0.9, 0.95)


def network(units: list[int]) -> keras.Model:
    keras.utils.set_random_seed(1)
    hidden = [keras.layers.Dense(n, activation="relu", kernel_initializer="he_normal") for n in units]
    return keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10, activation="softmax")])


def kilobytes(model: keras.Model) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.minidl"
        model.save(path)
        return path.stat().st_size / 1000


def accuracies(share: float, epochs: int) -> tuple[float, float]:
    """The test accuracy of a trained network with so many zeros, and after a few epochs more with them."""
    (x, y), test = keras.datasets.fashion_mnist.load_sample()
    keras.utils.set_random_seed(1)
    model = fashion_mnist_dense()
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    masks = prune(model, share)
    before = model.evaluate(*test, verbose=0)[1]
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0, callbacks=[masks])
    return before, model.evaluate(*test, verbose=0)[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[1000, 1000], help="of the hidden layers")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each model in each round")
    parser.add_argument("--epochs", type=int, default=3, help="of training after pruning")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="see whether it runs")
    options = parser.parse_args()
    keras.config.set_num_threads(options.threads)
    rounds, seconds = (1, 0.02) if options.quick else (options.rounds, options.seconds)
    x = np.random.default_rng(2).random((options.batch_size, 784), np.float32)
    dense = network(options.units)
    models = {"dense": dense}
    differences = {"dense": 0.0}
    for share in SHARES:
        pruned = network(options.units)
        prune(pruned, share)
        models[f"{share:.0%}"] = sparse = to_sparse(pruned)
        differences[f"{share:.0%}"] = float(np.abs(sparse.predict_on_batch(x) - pruned.predict_on_batch(x)).max())
    one, many = (milliseconds(list(models.values()), x[:n], rounds, seconds) for n in (1, options.batch_size))
    units = " → ".join(map(str, [784, *options.units, 10]))
    print(f"{units}, {options.threads} thread(s), medians of {rounds} rounds of {seconds} s\n")
    print(f"| zeros | file, kB | one sample, ms | gain | {options.batch_size} samples, ms | gain | difference |")
    print("|---|---|---|---|---|---|---|")
    for k, (name, model) in enumerate(models.items()):
        figures = f"{one[k]:.3f} | {one[0] / one[k]:.2f} × | {many[k]:.3f} | {many[0] / many[k]:.2f} ×"
        print(f"| {name} | {kilobytes(model):,.0f} | {figures} | {differences[name]:.0e} |")
    if not options.quick:
        print(f"\n| zeros | pruned at once | after {options.epochs} epochs more |\n|---|---|---|")
        for share in (0.0, *SHARES):
            before, after = accuracies(share, options.epochs)
            print(f"| {share:.0%} | {before:.4f} | {after:.4f} |", flush=True)


if __name__ == "__main__":
    main()
