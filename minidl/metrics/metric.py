"""The base of all metrics, and the sums and means that most of them are.

A metric is a streaming accumulator: `update_state` adds a batch, `result` reads, `reset_state` starts over. Its state
is float64 whatever comes in: an epoch adds up millions of values, and a float32 total of ones stops growing at 2²⁴.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl import initializers
from minidl.autodiff.graph import active_trace
from minidl.autodiff.tree import leaves
from minidl.configurable import Configurable, snake_case
from minidl.errors import AbstractMethodError, ArgumentError, DTypeError, ShapeError, warn_old_name
from minidl.layers.variable import Variable
from minidl.memory import Array, Shape

DType = npt.DTypeLike | None
ROUNDING = 1e-6  # how far a probability computed in float32 may leave [0, 1]


class Metric(Configurable):
    """What takes in batch after batch and gives one number (or an array, or a dict of numbers) about all of them.

    A subclass defines `update_state`, `result` and `reset_state`, has its state in plain attributes, and keeps each
    argument of its `__init__` as an attribute of the same name: `get_config`, `from_config` and `repr` follow from it.
    Or it has its state in variables from `add_weight`, as in Keras; then `reset_state` need not be written.

        class LargestError(Metric):
            def __init__(self, name="largest_error"):
                super().__init__(name=name)
                self.reset_state()

            def reset_state(self):
                self.largest = 0.0

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.largest = max(self.largest, np.abs(np.subtract(y_true, y_pred)).max())

            def result(self):
                return self.largest

    `dtype` is the float type of what `result` returns, float64 unless given. `name` is the class name in snake case
    unless given; Keras numbers the metrics made without one (`auc`, `auc_1`, ...), here a name never depends on what
    was made before.
    """

    direction: str | None = None
    """Which way is better: "up", "down", or None where nobody knows."""

    def __init__(self, dtype: DType = None, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self.dtype = _float_type(self.name, dtype)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch: `update_state(y_true, y_pred, sample_weight=None)` for most metrics."""
        raise AbstractMethodError(f"{type(self).__name__} must define update_state(self, y_true, y_pred, ...)")

    def result(self) -> Any:
        """The metric of everything seen since the last `reset_state`."""
        raise AbstractMethodError(f"{type(self).__name__} must define result(self)")

    def reset_state(self) -> None:
        """Forget everything seen so far: set the variables to 0."""
        if not self.variables:
            raise AbstractMethodError(f"{type(self).__name__} must define reset_state(self)")
        for variable in self.variables:
            variable.assign(np.zeros_like(variable.data))

    def add_weight(
        self, shape: Sequence[int] | str = (), initializer: Any = None, dtype: DType = None, name: str | None = None
    ) -> Variable:
        """A variable that holds state, zeros unless an initializer is given; keep it as an attribute."""
        if isinstance(shape, str):
            warn_old_name(f"add_weight({shape!r}, …)", f"add_weight(name={shape!r})")
            name, shape = shape, ()
        make = initializers.get("zeros" if initializer is None else initializer)
        return Variable(make, tuple(shape), dtype or self.dtype, trainable=False, name=name or "variable")

    @property
    def variables(self) -> list[Variable]:
        """The variables among the attributes."""
        return [value for value in leaves(list(vars(self).values())) if isinstance(value, Variable)]

    def reset_states(self) -> None:
        """The old name of `reset_state`."""
        warn_old_name("Metric.reset_states()", "Metric.reset_state()")
        self.reset_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch and return the result so far, this batch included."""
        self.update_state(*args, **kwargs)
        return self.result()

    def is_default(self, name: str, value: Any, default: Any) -> bool:
        """Whether an argument has its default; the dtype is not worth showing."""
        return name == "dtype" or super().is_default(name, value, default)

    def _as_result(self, value: npt.ArrayLike) -> Any:
        """`value` in the metric's dtype: a NumPy scalar, or an array where it has axes."""
        return np.asarray(value, self.dtype)[()]


