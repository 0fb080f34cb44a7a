"""The outcome of a generated row: rows that need no model, rows from a reply, or a reason why there are none."""

from typing import Any, NamedTuple

from ...converters.reading.records import Row


class Passthrough(NamedTuple):
    """Rows that need no model."""

    row: Row
    rows: list[dict[str, Any]]


class Rows(NamedTuple):
    """The rows of a usable reply, the text for the filters, and what was fixed (which is counted)."""

    rows: list[dict[str, Any]]
    text: str
    fixed: tuple[str, ...] = ()


class Rejected(NamedTuple):
    """Why a reply gives no row. `filtered` is true if an option of the recipe asked for it: the reply itself is usable."""

    reason: str
    detail: str = ""
    filtered: bool = False
