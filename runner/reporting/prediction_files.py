"""Write predictions for a file's rows: the row's own columns, then `prediction`, as JSON Lines or CSV."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ...converters.reading.json_values import write_json
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.base.terminal import csv_rows

CSV, COLUMN = ".csv", "prediction"
Rows = Callable[[], Iterator[tuple[dict[str, Any], dict[str, Any]]]]  # row and prediction; each call starts again


def write_jsonl(out: Path, rows: Rows) -> None:
    """Write one JSON object per row."""
    lines = (write_json({**row["columns"], COLUMN: prediction}) + b"\n" for row, prediction in rows())
    write_atomically(out, lines)


def write_csv(out: Path, rows: Rows) -> None:
    """Write a table with a column for every key of any row, and for every value of the predictions."""
    names: dict[str, None] = {}
    predicted: dict[str, None] = {}
    for row, prediction in rows():
        names.update(dict.fromkeys(row["columns"]))
        predicted.update(dict.fromkeys(_flat(prediction)))
    heads = [*names, *predicted]
    values = ({**row["columns"], **_flat(prediction)} for row, prediction in rows())
    cells = ([_cell(of_row.get(head)) for head in heads] for of_row in values)
    write_atomically(out, map(str.encode, csv_rows(chain([heads], cells))))


def require_free_column(place: str, columns: dict[str, Any]) -> None:
    """Raise UserError if a row has a column with the prediction's name, which would be overwritten."""
    if clash := next((name for name in columns if name.partition(".")[0] == COLUMN), None):
        raise UserError(Problem(place, f"has a column {clash!r}, the name used for predictions", "rename it", "prediction-column"))


def _flat(prediction: dict[str, Any], at: str = COLUMN) -> dict[str, Any]:
    """Return a column for each value: `prediction.label`, `prediction.probabilities.INFJ`."""
    flat: dict[str, Any] = {}
    for key, value in prediction.items():
        flat |= _flat(value, f"{at}.{key}") if isinstance(value, dict) else {f"{at}.{key}": value}
    return flat


def _cell(value: Any) -> Any:
    """Return the value as a cell, with lists and objects as JSON."""
    return write_json(value).decode() if isinstance(value, list | dict) else value
