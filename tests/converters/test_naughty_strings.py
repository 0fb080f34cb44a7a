"""Strings that break programs pass through a conversion byte for byte: as content, as a name in meta, as a file's name."""

import orjson
import pytest
from recipekit.converters.building.pipeline import build
from recipekit.schemas.sections import Data, Source, Split

from ..support.chats import chat
from ..support.jsonl import read_jsonl, write_jsonl

# Kinds of strings that have broken programs, written for this test.
NAUGHTY = [
    "undefined", "null", "NULL", "None", "nil", "NaN", "-Infinity", "true", "0", "-0", "1e309", "0x1F", "1_000", "1,000.5", "٣", "½", "²",
    "' OR 1=1 --", '"; DROP TABLE rows; --', "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "javascript:alert(1)",
    "{{ 7 * 7 }}", "${HOME}", "$(touch canary)", "`touch canary`", "; touch canary", "%s %n %d", "%00", "../../etc/passwd", "C:\\nul", "\\",
    "\\\\server\\share", "\\u0041", "\\n", '"', "'", "`", "''", '""', "|||", "<|im_end|>", "[INST]", "data: x", "# comment", "- item", "a: b",
    "\t", " leading", "trailing ", "\u00a0", "\u2028", "\u2029", "\u0085", "\u200b", "\u200d", "\ufeff", "\ufeffbom", "\u202egnol", "\u0000", "\u0007",
    "\u001b[31mred", "\x7f", "Z̸̡͎a̷̛l̴g̶o̷", "田中さん", "사회과학원", "مُنَاقَشَةُ", "الكل في المجمو عة", "ᚠᛇᚻ", "𝕋𝕙𝕖", "👩‍👩‍👧‍👦", "🇦🇹", "✋🏿", "1️⃣", "﷽",
    "e\u0301", "\u00e9", "ﬀ", "ß", "İ", "ſ", "\U0010ffff", "\ufffd", "\ufffe", "x" * 100_000, "=cmd|'/c calc'!A1", "+1", "@x",
]  # fmt: skip
BLANK = [text for text in NAUGHTY if not text.strip() or text in ("\ufeff",)]


def test_content_and_meta_round_trip(tmp_path):
    rows = [chat(f"{text}.", f"{text}!", note=text) for text in NAUGHTY]
    data = Data(
        "chat",
        (Source(str(write_jsonl(tmp_path / "a.jsonl", rows)), "messages", {"keep_meta": ["note"]}),),
        split=Split(0, 0),
        dedup="none",
    )
    manifest = build(data, tmp_path / "out")
    assert manifest["rows_kept"] == len(NAUGHTY)
    for text, row in zip(NAUGHTY, read_lines(tmp_path / "out" / "train.jsonl"), strict=True):
        assert [message["content"] for message in row["messages"]] == [f"{text}.", f"{text}!"]
        assert row["meta"]["note"] == text


def read_lines(path):
    """Split at line ends alone, not at what Python takes for them inside strings."""
    return [orjson.loads(line) for line in path.read_bytes().split(b"\n") if line]


def test_alone_they_are_kept_unless_they_are_blank(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [chat("q", text) for text in NAUGHTY])
    manifest = build(Data("chat", (Source(str(path), "messages"),), split=Split(0, 0), dedup="none", max_dropped=1), tmp_path / "out")
    kept = [row["messages"][1]["content"] for row in read_lines(tmp_path / "out" / "train.jsonl")]
    assert sorted(kept) == sorted(set(NAUGHTY) - set(BLANK))
    assert manifest["dropped"] == {"empty_content": len(BLANK)}


@pytest.mark.parametrize("text", [text for text in NAUGHTY if "/" not in text and "\0" not in text and len(text.encode()) < 240])
def test_odd_file_names_are_reported_unchanged(tmp_path, text):
    folder = tmp_path / "in"
    folder.mkdir()
    write_jsonl(folder / f"{text}.jsonl", [chat("q")])
    manifest = build(Data("chat", (Source(str(folder / f"{text}.jsonl"), "messages"),), split=Split(0, 0)), tmp_path / f"{text}.out")
    assert manifest["sources"][0]["files"][0]["name"] == f"{text}.jsonl"
    (row,) = read_jsonl(tmp_path / f"{text}.out" / "train.jsonl")
    assert (row["id"], row["meta"]["origin"]["file"]) == (f"{text}.jsonl:1", f"{text}.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in", f"{text}.out"]), "nothing was run"
