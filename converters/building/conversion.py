"""Convert a batch of rows into lines to write, with what committing them needs. Nothing is opened here, and nothing is kept between
batches: a batch may be converted in any process, or again in another one, with the same bytes as the result.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain
from sys import maxsize
from typing import Any, NamedTuple

import orjson

from ...schemas.sections import Data, RecordType, Source
from ..reading.mojibake import FIXED, fix_fields, may_be_misread
from ..reading.readers import json_lines
from ..reading.records import Drop, JoinedRow, Record, RecordValue, Row
from ..sources.registry import converter
from .artifacts import artifacts
from .budgets import count_words, has_budget
from .chat_checks import record_fault
from .key_meanings import key_use, refusal
from .key_use import KeyUse, ShapeKeys, TrackedRow, UnreadKeys
from .named_in_rows import Named, NamedInRows
from .near_duplicates import compared_text, signatures
from .row_account import convert_rows
from .row_counts import LISTED, Ledger
from .row_encoder import Lines, group_keys, leak_digest, plain_chat, reserved_key, row_digest, with_system_prompt
from .row_shapes import Shape

TOGETHER = 32  # rows of a batch whose shapes are compared at once: few enough for a processor's cache
TRACKED = (TrackedRow, JoinedRow)


class Spec(NamedTuple):
    """What every batch of a source needs."""

    record_type: RecordType
    converter: str
    options: dict[str, Any]
    prefix: str = ""
    system_prompt: str | None = None
    group_by: tuple[str, ...] = ()
    stratify_by: str | None = None
    near: bool = False
    fix_mojibake: bool = True
    ignore_keys: tuple[str, ...] = ()
    count_words: bool = False
    has_splits: bool = False

    @classmethod
    def of(cls, data: Data, source: Source, prefix: str) -> "Spec":
        """Return the spec of a source in a recipe's data section."""
        prompt, split, fix = data.system_prompt, data.split, data.fix_mojibake
        return cls(data.type, source.converter, source.options, prefix, prompt, split.group_by, split.stratify_by, data.compares_near, fix,
                   source.ignore_keys, has_budget(data), data.has_splits)  # fmt: skip


class Batch(NamedTuple):
    """Rows in order, before conversion: either `lines`, whole lines of JSON as they are in the file, the first with the number `line`,
    or `rows` that were already read.
    """

    file: str
    line: int
    lines: bytes = b""
    rows: Sequence[Row | Drop] = ()

    def __str__(self) -> str:
        if self.lines:
            return f"lines {self.line} to {self.line + count_lines(self.lines) - 1} of {self.file}"
        last = self.rows[-1]
        return f"rows {self.line} to {(last.row if isinstance(last, Drop) else last).line} of {self.file}"


def count_lines(block: bytes) -> int:
    """Return the number of lines in the block; the last one may lack its line end."""
    return block.count(b"\n") + (not block.endswith(b"\n"))


class Converted(NamedTuple):
    """A converted batch: its valid records as lines, and what is needed to commit them. What the recipe does not need is empty.

    Digests have 16 bytes each, in the order of the records.
    """

    ledger: Ledger  # every row of the batch
    lines: bytes
    ends: "array[int]"  # where the line of each record ends in `lines`
    digests: bytes  # records with the same one are duplicates
    keys: list[list[bytes]]  # the group keys of each record
    strata: list[str]
    fixed: dict[int, tuple[str, ...]]  # the repairs by the record's number
    labels: dict[str, str]  # label -> its first row
    named: set[str]  # the keys found in meta
    artifacts: Counter[str]  # records by the artifact in their texts
    unread: dict[Shape, UnreadKeys]  # the keys that the converter did not read
    present: frozenset[Named] = frozenset()  # what the source's options name and a row has
    contents: bytes = b""  # digests: records with the same one are in one split
    prompted: int = 0  # records with the recipe's system prompt
    signatures: bytes = b""  # for near-duplicates
    words: "array[int]" = array("I")  # the words of each record


