"""Where a data set is looked for, and what is said when it is nowhere.

In this order: `path=`, and nowhere else when it is given; the folder `$MINIDL_DATA`; the folder of Debian's data
packages; Keras's folder; minidl's own cache; then a download into that cache.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from minidl.errors import DataFileError, DataNotFoundError, DTypeError, warn_caller

DEBIAN = "/usr/share/datasets"

Bytes: TypeAlias = npt.NDArray[np.uint8]
Data: TypeAlias = tuple[tuple[Bytes, Bytes], tuple[Bytes, Bytes]]


@dataclass(frozen=True)
class Source(ABC):
    """A data set that can be found in folders and downloaded.

    `names` are the files and subfolders that may hold it in a folder of data sets; the folder itself comes last.
    `mirrors` are where it is downloaded from, and `advice` says how to get it by hand.
    """

    title: str
    names: tuple[str, ...]
    mirrors: tuple[str, ...]
    advice: str

    @abstractmethod
    def read(self, place: Path) -> Data:
        """The data set in the file or folder `place`.

        `DataNotFoundError` says what `place` does not hold, `DataFileError` which file is damaged and how.
        """

    @abstractmethod
    def download(self, cache: Path) -> Data:
        """The data set from the first good mirror, kept in the folder `cache`; `DataNotFoundError` if all fail."""

    def load(self, path: str | os.PathLike[str] | None) -> Data:
        """The data set from `path`, or when that is None from the first place that has it undamaged."""
        if path is None:
            return self._search()
        if not isinstance(path, (str, os.PathLike)):
            raise DTypeError(f"{self.title}: path names a folder or file, got {path!r}")
        return self._read_in(_expanded(path))

    def _search(self) -> Data:
        tried = [] if os.environ.get("MINIDL_DATA") else ["$MINIDL_DATA: not set"]
        for place in _places():
            try:
                return self._read_in(place)
            except DataNotFoundError as error:
                tried.append(str(error))
            except DataFileError as error:
                warn_caller(f"{self.title}: skipped {error}")
                tried.append(str(error))
        try:
            return self.download(_cache())
        except DataNotFoundError as error:
            tried += str(error).splitlines()
        where = "\n  ".join(tried)
        raise DataNotFoundError(
            f"{self.title} was not found. Tried in turn:\n  {where}\n"
            f"{self.advice}\nName the folder you put it in by path= or the environment variable MINIDL_DATA."
        )

    def _read_in(self, place: Path) -> Data:
        problem = "no such file or folder"
        for candidate in (*(place / name for name in self.names), place):
            # os.path.exists, unlike Path.exists, takes a folder that may not be entered for one that is not there.
            if os.path.exists(candidate):
                try:
                    return self.read(candidate)
                except DataNotFoundError as error:
                    problem = f"{error}, here or in {', '.join(self.names)}"
        raise DataNotFoundError(f"{place}: {problem}")


def _places() -> list[Path]:
    keras = os.environ.get("KERAS_HOME") or "~/.keras"
    given = os.environ.get("MINIDL_DATA")
    places = [given, DEBIAN, os.path.join(keras, "datasets"), _cache()]
    return [_expanded(place) for place in places if place]


def _cache() -> Path:
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "minidl" / "datasets"


def _expanded(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(path))
