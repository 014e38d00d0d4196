"""Where the time goes: which kernel, in which layer, forward or backward, and how close it comes to what is possible.

    with minidl.profile():
        model.fit(x, y)

Every kernel, and everything done by `perform` (the optimizer's step, metrics, checks), is timed by itself while the
block runs, in recorded and replayed steps and in eager ones alike; results stay the same to the last bit. Outside of
the block nothing is looked at and nothing is slower.

Matrix products and convolutions say how much arithmetic they did. What they reach is compared with a large matrix
product in float32, the fastest thing NumPy can do on the machine: a share far below it says that a kernel waits for
memory, or that its matrices are small.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from minidl.autodiff.graph import HEAP, AddGradients, active_trace, layer_path, tracing
from minidl.autodiff.replaying import Forward, Instruction, Perform, Runner
from minidl.autodiff.tensor import Tensor, plain
from minidl.autodiff.tree import leaves
from minidl.errors import GraphError
from minidl.kernels import (
    Affine,
    Convolution,
    ConvolutionTranspose,
    DepthwiseConvolution,
    Einsum,
    Kernel,
    MatMul,
    WinogradConvolution,
)
from minidl.memory import Array, Memory
from minidl.threads import matmul, products_divided

# When something began and when it ended, in seconds.
Span = tuple[float, float]


@dataclass
class Row:
    """All calls of one kernel in one layer and direction.

    `layer` is the path of the layer, empty outside of layers; `direction` is "forward", "backward" or, for functions
    that are no kernels, "other". `nbytes` counts what was read and written: inputs, saved values and results, but of
    functions the arguments alone. `flops` are floating-point operations, 0 if the kernel does not tell.
    """

    layer: str
    kernel: str
    direction: str
    calls: int = 0
    seconds: float = 0.0
    nbytes: int = 0
    flops: int = 0

    @property
    def gflops(self) -> float | None:
        """10⁹ floating-point operations a second; None if the kernel does not tell."""
        return self.flops / self.seconds / 1e9 if self.flops and self.seconds else None


class Profile:
    """What a profiled block has done so far: `rows`, `seconds` and `table()`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._start = perf_counter()
        self._stop: float | None = None
        self._own = 0.0

    @property
    def rows(self) -> list[Row]:
        """The kernels, the one that took longest first."""
        return sorted(self._rows.values(), key=lambda row: -row.seconds)

    @property
    def seconds(self) -> float:
        """How long the block took, without what profiling itself took."""
        return (perf_counter() if self._stop is None else self._stop) - self._start - self._own

    def add(self, path: str, kernel: str, direction: str, span: Span, arrays: Any, flops: int = 0) -> None:
        """Count a call that took this `span` of time and read and wrote these arrays, nested in tuples and lists."""
        start, end = span
        key = path.rstrip("/"), kernel, direction
        row = self._rows.setdefault(key, Row(*key))
        row.calls += 1
        row.seconds += end - start
        row.nbytes += sum(array.nbytes for array in leaves(arrays) if isinstance(array, np.ndarray))
        row.flops += flops
        self._own += perf_counter() - end

    def stop(self) -> None:
        """The block is over."""
        self._stop = perf_counter()

    def table(self) -> str:
        """One line for each row, and below them what remains: Python, the data, callbacks."""
        return "\n".join(_table(self.rows, self.seconds))


@contextmanager
def profile(print_table: bool = True) -> Iterator[Profile]:
    """Time what runs inside the block, and print a table of it at the end, also if the block ends with an error.

    The `Profile` that it gives has the text as `table()` and the numbers as `rows`. A call is counted when it is done,
    with those of the batch on which `fit` and `evaluate` try everything first. `AddGradients`, where two gradients of
    one tensor meet, belongs to no layer. Kernels that run in other threads, or inside a function done by `perform`, are
    not seen by themselves. `GraphError` inside another profile, or in a step that is being recorded.
    """
    if active_trace() is not None:
        raise GraphError(
            "profile: expected to stand around the whole, but another profile or a minidl.function is running: "
            "put `with minidl.profile()` outside of it"
        )
    found = Profile()
    try:
        with tracing(_Clock(found)):
            yield found
    finally:
        found.stop()
        if print_table:
            print(found.table())


