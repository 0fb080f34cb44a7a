"""The account of a conversion: every row read is kept, or dropped for a counted reason. The sums are checked, not assumed."""

from collections import Counter
from typing import Any

from .records import Drop

LISTED = 100


class Ledger:
    """Counts while rows flow. `rows_in` candidates = `kept` + the sum of `dropped`, always."""

    def __init__(self) -> None:
        self.read = 0
        self.kept = 0
        self.dropped: Counter[str] = Counter()
        self.wanted: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.examples: list[Drop] = []

    @property
    def rows_in(self) -> int:
        return self.kept + self.dropped.total()

    @property
    def unusable(self) -> int:
        """Rows dropped although no option of the recipe asked for it."""
        return self.dropped.total() - self.wanted.total()

    def drop(self, drop: Drop) -> None:
        """Count a drop; the first LISTED unusable ones are kept to be shown."""
        self.dropped[drop.reason] += 1
        if drop.wanted:
            self.wanted[drop.reason] += 1
        elif len(self.examples) < LISTED:
            self.examples.append(drop)

    def as_json(self) -> dict[str, Any]:
        """The ledger's part of the manifest."""
        return {
            "rows_read": self.read,
            "rows_in": self.rows_in,
            "rows_kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "changed": dict(sorted(self.changed.items())),
        }
