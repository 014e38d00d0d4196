"""`Snapshot`: variables and random generators as they are at one moment, to return to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.layers.layer import Layer
from minidl.layers.variable import Variable

if TYPE_CHECKING:  # numpy.random takes a while to import
    from numpy.random import Generator


class Snapshot:
    """The values of these variables and the states of these generators; `take` looks again, `restore` returns."""

    def __init__(self, variables: Sequence[Variable], generators: Sequence[Generator] = ()) -> None:
        self._variables = list(variables)
        self._values = [v.data.copy() for v in self._variables]
        self._generators = list(generators)
        self._states = [generator.bit_generator.state for generator in self._generators]

    def take(self) -> None:
        """Remember how things are now, in the memory of the last time."""
        for variable, value in zip(self._variables, self._values, strict=True):
            np.copyto(value, variable.data)
        self._states = [generator.bit_generator.state for generator in self._generators]

    def restore(self) -> None:
        """Make everything as it was, bit by bit."""
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)
        for generator, state in zip(self._generators, self._states, strict=True):
            generator.bit_generator.state = state


def generators(layer: Layer) -> list[Generator]:
    """The random generators that a layer and the layers inside it keep as attributes, each once."""
    return list({id(found): found for found in _generators(layer)}.values())


def _generators(layer: Any) -> Iterator[Generator]:
    for value in vars(layer).values():
        # A model without randomness has not imported numpy.random, and need not.
        if type(value).__name__ == "Generator" and isinstance(value, np.random.Generator):
            yield value
    for inside in layer._layers:
        yield from _generators(inside)
