"""What becomes of a row that is generated: rows that need no model, rows of a reply, or a reason why there are none."""

from typing import Any, NamedTuple

from ...converters.reading.records import Row


class Passthrough(NamedTuple):
    """Rows that need no model."""

    row: Row
    rows: list[dict[str, Any]]


class Rows(NamedTuple):
    """The rows of a usable reply, the text that filters look at, and what was fixed on the way (counted)."""

    rows: list[dict[str, Any]]
    text: str
    fixed: tuple[str, ...] = ()


class Rejected(NamedTuple):
    """Why a reply gives no row. `filtered` is true where an option of the recipe asked for it: the reply itself is usable."""

    reason: str
    detail: str = ""
    filtered: bool = False
