"""Text in any encoding is read where the source declares it; elsewhere the error says what it may be."""

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.encodings import as_utf8, encoding_hint
from recipekit.converters.reading.files import SourceFile, keys_for
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.records import Drop
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Source

TEXTS = {
    "cp1252": "She said “déjà vu” – à l'hôtel, über Straße",
    "cp1251": "Привет, как дела? Всё хорошо, спасибо большое",
    "koi8_r": "Привет, как дела? Всё хорошо, спасибо большое",
    "gb18030": "今天天气很好，我们去公园散步吧。你觉得怎么样？",
    "big5": "今天天氣很好，我們去公園散步吧。你覺得怎麼樣？",
    "shift_jis": "今日はとても良い天気です。公園に行きましょう。",
    "cp949": "오늘은 날씨가 좋아요. 공원에 갑시다.",
    "cp1253": "Καλημέρα, τι κάνεις σήμερα;",
}


def rows(path, reads="values", **declared):
    return list(read_file(SourceFile(path, path.name, **declared), reads)[1])


@pytest.mark.parametrize("encoding", [*TEXTS, "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "iso2022_jp"])
def test_tables_json_and_text_are_read_in_their_encoding(tmp_path, encoding):
    text = TEXTS.get(encoding, "今日は, café" if encoding != "iso2022_jp" else "今日は")
    (tmp_path / "a.csv").write_bytes(f'text,n\n"{text}",1\n'.encode(encoding))
    (tmp_path / "a.jsonl").write_bytes(f'{{"text": "{text}"}}\n'.encode(encoding))
    (tmp_path / "a.txt").write_bytes(gzip.compress(f"{text}\n".encode(encoding)))
    assert rows(tmp_path / "a.csv", encoding=encoding)[0].value == {"text": text, "n": "1"}
    assert rows(tmp_path / "a.jsonl", encoding=encoding)[0].value == {"text": text}
    assert rows(tmp_path / "a.txt", "lines", encoding=encoding)[0].value == text


@given(st.text(), st.sampled_from(["utf-16", "utf-32-be", "gb18030", "utf-7"]), st.integers(1, 9))
def test_a_transcoded_stream_gives_the_text_in_pieces_of_any_size(text, encoding, size):
    text = text.encode("utf-8", "ignore").decode()
    stream = as_utf8(io.BytesIO(text.encode(encoding)), encoding, "f").detach()
    for _ in range(2):
        assert b"".join(iter(lambda: stream.read(size), b"")).decode() == text.encode(encoding).decode(encoding)
        stream.seek(0)


@pytest.mark.parametrize("encoding", ["cp1252", "koi8_r", "gb18030", "shift_jis"])
def test_utf8_that_is_declared_as_another_encoding_is_refused(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("text,n\n" + "Straße und Gerät,1\n" * 5, "utf-8")
    with pytest.raises(UserError, match=f"a.csv: is UTF-8, not {encoding}"):
        rows(tmp_path / "a.csv", encoding=encoding)
    assert keys_for(tmp_path / "a.csv", Source("", "", encoding=encoding))["encoding"] == "utf-8"


@pytest.mark.parametrize(("text", "encoding"), [("Gerät", "cp1252"), ("plain", "cp1252"), ("联通", "gb18030"), ("漢字" * 20, "utf-16-le")])
def test_a_text_of_another_encoding_is_not_taken_for_utf8(tmp_path, text, encoding):
    (tmp_path / "a.csv").write_bytes(f"text,n\n{text},1\n".encode(encoding))
    assert keys_for(tmp_path / "a.csv", Source("", "", encoding=encoding))["encoding"] == encoding
    assert rows(tmp_path / "a.csv", encoding=encoding)[0].value == {"text": text, "n": "1"}


def test_bytes_that_are_not_in_the_declared_encoding_stop_with_their_place(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + b"x,y\n" * 40_000 + b"\x81,2\n")
    with pytest.raises(UserError, match=r"a.csv: byte 160,005 \(0x81\) is not cp1252"):
        rows(tmp_path / "a.csv", encoding="cp1252")


@pytest.mark.parametrize("encoding", TEXTS)
def test_the_hint_names_the_encoding_and_shows_how_the_text_reads(encoding):
    pytest.importorskip("charset_normalizer")
    rows = "".join(f"{number},{TEXTS[encoding]}\n" for number in range(3))
    hint = encoding_hint(io.BytesIO(f"id,text\n{rows}".encode(encoding)))
    assert hint.startswith("set encoding") and f"{encoding} if " in hint and TEXTS[encoding][:3] in hint


def test_a_text_that_is_cut_or_ends_in_a_block_is_still_searched():
    pytest.importorskip("charset_normalizer")
    text = b"plain english, line after line\n" * 10_000 + "à l'hôtel\n".encode("cp1252")
    assert "'à l'hôtel'" in encoding_hint(io.BytesIO(text)).replace('"', "'") and "cp1252" in encoding_hint(io.BytesIO(text))


def test_damaged_utf8_is_not_taken_for_another_encoding():
    text = "今天天气很好，我们去公园散步吧。\n".encode() * 20 + b"\xff\xfe\n"
    assert encoding_hint(io.BytesIO(text)) == "nearly all of the file is UTF-8: fix the damaged bytes"


def test_unused_encoding_and_columns_are_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and more")
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(UserError, match="columns has no effect: the file is read as jsonl"):
        rows(tmp_path / "a.jsonl", columns=("a",))
    with pytest.raises(UserError, match="columns has no effect: the file is read as text"):
        rows(tmp_path / "a.csv", "lines", columns=("a", "b"))
    with pytest.raises(UserError, match="encoding has no effect: the file is parquet"):
        rows(tmp_path / "a.parquet", encoding="latin-1")


def test_json_that_is_not_utf8_is_named_as_such(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"a": 1}\n{"a": "é"}\n'.encode("cp1252"))
    (tmp_path / "a.json").write_bytes('[{"a": 1},\n{"a": "é"}]\n'.encode("cp1252"))
    for name in ("a.jsonl", "a.json"):
        found = rows(tmp_path / name)[-1]
        assert isinstance(found, Drop) and (found.reason, found.detail) == ("not_utf8", "byte 8")
