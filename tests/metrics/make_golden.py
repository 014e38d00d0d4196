"""Write golden.npz: what the metrics of Keras 3 make of several batches.

Run by hand where Keras is installed: `KERAS_BACKEND=jax python tests/metrics/make_golden.py`. In the file are arrays
`<data>/y_true`, `<data>/y_pred` and `<data>/<weights>` of all batches one after the other, the `sizes` of the batches,
and JSON in the others: `cases`, a list of [class name, config, data, weights or null, [result after the first batch,
the second, ...]]; `configs`, the default config of each class; `names`, the class of each string that
`keras.metrics.get` knows; `accuracies`, a list of [shape of targets, shape of outputs, what "accuracy" means for them].
"""

import json
from pathlib import Path

import keras
import numpy as np
from keras.src.metrics import ALL_OBJECTS_DICT
from keras.src.trainers.compile_utils import get_metric

rng = np.random.default_rng(20)
SIZES = (7, 1, 12)  # of the batches: uneven, so that a mean of means would show


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def floats(*shape):
    return rng.normal(size=shape).astype("float32")


def distributions(n):
    return softmax(floats(n, 4)), softmax(floats(n, 4))


def regression(n):
    return floats(n, 3), floats(n, 3)


def grids(n):
    return floats(n, 2, 3), floats(n, 2, 3)


def positive(n):
    return np.exp(floats(n, 3)), np.exp(floats(n, 3))


def column_and_flat(n):
    return floats(n), floats(n, 1)


def counts(n):
    return rng.poisson(2, (n, 3)).astype("float32"), np.exp(floats(n, 3))


def same_numbers(n):
    return rng.integers(0, 3, (n, 1)), rng.integers(0, 3, (n, 1))


def one_hot(n, classes=6):
    return np.eye(classes, dtype="float32")[rng.integers(0, classes, n)], softmax(2 * floats(n, classes))


def one_hot_logits(n):
    return one_hot(n)[0], 3 * floats(n, 6)


def one_hot_and_zeros(n):  # Keras must clip: some probabilities are exactly 0 or 1
    y, p = one_hot(n)
    p[::3] = np.eye(6, dtype="float32")[rng.integers(0, 6, len(p[::3]))]
    return y, p


def integers(n, classes=6):
    return rng.integers(0, classes, n), softmax(2 * floats(n, classes))


def integers_in_column(n):
    y, p = integers(n)
    return y[:, None], p


def integers_logits(n):
    return integers(n)[0], 3 * floats(n, 6)


def sequences(n):
    return rng.integers(0, 4, (n, 5)), softmax(floats(n, 5, 4))


def ties(n):  # few different scores, so that the k-th and the next are often equal
    return rng.integers(0, 6, n), rng.integers(0, 3, (n, 6)).astype("float32")


def sorted_ids(n):
    return rng.integers(0, 6, n), np.argsort(-floats(n, 6), axis=1)


def binary(n):
    y = rng.integers(0, 2, (n, 1))
    return y, (1 / (1 + np.exp(-floats(n, 1) - y))).astype("float32")


def binary_flat(n):
    y, p = binary(n)
    return y[:, 0], p[:, 0]


def binary_logits(n):
    y = rng.integers(0, 2, (n, 1))
    return y, (2 * floats(n, 1) + y).astype("float32")


def binary_ends(n):  # scores of exactly 0 and 1 among them
    y, p = binary(n)
    p[::3], p[1::4] = 0, 1
    return y, p


def many_labels(n):
    y = rng.integers(0, 2, (n, 4))
    return y, (1 / (1 + np.exp(-floats(n, 4) - y))).astype("float32")


def signs(n):
    return 2.0 * rng.integers(0, 2, (n, 3)) - 1, floats(n, 3)


def zeros_and_ones(n):
    return rng.integers(0, 2, (n, 3)), floats(n, 3)


def per_sample(y_pred):
    return rng.uniform(0, 2, len(y_pred)).astype("float32")


