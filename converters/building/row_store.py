"""Store the kept rows: their lines in one file, in order, and for each row the few bytes needed to split them."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate, chain, compress
from pathlib import Path
from typing import Self

import orjson

from ...schemas.base.files import NewFile
from ...schemas.sections import SPLITS, Data, SplitName
from .budgets import has_budget
from .conversion import Converted
from .key_use import KeyCounts
from .named_in_rows import Named
from .near_duplicates import WIDTH as SIGNATURE
from .row_counts import Ledger
from .row_hashes import Digests
from .splits import FREE, Placed, key_at

_SYSTEM = b'"role":"system"'  # as a converted file has it; within a text the quotes are escaped


class RowStore:
    """Takes converted batches in order. The result depends only on their order, not on where they were cut or converted."""

    def __init__(self, data: Data, path: Path) -> None:
        self.data = data
        self.divided = needs_second_pass(data)
        self.thinned = data.compares_near or has_budget(data)  # rows may be dropped once all are read
        self.counts_words = has_budget(data)
        self.file = NewFile(path) if self.divided else TrainFile(path, data)
        self.signatures = NewFile(path.with_name("signatures")) if data.compares_near else None

        # Counts over all rows.
        self.ledger = Ledger()
        self.digests = Digests()
        self.labels: dict[str, str] = {}  # label -> its first row
        self.prompted = 0  # rows with the recipe's system prompt
        self.removed: defaultdict[SplitName, bytearray] = defaultdict(bytearray)  # digests of the duplicates in a source with this split

        # Counts by the number of the source.
        self.rows_read: Counter[int] = Counter()
        self.rows_kept: Counter[int] = Counter()
        self.dropped_later: defaultdict[int, Counter[str]] = defaultdict(Counter)  # by reason
        self.named: dict[int, set[str]] = {}
        self.artifacts: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.unread: defaultdict[int, KeyCounts] = defaultdict(KeyCounts)
        self.present: defaultdict[int, set[Named]] = defaultdict(set)

        # One value for each kept row, if the rows are divided and the recipe needs it.
        self.sources = array("H")
        self.contents = bytearray()  # digests: rows with the same one are in one split
        self.strata = array("I")  # positions in `names`
        self.names: dict[str, int] = {}
        self.words = array("I")
        self.changes = array("H")  # positions in `fixes`
        self.fixes: dict[tuple[str, ...], int] = {(): 0}

        # One value for each group key: a row may have several.
        self.keys = bytearray()
        self.owners = array("I")  # the row of each key

    def add(self, found: Converted, source: int) -> None:
        """Keep a batch of the source with this number, without duplicates."""
        repeated = self.digests.add(found.digests) if self.data.dedup != "none" else self._all(found)
        rows = len(found.ends)
        write_except(self.file, found.lines, found.ends, repeated)
        if self.signatures:
            write_except(self.signatures, found.signatures, range(SIGNATURE, len(found.signatures) + 1, SIGNATURE), repeated)
        self.ledger.add(found.ledger)
        self.ledger.kept += rows - len(repeated)
        self.ledger.drop_filtered("duplicate", len(repeated))
        self.rows_read[source] += found.ledger.read
        self.rows_kept[source] += rows - len(repeated)
        self.labels = found.labels | self.labels
        self.prompted += found.prompted
        self.named.setdefault(source, set()).update(found.named)
        self.artifacts[source].update(found.artifacts)
        self.unread[source].add(found.unread)
        self.present[source] |= found.present
        skipped = set(repeated)
        if skipped and (split := self.data.sources[source].split):
            self.removed[split] += b"".join(key_at(found.digests, number) for number in repeated)
        self.ledger.fixed.update(name for number, names in found.fixed.items() if number not in skipped for name in names)
        if self.divided:
            self._place(found, [number for number in range(rows) if number not in skipped], source)

    def _all(self, found: Converted) -> list[int]:
        if self.divided:
            self.digests.extend(found.digests)
        return []

    def _place(self, found: Converted, numbers: list[int], source: int) -> None:
        first = len(self.sources)
        self.sources.extend([source] * len(numbers))
        if self.thinned:
            self.changes.extend(self.fixes.setdefault(found.fixed.get(number, ()), len(self.fixes)) for number in numbers)
        if self.counts_words:
            self.words.extend(found.words[number] for number in numbers)
        if self.data.split.stratify_by:
            self.strata.extend(self.names.setdefault(found.strata[number], len(self.names)) for number in numbers)
        if self.data.has_splits:
            self.contents += b"".join(key_at(found.contents, number) for number in numbers)
        if self.data.split.group_by:
            for row, number in enumerate(numbers, first):
                self.keys += b"".join(found.keys[number])
                self.owners.extend([row] * len(found.keys[number]))

    def close(self) -> None:
        """Close the files, and free what only adding needs."""
        self.file.close()
        if self.signatures:
            self.signatures.close()
        self.digests.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.stream.close()
        if self.signatures:
            self.signatures.stream.close()

    def drop(self, gone: Sequence[int], reason: str) -> None:
        """Remove the rows flagged in `gone`, counted as filtered for `reason`; the caller removes their lines."""
        stays = [not flag for flag in gone]
        names = list(self.fixes)
        for row in (row for row, flag in enumerate(gone) if flag):
            self.rows_kept[self.sources[row]] -= 1
            self.dropped_later[self.sources[row]][reason] += 1
            self.ledger.fixed.subtract(names[self.changes[row]])
        self.ledger.fixed = +self.ledger.fixed
        self.ledger.kept = sum(stays)
        self.ledger.drop_filtered(reason, len(stays) - sum(stays))
        numbers = list(accumulate(stays, initial=0))
        keys = [(key, numbers[row]) for key, row in enumerate(self.owners) if stays[row]]
        self.keys = bytearray().join(key_at(self.keys, key) for key, _ in keys)
        self.owners = array("I", (row for _, row in keys))
        self.digests.kept = bytearray().join(key_at(self.digests.kept, row) for row, stay in enumerate(stays) if stay)
        self.contents = bytearray().join(key_at(self.contents, row) for row, stay in enumerate(stays) if stay)
        self.sources = array("H", compress(self.sources, stays))
        self.strata = array("I", compress(self.strata, stays))
        self.words = array("I", compress(self.words, stays))
        self.changes = array("H", compress(self.changes, stays))

    def words_of(self, source: int) -> int:
        """Return the number of words in a source's rows."""
        return sum(words for words, owner in zip(self.words, self.sources, strict=True) if owner == source)

    @property
    def compared(self) -> bytearray:
        """Return the digests of the rows by which they are kept in one split."""
        return self.contents if self.data.has_splits else self.digests.kept

    def placed(self) -> Placed:
        """Return the rows for assign_splits. Rows of equal content are a group, as are those of equal group keys."""
        numbers = [SPLITS.index(source.split) if source.split else FREE for source in self.data.sources]
        fixed = bytearray(numbers[source] for source in self.sources)
        keys, owners = self.compared, range(len(fixed))
        if self.data.split.group_by:
            keys, owners = keys + self.keys, array("I", chain(owners, self.owners))
        return Placed(keys, owners, fixed, self.strata, list(self.names) or [""])


