"""Variables laid one after the other in one long array, and with them their gradients and slots.

An optimizer's rule goes element by element and does not care where one variable ends and the next begins. So it runs
over the long arrays, a piece that fits into the cache at a time, instead of once for every variable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minidl.layers.variable import Variable
from minidl.memory import Array


class Block:
    """Variables of one dtype whose values, gradients and slots are pieces of long arrays."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        ends = np.cumsum([0, *(v.size for v in variables)]).tolist()
        dtype, size = variables[0].dtype, ends[-1]
        self.places = {v: slice(a, b) for v, a, b in zip(variables, ends, ends[1:], strict=False)}
        self.values = np.empty(size, dtype)
        self.gradients = np.zeros(size, dtype)
        self.slots: dict[str, Array] = {}
        self._own: dict[Variable, Array] = {v: self.view(self.values, v) for v in variables}
        self.gradient_of = {v: self.view(self.gradients, v) for v in variables}
        for variable in variables:
            self.house(variable)

    def add_slot(self, name: str, start: float) -> None:
        """Remember something more about every element, `start` at first."""
        self.slots[name] = np.full(self.values.shape, start, self.values.dtype)

    def view(self, flat: Array, variable: Variable) -> Array:
        """The piece of a long array that belongs to a variable, in its shape."""
        return flat[self.places[variable]].reshape(variable.shape)

    def house(self, variable: Variable) -> None:
        """Let the variable's value live here, if something else has moved it."""
        own = self._own[variable]
        if variable.data is not own:
            np.copyto(own, variable.data)
            variable.data = own


@dataclass
class Run:
    """Neighbouring elements of a block that are treated alike."""

    block: Block
    start: int
    stop: int
    decays: bool


def runs(homes: Sequence[tuple[Block, Variable]], decays: Callable[[Variable], bool]) -> list[Run]:
    """As few runs as cover these variables."""
    found: list[Run] = []
    for block, variable in homes:
        place, decaying = block.places[variable], decays(variable)
        last = found[-1] if found else None
        if last is not None and last.block is block and last.stop == place.start and last.decays == decaying:
            last.stop = place.stop
        else:
            found.append(Run(block, place.start, place.stop, decaying))
    return found
