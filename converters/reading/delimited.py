"""Read tables of delimiter-separated values as rows. An invalid row costs that row only, even one with an unclosed quote."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from ...schemas.base.counted import counted
from ...schemas.base.errors import Location, Problem, UserError
from .bounded_lines import bounded_lines
from .encodings import encoding_hint
from .records import Drop, Row

MAX_ROW = 16 << 20  # characters; a longer row is nearly always an unclosed quote, and csv needs four bytes per character
MAX_COLUMNS = 10_000
NO_HEADER = "if the table has no header, name its columns in the source: columns: [text, label] (--column text --column label)"
_RARE_IN_TEXT = "\t|"  # commas and semicolons are common in text: they do not indicate a second row
# A second row of nothing but these, units in brackets, or rules (---) describes the columns.
_TYPES = {
    *("str", "string", "text", "object", "char", "varchar", "nvarchar", "category", "bool", "boolean"),
    *("int", "uint", "integer", "bigint", "smallint", "tinyint", "float", "double", "real", "numeric", "number", "decimal"),
    *("date", "datetime", "time", "timestamp"),
}
# How surveys describe their columns in lines below the header.
_QUALTRICS, _SURVEYMONKEY = '{"ImportId":', "open-ended response"
_UNIT_OR_RULE = re.compile(r"[\[(][^\[\]()]{1,12}[\])]|:?-{2,}:?|")
_QUOTED_AFTER_A_BLANK = re.compile(r'\s+".*"\s*', re.DOTALL)
# Lines inside a cell read like rows if nearly all have as many delimiters as the table, and at least so many in all.
ALIKE, SURE, SURE_OF_COMMAS = 0.9, 3, 10
REREAD = 256 << 20  # characters: the limit on reading the lines after unclosed quotes again
_CONTRADICTIONS = (("needless", "bare", "is not"), ("spanning", "inner", "has a quote of its own"))


def read_csv(stream: BinaryIO, name: str, delimiter: str = ",", columns: tuple[str, ...] = (), first: int = 1) -> Iterator[Row | Drop]:
    """Yield the rows of a table as mappings, by its header, or by `columns` if it has none. `line` is the row's first physical line;
    the stream begins at the line `first` of the file.

    Raises UserError for an invalid header, and for `columns` that repeat the file's own header.
    """
    csv.field_size_limit(4 * MAX_ROW)  # _Lines refuses such a row before csv would
    text = io.TextIOWrapper(bounded_lines(stream, name, b"\r\n"), encoding="utf-8-sig", errors="surrogateescape", newline="")
    lines = _Lines(text, first)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = [*columns] or _header(reader, Location(name, first), stream)
    names = _names(header)
    is_first, quoting = not columns, Quoting(delimiter) if len(header) == 1 else None
    while True:
        lines.next_row()
        try:
            cells = next(reader, None)
            if len(lines.row) > 1 and len(header) > 1:
                _refuse_swallowed(lines, delimiter, len(header))
            elif cells and f'{delimiter} "' in lines.row[0] and any(map(_QUOTED_AFTER_A_BLANK.fullmatch, cells)):
                raise _BadLines("ambiguous_quotes", f'a blank before a quote makes it part of the text: write {delimiter}" without it')
            elif cells and quoting and (fault := quoting.fault(cells[0], lines.row, lines.first)):
                raise _BadLines("ambiguous_quotes", fault)
        except (csv.Error, _BadLines) as error:
            yield Drop(Row(None, name, lines.first), *_why(error, lines))
            for line in lines.give_back():
                yield Drop(Row(None, name, line), "invalid_csv", "inside a broken row; too many broken rows to read each line again")
            continue
        if cells is None:
            return
        if cells:
            if columns and lines.first == first:
                _refuse_header(cells, columns, Location(name, first))
            row = _row(cells, header, names, name, lines.first)
            yield _no_types(row, cells) if is_first else row
            is_first = False


def _why(error: Exception, lines: "_Lines") -> tuple[str, str]:
    """Return what is wrong with the current row, as a drop's reason and detail."""
    if isinstance(error, _BadLines):
        return error.reason, str(error)
    escaped = any('\\"' in line for line in lines.row)
    return "invalid_csv", f'{error}; a quote within a cell is written "", not \\"' if escaped else str(error)


def _refuse_swallowed(lines: "_Lines", delimiter: str, columns: int) -> None:
    """Raise _BadLines where the lines of a row read like rows: then its quotes are the text's own, and took others in."""
    is_each_a_row = delimiter in _RARE_IN_TEXT and all(line.count(delimiter) == columns - 1 for line in lines.row)
    if is_each_a_row or _read_like_rows(lines.row[1:-1], delimiter, columns):
        last = lines.first + len(lines.row) - 1
        what = f'its quote ends in line {last}, and the lines between read like rows; write a quote of the text as ""'
        raise _BadLines("ambiguous_quotes", what)


def _read_like_rows(lines: list[str], delimiter: str, columns: int) -> bool:
    within = [line for line in lines if not line.isspace()]
    if len(within) * (columns - 1) < (SURE_OF_COMMAS if delimiter == "," else SURE):
        return False
    return sum(len(cells) == columns for cells in csv.reader(within, delimiter=delimiter)) >= ALIKE * len(within)


def _refuse_header(cells: list[str], columns: tuple[str, ...], place: Location) -> None:
    """Raise UserError if the first row is the header that `columns` repeats: it would become a row of data."""
    if [cell.strip().lower() for cell in cells] == [column.strip().lower() for column in columns]:
        raise UserError(Problem(place, "the first row is a header with the names in columns", "remove columns", "csv-header"))


