"""A step that is recorded once and then replayed: the same kernels in the same order, and nothing else.

Running a step of training layer by layer takes Python more time than small matrices take NumPy. `function` lets a
`Trace` note every kernel that runs, forward and backward, and everything done by `perform`. Later calls replay that
list on arrays that were set aside for it: no layer code, no graph, no allocation. A replayed step gives bitwise what
the step itself would have given.

When is that allowed? A step is replayed for arguments of the same shapes and dtypes, once two recordings of it agree,
and only if

- nothing looked at the numbers in a tensor on the way: what Python decides by them, a trace cannot know;
- no layer has changed since: its `trainable`, or any other attribute.

What fails one of these runs as it always did. One thing remains that nobody can see: a plain Python value from outside,
such as a global variable, that stays the same in the first two calls and changes later. Keep such values in a
`Variable` or hand them over as arguments.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.autodiff.graph import active_trace, generation, is_recording, tracing
from minidl.autodiff.tensor import Tensor, constant, plain
from minidl.autodiff.tree import leaves, map_leaves
from minidl.kernels import Kernel
from minidl.memory import Arena, Array, Request, Shape, allocate

_READ = Tensor.__dict__["data"].__get__
_WRITE = Tensor.__dict__["data"].__set__


class TracedTensor(Tensor):
    """A tensor inside a trace. Whoever reads its `data` gets them, and the trace learns that it cannot be replayed."""

    __slots__ = ("trace",)

    @property
    def data(self) -> Array:  # type: ignore[override]
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
        return np.dtype(_READ(self).dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(_READ(self).size)


class Cell:
    """What holds an array in a replay; during the recording it is only a number."""

    __slots__ = ("data", "number")

    def __init__(self, number: int, data: Any = None) -> None:
        self.number = number
        self.data = data


# What an operation reads: a cell, or a tensor from outside, such as a variable, or a constant.
Source = Any


@dataclasses.dataclass
class Forward:
    """One kernel, forward."""

    kernel: Kernel
    inputs: tuple[Source, ...]
    outputs: tuple[Cell, ...]
    saved: Cell
    memory: Arena = dataclasses.field(default_factory=Arena)

    def run(self) -> None:
        self.memory.rewind()
        y, self.saved.data = self.kernel.forward(self.memory, *[x.data for x in self.inputs])
        if type(y) is tuple:
            for cell, part in zip(self.outputs, y, strict=True):
                cell.data = part
        else:
            self.outputs[0].data = y


@dataclasses.dataclass
class Backward:
    """One kernel, backward."""

    kernel: Kernel
    inputs: tuple[Source, ...]
    several: bool
    outputs: tuple[Cell | None, ...]
    saved: Cell
    memory: Arena = dataclasses.field(default_factory=Arena)

    def run(self) -> None:
        self.memory.rewind()
        dy = tuple([x.data for x in self.inputs]) if self.several else self.inputs[0].data
        for cell, dx in zip(self.outputs, self.kernel.backward(self.memory, dy, self.saved.data), strict=True):
            if cell is not None:
                cell.data = dx


@dataclasses.dataclass
class Perform:
    """A function called for what it does; its arguments are nested as `structure` is."""

    function: Callable[..., None]
    inputs: tuple[Source, ...]
    structure: Any

    def run(self) -> None:
        if self.structure is None:
            self.function(*[x.data for x in self.inputs])
        else:
            arrays = iter([x.data for x in self.inputs])
            self.function(*map_leaves(lambda _: next(arrays), self.structure))


Instruction = Forward | Backward | Perform


class Ledger:
    """A memory that gives new arrays and keeps a list of them: what was asked for, and from when until when it lived."""

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


class Trace:
    """Runs kernels and notes them: the list that a replay runs through."""

    def __init__(self, inputs: Sequence[Array]) -> None:
        self.instructions: list[Instruction] = []
        self.observed = False
        self.ledger = Ledger()
        self._cells: dict[int, tuple[weakref.ref[Array], Cell]] = {}
        self._count = 0
        self._adoptions: list[tuple[int, Array]] = []
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
        self._begin(arrays)
        y, saved = kernel.forward(self.ledger, *arrays)
        self.ledger.used(y)
        self.ledger.used(saved)
        outputs = tuple(self._new_cell(part) for part in (y if type(y) is tuple else (y,)))
        instruction = Forward(kernel, sources, outputs, self._new_cell(None))
        self.instructions.append(instruction)
        return y, (instruction.saved, saved)

    def backward(self, kernel: Kernel, dy: Any, saved: tuple[Cell, Any]) -> Any:
        """Run a kernel backward."""
        cell, values = saved
        several = type(dy) is tuple
        dys = dy if several else (dy,)
        sources = tuple(self._source(x) for x in dys)
        self._begin(dys)
        self.ledger.used(values)
        dxs = kernel.backward(self.ledger, dy, values)
        self.ledger.used(dxs)
        outputs = tuple(None if dx is None else self._new_cell(dx) for dx in dxs)
        self.instructions.append(Backward(kernel, sources, several, outputs, cell))
        return dxs

    def perform(self, function: Callable[..., None], values: tuple[Any, ...], into: Sequence[Array] | None) -> None:
        """Call a function with the arrays; those that can be are written `into` the places it names in a replay."""
        flat = leaves(values)
        nested = len(flat) != len(values) or any(isinstance(x, (tuple, list, dict)) for x in values)
        sources = tuple(self._source(x) for x in flat)
        self._begin([self.array(x) for x in flat])
        for value, place in zip(flat, into or (), strict=False):
            self._adopt(self.array(value), place)
        with tracing(None):
            function(*map_leaves(lambda x: self.array(x) if isinstance(x, Tensor) else x, values))
        self.instructions.append(Perform(function, sources, map_leaves(lambda _: None, values) if nested else None))

    def program(self, results: Sequence[Any]) -> Program:
        """What was recorded, to be compared and replayed; `results` are arrays and tensors of the trace."""
        self._begin([self.array(x) for x in results])
        return Program(self, [self._source(x) for x in results])

    def _begin(self, used: Any) -> None:
        """An instruction begins that uses these arrays."""
        self.ledger.now = len(self.instructions)
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
        return value if isinstance(value, Tensor) else Cell(-1, value)

    def _adopt(self, array: Array, place: Array) -> None:
        """Let the memory of an array be `place` from its first use on, if the array fills its memory."""
        number = self.ledger.number(array)
        if number is None:
            return
        request = self.ledger.requests[number]
        whole = array.flags.c_contiguous and array.size == np.prod(request.shape, dtype=int)
        if whole and array.dtype == request.dtype == place.dtype and request.place is None:
            request.place = place


class Program:
    """A recorded step: instructions, the cells its arguments go to, and the sources its results come from."""

    def __init__(self, trace: Trace, results: list[Source]) -> None:
        self.instructions = trace.instructions
        self.inputs = trace.inputs
        self.results = results
        self._requests = trace.ledger.requests

    def make_ready(self) -> None:
        """Set aside the memory."""
        buffers: dict[int, list[Array]] = {}
        for request, buffer in zip(self._requests, allocate(self._requests), strict=True):
            buffers.setdefault(request.born, []).append(buffer)
        for position, own in buffers.items():
            instruction = self.instructions[position]
            assert not isinstance(instruction, Perform)
            instruction.memory = Arena(own)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Replay the step; the results are valid until the next replay."""
        for cell, array in zip(self.inputs, arrays, strict=True):
            cell.data = array
        for instruction in self.instructions:
            instruction.run()
        return [source.data for source in self.results]

    def agrees(self, other: Program) -> bool:
        """Whether both would do the same to all arguments."""
        return (
            len(self.instructions) == len(other.instructions)
            and all(_same(a, b) for a, b in zip(self.instructions, other.instructions, strict=True))
            and _same(self.results, other.results)
        )


