"""The values of a conversion: rows as read, records as made, and drops with their reason."""

from collections.abc import Iterable
from typing import Any, NamedTuple

RecordValue = dict[str, Any]
GENERATED_BY = "generated_by"  # the key of a row under which `recipe generate` writes the model, the request and how the row was made


class Row(NamedTuple):
    """One row as it was read. `line` counts from 1: the line of a text file, the first line of a JSON value, or the row of a table.

    `item` counts from 1 among the values that start on one line; the conversion sets it.
    """

    value: Any
    file: str
    line: int
    item: int = 1

    @property
    def position(self) -> str:
        """Return `12`, or `1.3` for the third value that starts on line 1, as in a record's id."""
        return f"{self.line}" if self.item == 1 else f"{self.line}.{self.item}"

    def __str__(self) -> str:
        return f"{self.file}:{self.position}"


class JoinedRow(dict[str, Any]):
    """The value of a row that a converter joined from several rows, the `parts`. `joined` makes one."""

    def __init__(self, value: dict[str, Any], parts: list[Row]) -> None:
        super().__init__(value)
        self.parts = parts


def joined(rows: Iterable[Row], value: dict[str, Any] | None = None) -> Row:
    """Return the row of a record made from several rows, with the location of the first."""
    parts = [*rows]
    return parts[0]._replace(value=JoinedRow(value or {}, parts))


class NoAnswer(str):
    """Marks a missing answer: it is predicted, not trained. It is a str, so that converters treat it like an answer.

    `given` is what the row has in its place; `...` if it has nothing.
    """

    given: Any = ...


class Record(NamedTuple):
    """What a converter makes from a row: the fields of the record type (`messages`; `text`; `text` and `label`).

    `meta` is what evaluation or splitting needs later. `fixed` names the repairs, which are counted.
    """

    row: Row
    fields: RecordValue
    meta: RecordValue = {}  # never mutated
    fixed: tuple[str, ...] = ()


class Part(NamedTuple):
    """A row that goes into the record, or the drop, of an earlier row, `of`: for converters that do not hold all rows of a record."""

    row: Row
    of: Row


class Drop(NamedTuple):
    """A row that does not become a record, and why. Every drop is counted by `reason` and listed.

    `filtered` is true if an option of the recipe asked for it; otherwise the row is unusable and counts towards `max_dropped`.
    """

    row: Row
    reason: str
    detail: str = ""
    filtered: bool = False

    def __str__(self) -> str:
        return f"{self.row}: {self.reason}" + (f": {self.detail}" if self.detail else "")
