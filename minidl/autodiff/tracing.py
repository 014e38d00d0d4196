"""A step that is recorded once and then replayed: the same kernels in the same order, and nothing else.

Running a step of training layer by layer takes Python more time than small matrices take NumPy. `function` lets a
`Trace` note every kernel that runs, forward and backward, and everything done by `perform`. Later calls replay that
list on arrays that were set aside for it: no layer code, no graph, no allocation. A replayed step gives bitwise what
the step itself would have given.

When is that allowed? A step is replayed for arguments of the same shapes and dtypes, once two recordings of it agree,
and only if

- nothing looked at the numbers in a tensor on the way: what Python decides by them, a trace cannot know;
- no layer or loss has changed since: its `trainable`, or any other attribute.

What fails one of these runs as it always did. One thing remains that nobody can see: a plain Python value from outside,
such as a global variable, an entry of a list, or a coin that a generator of one's own has thrown, that is the same in
the first two calls and another one later. Keep such values in a `Variable` or hand them over as arguments.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl.autodiff.graph import (
    HEAP,
    active_trace,
    backward,
    generation,
    is_recording,
    layer_path,
    taping,
    tracing,
    training_mode,
)
from minidl.autodiff.tensor import Tensor, constant, plain
from minidl.autodiff.tree import leaves, map_leaves
from minidl.kernels import Kernel
from minidl.memory import Arena, Array, Memory, Request, Shape, allocate
from minidl.threads import one_blas_thread

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
    path: str
    memory: Arena = dataclasses.field(default_factory=Arena)

    def run(self) -> None:
        """Once more."""
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
    wanted: tuple[bool, ...]
    path: str
    memory: Arena = dataclasses.field(default_factory=Arena)

    def run(self) -> None:
        """Once more."""
        self.memory.rewind()
        dy = tuple([x.data for x in self.inputs]) if self.several else self.inputs[0].data
        dxs = backward(self.kernel, self.memory, dy, self.saved.data, self.wanted)
        for cell, dx in zip(self.outputs, dxs, strict=True):
            if cell is not None:
                cell.data = dx


@dataclasses.dataclass
class Perform:
    """A function called for what it does; its arguments are nested as `structure` is."""

    function: Callable[..., None]
    inputs: tuple[Source, ...]
    structure: Any
    path: str

    def run(self) -> None:
        """Once more."""
        if self.structure is None:
            self.function(*[x.data for x in self.inputs])
        else:
            arrays = iter([x.data for x in self.inputs])
            self.function(*map_leaves(lambda _: next(arrays), self.structure))


Instruction = Forward | Backward | Perform


class Runner:
    """Runs what it is handed, and no more. A trace has its kernels run by one; whoever wants to look on extends it."""

    # Whether Python looked at a number, which makes a trace useless.
    observed = False

    def tensor(self, array: Array) -> Tensor:
        """A tensor around an array."""
        return constant(array)

    def array(self, value: Tensor | Array) -> Array:
        """The array of a tensor."""
        return value.data if isinstance(value, Tensor) else value

    def forward(self, kernel: Kernel, inputs: Sequence[Tensor | Array], memory: Memory = HEAP) -> tuple[Any, Any]:
        """Run a kernel forward."""
        y, saved = kernel.forward(memory, *map(self.array, inputs))
        return y, saved

    def backward(
        self, kernel: Kernel, dy: Any, saved: Any, wanted: tuple[bool, ...], path: str, memory: Memory = HEAP
    ) -> Any:
        """Run a kernel backward; `path` is that of the layer it ran forward in."""
        return backward(kernel, memory, dy, saved, wanted)

    def perform(self, function: Callable[..., None], values: tuple[Any, ...], into: Sequence[Array] | None) -> None:
        """Call a function with the arrays; what happens inside is its own affair."""
        with tracing(None):
            function(*plain(values))

    def replay(self, instructions: Sequence[Instruction]) -> None:
        """Run recorded instructions."""
        for instruction in instructions:
            instruction.run()


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
        self.observed |= not all(_same(array, copy) for array, copy in self._constants)
        return Program(self, sources, [copy for _, copy in self._constants])

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


class Program:
    """A recorded step: instructions, the cells its arguments go to, and the sources its results come from."""

    def __init__(self, trace: Trace, results: list[Source], constants: list[Array]) -> None:
        self.instructions = trace.instructions
        self._constants = constants
        self.inputs = trace.inputs
        self.results = results
        self._requests = trace.ledger.requests

    def make_ready(self) -> None:
        """Set aside the memory."""
        self._constants = []
        buffers: dict[int, list[Array]] = {}
        for request, buffer in zip(self._requests, allocate(self._requests), strict=True):
            buffers.setdefault(request.born, []).append(buffer)
        for position, own in buffers.items():
            instruction = self.instructions[position]
            assert not isinstance(instruction, Perform)
            instruction.memory = Arena(own)

    def run(self, arrays: Sequence[Array], runner: Runner) -> list[Array]:
        """Replay the step; the results are valid until the next replay."""
        for cell, array in zip(self.inputs, arrays, strict=True):
            cell.data = array
        runner.replay(self.instructions)
        return [source.data for source in self.results]

    def agrees(self, other: Program) -> bool:
        """Whether both would do the same to all arguments."""
        return (
            len(self.instructions) == len(other.instructions)
            and all(_same(a, b) for a, b in zip(self.instructions, other.instructions, strict=True))
            and _same(self.results, other.results)
            and _same(self._constants, other._constants)
        )


KEPT = 16
"""For how many signatures a function keeps what it recorded: each has memory of its own."""


class Function:
    """A function of arrays that is recorded for each signature of its arguments, and then replayed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function = function
        # By signature: what was recorded, and whether a second recording agreed; all of one generation.
        self._programs: dict[Any, tuple[Program, Any, bool]] = {}
        self._generation = -1
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        """A copy records for itself."""
        return Function, (self._function,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the function, nested as it returned it, of tensors that are constants.

        Inside of another such function, inside of a `GradientTape`, and for arguments that are tracked, it is the plain
        function: what it computes can be differentiated from outside.
        """
        if taping.get() and is_recording():
            return self._function(*args, **kwargs)
        values = leaves((args, kwargs)) if kwargs or any(isinstance(x, _NESTED) for x in args) else args
        runner = active_trace() or _PLAIN
        if isinstance(runner, Trace) or any(_is_array(x) and getattr(x, "output", None) for x in values):
            return self._function(*args, **kwargs)
        # The memory of a replay serves one at a time; another thread computes its result by itself.
        if not self._lock.acquire(blocking=False):
            results, structure = _flat(self._function(*args, **kwargs))
            return _nested(results, structure)
        try:
            with one_blas_thread:
                results, structure = self._run(runner, values, args, kwargs)
            return _nested(results, structure)
        finally:
            self._lock.release()

    def __get__(self, instance: Any, owner: type) -> Callable[..., Any]:
        """Of a method: the function with its instance as first argument."""
        return self if instance is None else functools.partial(self, instance)

    def _run(self, runner: Runner, values: Sequence[Any], args: Any, kwargs: Any) -> tuple[list[Array], Any]:
        """The arrays of the results, valid until the next call, and their structure with `Tensor` in their places."""
        # Views, as an array that comes twice may be two arrays the next time.
        arrays = [np.asarray(x.data if isinstance(x, Tensor) else x).view() for x in values if _is_array(x)]
        if self._generation != generation():
            self._programs.clear()
            self._generation = generation()
        signature = self._signature(values, args, kwargs)
        known = self._programs.get(signature) if signature is not None else None
        if known is not None and known[2]:
            program, structure, _ = self._programs[signature] = self._programs.pop(signature)
            return program.run(arrays, runner), structure
        return self._record(runner, signature, known, arrays, args, kwargs)

    def _signature(self, values: Sequence[Any], args: Any, kwargs: Any) -> Any:
        """What a recording is good for, None if the arguments cannot be told apart."""
        kinds = tuple([(x.shape, x.dtype) if _is_array(x) else _kind(x) for x in values])
        structure = None if values is args else repr(map_leaves(lambda _: None, (args, kwargs)))
        signature = (kinds, structure, is_recording(), training_mode.get())
        try:
            hash(signature)
        except TypeError:
            return None
        return signature

    def _record(
        self, runner: Runner, signature: Any, known: Any, arrays: list[Array], args: Any, kwargs: Any
    ) -> tuple[list[Array], Any]:
        """Run the function under a trace, and keep the recording if it can be replayed."""
        trace = Trace(arrays, runner)
        tensors = iter([trace.tensor(array) for array in arrays])
        given_args, given_kwargs = map_leaves(
            lambda x: next(tensors) if _is_array(x) else x, (args, kwargs)
        )
        with tracing(trace):
            result = self._function(*given_args, **given_kwargs)
        tensors_of_result = [x for x in leaves(result) if isinstance(x, Tensor)]
        results = [trace.array(x) for x in tensors_of_result]
        structure = map_leaves(lambda x: Tensor if isinstance(x, Tensor) else x, result)
        program = trace.program(tensors_of_result)
        if trace.observed or signature is None or self._generation != generation():
            return results, structure
        agreed = known is not None and program.agrees(known[0]) and _same(structure, known[1])
        self._programs[signature] = program, structure, agreed
        if len(self._programs) > KEPT:
            # The one not used for longest.
            del self._programs[next(iter(self._programs))]
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
    recorded by itself. The results are constants: gradients are taken inside. (Inside of a `GradientTape` the function
    runs as it stands, so that its results can be differentiated.) Only what minidl's operations and variables do is
    repeated by a replay; other effects, such as `print`, happen in the first two calls.
    """
    return Function(f)


_PLAIN = Runner()
_NESTED = (tuple, list, dict)


def _is_array(x: Any) -> bool:
    """Whether an argument is a different array in each call; a variable is the same thing with another value."""
    return not x.assignable if isinstance(x, Tensor) else isinstance(x, (np.ndarray, np.generic))


def _kind(x: Any) -> Any:
    """What tells a plain value from others: for Python 1, 1.0 and True are equal, and 0.0 and -0.0."""
    return type(x), repr(x) if type(x) is float else x


def _flat(result: Any) -> tuple[list[Array], Any]:
    """The arrays of a result, and its structure."""
    arrays = [plain(x) for x in leaves(result) if isinstance(x, Tensor)]
    return arrays, map_leaves(lambda x: Tensor if isinstance(x, Tensor) else x, result)


def _nested(arrays: Sequence[Array], structure: Any) -> Any:
    """Constants, copies of the arrays, nested as the structure says."""
    rest = iter(arrays)
    return map_leaves(lambda x: constant(next(rest).copy()) if x is Tensor else x, structure)


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
