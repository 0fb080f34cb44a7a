"""What a file holds is recognised by its first bytes."""

import gzip
import io
import tarfile
import zipfile

import pytest
from recipekit.converters.reading.contents import sniff, text_format


def archive(kind):
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr(zipfile.ZipInfo("rows.jsonl"), "{}")  # of no hour: the tests are named by their bytes
    else:
        with tarfile.open(fileobj=buffer, mode="w") as file:
            info = tarfile.TarInfo("rows.jsonl")
            info.size = 3
            file.addfile(info, io.BytesIO(b"{}\n"))
    return buffer.getvalue()


HEADS = [
    (b'{"a": 1}\n{"a": 2}\n', "jsonl"),
    (b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}', "jsonl"),
    (b'{"a": 1, broken}\n{"a": 2}\n', "jsonl"),
    (b'{\n  "a": 1\n}\n', "json"),
    (b'{"a": 1}\r{"a": 2}\r', "json"),
    (b'{"a": 1} {"a": 2}', "json"),
    (b'[{"a": 1}]', "json"),
    (b"\n\n  [1]", "json"),
    (b'// note\n[{"a": 1}]', "json with comments"),
    (b"a,b\n1,2\n", "csv"),
    (b"a\tb\n1\t2\n", "tsv"),
    (b"", "csv"),
    (b"a,b\n1,\0\n2,3\n" + b"4,5\n" * 20, "csv"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
    ("a,b\n".encode("utf-16"), "UTF-16 text"),
    ("a,b\n".encode("utf-32"), "UTF-32 text"),
    ("a,b\n".encode("utf-16-be"), "UTF-16 text"),
    ("a,b\n".encode("utf-16-le"), "UTF-16 text"),
    (archive("zip"), "a zip archive"),
    (archive("tar"), "a tar archive"),
    (gzip.compress(b"twice", mtime=0), "gzip data inside gzip"),
    (b"\x80\x04]\x94.", "pickle"),
    (b"PAR1", "parquet"),
]


@pytest.mark.parametrize(("head", "kind"), HEADS, ids=[repr(head[:20]) for head, _ in HEADS])
def test_a_file_is_recognised_by_its_first_bytes(head, kind):
    assert sniff(head) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"Some words.\n", "text"),
        (b'{"a": 1}\n', "text"),
        ("文字".encode("gb18030"), "text"),
        (b"one\0hole in a long text " + b"x" * 100, "text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (b"PAR1\0\0", "binary"),
        (archive("tar"), "a tar archive"),
    ],
)
def test_texts_are_distinguished_from_what_is_none(head, kind):
    assert text_format(head) == kind


def test_a_character_cut_at_the_end_of_the_head_does_not_make_a_text_binary():
    head = ("a hole \0 " + "字" * 40).encode()
    assert text_format(head[:-1]) == "text"
