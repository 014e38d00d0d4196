"""JSON: what is written is read back as it was, to the last digit and type; everything else is refused."""

import enum
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl.errors import ArgumentError, DataFileError, DTypeError, NonFiniteError
from minidl.saving import plain_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(PLAIN)
def test_what_is_written_is_read_back(value):
    # repr tells 1 from 1.0 from True, -0.0 from 0.0, and sees the order of the keys.
    assert repr(plain_json.decode(plain_json.encode(value, "value"), "text")) == repr(value)


def test_a_lone_surrogate_is_read_back_too():
    assert plain_json.decode(plain_json.encode("\ud800", "value"), "text") == "\ud800"


class Color(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize("value", [(1, 2), {1}, np.float64(1), np.int64(1), np.zeros(2), b"x", 1j, Color.RED, object()])
def test_the_first_part_that_is_not_plain_is_named(value):
    with pytest.raises(DTypeError, match=rf"^config\['layers'\]\[1\]\['axis'\]: .* got a {type(value).__name__}$"):
        plain_json.encode({"layers": [{}, {"units": 3, "axis": value}]}, "config")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_numbers_that_are_not_finite_are_named(value):
    with pytest.raises(NonFiniteError, match=r"^config\['rate'\]: JSON has finite numbers only, got .*(nan|inf)"):
        plain_json.encode({"rate": value}, "config")


class Word(str):
    pass


@pytest.mark.parametrize("key", [1, None, True, (1, 2), Word("b")])
def test_keys_are_strings(key):
    with pytest.raises(DTypeError, match=r"^config\['a'\]: the keys of JSON are str, got .*, a "):
        plain_json.encode({"a": {key: 1}}, "config")


def test_what_contains_itself_or_is_nested_too_deeply_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(ArgumentError, match=r"^config\[0\]\[0\].*nested more than 100 deep; does it contain itself"):
        plain_json.encode(loop, "config")


def test_what_would_be_too_long_to_read_is_not_written(monkeypatch):
    with pytest.raises(ArgumentError, match=r"config: .*4300 digits"):
        plain_json.encode(10**5000, "config")
    monkeypatch.setattr(plain_json, "MAX_BYTES", 10)
    assert plain_json.encode("x" * 8, "config") == b'"xxxxxxxx"'
    with pytest.raises(ArgumentError, match="config: needs 11 bytes of JSON, at most 10 are allowed"):
        plain_json.encode("x" * 9, "config")


BROKEN = {
    "nothing": (b"", "Expecting value"),
    "cut": (b'{"a": 1', "Expecting ',' delimiter"),
    "NaN": (b'{"a": NaN}', "NaN is no finite number"),
    "infinity": (b"[-Infinity]", "-Infinity is no finite number"),
    "infinity in digits": (b"[1e999]", "1e999 is no finite number"),
    "a key twice": (b'{"a": {"b": 1, "b": 2}}', "the key 'b' occurs twice"),
    "not UTF-8": (b'"\xff"', "can't decode byte 0xff"),
    "encoded lone surrogate": (b'"\xed\xa0\x80"', "can't decode byte 0xed"),
    "byte order mark": (b"\xef\xbb\xbf{}", "BOM"),
    "too many digits": (b"1" * 5000, "4300 digits"),
    "nested lists": (b"[" * 100_000 + b"]" * 100_000, "recursion"),
    "nested dicts": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "recursion"),
    "two values": (b"{} {}", "Extra data"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_says_what_is_wrong_with_broken_json(case):
    text, problem = BROKEN[case]
    with pytest.raises(DataFileError, match=f"^some file: not valid JSON: .*{problem}"):
        plain_json.decode(text, "some file")