def write_except(file: NewFile, content: bytes, ends: Sequence[int], skipped: Sequence[int]) -> None:
    """Write the parts of `content` (part n ends at `ends[n]`) except the skipped ones, in as few writes as possible."""
    view, start = memoryview(content), 0
    for number in skipped:
        stop = ends[number - 1] if number else 0
        if stop > start:
            file.write(view[start:stop])
        start = ends[number]
    if len(view) > start:
        file.write(view[start:])


def needs_second_pass(data: Data) -> bool:
    """Return whether rows may go to several files, be repeated, or be dropped once all are read: they are then written twice."""
    return data.compares_near or has_budget(data) or data.has_splits or any(source.weight != 1 for source in data.sources)


class TrainFile(NewFile):
    """The training rows being written. `own_prompts` are its chats that begin with a system message, unless the recipe sets one for all:
    what answers later has to be given one, and no recipe knows it."""

    def __init__(self, path: Path, data: Data) -> None:
        super().__init__(path)
        self.counts = data.type == "chat" and not data.system_prompt
        self.own_prompts = 0

    def write(self, content: bytes | memoryview) -> None:
        """Append whole lines."""
        super().write(content)
        if self.counts:
            lines = bytes(content).split(b"\n")
            self.own_prompts += sum(_SYSTEM in line and orjson.loads(line)["messages"][0]["role"] == "system" for line in lines)
