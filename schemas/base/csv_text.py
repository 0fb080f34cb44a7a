"""CSV text that spreadsheets do not run as formulas."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from .terminal import inert_cell


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return the rows as CSV with LF line ends."""
    return "".join(csv_rows(rows))


def csv_rows(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield each row as CSV with an LF line end."""
    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(map(inert_cell, row))
        yield text.getvalue()
