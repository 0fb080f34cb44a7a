"""Tell from a table's first lines what separates its cells, and where its header is."""

import csv
import re
from collections import Counter
from typing import NamedTuple

LINES = 20
LONG_NAME = 60  # characters
AGREEMENT = 0.9  # share of rows with one number of cells that makes a table
SPARSE = 3  # a row above the header fills at most one cell of so many
DELIMITERS = {"csv": ",", "tsv": "\t", "csv with semicolons": ";", "csv with pipes": "|"}
_VALUE = re.compile(r"\s*[\d\-+.]*\d")  # how a cell of data or a log line begins, but no column name

_SENTENCE_ENDS = (".", "!", "。", "！")  # a question mark may end the name of a form's column
_SEVERAL = 3  # words: more than a name has
_WORD = re.compile(r"\s*[^\W\d]\w{0,59}\s*")
_EXCELS = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=.?"?\r?\n')  # a line that tells Excel what separates the cells below it


def table_format(head: bytes, default: str = "") -> str:
    """Return the name in DELIMITERS that splits the first lines into the same number of cells, two or more; otherwise the default, which is
    tsv if the first line has a tab."""
    default = default or ("tsv" if b"\t" in head.partition(b"\n")[0] else "csv")
    rows = {name: _rows(head, delimiter) for name, delimiter in DELIMITERS.items()}
    fits = {name: (_agreement(cells), len(cells[0])) for name, cells in rows.items() if cells and len(cells[0]) > 1}
    best = max(fits, key=lambda name: (fits[name], name == default), default=default)
    return default if default in fits and fits[default][0] >= fits.get(best, (0, 0))[0] else best


def is_table(head: bytes, columns: tuple[str, ...] = ()) -> bool:
    """Return whether an undeclared text looks like a table: a header of names (or as many cells as `columns`) above rows as wide."""
    cells = _rows(head, DELIMITERS[table_format(head)])
    if not cells or len(cells[0]) < 2 or _agreement(cells) < AGREEMENT:
        return False
    return len(cells[0]) == len(columns) if columns else not any(map(_VALUE.match, cells[0])) and not _is_prose(cells)


class _Line(NamedTuple):
    """A row, and the number of physical lines above it."""

    above: int
    cells: list[str]


class _Table(NamedTuple):
    """The number of lines above the first row, and the share of the rows from there on that are as wide."""

    above: int
    agreement: float


def lines_above(head: bytes) -> int:
    """Return the number of lines above a table: titles, notes and comments have fewer cells than its rows, or leave them blank, as the
    export of a sheet does. 0 if the first row belongs to the table, or if there is none."""
    if _EXCELS.match(head):
        return 1
    found = [_table_at(_lines(head, delimiter)) for delimiter in DELIMITERS.values()]
    tables = [table for table in found if table.agreement >= AGREEMENT]
    return max(tables, key=lambda table: (table.above == 0, table.agreement, -table.above)).above if tables else 0


def _table_at(lines: list[_Line]) -> _Table:
    """Return where the first row begins that has the width of most rows, and fills enough of its cells."""
    filled = [line for line in lines if any(line.cells)]
    widths = Counter(len(line.cells) for line in filled)
    width = max(widths, key=lambda cells: (widths[cells], cells), default=0)
    for number, line in enumerate(filled):
        cells = sum(bool(cell.strip()) for cell in line.cells)
        if len(line.cells) == width and cells > max(1, width // SPARSE):
            rest = filled[number:]
            if any(_is_narrower_header(above.cells) for above in filled[:number]):
                break
            return _Table(line.above, sum(len(row.cells) == width for row in rest) / len(rest) if len(rest) > 2 else 0)
    return _Table(0, 0)


def _is_narrower_header(cells: list[str]) -> bool:
    """Return whether a row above wider ones is their header: the rows are broken, and nothing is above the table."""
    return len(cells) > 1 and all(map(str.strip, cells)) and not looks_like_data(cells)


def _lines(head: bytes, delimiter: str) -> list[_Line]:
    """Return the first complete rows, blank ones too."""
    text = head.decode("utf-8-sig", "replace").replace("\0", "")
    lines = text.splitlines(keepends=True)
    reader = csv.reader((lines if len(head) < 1 << 16 else lines[:-1])[: 10 * LINES], delimiter=delimiter)
    found: list[_Line] = []
    try:
        above = 0
        for cells in reader:
            found.append(_Line(above, cells))
            above = reader.line_num
    except csv.Error:
        return []
    return found


def is_headerless(head: bytes) -> bool:
    """Return whether the text looks like a table whose first row is data too."""
    cells = _rows(head, DELIMITERS[table_format(head)])
    if len(cells) < 2 or len(cells[0]) < 2 or _agreement(cells) < AGREEMENT:
        return False
    is_indexed = not cells[0][0].strip() and all(row[0].isdecimal() for row in cells[1:])  # as pandas writes a table
    return looks_like_data(cells[0][is_indexed:]) or _recurs(cells[0], cells[1:]) or _are_sentences(cells[0]) or _is_prose(cells)


def _is_prose(rows: list[list[str]]) -> bool:
    """Return whether the delimiters are commas of sentences: a blank follows each, and the first line is no row of names."""
    is_spaced = all(cell[:1] == " " for row in rows for cell in row[1:]) and sum(" " in row[0].strip() for row in rows) > len(rows) / 2
    return is_spaced and (rows[0][-1].rstrip()[-1:] in (*_SENTENCE_ENDS, "?") or any(len(name.split()) > _SEVERAL for name in rows[0]))


def _recurs(header: list[str], rows: list[list[str]]) -> bool:
    """Return whether a column has values with the `key:` of its name, or its name itself beside a name of several words: then these are
    values, too. In a header of words, `spam` may be the name of a column with the values spam and ham."""
    others = [row for row in rows if len(row) == len(header) and row != header]  # a header that is repeated is one
    recurring = [name for name, *values in zip(header, *others, strict=True) if _key(name) in map(_key, values)] if others else []
    is_of_words = not any(len(name.split()) >= _SEVERAL and not name.rstrip().endswith("?") for name in header)
    return any(name.strip() and (":" in name or not is_of_words) for name in recurring)


def _are_sentences(header: list[str]) -> bool:
    """Return whether each cell ends like a sentence, or like the question that it answers, and one is not only an abbreviated word."""
    ends = [name.rstrip()[-1:] for name in header]
    return {*ends} <= {*_SENTENCE_ENDS, *"?？"} and not {*ends} <= {*"?？"} and any(len(name.split()) > 1 for name in header)


def _key(cell: str) -> str:
    """Return what a cell such as `text:It rained.` has before its colon; any other cell is returned whole."""
    before, colon, _ = cell.partition(":")
    return before + colon if colon else cell


def looks_like_data(header: list[str]) -> bool:
    """Return whether a header reads like a row of data: a cell is empty, a value, or as long as a sentence.

    Names of one word may have an unnamed column before them, as pandas writes its index, and others behind them, as Excel does.
    """
    names = header[not header[0].strip() :] if header else header
    while names and not names[-1].strip():
        names = names[:-1]
    if names and all(map(_WORD.fullmatch, names)):
        return False
    return any(not name.strip() or _VALUE.match(name) or len(name) > LONG_NAME for name in header)


def _agreement(rows: list[list[str]]) -> float:
    """Return the share of rows with as many cells as the header."""
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows)


def _rows(head: bytes, delimiter: str) -> list[list[str]]:
    """Return the first complete rows, without blank ones."""
    return [line.cells for line in _lines(head, delimiter) if line.cells][:LINES]
