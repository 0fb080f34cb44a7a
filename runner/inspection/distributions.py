"""Count streams of numbers and names in bounded memory."""

from collections import Counter
from heapq import heappush, heapreplace
from itertools import pairwise
from math import ceil, isfinite
from typing import Any

import orjson
from xxhash import xxh3_64_intdigest

EXACT = 10_000
NAMES = 10_000
LONGEST_NAME = 120
BINS = 40
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class Distribution:
    """Counts of numbers. Integers below EXACT are kept as they are, others to four significant digits; sum, minimum and maximum are
    exact."""

    def __init__(self) -> None:
        self.counts: Counter[float] = Counter()
        self.total = 0
        self.sum = 0.0
        self.least: float | None = None
        self.greatest: float | None = None

    def add(self, value: float) -> None:
        """Count a finite number."""
        if not isfinite(value):
            raise ValueError(f"not a finite number: {value}")
        self.counts[value if abs(value) < EXACT and value == int(value) else float(f"{value:.4g}")] += 1
        self.total += 1
        self.sum += value
        self.least = value if self.least is None or value < self.least else self.least
        self.greatest = value if self.greatest is None or value > self.greatest else self.greatest

    def quantile(self, share: float) -> float:
        """Return the smallest number that at least this share of the numbers do not exceed."""
        wanted, seen = max(1, ceil(share * self.total)), 0
        for value, count in sorted(self.counts.items()):
            seen += count
            if seen >= wanted:
                return value
        raise ValueError("no numbers")

    def bins(self) -> list[tuple[float, float, int]]:
        """Return (from, to, count) of at most BINS equally wide bins up to the 99th percentile, and one for larger numbers.

        A bin includes `from` and excludes `to`; the last one includes its `to`, the maximum.
        """
        if self.least is None or self.greatest is None:
            return []
        low, high = min(self.counts), self.quantile(0.99)
        whole = all(value == int(value) for value in self.counts)
        step = (high - low) / BINS or 1
        step = max(1, ceil(step)) if whole else step
        edges = [low + step * number for number in range(int((high - low) / step) + 2)]
        found: Counter[int] = Counter()
        for value, count in self.counts.items():
            found[min(int((value - low) / step), len(edges) - 1)] += count
        bins = [(start, stop, found[number]) for number, (start, stop) in enumerate(pairwise(edges))]
        beyond = found[len(edges) - 1]
        bins = [*bins, (edges[-1], self.greatest, beyond)] if beyond else bins
        return [*bins[:-1], (bins[-1][0], self.greatest, bins[-1][2])]

    def as_json(self) -> dict[str, Any]:
        """Return count, sum, mean, minimum, maximum, quantiles by name (`p50` is the median), and the histogram's bins."""
        if not self.total:
            return {"count": 0}
        quantiles = {f"p{share * 100:g}": self.quantile(share) for share in QUANTILES}
        mean = round(self.sum / self.total, 4)
        facts = {"count": self.total, "sum": round(self.sum, 4), "mean": mean, "min": self.least, **quantiles, "max": self.greatest}
        return {**facts, "histogram": self.bins()}


class Tally:
    """Counts of names. The first NAMES different ones are counted separately, later ones together as others."""

    def __init__(self, names: int = NAMES) -> None:
        self.counts: Counter[str] = Counter()
        self.names = names
        self.others = 0

    def add(self, name: str, count: int = 1) -> None:
        """Count a name; a long one is cut."""
        name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        if name in self.counts or len(self.counts) < self.names:
            self.counts[name] += count
        else:
            self.others += count

    @property
    def total(self) -> int:
        return self.counts.total() + self.others

    def top(self, most: int | None = None) -> list[tuple[str, int]]:
        """Return names and counts, the most frequent first; equally frequent names in alphabetical order."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:most]

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """Return the most frequent names with their counts, the number of names (`and_more` beyond the limit), and the count of the
        others."""
        top = self.top(most)
        listed = sum(count for _, count in top)
        more = {"and_more": True} if self.others else {}
        return {"counts": dict(top), "different": len(self.counts), **more, "not_listed": self.total - listed}


FIELDS = 200
LISTED = 20
_TYPES = {str: "text", bool: "true or false", int: "number", float: "number", list: "list", dict: "object", type(None): "null"}


class Field:
    """One field: the number of rows with it, and its values' types, numbers and names."""

    def __init__(self) -> None:
        self.rows = 0
        self.types: Counter[str] = Counter()
        self.numbers = Distribution()
        self.names = Tally(1000)

    def add(self, value: Any) -> None:
        """Count a value. Lists and objects are counted as their JSON."""
        self.rows += 1
        kind = _TYPES[type(value)]
        self.types[kind] += 1
        if kind == "number" and isfinite(value):
            self.numbers.add(value)
        elif kind != "null":
            self.names.add(value if isinstance(value, str) else orjson.dumps(value).decode())

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"rows": self.rows, "types": dict(self.types.most_common())}
        if self.numbers.total:
            found["numbers"] = self.numbers.as_json()
        return found | ({"most_common": self.names.as_json(LISTED)} if self.names.total else {})


class Meta:
    """The meta fields of all rows; `origin` is counted by file and by converter."""

    def __init__(self) -> None:
        self.fields: dict[str, Field] = {}
        self.beyond = 0
        self.sources = Tally()
        self.converters = Tally()

    def add(self, meta: dict[str, Any]) -> None:
        """Count a row's meta."""
        for name, value in meta.items():
            if name == "origin" and isinstance(value, dict):
                self.sources.add(str(value.get("file", "unknown")))
                self.converters.add(str(value.get("converter", "unknown")))
            elif name in self.fields or len(self.fields) < FIELDS:
                self.fields.setdefault(name, Field()).add(value)
            else:
                self.beyond += 1

    def as_json(self) -> dict[str, Any]:
        """Return sources (files), converters, and the other fields."""
        fields = {name: field.as_json() for name, field in sorted(self.fields.items())}
        beyond = {"values_of_further_fields": self.beyond} if self.beyond else {}
        return {"sources": self.sources.as_json(1000), "converters": self.converters.as_json(), "meta": fields, **beyond}


LABELS = 50
EACH = 5


class Samples:
    """Up to `each` rows of each of the first LABELS labels."""

    def __init__(self, each: int = EACH) -> None:
        self.each = each
        self.kept: dict[str, list[tuple[int, int, str, int, dict[str, Any]]]] = {}
        self.seen = 0

    def add(self, label: str, file: str, line: int, record: dict[str, Any]) -> None:
        """Consider a row."""
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
        """Return label -> samples as {file, line, record}, in the order of the labels."""
        return {
            label: [
                {"file": file, "line": line, "record": record}
                for _, _, file, line, record in sorted(heap, reverse=True, key=lambda e: e[:2])
            ]
            for label, heap in sorted(self.kept.items())
        }
