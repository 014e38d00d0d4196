"""Monte-Carlo dropout: how sure a network is, from many predictions with dropout left on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.autodiff import no_grad
from minidl.autodiff.tensor import plain
from minidl.autodiff.tracing import Function
from minidl.autodiff.tree import map_leaves
from minidl.checks import count
from minidl.layers.regularization import sampling
from minidl.threads import one_blas_thread
from minidl.training import as_inputs


@one_blas_thread
def predict_mc(model: Any, x: Any, samples: int = 100, batch_size: int = 32) -> tuple[Any, Any]:
    """The mean and the standard deviation of so many predictions with dropout left on.  (Gal & Ghahramani 2016)

    Both are nested as what the model gives. Dropout of all kinds and Gaussian noise draw anew for each prediction; all
    other layers behave as at inference: batch normalization uses its moving averages and keeps them, images are not
    augmented. (`model(x, training=True)` would put all of them into training mode.)

    The predictions y₁, y₂, … of a batch are not kept. Each moves the mean m and the sum of squares s (Welford 1962),
    m ← m + (y − m)/k and s ← s + (y − m_before)·(y − m), in float64; in the end σ = √(s/samples), as `np.std` has it.
    """
    samples, batch_size = count("predict_mc", "samples", samples), count("predict_mc", "batch_size", batch_size)
    data = as_inputs("predict_mc", x, getattr(model, "input_names", None))
    # A record of its own: that of `predict` knows of no noise.
    step = Function(functools.partial(model, training=False))
    with sampling(), no_grad():
        parts = [_moments(functools.partial(step, batch), samples) for batch, *_ in data.batches(batch_size)]
    mean, deviation = (map_leaves(lambda *arrays: np.concatenate(arrays), *found) for found in zip(*parts, strict=True))
    return mean, deviation


def _moments(draw: Callable[[], Any], samples: int) -> tuple[Any, Any]:
    """Mean and standard deviation of so many draws, nested as they are and of their dtypes."""
    y = plain(draw())
    mean = map_leaves(lambda a: a.astype(np.float64), y)
    square = map_leaves(np.zeros_like, mean)
    for k in range(2, samples + 1):
        y = plain(draw())
        distance = map_leaves(np.subtract, y, mean)
        mean = map_leaves(lambda m, d, k=k: m + d / k, mean, distance)
        square = map_leaves(lambda s, d, a, m: s + d * (a - m), square, distance, y, mean)
    deviation = map_leaves(lambda s: np.sqrt(s / samples), square)
    mean, deviation = (map_leaves(lambda a, like: a.astype(like.dtype), found, y) for found in (mean, deviation))
    return mean, deviation
