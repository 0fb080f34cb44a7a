"""Tables as CSV, whose cells no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from .terminal import inert_cell


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """The rows as CSV, with LF at the ends of lines."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(inert_cell, row) for row in rows)
    return text.getvalue()
