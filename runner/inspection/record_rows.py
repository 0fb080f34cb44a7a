"""Read record files as rows, each valid or dropped with a reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...converters.building.batches import numbered
from ...converters.building.chat_checks import record_fault
from ...converters.reading.files import SourceFile
from ...converters.reading.readers import open_file
from ...converters.reading.records import Drop, Row
from ...schemas.base.errors import Problem, UserError
from ...schemas.sections import RecordType
from .validate import RECORD_TYPES, infer_record_type, require_file

# Suffixes to look for in a folder; a file named directly is recognised by its content.
RECORD_FILES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".ndjson")
READABLE = ("jsonl", "json", "json with comments")


PlacedRecord = tuple[str, dict[str, Any]]  # where a record was read, and the record


def record_type(paths: list[Path]) -> RecordType:
    """Return the type of the first record. Raises UserError if no row has a known type."""
    for path in paths:
        for row in raw_rows(path):
            if isinstance(row, Row) and (kind := infer_record_type(row.value)):
                return kind
    raise UserError(Problem(paths[0], "no record of a known type", RECORD_TYPES, "unknown-type"))


def raw_rows(path: Path) -> Iterator[Row | Drop]:
    """Yield the file's JSON values. Raises UserError for a file of another format."""
    require_file(path)
    kind, stream, reader = open_file(SourceFile(path, str(path)), "values")
    with stream:
        if kind not in READABLE:
            hint = "convert it first: recipe convert --converter NAME PATH --out DIR"
            raise UserError(Problem(path, f"is {kind}, not JSONL records", hint, "not-records"))
        yield from numbered(reader(stream, str(path)))


def record_rows(path: Path, kind: RecordType) -> Iterator[Row | Drop]:
    """Yield every row of the file: a valid record of the type, or a drop."""
    for row in raw_rows(path):
        if isinstance(row, Drop):
            yield row
        elif not isinstance(row.value, dict):
            yield Drop(row, "not_an_object", f"a record is a JSON object, not {type(row.value).__name__}")
        elif fault := record_fault(kind, fields_of(row.value)):
            yield Drop(row, *fault)
        else:
            yield row


def fields_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record without its id and meta."""
    return {key: value for key, value in record.items() if key not in ("id", "meta")}


def meta_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record's meta, or an empty dict."""
    meta = record.get("meta")
    return meta if isinstance(meta, dict) else {}


def origin_of(record: dict[str, Any]) -> tuple[str, int]:
    """Return the file and line from which a converted record was read."""
    origin = meta_of(record)["origin"]
    return origin["file"], origin["line"]
