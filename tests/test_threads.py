"""Work divided among threads: every piece is done once, and the result does not depend on how many do it."""

import os
import threading
import warnings

import numpy as np
import pytest

from minidl import config, kernels, threads
from minidl.memory import Heap


@pytest.fixture(params=[1, 2, 3])
def number_of_threads(request, monkeypatch):
    monkeypatch.setattr(config, "num_threads", lambda: request.param)
    return request.param


class TestInParallel:
    @pytest.mark.parametrize(("count", "grain"), [(0, 1), (1, 1), (7, 1), (7, 3), (6, 3), (2, 5)])
    def test_every_piece_is_done_once(self, number_of_threads, count, grain):
        done = []
        threads.in_parallel(lambda worker, part: done.append((worker, part.start, part.stop)), count, grain)
        assert sorted(start for _, start, _ in done) == list(range(0, count, grain))
        assert all(stop == min(start + grain, count) for _, start, stop in done)
        assert {worker for worker, _, _ in done} <= set(range(threads.workers(max(1, count))))

    def test_the_same_worker_gets_the_same_pieces_each_time(self, number_of_threads):
        def shares():
            done = [[] for _ in range(number_of_threads)]
            threads.in_parallel(lambda worker, part: done[worker].append(part.start), 20, 3)
            return done

        assert shares() == shares() == [sorted(share) for share in shares()]

    def test_work_is_divided_among_as_many_as_the_caller_says(self, number_of_threads):
        done = set()
        threads.in_parallel(lambda worker, part: done.add(worker), 20, 3, 1)
        assert done == {0}

    def test_a_single_piece_stays_here(self, number_of_threads):
        done = []
        threads.in_parallel(lambda worker, part: done.append((worker, part, threading.get_ident())), 5, 5, 2)
        assert done == [(0, slice(0, 5), threading.get_ident())]

    def test_an_error_in_any_thread_comes_back(self, number_of_threads):
        def fail_at_the_end(worker, part):
            if part.start == 9:
                raise ValueError("here")

        with pytest.raises(ValueError, match="here"):
            threads.in_parallel(fail_at_the_end, 10)

    def test_threads_work_at_the_same_time(self, monkeypatch):
        monkeypatch.setattr(config, "num_threads", lambda: 2)
        if threads.workers(2) == 1:
            pytest.skip("threads are left to BLAS without threadpoolctl")
        meeting = threading.Barrier(2, timeout=10)
        threads.in_parallel(lambda worker, part: meeting.wait(), 2)


def test_blas_has_its_threads_back_afterwards(number_of_threads):
    before = [library.get_num_threads() for library in threads._blas_libraries()]
    threads.in_parallel(lambda worker, part: None, 4)
    assert [library.get_num_threads() for library in threads._blas_libraries()] == before


class TestInPieces:
    @pytest.mark.parametrize("shape", [(3,), (0, 2), (700, 1000)])
    def test_gives_what_the_whole_gives(self, number_of_threads, shape):
        x = np.random.default_rng(0).standard_normal(shape)
        y = np.empty_like(x)
        threads.in_pieces(lambda x, y: np.exp(x, out=y), x, y)
        np.testing.assert_array_equal(y, np.exp(x))

    def test_arrays_that_are_not_contiguous_stay_whole(self, number_of_threads):
        x = np.random.default_rng(0).standard_normal((700, 1000)).T
        sizes = []
        threads.in_pieces(lambda x: sizes.append(x.size), x)
        assert sizes == [x.size]

    def test_large_arrays_are_cut(self, number_of_threads):
        sizes = []
        threads.in_pieces(lambda x: sizes.append(x.size), np.zeros(1_000_000))
        assert max(sizes) == threads.division(1_000_000)[0] < 1_000_000
        assert sum(sizes) == 1_000_000


