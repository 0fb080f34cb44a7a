"""Read files as rows, by their content: JSON Lines, a JSON array or values, CSV or TSV, text. A bad row costs that row only."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO, Literal

import orjson

from ...schemas.base.errors import Location, Problem, UserError
from . import bounded_lines as lines
from .compressed import FAULTS, bad_stream
from .contents import REFUSED, begins_like_a_chat, sniff, text_format
from .delimited import read_csv
from .delimiters import DELIMITERS, is_table, table_format
from .encodings import is_utf8
from .files import HEAD, SourceFile, is_about_data, open_source
from .json_items import MAX_DEPTH, JsonItem, TooDeep, WithoutComments, field_items, json_items
from .json_values import FAULTS as NOT_JSON
from .json_values import duplicate_key, parse_json
from .records import Drop, Row
from .table_process import rows_of
from .unpickle import read_pickle

MAX_EMPTY = 1000
_LONG_CHAT = 1 << 20  # bytes of the first line: others may be below it
_NOT_A_NUMBER = re.compile("Infinity|NaN")  # what Python's json writes
_GLOB = "name the files to read with a glob, such as FOLDER/**/*.txt"
SKIPPED_TEXT = "text, not a table: skipped"  # notes and logs next to the data in a folder
_row = partial(tuple.__new__, Row)  # twice as fast as Row(...)
Reader = Callable[[BinaryIO, str], Iterator[Row | Drop]]
Reads = Literal["values", "lines", "files"]
Picks = Callable[[bytes], Reads | Reader]


def read_file(file: SourceFile, reads: Reads | Picks) -> tuple[str, Iterator[Row | Drop]]:
    """Return what the file holds (for the manifest) and its rows. `reads` may depend on the file's first bytes."""
    kind, stream, reader = open_file(file, reads)
    return kind, _closing(stream, reader(stream, file.name))


def open_file(file: SourceFile, reads: Reads | Picks) -> tuple[str, BinaryIO, Reader]:
    """Return what the file holds, its open stream, and its reader. `reads` may return a reader of the converter's own.

    Raises UserError if no reader can read it.
    """
    stream = open_source(file.path, file.encoding)
    try:
        skip_lines(stream, file.skip_lines)
        head = stream.read(HEAD)
        if begins_like_a_chat(head):
            head += stream.readline(_LONG_CHAT) + stream.read(HEAD)
        stream.seek(0)
        skip_lines(stream, file.skip_lines)
        way = reads(head) if callable(reads) else reads
        kind = text_format(head) if way in ("lines", "files") else sniff(head)
        if kind == "text" and is_about_data(file):
            kind = SKIPPED_TEXT
        if kind in DELIMITERS and way == "values":
            kind = table_format(head, kind) if file.named or is_table(head, file.columns) else SKIPPED_TEXT
        if kind in REFUSED or (way == "values" and kind not in READERS):
            hint = "; or ".join(filter(None, (REFUSED.get(kind), "" if file.named else _GLOB)))
            raise UserError(Problem(file.name, f"holds {kind}, which cannot be read", hint, "unknown-format"))
        _refuse_idle(file, kind, way)
    except FAULTS as error:
        stream.close()
        raise bad_stream(file.name, error) from None
    except UserError:
        stream.close()
        raise
    if not isinstance(way, str):
        return kind, stream, way
    if kind in DELIMITERS:
        return kind, stream, partial(read_csv, delimiter=DELIMITERS[kind], columns=file.columns, first=file.skip_lines + 1)
    if file.field is not None:
        return "json", stream, partial(read_json, field=file.field)
    text = {"lines": read_lines, "files": read_whole}
    return kind, stream, READERS[kind] if way == "values" or kind == SKIPPED_TEXT else text[way] if kind == "text" else read_binary


def skip_lines(stream: BinaryIO, number: int) -> None:
    """Read that many lines, which are not part of a table."""
    for _ in range(number):
        stream.readline(HEAD)


def _refuse_idle(file: SourceFile, kind: str, way: Reads | Reader) -> None:
    """Raise UserError for settings of the source that have no effect on this file."""
    is_table, is_json = kind in DELIMITERS and way == "values", kind.startswith("json") and way == "values"
    settings = (
        ("columns", bool(file.columns), is_table, "a table without a header"),
        ("skip_lines", bool(file.skip_lines), is_table, "a table"),
        ("field", file.field is not None, is_json, "JSON"),
    )
    for name, is_set, is_used, form in settings:
        if is_set and not is_used and kind != SKIPPED_TEXT:
            what = f"{name} has no effect: the file is read as {kind}, not as {form}"
            raise UserError(Problem(file.name, what, "remove it", name.replace("_", "-")))
    if not is_utf8(file.encoding) and kind in _BINARY:
        raise UserError(Problem(file.name, f"encoding has no effect: the file is {kind}", "remove it", "encoding"))


def _closing(stream: BinaryIO, rows: Iterator[Row | Drop]) -> Iterator[Row | Drop]:
    """Yield the rows and close the file as soon as it is read: a source may be thousands of files."""
    with stream:
        yield from rows


