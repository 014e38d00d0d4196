"""The data of a training run: checked arrays, cut into batches."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from numbers import Integral, Real
from typing import Any

import numpy as np

from minidl.autodiff.tensor import plain
from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import ArgumentError, DTypeError, NonFiniteError, ShapeError, unknown_name
from minidl.memory import Arena, Array

# (x, y, sample_weight); the last two may be missing. Each is an array, or several of them nested as the model has them.
Batch = tuple[Any, Any, Any]
# What changes the samples of a batch at random, f(x, generator), or samples and targets together, f(x, y, generator).
Augment = Callable[..., Any]


@dataclass(frozen=True)
class Data:
    """Samples x, their targets y and their weights, each with one entry a sample along its first axis.

    A model with several inputs has several arrays in x, in a list or a dictionary; one with several outputs has a list
    of them in y and in the weights.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None

    def __len__(self) -> int:
        return len(leaves(self.x)[0])

    def part(self, positions: Any) -> Data:
        """The samples at these positions: a view for a slice, a copy for an array."""
        return Data(*map_leaves(lambda a: None if a is None else a[positions], (self.x, self.y, self.sample_weight)))

    def batches(self, size: int, generator: np.random.Generator | None = None) -> Iterator[Batch]:
        """Batches of `size` samples, the last may be smaller; in random order if a generator is given.

        Those in random order are gathered where the one before the last was.
        """
        order = None if generator is None else generator.permutation(len(self))
        rooms = cycle((Arena(), Arena()))
        for start in range(0, len(self), size):
            if order is None:
                batch = self.part(slice(start, start + size))
            else:
                batch = self._gathered(order[start : start + size], next(rooms))
            yield batch.x, batch.y, batch.sample_weight

    def _gathered(self, positions: Array, room: Arena) -> Data:
        """The samples at these positions, copied to `room`."""
        room.rewind()

        def gather(a: Array | None) -> Array | None:
            # NumPy would copy the whole of an array that is not contiguous.
            if a is None or not a.flags.c_contiguous:
                return None if a is None else a[positions]
            gathered = room.empty((len(positions), *a.shape[1:]), a.dtype)
            np.take(a, positions, axis=0, out=gathered, mode="clip")
            return gathered

        return Data(*map_leaves(gather, (self.x, self.y, self.sample_weight)))

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
        if isinstance(self.y, list):
            raise ArgumentError("class_weight is for models with a single output: use sample_weight")
        if not isinstance(self.y, np.ndarray):
            raise ArgumentError("class_weight needs y to be one array of labels")
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
        if self.y.ndim > 2:
            raise ArgumentError(f"class_weight needs one label a sample, got y of shape {self.y.shape}")
        one_hot = self.y.ndim == 2 and self.y.shape[1] > 1
        classes: Array = np.argmax(self.y, axis=1) if one_hot else self.y.reshape(len(self))
        return classes


def change(batch: Batch, augment: Augment, generator: np.random.Generator) -> Batch:
    """The batch with what `augment` makes of the samples; or of samples and targets, if it asks for three arguments."""
    x, y, sample_weight = batch
    if not _wants_targets(augment):
        return augment(x, generator), y, sample_weight
    pair = augment(x, y, generator)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ArgumentError(f"augment(x, y, generator) must give the pair (x, y), got {type(pair).__name__}")
    return (*pair, sample_weight)


def _wants_targets(augment: Augment) -> bool:
    """Whether a function has three arguments without a default: (x, y, generator)."""
    try:
        parameters = inspect.signature(augment).parameters.values()
    except ValueError:
        # Functions written in C may not tell.
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters) == 3


