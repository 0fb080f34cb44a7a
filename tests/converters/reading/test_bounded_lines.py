"""A line longer than the limit is cut, every other line is whole, and memory stays within the limit."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading import bounded_lines as module
from recipekit.converters.reading.bounded_lines import BoundedLines, bounded_lines


class Slow(io.BytesIO):
    """Gives a few bytes at a time, as a slow disk or a decompressor does."""

    def read(self, size=-1):
        return super().read(min(size, 64))


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE", 100)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("stream", [io.BytesIO, Slow])
def test_a_line_beyond_the_limit_is_cut_and_the_others_are_whole(stream, monkeypatch):
    monkeypatch.setattr(module, "READ_BYTES", 64)
    text = b"a\n" + b"x" * 5000 + b"\nb\n" + b"y" * 5000
    found = list(bounded_lines(stream(text)))
    assert len(found) == 4
    assert (found[0], found[2]) == (b"a\n", b"b\n")
    assert 100 < len(found[1]) < 300
    assert 100 < len(found[3]) < 300


@pytest.mark.usefixtures("short")
def test_a_cut_line_is_never_valid_json():
    found = BoundedLines(io.BytesIO(b"{}" + b" " * 300 + b"this would be lost\n{}\n"))
    lines = b"".join(iter(lambda: found.read(64), b"")).splitlines()
    assert len(lines) == 2
    assert b"\0" in lines[0]
    assert lines[1] == b"{}"


@pytest.mark.usefixtures("short")
def test_lines_may_end_in_a_bare_carriage_return():
    text = b"\r".join([b"a" * 40] * 10) + b"\n" + b"b" * 40
    stream = BoundedLines(io.BytesIO(text), b"\r\n")
    assert b"".join(iter(lambda: stream.read(16), b"")) == text


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 100))
def test_lines_within_the_limit_pass_unchanged(lengths, size):
    text = b"".join(b"x" * length + b"\n" for length in lengths)
    stream = BoundedLines(io.BytesIO(text))
    assert b"".join(iter(lambda: stream.read(size), b"")) == text


@given(st.lists(st.binary(max_size=300).map(lambda b: b.replace(b"\n", b" ")), max_size=8), st.integers(1, 80))
def test_there_are_as_many_lines_as_without_a_cap(lines, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_LINE", 100)
        stream = BoundedLines(io.BytesIO(b"\n".join(lines)))
        found = b"".join(iter(lambda: stream.read(size), b"")).split(b"\n")
    assert len(found) == max(len(lines), 1)
    assert all(line == whole if len(whole) <= 100 else len(line) > 100 for line, whole in zip(found, lines, strict=False))
