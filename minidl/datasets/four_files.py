"""MNIST's four IDX files, whose names and shapes Fashion-MNIST shares: only the contents tell the two apart.

So every file is checked against the SHA-256 of its content without compression (packers differ). That takes 30 ms and
leaves no way for digits to pass as clothes, or for a damaged image to pass at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from minidl.datasets import idx
from minidl.datasets.download import fetch, keep
from minidl.datasets.finding import Bytes, Data, Source
from minidl.datasets.reading import opened
from minidl.errors import DataFileError, DataNotFoundError

SHAPES = {
    "train-images-idx3-ubyte": (60000, 28, 28),
    "train-labels-idx1-ubyte": (60000,),
    "t10k-images-idx3-ubyte": (10000, 28, 28),
    "t10k-labels-idx1-ubyte": (10000,),
}
SHA256 = {
    "MNIST": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "Fashion-MNIST": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
_LIMIT = 64 << 20  # bytes; the largest of the files has 47 million, unpacked


class FourFiles(Source):
    """A data set in MNIST's four files, each plain or compressed with gzip."""

    def read(self, place: Path) -> Data:
        """The data set in the folder `place`."""
        if not os.path.isdir(place):
            raise DataFileError(f"{place}: expected the folder that holds {', '.join(SHAPES)}")
        found = {name: path for name in SHAPES for path in (place / f"{name}.gz", place / name) if os.path.isfile(path)}
        if not found:
            raise DataNotFoundError(f"holds no {next(iter(SHAPES))}, plain or .gz")
        if missing := [name for name in SHAPES if name not in found]:
            raise DataFileError(f"{place}: holds {', '.join(found)} but lacks {', '.join(missing)}")
        return _paired(self._part(name, found[name], str(found[name])) for name in SHAPES)

    def download(self, cache: Path) -> Data:
        """The data set from the first good mirror, its four files kept in the first of `names` in `cache`."""
        fetched = {
            name: fetch([f"{mirror}{name}.gz" for mirror in self.mirrors], _LIMIT, partial(self._part, name))
            for name in SHAPES
        }
        keep(cache / self.names[0], {f"{name}.gz": content for name, (content, _) in fetched.items()})
        return _paired(array for _, array in fetched.values())

    def _part(self, name: str, source: Path | bytes, place: str) -> Bytes:
        """The array in the file `name` of this data set, which is `source` and found at `place`."""
        with opened(source, place) as file:
            array = idx.decode(file, place, SHAPES[name])
        digest = idx.content_sha256(array)
        if digest == SHA256[self.title][name]:
            return array
        for title, digests in SHA256.items():
            if digest in digests.values():
                raise DataFileError(f"{place}: is {title}'s, expected {self.title}'s, whose files have the same names")
        raise DataFileError(
            f"{place}: damaged, or of another data set than {self.title}: SHA-256 of its content is {digest}, expected "
            f"{SHA256[self.title][name]} (a data set of your own is read with minidl.datasets.idx.read)"
        )


def _paired(arrays: Iterable[Bytes]) -> Data:
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)
