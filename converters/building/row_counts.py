"""The account of a conversion: every row read is kept, or dropped for a counted reason. The sums are checked, not assumed."""

from collections import Counter
from typing import Any

from ..reading.records import Drop, Row

LISTED = 100


class Ledger:
    """Counts while rows flow. `rows_in` candidates = `kept` + the sum of `dropped`, always."""

    def __init__(self) -> None:
        self.read = 0
        self.kept = 0
        self.dropped: Counter[str] = Counter()
        self.filtered: Counter[str] = Counter()
        self.fixed: Counter[str] = Counter()
        self.examples: list[Drop] = []

    @property
    def rows_in(self) -> int:
        return self.kept + self.dropped.total()

    @property
    def unusable(self) -> int:
        """Rows dropped although no option of the recipe asked for it."""
        return self.dropped.total() - self.filtered.total()

    def drop(self, drop: Drop) -> None:
        """Count a drop; the first LISTED unusable ones are kept to be shown, without what the row held."""
        self.dropped[drop.reason] += 1
        if drop.filtered:
            self.filtered[drop.reason] += 1
        elif len(self.examples) < LISTED:
            self.examples.append(drop._replace(row=Row(None, drop.row.file, drop.row.line, drop.row.item)))

    def drop_filtered(self, reason: str, rows: int) -> None:
        """Count rows that the recipe asked to drop."""
        if rows:
            self.dropped[reason] += rows
            self.filtered[reason] += rows

    def add(self, part: "Ledger") -> None:
        """Count what the ledger of a later part of the rows has counted."""
        self.read += part.read
        self.kept += part.kept
        self.dropped.update(part.dropped)
        self.filtered.update(part.filtered)
        self.fixed.update(part.fixed)
        self.examples += part.examples[: LISTED - len(self.examples)]

    def as_json(self) -> dict[str, Any]:
        """The ledger's part of the manifest."""
        return {
            "rows_read": self.read,
            "rows_in": self.rows_in,
            "rows_kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "fixed": dict(sorted(self.fixed.items())),
        }
