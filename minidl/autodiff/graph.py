"""The graph of recorded operations, and the walk backwards through it: reverse-mode differentiation.

Every operation on a tracked tensor leaves a `Node` that remembers its kernel, what the kernel saved, and the nodes its
inputs came from. Nodes are numbered as they are made, so an input always has a smaller number than its result: visiting
nodes in falling order of number is a topological order, without recursion and with each node visited once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.errors import GraphError, NotDifferentiableError
from minidl.kernels import Add, Kernel
from minidl.memory import Array, Heap, Memory
from minidl.scopes import during

if TYPE_CHECKING:
    from minidl.autodiff.recording import Trace
    from minidl.autodiff.replaying import Runner
    from minidl.autodiff.tensor import Tensor

HEAP = Heap()
_numbers = itertools.count()
_recording: ContextVar[bool] = ContextVar("recording", default=True)
_trace: ContextVar[Trace | Runner | None] = ContextVar("trace", default=None)
# The names of the layer that runs and of those around it, each with a slash behind it; empty outside of layers.
layer_path: ContextVar[str] = ContextVar("layer_path", default="")
# Whether layers behave as they do while learning, where nobody says so.
training_mode: ContextVar[bool] = ContextVar("training_mode", default=False)
# Whether a `GradientTape` is open, so that what runs now may be differentiated from outside.
taping: ContextVar[bool] = ContextVar("taping", default=False)
_generation = 0


class Node:
    """One recorded operation, or, with `kernel` None, a leaf: a tensor that gradients are asked for."""

    __slots__ = ("kernel", "number", "parents", "path", "results", "saved", "versions")

    def __init__(
        self,
        kernel: Kernel | None = None,
        saved: Any = None,
        parents: tuple[Output | None, ...] = (),
        results: tuple[Array, ...] | None = None,
        versions: tuple[tuple[Tensor, int], ...] = (),
    ) -> None:
        self.number = next(_numbers)
        self.kernel = kernel
        self.saved = saved
        self.parents = parents
        # Kept for kernels with several results only: those that nobody used get a gradient of zeros.
        self.results = results
        self.versions = versions
        self.path = layer_path.get()


# A node and which of its results is meant.
Output = tuple[Node, int]


def next_number() -> int:
    """A number larger than that of every node so far."""
    return next(_numbers)


def is_recording() -> bool:
    """Whether operations on tracked tensors are recorded."""
    return _recording.get()


def recording(enabled: bool) -> AbstractContextManager[None]:
    """Switch recording on or off inside a block."""
    return during(_recording, enabled)


def no_grad() -> AbstractContextManager[None]:
    """Inside `with no_grad():` nothing is recorded: results are constants and memory is freed at once."""
    return recording(False)


def generation() -> int:
    """How often something has changed that a traced step took for granted: `trainable`, an attribute of a layer."""
    return _generation


def new_generation() -> None:
    """Say that traced steps may be out of date."""
    global _generation
    _generation += 1


def active_trace() -> Trace | Runner | None:
    """Who is handed every kernel to run it; None where nobody asked for that. See `minidl.autodiff.replaying`."""
    return _trace.get()


def tracing(trace: Trace | Runner | None) -> AbstractContextManager[None]:
    """Let `trace` run every kernel inside a block; None for nobody."""
    return during(_trace, trace)


class AddGradients(Add):
    """y = a + b, where two gradients of one tensor meet: `Add` by a name that says what it is for."""


class SecondDerivative(Kernel):
    """Stands where a gradient came from, so that differentiating it again is an error and not a silent zero."""

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Always an error, which names what to use."""
        raise NotDifferentiableError(
            "a gradient is not differentiable a second time by recording it: use minidl.hvp, minidl.hessian, or "
            "minidl.jvp of minidl.grad(f)"
        )


def _ancestors(outputs: Iterable[Output], first_number: int) -> list[Node]:
    """All nodes that the outputs depend on, the latest first; those older than `first_number` end the search."""
    found = {node for node, _ in outputs}
    pending = list(found)
    while pending:
        node = pending.pop()
        if node.number >= first_number:
            parents = {parent[0] for parent in node.parents if parent is not None} - found
            found |= parents
            pending.extend(parents)
    return sorted(found, key=lambda node: node.number, reverse=True)


def _check_versions(node: Node) -> None:
    for tensor, version in node.versions:
        if tensor.version != version:
            raise GraphError(
                f"{tensor!r} was assigned a new value after {type(node.kernel).__name__} had used it: compute the "
                "gradient before the assignment, or run the forward pass again"
            )


def backpropagate(
    targets: Sequence[tuple[Output, Array]], sources: Sequence[Output] | None = None, first_number: int = 0
) -> dict[Output, Array]:
    """Carry the gradient of each target back to the sources, or to all leaves.

    Gives Σ over targets of (∂target/∂source)ᵀ·gradient for each source that a target depends on. Only operations on a
    way from a source to a target are differentiated, and none older than `first_number`.
    """
    nodes = _ancestors([output for output, _ in targets], first_number)
    wanted = set(sources if sources is not None else ((node, 0) for node in nodes if node.kernel is None))
    useful = {node for node, _ in wanted}
    steps = []
    for node in reversed(nodes):
        if node.number >= first_number and any(parent is not None and parent[0] in useful for parent in node.parents):
            useful.add(node)
            steps.append(node)

    gradients: dict[Output, Array] = {}
    trace = active_trace()

    def add(output: Output, gradient: Array) -> None:
        if output in gradients:
            both = gradients[output], gradient
            kernel = AddGradients()
            gradient = kernel.forward(HEAP, *both)[0] if trace is None else trace.forward(kernel, both)[0]
        gradients[output] = gradient

    for output, gradient in targets:
        if output[0] in useful:
            add(output, gradient)
    for node in reversed(steps):
        dy = _gradient_of_results(node, gradients)
        if dy is None:
            continue
        _check_versions(node)
        assert node.kernel is not None
        asked = tuple([parent is not None and parent[0] in useful for parent in node.parents])
        if trace is None:
            dxs = backward(node.kernel, HEAP, dy, node.saved, asked)
        else:
            dxs = trace.backward(node.kernel, dy, node.saved, asked, node.path)
        for parent, dx in zip(node.parents, dxs, strict=True):
            if parent is not None and dx is not None and parent[0] in useful:
                add(parent, dx)
        for slot in range(len(node.results or (None,))):
            if (node, slot) not in wanted:
                gradients.pop((node, slot), None)
    return {output: gradient for output, gradient in gradients.items() if output in wanted}


def backward(kernel: Kernel, memory: Memory, dy: Any, saved: Any, wanted: tuple[bool, ...]) -> Any:
    """The gradients of a kernel's inputs; those not `wanted` may be missing."""
    if kernel.selective:
        return kernel.backward(memory, dy, saved, wanted)
    return kernel.backward(memory, dy, saved)


def _gradient_of_results(node: Node, gradients: dict[Output, Array]) -> Any:
    """What the kernel's backward takes: one array, or a tuple with zeros for results nobody used; None if none was."""
    if node.results is None:
        return gradients.get((node, 0))
    if not any((node, slot) in gradients for slot in range(len(node.results))):
        return None
    return tuple(gradients.get((node, slot), np.zeros_like(y)) for slot, y in enumerate(node.results))
