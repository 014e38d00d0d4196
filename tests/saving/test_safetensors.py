"""The safetensors format: what is written follows its description and is read back; what lies is refused unread."""

import io
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidl.errors import ArgumentError, DataFileError, DTypeError
from minidl.saving import plain_json, safetensors

CODES = {
    "BOOL": "bool", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "I8": "int8", "I16": "int16",
    "I32": "int32", "I64": "int64", "F16": "float16", "F32": "float32", "F64": "float64",
}  # fmt: skip
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
ARRAYS = st.dictionaries(
    st.text(), st.sampled_from(list(CODES.values())).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)), max_size=5
)


def file_of(header, body=b""):
    """The bytes of a file, put together as the description of the format says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, strict=True)  # equal shapes, too, and NaN where NaN is


@given(ARRAYS)
def test_what_is_written_is_read_back_in_its_order(arrays):
    read = safetensors.load(safetensors.dump(arrays))
    assert_same(read, arrays)
    for name, array in read.items():
        assert array.tobytes() == arrays[name].tobytes()  # the sign of zero, the payload of NaN
        assert array.flags.writeable
        assert array.flags.owndata
        assert array.flags.aligned
        assert array.dtype.isnative


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3), (1,) * 64])
def test_every_dtype_in_every_kind_of_shape(shape):
    arrays = {dtype: np.ones(shape, dtype) for dtype in CODES.values()}
    assert_same(safetensors.load(safetensors.dump(arrays)), arrays)


@given(ARRAYS.filter(bool))
def test_arrays_lie_aligned_one_after_the_other(arrays):
    data = safetensors.dump(arrays, {"a": "b"})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    assert header.pop("__metadata__") == {"a": "b"}
    end = 0
    for begin, stop, name in sorted((*info["data_offsets"], name) for name, info in header.items()):
        assert begin == end
        assert begin % arrays[name].itemsize == 0
        assert data[8 + length :][begin:stop] == arrays[name].tobytes()
        end = stop
    assert end == len(data) - 8 - length


def test_the_bytes_of_a_small_file():
    text = b'{"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}'
    assert len(text) % 8 == 0
    expected = b"\x38" + bytes(7) + text + bytes.fromhex("0000803f 000000c0")
    assert safetensors.dump({"w": np.array([[1, -2]], np.float32)}) == expected


@pytest.mark.parametrize("code", CODES)
def test_reads_what_others_wrote(code):
    # The padding, the order of the keys and the spaces are the writer's choice.
    array = np.array([[0, 1, 1]], CODES[code])
    entry = {"data_offsets": [0, array.nbytes], "shape": [1, 3], "dtype": code}
    read = safetensors.load(file_of({"__metadata__": {"format": "pt"}, "w": entry}, array.tobytes()))
    assert_same(read, {"w": array})


def test_reads_unaligned_elements_and_files_without_arrays():
    byte = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
    number = {"dtype": "F64", "shape": [], "data_offsets": [1, 9]}
    read = safetensors.load(file_of({"a": byte, "b": number}, b"\7" + np.float64(2.5).tobytes()))
    assert_same(read, {"a": np.array([7], np.uint8), "b": np.array(2.5)})
    assert safetensors.load(safetensors.dump({})) == safetensors.load(file_of({})) == {}


def test_elements_are_written_in_c_order_and_little_endian():
    grid = np.arange(12, dtype=np.int32).reshape(3, 4)
    arrays = {"transposed": grid.T, "strided": grid[::2, ::-1], "big-endian": grid.astype(">i4"), "fixed": grid[1, 1:2]}
    read = safetensors.load(safetensors.dump(arrays))
    assert_same(read, {name: np.ascontiguousarray(array, np.int32) for name, array in arrays.items()})


def test_arrays_that_are_larger_than_a_piece(monkeypatch):
    monkeypatch.setattr(safetensors, "_PIECE", 7)
    array = np.arange(20, dtype=np.float32)
    assert_same(safetensors.load(safetensors.dump({"a": array, "b": array[:3]})), {"a": array, "b": array[:3]})


def test_pieces_of_ordinary_arrays_are_not_copies():
    array = np.zeros((300, 100), np.float32)
    *_, piece = safetensors.pieces({"w": array})
    assert np.shares_memory(np.frombuffer(piece, np.uint8), array)


def test_read_begins_where_the_file_stands_and_leaves_what_follows():
    data = safetensors.dump({"w": np.ones(3)})
    file = io.BytesIO(b"before" + data + b"after")
    file.seek(6)
    assert_same(safetensors.read(file, len(data), "x"), {"w": np.ones(3)})
    assert file.read() == b"after"


# ---- what cannot be written


@pytest.mark.parametrize("name", ["__metadata__", "\ud800", 3, None])
def test_names_it_cannot_hold(name):
    with pytest.raises(ArgumentError, match=r"cannot hold an array named .*: expected text other than '__metadata__'"):
        safetensors.dump({name: np.zeros(1)})


@pytest.mark.parametrize("dtype", ["complex64", "longdouble", "object", "U3", "S3", "datetime64[s]", "f4,i4"])
def test_dtypes_it_cannot_hold(dtype):
    with pytest.raises(DTypeError, match="array 'w': safetensors has bool, integers and float16/32/64, but no "):
        safetensors.dump({"w": np.zeros(2, dtype)})


@pytest.mark.parametrize("value", [[1.0], 1.0, np.float32(1), None])
def test_what_is_no_array(value):
    with pytest.raises(DTypeError, match=f"array 'w': expected a NumPy array, got a {type(value).__name__}"):
        safetensors.dump({"w": value})


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"a": None}, {"a": "\udfff"}])
def test_metadata_is_text(metadata):
    with pytest.raises(DTypeError, match="metadata of safetensors is text to text, got "):
        safetensors.dump({}, metadata)


# ---- what is not believed


def one(**changes):
    """A header with one array of two float32, but for `changes`."""
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


def two(first, second):
    """A header with two arrays of bytes at the given offsets."""
    return {
        name: {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for name, (begin, end) in {"a": first, "b": second}.items()
    }


BODY = bytes(8)
BROKEN = {
    "empty": (b"", "its header has 0 bytes, the file 0: truncated or not safetensors"),
    "a stub": (b"\x02\0\0", "the file 3: truncated"),
    "header longer than the file": (b"\x03" + bytes(7) + b"{}", "its header has 3 bytes, the file 10: truncated"),
    "header of exabytes": (b"\xff" * 8 + b"{}", "its header has 18,446,744,073,709,551,615 bytes"),
    "no header": (bytes(8), "header: not valid JSON"),
    "no JSON": (file_of(b"{'w': 1}"), "header: not valid JSON"),
    "no UTF-8": (file_of(b'{"\xff": 1}'), "header: not valid JSON"),
    "NaN": (file_of(b'{"w": NaN}'), "header: not valid JSON: NaN is no finite number"),
    "a list": (file_of([]), "its header is a list, expected a dict"),
    "nested": (file_of(b'{"w":' + b"[" * 100_000), "header: not valid JSON: .*recursion"),
    "nested metadata": (file_of({"__metadata__": {"a": {}}}), "its __metadata__ is not text to text"),
    "metadata is a list": (file_of({"__metadata__": ["a"]}), "its __metadata__ is not text to text"),
    "name twice": (file_of(b'{"w": 1, "w": 1}'), "the key 'w' occurs twice"),
    "name no Unicode": (file_of(b'{"\\ud800": 1}'), "the name of an array is not valid Unicode"),
    "entry no dict": (file_of({"w": 3}, BODY), "array 'w': expected dtype, shape and data_offsets, got 3"),
    "no dtype": (file_of({"w": {"shape": [2], "data_offsets": [0, 8]}}, BODY), "array 'w': expected dtype, shape"),
    "more than that": (file_of(one(order="F"), BODY), "array 'w': expected dtype, shape"),
    "unknown dtype": (file_of(one(dtype="BF16"), BODY), "array 'w': its dtype is 'BF16', known are: BOOL, U8"),
    "dtype no string": (file_of(one(dtype=["F32"]), BODY), r"array 'w': its dtype is \['F32'\]"),
    "negative size": (file_of(one(shape=[-2]), BODY), r"array 'w': its shape is \[-2\], expected up to 64 integers"),
    "negative sizes": (file_of(one(shape=[-1, -2]), BODY), r"its shape is \[-1, -2\]"),
    "size a float": (file_of(one(shape=[2.0]), BODY), r"its shape is \[2\.0\]"),
    "size a bool": (file_of(one(shape=[2, True]), BODY), r"its shape is \[2, True\]"),
    "shape a number": (file_of(one(shape=2), BODY), "its shape is 2,"),
    "shape too deep": (file_of(one(shape=[1] * 65), BODY), r"its shape is \[1, 1, .*expected up to 64"),
    "size too large": (file_of(one(shape=[0, 2**63]), BODY), "its shape is .0, 9223372036854775808."),
    "sizes overflow": (file_of(one(shape=[2**62, 2, 2])), "F32 of shape .* does not fit its data_offsets"),
    "overflow hidden by 0": (
        file_of(one(shape=[0, 2**62], data_offsets=[0, 0])), r"F32 of shape \[0, 4611686018427387904\] does not fit"
    ),
    "wrong size": (file_of(one(shape=[3]), BODY), r"F32 of shape \[3\] does not fit its data_offsets \[0, 8\]"),
    "wrong width": (file_of(one(dtype="F16"), BODY), r"F16 of shape \[2\] does not fit"),
    "terabytes": (file_of(one(shape=[2**40], data_offsets=[0, 2**42]), BODY), "has 8 bytes .* its arrays need 4,398,"),
    "offsets turned": (file_of(one(data_offsets=[8, 0]), BODY), "does not fit its data_offsets"),
    "negative offset": (file_of(one(data_offsets=[-8, 0]), BODY), "its data_offsets are .-8, 0., expected two"),
    "offset a float": (file_of(one(data_offsets=[0, 8.0]), BODY), "its data_offsets are"),
    "three offsets": (file_of(one(data_offsets=[0, 8, 8]), BODY), "its data_offsets are"),
    "offsets no list": (file_of(one(data_offsets={"0": 8}), BODY), "its data_offsets are"),
    "overlap": (file_of(two((0, 5), (4, 8)), BODY), "array 'b' begins at 4 where 5 is next"),
    "the same bytes": (file_of(two((0, 8), (0, 8)), BODY), "array 'b' begins at 0 where 8 is next"),
    "a gap": (file_of(two((0, 3), (4, 8)), BODY), "array 'b' begins at 4 where 3 is next"),
    "a gap before": (file_of(two((1, 4), (4, 8)), BODY), "array 'a' begins at 1 where 0 is next"),
    "beyond the end": (file_of(two((0, 4), (4, 9)), BODY), "has 8 bytes of elements, its arrays need 9"),
    "bytes left over": (file_of(two((0, 4), (4, 7)), BODY), "has 8 bytes of elements, its arrays need 7"),
    "bytes of nobody": (file_of({}, BODY), "has 8 bytes of elements, its arrays need 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_says_what_is_wrong_with_a_broken_file(case):
    data, problem = BROKEN[case]
    with pytest.raises(DataFileError, match=f"(?s)^model.safetensors: .*{problem}"):
        safetensors.load(data, "model.safetensors")


def test_a_header_that_is_too_long_is_not_read(monkeypatch):
    data = safetensors.dump({"w": np.zeros(2)})
    monkeypatch.setattr(plain_json, "MAX_BYTES", 20)
    with pytest.raises(DataFileError, match="x: its header has 56 bytes, at most 20 are read"):
        safetensors.load(data, "x")


def test_a_file_that_is_shorter_than_it_was_said_to_be():
    data = safetensors.dump({"w": np.zeros(2)})
    with pytest.raises(DataFileError, match="x: ends before the arrays that its header names"):
        safetensors.read(io.BytesIO(data[:-1]), len(data), "x")


@pytest.fixture(scope="module")
def sample():
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "é": np.array(5), "none": np.zeros((0, 2), bool)}
    return safetensors.dump(arrays, {"key": "value"})


def peak_of_loading(data):
    """The bytes that loading `data` took at most, whether it succeeded or not; a `DataFileError` is no failure here."""
    tracemalloc.start()
    try:
        safetensors.load(data)
    except DataFileError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_a_file_cut_anywhere_is_refused(sample):
    for size in range(len(sample)):
        with pytest.raises(DataFileError):
            safetensors.load(sample[:size])


def test_no_flipped_bit_is_anything_but_other_data_or_refused_cheaply(sample):
    # A few hundred bytes of file: 100 kB is what parsing and its error message take, and no array that is not there.
    flips = [(place, bit) for place in range(len(sample)) for bit in range(8)]
    for place, bit in flips:
        data = bytearray(sample)
        data[place] ^= 1 << bit
        assert peak_of_loading(bytes(data)) < 100_000


def test_no_edit_of_the_header_is_anything_but_other_data_or_refused_cheaply(sample):
    rng = np.random.default_rng(0)
    length = int.from_bytes(sample[:8], "little")
    for _ in range(3000):
        text = bytearray(sample[8 : 8 + length])
        for begin in rng.integers(0, length, rng.integers(1, 4)):
            new = rng.choice(list(b'0123456789-.eE[]{}":, FUIB'), rng.integers(0, 8))
            text[begin : begin + rng.integers(0, 8)] = bytes(new.tolist())
        assert peak_of_loading(file_of(bytes(text), sample[8 + length :])) < 100_000