class Function:
    """A function of arrays that is recorded for each signature of its arguments, and then replayed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        # By signature: what was recorded, and whether a second recording agreed; all of one generation.
        self._programs: dict[Any, tuple[Program, Any, bool]] = {}
        self._generation = -1

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the function, nested as it returned it, of tensors that are constants."""
        results, structure = self.run(*args, **kwargs)
        arrays = iter(results)
        return map_leaves(lambda x: constant(next(arrays).copy()) if x is Tensor else x, structure)

    def run(self, *args: Any, **kwargs: Any) -> tuple[list[Array], Any]:
        """The arrays of the results, valid until the next call, and their structure with `Tensor` in their places."""
        values = leaves((args, kwargs)) if kwargs or any(type(x) in _NESTED for x in args) else args
        arrays = [x.data if isinstance(x, Tensor) else x for x in values if isinstance(x, _ARRAYS)]
        if active_trace() is not None or any(isinstance(x, Tensor) and x.output is not None for x in values):
            return _flat(self._function(*args, **kwargs))
        if self._generation != generation():
            self._programs.clear()
            self._generation = generation()
        signature = self._signature(values, args, kwargs)
        known = self._programs.get(signature) if signature is not None else None
        if known is not None and known[2]:
            program, structure, _ = known
            return program.run(arrays), structure
        return self._record(signature, known, arrays, args, kwargs)

    def _signature(self, values: Sequence[Any], args: Any, kwargs: Any) -> Any:
        """What a recording is good for, None if the arguments cannot be told apart."""
        kinds = tuple([(x.shape, x.dtype) if isinstance(x, _ARRAYS) else x for x in values])
        structure = None if values is args else map_leaves(lambda _: None, (args, sorted(kwargs))).__repr__()
        signature = (kinds, structure, is_recording())
        try:
            hash(signature)
        except TypeError:
            return None
        return signature

    def _record(self, signature: Any, known: Any, arrays: list[Array], args: Any, kwargs: Any) -> Any:
        """Run the function under a trace, and keep the recording if it can be replayed."""
        arrays = [np.asarray(x) for x in arrays]
        trace = Trace(arrays)
        tensors = iter([trace.tensor(array) for array in arrays])
        given_args, given_kwargs = map_leaves(
            lambda x: next(tensors) if isinstance(x, _ARRAYS) else x, (args, kwargs)
        )
        with tracing(trace):
            result = self._function(*given_args, **given_kwargs)
        observed = trace.observed
        tensors_of_result = [x for x in leaves(result) if isinstance(x, Tensor)]
        results = [trace.array(x) for x in tensors_of_result]
        structure = map_leaves(lambda x: Tensor if isinstance(x, Tensor) else x, result)
        if observed or signature is None or self._generation != generation():
            return results, structure
        program = trace.program(tensors_of_result)
        agreed = known is not None and program.agrees(known[0]) and _same(structure, known[1])
        self._programs[signature] = program, structure, agreed
        if agreed:
            program.make_ready()
        return results, structure


