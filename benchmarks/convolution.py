"""Ways to write a 3×3 convolution in NumPy, beside each other and, where it is installed, beside PyTorch's.

    OPENBLAS_NUM_THREADS=1 python benchmarks/convolution.py              # forward, every formulation
    OPENBLAS_NUM_THREADS=1 python benchmarks/convolution.py --training   # forward and backward, the kernels of minidl

Stride 1, "same" padding, channels last, float32, one thread. Formulations take turns; what counts is the median of the
processor time, which a busy machine disturbs less than the time on the clock. GFLOP/s count the 9 multiplications and
additions of the definition, whatever a formulation really does: Winograd's can therefore exceed the machine's peak. The
error is the largest one, relative to the largest number of the result, against a sum in float64.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from minidl.kernels.convolution import Convolution
from minidl.memory import Arena, Array, Memory

# (channels, filters, height and width)
LAYERS = ((3, 32, 32), (32, 32, 32), (32, 64, 16), (64, 64, 16), (64, 128, 8), (128, 128, 8))
# Floats of scratch that stay in a cache of 2 MB.
CACHE = 2**18
Formulation = Callable[[Memory, Array, Array], Array]


def windows(memory: Memory, x: Array, w: Array) -> Array:
    """All windows of all images in one matrix, one product: the plain formulation."""
    _, _, c, f = w.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = sliding_window_view(padded, (3, 3), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    return (rows.reshape(-1, 9 * c) @ w.reshape(9 * c, f)).reshape(*x.shape[:3], f)


def windows_in_blocks(memory: Memory, x: Array, w: Array) -> Array:
    """The same for as many images as fit into the cache. A window is three runs of 3c numbers."""
    n, height, width, c = x.shape
    images = _images(x, 9)
    padded = _zeros(memory, (images, height + 2, width + 2, c))
    rows = memory.empty((images, height, width, 3, 3 * c), x.dtype)
    view = as_strided(padded, rows.shape, (*padded.strides[:3], *padded.strides[1:4:2]))
    y = memory.empty((*x.shape[:3], w.shape[3]), x.dtype)
    for i in range(0, n, images):
        padded[:, 1:-1, 1:-1] = x[i : i + images]
        np.copyto(rows, view)
        np.matmul(rows.reshape(-1, 9 * c), w.reshape(9 * c, -1), out=y[i : i + images].reshape(-1, y.shape[3]))
    return y


def planes_in_blocks(memory: Memory, x: Array, w: Array) -> Array:
    """The matrix of windows transposed: its rows are shifted planes, copied in runs of a whole image row."""
    n, height, width, c = x.shape
    images = _images(x, 36)  # the product reads all 9c rows at once: fewer images than else
    padded = _zeros(memory, (c, images, height + 2, width + 2))
    rows = memory.empty((3, 3, c, images, height, width), x.dtype)
    view = as_strided(padded, rows.shape, (*padded.strides[2:], *padded.strides))
    y = memory.empty((*x.shape[:3], w.shape[3]), x.dtype)
    for i in range(0, n, images):
        padded[:, :, 1:-1, 1:-1] = x[i : i + images].transpose(3, 0, 1, 2)
        np.copyto(rows, view)
        np.matmul(rows.reshape(9 * c, -1).T, w.reshape(9 * c, -1), out=y[i : i + images].reshape(-1, y.shape[3]))
    return y


def overlapping_rows(memory: Memory, x: Array, w: Array) -> Array:
    """Nothing copied: a row of 3c numbers begins c after the one before. BLAS refuses that, so NumPy copies."""
    n, height, width, c = x.shape
    images = _images(x, 3)
    padded = _zeros(memory, (images, height + 2, width + 2, c))
    view = as_strided(padded, (3, images, height, width, 3 * c), (padded.strides[1], *padded.strides))
    y, product = (memory.empty((k, height, width, w.shape[3]), x.dtype) for k in (n, images))
    for i in range(0, n, images):
        padded[:, 1:-1, 1:-1] = x[i : i + images]
        np.matmul(view[0], w[0].reshape(3 * c, -1), out=y[i : i + images])
        for k in (1, 2):
            y[i : i + images] += np.matmul(view[k], w[k].reshape(3 * c, -1), out=product)
    return y


def every_third_row(memory: Memory, x: Array, w: Array) -> Array:
    """Kernel to row: every third of the overlapping rows is an ordinary matrix. Nine products, added up by BLAS."""
    from scipy.linalg.blas import sgemm

    n, height, width, c = x.shape
    images, wide = _images(x, 3), -(-(width + 2) // 3) * 3
    count = images * (height + 2) * wide
    flat = _zeros(memory, ((count + 2 * wide + 2) * c,))
    padded = flat[: count * c].reshape(images, height + 2, wide, c)
    sums = memory.empty((3, count // 3, w.shape[3]), x.dtype)
    lines = sums.reshape(3, images, height + 2, wide // 3, -1).transpose(1, 2, 3, 0, 4)[:, :height]
    straight = memory.empty((images, height, wide, w.shape[3]), x.dtype)
    y = memory.empty((*x.shape[:3], w.shape[3]), x.dtype)
    for i in range(0, n, images):
        padded[:, 1:-1, 1 : width + 1] = x[i : i + images]
        for third in range(3):
            for k in range(3):
                rows = flat[(third + k * wide) * c :][: count * c].reshape(-1, 3 * c)
                sgemm(1, w[k].reshape(3 * c, -1).T, rows.T, float(k > 0), sums[third].T, overwrite_c=1)
        straight.reshape(lines.shape)[:] = lines
        y[i : i + images] = straight[:, :, :width]
    return y


def shifted_images(memory: Memory, x: Array, w: Array) -> Array:
    """Kernel to row: nine products of padded images, each shifted by its place in the kernel, added up by BLAS."""
    from scipy.linalg.blas import sgemm

    n, height, width, c = x.shape
    images, wide = _images(x, 3), width + 2
    count = images * (height + 2) * wide
    flat = _zeros(memory, (count + 2 * wide + 2, c))
    padded = flat[:count].reshape(images, height + 2, wide, c)
    sums = memory.empty((count, w.shape[3]), x.dtype)
    y = memory.empty((*x.shape[:3], w.shape[3]), x.dtype)
    for i in range(0, n, images):
        padded[:, 1:-1, 1:-1] = x[i : i + images]
        for k, (down, across) in enumerate(np.ndindex(3, 3)):
            rows = flat[down * wide + across :][:count]
            sgemm(1, w[down, across].T, rows.T, float(k > 0), sums.T, overwrite_c=1)
        y[i : i + images] = sums.reshape(images, height + 2, wide, -1)[:, :height, :width]
    return y


def three_columns(memory: Memory, x: Array, w: Array) -> Array:
    """Three columns side by side, rows outermost: a shift by a row is a slice. Three products, added up by BLAS."""
    from scipy.linalg.blas import sgemm

    n, height, width, c = x.shape
    images = _images(x, 3)
    padded = _zeros(memory, (height + 2, images, width + 2, c))
    rows = _zeros(memory, (height + 2, images, width, 3 * c))
    view = as_strided(padded, rows.shape, padded.strides)
    sums = memory.empty((height * images * width, w.shape[3]), x.dtype)
    y = memory.empty((*x.shape[:3], w.shape[3]), x.dtype)
    for i in range(0, n, images):
        padded[1:-1, :, 1:-1] = x[i : i + images].transpose(1, 0, 2, 3)
        np.copyto(rows[1:-1], view[1:-1])
        for k in range(3):
            shifted = rows[k : k + height].reshape(-1, 3 * c)
            sgemm(1, w[k].reshape(3 * c, -1).T, shifted.T, float(k > 0), sums.T, overwrite_c=1)
        y[i : i + images] = sums.reshape(height, images, width, -1).transpose(1, 0, 2, 3)
    return y


def fourier(memory: Memory, x: Array, w: Array) -> Array:
    """Products of spectra, for every frequency a matrix product over the channels."""
    from scipy import fft

    size = (x.shape[1] + 2, x.shape[2] + 2)
    spectrum = fft.rfft2(x, size, axes=(1, 2)).transpose(1, 2, 0, 3)
    product = np.matmul(spectrum, fft.rfft2(w[::-1, ::-1], size, axes=(0, 1)))
    return fft.irfft2(product.transpose(2, 0, 1, 3), size, axes=(1, 2))[:, 1:-1, 1:-1]


def winograd_kronecker(points: tuple[float, ...]) -> Formulation:
    """Winograd with each two-dimensional transformation as a single product with B ⊗ B or A ⊗ A."""

    def forward(memory: Memory, x: Array, w: Array) -> Array:
        m = len(points) - 1
        a, g, b = (np.kron(k, k).astype(x.dtype) for k in winograd.toom_cook(m, 3, points))
        n, height, width, c = x.shape
        f, p, down, across = w.shape[3], len(a), height // m, width // m
        images = _images(x, 9)
        padded = _zeros(memory, (images, height + 2, width + 2, c))
        tiles = memory.empty((m + 2, m + 2, images, down, across, c), x.dtype)
        s, line, column, item = padded.strides
        view = as_strided(padded, tiles.shape, (line, column, s, m * line, m * column, item))
        v, products = (memory.empty((p, images * down * across, k), x.dtype) for k in (c, f))
        outputs = memory.empty((m, m, images, down, across, f), x.dtype)
        u = np.matmul(g, w.reshape(9, -1)).reshape(p, c, f)
        y = memory.empty((n, height, width, f), x.dtype)
        for i in range(0, n, images):
            padded[:, 1:-1, 1:-1] = x[i : i + images]
            np.copyto(tiles, view)
            np.matmul(b.T, tiles.reshape(p, -1), out=v.reshape(p, -1))
            np.matmul(v, u, out=products)
            np.matmul(a.T, products.reshape(p, -1), out=outputs.reshape(m * m, -1))
            y[i : i + images].reshape(images, down, m, across, m, f)[:] = outputs.transpose(2, 3, 0, 4, 1, 5)
        return y

    return forward


def kernel(convolution: Any) -> Formulation:
    """The forward pass of a kernel of minidl."""
    return lambda memory, x, w: convolution.forward(memory, x, w)[0]


def _images(x: Array, copies: int) -> int:
    """How many images fit into the cache so many times over: a divisor of the batch."""
    most = max(1, CACHE // (copies * math.prod(x.shape[1:])))
    return max(k for k in range(1, len(x) + 1) if k <= most and len(x) % k == 0)


def _zeros(memory: Memory, shape: tuple[int, ...]) -> Array:
    zeros = memory.empty(shape, np.float32)
    zeros.fill(0)
    return zeros


SAME = Convolution((1, 1), (1, 1), ((1, 1), (1, 1)), 1)
FORMULATIONS: dict[str, Formulation] = {
    "windows, all at once": windows,
    "windows in blocks": windows_in_blocks,
    "`Convolution`": kernel(SAME),
    "planes in blocks": planes_in_blocks,
    "overlapping rows": overlapping_rows,
    "every third row, 9 products": every_third_row,
    "shifted images, 9 products": shifted_images,
    "three columns, 3 products": three_columns,
    "Fourier": fourier,
}
KERNELS = {"`Convolution`": SAME}
if importlib.util.find_spec("minidl.kernels.winograd"):
    from minidl.kernels import winograd

    half, two = math.sqrt(0.5), math.sqrt(2)
    KERNELS |= {f"`WinogradConvolution(m={m})`": winograd.WinogradConvolution(m) for m in (2, 4)}
    FORMULATIONS |= {
        "Winograd 2×2, 16×16 products": winograd_kronecker((0, 1, -1)),
        "Winograd 4×4, 36×36 products, points ±1, ±2": winograd_kronecker((0, 1, -1, 2, -2)),
        "Winograd 4×4, 36×36 products, points ±√½, ±√2": winograd_kronecker((0, half, -half, two, -two)),
        **{name: kernel(convolution) for name, convolution in KERNELS.items() if "Winograd" in name},
    }


def torch_passes(x: Array, w: Array, dy: Array) -> tuple[Callable[[], Array], Callable[[], tuple[Array, ...]]]:
    """PyTorch's forward and backward pass in channels-last layout, on one thread; dx only for more than 3 channels."""
    import torch

    torch.set_num_threads(1)
    x_, dy_ = (torch.from_numpy(v).permute(0, 3, 1, 2) for v in (x, dy))
    w_ = torch.from_numpy(w).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    wanted = [x.shape[3] > 3, True, False]

    def forward() -> Array:
        return torch.nn.functional.conv2d(x_, w_, padding=1).permute(0, 2, 3, 1).numpy()

    def backward() -> tuple[Array, ...]:
        same = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
        dx, dw, _ = torch.ops.aten.convolution_backward(dy_, x_, w_, None, *same, wanted)
        dx = dx.permute(0, 2, 3, 1).numpy() if wanted[0] else None
        return dx, dw.permute(2, 3, 1, 0).numpy()

    return forward, backward


