"""A step that is recorded once and then replayed: the same kernels in the same order, and nothing else.

Running a step of training layer by layer takes Python more time than small matrices take NumPy. `function` lets a
`Trace` note every kernel that runs, forward and backward, and everything done by `perform`. Later calls replay that
list on arrays that were set aside for it: no layer code, no graph, no allocation. A replayed step gives bitwise what
the step itself would have given. (`recording` tells how a step is written down, `replaying` what is written and how it
runs again.)

When is that allowed? A step is replayed for arguments of the same shapes and dtypes, once two recordings of it agree,
and only if

- nothing looked at the numbers in a tensor on the way: what Python decides by them, a trace cannot know;
- no layer or loss has changed since: its `trainable`, or any other attribute.

What fails one of these runs as it always did. One thing remains that nobody can see: a plain Python value from outside,
such as a global variable, an entry of a list, or a coin that a generator of one's own has thrown, that is the same in
the first two calls and another one later. Keep such values in a `Variable` or hand them over as arguments.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.autodiff.graph import active_trace, generation, is_recording, taping, tracing, training_mode
from minidl.autodiff.recording import Trace
from minidl.autodiff.replaying import Program, Runner, same
from minidl.autodiff.tensor import Tensor, constant, plain
from minidl.autodiff.tree import leaves, map_leaves
from minidl.memory import Array
from minidl.threads import one_blas_thread

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
        agreed = known is not None and program.agrees(known[0]) and same(structure, known[1])
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
