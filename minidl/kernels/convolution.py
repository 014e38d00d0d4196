"""Convolution, its transpose and depthwise convolution, over any number of spatial axes.

Images are (n, *spatial, channels). A window slides over them: it stands at out·stride + position·dilation − before on
each spatial axis, where `before` zeros are put in front of the image and `after` zeros behind it. What deep learning
calls convolution is what others call correlation: the kernel is not flipped.

Convolution is one sum of products of three things, x, the kernel w and y, over images n, outputs o, window positions p,
channels c and filters f:

    T(x, w, y) = Σ x[n, o·stride + p·dilation − before, c] · w[p, c, f] · y[n, o, f]

As T is linear in each of them, so are its three derivatives: ∂T/∂y, which reads x and w, is the convolution; ∂T/∂x and
∂T/∂w, at y = dy, are its gradients. A transposed convolution is ∂T/∂x taken as a function of its own, and its gradients
are then the other two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minidl.kernels.kernel import Kernel, sum_axes
from minidl.memory import Array, Heap, Memory, Shape
from minidl.threads import in_parallel, workers

# As many images are worked on at once as have about so many bytes of windows, or of products: what was written is then
# still in the cache when it is read.
CACHE = 2**20
HEAP = Heap()


@dataclass(frozen=True)
class SlidingWindow(Kernel):
    """Where a window stands, and blocks of images inside their frame of zeros: what the kernels of this file share.

    Each hyperparameter has an entry for each spatial axis; that of `padding` is (before, after).
    """

    selective = True

    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def spans(self, window: Shape) -> Shape:
        """From the first to the last position of the window: (k − 1)·dilation + 1."""
        return tuple((k - 1) * d + 1 for k, d in zip(window, self.dilation, strict=True))

    def framed_sizes(self, sizes: Shape) -> Shape:
        """The spatial sizes of an image with its frame."""
        return tuple(before + n + after for n, (before, after) in zip(sizes, self.padding, strict=True))

    def output_sizes(self, sizes: Shape, window: Shape) -> Shape:
        """How often the window fits: ⌊(before + n + after − span)/stride⌋ + 1."""
        each = zip(self.framed_sizes(sizes), self.spans(window), self.strides, strict=True)
        return tuple((n - span) // s + 1 for n, span, s in each)

    def shifted(self, framed: Array, position: Shape, outputs: Shape) -> Array:
        """What one position of the window meets as the window slides: a view (n, *outputs, channels)."""
        each = zip(position, self.dilation, outputs, self.strides, strict=True)
        view: Array = framed[:, *(slice(p * d, p * d + (o - 1) * s + 1, s) for p, d, o, s in each)]
        return view

    def frames(self, memory: Memory, x: Array, rooms: Array) -> Sequence[Array | None]:
        """For each of the `rooms`, room for as many images with their frames, all zeros; None if there is no frame."""
        if not any(map(any, self.padding)):
            return [None] * len(rooms)
        frames = memory.empty((*rooms.shape[:2], *self.framed_sizes(x.shape[1:-1]), x.shape[-1]), x.dtype)
        frames.fill(0)
        return list(frames)

    def framed(self, frame: Array | None, x: Array) -> Array:
        """Images inside their frame of zeros, which is left as it was."""
        if frame is None:
            return x
        framed = frame[: len(x)]
        framed[self._inner(x)] = x
        return framed

    def gather(self, frame: Array | None, dx: Array, add: Callable[[Array], None]) -> None:
        """What `add` adds to zeros becomes dx; what it adds to the frame is lost."""
        framed = dx if frame is None else frame[: len(dx)]
        framed.fill(0)
        add(framed)
        if frame is not None:
            dx[...] = framed[self._inner(dx)]

    def _inner(self, x: Array) -> Any:
        """Where x is inside the frame."""
        each = zip(self.padding, x.shape[1:-1], strict=True)
        return (slice(None), *(slice(before, before + n) for (before, _), n in each))


def _rooms(memory: Memory, total: int, each: Shape, dtype: np.dtype[Any]) -> Array:
    """(threads, images, *each): for each thread, room for as many of the `total` images as fit into the cache."""
    images = _images_at_once(total, math.prod(each) * dtype.itemsize)
    return memory.empty((workers(-(-total // max(1, images))), images, *each), dtype)


def _images_at_once(total: int, bytes_each: int) -> int:
    return max(1, min(total, CACHE // max(1, bytes_each)))


@dataclass(frozen=True)
class _Trilinear(SlidingWindow):
    """T(x, w, y) of this file's first lines, by its derivatives; w is (*window, channels/groups, filters).

    The channels are in `groups` equal parts, the filters as well, and each part of the filters sees its part of the
    channels alone. Windows are copied into the rows of a matrix, a few images at a time, which makes ∂T/∂y and ∂T/∂w
    products of matrices.
    """

    groups: int

    def by_y(self, memory: Memory, x: Array, w: Array) -> Array:
        """∂T/∂y: the convolution of x with w."""
        window = w.shape[:-2]
        shape = (len(x), *self.output_sizes(x.shape[1:-1], window), w.shape[-1])
        y = memory.empty(shape, np.result_type(x, w))
        if self._is_pointwise(window):
            np.matmul(self._by_group(x), self._by_group(w), out=self._by_group(y))
            return y
        rooms = self._rooms_for_rows(memory, x, window)
        frames = self.frames(memory, x, rooms)

        def convolve(worker: int, block: slice) -> None:
            rows = self._rows(rooms[worker], frames[worker], x[block], window)
            np.matmul(self._by_group(rows), self._by_group(w), out=self._by_group(y[block]))

        in_parallel(convolve, len(x), rooms.shape[1])
        return y

    def by_w(self, memory: Memory, x: Array, dy: Array, shape: Shape) -> Array:
        """∂T/∂w at y = dy, w being of that shape.

        The blocks' products are added up one after the other. That rounds no worse than a single product of all rows,
        which BLAS, too, adds up panel by panel.
        """
        dw, window = memory.empty(shape, np.result_type(x, dy)), shape[:-2]
        total = self._by_group(dw)
        if self._is_pointwise(window):
            np.matmul(self._by_group(x).swapaxes(1, 2), self._by_group(dy), out=total)
            return dw
        rooms = self._rooms_for_rows(memory, x, window)
        frames = self.frames(memory, x, rooms)
        sums, products = (memory.empty((len(rooms), *total.shape), dw.dtype) for _ in range(2))
        sums.fill(0)

        def add(worker: int, block: slice) -> None:
            rows = self._rows(rooms[worker], frames[worker], x[block], window)
            sums[worker] += np.matmul(
                self._by_group(rows).swapaxes(1, 2), self._by_group(dy[block]), out=products[worker]
            )

        in_parallel(add, len(x), rooms.shape[1])
        np.add.reduce(sums, axis=0, out=total)
        return dw

    def by_x(self, memory: Memory, dy: Array, w: Array, shape: Shape) -> Array:
        """∂T/∂x at y = dy, x being of that shape: a product for each position of the window, added where x was read."""
        dx = memory.empty(shape, np.result_type(dy, w))
        window, outputs = w.shape[:-2], dy.shape[1:-1]
        if self._is_pointwise(window):
            return self._times_transposed(self._by_group(dy), w, dx)
        rooms = _rooms(memory, len(dx), (*outputs, shape[-1]), dx.dtype)
        frames = self.frames(memory, dx, rooms)

        def convolve(worker: int, block: slice) -> None:
            rows = self._by_group(dy[block])

            def add(framed: Array) -> None:
                for position in np.ndindex(window):
                    target = self.shifted(framed, position, outputs)
                    target += self._times_transposed(rows, w[position], rooms[worker, : len(framed)])

            self.gather(frames[worker], dx[block], add)

        in_parallel(convolve, len(dx), rooms.shape[1])
        return dx

    def _times_transposed(self, rows: Array, w: Array, out: Array) -> Array:
        """rows·wᵀ for the rows of each group, with w for a single point."""
        np.matmul(rows, self._by_group(w).swapaxes(1, 2), out=self._by_group(out))
        return out

    def _rooms_for_rows(self, memory: Memory, x: Array, window: Shape) -> Array:
        """Room for the windows of some images as rows (images, *outputs, groups·window·channels/groups)."""
        outputs = self.output_sizes(x.shape[1:-1], window)
        return _rooms(memory, len(x), (*outputs, math.prod(window) * x.shape[-1]), x.dtype)

    def _rows(self, room: Array, frame: Array | None, x: Array, window: Shape) -> Array:
        """The windows of x, copied to the room."""
        windows = self._windows(self.framed(frame, x), window)
        rows = room[: len(x)]
        np.copyto(rows.reshape(windows.shape), windows)
        return rows

    def _is_pointwise(self, window: Shape) -> bool:
        """Whether the window is a single point that visits every pixel: the rows are then the pixels themselves."""
        return not any(map(any, self.padding)) and set(window) | set(self.strides) == {1}

    def _windows(self, framed: Array, window: Shape) -> Array:
        """Every window as a view (images, *outputs, groups, *window, channels/groups)."""
        rank = len(window)
        grouped = framed.reshape(*framed.shape[:-1], self.groups, framed.shape[-1] // self.groups)
        windows = sliding_window_view(grouped, self.spans(window), tuple(range(1, 1 + rank)))
        every_stride = (slice(None, None, s) for s in self.strides)
        every_dilation = (slice(None, None, d) for d in self.dilation)
        return np.moveaxis(windows[:, *every_stride, :, :, *every_dilation], rank + 2, -1)

    def _by_group(self, x: Array) -> Array:
        """A matrix for each group: (…, groups·features) as (groups, …, features)."""
        return x.reshape(math.prod(x.shape[:-1]), self.groups, x.shape[-1] // self.groups).swapaxes(0, 1)


class Convolution(_Trilinear):
    """y[n, o, f] = Σ x[n, o·stride + p·dilation − before, c]·w[p, c, f] over the window's positions p and channels c.

    x (n, *sizes, channels) and w (*window, channels/groups, filters) give y (n, *outputs, filters) with
    outputs = ⌊(before + size + after − (window − 1)·dilation − 1)/stride⌋ + 1. With several groups, filter f sees the
    channels of its group alone (Krizhevsky et al. 2012, section 3.5); dilation puts gaps into the window (Yu & Koltun
    2016, eq. 2). The gradients are ∂T/∂x and ∂T/∂w; LeCun et al. 1989 trained the first such network.
    """

    def forward(self, memory: Memory, x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
        return self.by_y(memory, x, w), (x, w)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array], wanted: Sequence[bool] = (True, True)
    ) -> tuple[Array | None, Array | None]:
        x, w = saved
        dx = self.by_x(memory, dy, w, x.shape) if wanted[0] else None
        return dx, self.by_w(memory, x, dy, w.shape) if wanted[1] else None


@dataclass(frozen=True)
class ConvolutionTranspose(_Trilinear):
    """y = the gradient, for its input, of a convolution whose output has the gradient x: it makes images larger.

    x (n, *sizes, filters) and w (*window, channels/groups, filters), as they are in that convolution, give
    y (n, *outputs, channels) with outputs = (size − 1)·stride + (window − 1)·dilation + 1 − before − after +
    output_padding: here the padding is cut off, and `output_padding` < stride are elements at the end that no window
    reaches, but for those the padding had cut off. (Dumoulin & Visin 2016, chapter 4)
    """

    output_padding: tuple[int, ...]

    def forward(self, memory: Memory, x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
        outputs = self.transposed_sizes(x.shape[1:-1], w.shape[:-2])
        return self.by_x(memory, x, w, (len(x), *outputs, self.groups * w.shape[-2])), (x, w)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array], wanted: Sequence[bool] = (True, True)
    ) -> tuple[Array | None, Array | None]:
        x, w = saved
        dx = self.by_y(memory, dy, w) if wanted[0] else None
        return dx, self.by_w(memory, dy, x, w.shape) if wanted[1] else None

    def transposed_sizes(self, sizes: Shape, window: Shape) -> Shape:
        """(size − 1)·stride + span − before − after + output_padding."""
        each = zip(sizes, self.strides, self.spans(window), self.padding, self.output_padding, strict=True)
        return tuple((n - 1) * s + span - sum(cut) + extra for n, s, span, cut, extra in each)


class DepthwiseConvolution(SlidingWindow):
    """y[n, o, c] = Σ x[n, o·stride + p·dilation − before, c]·w[p, c] over the window's positions p: channel by channel.

    x (n, *sizes, channels) and w (*window, channels) give y (n, *outputs, channels). One multiply-add of shifted images
    for each position of the window;  dx = Σ dy·w[p], put where x was;  dw[p] = Σ x·dy.  (Sifre 2014)
    """

    def forward(self, memory: Memory, x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
        window = w.shape[:-1]
        outputs = self.output_sizes(x.shape[1:-1], window)
        y = memory.empty((len(x), *outputs, x.shape[-1]), np.result_type(x, w))
        y.fill(0)
        rooms = _rooms(memory, len(y), y.shape[1:], y.dtype)
        frames = self.frames(memory, x, rooms)

        def convolve(worker: int, block: slice) -> None:
            framed, target = self.framed(frames[worker], x[block]), y[block]
            for position in np.ndindex(window):
                xs = self.shifted(framed, position, outputs)
                target += np.multiply(xs, w[position], out=rooms[worker, : len(xs)])

        in_parallel(convolve, len(x), rooms.shape[1])
        return y, (x, w)

    def backward(
        self, memory: Memory, dy: Array, saved: tuple[Array, Array], wanted: Sequence[bool] = (True, True)
    ) -> tuple[Array | None, Array | None]:
        x, w = saved
        dx = self._by_x(memory, dy, w, x.shape) if wanted[0] else None
        return dx, self._by_w(memory, x, dy, w.shape) if wanted[1] else None

    def _by_x(self, memory: Memory, dy: Array, w: Array, shape: Shape) -> Array:
        dx = memory.empty(shape, np.result_type(dy, w))
        rooms = _rooms(memory, len(dy), dy.shape[1:], dx.dtype)
        frames = self.frames(memory, dx, rooms)

        def convolve(worker: int, block: slice) -> None:
            def add(framed: Array) -> None:
                for position in np.ndindex(w.shape[:-1]):
                    target = self.shifted(framed, position, dy.shape[1:-1])
                    target += np.multiply(dy[block], w[position], out=rooms[worker, : len(target)])

            self.gather(frames[worker], dx[block], add)

        in_parallel(convolve, len(dx), rooms.shape[1])
        return dx

    def _by_w(self, memory: Memory, x: Array, dy: Array, shape: Shape) -> Array:
        rooms = _rooms(memory, len(dy), dy.shape[1:], np.result_type(x, dy))
        frames = self.frames(memory, x, rooms)
        sums = memory.empty((len(rooms), *shape), rooms.dtype)
        sums.fill(0)

        def add(worker: int, block: slice) -> None:
            framed = self.framed(frames[worker], x[block])
            for position in np.ndindex(shape[:-1]):
                xs = self.shifted(framed, position, dy.shape[1:-1])
                products = np.multiply(xs, dy[block], out=rooms[worker, : len(xs)])
                sums[(worker, *position)] += sum_axes(HEAP, products, tuple(range(x.ndim - 1)))

        in_parallel(add, len(x), rooms.shape[1])
        return np.add.reduce(sums, axis=0, out=memory.empty(shape, sums.dtype))