class _Clock(Runner):
    """Runs what it is handed, as every `Runner` does, and looks at the clock before and after."""

    def __init__(self, found: Profile) -> None:
        self._found = found

    def forward(self, kernel: Kernel, inputs: Sequence[Tensor | Array], memory: Memory = HEAP) -> tuple[Any, Any]:
        """Run a kernel forward."""
        arrays = [self.array(x) for x in inputs]
        start = perf_counter()
        y, saved = super().forward(kernel, arrays, memory)
        self._add_forward((start, perf_counter()), kernel, layer_path.get(), arrays, y)
        return y, saved

    def backward(
        self, kernel: Kernel, dy: Any, saved: Any, wanted: tuple[bool, ...], path: str, memory: Memory = HEAP
    ) -> Any:
        """Run a kernel backward."""
        start = perf_counter()
        dxs = super().backward(kernel, dy, saved, wanted, path, memory)
        self._add_backward((start, perf_counter()), kernel, path, dy, saved, dxs)
        return dxs

    def perform(self, function: Callable[..., None], values: tuple[Any, ...], into: Sequence[Array] | None) -> None:
        """Call a function with the arrays."""
        start = perf_counter()
        super().perform(function, values, into)
        self._add_function((start, perf_counter()), function, layer_path.get(), plain(values))

    def replay(self, instructions: Sequence[Instruction]) -> None:
        """Run recorded instructions; what functions run inside is theirs, as it was when they were recorded."""
        with tracing(None):
            for step in instructions:
                start = perf_counter()
                step.run()
                self._add_replayed((start, perf_counter()), step)

    def _add_replayed(self, span: Span, step: Instruction) -> None:
        inputs = [x.data for x in step.inputs]
        if isinstance(step, Perform):
            self._add_function(span, step.function, step.path, inputs)
        elif isinstance(step, Forward):
            self._add_forward(span, step.kernel, step.path, inputs, [cell.data for cell in step.outputs])
        else:
            dxs = [cell and cell.data for cell in step.outputs]
            self._add_backward(span, step.kernel, step.path, inputs, step.saved.data, dxs)

    def _add_forward(self, span: Span, kernel: Kernel, path: str, inputs: Sequence[Array], y: Any) -> None:
        direction = "backward" if isinstance(kernel, AddGradients) else "forward"
        flops = 2 * multiplications(kernel, inputs, leaves(y)[0])
        self._found.add(path, _name(kernel), direction, span, (inputs, y), flops)

    def _add_backward(self, span: Span, kernel: Kernel, path: str, dy: Any, saved: Any, dxs: Sequence[Any]) -> None:
        # A product is linear in both of its factors: the gradient of each costs as much as the product itself.
        gradients = sum(dx is not None for dx in dxs[:2])
        flops = 2 * gradients * multiplications(kernel, saved, leaves(dy)[0])
        self._found.add(path, _name(kernel), "backward", span, (dy, saved, dxs), flops)

    def _add_function(self, span: Span, function: Callable[..., None], path: str, values: Any) -> None:
        name = getattr(function, "__qualname__", type(function).__name__).lstrip("_")
        self._found.add(path, name, "other", span, values)


def _name(kernel: Kernel) -> str:
    """What a kernel is called: its class, but for those that are one NumPy function of many, whose name it is."""
    return str(getattr(kernel, "name", type(kernel).__name__))


def multiplications(kernel: Kernel, factors: Any, y: Any) -> int:
    """How many products of two numbers a kernel adds up to get y, which is of the shape of its result, from `factors`.

    Each is two floating-point operations. 0 for kernels that are no product of two arrays.
    """
    match kernel:
        case MatMul():
            return int(y.size * factors[0].shape[-1])
        case Affine() | Convolution() | WinogradConvolution() | DepthwiseConvolution():
            # Every result is a sum over one column of the weights; Winograd's method gets it with fewer products, and
            # can therefore seem faster than the machine.
            return int(y.size * math.prod(factors[1].shape[:-1]))
        case ConvolutionTranspose():
            # The other way round: every input is multiplied by one column.
            return int(factors[0].size * math.prod(factors[1].shape[:-1]))
        case Einsum() if len(factors) == 2:
            letters = kernel.subscripts.split("->")[0].replace(",", "")
            sizes = (n for factor in factors for n in factor.shape)
            return math.prod(dict(zip(letters, sizes, strict=True)).values())
    return 0


@functools.cache
def matmul_peak() -> float:
    """10⁹ floating-point operations a second: the fastest of many products of two large float32 matrices.

    Measured once, in 0.2 seconds, with all threads.
    """
    size, best = 1024, math.inf
    x = np.ones((size, size), np.float32)
    y = np.empty_like(x)
    end = perf_counter() + 0.2
    with products_divided():
        while (start := perf_counter()) < end:
            matmul(x, x, out=y)
            best = min(best, perf_counter() - start)
    return 2 * size**3 / best / 1e9


_HEADERS = ("Layer", "Kernel", "Direction", "Calls", "ms", "Share", "MB", "GFLOP/s", "Of peak")


def _table(rows: Sequence[Row], seconds: float) -> Iterator[str]:
    """The lines of the table."""
    inside = sum(row.seconds for row in rows)
    cells = [_HEADERS, *(_cells(row, seconds) for row in rows)]
    rest = ("Python, data, callbacks", "", "", "", *_time(seconds - inside, seconds), "", "", "")
    calls, nbytes = sum(row.calls for row in rows), sum(row.nbytes for row in rows)
    total = ("Total", "", "", f"{calls:,}", *_time(seconds, seconds), f"{nbytes / 1e6:,.1f}", "", "")
    widths = [max(map(len, column)) for column in zip(*cells, rest, total, strict=True)]
    rule = "─" * (sum(widths) + 2 * len(widths) - 2)
    lines = ["  ".join(map(_aligned, line, widths, range(len(widths)))).rstrip() for line in (*cells, rest, total)]
    yield from (lines[0], rule, *lines[1:-2], rule, *lines[-2:])
    if any(row.flops for row in rows):
        yield f"Peak: {matmul_peak():.1f} GFLOP/s in a large matrix product in float32."


def _cells(row: Row, seconds: float) -> tuple[str, ...]:
    gflops = row.gflops
    speed = ("", "") if gflops is None else (f"{gflops:.1f}", f"{gflops / matmul_peak():.0%}")
    amount = f"{row.nbytes / 1e6:,.1f}"
    return row.layer, row.kernel, row.direction, f"{row.calls:,}", *_time(row.seconds, seconds), amount, *speed


def _time(part: float, whole: float) -> tuple[str, str]:
    """Milliseconds, and their share."""
    return f"{part * 1e3:,.2f}", f"{part / whole:.1%}"


def _aligned(cell: str, width: int, column: int) -> str:
    """Words to the left, numbers to the right."""
    return cell.ljust(width) if column < 3 else cell.rjust(width)