def augmented(
    batches: Iterator[Batch], augment: Augment, generators: Iterator[np.random.Generator]
) -> Iterator[Batch]:
    """The batches, changed by `augment`, each made while the one before is learned from."""
    from concurrent.futures import ThreadPoolExecutor

    def make() -> Batch | None:
        batch = next(batches, None)
        return None if batch is None else change(batch, augment, next(generators))

    with ThreadPoolExecutor(1, "minidl-augmentation") as thread:
        coming = thread.submit(make)
        while (batch := coming.result()) is not None:
            coming = thread.submit(make)
            yield batch


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a step of one's own is given: (x, y, sample_weight), (x, y), or x alone, in a tuple if it is a list."""
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of what a step was given, None where there is none."""
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ArgumentError(f"expected data as x, (x,), (x, y) or (x, y, sample_weight), got {len(data)} parts")
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def as_inputs(where: str, x: Any, names: Sequence[str] | None = None) -> Data:
    """Samples to predict for, NaN or not; or an error if they are no numbers, or none at all.

    `names` are those of the model's inputs. Several have a list or a dictionary of arrays. Where the names are not
    known, a dictionary, a tuple, or a list of arrays are several.
    """
    samples = _nested(where, "x", x) if names is None else _by_names(where, "x", x, names)
    data = Data(samples)
    _check_lengths(where, data)
    if not len(data):
        raise ShapeError(f"{where}: x has no samples, its shape is {leaves(samples)[0].shape}")
    return data


def as_data(
    where: str,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = ("y",),
) -> Data:
    """Samples to learn from, or an error that says what is missing, empty, of another length, or not finite.

    `inputs` and `outputs` are the names of those of the model, where it has several. `outputs` is None for a step of
    one's own, which may do without targets, or take them nested in any way.
    """
    samples = as_inputs(where, x, inputs).x
    weights = sample_weight
    if outputs is None:
        if y is None and weights is not None:
            raise ArgumentError(f"{where}: sample_weight needs targets y to weigh")
        y = y if y is None else _nested(where, "y", y)
        weights = weights if weights is None else _nested(where, "sample_weight", weights)
    else:
        if weights is not None and len(outputs) > 1 and hasattr(weights, "dtype"):
            weights = [weights] * len(outputs)
        weights = None if weights is None else _by_names(where, "sample_weight", weights, outputs, needed=False)
        y = _by_names(where, "y", y, outputs)
    data = Data(samples, y, weights)
    _check_lengths(where, data)
    for what, array in _named_arrays(data):
        if array.dtype.kind == "f":
            _check_finite(where, what, array)
    return data


def _nested(where: str, what: str, x: Any) -> Any:
    """One array, or several in a list or a dictionary as they are given."""
    if not (isinstance(x, Mapping) or _lists_arrays(x)) or not x:
        return _numbers(where, what, x)
    parts = x if isinstance(x, Mapping) else dict(enumerate(x))
    arrays = {key: _numbers(where, f"{what}[{key!r}]", part) for key, part in parts.items()}
    return arrays if isinstance(x, Mapping) else list(arrays.values())


def _lists_arrays(x: Any) -> bool:
    """Whether these are several arrays, or one, in a list, and not rows of numbers."""
    return isinstance(x, (list, tuple)) and all(hasattr(part, "dtype") and part.ndim for part in x)


def _by_names(where: str, what: str, value: Any, names: Sequence[str], needed: bool = True) -> Any:
    """One array for each name, in a list; for a single name the array itself."""
    if isinstance(value, Mapping):
        for name in value:
            if name not in names:
                raise unknown_name(f"key of {what}", name, names)
        value = [value.get(name) for name in names]
    elif len(names) == 1:
        value = value if _lists_arrays(value) and len(value) == 1 else [value]
    elif not isinstance(value, (list, tuple)) or len(value) != len(names):
        got = f"{len(value)} of them" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"
        raise ArgumentError(
            f"{where}: expected {what} as a list or dictionary of {len(names)} arrays ({', '.join(names)}), got {got}"
        )
    titles = [f"{what}[{name!r}]" if len(names) > 1 else what for name in names]
    arrays = [
        None if part is None and not needed else _numbers(where, title, part)
        for title, part in zip(titles, value, strict=True)
    ]
    return arrays if len(names) > 1 else arrays[0]


def _named_arrays(data: Data) -> Iterator[tuple[str, Array]]:
    """The arrays and what they are called: "x", "y[1]", …"""
    for what, value in vars(data).items():
        keys: Any = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        parts = {f"{what}[{key!r}]": value[key] for key in keys} if isinstance(value, (dict, list)) else {what: value}
        yield from ((name, array) for name, array in parts.items() if array is not None)


def _check_lengths(where: str, data: Data) -> None:
    """An error for arrays that differ in the number of samples."""
    (first, _), *others = _named_arrays(data)
    for what, array in others:
        if len(array) != len(data):
            raise ShapeError(f"{where}: {first} has {len(data)} samples but {what} has {len(array)}")


def _numbers(where: str, name: str, value: Any) -> Array:
    """The value as an array of numbers with at least one axis."""
    if value is None:
        raise ArgumentError(f"{where}: expected an array {name}, got None")
    if isinstance(value, Iterator):
        raise DTypeError(
            f"{where}: expected an array {name}, got a {type(value).__name__}: hand its batches over one by one, to "
            "train_on_batch, test_on_batch or predict_on_batch"
        )
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