def in_turn(tasks: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median processor time of each in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values[1:]) * 1e3 for name, values in times.items()}


def arena(run: Callable[[Memory], Any]) -> Callable[[], Any]:
    """Gives results and scratch the same memory at each run, as in training."""
    memory = Arena()

    def task() -> Any:
        memory.rewind()
        return run(memory)

    return task


def error(result: Array, exact: Array) -> float:
    return float(np.abs(result - exact).max() / np.abs(exact).max())


def compare_forward(x: Array, w: Array, dy: Array, rounds: int) -> None:
    """A row for each formulation."""
    exact = SAME.forward(Arena(), x.astype(np.float64), w.astype(np.float64))[0]
    tasks = {name: arena(lambda memory, f=f: f(memory, x, w)) for name, f in FORMULATIONS.items()}
    if importlib.util.find_spec("torch"):
        tasks["PyTorch"] = torch_passes(x, w, dy)[0]
    errors = {name: error(task(), exact) for name, task in tasks.items()}
    times = in_turn(tasks, rounds)
    operations = 2 * 9 * x.size * w.shape[3]
    print("| formulation | ms | GFLOP/s | speed, PyTorch = 1 | error |\n|---|---|---|---|---|")
    for name, ms in times.items():
        speed = f"{times['PyTorch'] / ms:.2f}" if "PyTorch" in times else ""
        print(f"| {name} | {ms:.2f} | {operations / ms / 1e6:.0f} | {speed} | {errors[name]:.0e} |", flush=True)


