"""Helpers for arrays of data."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import config
from minidl.autodiff.tensor import plain
from minidl.errors import ArgumentError, DTypeError
from minidl.memory import Array


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Integers as one-hot rows: (…) → (…, num_classes), of `floatx`; a last axis of size 1 is dropped first.

    `num_classes` is the largest integer plus 1 by default. An integer outside 0 … num_classes − 1 is an error.
    """
    labels = np.asarray(plain(x))
    whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.floor(labels)).all()
    if labels.dtype.kind not in "iub" and not whole:
        raise DTypeError(f"to_categorical: expected integers, got dtype {labels.dtype}")
    if num_classes is not None and (not isinstance(num_classes, (int, np.integer)) or num_classes < 1):
        raise ArgumentError(f"to_categorical: num_classes: expected an integer ≥ 1, got {num_classes!r}")
    labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = int(labels.max(initial=-1)) + 1 if num_classes is None else num_classes
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ArgumentError(
            f"to_categorical: expected integers from 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
        )
    rows: Array = labels[..., None] == np.arange(classes)
    return rows.astype(config.floatx())