class Sum(Metric):
    """The weighted sum of all values: `Σ wᵢ·xᵢ`."""

    def __init__(self, name: str = "sum", dtype: DType = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:
        """Set the sum to 0."""
        self.total = 0.0

    def update_state(self, values: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> None:
        """Add `values` of any shape; `sample_weight` as for `Mean`."""
        self.total += _sums(self.name, as_numbers(self.name, "values", values), sample_weight)[0]

    def result(self) -> Any:
        """The sum, 0 before the first value."""
        return self._as_result(self.total)


class Mean(Metric):
    """The weighted mean of all values: `Σ wᵢ·xᵢ / Σ wᵢ`.

    The first axis counts samples; a sample that has several values counts once, with their mean. The mean of no
    values, or of weights that add up to 0, is 0.

    `sample_weight` has one weight a sample, (n,) or (n, 1), or any shape that broadcasts to that of the values once
    axes of size 1 are added at its end. A single number weighs the whole batch as if it were one value.
    """

    def __init__(self, name: str = "mean", dtype: DType = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:
        """Set the sums of values and weights to 0."""
        self.total = 0.0
        self.count = 0.0

    def update_state(self, values: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> None:
        """Take in `values` of any shape; `ShapeError` if `sample_weight` does not fit them."""
        x = as_numbers(self.name, "values", values)
        if x.ndim and x.size and sample_weight is not None and np.ndim(sample_weight) == 0:
            x = np.asarray(np.mean(x, dtype=np.float64))
        total, count = _sums(self.name, x, sample_weight)
        samples = len(x) if x.ndim else 1
        share = samples / max(x.size, 1)
        self.total += total * share
        self.count += count * share

    def result(self) -> Any:
        """The mean so far."""
        return self._as_result(self.total / self.count if self.count else 0.0)


class MeanMetricWrapper(Mean):
    """The mean of what the function `fn(y_true, y_pred, **kwargs)` returns: a value a sample, or one for the batch.

    The name is that of the function unless given.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: DType = None, **kwargs: Any) -> None:
        if not callable(fn):
            raise ArgumentError(f"{type(self).__name__}: expected a function f(y_true, y_pred), got {fn!r}")
        super().__init__(name or str(getattr(fn, "name", getattr(fn, "__name__", type(fn).__name__))), dtype)
        self.fn = fn
        self.fn_kwargs = kwargs

    def update_state(  # type: ignore[override]  # a Mean of something else than what it is given
        self, y_true: Any, y_pred: Any, sample_weight: npt.ArrayLike | None = None
    ) -> None:
        """Take in the function's values for a batch; `sample_weight` as for `Mean`."""
        super().update_state(self.fn(y_true, y_pred, **self.fn_kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, and those passed on to the function."""
        return {**super().get_config(), **self.fn_kwargs}


def as_numbers(owner: str, argument: str, value: npt.ArrayLike) -> Array:
    """`value` as an array of real numbers, or a `DTypeError` that names the `argument` of `owner`."""
    trace = active_trace()
    if trace is not None:
        # A recording does not see what is added up here, so it must not be replayed.
        trace.observed = True
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{owner}: {argument} must be an array of real numbers, got {_short(value)}")
    return array


def as_weights(owner: str, sample_weight: npt.ArrayLike, shape: Shape) -> Array:
    """`sample_weight` broadcast to `shape`, its axes being the first ones; or a `ShapeError`."""
    weights = as_numbers(owner, "sample_weight", sample_weight)
    missing = len(shape) - weights.ndim
    try:
        return np.broadcast_to(weights.reshape(weights.shape[: len(shape)] + (1,) * missing), shape)
    except ValueError:
        raise ShapeError(
            f"{owner}: sample_weight has shape {weights.shape} where the values have {shape}: "
            "expected a weight for each sample or for each value"
        ) from None


def matching(owner: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, hint: str = "") -> tuple[Array, Array]:
    """Targets and outputs as float arrays of one shape and of the dtype of the outputs; or a `ShapeError`.

    A last axis of size 1 that only one of them has makes no difference: (n,) and (n, 1) become (n, 1), while
    (n, m) and (n, m, 1) become (n, m).
    """
    y, p = as_numbers(owner, "y_true", y_true), as_numbers(owner, "y_pred", y_pred)
    p = p if p.dtype.kind == "f" else p.astype(np.float64)
    y = y.astype(p.dtype, copy=False)
    if y.ndim == p.ndim + 1:
        p, y = _same_rank(p, y)
    elif p.ndim == y.ndim + 1:
        y, p = _same_rank(y, p)
    if y.shape != p.shape or y.ndim == 0:
        raise ShapeError(f"{owner}: y_true and y_pred must have one shape, (n, ...), got {y.shape} and {p.shape}{hint}")
    return y, p


def mean_over(x: Array, axis: int = -1) -> Array:
    """The mean over one axis."""
    mean: Array = np.mean(x, axis=axis)
    return mean


def check_probabilities(owner: str, y_pred: Array, advice: str) -> None:
    """Raise an `ArgumentError` that ends with `advice` if `y_pred` leaves [0, 1] by more than rounding."""
    low, high = y_pred.min(initial=0), y_pred.max(initial=1)
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ArgumentError(
            f"{owner}: y_pred must be probabilities in [0, 1], but it goes from {low:.6g} to {high:.6g}: {advice}"
        )


def _same_rank(x: Array, longer: Array) -> tuple[Array, Array]:
    """`x` and the array with one axis more, made equally long if that axis has size 1."""
    if longer.shape[-1] != 1:
        return x, longer
    return (x[:, None], longer) if x.ndim == 1 else (x, longer[..., 0])


def _sums(owner: str, values: Array, sample_weight: npt.ArrayLike | None) -> tuple[float, float]:
    """`Σ wᵢ·xᵢ` and `Σ wᵢ` in float64."""
    if sample_weight is None:
        return float(np.add.reduce(values, axis=None, dtype=np.float64)), float(values.size)
    if isinstance(sample_weight, int) and not values.ndim:
        return float(values) * sample_weight, float(sample_weight)
    weights = as_weights(owner, sample_weight, values.shape)
    return float(np.multiply(values, weights, dtype=np.float64).sum()), float(weights.sum(dtype=np.float64))


def _float_type(owner: str, dtype: DType) -> str:
    """The name of a float type, "float64" for None; or a `DTypeError`."""
    try:
        checked = np.dtype(np.float64 if dtype is None else dtype)
    except TypeError:
        checked = np.dtype(object)
    if checked.kind != "f":
        raise DTypeError(f"{owner}: dtype must be a float type, got {dtype!r}")
    return checked.name


def _short(value: object) -> str:
    """What `value` is, in a few words: it may be large."""
    dtype = getattr(value, "dtype", None)
    return f"an array of {dtype}" if dtype is not None else f"{value!r:.60}"
