"""The numbers of every epoch as a table that spreadsheets and pandas open."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from numbers import Real

from minidl.errors import ArgumentError, DTypeError
from minidl.saving.opening import written


def write_history_csv(
    path: str | os.PathLike[str], epochs: Sequence[int], history: Mapping[str, Sequence[float]]
) -> None:
    """Write `epoch,accuracy,loss,...` and a row for each epoch to `path`, whole or not at all.

    `epochs` are their numbers from 0, as in `History.epoch`; the file counts them from 1, as people do. `history` has a
    number for each epoch under every name. Columns are in alphabetical order, numbers have all their digits: `float`
    reads them back equal, "nan" and "inf" too.
    """
    for name, values in history.items():
        if len(values) != len(epochs):
            raise ArgumentError(f"history[{name!r}] has {len(values)} numbers for {len(epochs)} epochs")
        for k, value in enumerate(values):
            if not isinstance(value, Real):
                raise DTypeError(f"history[{name!r}][{k}]: expected a number, got a {type(value).__name__}")
    names = sorted(history)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["epoch", *names])
    rows.writerows([epoch + 1, *(repr(float(history[name][k])) for name in names)] for k, epoch in enumerate(epochs))
    with written(path) as file:
        file.write(table.getvalue().encode())
