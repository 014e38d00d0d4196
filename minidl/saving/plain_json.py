"""JSON that is read back as it was written, and that is never trusted when it is read.

Python's `json` is more obliging than that: it writes tuples as lists, numbers that are keys as strings, and NaN, which
is no JSON at all; of two equal keys it reads the last, and 1e999 as infinity. Here each of these is an error.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from minidl.errors import ArgumentError, DataFileError, DTypeError, NonFiniteError

# Parsed JSON can take thirty times the memory of its text: longer texts are not read, and not written either.
MAX_BYTES = 1 << 24
_MAX_DEPTH = 100


def encode(value: object, name: str) -> bytes:
    """The JSON of `value`, which is made of dict, list, str, int, finite float, bool and None; `decode` inverts it.

    An error names the first part that is something else by its keys, as in `config['layers'][0]['axis']`.
    """
    _check(value, name, depth=0)
    try:
        text = json.dumps(value, separators=(",", ":")).encode()
    except ValueError as error:  # an integer of more digits than Python converts
        raise ArgumentError(f"{name}: {error}") from error
    if len(text) > MAX_BYTES:
        raise ArgumentError(f"{name}: needs {len(text):,} bytes of JSON, at most {MAX_BYTES:,} are allowed")
    return text


def _check(value: object, where: str, depth: int) -> None:
    # By exact type: a subclass, such as NumPy's float64 or an enum, would be read back as something else.
    kind = type(value)
    if depth > _MAX_DEPTH:
        raise ArgumentError(f"{where:.80}...: nested more than {_MAX_DEPTH} deep; does it contain itself?")
    if isinstance(value, float) and not math.isfinite(value):
        raise NonFiniteError(f"{where}: JSON has finite numbers only, got {value!r}")
    if kind not in (dict, list, str, int, float, bool, type(None)):
        plain = "dict, list, str, int, float, bool and None"
        raise DTypeError(f"{where}: expected plain JSON ({plain}), got a {kind.__name__}")
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise DTypeError(f"{where}: the keys of JSON are str, got {key!r}, a {type(key).__name__}")
            _check(item, f"{where}[{key!r}]", depth + 1)
    if isinstance(value, list):
        for k, item in enumerate(value):
            _check(item, f"{where}[{k}]", depth + 1)


def decode(text: bytes, name: str) -> Any:
    """The value of the JSON `text`; a `DataFileError` begins with `name` and says what is wrong with it."""
    try:
        return json.loads(
            text.decode(), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_such_number
        )
    except (ValueError, RecursionError) as error:
        raise DataFileError(f"{name}: not valid JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r:.80} occurs twice")
        result[key] = value
    return result


def _finite(digits: str) -> float:
    return float(digits) if math.isfinite(float(digits)) else _no_such_number(digits)


def _no_such_number(word: str) -> NoReturn:
    raise ValueError(f"{word:.80} is no finite number")
