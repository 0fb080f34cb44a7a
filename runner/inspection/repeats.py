"""Find repeated rows: equal, nearly equal, the same input with another output, or the same group.

Only hashes and the position of a row are kept (about 60 bytes); signatures for near-duplicates go to a file, 512 bytes per row.
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


class Position(NamedTuple):
    """A row's position: the number of its file, its line, and its index among the values that start on that line."""

    file: int
    line: int
    item: int = 1


class Pair(NamedTuple):
    """Two row numbers, the earlier first."""

    first: int
    second: int


class DuplicateIndex:
    """An index of valid rows, added in order. `scratch` is a new file for signatures; without it near-duplicates are not searched for."""

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

    def add(self, fields: dict[str, Any], meta: dict[str, Any], position: Position) -> None:
        """Add a valid row."""
        keys = group_keys(fields, meta, self.group_by)
        self.groups += b"".join(keys)
        self.owners.extend([len(self)] * len(keys))
        self.contents += content_digest(self.kind, fields)
        if self.kind != "text":
            self.inputs += xxh3_128_digest(orjson.dumps(input_of(self.kind, fields)))
        self.files.append(position.file)
        self.lines.append(position.line)
        self.items.append(position.item)
        if self.scratch:
            self.pending.append(compared_text(self.kind, fields))
            if len(self.pending) == _BATCH:
                self._flush()

    def _flush(self) -> None:
        if self.scratch and self.pending:
            with self.scratch.open("ab") as stream:
                stream.write(signatures(self.pending))
            self.pending.clear()

    def position(self, row: int) -> Position:
        """Return a row's position."""
        return Position(self.files[row], self.lines[row], self.items[row])

    def equal(self) -> Iterator[Pair]:
        """Yield each row that equals an earlier one, with the first of them."""
        return same_key(self.contents)

    def contradictions(self) -> Iterator[Pair]:
        """Yield each row whose input occurs earlier with another output, with the first row of that input."""
        for pair in same_key(self.inputs):
            if not self.is_equal(pair):
                yield pair

    def is_equal(self, pair: Pair) -> bool:
        """Return whether the contents of the two rows are equal."""
        return key_at(self.contents, pair.first) == key_at(self.contents, pair.second)

    def near(self, threshold: float) -> Iterator[Pair]:
        """Yield pairs of rows with nearly, but not exactly, equal texts: a row with at most PARTNERS earlier ones."""
        self._flush()
        if self.scratch:
            pairs = (Pair(*pair) for pair in near_pairs(self.scratch, threshold))
            yield from (pair for pair in pairs if not self.is_equal(pair))

    def across(self, keys: bytearray, owners: Sequence[int], border: int) -> Iterator[Pair]:
        """Yield each row from `border` on that shares a key with a row before `border`, with the first of those, once per key."""
        first, last = -1, None
        for index in sorted_positions(keys):
            key = key_at(keys, index)
            if key != last:
                first, last = owners[index], key
            if first < border <= owners[index]:
                yield Pair(first, owners[index])


def same_key(keys: bytearray) -> Iterator[Pair]:
    """Yield each index whose key occurs earlier, with the first such index, in the order of the keys."""
    first, last = -1, None
    for index in sorted_positions(keys):
        key = key_at(keys, index)
        if key != last:
            first, last = index, key
        else:
            yield Pair(first, index)


def input_of(kind: RecordType, fields: dict[str, Any]) -> Any:
    """Return a record's input: a chat without its system message and last reply, a classification's text."""
    if kind == "chat":
        return [[m["role"], m["content"]] for m in fields["messages"][:-1] if m["role"] != "system"]
    return fields["text"]
