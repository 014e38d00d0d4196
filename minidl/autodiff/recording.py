"""Recording a step: a `Trace` has kernels run as they come and notes them, with who made what and who needs it."""

from __future__ import annotations

import collections
import dataclasses
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.autodiff.graph import layer_path
from minidl.autodiff.replaying import Backward, Cell, Forward, Instruction, Perform, Program, Runner, Source, same
from minidl.autodiff.tensor import Tensor
from minidl.autodiff.tree import leaves, map_leaves
from minidl.kernels import Kernel
from minidl.memory import Array, Request, Shape

_READ = Tensor.__dict__["data"].__get__
_WRITE = Tensor.__dict__["data"].__set__


class TracedTensor(Tensor):
    """A tensor inside a trace. Whoever reads its `data` gets them, and the trace learns that it cannot be replayed."""

    __slots__ = ("trace",)
    trace: Trace

    @property
    def data(self) -> Array:
        """The array; asking for it ends the hope of a replay."""
        self.trace.observed = True
        array: Array = _READ(self)
        return array

    @data.setter
    def data(self, array: Array) -> None:
        _WRITE(self, array)

    @property
    def shape(self) -> Shape:
        """The sizes of the axes."""
        shape: Shape = _READ(self).shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = _READ(self).dtype
        return dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(_READ(self).size)

    def backward(self, gradient: Any = None) -> None:
        """As of every tensor; it adds to the leaves' `.grad`, which a replay would not."""
        self.trace.observed = True
        super().backward(gradient)


