"""Work on several cores: NumPy lets other threads run while it computes.

The products of BLAS have threads of their own. Where a kernel divides its work by itself, those would fight with these,
so BLAS is kept to one thread meanwhile. That needs the package threadpoolctl (`pip install "minidl[fast]"`); without it
such kernels leave the threads to BLAS.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from minidl import config
from minidl.memory import Array

# How many elements of an array are worked on at a time (in float32 that is 128 KB), and the least number of such pieces
# for which a thread is worth its while.
PIECE = 32_768
FEW = 8


def workers(count: int, grain: int = 1, least: int = 1) -> int:
    """Among how many threads `in_parallel` divides the work."""
    threads = config.num_threads() if _blas_libraries() else 1
    return max(1, min(threads, -(-count // (grain * least))))


def in_parallel(work: Callable[[int, slice], None], count: int, grain: int = 1, least: int = 1) -> None:
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
    with _single_threaded_blas():
        others = [_pool(threads - 1).submit(share, worker) for worker in range(1, threads)]
        try:
            share(0)
        finally:
            errors = [future.exception() for future in others]
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


@functools.lru_cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, "minidl")


@functools.lru_cache
def _blas_libraries() -> list[Any]:
    """What sets the number of threads of each BLAS in this process; nothing without threadpoolctl."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


@contextmanager
def _single_threaded_blas() -> Iterator[None]:
    before = [(library, library.get_num_threads()) for library in _blas_libraries()]
    try:
        for library, _ in before:
            library.set_num_threads(1)
        yield
    finally:
        for library, threads in before:
            library.set_num_threads(threads)
