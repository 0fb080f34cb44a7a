"""Count every row of a conversion: each row read is kept, or dropped for a reason. The sums are checked."""

from collections import Counter
from typing import Any

from ..reading.records import Drop, Row

LISTED = 100


class Ledger:
    """Counts rows as they pass. `rows_in` always equals `kept` plus the sum of `dropped`."""

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
        """Return the rows dropped although no option of the recipe asked for it."""
        return self.dropped.total() - self.filtered.total()

    def drop(self, drop: Drop) -> None:
        """Count a drop; the first LISTED unusable ones are kept for display, without the row's value."""
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
        """Add the counts of a later part."""
        self.read += part.read
        self.kept += part.kept
        self.dropped.update(part.dropped)
        self.filtered.update(part.filtered)
        self.fixed.update(part.fixed)
        self.examples += part.examples[: LISTED - len(self.examples)]

    def as_json(self) -> dict[str, Any]:
        """Return the ledger's entries in the manifest."""
        return {
            "rows_read": self.read,
            "rows_in": self.rows_in,
            "rows_kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "fixed": dict(sorted(self.fixed.items())),
        }