def read_jsonl(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield one JSON value per line. Blank lines are skipped; a broken line is a drop."""
    return json_lines(lines.bounded_lines(stream, name), name)


def json_lines(found: Iterable[bytes], name: str, first: int = 1) -> Iterator[Row | Drop]:
    """Yield the lines' values; `first` is the number of the first line."""
    for number, line in enumerate(found, first):
        line = line.removeprefix(b"\xef\xbb\xbf")  # in the middle, too, where files were joined
        if line and not line.isspace():
            yield parsed_line(line, name, number)


def read_json(stream: BinaryIO, name: str, field: str | None = None) -> Iterator[Row | Drop]:
    """Yield the elements of an array, or consecutive values, in any layout; lines of `//` comments are skipped. If the file is one object,
    `field` is the key of the array.

    A trailing comma is allowed only if rows are commented out: the row that followed it may be one of them.
    Raises UserError for a long sequence of empty values or numbers, and for brackets that are opened without end: such a file is not data.
    """
    plain, empty = WithoutComments(stream), 0
    for item in _items(plain, name, field):
        row = Drop(Row(None, name, item.line), item.reason, item.fault) if item.fault else parsed_line(item.text, name, item.line)
        empty = empty + 1 if _is_empty(row, item.text) else 0
        if empty > MAX_EMPTY:
            what = f"more than {MAX_EMPTY:,} consecutive values are empty, or numbers"
            raise UserError(Problem(Location(name, item.line), what, "the file is damaged: write it again", "empty-values"))
        yield row


def _items(plain: WithoutComments, name: str, field: str | None) -> Iterator[JsonItem]:
    """Yield the values of a document. Raises UserError for one that is nested without end."""
    try:
        yield from json_items(plain, lambda: plain.found) if field is None else field_items(plain, field, lambda: plain.found)
    except TooDeep as error:
        what = f"more than {MAX_DEPTH:,} brackets are open"
        raise UserError(Problem(Location(name, error.line), what, "the file is damaged: write it again", "too-deep")) from None


def _is_empty(row: Row | Drop, text: bytes) -> bool:
    """Return whether no converter could make a record of the value."""
    return len(text) < 2 if isinstance(row, Drop) else not row.value or isinstance(row.value, int | float)


def parsed_line(text: bytes, name: str, line: int) -> Row | Drop:
    """Return the JSON value as a row, or the reason that it is none."""
    if len(text) > lines.MAX_LINE:
        return Drop(Row(None, name, line), "line_too_long", f"more than {lines.MAX_LINE >> 20} MB")
    try:
        value = parse_json(text)
        if (key := duplicate_key(text, value)) is not None:
            return Drop(Row(None, name, line), "duplicate_key", repr(key))
        return _row((value, name, line, 1))
    except NOT_JSON as error:
        return _not_utf8(text, name, line) or Drop(Row(None, name, line), "invalid_json", _why_invalid(text, error))


def _why_invalid(text: bytes, error: Exception) -> str:
    """Return what is wrong and in which column, which msgspec does not always say."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as found:
        name = _NOT_A_NUMBER.match(found.doc, found.pos)
        return f"column {found.colno}: {f'{name[0]} is not JSON: write null' if name else found.msg}"
    return str(error)


def _not_utf8(text: bytes, name: str, line: int) -> Drop | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return Drop(Row(None, name, line), "not_utf8", f"byte {error.start + 1}")
    return None


def read_lines(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield text lines without their line ends; blank ones too, because a converter may read them as paragraph breaks."""
    number = 0
    for line in lines.bounded_lines(stream, name, b"\r\n"):
        for text in line.rstrip(b"\r\n").split(b"\r"):  # lines of old Macs
            number += 1
            yield _text(text, name, number, number == 1, "line_too_long")


def read_whole(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield the whole text as one row."""
    yield _text(stream.read(lines.MAX_LINE + 1), name, 1, True, "text_too_long")


def _text(text: bytes, name: str, number: int, first: bool, too_long: str) -> Row | Drop:
    row = Row(None, name, number)
    if len(text) > lines.MAX_LINE:
        return Drop(row, too_long, f"more than {lines.MAX_LINE >> 20} MB")
    if b"\0" in text:
        return Drop(row, "nul_byte", f"byte {text.index(0) + 1}")
    try:
        return row._replace(value=text.decode("utf-8-sig" if first else "utf-8"))
    except UnicodeDecodeError as error:
        return Drop(row, "not_utf8", f"byte {error.start + 1}")


def read_binary(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield one drop for a binary file among texts, so that it is counted and listed."""
    yield Drop(Row(None, name, 1), "binary_file", "not text")


_BINARY: dict[str, Reader] = {"pickle": read_pickle, "parquet": partial(rows_of, "parquet"), "arrow": partial(rows_of, "arrow")}
READERS: dict[str, Reader] = {"jsonl": read_jsonl, "json": read_json, "json with comments": read_json, **_BINARY}
READERS |= {kind: partial(read_csv, delimiter=delimiter) for kind, delimiter in DELIMITERS.items()}
READERS |= {SKIPPED_TEXT: lambda stream, name: iter(())}