def compare_training(x: Array, w: Array, dy: Array, rounds: int) -> dict[str, float]:
    """A row for each kernel, and the sums of both passes."""
    exact = SAME.backward(Arena(), dy.astype(np.float64), (x.astype(np.float64), w.astype(np.float64)))
    passes = {
        name: (
            arena(lambda memory, k=k: k.forward(memory, x, w)),
            arena(lambda memory, k=k: k.backward(memory, dy, (x, w))),
        )
        for name, k in KERNELS.items()
    }
    if importlib.util.find_spec("torch"):
        passes["PyTorch"] = torch_passes(x, w, dy)
    gradients = {name: zip(backward(), exact, strict=True) for name, (_, backward) in passes.items()}
    errors = {name: [error(g, e) for g, e in pairs if g is not None] for name, pairs in gradients.items()}
    times = in_turn({f"{name} {k}": p[k] for name, p in passes.items() for k in (0, 1)}, rounds)
    print("| kernel | forward ms | backward ms | speed, PyTorch = 1 | error of dx, dw |\n|---|---|---|---|---|")
    sums = {name: times[f"{name} 0"] + times[f"{name} 1"] for name in passes}
    for name, total in sums.items():
        speed = f"{sums['PyTorch'] / total:.2f}" if "PyTorch" in sums else ""
        found = ", ".join(f"{e:.0e}" for e in errors[name])
        print(f"| {name} | {times[f'{name} 0']:.2f} | {times[f'{name} 1']:.2f} | {speed} | {found} |", flush=True)
    return sums