def _names(header: list[str]) -> list[str]:
    """Return the names of the columns; one that has none is named by its number."""
    return [name or f"column {number}" for number, name in enumerate(header, 1)]


def _row(cells: list[str], header: list[str], names: list[str], name: str, line: int) -> Row | Drop:
    if len(cells) != len(header):
        return Drop(Row(None, name, line), "ragged_row", f"{counted(len(cells), 'cell')}, {counted(len(header), 'column')}")
    if fault := _text_fault(cells):
        return Drop(Row(None, name, line), fault)
    if cells[-1] == header[-1] and len(cells) > 1 and cells[1:] == header[1:] and cells[0].removeprefix("\ufeff") == header[0]:
        return Drop(Row(None, name, line), "repeated_header", "files were joined: remove the line")
    if cells[0].startswith(_QUALTRICS):
        what = "the line has Qualtrics' ids of the questions, not data: remove it, and the questions' texts in the line above it"
        return Drop(Row(None, name, line), "type_row", what)
    value = dict(zip(names, cells, strict=True))
    if "" in header:  # an unnamed column has what its cells hold, and no more
        value = {key: cell for key, cell, named in zip(names, cells, header, strict=True) if named or cell.strip()}
    return Row(value, name, line)


def _no_types(row: Row | Drop, cells: list[str]) -> Row | Drop:
    """Return the first row, or a drop if its cells describe the columns: it would be trained."""
    described = [cell.strip().lower() for cell in cells]
    is_type = [cell.rstrip("0123456789()") in _TYPES or _UNIT_OR_RULE.fullmatch(cell) is not None for cell in described]
    if isinstance(row, Row) and len(cells) > 1 and (all(is_type) and any(described) or _SURVEYMONKEY in described):
        return Drop(row._replace(value=None), "type_row", "the line has types or units of the columns, not data: remove it")
    return row


def _text_fault(cells: list[str]) -> str:
    text = "".join(cells)
    if "\0" in text:
        return "nul_byte"
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not_utf8"
    return ""


def _header(reader: Iterator[list[str]], place: Location, stream: BinaryIO) -> list[str]:
    header: list[str] = []
    hint = ""
    try:
        header = [name.lstrip("\ufeff") for name in next(reader, [])]  # of two byte order marks, one is left
        what = "the header has the same column twice" if len({*_names(header)}) != len(header) else ""
        hint = f"rename one of them; {NO_HEADER}" if what else ""
        if fault := _text_fault(header):
            what = "the header is not UTF-8" if fault == "not_utf8" else "the header has a NUL byte"
            hint = encoding_hint(stream) if fault == "not_utf8" else "is this a table?"
        if header and header[0].startswith("sep="):
            what, hint = "the first line is Excel's separator, not a header", f"set skip_lines: {place.line or 1} in the source"
        if len(header) > MAX_COLUMNS:
            what, hint = f"the header has {len(header):,} columns; at most {MAX_COLUMNS:,} are read", "is this a table?"
    except (csv.Error, _BadLines) as error:
        what = f"the header cannot be read: {error}"
    if what:
        raise UserError(Problem(place, what, hint, "csv-header"))
    return header


class _BadLines(Exception):
    """The lines cannot be one row: the reason of the drop, and the details."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


class _Lines:
    """The physical lines for csv.reader. Those of the current row are kept, so that all but its first can be read again."""

    def __init__(self, text: Iterator[str], first: int = 1) -> None:
        self.text = text
        self.again: deque[str] = deque()
        self.row: list[str] = []
        self.first = first
        self.size = self.reread = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.text)
        self.row.append(line)
        self.size += len(line)
        if self.size > MAX_ROW:
            raise _BadLines("row_too_long", f"more than {MAX_ROW >> 20} million characters: a quote may be open")
        return line

    def next_row(self) -> None:
        """Start a row."""
        self.first += len(self.row)
        self.row.clear()
        self.size = 0

    def give_back(self) -> range:
        """Queue the lines after the first one of a broken row for reading again. Return the numbers of lines that are lost at the limit."""
        rest = self.row[1:]
        self.reread += self.size
        if rest and self.reread > REREAD:
            return range(self.first + 1, self.first + len(self.row))
        del self.row[1:]
        self.again.extendleft(reversed(rest))
        return range(0)


class Quoting:
    """How the cells of a table of one column are quoted, noted as they are read: no delimiter shows where a cell ends.

    A program quotes every text, or those that need it. A file that uses quotes in another way was not written as CSV: reading it as such
    would take quotes out of texts, and join lines.
    """

    def __init__(self, delimiter: str) -> None:
        self.signs = (delimiter, '"')
        self.first: dict[str, int] = {}  # kind of cell -> its first line

    def fault(self, cell: str, raw: list[str], line: int) -> str:
        """Note a cell and its lines; return in words how it contradicts earlier cells, or ""."""
        kinds = self._kinds(cell, raw)
        for kind in kinds:
            self.first.setdefault(kind, line)
        for quoted, plain, how in _CONTRADICTIONS:
            if quoted in self.first and plain in self.first and not kinds.isdisjoint((quoted, plain)):
                what = f"the text in line {self.first[quoted]} is quoted, that in line {self.first[plain]} {how}"
                return f'{what}: quote every text, and write a quote of the text as ""'
        return ""

    def _kinds(self, cell: str, raw: list[str]) -> set[str]:
        if not raw[0].startswith('"'):
            return {*(["inner"] if '"' in cell else []), *([] if _is_number(cell) else ["bare"])}
        if len(raw) > 1:
            return {"spanning"}
        return set() if not cell or cell != cell.strip() or any(sign in cell for sign in self.signs) else {"needless"}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
