"""Heap and Arena: where results live."""

import numpy as np

from minidl.memory import Arena, Heap


def test_a_heap_gives_new_arrays():
    heap = Heap()
    a, b = heap.empty((2, 3), np.float32), heap.empty((2, 3), np.float32)
    assert a.shape == (2, 3)
    assert a.dtype == np.float32
    assert not np.shares_memory(a, b)


def test_an_arena_gives_the_same_buffers_after_each_rewind():
    arena = Arena()
    first = [arena.empty((2,), "float32"), arena.like(np.zeros((3, 1)))]
    arena.rewind()
    second = [arena.empty((2,), "float32"), arena.like(np.zeros((3, 1)))]
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert not np.shares_memory(*first)
    assert arena.nbytes == 2 * 4 + 3 * 8


def test_another_shape_or_dtype_gets_another_buffer_in_its_place():
    arena = Arena()
    old = arena.empty((2,), "float32")
    for shape, dtype in (((3,), "float32"), ((3,), "float64")):
        arena.rewind()
        new = arena.empty(shape, dtype)
        assert (new.shape, new.dtype) == (shape, dtype)
        assert new is not old
        old = new
    assert arena.nbytes == 24


def test_size_zero_and_no_axes():
    for memory in (Heap(), Arena()):
        assert memory.empty((0, 3), "float64").shape == (0, 3)
        assert memory.empty((), "float64").shape == ()
