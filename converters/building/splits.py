"""Assign each row to a split: seeded, grouped, stratified, and independent of the order of the rows."""

from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.sections import SPLITS, Data, Split, SplitName
from ..sources.registry import optional_meta
from .row_hashes import WIDTH

FREE = len(SPLITS)
_MANY = 10_000  # keys from which importing numpy pays off


class Placed(NamedTuple):
    """The rows to split, in compact columns: each row's keys, stratum, and the split that its source fixes.

    `keys` are 16-byte hashes; key n belongs to row `owners[n]`. Rows that share a key, directly or through others, form a group.
    `strata` are indices into `names`, or empty. `fixed` are indices into SPLITS, or FREE.
    """

    keys: bytes | bytearray
    owners: Sequence[int]
    fixed: bytes | bytearray
    strata: Sequence[int] = ()
    names: Sequence[str] = ("",)


def assign_splits(rows: Placed, split: Split) -> bytearray:
    """Return the split of every row as an index into SPLITS. In each stratum, groups are taken in the order of a seeded hash until the test
    split, then the validation split, has its share of rows. A group's stratum is the alphabetically first one of its rows.
    """
    members, keys = find_groups(rows)
    sizes, strata, chosen = _facts(rows, members, len(keys) // WIDTH)
    wanted = _shares(rows.names, sizes, strata, chosen, split)
    seed = str(split.seed).encode()
    ranks = bytearray()
    for start in range(0, len(keys), WIDTH):
        ranks += blake2b(keys[start : start + WIDTH], key=seed, digest_size=WIDTH).digest()
    for group in sorted_positions(ranks):
        if chosen[group] == FREE:
            left = wanted[strata[group]]
            chosen[group] = number = next((n for n in (2, 1) if left[n] > 0), 0)
            left[number] -= sizes[group]
    return bytearray(chosen[group] if fixed == FREE else fixed for group, fixed in zip(members, rows.fixed, strict=True))


def split_name(number: int) -> SplitName:
    """Return the name of a split by its index."""
    return SPLITS[number]


def _facts(rows: Placed, members: Sequence[int], groups: int) -> tuple["array[int]", "array[int]", bytearray]:
    """Return each group's size (rows without a fixed split), stratum, and fixed split (FREE if none of its rows has one)."""
    sizes = array("I", bytes(4 * groups))
    order = {number: place for place, number in enumerate(sorted(range(len(rows.names)), key=lambda n: rows.names[n]))}
    by_place = {place: number for number, place in order.items()}
    places = array("I", [len(order)]) * groups
    chosen = bytearray([FREE]) * groups
    for row, group in enumerate(members):
        if rows.fixed[row] != FREE:
            chosen[group] = min(chosen[group], rows.fixed[row])
            continue
        sizes[group] += 1
        place = order[rows.strata[row]] if rows.strata else 0
        places[group] = min(places[group], place)
    return sizes, array("I", (by_place.get(place, 0) for place in places)), chosen


def _shares(names: Sequence[str], sizes: Sequence[int], strata: Sequence[int], chosen: bytearray, split: Split) -> list[list[int]]:
    """Return, for every stratum, how many rows each split still needs (train takes the rest)."""
    totals = [0] * len(names)
    for size, stratum, fixed in zip(sizes, strata, chosen, strict=True):
        if fixed == FREE:
            totals[stratum] += size
    test = _apportioned(totals, totals, split.test, names, split.seed)
    left = [total - taken for total, taken in zip(totals, test, strict=True)]
    validation = _apportioned(totals, left, split.validation, names, split.seed)
    return [[0, *wanted] for wanted in zip(validation, test, strict=True)]


def _apportioned(totals: Sequence[int], room: Sequence[int], share: float, names: Sequence[str], seed: int) -> list[int]:
    """Return a share of every stratum in whole rows, at most its `room`, that add up to the share of all rows.

    Largest remainders (Hamilton 1792): small strata, each rounded by itself, would give no row at all. A stratum that would be left without
    a row to train on comes last.
    """
    taken = [min(int(total * share), limit) for total, limit in zip(totals, room, strict=True)]

    def rank(stratum: int) -> tuple[bool, float, bytes]:
        draw = blake2b(names[stratum].encode("utf-8", "surrogatepass"), key=str(seed).encode(), digest_size=WIDTH).digest()
        return room[stratum] - taken[stratum] < 2, taken[stratum] - totals[stratum] * share, draw

    open_strata = [stratum for stratum in sorted(range(len(names)), key=rank) if taken[stratum] < room[stratum]]
    for stratum in open_strata[: max(round(sum(totals) * share) - sum(taken), 0)]:
        taken[stratum] += 1
    return taken


def find_groups(rows: Placed) -> tuple[Sequence[int], bytes | bytearray]:
    """Return the group of every row, and the smallest key of every group, which identifies it in any order of the rows."""
    keys, owners = rows.keys, rows.owners
    count = len(rows.fixed)
    order = sorted_positions(keys)
    if not (shared := _shared(keys, order)) and len(order) == count:
        return range(count), keys
    parent = array("I", range(count))

    def root(row: int) -> int:
        while (above := parent[row]) != row:
            parent[row] = parent[above]
            row = above
        return row

    for place in shared:
        parent[root(owners[order[place + 1]])] = root(owners[order[place]])
    numbers, least = array("q", [-1]) * count, bytearray()
    for position in order:
        if numbers[first := root(owners[position])] < 0:
            numbers[first] = len(least) // WIDTH
            least += key_at(keys, position)
    return array("I", (numbers[root(row)] for row in range(count))), least


def key_at(keys: bytes | bytearray, position: int) -> bytes | bytearray:
    """Return the key at a position."""
    return keys[position * WIDTH : position * WIDTH + WIDTH]


def _shared(keys: bytes | bytearray, order: Sequence[int]) -> "array[int]":
    """Return the places in the order whose key equals the next one."""
    return array("q", (place for place, (a, b) in enumerate(pairwise(order)) if key_at(keys, a) == key_at(keys, b)))


def sorted_positions(keys: bytes | bytearray) -> Sequence[int]:
    """Return the positions of 16-byte keys sorted by key; for equal keys, the earlier first."""
    count = len(keys) // WIDTH
    if count > _MANY:
        try:
            import numpy as np
        except ImportError:
            pass
        else:
            first, second = (np.frombuffer(keys, ">u8")[half::2].astype("u8") for half in (0, 1))
            return array("q", np.lexsort((second, first)).tobytes())
    return sorted(range(count), key=lambda position: key_at(keys, position))


SHOWN = 20


def refuse_unknown_keys(data: Data, keys: Mapping[int, set[str]]) -> None:
    """Raise UserError for keys in `group_by` and `stratify_by` that no row has.

    `keys` are the meta keys of each source's rows. A key that only some rows have is accepted, and so is one that a converter adds to rows
    of other files. Strata apply only to rows whose split is not fixed.
    """
    if not data.has_splits:
        return
    everywhere = {key for found in keys.values() for key in found}
    everywhere |= {key for source in data.sources for key in optional_meta(source.converter)}
    free = {key for number, found in keys.items() if data.sources[number].split is None for key in found}
    grouping = everywhere | ({"text"} if data.type != "chat" else set())
    strata = free | ({"label"} if data.type == "classification" else set())
    wrong = [("group_by", key, grouping) for key in data.split.group_by if key not in grouping]
    if data.split.stratify_by and data.split.stratify_by not in strata and any(source.split is None for source in data.sources):
        wrong.append(("stratify_by", data.split.stratify_by, strata))
    if wrong:
        raise UserError(*(_problem(*fault) for fault in wrong))


def _problem(option: str, key: str, possible: set[str]) -> Problem:
    """Return the problem of a key, with the available ones."""
    names = sorted(possible)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    hint = f"rows have {', '.join(names[:SHOWN])}{more}" if names else "no row has a key for this"
    hint += "; the option keep_meta of many converters adds keys"
    return Problem("", f"data.split.{option} (or --{option.replace('_', '-')}) names {key!r}: no row has this key", hint, "split-key")
