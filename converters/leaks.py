"""Rows and groups that stand in two splits: found by comparing what was written, not by trusting how it was divided."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ..schemas.errors import GateError, Mark, Problem
from ..schemas.sections import Data, SplitName
from .splits import Placed

SHOWN = 20


class Leak(NamedTuple):
    """Two rows of different splits that should not be apart. `kind` is row or group."""

    kind: str
    first: str
    first_split: str
    second: str
    second_split: str

    def __str__(self) -> str:
        return f"the same {self.kind} stands in {self.first_split} ({self.first}) and {self.second_split} ({self.second})"


class Spooled(Protocol):
    """What the check needs of the rows that were kept."""

    data: Data
    ids: list[str]
    digests: list[bytes]

    def placed(self) -> list[Placed]: ...


def check_leaks(spool: Spooled, splits: Sequence[SplitName]) -> None:
    """Raise GateError with the pairs when a row or a group stands in two splits."""
    if spool.data.check_leaks == "none":
        return
    found = list(find_leaks("row", spool.ids, spool.digests, splits))
    found += find_leaks("group", spool.ids, [row.group for row in spool.placed()], splits)
    refuse(found)


def find_leaks(kind: str, ids: Sequence[str], keys: Sequence[bytes], splits: Sequence[str]) -> Iterator[Leak]:
    """A pair for every row whose key was first met in another split."""
    first: dict[bytes, int] = {}
    for index, key in enumerate(keys):
        other = first.setdefault(key, index)
        if splits[other] != splits[index]:
            yield Leak(kind, ids[other], splits[other], ids[index], splits[index])


def refuse(leaks: list[Leak]) -> None:
    """Raise GateError when there are leaks; the first pairs are listed."""
    if not leaks:
        return
    more = f" (the first {SHOWN} are listed)" if len(leaks) > SHOWN else ""
    hint = "group the rows with data.split.group_by, remove duplicates with data.dedup, or take a source's fixed split away"
    listed = [Problem(Mark(""), str(leak), rule="leak") for leak in leaks[:SHOWN]]
    raise GateError(*listed, Problem(Mark(""), f"{len(leaks)} leaks between splits{more}", hint, "leak"))
