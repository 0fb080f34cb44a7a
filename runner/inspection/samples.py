"""A few rows of every label: those with the least hashes, so that the same rows give the same samples in any order."""

from heapq import heappush, heapreplace
from typing import Any

import orjson
from xxhash import xxh3_64_intdigest

LABELS = 50
EACH = 5


class Samples:
    """Up to `each` rows of each of the first LABELS labels."""

    def __init__(self, each: int = EACH) -> None:
        self.each = each
        self.kept: dict[str, list[tuple[int, int, str, int, dict[str, Any]]]] = {}
        self.seen = 0

    def add(self, label: str, file: str, line: int, record: dict[str, Any]) -> None:
        """Take a row into account."""
        self.seen += 1
        if label not in self.kept and len(self.kept) == LABELS or not self.each:
            return
        heap = self.kept.setdefault(label, [])
        entry = (-xxh3_64_intdigest(orjson.dumps(record)), -self.seen, file, line, record)
        if len(heap) < self.each:
            heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            heapreplace(heap, entry)

    def by_label(self) -> dict[str, list[dict[str, Any]]]:
        """Label -> its samples as {file, line, record}; labels by name."""
        return {
            label: [
                {"file": file, "line": line, "record": record}
                for _, _, file, line, record in sorted(heap, reverse=True, key=lambda e: e[:2])
            ]
            for label, heap in sorted(self.kept.items())
        }
