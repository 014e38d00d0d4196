"""Downloading a file: from the first mirror that delivers what was promised, and only that is kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from minidl.errors import DataFileError, DataNotFoundError, warn_caller
from minidl.files import atomic_write

T = TypeVar("T")

_CHUNK = 1 << 16
_TIMEOUT = 10  # seconds without an answer after which a mirror counts as dead


def fetch(urls: Sequence[str], limit: int, decode: Callable[[bytes, str], T]) -> tuple[bytes, T]:
    """What the first good of `urls` delivers, as it came and as `decode(content, url)` understood it.

    `decode` checks the content against a pinned checksum and raises `DataFileError` if it is another; the next mirror
    is asked then, as when one is dead or sends more than `limit` bytes. Raises `DataNotFoundError` with a line for each
    mirror when none is left.
    """
    failures = []
    for url in urls:
        try:
            content = _get(url, limit)
            return content, decode(content, url)
        except DataFileError as error:
            failures.append(str(error))
    raise DataNotFoundError("\n".join(failures))


def _get(url: str, limit: int) -> bytes:
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    content = io.BytesIO()
    try:
        with urlopen(Request(url, headers={"User-Agent": "minidl"}), timeout=_TIMEOUT) as response:
            total, title = getattr(response, "length", None), url.rpartition("/")[2]
            with tqdm(total=total, desc=title, unit="B", unit_scale=True, leave=False, disable=None) as bar:
                while content.tell() <= limit and (chunk := response.read(_CHUNK)):
                    bar.update(content.write(chunk))
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a redirect to what is no URL
        raise DataFileError(f"{url}: {error}") from error
    if content.tell() > limit:
        raise DataFileError(f"{url}: sends more than the {limit:,} bytes expected")
    return content.getvalue()


def keep(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` to `folder`, each whole or not at all; a folder that cannot be written to only costs a warning."""
    try:
        for name, content in files.items():
            with atomic_write(folder / name) as file:
                file.write(content)
    except OSError as error:
        warn_caller(
            f"{folder} cannot be written to ({error}): the download is used now and will be repeated next time; set "
            "XDG_CACHE_HOME to a folder that can be written to"
        )
