"""Files are cut into batches that hold every line once, whatever the size."""

import gzip
import io
import json
import os
from hashlib import sha256

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.batches import SourceFiles, line_batches, numbered, row_batches
from recipekit.converters.reading import bounded_lines
from recipekit.converters.reading.file_hashes import Version
from recipekit.converters.reading.files import SourceFile, source_files
from recipekit.converters.reading.records import Drop, Row
from recipekit.converters.sources.registry import converter
from recipekit.schemas.base.errors import UserError

from ...support.chats import chat, chats
from ...support.jsonl import write_jsonl


def source(path, limit=None, size=1 << 20, name="messages"):
    return SourceFiles(source_files(str(path)), converter(name), limit, size)


def lines_of(batches):
    return [(batch.line + place, line) for batch in batches for place, line in enumerate(io.BytesIO(batch.lines))]


@given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=20), st.integers(1, 40), st.booleans())
def test_every_line_is_in_one_batch_with_its_number(lines, size, ended):
    text = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    found = lines_of(line_batches(io.BytesIO(text), "a", size))
    assert b"".join(line for _, line in found) == text
    assert [number for number, _ in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("size", [100, 1 << 20])
@pytest.mark.parametrize(
    ("name", "limit"), [("a.jsonl", None), ("a.jsonl", 2), ("a.jsonl.gz", None), ("empty.jsonl", None), ("one.json", None)]
)
def test_the_hash_of_a_file_is_that_of_its_bytes_however_it_was_read(tmp_path, monkeypatch, name, limit, size):
    monkeypatch.setattr(bounded_lines, "MAX_LINE", 300)  # a longer line is cut, and hashed whole
    text = b"\xef\xbb\xbf" + b"".join(orjson.dumps(row) + b"\n" for row in [*chats(4), chat("x" * 900), *chats(2)])
    contents = {"a.jsonl": text, "a.jsonl.gz": gzip.compress(text), "empty.jsonl": b"", "one.json": orjson.dumps(chats(3))}
    path = tmp_path / name
    path.write_bytes(contents[name])
    read = source(path, limit, size)
    for _ in read.batches():
        pass
    assert read.facts()[0]["sha256"] == sha256(contents[name]).hexdigest()
    assert read.facts()[0]["bytes"] == len(contents[name])
    assert list(read.hashes.values()) == ([sha256(text).hexdigest()] if (name, limit) == ("a.jsonl", None) else [])


def test_a_batch_has_its_line_numbers(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(10))
    batches = list(source(path, size=200).batches())
    assert len(batches) > 1
    assert str(batches[0]).startswith("lines 1 to ")
    assert str(batches[-1]).endswith("to 10 of a.jsonl")
    rows = [Row(1, "b", 4), Drop(Row(None, "b", 7), "x")]
    assert [str(batch) for batch in row_batches(rows, 5, lambda: 0, 100)] == ["rows 4 to 7 of b"]


def test_rows_on_one_line_are_numbered():
    rows = [Row(1, "a", 1), Row(2, "a", 1), Drop(Row(None, "a", 1), "x"), Row(3, "a", 2), Row(4, "a", 1)]
    found = list(numbered(rows))
    assert [(row.row if isinstance(row, Drop) else row).item for row in found] == [1, 2, 3, 1, 1]


def test_other_formats_come_as_rows(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1}, {"a": 2},\n {"a": 3}]')
    read = source(path, size=2048)
    batches = list(read.batches())
    assert [len(batch.rows) for batch in batches] == [2, 1]
    assert [(row.line, row.item) for batch in batches for row in batch.rows] == [(1, 1), (1, 2), (2, 1)]
    assert read.formats == {"a.json": "json"}
    assert read.handed_out == 2


def test_rows_that_are_long_come_in_smaller_batches(tmp_path):
    """Else a thousand rows of a megabyte each would be in memory at once."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(["x" * 300_000] * 20))
    sizes = [len(batch.rows) for batch in source(path).batches()]
    assert sum(sizes) == 20
    assert max(sizes) <= 8


def test_a_limit_counts_the_rows_that_can_be_read(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [chat("a"), b"broken\n", chat("b"), chat("c")])
    read = source(path, limit=2)
    rows = [row for batch in read.batches() for row in batch.rows]
    assert [type(row) for row in rows] == [Row, Drop, Row]
    assert list(source(path, limit=0).batches()) == []


def test_compressed_lines_are_batched_too(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}\n'))
    assert [line for _, line in lines_of(source(path).batches())] == [b'{"a": 1}\n', b'{"a": 2}\n']


def test_a_compressed_file_that_breaks_off_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"a": %d}\n' % n for n in range(200_000)))[:-200])
    with pytest.raises(UserError, match=r"a\.jsonl\.gz: cannot be read to its end"):
        list(source(path).batches())


@pytest.mark.parametrize("change", ["append", "replace", "rewrite and set the time back", "remove"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, change):
    path = write_jsonl(tmp_path / "a.jsonl", chats(3))
    read = source(path)
    list(read.batches())
    read.check_unchanged()
    before = path.stat()
    if change == "append":
        with path.open("ab") as stream:
            stream.write(b"\n")
    elif change == "replace":
        write_jsonl(tmp_path / "b.jsonl", chats(3)).replace(path)
    elif change == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"plus", b"less"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match="changed while it was read"):
        read.check_unchanged()


def test_a_version_is_equal_while_nothing_happens(tmp_path):
    file = SourceFile(write_jsonl(tmp_path / "a.jsonl", chats(1)), "a.jsonl")
    assert Version.of(file.path) == Version.of(file.path)
