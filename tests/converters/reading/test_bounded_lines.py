"""A line longer than the limit is cut, every other line is whole, and memory stays within the limit."""

import io
from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading import bounded_lines as module
from recipekit.converters.reading.bounded_lines import BoundedLines, bounded_lines
from recipekit.schemas.base.errors import UserError


class Slow(io.BytesIO):
    """Gives a few bytes at a time, as a slow disk or a decompressor does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(-1 if size is None else size, 64))


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE", 100)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("stream", [io.BytesIO, Slow])
def test_a_line_beyond_the_limit_is_cut_and_the_others_are_whole(stream, monkeypatch):
    monkeypatch.setattr(module, "READ_BYTES", 64)
    text = b"a\n" + b"x" * 5000 + b"\nb\n" + b"y" * 5000
    found = list(bounded_lines(stream(text), "f"))
    assert len(found) == 4
    assert (found[0], found[2]) == (b"a\n", b"b\n")
    assert 100 < len(found[1]) < 300
    assert 100 < len(found[3]) < 300


@pytest.mark.usefixtures("short")
def test_a_cut_line_is_never_valid_json():
    found = BoundedLines(io.BytesIO(b"{}" + b" " * 300 + b"this would be lost\n{}\n"), "f")
    lines = b"".join(iter(lambda: found.read(64), b"")).splitlines()
    assert len(lines) == 2
    assert b"\0" in lines[0]
    assert lines[1] == b"{}"


@pytest.mark.usefixtures("short")
def test_lines_may_end_in_a_bare_carriage_return():
    text = b"\r".join([b"a" * 40] * 10) + b"\n" + b"b" * 40
    stream = BoundedLines(io.BytesIO(text), "f", b"\r\n")
    assert b"".join(iter(lambda: stream.read(16), b"")) == text


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 100))
def test_lines_within_the_limit_pass_unchanged(lengths, size):
    text = b"".join(b"x" * length + b"\n" for length in lengths)
    stream = BoundedLines(io.BytesIO(text), "f")
    assert b"".join(iter(lambda: stream.read(size), b"")) == text


@given(st.lists(st.binary(max_size=300).map(lambda b: b.replace(b"\n", b" ")), max_size=8), st.integers(1, 80))
def test_there_are_as_many_lines_as_without_a_cap(lines, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_LINE", 100)
        stream = BoundedLines(io.BytesIO(b"\n".join(lines)), "f")
        found = b"".join(iter(lambda: stream.read(size), b"")).split(b"\n")
    assert len(found) == max(len(lines), 1)
    assert all(line == whole if len(whole) <= 100 else len(line) > 100 for line, whole in zip(found, lines, strict=False))


EQUAL = {"blank": b"\n", "blanks": b"  \r\n", "objects": b"{}\n", "digits": b"0\n", "empty cells": b",,,\n", "of old Macs": b"x\r"}


@pytest.mark.parametrize("line", EQUAL.values(), ids=EQUAL)
def test_a_line_that_is_repeated_without_end_is_refused(monkeypatch, line):
    monkeypatch.setattr(module, "MAX_EQUAL", 1000)
    monkeypatch.setattr(module, "READ_BYTES", 256)
    stream = bounded_lines(io.BytesIO(b'{"a": 1}' + line + line * 5000), "f", b"\r\n")
    with pytest.raises(UserError, match="more than 1,000 lines in a row are") as refused:
        while stream.read(64):
            assert stream.raw.equal <= 1000
    assert refused.value.problems[0].location.file == "f"


@pytest.mark.parametrize("line", EQUAL.values(), ids=EQUAL)
def test_as_many_equal_lines_as_a_sheet_has_are_read(line):
    text = line * ((1 << 20) - 1) + b"a word" + line * 1000
    assert bounded_lines(io.BytesIO(text), "f", b"\r\n").read() == text


@given(st.lists(st.tuples(st.sampled_from([b"", b"a", b"ab", b"aa", b" ", b"b\ra"]), st.integers(1, 30)), max_size=12), st.integers(2, 40))
def test_fewer_equal_lines_pass_unchanged(runs, size):
    merged = [(line, sum(count for _, count in group)) for line, group in groupby(runs, itemgetter(0))]
    text = b"".join((line + b"\n") * count for line, count in merged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_EQUAL", max((count for _, count in merged), default=0) + 1)
        stream = BoundedLines(io.BytesIO(text), "f")
        assert b"".join(iter(lambda: stream.read(size), b"")) == text
