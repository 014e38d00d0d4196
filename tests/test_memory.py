"""Heap and Arena: where results live; and which of them can share memory."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minidl.memory import ALIGNMENT, Arena, Heap, Request, allocate


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


def test_an_arena_may_be_given_its_buffers():
    buffers = [np.empty(2), np.empty((3, 1), "float32")]
    arena = Arena(buffers)
    for _ in range(2):
        arena.rewind()
        assert arena.empty((2,), "float64") is buffers[0]
        assert arena.like(np.zeros((3, 1), "float32")) is buffers[1]
        assert arena.empty((4,), "int8").nbytes == 4


@st.composite
def requests(draw):
    """Requests in the order of their birth, of many sizes; for some it is settled where they must be."""
    found, now = [], 0
    for _ in range(draw(st.integers(0, 25))):
        now += draw(st.integers(0, 2))
        shape = tuple(draw(st.lists(st.integers(0, 40), max_size=2)))
        dtype = np.dtype(draw(st.sampled_from(["float32", "float64", "complex128", "int64", "int8", "bool"])))
        place = np.empty(int(np.prod(shape, dtype=int)), dtype) if draw(st.integers(0, 5)) == 0 else None
        found.append(Request(shape, dtype, now, now + draw(st.integers(0, 6)), place))
    return found


def bytes_of(array):
    """Where an array begins and ends."""
    start = array.__array_interface__["data"][0]
    return start, start + array.nbytes


class TestAllocate:
    @given(requests())
    def test_arrays_that_live_at_the_same_time_share_no_memory(self, asked):
        arrays = allocate(asked)
        for k, (a, x) in enumerate(zip(asked, arrays, strict=True)):
            for b, y in zip(asked[:k], arrays, strict=False):
                if a.born <= b.died and b.born <= a.died:
                    assert not np.shares_memory(x, y)

    @given(requests())
    def test_arrays_are_what_was_asked_for(self, asked):
        for request, array in zip(asked, allocate(asked), strict=True):
            assert (array.shape, array.dtype) == (request.shape, request.dtype)
            assert array.flags.c_contiguous
            assert array.flags.writeable
            if request.place is None:
                assert array.size == 0 or bytes_of(array)[0] % ALIGNMENT == 0
            else:
                assert array.size == 0 or np.shares_memory(array, request.place)

    @given(requests())
    def test_there_is_no_more_memory_than_all_requests_together(self, asked):
        arrays = [array for request, array in zip(asked, allocate(asked), strict=True) if request.place is None]
        # Bytes that belong to any of the arrays, each counted once.
        total, reached = 0, 0
        for start, end in sorted(map(bytes_of, arrays)):
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        assert total <= sum(request.nbytes for request in asked if request.place is None)

    @given(requests())
    def test_a_computation_on_them_comes_out_right(self, asked):
        """Each array is written when it is born, and found as it was when it is used for the last time."""
        arrays = allocate(asked)
        for array in arrays:
            array[...] = 0
        for now in range(max((request.died for request in asked), default=0) + 1):
            for k, (request, array) in enumerate(zip(asked, arrays, strict=True)):
                if request.born == now:
                    array[...] = (k + 1) % 2 if array.dtype == bool else k + 1
            for k, (request, array) in enumerate(zip(asked, arrays, strict=True)):
                if request.died == now:
                    assert (array == ((k + 1) % 2 if array.dtype == bool else k + 1)).all()

    def test_memory_is_used_again(self):
        """A chain, in which each array is read once, by the next step: two blocks take turns."""
        chain = [Request((100,), np.dtype("float32"), k, k + 1) for k in range(10)]
        assert len({bytes_of(array) for array in allocate(chain)}) == 2

    def test_of_the_free_blocks_the_smallest_that_fits_is_taken(self):
        kind = np.dtype("int8")
        large, small, asked = Request((90,), kind, 0, 1), Request((50,), kind, 0, 1), Request((40,), kind, 2, 2)
        a, b, c = allocate([large, small, asked])
        assert np.shares_memory(b, c)
        assert not np.shares_memory(a, c)

    def test_a_block_that_is_too_small_grows(self):
        small, large = (Request((n,), np.dtype("int8"), born, born) for n, born in ((10, 0), (90, 1)))
        assert np.shares_memory(*allocate([small, large]))

    def test_of_nothing_is_nothing(self):
        assert allocate([]) == []
