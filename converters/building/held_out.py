"""Find rows of evaluation sets that training has seen: each set against the rows written for training and validation.

Only the sets are kept in memory; the training rows are read once, from their files.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from ...schemas.base.counted import counted
from ...schemas.sections import Data, RecordType
from .leaks import COMPARED, SHOWN, Leak, leak_error
from .near_duplicates import compared_text, near_pairs, signatures
from .row_encoder import group_keys, leak_digest

SEEN = ("train", "validation")
_BATCH = 512
Placed = tuple[str, dict[str, Any]]  # the set or split, and the row


def refuse_seen_rows(data: Data, folder: Path, sets: Mapping[str, tuple[RecordType, Path]]) -> None:
    """Raise GateError for rows of the sets (name -> record type and file) that are also in the folder's train.jsonl or validation.jsonl.

    As between splits: identical rows, rows of one group, and near-duplicates with data.check_leaks `near`. A set of another record type can
    only share groups.
    """
    if data.check_leaks == "none":
        return
    held_out = [(name, row) for name, (_, path) in sets.items() for row in _rows(path)]
    alike = [(name, row) for name, row in held_out if sets[name][0] == data.type]
    leaks = [*_equal(data, folder, alike, held_out)]
    if data.check_leaks == "near":
        leaks += _near(data, folder, alike)
    if leaks:
        hint = "remove the rows from the set or from the training data, or group them by a common key with data.split.group_by"
        what = f"{counted(len(leaks), 'evaluated row', 'are')} also in the training data"
        raise leak_error(leaks[:SHOWN], len(leaks), what, hint)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        with path.open("rb") as stream:
            yield from map(orjson.loads, stream)


def _seen(folder: Path) -> Iterator[Placed]:
    return ((split, row) for split in SEEN for row in _rows(folder / f"{split}.jsonl"))


def _equal(data: Data, folder: Path, alike: list[Placed], held_out: list[Placed]) -> Iterator[Leak]:
    """Yield a leak for each row of a set and each kind, with the first training row that matches."""
    same, group_by = COMPARED[data.type], data.split.group_by
    wanted: dict[tuple[str, bytes], list[Placed]] = {}
    for place in alike:
        wanted.setdefault((same, leak_digest(data.type, place[1])), []).append(place)
    for place in held_out:
        for key in group_keys(place[1], place[1]["meta"], group_by):
            wanted.setdefault(("group", key), []).append(place)
    found: set[tuple[str, str, str]] = set()
    for split, row in _seen(folder):
        keys = [(same, leak_digest(data.type, row)), *(("group", key) for key in group_keys(row, row["meta"], group_by))]
        for kind, key in keys:
            for name, held in wanted.get((kind, key), ()):
                if (kind, name, held["id"]) not in found:
                    found.add((kind, name, held["id"]))
                    yield Leak(kind, row["id"], split, held["id"], name)


def _near(data: Data, folder: Path, alike: list[Placed]) -> Iterator[Leak]:
    """Yield a leak for each row of a set that is nearly, but not exactly, equal to a row seen in training."""
    border = len(alike)
    with TemporaryDirectory(dir=folder.parent) as scratch:
        path = Path(scratch) / "signatures"
        rows = (row for _, row in (*alike, *_seen(folder)))
        with path.open("wb") as stream:
            while batch := [compared_text(data.type, row) for row in islice(rows, _BATCH)]:
                stream.write(signatures(batch))
        pairs = {first: second - border for first, second in near_pairs(path, data.near_threshold) if first < border <= second}
    wanted = set(pairs.values())
    seen = {number: place for number, place in enumerate(_seen(folder)) if number in wanted}
    for first, second in sorted(pairs.items()):
        (name, held), (split, row) = alike[first], seen[second]
        if leak_digest(data.type, held) != leak_digest(data.type, row):
            yield Leak("near-duplicate", row["id"], split, held["id"], name)
