"""Pickles: plain data comes out as it is; everything that could run code is refused by name, and nothing runs."""

import io
import pickle
import random
import resource
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.converters.reading.records import Drop, Row
from recipekit.converters.reading.unpickle import read_pickle
from recipekit.schemas.base.errors import UserError

from ...support.counting import within_lines

ROWS = [{"text": "shall we go?", "emotion": "curiosity", "n": 3, "score": 0.5, "kwargs": {"do_sample": True, "seed": None}}]


def read(data: bytes) -> list[Row | Drop]:
    return list(read_pickle(io.BytesIO(data), "rows.pkl"))


def values(data: bytes) -> list:
    rows = read(data)
    assert all(isinstance(row, Row) for row in rows), rows
    return [row.value for row in rows]


def refusal(data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        read(data)
    return str(caught.value)


# Plain data.


@pytest.mark.parametrize("protocol", range(6))
def test_a_list_of_dicts_becomes_rows_in_every_protocol(protocol):
    assert values(pickle.dumps(ROWS * 3, protocol)) == ROWS * 3


def test_rows_are_numbered_from_one():
    assert [str(row) for row in read(pickle.dumps(ROWS * 2))] == ["rows.pkl:1", "rows.pkl:2"]


def test_a_dict_becomes_pairs_and_a_nan_key_is_null():
    table = {"Storm hits coast": "weather", float("nan"): "sport", 7: None}
    pairs = [{"key": "Storm hits coast", "value": "weather"}, {"key": None, "value": "sport"}, {"key": 7, "value": None}]
    assert values(pickle.dumps(table)) == pairs


def test_a_shared_string_is_the_same_text_in_every_row():
    source = "aochildes.train" * 3
    assert values(pickle.dumps([{"source": source}, {"source": source}])) == [{"source": source}] * 2


def test_tuples_sets_bytes_and_nan_take_their_json_form():
    row = {"t": (1, (2,)), "s": {1}, "f": frozenset("a"), "b": b"caf\xc3\xa9", "y": bytearray(b"x"), "n": float("nan"), 1: True}
    data = pickle.dumps([row], 5)
    assert values(data) == [{"t": [1, [2]], "s": [1], "f": ["a"], "b": "café", "y": "x", "n": None, "1": True}]


@pytest.mark.parametrize(
    ("value", "reason"),
    [({1: 2, "1": 3}, "duplicate_key"), ("\ud800", "not_utf8"), (1 << 64, "number_too_large")],
    ids=["keys that are the same text", "half a surrogate pair", "a number beyond 64 bits"],
)
def test_a_value_without_a_json_form_costs_that_row_only(value, reason):
    found = read(pickle.dumps([{"a": 1}, {"a": value}, {"a": 2}]))
    assert [row.reason if isinstance(row, Drop) else row.value for row in found] == [{"a": 1}, reason, {"a": 2}]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(PLAIN, max_size=5), st.integers(0, 5))
@settings(max_examples=200)
def test_plain_pickles_round_trip(rows, protocol):
    assert values(pickle.dumps(rows, protocol)) == rows


# What would not end, or not fit.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60), "1,152,921,504,606,846,976 bytes"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60), "1,152,921,504,606,846,976 bytes"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 60), "1,152,921,504,606,846,976 bytes"),
        (b"\x80\x04\x8e" + struct.pack("<Q", (1 << 64) - 1), "broken at byte"),
        (b"\x80\x02B" + struct.pack("<I", 0xFFFFFFFF), "bytes"),
        (b"\x80\x02\x8b" + struct.pack("<i", 0x7FFFFFFF), "bytes"),
        (b"\x80\x02\x8b" + struct.pack("<i", -1), "broken at byte"),
        (b"I" + b"9" * 100_000 + b"\n.", "broken at byte"),
    ],
    ids=[
        "BINBYTES8 of 2^60",
        "BINUNICODE8",
        "BYTEARRAY8",
        "BINBYTES8 of 2^64",
        "BINBYTES",
        "LONG4",
        "LONG4 below 0",
        "a number of 100,000 digits",
    ],
)
def test_a_length_that_cannot_be_is_refused_at_once(data, words):
    assert words in refusal(data)


