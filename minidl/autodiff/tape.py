"""`GradientTape`: the way TensorFlow spells differentiation."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np

from minidl.autodiff.graph import Output, backpropagate, next_number, recording, taping
from minidl.autodiff.tensor import Tensor, as_gradient, differentiable, seed
from minidl.autodiff.tree import leaves, map_leaves
from minidl.errors import GraphError


class GradientTape:
    """Records the operations inside its `with` block, so that `gradient` can differentiate what was computed there.

    Trainable variables and tensors with `requires_grad=True` are watched by themselves; `watch` adds others. A tape
    answers once, a `persistent` one as often as asked. Derivatives of derivatives are not taken by nesting tapes but by
    `minidl.hvp` and `minidl.hessian`.
    """

    def __init__(self, persistent: bool = False) -> None:
        self._persistent = persistent
        self._first_number = 0
        self._watched: dict[int, tuple[Tensor, Output]] = {}
        self._used = False

    def __enter__(self) -> Self:
        self._first_number = next_number()
        self._used = False
        self._recording = recording(True)
        self._recording.__enter__()
        self._outer = taping.set(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        taping.reset(self._outer)
        self._recording.__exit__(kind, error, trace)
        for tensor, _ in self._watched.values():
            tensor.output = None

    def watch(self, tensors: Any) -> None:
        """Track a tensor, or nested ones, that is a constant otherwise, until the block ends."""
        for tensor in leaves(tensors):
            if not isinstance(tensor, Tensor):
                raise GraphError(f"watch: expected a tensor, got {type(tensor).__name__}: make it a minidl.Tensor")
            if tensor.output is None:
                self._watched[id(tensor)] = (tensor, tensor.track())

    def gradient(self, target: Any, sources: Any, output_gradients: Any = None) -> Any:
        """The gradient of `target` (the sum, if it has several elements) for each source, nested as `sources` is.

        None for a source that the target does not depend on, or that the tape did not watch. `output_gradients` weights
        the elements of the target.
        """
        if self._used and not self._persistent:
            raise GraphError("this tape has answered already: make it with GradientTape(persistent=True) to ask again")
        targets = []
        if output_gradients is None:
            weights: list[Any] = [None] * len(leaves(target))
        else:
            weights = [output_gradients] if isinstance(target, Tensor) else leaves(output_gradients)
        for y, weight in zip(leaves(target), weights, strict=True):
            if not isinstance(y, Tensor):
                raise GraphError(f"gradient: expected the target to be a tensor, got {type(y).__name__}")
            output = differentiable(y, "gradient")
            if output is not None:
                start = np.ones(y.shape, y.dtype) if weight is None else weight
                targets.append((output, seed(y, start, "gradient")))
        found = [self._output_of(source) for source in leaves(sources)]
        gradients = backpropagate(targets, [output for output in found if output is not None], self._first_number)
        self._used = True

        def gradient_of(source: Tensor) -> Tensor | None:
            output = self._output_of(source)
            return as_gradient(gradients[output], found) if output in gradients else None

        return map_leaves(gradient_of, sources)

    def _output_of(self, source: Any) -> Output | None:
        if not isinstance(source, Tensor):
            raise GraphError(f"gradient: expected the sources to be tensors, got {type(source).__name__}")
        return self._watched[id(source)][1] if id(source) in self._watched else source.output
