"""Files -> rows, by what the file holds: JSON Lines, a JSON array or values, CSV or TSV, text. One bad row costs that row only."""

import csv
import io
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal

import orjson

from ..schemas.errors import Mark, Problem, UserError
from .files import SourceFile, open_source
from .json_comments import COMMENT_LINE, WithoutComments
from .json_items import json_items
from .records import Drop, Row
from .unpickle import read_pickle

HEAD = 1 << 16
MAX_LINE = 64 << 20
Reader = Callable[[BinaryIO, str], Iterator[Row | Drop]]
Reads = Literal["values", "lines", "files"]


def read_file(file: SourceFile, reads: Reads | Callable[[bytes], Reads]) -> tuple[str, Iterator[Row | Drop]]:
    """What the file holds (for the manifest) and its rows. `reads` may depend on the file's first bytes."""
    kind, stream, reader = open_file(file, reads)
    return kind, _closing(stream, reader(stream, file.name))


def open_file(file: SourceFile, reads: Reads | Callable[[bytes], Reads]) -> tuple[str, BinaryIO, Reader]:
    """What the file holds, its open stream, and what reads rows from that."""
    stream = open_source(file.path)
    if callable(reads):
        reads = reads(_head(stream, file.path.name))
    if reads == "lines":
        return "text", stream, read_lines
    if reads == "files":
        return "text", stream, read_whole
    kind = sniff(_head(stream, file.path.name))
    if kind not in READERS:
        stream.close()
        raise UserError(Problem(Mark(file.name), f"holds {kind}, which no reader here can read", rule="unknown-format"))
    return kind, stream, READERS[kind]


def _closing(stream: BinaryIO, rows: Iterator[Row | Drop]) -> Iterator[Row | Drop]:
    """The rows; a source may be thousands of files, so each is closed as soon as it is read."""
    with stream:
        yield from rows


def _head(stream: BinaryIO, name: str) -> bytes:
    try:
        head = stream.read(HEAD)
        stream.seek(0)
    except (OSError, EOFError) as error:
        raise UserError(Problem(Mark(name), f"cannot be decompressed: {error}", rule="unreadable")) from None
    return head


def sniff(head: bytes) -> str:
    """What a file holds, told by its first bytes: jsonl, json, csv, tsv, text, or the name of something else."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"[", b"/") and COMMENT_LINE.sub(b"", start).lstrip()[:1] == b"[":
        return "json with comments" if COMMENT_LINE.search(start) else "json"
    if start[:1] == b"{":
        line = start.split(b"\n", 1)[0]
        return "jsonl" if _parses(line) or line.rstrip().endswith(b"}") else "json"
    if b"\0" in head:
        return "binary"
    return "tsv" if b"\t" in start.split(b"\n", 1)[0] else "csv"


_MAGIC = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"), (b"\x80\x02", "pickle"),
          (b"\x80\x03", "pickle"), (b"\x80\x04", "pickle"), (b"\x80\x05", "pickle"), (b"(lp0\n", "pickle"),
          (b"(dp0\n", "pickle"), (b"]q\0", "pickle"), (b"}q\0", "pickle"))  # fmt: skip


def _parses(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def read_jsonl(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """One JSON value a line. Blank lines are skipped; a broken line is a drop."""
    for number, line in enumerate(stream, 1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.isspace():
            continue
        yield parsed_line(line, name, number)


def read_json(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """The elements of an array, or values that follow each other, in any layout; lines of `//` comments are passed over."""
    for item in json_items(WithoutComments(stream), name):
        if item.fault:
            yield Drop(Row(None, name, item.line), "invalid_json", item.fault)
        else:
            yield parsed_line(item.text, name, item.line)


def parsed_line(text: bytes, name: str, line: int) -> Row | Drop:
    """The JSON value as a row, or why it is none."""
    try:
        return Row(orjson.loads(text), name, line)
    except orjson.JSONDecodeError as error:
        what = "not UTF-8" if "utf-8" in str(error).lower() or "utf8" in str(error).lower() else error.msg
        return Drop(Row(None, name, line), "invalid_json", f"column {error.colno}: {what}")


def read_csv(stream: BinaryIO, name: str, delimiter: str = ",") -> Iterator[Row | Drop]:
    """Rows of a table with a header, as mappings. `line` is the row's first physical line."""
    csv.field_size_limit(min(sys.maxsize, MAX_LINE))
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        header = next(reader, [])
        if len(set(header)) != len(header):
            raise UserError(Problem(Mark(name, 1), "the header has the same column twice", "rename one of them", "csv-header"))
        line = reader.line_num + 1
        for cells in reader:
            row = Row(dict(zip(header, cells, strict=False)), name, line)
            line = reader.line_num + 1
            if len(cells) == len(header):
                yield row if _is_text(cells) else Drop(row, "not_utf8")
            elif cells:
                yield Drop(row, "ragged_row", f"{len(cells)} cells under a header of {len(header)}")
    except csv.Error as error:
        yield Drop(Row(None, name, line), "invalid_csv", str(error))
    finally:
        text.detach()


def _is_text(cells: list[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_tsv(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """As read_csv, with tabs."""
    return read_csv(stream, name, "\t")


def read_lines(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Text lines without their line ends; blank ones too, since a converter may read them as paragraph ends."""
    for number, line in enumerate(stream, 1):
        try:
            yield Row(line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8"), name, number)
        except UnicodeDecodeError as error:
            yield Drop(Row(None, name, number), "not_utf8", f"byte {error.start + 1}")


def read_whole(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """The whole text as one row."""
    try:
        yield Row(stream.read().decode("utf-8-sig"), name, 1)
    except UnicodeDecodeError as error:
        yield Drop(Row(None, name, 1), "not_utf8", f"byte {error.start + 1}")


READERS: dict[str, Reader] = {"jsonl": read_jsonl, "json": read_json, "csv": read_csv, "tsv": read_tsv}
READERS |= {"json with comments": read_json, "pickle": read_pickle}