class Encoded(NamedTuple):
    """A valid record, repaired: its `fields` have the recipe's system prompt; `may_have_artifacts` is False only for texts without any."""

    record: Record
    fields: RecordValue
    line: bytes
    digest: bytes
    may_have_artifacts: bool


def convert_batch(spec: Spec, batch: Batch) -> Converted:
    """Convert and validate the rows of a batch, and write the records as lines. Its ledger accounts for every row."""
    ledger, unreadable = Ledger(), []
    rows = json_lines(BytesIO(batch.lines), batch.file, batch.line) if batch.lines else batch.rows
    keys = key_use(converter(spec.converter), spec.ignore_keys)
    named = NamedInRows(spec.options, spec.ignore_keys)
    tracked = readable(keys.track(rows, TOGETHER), unreadable, ledger)
    items = convert_rows(spec.converter, tracked, spec.record_type, named.options)
    found = encode(spec, items, unreadable, ledger, Lines(spec.converter, spec.prefix), keys)
    return found._replace(unread=keys.result(), present=named.present(keys.paths()))


def convert_stream(spec: Spec, rows: Iterable[Row | Drop], size: int) -> Iterator[Converted]:
    """Convert all rows as one stream, for a converter whose records depend on more than one row. Yield parts of about `size` bytes."""
    reading, unreadable = Ledger(), []
    lines, keys = Lines(spec.converter, spec.prefix), key_use(converter(spec.converter), spec.ignore_keys)
    named = NamedInRows(spec.options, spec.ignore_keys)
    items = convert_rows(spec.converter, readable(keys.track(rows), unreadable, reading), spec.record_type, named.options)
    while (item := next(items, None)) is not None:
        yield encode(spec, chain((item,), items), unreadable, Ledger(), lines, keys, size)
    last = encode(spec, (), unreadable, reading, lines, keys)
    yield last._replace(unread=keys.result(), present=named.present(keys.paths()))


def readable(rows: Iterable[Row | Drop], unreadable: list[Drop], ledger: Ledger) -> Iterator[Row]:
    """Yield the rows that were read; append the others to `unreadable`."""
    for row in rows:
        ledger.read += 1
        if isinstance(row, Drop):
            unreadable.append(row)
            if len(unreadable) > LISTED:  # bounds the memory for a file of broken rows
                _count(unreadable, ledger)
        else:
            yield row


def encode(
    spec: Spec, items: Iterable[Record | Drop], unreadable: list[Drop], ledger: Ledger, lines: Lines, keys: KeyUse, size: int = maxsize
) -> Converted:
    """Return the valid records as lines, up to `size` bytes. Invalid records and drops are counted in the ledger.

    `unreadable` is filled while the items are consumed.
    """
    texts: list[bytes] = []
    digests: list[bytes] = []
    contents: list[bytes] = []
    prompted = 0
    compared: list[str] = []
    words = array("I")
    result = Converted(ledger, b"", array("Q"), b"", [], [], {}, {}, set(), Counter(), {})
    has_details = bool(spec.group_by or spec.stratify_by or spec.record_type == "classification")
    for item in _records(spec, items, unreadable, ledger, keys):
        encoded = _encoded(spec, item, lines)
        if isinstance(encoded, Drop):
            ledger.drop(encoded)
            continue
        record, fields = encoded.record, encoded.fields
        texts.append(encoded.line)
        digests.append(encoded.digest)
        prompted += fields is not record.fields
        if encoded.may_have_artifacts:
            result.artifacts.update(artifacts(fields))
        if spec.has_splits:
            contents.append(leak_digest(spec.record_type, fields, encoded.digest))
        if spec.count_words:
            words.append(count_words(spec.record_type, fields))
        if spec.near:
            compared.append(compared_text(spec.record_type, fields))
        if has_details or record.fixed:
            _collect(spec, record, fields, result, len(texts) - 1)
        size -= len(encoded.line)
        if size <= 0:
            break
    _count(unreadable, ledger)
    return result._replace(
        lines=b"".join(texts),
        ends=array("Q", accumulate(map(len, texts))),
        digests=b"".join(digests),
        contents=b"".join(contents),
        prompted=prompted,
        signatures=signatures(compared) if compared else b"",
        words=words,
    )