def function(f: Callable[..., Any]) -> Function:
    """`f` as a function that is recorded and replayed: a decorator for a training step of one's own.

        @minidl.function
        def step(x, y):
            with minidl.GradientTape() as tape:
                loss = loss_fn(y, model(x, training=True))
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
            return loss

    Arguments are arrays, tensors and plain values, also nested; each combination of shapes, dtypes and plain values is
    recorded by itself. The results are constants: gradients are taken inside. Only what minidl's operations and
    variables do is repeated by a replay; other effects, such as `print`, happen in the first two calls.
    """
    return Function(f)


_ARRAYS = (Tensor, np.ndarray, np.generic)
_NESTED = (tuple, list, dict)


def _flat(result: Any) -> tuple[list[Array], Any]:
    """The arrays of a result, and its structure."""
    arrays = [plain(x) for x in leaves(result) if isinstance(x, Tensor)]
    return arrays, map_leaves(lambda x: Tensor if isinstance(x, Tensor) else x, result)


def _remember(table: dict[int, Any], array: Array, entry: Any) -> None:
    """Note something about an array for as long as it lives."""
    key = id(array)

    def forget(reference: weakref.ref[Array]) -> None:
        if table.get(key, (None,))[0] is reference:
            del table[key]

    table[key] = weakref.ref(array, forget), entry


def _same(a: Any, b: Any) -> bool:
    """Whether two parts of recordings mean the same."""
    if a is b:
        return True
    if isinstance(a, Cell) and isinstance(b, Cell):
        return a.number == b.number and (a.number >= 0 or _same(a.data, b.data))
    if type(a) is Tensor and type(b) is Tensor:
        return _same(a.data, b.data)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (Tensor, Arena)):
        return isinstance(a, Arena)
    if dataclasses.is_dataclass(a):
        return all(_same(x, y) for x, y in zip(_fields(a), _fields(b), strict=True))
    return bool(a == b)


def _fields(instance: Any) -> Iterator[Any]:
    return (getattr(instance, field.name) for field in dataclasses.fields(instance))
