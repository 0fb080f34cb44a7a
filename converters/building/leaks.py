"""Find rows and groups in two splits by comparing what was written, independently of how it was divided."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import orjson

from ...schemas.base.errors import GateError, Location, Problem
from .splits import key_at, sorted_positions, split_name

SHOWN = 20


class Leak(NamedTuple):
    """Two rows in different splits that belong together. `kind` is row, group or near-duplicate."""

    kind: str
    first: str
    first_split: str
    second: str
    second_split: str

    def __str__(self) -> str:
        return f"the same {self.kind} is in {self.first_split} ({self.first}) and {self.second_split} ({self.second})"


class Pair(NamedTuple):
    """Two rows, by number, in different splits that belong together."""

    kind: str
    first: int
    second: int


def find_leaks(kind: str, keys: bytes | bytearray, owners: Sequence[int], splits: Sequence[int]) -> Iterator[Pair]:
    """Yield a pair for every row with a key (of 16 bytes) whose first row is in another split."""
    first = -1
    order = sorted_positions(keys)
    if order:
        first = order[0]
    for before, after in pairwise(order):
        if key_at(keys, before) != key_at(keys, after):
            first = after
        elif splits[owners[first]] != splits[owners[after]]:
            yield Pair(kind, owners[first], owners[after])


def refuse(pairs: Iterable[Pair], lines: Path, splits: Sequence[int]) -> None:
    """Raise GateError if there are leaks; the first pairs are listed by the ids of their rows, which are read from the file `lines`."""
    remaining = iter(pairs)
    shown = list(islice(remaining, SHOWN))
    if not shown:
        return
    count = len(shown) + sum(1 for _ in remaining)
    ids = _ids(lines, {row for pair in shown for row in (pair.first, pair.second)})
    leaks = [Leak(kind, ids[first], split_name(splits[first]), ids[second], split_name(splits[second])) for kind, first, second in shown]
    more = f" (the first {SHOWN} are listed)" if count > SHOWN else ""
    hint = "group the rows with data.split.group_by, remove duplicates with data.dedup, or remove the fixed split of a source"
    listed = [Problem(Location(""), str(leak), rule="leak") for leak in leaks]
    raise GateError(*listed, Problem(Location(""), f"{count} leaks between splits{more}", hint, "leak"))


def _ids(lines: Path, wanted: set[int]) -> dict[int, str]:
    with lines.open("rb") as stream:
        return {number: orjson.loads(line)["id"] for number, line in enumerate(stream) if number in wanted}
