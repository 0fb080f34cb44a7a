"""Leaks between two sets of records: identical rows, near-duplicates, the same question, the same group."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.reading.records import Drop
from ...schemas.base.errors import Problem, UserError
from .inputs import Inputs
from .previews import Previews
from .record_rows import fields_of, meta_of, record_rows, record_type
from .repeats import DuplicateIndex, Pair, Position

KINDS = {
    "equal": "identical row",
    "nearly_equal": "near-duplicate",
    "same_input": "same question, different answer",
    "same_group": "same group",
}


class Leaks(NamedTuple):
    """Leaks by kind: the number of leaking `rows` of the second side, and the first `pairs` in its order."""

    rows: dict[str, int]
    pairs: dict[str, list[tuple[Position, Position]]]
    counts: tuple[int, int]
    bad: tuple[int, int]


class Sides(NamedTuple):
    """Files of both sides, the number of the first side's, and the indices of temporary files, converted from a recipe."""

    files: list[tuple[str, Path]]
    border: int
    temporary: tuple[int, ...] = ()

    @classmethod
    def of(cls, first: Inputs, second: Inputs) -> "Sides":
        """Name files by their paths: both sides may have a train split."""
        files = [(str(path), path) for side in (first, second) for path in side.files.values()]
        temporary = [side.temporary for side in (first, second) for _ in side.files]
        return cls(files, len(first.files), tuple(number for number, found in enumerate(temporary) if found))


def find_leaks(sides: Sides, scratch: Path, near: float | None, group_by: Sequence[str], limit: int) -> Leaks:
    """Read both sides once; up to `limit` pairs of each kind are kept, all are counted.

    Raises UserError if the sides hold different record types, or no row has a key of `group_by`.
    """
    kind = record_type([path for _, path in sides.files[: sides.border]])
    other = record_type([path for _, path in sides.files[sides.border :]])
    if kind != other:
        raise UserError(Problem(sides.files[sides.border][0], f"contains {other} records, and the other side {kind} records", rule="types"))
    repeats = DuplicateIndex(kind, scratch / "signatures" if near else None, group_by)
    counts, bad = [0, 0], [0, 0]
    for number, (_, path) in enumerate(sides.files):
        side = int(number >= sides.border)
        for row in record_rows(path, kind):
            counts[side] += 1
            if isinstance(row, Drop):
                bad[side] += 1
            else:
                repeats.add(fields_of(row.value), meta_of(row.value), Position(number, row.line, row.item))
    if group_by and not repeats.owners:
        hint = "group_by names keys of meta (or text), as data.split.group_by does"
        raise UserError(Problem(f"--group-by {' '.join(group_by)}", "no row has this key", hint, "group-by"))
    border = counts[0] - bad[0]
    found = {name: _first(pairs, limit) for name, pairs in _kinds(repeats, border, near).items()}
    rows = {name: count for name, (count, _) in found.items()}
    pairs = {name: [(repeats.position(a), repeats.position(b)) for a, b in listed] for name, (_, listed) in found.items()}
    return Leaks(rows, pairs, (counts[0], counts[1]), (bad[0], bad[1]))


def _kinds(repeats: DuplicateIndex, border: int, near: float | None) -> dict[str, Iterable[Pair]]:
    every = range(len(repeats))
    found: dict[str, Iterable[Pair]] = {"equal": repeats.across(repeats.contents, every, border)}
    if near:
        found["nearly_equal"] = (pair for pair in repeats.near(near) if pair.first < border <= pair.second)
    if repeats.kind != "text":
        shared = repeats.across(repeats.inputs, every, border)
        found["same_input"] = (pair for pair in shared if not repeats.is_equal(pair))
    if repeats.group_by:
        found["same_group"] = repeats.across(repeats.groups, repeats.owners, border)
    return found


def _first(pairs: Iterable[Pair], limit: int) -> tuple[int, list[Pair]]:
    """Return the number of rows of the second side in the pairs, and one pair for each of the first `limit` of them."""
    partner: dict[int, int] = {}
    for first, second in pairs:
        partner[second] = min(first, partner.get(second, first))
    return len(partner), [Pair(partner[second], second) for second in sorted(partner)[:limit]]


def list_pairs(leaks: Leaks, previews: Previews) -> Iterator[dict[str, Any]]:
    """Yield each listed pair as {kind, first: {file, line, item, row}, second: ...}."""
    for kind, pairs in leaks.pairs.items():
        for positions in pairs:
            sides = (previews.at(position)._asdict() for position in positions)
            yield {"kind": kind, **dict(zip(("first", "second"), sides, strict=True))}
