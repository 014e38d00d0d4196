"""What a recorded step is made of, and how it runs once more: a list of instructions, on memory set aside for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minidl.autodiff.graph import HEAP, backward, tracing
from minidl.autodiff.tensor import Tensor, constant, plain
from minidl.autodiff.tree import map_leaves
from minidl.kernels import Kernel
from minidl.memory import Arena, Array, Memory, Request, allocate


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


@dataclasses.dataclass(eq=False)
class Program:
    """A recorded step: instructions, the cells its arguments go to, and the sources its results come from.

    `requests` is the memory it needs, `constants` are the arrays from outside that it has read, as they were.
    """

    instructions: list[Instruction]
    inputs: list[Cell]
    results: list[Source]
    requests: list[Request]
    constants: list[Array]

    def make_ready(self) -> None:
        """Set aside the memory."""
        self.constants = []
        buffers: dict[int, list[Array]] = {}
        for request, buffer in zip(self.requests, allocate(self.requests), strict=True):
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
            and all(same(a, b) for a, b in zip(self.instructions, other.instructions, strict=True))
            and same(self.results, other.results)
            and same(self.constants, other.constants)
        )


def same(a: Any, b: Any) -> bool:
    """Whether two parts of recordings mean the same."""
    if a is b:
        return True
    if isinstance(a, Cell) and isinstance(b, Cell):
        return a.number == b.number and (a.number >= 0 or same(a.data, b.data))
    if type(a) is Tensor and type(b) is Tensor:
        return same(a.data, b.data)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (Tensor, Arena)):
        return isinstance(a, Arena)
    if dataclasses.is_dataclass(a):
        return all(same(x, y) for x, y in zip(_fields(a), _fields(b), strict=True))
    return bool(a == b)


def _fields(instance: Any) -> Iterator[Any]:
    return (getattr(instance, field.name) for field in dataclasses.fields(instance))
