"""Detect what a file holds from its first bytes, never from its name."""

import io
import re

import orjson

from .json_items import COMMENT_LINE, json_items

# First bytes of formats other than text and JSON.
_MAGIC = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"), (b"\x80\x02", "pickle"),
          (b"\x80\x03", "pickle"), (b"\x80\x04", "pickle"), (b"\x80\x05", "pickle"), (b"(lp0\n", "pickle"),
          (b"(dp0\n", "pickle"), (b"]q\0", "pickle"), (b"}q\0", "pickle"), (b"PK\x03\x04", "a zip archive"),
          (b"PK\x05\x06", "a zip archive"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!\x1a\x07", "a rar archive"),
          (b"BZh", "bzip2 data"), (b"\xfd7zXZ\0", "xz data"), (b"\x1f\x8b", "gzip data inside gzip"),
          (b"SQLite format 3\x00", "a SQLite database"), (b"%PDF-", "a PDF document"),
          (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"), (b"\x28\xb5\x2f\xfd", "zstd data inside another"),
          (b"\xff\xfe\0\0", "UTF-32 text"), (b"\0\0\xfe\xff", "UTF-32 text"),
          (b"\xff\xfe", "UTF-16 text"), (b"\xfe\xff", "UTF-16 text"),
          (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer"))  # fmt: skip
_MAILBOX = re.compile(rb"From \S+.*\d{4}\r?\n[A-Z][\w-]*: ")
_SPEAKER = {"role", "from"}
_UNPACK = "unpack it and name the folder: archives are not unpacked here, because of links, paths and decompression bombs"
_AGAIN = "decompress it first; gzip and zstd can be read directly"
_OFFICE = (b"docProps/", b"_rels/.rels", b"[Content_Types].xml", b"application/vnd.oasis.opendocument")
_SAVE = "save a sheet as CSV (UTF-8), or a document as plain text, and use that file"
_ENCODE = "set encoding: {0} (--encoding {0}), or save it as UTF-8".format
# Files that are refused by every converter, with the hint.
REFUSED = {
    "an Office document (.xlsx, .docx, .ods)": _SAVE,
    "an old Office document": _SAVE,
    "a SQLite database": "export a table: sqlite3 -header -csv FILE 'SELECT * FROM TABLE' > rows.csv",
    "a PDF document": "convert it to text first, e.g. with pdftotext",
    "a zip archive": _UNPACK,
    "a tar archive": _UNPACK,
    "a 7z archive": _UNPACK,
    "a rar archive": _UNPACK,
    "bzip2 data": _AGAIN,
    "xz data": _AGAIN,
    "gzip data inside gzip": _AGAIN,
    "zstd data inside another": _AGAIN,
    "UTF-16 text": _ENCODE("utf-16"),
    "UTF-32 text": _ENCODE("utf-32"),
    "a mailbox (mbox)": "write the mails as a table, for example with a column for the question and one for the answer",
    "a Git LFS pointer": "fetch the actual file: git lfs pull",
}


def sniff(head: bytes) -> str:
    """Return jsonl, json, json with comments, csv, tsv, or the name of another format."""
    if kind := _other(head):
        return kind
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _is_chat_on_a_line(start):
        return "jsonl"
    if start[:1] in (b"[", b"/") and COMMENT_LINE.sub(b"", start).lstrip()[:1] == b"[":
        return "json with comments" if COMMENT_LINE.search(start) else "json"
    if start[:1] == b"{":
        line = start.split(b"\n", 1)[0].rstrip()
        if _parses(line):
            return "jsonl"
        # Several values on a line, or a bare \r between them, are JSON; a line that only resembles a value is a broken row.
        whole = line.endswith(b"}") and b"\r" not in line
        return "jsonl" if whole and not all(_parses(item.text) for item in json_items(io.BytesIO(line))) else "json"
    if _is_binary(head):
        return "binary"
    return "tsv" if b"\t" in start.split(b"\n", 1)[0] else "csv"


def begins_like_a_chat(head: bytes) -> bool:
    """Return whether the first line does not end in `head`, and begins as an array of messages does: more of it is needed to tell."""
    return head.startswith(b"[") and b"\n" not in head and any(b'"%b"' % key.encode() in head.partition(b"}")[0] for key in _SPEAKER)


def _is_chat_on_a_line(start: bytes) -> bool:
    """Return whether the first line is an array of messages, above others: each line is a row. Other arrays are lists of rows, joined."""
    line, _, rest = start.partition(b"\n")
    if not line.startswith(b"[") or rest.lstrip()[:1] != b"[" or not _parses(line):
        return False
    turns = orjson.loads(line)
    return bool(turns) and all(isinstance(turn, dict) and not _SPEAKER.isdisjoint(turn) for turn in turns)


def text_format(head: bytes) -> str:
    """Return `text`, `binary`, or a name in REFUSED."""
    kind = _other(head)
    return kind if kind in REFUSED else "binary" if kind or _is_binary(head) else "text"


def _other(head: bytes) -> str:
    if _MAILBOX.match(head):
        return "a mailbox (mbox)"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head.startswith(b"PK\x03\x04") and any(part in head for part in _OFFICE):
        return "an Office document (.xlsx, .docx, .ods)"
    if sorted((head[:4:2].count(0), head[1:4:2].count(0))) == [0, 2]:  # without a byte order mark
        return "UTF-16 text"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def _is_binary(head: bytes) -> bool:
    """Return whether the bytes are not text. Damaged text may have a few NULs, or a few bytes that are not UTF-8."""
    nulls = head.count(0)
    return nulls > 0 and (nulls * 16 > len(head) or head.decode(errors="replace").count("\ufffd") * 10 > len(head))


def _parses(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