def test_lists_that_hold_the_one_before_ten_times_are_not_written_out():
    bomb: list = ["laughs" * 10]
    for _ in range(30):
        bomb = [bomb] * 10
    found = within_lines(1_000_000, read, pickle.dumps([{"a": bomb}, {"a": 1}]))
    assert [row.reason for row in found[:1] if isinstance(row, Drop)] == ["too_large"]


def test_a_tuple_as_a_key_is_refused_since_hashing_it_may_not_end():
    bomb: tuple = ()
    for _ in range(60):
        bomb = (bomb, bomb)
    data = b"\x80\x04]}" + pickle.dumps(bomb)[2 + 9 : -1] + b"Nsa."
    assert "a tuple as a key" in refusal(data)


def test_a_memo_index_of_two_billion_takes_no_memory():
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert values(b"\x80\x02]r\xff\xff\xff\x7f(K\x01K\x02e.") == [1, 2]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 50_000


def test_a_list_that_holds_itself_costs_that_row_only():
    loop: list = []
    loop.append(loop)
    assert [row.reason if isinstance(row, Drop) else row.value for row in read(pickle.dumps([loop, 1]))] == ["too_deep", 1]


def test_deeply_nested_lists_do_not_crash():
    found = read(b"\x80\x02](" + b"]" * 100_000 + b"a" * 99_999 + b"e.")
    assert [row.reason for row in found if isinstance(row, Drop)] == ["too_deep"]


def test_memory_is_bounded_by_what_is_held(monkeypatch):
    monkeypatch.setattr("recipekit.converters.reading.unpickle.MAX_HELD", 1 << 20)
    assert "memory" in refusal(b"\x80\x04(" + b"\x8f" * 100_000 + b"l.")


# What is broken.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "broken"),
        (b"\x80\x04", "broken"),
        (b"\x80\x04.", "not end with exactly one value"),
        (b"\x80\x04]].", "not end with exactly one value"),
        (b"\x80\x04](.", "not end with exactly one value"),
        (b"\x80\x04\xff.", "broken at byte"),
        (b"\x80\x04h\x05.", "broken at byte"),
        (b"\x80\x04NK\x01a.", "appends to a NoneType"),
        (b"\x80\x04]K\x01K\x02s.", "sets keys of a list"),
        (b"\x80\x04](K\x01\x90.", "adds to a list"),
        (b"\x80\x04}]K\x01s.", "unhashable"),
        (b"\x80\x04K\x07.", "one int, not a list"),
        (pickle.dumps(ROWS) + b"\n", "second stream follows at byte"),
        (pickle.dumps(ROWS) * 2, "second stream follows at byte"),
    ],
)
def test_a_broken_pickle_is_reported_with_its_offset(data, words):
    assert words in refusal(data)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_cut_anywhere_is_refused(protocol):
    data = pickle.dumps(ROWS, protocol)
    for end in range(len(data)):
        assert refusal(data[:end]).startswith("rows.pkl: pickle: ")


def test_random_bytes_give_rows_or_a_refusal():
    chance = random.Random(7)
    for data in [pickle.dumps(ROWS * 2, protocol) for protocol in range(6)]:
        for _ in range(1500):
            changed = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            try:
                read(bytes(changed))
            except UserError:
                continue


def test_the_real_pickles_hold_as_many_records_as_their_log_says(realdata):
    folder = realdata / "babylm_alpaca"
    for name, count in [("babylm_augment/babylm_augment_0.pkl", 871), ("babylm_augment/babylm_augment_0_new.pkl", 871),
                        ("babylm_augment_gridsearch/babylm_augment_256-0.7-0.9-True_0.pkl", 32),
                        *((f"babylm_augment_samples/babylm_augment_m{n}_samples.pkl", 10) for n in (1, 2, 3))]:  # fmt: skip
        with (folder / name).open("rb") as stream:
            rows = list(read_pickle(stream, name))
        assert len(rows) == count
        assert all(isinstance(row, Row) and {"source", "text", "emotion", "augmented_text"} <= set(row.value) for row in rows)
