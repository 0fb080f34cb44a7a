"""Rows of files -> what a model is asked about each, in the order of the rows. An answer that a row has is not shown to the model.

A row is converted as a training row is: the same converter and options, the same system prompt, the same repair of misread UTF-8. What
cannot be converted is yielded too, with the reason, so that every row of the files comes out.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ...schemas.sections import RecordType, Source
from ..reading.files import files_of
from ..reading.mojibake import fix_fields
from ..reading.readers import read_file
from ..reading.records import Drop, NoAnswer, Record, RecordValue, Row
from ..sources.registry import answer_key, converter
from .batches import numbered
from .chat_checks import record_fault
from .conversion import TRACKED, untracked
from .key_meanings import key_use
from .key_use import plain
from .row_encoder import with_system_prompt

_STAND_IN = "?"  # what a record without its answer is checked with


class Unanswered(NamedTuple):
    """What a model is asked about a row: `messages` that end where its reply begins, or a `text`. Empty fields have a `fault`.

    `columns` are the row's own, as they were read.
    """

    id: str
    columns: dict[str, Any]
    fields: RecordValue
    fault: str = ""


class Reading(NamedTuple):
    """How rows are read: by a source's converter and options, for a model of one record type, after the system prompt.

    A converter that makes no such records makes texts: each is classified, or is the one message of a chat.
    """

    source: Source
    record_type: RecordType
    system_prompt: str | None = None
    fix_mojibake: bool = True

    @property
    def converted_to(self) -> RecordType:
        """The type of the records that the converter makes."""
        return self.record_type if self.record_type in converter(self.source.converter).RECORD_TYPES else "text"


def read_unanswered(reading: Reading) -> Iterator[Unanswered]:
    """Yield what is asked about each row of the source's files. Raises UserError for a file that cannot be read."""
    source, kind = reading.source, reading.converted_to
    key = answer_key(source.converter, kind, source.options)
    unreadable: list[Drop] = []
    keys = key_use(converter(source.converter), source.ignore_keys)
    rows = keys.track(_without_answer(_rows(source, unreadable), key))
    for item in converter(source.converter).convert(rows, kind, **source.options):
        yield from map(_dropped, unreadable)
        unreadable.clear()
        if type(item.row.value) in TRACKED:
            item = untracked(source.converter, item, keys)
        yield _dropped(item) if isinstance(item, Drop) else _asked(item, reading)
    yield from map(_dropped, unreadable)


def _rows(source: Source, unreadable: list[Drop]) -> Iterator[Row]:
    """The rows that can be read; the others are put to the `unreadable`."""
    module = converter(source.converter)
    for file in files_of(source):
        for row in numbered(read_file(file, module.INPUT)[1]):
            if isinstance(row, Drop):
                unreadable.append(row)
            else:
                yield row


def _without_answer(rows: Iterable[Row], key: str | None) -> Iterator[Row]:
    """The rows, with a NoAnswer where they lack the answer. One that has it is converted with it: its converter may look at it."""
    for row in rows:
        if key and isinstance(row.value, dict) and row.value.get(key) in (None, ""):
            answer = NoAnswer()
            answer.given = row.value.get(key, ...)
            row = row._replace(value={**row.value, key: answer})
        yield row


def _asked(record: Record, reading: Reading) -> Unanswered:
    """The record's fields without its answer, or why they cannot be asked."""
    fields = record.fields
    if reading.record_type == "chat":
        if "text" in fields:
            fields = {"messages": [{"role": "user", "content": fields["text"]}]}
        if reading.system_prompt:
            fields = with_system_prompt(fields, reading.system_prompt)
        messages = [*fields["messages"]]
        if messages and messages[-1].get("role") == "assistant":
            messages = messages[:-1]
        checked: RecordValue = {"messages": [*messages, {"role": "assistant", "content": _STAND_IN}]}
        asked: RecordValue = {"messages": [{name: message.get(name) for name in ("role", "content")} for message in messages]}
    else:
        asked = {"text": fields["text"]}
        checked = asked | ({"label": _STAND_IN} if reading.record_type == "classification" else {})
    if fault := record_fault(reading.record_type, checked):
        return _dropped(Drop(record.row, *fault))
    columns = {"text": record.fields["text"]} if isinstance(record.row.value, str) else _columns(record.row.value)
    return Unanswered(_id(record.row), columns, fix_fields(asked) if reading.fix_mojibake else asked)


def _dropped(drop: Drop) -> Unanswered:
    fault = drop.reason.replace("_", " ") + (f": {drop.detail}" if drop.detail else "")
    return Unanswered(_id(drop.row), _columns(drop.row.value), {}, fault)


def _id(row: Row) -> str:
    return f"{row}" if row.item == 1 else f"{row}.{row.item}"


def _columns(value: Any) -> dict[str, Any]:
    """The row's columns; a row without names has one, `text` or `value`."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):  # a table that a converter reads itself
        value = {name: cell for name, cell in value._asdict().items() if name != "fixed"}  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, dict):
        cells = {name: cell.given if isinstance(cell, NoAnswer) else cell for name, cell in plain(value).items()}
        return {name: cell for name, cell in cells.items() if cell is not ...}
    return {} if value is None else {"text" if isinstance(value, str) else "value": value}
