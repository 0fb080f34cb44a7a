"""CSV text that spreadsheets do not run as formulas."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from .terminal import inert_cell


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return the rows as CSV with LF line ends."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(inert_cell, row) for row in rows)
    return text.getvalue()
