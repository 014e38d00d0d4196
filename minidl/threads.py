"""Work on several cores: NumPy lets other threads run while it computes.

The products of BLAS have threads of their own. They wait for each other in busy loops, which is fast on an idle machine
and ten times slower than a single thread as soon as another program wants a core; and they would fight with those of
this file. So minidl divides large work by itself, products too, and keeps BLAS to one thread meanwhile. That needs the
package threadpoolctl (`pip install "minidl[fast]"`); without it everything is left to BLAS.
"""

from __future__ import annotations

import functools
import os
import queue
import threading
from collections.abc import Callable
from contextlib import ContextDecorator, nullcontext
from typing import Any

import numpy as np

from minidl import config
from minidl.memory import Array

# How many elements of an array are worked on at a time (in float32 that is 128 KB), and the least number of such pieces
# for which a thread is worth its while.
PIECE = 32_768
FEW = 8
# From how many multiplications on a product of matrices is divided.
LARGE_PRODUCT = 64_000_000


def workers(count: int, grain: int = 1, least: int = 1) -> int:
    """Among how many threads `in_parallel` divides the work."""
    threads = 1 if getattr(_here, "is_worker", False) or not _blas_libraries() else config.num_threads()
    return max(1, min(threads, -(-count // grain) // least))


def in_parallel(work: Callable[[int, slice], Any], count: int, grain: int = 1, least: int = 1) -> None:
    """Call `work(worker, part)` for slices of `range(count)` of length `grain` (the last may be shorter).

    Each of the threads, numbered as `worker`, takes its share of the slices in their order; one that would get fewer
    than `least` is left out. Which slices a worker gets depends on the number of threads alone, so that sums that it
    makes are the same in every run.
    """
    if count <= grain:
        if count:
            work(0, slice(0, count))
        return
    pieces, threads = -(-count // grain), workers(count, grain, least)

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
    if size < PIECE * FEW or not all(a.flags.c_contiguous for a in arrays):
        work(*arrays)
        return
    flat = [a.reshape(size) for a in arrays]
    in_parallel(lambda worker, part: work(*(a[part] for a in flat)), size, PIECE, FEW)


def matmul(a: Array, b: Array, out: Array) -> Array:
    """The product of two matrices, of stacks of them, or of vectors.

    BLAS has one thread for it, wherever it is called from: with several it would add up in another order. Of two large
    matrices each of minidl's threads makes some rows or columns of the product.
    """
    with nullcontext() if one_blas_thread.visitors else one_blas_thread:
        if a.ndim != 2 or b.ndim != 2 or a.size * b.shape[1] < LARGE_PRODUCT:
            return np.matmul(a, b, out=out)
        rows, columns = len(a), b.shape[-1]
        if rows >= columns:
            grain = -(-rows // workers(rows))
            in_parallel(lambda worker, part: np.matmul(a[part], b, out=out[part]), rows, grain)
        else:
            grain = -(-columns // workers(columns))
            in_parallel(lambda worker, part: np.matmul(a, b[:, part], out=out[:, part]), columns, grain)
        return out


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