class TestDivision:
    def test_what_is_small_stays_in_one_thread_and_in_the_cache(self, number_of_threads):
        assert threads.division(threads.LARGE - 1) == (threads.PIECE, 1)
        assert threads.division(1000, 100) == (threads.PIECE // 100, 1)

    def test_what_is_large_is_shared(self, monkeypatch):
        monkeypatch.setattr(config, "num_threads", lambda: 2)
        if threads.workers(2) == 1:
            pytest.skip("threads are left to BLAS without threadpoolctl")
        assert threads.division(threads.LARGE) == (threads.PIECE, 2)
        assert threads.division(1024, 1024) == (threads.PIECE // 1024, 2)

    def test_a_row_is_never_cut(self):
        assert threads.division(3, 10**9)[0] == 1

    def test_where_blas_divides_nothing_else_does(self, monkeypatch):
        monkeypatch.setattr(config, "num_threads", lambda: 2)
        with threads.products_divided():
            assert threads.workers(8) == 1
            assert threads.division(10 * threads.LARGE) == (threads.PIECE, 1)


IMAGES = np.random.default_rng(1).standard_normal((16, 40, 40, 24), np.float32)
CHANNELS = np.random.default_rng(2).standard_normal(24).astype(np.float32)
FILTERS = np.random.default_rng(3).standard_normal((3, 3, 24, 24), np.float32)


@pytest.mark.parametrize(
    ("kernel", "inputs"),
    [
        (kernels.Relu(), (IMAGES,)),
        (kernels.BatchNormalization(), (IMAGES, CHANNELS, CHANNELS)),
        (kernels.WinogradConvolution(), (IMAGES, FILTERS, CHANNELS)),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, kernels.Kernel) else "",
)
def test_kernels_give_the_same_with_any_number_of_threads(kernel, inputs, monkeypatch):
    """To rounding: blocks, and with them the order of sums, may follow the number of threads."""

    def run(number):
        monkeypatch.setattr(config, "num_threads", lambda: number)
        y, saved = kernel.forward(Heap(), *inputs)
        ys = y if isinstance(y, tuple) else (y,)
        dys = tuple(np.cos(part) for part in ys)
        return ys[0], kernel.backward(Heap(), dys if isinstance(y, tuple) else dys[0], saved)

    (y, (dx, *sums)), (other_y, (other_dx, *other_sums)) = run(1), run(2)
    np.testing.assert_allclose(other_y, y, rtol=0, atol=1e-5)
    np.testing.assert_allclose(other_dx, dx, rtol=0, atol=1e-5)
    for total, other in zip(sums, other_sums, strict=True):
        # Float32 sums of 25,600 terms.
        np.testing.assert_allclose(other, total, rtol=1e-4, atol=1e-4 * np.abs(total).max())


@pytest.fixture(params=[False, True])
def divided(request):
    with threads.products_divided(request.param):
        yield request.param


class TestMatmul:
    @pytest.mark.parametrize(
        ("rows", "inner", "columns"),
        [(3, 4, 5), (0, 3, 2), (3, 0, 2), (500, 300, 200), (20, 2000, 1900), (4001, 130, 131)],
    )
    def test_is_the_product(self, number_of_threads, divided, rows, inner, columns):
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((rows, inner)), rng.standard_normal((inner, columns))
        out = np.full((rows, columns), np.nan)
        assert threads.matmul(a, b, out) is out
        # Where a matrix is cut may change the order of summation in BLAS.
        np.testing.assert_allclose(out, a @ b, rtol=1e-12, atol=1e-12 * max(inner, 1))

    @pytest.mark.parametrize("divided", [False, True])
    def test_blas_divides_large_products_where_it_is_to(self, monkeypatch, divided):
        monkeypatch.setattr(config, "num_threads", lambda: 2)
        counts = []
        monkeypatch.setattr(threads, "_divide_products", counts.append)
        available = [2, 1] if divided and threads._blas_libraries() else []
        with threads.products_divided(divided):
            threads.matmul(np.ones((200, 50)), np.ones((50, 100)), np.empty((200, 100)))
            assert counts == available
            threads.matmul(np.ones((199, 50)), np.ones((50, 100)), np.empty((199, 100)))
            threads.matmul(np.ones((4, 200, 50)), np.ones((50, 100)), np.empty((4, 200, 100)))
            assert counts == available

    @pytest.mark.parametrize(("a", "b"), [((5000, 40, 3), (3, 90)), ((4_000_000,), (4_000_000,)), ((9,), (9, 3))])
    def test_of_stacks_and_vectors(self, number_of_threads, a, b):
        a, b = np.ones(a), np.ones(b)
        expected = a @ b
        np.testing.assert_array_equal(threads.matmul(a, b, np.empty(expected.shape)), expected)

    def test_takes_transposed_matrices(self, number_of_threads):
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((300, 400)).T, rng.standard_normal((200, 300)).T
        np.testing.assert_allclose(threads.matmul(a, b, np.empty((400, 200))), a @ b, rtol=1e-10, atol=1e-10)


def test_blas_has_one_thread_until_the_last_visitor_has_gone():
    libraries = threads._blas_libraries()
    before = [library.get_num_threads() for library in libraries]
    first, second = threading.Event(), threading.Event()

    def visit():
        with threads.one_blas_thread:
            first.set()
            second.wait(10)

    other = threading.Thread(target=visit)
    with threads.one_blas_thread:
        other.start()
        first.wait(10)
    assert all(library.get_num_threads() == 1 for library in libraries)
    second.set()
    other.join()
    # It is this thread that threadpoolctl listens to.
    with threads.one_blas_thread:
        pass
    assert [library.get_num_threads() for library in libraries] == before


def test_work_inside_of_work_stays_in_its_thread(monkeypatch):
    """Or threads would wait for each other for ever."""
    monkeypatch.setattr(config, "num_threads", lambda: 2)
    names = {0: set(), 1: set()}

    def outer(worker, part):
        threads.in_parallel(lambda _, inner: names[worker].add(threading.current_thread().name), 4)

    threads.in_parallel(outer, 2)
    assert len(names[1]) == 1


def test_a_copy_of_the_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(config, "num_threads", lambda: 2)
    threads.in_parallel(lambda worker, part: None, 2)
    if not hasattr(os, "fork"):
        pytest.skip("this system does not copy processes")
    with warnings.catch_warnings():
        # Python warns of copying a process that has threads: that is the case in question.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        done = []
        threads.in_parallel(lambda worker, part: done.append(part.start), 2)
        os._exit(0 if sorted(done) == [0, 1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