def main() -> None:
    """Print a table for each layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", action="store_true", help="forward and backward pass of the kernels")
    parser.add_argument("--batch", type=int, default=64, help="images (64)")
    parser.add_argument("--rounds", type=int, default=15, help="how often each has its turn (15)")
    parser.add_argument("--layers", nargs="+", default=["x".join(map(str, layer)) for layer in LAYERS],
                        metavar="CxFxS", help="channels, filters, height and width; all six layers of a small network")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    sums: dict[str, float] = {}
    for layer in options.layers:
        try:
            c, f, size = map(int, layer.split("x"))
        except ValueError:
            parser.error(f"--layers: expected three numbers such as 32x64x16, got {layer!r}")
        if min(c, f, size) < 1 or size % 4:
            parser.error(f"--layers: expected positive numbers and a multiple of 4 for the height, got {layer!r}")
        x, dy = (rng.standard_normal((options.batch, size, size, k), np.float32) for k in (c, f))
        w = rng.standard_normal((3, 3, c, f), np.float32) * np.float32(math.sqrt(2 / (9 * c)))
        print(f"\n{options.batch} images of {size}×{size}, {c} channels, {f} filters\n")
        if options.training:
            for name, total in compare_training(x, w, dy, options.rounds).items():
                sums[name] = sums.get(name, 0) + total
        else:
            compare_forward(x, w, dy, options.rounds)
    if sums:
        print("\nall layers: " + ", ".join(f"{name} {total:.1f} ms" for name, total in sums.items()))


if __name__ == "__main__":
    main()
