"""Which split each row goes to: seeded, grouped, stratified, and the same for any order of the rows."""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from ..schemas.sections import Split, SplitName


class Placed(NamedTuple):
    """What dividing needs to know of a row: its group (rows of one group stay together), stratum, and a split fixed by its source."""

    group: bytes
    stratum: str = ""
    fixed: SplitName | None = None


def assign_splits(rows: Sequence[Placed], split: Split) -> list[SplitName]:
    """The split of every row. Groups are taken in the order of a seeded hash until a split has its share of rows, per stratum."""
    strata: dict[str, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
    chosen: dict[bytes, SplitName] = {}
    for row in rows:
        if row.fixed:
            chosen.setdefault(row.group, row.fixed)
    for row in rows:
        if row.group not in chosen:
            strata[row.stratum][row.group] += 1
    for groups in strata.values():
        chosen |= _divide(groups, split, chosen)
    return [row.fixed or chosen[row.group] for row in rows]


def _divide(groups: dict[bytes, int], split: Split, taken: dict[bytes, SplitName]) -> dict[bytes, SplitName]:
    seed = str(split.seed).encode()
    order = sorted((g for g in groups if g not in taken), key=lambda g: blake2b(g, key=seed, digest_size=16).digest())
    total = sum(groups[g] for g in order)
    wanted: list[tuple[SplitName, int]] = [("test", round(total * split.test)), ("validation", round(total * split.validation))]
    result: dict[bytes, SplitName] = {}
    remaining = iter(order)
    for name, rows in wanted:
        filled = 0
        while filled < rows and (group := next(remaining, None)) is not None:
            result[group] = name
            filled += groups[group]
    for group in remaining:
        result[group] = "train"
    return result


class Groups:
    """Rows that share any key belong to one group: a union-find over hashed keys."""

    def __init__(self) -> None:
        self.parent: dict[bytes, bytes] = {}

    def join(self, keys: Sequence[bytes]) -> bytes:
        """Join the keys into one group; the first one stands for the row."""
        for key in keys:
            self.parent.setdefault(key, key)
        first = self.root(keys[0])
        for key in keys[1:]:
            self.parent[self.root(key)] = first
        return keys[0]

    def root(self, key: bytes) -> bytes:
        """The key that stands for the whole group."""
        while (above := self.parent[key]) != key:
            self.parent[key] = self.parent[above]
            key = above
        return key
