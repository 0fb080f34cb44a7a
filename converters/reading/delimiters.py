"""What separates the cells of a table, and whether a text is one at all, told by its first lines."""

import csv
import re

LINES = 20
DELIMITERS = {"csv": ",", "tsv": "\t", "csv with semicolons": ";", "csv with pipes": "|"}
_VALUE = re.compile(r"\s*[\d\-+.]*\d")  # what a cell of data begins with, or a line of a log, but no column's name


def table_format(head: bytes, default: str = "csv") -> str:
    """A name in DELIMITERS: the one that cuts the first lines into the same number of cells, two or more; else the default."""
    rows = {name: _rows(head, delimiter) for name, delimiter in DELIMITERS.items()}
    fits = {name: (_agreement(cells), len(cells[0])) for name, cells in rows.items() if cells and len(cells[0]) > 1}
    best = max(fits, key=lambda name: (fits[name], name == default), default=default)
    return default if default in fits and fits[default][0] >= fits.get(best, (0, 0))[0] else best


def is_table(head: bytes) -> bool:
    """Whether a text that nobody named as data looks like a table: a header of names, above rows of as many cells."""
    cells = _rows(head, DELIMITERS[table_format(head)])
    return bool(cells) and len(cells[0]) > 1 and _agreement(cells) >= 0.9 and not any(map(_VALUE.match, cells[0]))


def _agreement(rows: list[list[str]]) -> float:
    """The share of the rows that have as many cells as the header."""
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows)


def _rows(head: bytes, delimiter: str) -> list[list[str]]:
    """The first rows that are whole, blank ones left out."""
    text = head.decode("utf-8-sig", "replace").replace("\0", "")
    lines = text.splitlines(keepends=True)
    whole = lines if len(head) < 1 << 16 else lines[:-1]
    try:
        return [row for row in csv.reader(whole[: 10 * LINES], delimiter=delimiter) if row][:LINES]
    except csv.Error:
        return []