class Ledger:
    """A memory that gives new arrays and keeps a list of them: what was asked for, from when on, until when."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.now = 0
        self._numbers: dict[int, tuple[weakref.ref[Array], int]] = {}

    def empty(self, shape: Shape, dtype: npt.DTypeLike) -> Array:
        """A new array of `shape` and `dtype` with undefined contents."""
        array = np.empty(shape, dtype)
        _remember(self._numbers, array, len(self.requests))
        self.requests.append(Request(array.shape, array.dtype, self.now, self.now))
        return array

    def like(self, x: Array) -> Array:
        """A new array of the shape and dtype of `x`."""
        return self.empty(x.shape, x.dtype)

    def used(self, values: Any) -> None:
        """The memory of all arrays in `values`, nested in tuples and lists, is in use now."""
        for array in leaves(values):
            number = self.number(array)
            if number is not None:
                self.requests[number].died = self.now

    def number(self, array: Any) -> int | None:
        """Which request the memory of an array belongs to."""
        while isinstance(array, np.ndarray) and array.base is not None:
            # Strided views have an object in between, which has the array as its base.
            array = array.base if isinstance(array.base, np.ndarray) else getattr(array.base, "base", None)
        return self._numbers.get(id(array), (None, None))[1]


@dataclasses.dataclass(frozen=True)
class Saved:
    """What a kernel saved for its backward: the arrays, and the cell that has them in a replay of the trace."""

    trace: Trace
    cell: Cell
    values: Any


class Trace:
    """Has kernels run by a `runner` and notes them: the list that a replay runs through."""

    def __init__(self, inputs: Sequence[Array], runner: Runner) -> None:
        self.instructions: list[Instruction] = []
        self._runner = runner
        self.observed = False
        self.ledger = Ledger()
        self._cells: dict[int, tuple[weakref.ref[Array], Cell]] = {}
        self._count = 0
        # Which arrays, by the numbers of their requests, had best be where; and arrays from outside, as they were.
        self._adoptions: list[tuple[int | None, Array]] = []
        self._constants: list[tuple[Array, Array]] = []
        self.inputs = [self._new_cell(array) for array in inputs]

    def tensor(self, array: Array) -> Tensor:
        """A tensor around an array of the trace."""
        tensor = object.__new__(TracedTensor)
        tensor.trace = self
        tensor.data, tensor.grad, tensor.version, tensor.output = array, None, 0, None
        return tensor

    def array(self, value: Tensor | Array) -> Array:
        """The array of a tensor, without anybody having looked at it."""
        array: Array = _READ(value) if isinstance(value, Tensor) else value
        return array

    def forward(self, kernel: Kernel, inputs: Sequence[Tensor | Array]) -> tuple[Any, Any]:
        """Run a kernel forward; what it saved comes with the instruction that its backward belongs to."""
        arrays = [self.array(x) for x in inputs]
        sources = tuple(self._source(x) for x in inputs)
        for value in leaves(list(vars(kernel).values())):
            self._keep(value)
        self._begin(arrays)
        y, saved = self._runner.forward(kernel, arrays, self.ledger)
        outputs = tuple(self._new_cell(part) for part in (y if type(y) is tuple else (y,)))
        instruction = Forward(kernel, sources, outputs, self._new_cell(None), layer_path.get())
        self.instructions.append(instruction)
        return y, Saved(self, instruction.saved, saved)

    def backward(
        self, kernel: Kernel, dy: Any, saved: Any, wanted: tuple[bool, ...], path: str
    ) -> Any:
        """Run a kernel backward; one that ran forward outside of the trace cannot be replayed."""
        if not isinstance(saved, Saved) or saved.trace is not self:
            self.observed = True
            saved = Saved(self, Cell(-1), saved.values if isinstance(saved, Saved) else saved)
        cell, values = saved.cell, saved.values
        several = type(dy) is tuple
        dys = dy if several else (dy,)
        sources = tuple(self._source(x) for x in dys)
        self._begin(dys)
        self.ledger.used(values)
        dxs = self._runner.backward(kernel, dy, values, wanted, path, self.ledger)
        outputs = tuple(None if dx is None else self._new_cell(dx) for dx in dxs)
        self.instructions.append(Backward(kernel, sources, several, outputs, cell, wanted, path))
        return dxs

    def perform(self, function: Callable[..., None], values: tuple[Any, ...], into: Sequence[Array] | None) -> None:
        """Call a function with the arrays; those that can be are written `into` the places it names in a replay."""
        flat = leaves(values)
        nested = len(flat) != len(values) or any(isinstance(x, (tuple, list, dict)) for x in values)
        sources = tuple(self._source(x) for x in flat)
        self._begin([self.array(x) for x in flat])
        for value, place in zip(flat, into or (), strict=False):
            self._adoptions.append((self._number_if_whole(self.array(value), place), place))
        self._runner.perform(function, map_leaves(self.array, values), into)
        structure = map_leaves(lambda _: None, values) if nested else None
        self.instructions.append(Perform(function, sources, structure, layer_path.get()))

    def program(self, results: Sequence[Any]) -> Program:
        """What was recorded, to be compared and replayed; `results` are arrays and tensors of the trace."""
        self._begin([self.array(x) for x in results])
        self._adopt()
        sources = [self._source(x) for x in results]
        # Somebody wrote to an array from outside after an operation had read it.
        self.observed |= not all(same(array, copy) for array, copy in self._constants)
        constants = [copy for _, copy in self._constants]
        return Program(self.instructions, self.inputs, sources, self.ledger.requests, constants)

    def _begin(self, used: Any) -> None:
        """An instruction begins that uses these arrays."""
        self.ledger.now = len(self.instructions)
        # An operation that failed has left requests behind.
        self.observed |= bool(self.ledger.requests) and self.ledger.requests[-1].born == self.ledger.now
        self.ledger.used(list(used))

    def _new_cell(self, array: Array | None) -> Cell:
        cell = Cell(self._count)
        self._count += 1
        if array is not None:
            _remember(self._cells, array, cell)
        return cell

    def _source(self, value: Any) -> Source:
        """Where a replay finds the value: in a cell of the trace, in a tensor from outside, or it is a constant."""
        known = self._cells.get(id(self.array(value)))
        if known is not None:
            return known[1]
        if not (isinstance(value, Tensor) and value.assignable):
            self._keep(self.array(value))
        return value if isinstance(value, Tensor) else Cell(-1, value)

    def _keep(self, value: Any) -> None:
        """Remember what an array from outside contains: a replay reads it again, and it must be the same each time."""
        if isinstance(value, np.ndarray):
            self._constants.append((value, value.copy()))

    def _number_if_whole(self, array: Array, place: Array) -> int | None:
        """Which request an array was, if it fills its memory and so can as well live in `place`."""
        number = self.ledger.number(array)
        if number is None:
            return None
        request = self.ledger.requests[number]
        whole = array.flags.c_contiguous and array.size == np.prod(request.shape, dtype=int)
        return number if whole and array.dtype == request.dtype == place.dtype else None

    def _adopt(self) -> None:
        """Let arrays be from their first use on where they had best be; a place that several want stays free."""
        wanted = collections.Counter(id(place) for _, place in self._adoptions)
        for number, place in self._adoptions:
            if number is not None and wanted[id(place)] == 1:
                self.ledger.requests[number].place = place


def _remember(table: dict[int, Any], array: Array, entry: Any) -> None:
    """Note something about an array for as long as it lives."""
    key = id(array)

    def forget(reference: weakref.ref[Array]) -> None:
        if table.get(key, (None,))[0] is reference:
            del table[key]

    table[key] = weakref.ref(array, forget), entry
