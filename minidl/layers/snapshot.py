"""`Snapshot`: variables and random generators as they are at one moment, to return to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.layers.layer import Layer, layers_of
from minidl.layers.variable import Variable

if TYPE_CHECKING:  # numpy.random takes a while to import
    from numpy.random import Generator


class Snapshot:
    """The values of a layer's variables, or of those that are named, and the states of its random generators.

    `take` looks again, `restore` returns. After a block `with Snapshot(model):` everything is as it was before.
    """

    def __init__(self, layer: Layer, variables: Sequence[Variable] | None = None) -> None:
        self._variables = list(layer.variables if variables is None else variables)
        self._values = [v.data.copy() for v in self._variables]
        self._generators = generators(layer)
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

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.restore()


def generators(layer: Layer) -> list[Generator]:
    """The random generators that a layer and the layers inside it keep as attributes, each once."""
    values = (value for part in layers_of(layer) for value in vars(part).values())
    # A model without randomness has not imported numpy.random, and need not.
    found = (x for x in values if type(x).__name__ == "Generator" and isinstance(x, np.random.Generator))
    return list({id(x): x for x in found}.values())
