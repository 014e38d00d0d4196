"""The data of a training run: checked arrays, cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from minidl.autodiff.tensor import plain
from minidl.errors import ArgumentError, DTypeError, NonFiniteError, ShapeError
from minidl.memory import Array

# (x, y, sample_weight); the last two may be missing.
Batch = tuple[Array, Array | None, Array | None]


@dataclass(frozen=True)
class Data:
    """Samples x, their targets y and their weights, each with one entry a sample along its first axis."""

    x: Array
    y: Array | None = None
    sample_weight: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def part(self, positions: Any) -> Data:
        """The samples at these positions: a view for a slice, a copy for an array."""
        return Data(*(None if a is None else a[positions] for a in (self.x, self.y, self.sample_weight)))  # type: ignore[arg-type]

    def batches(self, size: int, generator: np.random.Generator | None = None) -> Iterator[Batch]:
        """Batches of `size` samples, the last may be smaller; in random order if a generator is given."""
        order = None if generator is None else generator.permutation(len(self))
        for start in range(0, len(self), size):
            batch = self.part(slice(start, start + size) if order is None else order[start : start + size])
            yield batch.x, batch.y, batch.sample_weight

    def steps(self, size: int) -> int:
        """How many batches there are."""
        return math.ceil(len(self) / size)

    def split(self, fraction: float) -> tuple[Data, Data]:
        """The first samples, and the last `fraction` of them: training and validation."""
        if not 0 < fraction < 1:
            raise ArgumentError(f"validation_split: expected a fraction between 0 and 1, got {fraction}")
        cut = math.floor(len(self) * (1 - fraction))
        if cut in (0, len(self)):
            raise ArgumentError(f"validation_split={fraction} of {len(self)} samples leaves one of the two parts empty")
        return self.part(slice(None, cut)), self.part(slice(cut, None))

    def with_class_weight(self, class_weight: Mapping[int, float] | None) -> Data:
        """The data with weights from the class of each sample; a class that is not named weighs 1."""
        if class_weight is None:
            return self
        if not isinstance(class_weight, Mapping):
            raise ArgumentError(f"class_weight: expected a dictionary {{label: weight}}, got {class_weight!r}")
        if self.sample_weight is not None:
            raise ArgumentError("class_weight and sample_weight exclude each other: multiply the classes' weights in")
        classes = self._classes()
        weights = np.ones(len(self), np.float32)
        for label, weight in class_weight.items():
            if isinstance(label, bool) or not isinstance(label, Integral):
                raise ArgumentError(f"class_weight: expected labels that are integers, got {label!r}")
            if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= weight < math.inf:
                raise ArgumentError(f"class_weight: expected finite weights ≥ 0, got {weight!r} for class {label}")
            weights[classes == label] = weight
        return Data(self.x, self.y, weights)

    def _classes(self) -> Array:
        """The class of each sample, from labels (n,) or (n, 1) or from one-hot rows."""
        assert self.y is not None
        if self.y.ndim > 2:
            raise ArgumentError(f"class_weight needs one label a sample, got y of shape {self.y.shape}")
        one_hot = self.y.ndim == 2 and self.y.shape[1] > 1
        return np.argmax(self.y, axis=1) if one_hot else self.y.reshape(len(self))


def as_inputs(where: str, x: Any) -> Data:
    """Samples to predict for, NaN or not; or an error if they are no numbers, or none at all."""
    samples = _numbers(where, "x", x)
    if not len(samples):
        raise ShapeError(f"{where}: x has no samples, its shape is {samples.shape}")
    return Data(samples)


def as_data(where: str, x: Any, y: Any, sample_weight: Any = None) -> Data:
    """Samples to learn from, or an error that says what is missing, empty, of another length, or not finite."""
    samples = as_inputs(where, x).x
    weights = None if sample_weight is None else _numbers(where, "sample_weight", sample_weight)
    data = Data(samples, _numbers(where, "y", y), weights)
    for name, array in vars(data).items():
        if array is None:
            continue
        if len(array) != len(data):
            raise ShapeError(f"{where}: x has {len(data)} samples but {name} has {len(array)}")
        if array.dtype.kind == "f":
            _check_finite(where, name, array)
    return data


def _numbers(where: str, name: str, value: Any) -> Array:
    """The value as an array of numbers with at least one axis."""
    if value is None:
        raise ArgumentError(f"{where}: expected an array {name}, got None")
    try:
        array = np.asarray(plain(value))
    except ValueError as error:
        raise ShapeError(f"{where}: {name} is no array with rows of one length ({error})") from None
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"{where}: expected numbers in {name}, got dtype {array.dtype}")
    if not array.ndim:
        raise ShapeError(f"{where}: expected {name} to have one entry a sample, got the single number {array}")
    return array


def _check_finite(where: str, name: str, array: Array) -> None:
    """An error that names the first sample with NaN or infinity; looks at a part at a time to need little memory."""
    for start in range(0, len(array), 4096):
        finite = np.isfinite(array[start : start + 4096])
        if not finite.all():
            index = np.argwhere(~finite)[0]
            value = array[start : start + 4096][tuple(index)]
            raise NonFiniteError(
                f"{where}: {name} has {value} in sample {start + int(index[0])}: it would ruin the weights; remove or "
                "replace such values (numpy.nan_to_num)"
            )