def _encoded(spec: Spec, record: Record, lines: Lines) -> Encoded | Drop:
    """Return the record as a line, repaired; a drop for an invalid one."""
    fields = with_system_prompt(record.fields, spec.system_prompt)
    try:
        plain = plain_chat(fields["messages"]) if spec.record_type == "chat" and len(fields) == 1 else None
        fault = record_fault(spec.record_type, fields) if plain is None else None
        if fault := fault or (reserved_key(record.meta) if record.meta else None):
            return Drop(record.row, *fault)
        body, digest, may_have_artifacts = plain or (orjson.dumps(fields)[1:-1], row_digest(spec.record_type, fields), True)
        if spec.fix_mojibake and may_be_misread(body) and (better := fix_fields(record.fields)) is not record.fields:
            record, fields = _with_fixed_text(spec, record, better)
            body, digest = orjson.dumps(fields)[1:-1], row_digest(spec.record_type, fields)
        return Encoded(record, fields, lines.line(record, body), digest, may_have_artifacts)
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        return Drop(record.row, "not_json", str(error))


def _records(spec: Spec, items: Iterable[Record | Drop], unreadable: list[Drop], ledger: Ledger, keys: KeyUse) -> Iterator[Record]:
    """Yield the records; count the drops, including records of rows with keys that must be read and were not."""
    for item in items:
        if unreadable:
            _count(unreadable, ledger)
        if type(item.row.value) in TRACKED:
            item = untracked(spec.converter, item, keys)
        if isinstance(item, Drop):
            ledger.drop(item)
        else:
            yield item


def untracked(name: str, item: Record | Drop, keys: KeyUse) -> Record | Drop:
    """Return the item that the converter `name` made from tracked rows, without the tracking. A record that leaves a significant key unread
    becomes a drop."""
    value = item.row.value
    rows = [row for row in (value.parts if type(value) is JoinedRow else [item.row]) if type(row.value) is TrackedRow]
    shapes: list[ShapeKeys] = [row.value.shape for row in rows]
    if isinstance(item, Record):
        record = keys.untracked(item, shapes)
        item = next((drop for row in rows if (drop := refusal(row, name, record.fields))), record)
    for shape in shapes:
        if isinstance(item, Drop):
            shape.dropped = True
        else:
            shape.kept = True
    return item


def _with_fixed_text(spec: Spec, record: Record, better: RecordValue) -> tuple[Record, RecordValue]:
    """Return the record with its repaired fields, and those with the system prompt; unchanged if the repair would make it invalid."""
    fields = with_system_prompt(better, spec.system_prompt)
    if record_fault(spec.record_type, fields):
        return record, with_system_prompt(record.fields, spec.system_prompt)
    return record._replace(fields=better, fixed=(*record.fixed, FIXED)), fields


def _count(unreadable: list[Drop], ledger: Ledger) -> None:
    for drop in unreadable:
        ledger.drop(drop)
    unreadable.clear()


def _collect(spec: Spec, record: Record, fields: RecordValue, found: Converted, number: int) -> None:
    """Collect what the commit needs from a record besides its line."""
    if record.fixed:
        found.fixed[number] = record.fixed
    if spec.group_by:
        found.keys.append(group_keys(fields, record.meta, spec.group_by))
    if spec.stratify_by:
        value = fields["label"] if spec.stratify_by == "label" and "label" in fields else record.meta.get(spec.stratify_by)
        found.strata.append(str(value))
    if spec.group_by or spec.stratify_by:
        found.named.update(record.meta)
    if spec.record_type == "classification":
        found.labels.setdefault(fields["label"], str(record.row))
