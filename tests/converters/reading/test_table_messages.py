"""What the reader of a table sends arrives as it was, in the forms that JSON has."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading import table_messages
from recipekit.converters.reading.records import Drop, Row
from recipekit.converters.reading.table_messages import End, Refused, Rows, received, send_refusal, send_rows
from recipekit.schemas.base.errors import Location, Problem, UserError

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def sent(rows, packed=1 << 20):
    pipe = io.BytesIO()
    send_rows(pipe, rows, "f", packed)
    pipe.seek(0)
    found = []
    while not isinstance(message := received(pipe), End):
        assert isinstance(message, Rows)
        found += message.items("f")
    assert pipe.read() == b""
    return found


@given(st.lists(VALUES, max_size=20))
def test_json_values_are_unchanged(values):
    rows = [Row(value, "f", line) for line, value in enumerate(values, 1)]
    assert sent(rows) == rows


OTHERS = {
    "a day": (date(2026, 11, 28), "2026-11-28"),
    "a moment": (datetime(2026, 11, 28, 7, 30, tzinfo=UTC), "2026-11-28T07:30:00+00:00"),
    "a time": (time(7, 30), "07:30:00"),
    "a span": (timedelta(days=1, seconds=2), "1 day, 0:00:02"),
    "an exact number": (Decimal("1.10"), "1.10"),
    "an identifier": (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "bytes that are text": ("naïve".encode(), "naïve"),
    "bytes that are none": (b"\x89PNG\xff", {"bytes": 5}),
    "pairs": ([("a", 1), ("b", 2)], [["a", 1], ["b", 2]]),
    "not a number": (float("nan"), None),
}


@pytest.mark.parametrize("name", OTHERS)
def test_values_without_a_json_form_get_one(name):
    value, plain = OTHERS[name]
    assert sent([Row({"key": value}, "f", 1)]) == [Row({"key": plain}, "f", 1)]


def test_a_row_that_cannot_be_sent_is_a_drop_and_the_others_arrive():
    deep = []
    for _ in range(1000):
        deep = [deep]
    found = sent([Row(1, "f", 1), Row({"x": object()}, "f", 2), Row(deep, "f", 3), Drop(Row(None, "f", 4), "why", "so"), Row(5, "f", 5)])
    assert [(row.line, row.value) for row in found if isinstance(row, Row)] == [(1, 1), (5, 5)]
    assert [(drop.row.line, drop.reason) for drop in found if isinstance(drop, Drop)] == [(2, "not_plain"), (3, "not_plain"), (4, "why")]


def test_a_row_that_is_too_long_is_a_drop(monkeypatch):
    monkeypatch.setattr(table_messages, "MAX_LINE", 100)
    (drop,) = sent([Row("x" * 101, "f", 1)])
    assert (drop.row.line, drop.reason) == (1, "line_too_long")


def test_the_problems_of_a_refusal_arrive():
    pipe = io.BytesIO()
    problems = [Problem(Location("f", 3, 4), "what", "hint", "rule"), Problem(Location("f"), "more")]
    send_refusal(pipe, UserError(*problems))
    pipe.seek(0)
    message = received(pipe)
    assert isinstance(message, Refused)
    assert message.error().problems == problems


@given(st.binary(max_size=200))
def test_malformed_messages_are_not_read(content):
    for data in (content, len(content).to_bytes(8, "little") + content):
        assert received(io.BytesIO(data)) is None or content.startswith(b"{")


def test_a_file_that_unpacks_to_far_more_than_it_holds_is_refused(monkeypatch):
    row = Row({"text": "x" * 1000}, "f", 1)
    monkeypatch.setattr(table_messages, "MAX_PACKED", 100)
    assert len(sent([row] * 200, packed=100)) == 200
    with pytest.raises(UserError, match="100 bytes unpack to more than 201 rows .*: refused as a decompression bomb"):
        sent([row] * 300, packed=100)
    monkeypatch.setattr(table_messages, "FREE_BYTES", 10_000)
    with pytest.raises(UserError, match="100 bytes unpack to more than 4. rows of 5.,... bytes"):
        sent([row] * 200, packed=100)
