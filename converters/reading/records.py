"""What flows through a conversion: rows as read, records as made, and drops with their reason."""

from collections.abc import Iterable
from typing import Any, NamedTuple

RecordValue = dict[str, Any]


class Row(NamedTuple):
    """One row as it was read. `line` counts from 1: the line of a text file, the first line of a JSON value, the row of a table.

    `item` counts from 1 too, among the values that start on one line; the conversion sets it.
    """

    value: Any
    file: str
    line: int
    item: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class JoinedRow(dict[str, Any]):
    """The value of a row that a converter has made of several, the `parts`. `joined` makes one."""

    def __init__(self, value: dict[str, Any], parts: list[Row]) -> None:
        super().__init__(value)
        self.parts = parts


def joined(rows: Iterable[Row], value: dict[str, Any] | None = None) -> Row:
    """Return the row of a record that is made of several rows, in the place of the first."""
    parts = [*rows]
    return parts[0]._replace(value=JoinedRow(value or {}, parts))


class NoAnswer(str):
    """Stands where a row has no answer: it is to be predicted, not trained. A text, so that converters pass it on as they do an answer.

    `given` is what the row has in its place; `...` where it has nothing.
    """

    given: Any = ...


class Record(NamedTuple):
    """What a converter makes of a row: the fields of the record type (`messages`; `text`; `text` and `label`).

    `meta` is what evaluation or splitting needs later. `fixed` names what was repaired on the way; it is counted.
    """

    row: Row
    fields: RecordValue
    meta: RecordValue = {}  # noqa: RUF012 - never changed
    fixed: tuple[str, ...] = ()


class Drop(NamedTuple):
    """A row that does not become a record, and why. Every one is counted by `reason` and listed.

    `filtered` is true when an option of the recipe asked for it; else the row is unusable and counts against `max_dropped`.
    """

    row: Row
    reason: str
    detail: str = ""
    filtered: bool = False

    def __str__(self) -> str:
        return f"{self.row}: {self.reason}" + (f": {self.detail}" if self.detail else "")
