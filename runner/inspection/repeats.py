"""Rows that say the same: equal ones, nearly equal ones, the same input with another output, and rows that share a group.

Of a row, only hashes and its place are kept (about 60 bytes); what near-duplicates are told by goes to a file, 512 bytes a row.
"""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from xxhash import xxh3_128_digest

from ...converters.building.near_duplicates import compared_text, near_pairs, signatures
from ...converters.building.row_encoder import content_digest, group_keys
from ...converters.building.splits import key_at, sorted_positions
from ...schemas.sections import RecordType

_BATCH = 512


class Place(NamedTuple):
    """Where a row stands: a file by its number, the line, and which of the values that start on that line it is."""

    file: int
    line: int
    item: int = 1


class Pair(NamedTuple):
    """Two rows by their numbers, the earlier first."""

    first: int
    second: int


class DuplicateIndex:
    """Takes valid rows in order. `scratch` is a new file for signatures; without it near-duplicates are not looked for."""

    def __init__(self, kind: RecordType, scratch: Path | None = None, group_by: Sequence[str] = ()) -> None:
        self.kind: RecordType = kind
        self.group_by = tuple(group_by)
        self.contents = bytearray()
        self.inputs = bytearray()
        self.groups = bytearray()
        self.owners = array("Q")
        self.files = array("H")
        self.lines = array("Q")
        self.items = array("I")
        self.scratch = scratch
        if scratch:
            scratch.write_bytes(b"")
        self.pending: list[str] = []

    def __len__(self) -> int:
        return len(self.files)

    def add(self, fields: dict[str, Any], meta: dict[str, Any], place: Place) -> None:
        """Note a valid row."""
        keys = group_keys(fields, meta, self.group_by)
        self.groups += b"".join(keys)
        self.owners.extend([len(self)] * len(keys))
        self.contents += content_digest(self.kind, fields)
        if self.kind != "text":
            self.inputs += xxh3_128_digest(orjson.dumps(input_of(self.kind, fields)))
        self.files.append(place.file)
        self.lines.append(place.line)
        self.items.append(place.item)
        if self.scratch:
            self.pending.append(compared_text(self.kind, fields))
            if len(self.pending) == _BATCH:
                self._flush()

    def _flush(self) -> None:
        if self.scratch and self.pending:
            with self.scratch.open("ab") as stream:
                stream.write(signatures(self.pending))
            self.pending.clear()

    def place(self, row: int) -> Place:
        """Where a row stands."""
        return Place(self.files[row], self.lines[row], self.items[row])

    def equal(self) -> Iterator[Pair]:
        """Each row that equals an earlier one, with the first of them."""
        return same_key(self.contents)

    def contradictions(self) -> Iterator[Pair]:
        """Each row whose input an earlier row has with another output, with the first row of that input."""
        for pair in same_key(self.inputs):
            if not self.is_equal(pair):
                yield pair

    def is_equal(self, pair: Pair) -> bool:
        """Whether the contents of the two rows are equal."""
        return key_at(self.contents, pair.first) == key_at(self.contents, pair.second)

    def near(self, threshold: float) -> list[Pair]:
        """Pairs of rows whose texts are nearly, but not quite, equal."""
        self._flush()
        if not self.scratch:
            return []
        pairs = (Pair(*pair) for pair in near_pairs(self.scratch, threshold))
        return [pair for pair in pairs if not self.is_equal(pair)]

    def across(self, keys: bytearray, owners: Sequence[int], border: int) -> Iterator[Pair]:
        """Each row from number `border` on that shares a key with a row before it, with the first of those; once for every key."""
        first, last = -1, None
        for position in sorted_positions(keys):
            key = key_at(keys, position)
            if key != last:
                first, last = owners[position], key
            if first < border <= owners[position]:
                yield Pair(first, owners[position])


def same_key(keys: bytearray) -> Iterator[Pair]:
    """Each position whose key stands at an earlier one, with the first of those, in the order of the keys."""
    first, last = -1, None
    for position in sorted_positions(keys):
        key = key_at(keys, position)
        if key != last:
            first, last = position, key
        else:
            yield Pair(first, position)


def input_of(kind: RecordType, fields: dict[str, Any]) -> Any:
    """What a record asks: a chat without its system message and its last reply, a classification's text."""
    if kind == "chat":
        return [[m["role"], m["content"]] for m in fields["messages"][:-1] if m["role"] != "system"]
    return fields["text"]
