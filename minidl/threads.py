"""Work on several cores: NumPy lets other threads run while it computes.

Who divides it? In networks of matrices BLAS, whose threads take up a product at once, since they wait for it in a busy
loop. In that loop they would take the cores from the threads of this file, which divide everything else that is large,
such as convolutions. So it is one or the other: a step of a model chooses (`products_divided`), and where nobody
has chosen BLAS has one thread. That needs the package threadpoolctl (`pip install "minidl[fast]"`); without it
everything is left to BLAS.
"""

from __future__ import annotations

import functools
import os
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ContextDecorator
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar, cast

import numpy as np

from minidl import config
from minidl.memory import Array
from minidl.scopes import during

F = TypeVar("F", bound=Callable[..., Any])

# How many elements of an array are worked on at a time: in float32 half a megabyte, so that a few arrays stay in the
# cache, and yet each call of NumPy runs for long compared with what Python does between two, where threads wait.
PIECE = 131_072
# From how many elements, and from how many multiplications of matrices, other threads are worth their while.
LARGE = 524_288
LARGE_PRODUCT = 1_000_000

# Among how many threads BLAS divides a large product; if it is more than one, nothing else is divided.
_threads_of_blas: ContextVar[int] = ContextVar("threads_of_blas", default=1)


def products_divided(divided: bool = True) -> AbstractContextManager[None]:
    """In this block BLAS divides large products, and nothing else is divided; or, with False, the other way round.

    Among how many threads is what `config.num_threads` says when the block begins.
    """
    return during(_threads_of_blas, _available() if divided else 1)


def workers(count: int) -> int:
    """Among how many threads `in_parallel` divides so many parts."""
    return 1 if _threads_of_blas.get() > 1 else max(1, min(_available(), count))


def _available() -> int:
    return 1 if getattr(_here, "is_worker", False) or not _blas_libraries() else config.num_threads()


def division(rows: int, columns: int = 1) -> tuple[int, int]:
    """How many rows of so many numbers should be worked on at a time, and by how many threads, element by element."""
    grain = max(1, PIECE // max(1, columns))
    return grain, workers(-(-rows // grain)) if rows * columns >= LARGE else 1


def in_parallel(
    work: Callable[[int, slice], Any], count: int, grain: int = 1, threads: int | None = None
) -> None:
    """Call `work(worker, part)` for slices of `range(count)` of length `grain` (the last may be shorter).

    Each of the threads, as many as `workers` says unless given, and numbered as `worker`, takes its share of the slices
    in their order. Which slices a worker gets depends on the number of threads alone, so that sums that it makes are
    the same in every run.
    """
    if count <= grain:
        if count:
            work(0, slice(0, count))
        return
    pieces = -(-count // grain)
    if threads is None:
        threads = workers(pieces)

    def share(worker: int) -> None:
        for piece in range(pieces * worker // threads, pieces * (worker + 1) // threads):
            work(worker, slice(piece * grain, min((piece + 1) * grain, count)))

    if threads == 1:
        share(0)
        return
    results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    with one_blas_thread:
        for worker in range(1, threads):
            _helper(worker, os.getpid()).put((functools.partial(share, worker), results))
        try:
            share(0)
        finally:
            errors = [results.get() for _ in range(1, threads)]
    for error in errors:
        if error is not None:
            raise error


def in_pieces(work: Callable[..., Any], *arrays: Array) -> None:
    """Call `work` with the arrays, all of one shape; with large ones piece by piece, so that each stays in the cache.

    For work that is done element by element: what it does must not depend on how the arrays are cut.
    """
    size = arrays[0].size
    if size < LARGE or not all(a.flags.c_contiguous for a in arrays):
        work(*arrays)
        return
    flat = [a.reshape(size) for a in arrays]
    in_parallel(lambda worker, part: work(*(a[part] for a in flat)), size, *division(size))


def matmul(a: Array, b: Array, out: Array) -> Array:
    """The product of two matrices, of stacks of them, or of vectors.

    BLAS adds up in another order with several threads. So it has one wherever this is called from, but for two large
    matrices in a block of `products_divided`.
    """
    if not one_blas_thread.visitors:
        with one_blas_thread:
            return matmul(a, b, out)
    large = a.ndim == b.ndim == 2 and a.size * b.shape[1] >= LARGE_PRODUCT
    threads = _threads_of_blas.get() if large else 1
    if threads == 1:
        return np.matmul(a, b, out=out)
    try:
        _divide_products(threads)
        return np.matmul(a, b, out=out)
    finally:
        _divide_products(1)


def _divide_products(threads: int) -> None:
    for library in _blas_libraries():
        library.set_num_threads(threads)


class OneBlasThread(ContextDecorator):
    """While somebody is inside the block, or the decorated function, BLAS has one thread; then those it had before."""

    def __init__(self) -> None:
        self.visitors = 0
        self._lock = threading.Lock()
        self._usual: dict[Any, int] = {}

    def __enter__(self) -> None:
        with self._lock:
            self.visitors += 1
            if self.visitors == 1:
                for library in _blas_libraries():
                    # threadpoolctl listens to one thread only: if the last visitor was in another, one is not usual.
                    threads = library.get_num_threads()
                    if threads != 1:
                        self._usual[library] = threads
                        library.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self.visitors -= 1
            if self.visitors == 0:
                for library, threads in self._usual.items():
                    library.set_num_threads(min(threads, config.num_threads()))


one_blas_thread = OneBlasThread()


def in_own_context(function: F) -> F:
    """The function in a copy of the context: whatever it sets for the time of a block is gone when it is left.

    Ctrl-C may come between the lines that begin a block and those that would end it, such as that of a recording.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return copy_context().run(function, *args, **kwargs)

    return cast(F, run)


_here = threading.local()


@functools.lru_cache
def _helper(number: int, process: int) -> queue.SimpleQueue[Any]:
    """The tasks of a thread that waits for some: pairs of a function and the queue to which its error, or None, goes.

    A copy of the process (`os.fork`) has no threads but its first, and so gets its own.
    """
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def serve() -> None:
        _here.is_worker = True
        _settle(number)
        while True:
            task, results = tasks.get()
            try:
                task()
            except BaseException as error:
                results.put(error)
            else:
                results.put(None)
            del task, results

    threading.Thread(target=serve, name=f"minidl-{number}", daemon=True).start()
    return tasks


def _settle(number: int) -> None:
    """Keep this thread on one core, as far as the system can be told.

    Linux tends to wake a thread on the core of the one that wakes it, where the two then wait for each other.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


@functools.lru_cache
def _blas_libraries() -> list[Any]:
    """What sets the number of threads of each BLAS in this process; nothing without threadpoolctl."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
