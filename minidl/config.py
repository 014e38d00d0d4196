"""The few documented defaults that the whole library reads: float type, epsilon, number of threads."""

from __future__ import annotations

import math
import os

from minidl.errors import ArgumentError

_FLOAT_TYPES = ("float32", "float64")
_floatx = "float32"
_epsilon = 1e-7
_exact_convolution = False
_num_threads: int | None = None


def floatx() -> str:
    """The name of the float type that new tensors and variables get: "float32" unless changed."""
    return _floatx


def set_floatx(dtype: str) -> None:
    """Make `dtype`, "float32" or "float64", the default float type."""
    global _floatx
    if dtype not in _FLOAT_TYPES:
        raise ArgumentError(f"set_floatx: expected one of {_FLOAT_TYPES}, got {dtype!r}")
    _floatx = dtype


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite: 1e-7 unless changed."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Make `value` the default epsilon."""
    global _epsilon
    if not (math.isfinite(value) and value > 0):
        raise ArgumentError(f"set_epsilon: expected a small positive number, got {value!r}")
    _epsilon = float(value)


def exact_convolution() -> bool:
    """Whether convolutions are summed in the order of their definition: False unless changed."""
    return _exact_convolution


def set_exact_convolution(exact: bool) -> None:
    """Let all convolutions be summed in the order of their definition; with False, large 3×3 ones by Winograd's method.

    The largest error of the latter in float32 is 3e-6 of the largest result, that of the former 1e-6.
    """
    global _exact_convolution
    if not isinstance(exact, bool):
        raise ArgumentError(f"set_exact_convolution: expected True or False, got {exact!r}")
    _exact_convolution = exact


def num_threads() -> int:
    """How many threads large kernels are divided among: as many as the process has cores unless changed."""
    if _num_threads is not None:
        return _num_threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_num_threads(threads: int) -> None:
    """Divide large kernels among so many threads.

    The matrix products of BLAS have threads of their own, which follow if the package threadpoolctl is there
    (`pip install "minidl[fast]"`), and are otherwise set by the environment, such as OPENBLAS_NUM_THREADS, before NumPy
    is imported. Sums may be rounded differently with another number of threads.
    """
    global _num_threads
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ArgumentError(f"set_num_threads: expected an integer ≥ 1, got {threads!r}")
    _num_threads = threads
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    threadpool_limits(threads, user_api="blas")
