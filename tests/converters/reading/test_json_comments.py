"""JSON with commented-out rows: lines that begin with // go, everything else stays as it is, in any block size."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.contents import sniff
from recipekit.converters.reading.files import SourceFile
from recipekit.converters.reading.json_items import COMMENT_LINE, WithoutComments
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.records import Drop


def strip(text: bytes, size: int = 1 << 20) -> bytes:
    stream = WithoutComments(io.BytesIO(text))
    found = b""
    while block := stream.read(size):
        found += block
    return found


REVIEWED = b"""[
    // {
    //     "instruction": "Describe a [recent] experience.",
    //     "output": "It's \\"fine\\"."
    // },
    {"instruction": "Where is she?", "output": "See https://example.org // here."},
    {"instruction": "Name a fruit.",
     "output": "A pear."}
    // {"instruction": "rejected", "output": ""}
]
"""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"// one\n[1]", b"\n[1]"),
        (b"[1, // not a whole line\n2]", b"[1, // not a whole line\n2]"),
        (b'["http://example.org"]', b'["http://example.org"]'),
        (b"[1,\n \t// two\n\n2]", b"[1,\n\n\n2]"),
        (b"[1]\n// the end", b"[1]\n"),
        (b"[1,\r\n// two\r\n2]", b"[1,\r\n\n2]"),
        (b"/ /", b"/ /"),
        (b"", b""),
    ],
)
def test_only_whole_lines_are_comments_and_line_ends_stay(text, left):
    for size in (1, 2, 3, 1 << 20):
        assert strip(text, size) == left


@given(st.text("/ \n\ta", max_size=40), st.integers(1, 8))
def test_any_block_size_gives_what_a_regular_expression_gives_on_the_whole(text, size):
    assert strip(text.encode(), size) == COMMENT_LINE.sub(b"", text.encode())


def test_a_comment_longer_than_a_block_goes_entirely():
    assert strip(b"[1,\n//" + b"x" * 100_000 + b"\n2]", 100) == b"[1,\n\n2]"


def rows(tmp_path, text: bytes):
    path = tmp_path / "reviewed.json"
    path.write_bytes(text)
    kind, found = read_file(SourceFile(path, path.name), "values")
    return kind, list(found)


def test_rows_keep_their_lines_and_the_manifest_says_what_was_found(tmp_path):
    kind, found = rows(tmp_path, REVIEWED)
    assert kind == "json with comments"
    assert [(row.line, row.value["output"]) for row in found] == [(6, "See https://example.org // here."), (7, "A pear.")]


def test_comments_in_later_blocks_are_skipped(tmp_path):
    many = b",\n".join(b'{"n": %d}' % n for n in range(20_000))
    kind, found = rows(tmp_path, b"[" + many + b",\n// {},\n{}]")
    assert (kind, len(found)) == ("json", 20_001)
    assert not any(isinstance(row, Drop) for row in found)


@pytest.mark.parametrize(
    ("head", "kind"), [(b"// by hand\n[\n{}]", "json with comments"), (b'["// no"]', "json"), (b"/etc/passwd,1", "csv"), (b"[]", "json")]
)
def test_a_file_is_recognised_by_its_comment_lines(head, kind):
    assert sniff(head) == kind


def test_the_reviewed_file_keeps_2053_rows(realdata):
    path = realdata / "babylm_alpaca/history/emotion_alpaca_5_human_reviewed.json"
    kind, found = read_file(SourceFile(path, path.name), "values")
    text = COMMENT_LINE.sub(b"", path.read_bytes())
    assert [row.value for row in found if not isinstance(row, Drop)] == json.loads(text)
    assert (kind, len(json.loads(text))) == ("json with comments", 2053)
