"""Read rows of files as questions to a model, in order. An answer in the row is not shown to the model.

A row is converted like a training row: the same converter and options, the same system prompt, the same repair of misread UTF-8. A row
that cannot be converted is yielded with the reason, so that every row of the files is in the output.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ...schemas.base.errors import UserError
from ...schemas.sections import RecordType, Source
from ..reading.files import SourceFile, files_of
from ..reading.mojibake import fix_fields
from ..reading.records import Drop, NoAnswer, Record, RecordValue, Row
from ..sources.registry import answer_key, converter
from .batches import file_rows, without_drops
from .chat_checks import record_fault
from .conversion import TRACKED, untracked
from .key_meanings import key_use
from .key_use import plain
from .row_account import convert_rows
from .row_encoder import with_system_prompt
from .training_form import TrainingForm

_STAND_IN = "?"  # the answer with which a record without one is validated
KEEP_ROWS = "keep_rows"  # the option that leaves out what annotators refused: of rows to predict, every one is asked


class Unanswered(NamedTuple):
    """A question to a model: `messages` up to its reply, or a `text`. If `fields` is empty, `fault` says why.

    `columns` are the row's own values, as read.
    """

    id: str
    columns: dict[str, Any]
    fields: RecordValue
    fault: str = ""


class Reading(NamedTuple):
    """How rows are read: with a source's converter and options, for a model of one record type, after the system prompt.

    A converter that cannot make such records makes texts: each is classified, or becomes the one message of a chat. What is classified is
    then brought into `form`, where the converter is not that of the training.
    """

    source: Source
    record_type: RecordType
    system_prompt: str | None = None
    fix_mojibake: bool = True
    form: TrainingForm | None = None

    @property
    def converted_to(self) -> RecordType:
        """Return the type of the records that the converter makes."""
        return self.record_type if self.record_type in converter(self.source.converter).RECORD_TYPES else "text"


def read_unanswered(reading: Reading) -> Iterator[Unanswered]:
    """Yield the question for each row of the source's files; of several files, with the name of its file as a column.

    Raises UserError for a file that cannot be read.
    """
    files = files_of(reading.source)
    for file, asked in _questions(reading, files):
        yield asked._replace(columns={"file": file, **asked.columns}) if len(files) > 1 else asked


def _questions(reading: Reading, files: list[SourceFile]) -> Iterator[tuple[str, Unanswered]]:
    """Yield the name of each row's file, and its question."""
    source, kind = reading.source, reading.converted_to
    key = answer_key(source.converter, kind, source.options)
    unreadable: list[Drop] = []
    options = {name: value for name, value in source.options.items() if name != KEEP_ROWS}
    keys = key_use(converter(source.converter), (*source.ignore_keys, *source.options.get(KEEP_ROWS, ())))
    rows = without_drops(file_rows(files, converter(source.converter).INPUT), unreadable)
    rows = keys.track(_without_answer(rows, key))
    for item in convert_rows(source.converter, rows, kind, options):
        yield from ((drop.row.file, _dropped(drop)) for drop in unreadable)
        unreadable.clear()
        if type(item.row.value) in TRACKED:
            item = untracked(source.converter, item, keys)
        yield item.row.file, _dropped(item) if isinstance(item, Drop) else _asked(item, reading)
    yield from ((drop.row.file, _dropped(drop)) for drop in unreadable)


def _without_answer(rows: Iterable[Row], key: str | None) -> Iterator[Row]:
    """Yield the rows, with a NoAnswer for a missing answer. A row with an answer keeps it, because its converter may read it."""
    for row in rows:
        if key and isinstance(row.value, dict) and row.value.get(key) in (None, ""):
            answer = NoAnswer()
            answer.given = row.value.get(key, ...)
            row = row._replace(value={**row.value, key: answer})
        yield row


def _asked(record: Record, reading: Reading) -> Unanswered:
    """Return the record's fields without its answer, or why they cannot be used."""
    fields = record.fields
    if reading.record_type == "chat":
        if "text" in fields:
            fields = {"messages": [{"role": "user", "content": fields["text"]}]}
        fields = with_system_prompt(fields, reading.system_prompt)
        messages = [*fields["messages"]]
        if messages and messages[-1].get("role") == "assistant":
            messages = messages[:-1]
        checked: RecordValue = {"messages": [*messages, {"role": "assistant", "content": _STAND_IN}]}
        asked: RecordValue = {"messages": [{name: message.get(name) for name in ("role", "content")} for message in messages]}
    else:
        asked = {"text": fields["text"]}
        if reading.form and isinstance(fields["text"], str):
            try:
                asked["text"] = reading.form.read(fields["text"])
            except UserError as error:
                return Unanswered(str(record.row), _columns(record.row.value), {}, error.problems[0].what)
        checked = asked | ({"label": _STAND_IN} if reading.record_type == "classification" else {})
    if fault := record_fault(reading.record_type, checked):
        return _dropped(Drop(record.row, *fault))
    columns = {"text": record.fields["text"]} if isinstance(record.row.value, str) else _columns(record.row.value)
    return Unanswered(str(record.row), columns, fix_fields(asked) if reading.fix_mojibake else asked)


def _dropped(drop: Drop) -> Unanswered:
    fault = drop.reason.replace("_", " ") + (f": {drop.detail}" if drop.detail else "")
    return Unanswered(str(drop.row), _columns(drop.row.value), {}, fault)


def _columns(value: Any) -> dict[str, Any]:
    """Return the row's columns; a row without column names has one, `text` or `value`."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):  # from a converter that reads tables itself
        value = {name: cell for name, cell in value._asdict().items() if name != "fixed"}  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, dict):
        cells = {name: cell.given if isinstance(cell, NoAnswer) else cell for name, cell in plain(value).items()}
        return {name: cell for name, cell in cells.items() if cell is not ...}
    return {} if value is None else {"text" if isinstance(value, str) else "value": value}