def per_sample_column(y_pred):
    return rng.uniform(0, 2, (len(y_pred), 1)).astype("float32")


def per_value(y_pred):
    return rng.uniform(0, 2, y_pred.shape).astype("float32")


def some_zero(y_pred):
    return (rng.uniform(size=len(y_pred)) < 0.5).astype("float32")


def one_number(y_pred):  # a number for each batch: the first one in it
    return rng.uniform(0.5, 2, len(y_pred)).astype("float32")


def per_step(y_pred):
    return rng.uniform(0, 2, y_pred.shape[:2]).astype("float32")


EACH = (None, per_sample, per_sample_column, some_zero, one_number)  # forms of weights for one value a sample
CASES = [
    # class name, config, batches, forms of weights
    ("MeanSquaredError", {}, regression, EACH),
    ("MeanSquaredError", {}, column_and_flat, (None, per_sample)),
    ("MeanSquaredError", {}, grids, (None, per_sample, per_step)),
    ("RootMeanSquaredError", {}, regression, (*EACH, per_value)),
    ("MeanAbsoluteError", {}, regression, EACH),
    ("MeanAbsolutePercentageError", {}, regression, EACH),
    ("MeanSquaredLogarithmicError", {}, positive, EACH),
    ("MeanSquaredLogarithmicError", {}, regression, (None,)),
    ("LogCoshError", {}, regression, EACH),
    ("CosineSimilarity", {}, regression, EACH),
    ("CosineSimilarity", {"axis": 1}, grids, (None, per_sample)),
    ("Hinge", {}, signs, EACH),
    ("Hinge", {}, zeros_and_ones, (None,)),
    ("SquaredHinge", {}, signs, EACH),
    ("CategoricalHinge", {}, one_hot_logits, EACH),
    ("KLDivergence", {}, distributions, EACH),
    ("KLDivergence", {}, one_hot_and_zeros, (None,)),
    ("Poisson", {}, counts, EACH),
    ("BinaryCrossentropy", {}, binary, EACH),
    ("BinaryCrossentropy", {}, binary_ends, (None,)),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, many_labels, (None, per_sample)),
    ("BinaryCrossentropy", {"from_logits": True}, binary_logits, (None, per_sample)),
    ("CategoricalCrossentropy", {}, one_hot, EACH),
    ("CategoricalCrossentropy", {}, one_hot_and_zeros, (None,)),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, one_hot_logits, (None, per_sample)),
    ("SparseCategoricalCrossentropy", {}, integers, EACH),
    ("SparseCategoricalCrossentropy", {}, integers_in_column, (None, per_sample)),
    ("SparseCategoricalCrossentropy", {}, sequences, (None, per_sample, per_step)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, integers_logits, (None, per_sample)),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, integers, (per_sample,)),  # see the note on Keras there
    ("Accuracy", {}, same_numbers, EACH),
    ("BinaryAccuracy", {}, binary, EACH),
    ("BinaryAccuracy", {"threshold": 0.7}, many_labels, (None, per_sample, per_value)),
    ("CategoricalAccuracy", {}, one_hot, EACH),
    ("SparseCategoricalAccuracy", {}, integers, EACH),
    ("SparseCategoricalAccuracy", {}, integers_in_column, EACH),
    ("SparseCategoricalAccuracy", {}, sequences, (None, per_sample, per_step)),
    ("TopKCategoricalAccuracy", {"k": 2}, one_hot, EACH),
    ("TopKCategoricalAccuracy", {}, one_hot, (None,)),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, integers, EACH),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, ties, (None,)),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, sorted_ids, (None,)),
    *[
        case
        for name in ("Precision", "Recall")
        for case in (
            (name, {}, binary, (None, per_sample, per_sample_column, one_number)),
            (name, {}, binary_flat, (None, per_sample)),
            (name, {"thresholds": [0.8, 0.2, 0.55]}, binary, (None, per_sample)),
            (name, {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, binary_ends, (None, per_sample)),
            (name, {"thresholds": 0}, binary_logits, (None, per_sample)),
            (name, {"top_k": 2}, many_labels, (None, per_sample)),
            (name, {"top_k": 2, "thresholds": 0.6}, many_labels, (None,)),
            (name, {"class_id": 1}, many_labels, (None, per_sample)),
            (name, {"top_k": 2, "class_id": 1}, one_hot, (None,)),
        )
    ],
    *[
        (name, config, batches, (None, per_sample))
        for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
        for config, batches in (({}, binary), ({"thresholds": [0.3, 0.6]}, many_labels))
    ],
    *[
        ("AUC", {"curve": curve, "summation_method": method, **extra}, batches, weights)
        for curve in ("ROC", "PR")
        for method in ("interpolation", "minoring", "majoring")
        for extra, batches, weights in (
            ({}, binary, (None, per_sample)),
            ({"num_thresholds": 5}, binary_ends, (None,)),
            ({"thresholds": [0.7, 0.1, 0.45]}, many_labels, (None, per_sample, per_value)),
            ({"multi_label": True, "num_thresholds": 50}, many_labels, (None, per_sample)),
            ({"multi_label": True, "num_labels": 4, "label_weights": [0.5, 2.0, 0.0, 1.0]}, many_labels, (None,)),
            ({"num_labels": None, "label_weights": [0.5, 2.0, 0.0, 1.0]}, many_labels, (None, per_sample)),
            ({"from_logits": True}, binary_logits, (None,)),
        )
    ],
]

