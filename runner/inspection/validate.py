"""Check JSONL files of records against the schema and rules of their type, line by line."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.chat_checks import record_fault
from ...converters.reading.contents import sniff
from ...converters.reading.delimiters import DELIMITERS
from ...converters.reading.files import HEAD, open_source
from ...converters.reading.readers import read_jsonl
from ...converters.reading.records import Drop, Row
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.json_schema import schema
from ...schemas.schema_errors import explain
from ...schemas.sections import RecordType
from ...schemas.validation import validator
from ...schemas.yaml_source import Document

_NOT_RECORDS = "records are written by `recipe convert`; `recipe new NAME --data FILE` proposes how to read other files"
RECORD_TYPES = "records have messages (chat), text and label (classification), or text (text); `recipe convert` converts other rows"
_NOT_CONVERTED = "records are checked after conversion: recipe convert --converter NAME FILE --out DIR"
LINES = 1000  # of a file that reads like a table, in which JSON is looked for


class Checked(NamedTuple):
    """A checked file: record type (None if unknown), rows, invalid rows, and the first problems."""

    file: str
    type: RecordType | None
    rows: int
    bad: int
    problems: list[Problem]


def check_file(path: Path, kind: RecordType | None, limit: int) -> Checked:
    """Check every line; `kind` None takes the type of the first record. Keeps the problems of the first `limit` invalid rows.

    Raises UserError if there is no such file, or if it is in another format.
    """
    name = str(path)
    require_file(path)
    _refuse_other_format(path)
    rows = bad = 0
    problems: list[Problem] = []
    with open_source(path) as stream:
        for row in read_jsonl(stream, name):
            rows += 1
            kind = kind or (None if isinstance(row, Drop) else infer_record_type(row.value))
            faults = _faults(row, kind)
            first = next(faults, None)
            if first is None:
                continue
            bad += 1
            if bad <= limit:
                problems += [first, *faults]
    if not rows:
        problems.append(Problem(name, "no records in this file", rule="no-records"))
    return Checked(name, kind, rows, bad, problems)


def require_file(path: Path) -> None:
    """Raise UserError if there is no such file."""
    if not path.is_file():
        raise UserError(Problem(path, "no such file", "give a JSONL file of records", "no-such-file"))


def _refuse_other_format(path: Path) -> None:
    """Raise UserError for a file that is not JSONL: once, instead of once per line."""
    with open_source(path) as stream:
        head = stream.read(HEAD)
        stream.seek(0)
        kind = sniff(head)
        if kind == "jsonl" or not head.strip():
            return
        # A file whose first line is damaged reads like a table.
        if kind in DELIMITERS and any(isinstance(row, Row) for row in islice(read_jsonl(stream, ""), LINES)):
            return
    what = {"json": "a JSON document", "csv": "a CSV table or plain text", "tsv": "a TSV table"}.get(kind, kind)
    raise UserError(Problem(path, f"holds {what}, not records as JSONL", _NOT_RECORDS, "not-records"))


def infer_record_type(value: Any) -> RecordType | None:
    """Infer the record type from the keys of a value; None if they match none."""
    keys = set(value) if isinstance(value, dict) else set()
    return "chat" if "messages" in keys else "classification" if "label" in keys else "text" if "text" in keys else None


def _faults(row: Any, kind: RecordType | None) -> Iterator[Problem]:
    """Yield problems lazily: explaining a row costs a hundred times as much as refusing it."""
    if isinstance(row, Drop):
        yield Problem(Location(row.row.file, row.row.line), f"not JSON: {row.detail}", rule=row.reason)
        return
    location = Location(row.file, row.line)
    if kind is None:
        yield Problem(location, "no record of a known type", RECORD_TYPES, "unknown-type")
    elif not validator(kind).is_valid(row.value):
        for problem in explain(Document(row.value, {}, {}), schema(kind)):  # its hints are for YAML, except for misspelt choices
            not_converted = problem.rule == "missing-key" and "id" not in row.value
            hint = _NOT_CONVERTED if not_converted else problem.hint if problem.rule == "enum" else ""
            yield problem.replaced(location=location, hint=hint)
    elif fault := record_fault(kind, row.value):
        yield Problem(location, ": ".join(part.replace("_", " ") if part == fault[0] else part for part in fault if part), rule=fault[0])
