"""The rows that were kept: their lines in one file, in order, and of each row the few bytes that dividing them needs."""

from array import array
from collections import Counter
from collections.abc import Sequence

from ..schemas.sections import SPLITS, Data
from .conversion import Converted
from .digests import WIDTH, Digests
from .ledger import Ledger
from .publish import NewFile
from .splits import FREE, Placed


class Kept:
    """Takes converted batches in order. What is kept depends on their order alone, not on where they were cut or converted."""

    def __init__(self, data: Data, file: NewFile) -> None:
        self.data = data
        self.file = file
        self.ledger = Ledger()
        self.labels: set[str] = set()
        self.digests = Digests()
        self.divided = divides(data)
        self.rows_read: Counter[int] = Counter()
        self.rows_kept: Counter[int] = Counter()
        self.sources = array("H")
        self.keys = bytearray()
        self.owners = array("I")
        self.strata = array("I")
        self.names: dict[str, int] = {}

    def add(self, found: Converted, source: int) -> None:
        """Keep a batch of the source with this number, but for the repeated rows."""
        repeated = self.digests.add(found.digests) if self.data.dedup != "none" else self._all(found)
        rows = len(found.ends)
        self._write(found, repeated)
        skipped = set(repeated)
        self.ledger.add(found.ledger)
        self.ledger.kept += rows - len(repeated)
        self.rows_read[source] += found.ledger.read
        self.rows_kept[source] += rows - len(repeated)
        self.ledger.drop_wanted("duplicate", len(repeated))
        for number, changes in found.changed.items():
            if number not in skipped:
                self.ledger.changed.update(changes)
        self.labels |= found.labels
        if self.divided:
            self._place(found, [number for number in range(rows) if number not in skipped], source)

    def _all(self, found: Converted) -> list[int]:
        if self.divided:
            self.digests.extend(found.digests)
        return []

    def _write(self, found: Converted, repeated: Sequence[int]) -> None:
        """The lines of the batch, but for those that are repeated: whole stretches at a time."""
        lines, start = memoryview(found.lines), 0
        for number in repeated:
            stop = found.ends[number - 1] if number else 0
            if stop > start:
                self.file.write(lines[start:stop])
            start = found.ends[number]
        if len(lines) > start:
            self.file.write(lines[start:])

    def _place(self, found: Converted, numbers: list[int], source: int) -> None:
        first = len(self.sources)
        self.sources.extend([source] * len(numbers))
        if self.data.split.stratify_by:
            self.strata.extend(self.names.setdefault(found.strata[number], len(self.names)) for number in numbers)
        if self.data.split.group_by:
            for row, number in enumerate(numbers, first):
                keys = found.keys[number] or [found.digests[number * WIDTH : number * WIDTH + WIDTH]]
                self.keys += b"".join(keys)
                self.owners.extend([row] * len(keys))

    def placed(self) -> Placed:
        """The rows as dividing sees them. A row without group keys is grouped by its content."""
        numbers = [SPLITS.index(source.split) if source.split else FREE for source in self.data.sources]
        fixed = bytearray(numbers[source] for source in self.sources)
        keys, owners = (self.keys, self.owners) if self.data.split.group_by else (self.digests.kept, range(len(fixed)))
        return Placed(keys, owners, fixed, self.strata, list(self.names) or [""])


def divides(data: Data) -> bool:
    """Whether rows may go to more than one file, or be repeated or dropped after all were seen: then they are written twice."""
    near = "near" in (data.dedup, data.check_leaks)
    return near or data.split.validation > 0 or data.split.test > 0 or any(s.split or s.weight != 1 for s in data.sources)