SHAPES = [
    ((8,), (8, 1)),
    ((8, 1), (8, 1)),
    ((8,), (8, 3)),
    ((8, 1), (8, 3)),
    ((8, 3), (8, 3)),
    ((8, 5), (8, 5, 3)),
    ((8, 5, 1), (8, 5, 3)),
    ((8, 5, 3), (8, 5, 3)),
    ((8, 5, 1), (8, 5, 1)),
    ((8, 5), (8, 5, 1)),
    ((8, 2), (8, 2)),
]


def describe_keras():
    """What does not depend on data. First of all, because Keras numbers the metrics: auc, auc_1, ..."""
    configs = {}
    for cls in sorted(set(ALL_OBJECTS_DICT.values()), key=lambda cls: cls.__name__):
        try:
            configs[cls.__name__] = cls().get_config()
        except TypeError:  # needs an argument
            continue
    accuracies = [
        [*shapes, type(get_metric("accuracy", *map(np.zeros, shapes))).__name__] for shapes in SHAPES
    ]
    names = {name: cls.__name__ for name, cls in ALL_OBJECTS_DICT.items()}
    return {"configs": json.dumps(configs), "accuracies": json.dumps(accuracies), "names": json.dumps(names)}


def main():
    golden = describe_keras()
    golden |= {"sizes": np.array(SIZES)}
    cases = []
    for name, config, make_data, forms in CASES:
        data = make_data.__name__
        if f"{data}/y_true" not in golden:
            golden[f"{data}/y_true"], golden[f"{data}/y_pred"] = make_data(sum(SIZES))
        for form in forms:
            weights = form and f"{data}/{form.__name__}"
            if form and weights not in golden:
                golden[weights] = form(golden[f"{data}/y_pred"])
            metric = getattr(keras.metrics, name)(**config)
            results = []
            for end, size in zip(np.cumsum(SIZES), SIZES, strict=True):
                batch = slice(end - size, end)
                sample_weight = golden[weights][batch] if form else None
                metric.update_state(
                    golden[f"{data}/y_true"][batch],
                    golden[f"{data}/y_pred"][batch],
                    sample_weight=sample_weight[0] if form is one_number else sample_weight,
                )
                results.append(np.asarray(metric.result()).tolist())
            cases.append([name, config, data, form and form.__name__, results])
    golden["cases"] = json.dumps(cases)
    np.savez_compressed(Path(__file__).with_name("golden.npz"), **golden)
    print(f"Keras {keras.__version__}: {len(cases)} cases")


if __name__ == "__main__":
    main()
