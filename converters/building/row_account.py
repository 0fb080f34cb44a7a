"""Check that every row given to a converter gives a record or a drop, or is part of one.

All conversions go through here, so that no converter can lose a row, whether it converts rows one by one or joins several into a record.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ...schemas.sections import RecordType
from ..reading.records import Drop, JoinedRow, Part, Record, Row
from ..sources.registry import converter

Place = tuple[Any, ...]  # file, line and item of a row


def convert_rows(name: str, rows: Iterable[Row], record_type: RecordType, options: dict[str, Any]) -> Iterator[Record | Drop]:
    """Yield the converter's records and drops for the rows. Raises AssertionError, a bug in the converter, if a row is lost."""
    waiting: set[Place] = set()
    for item in converter(name).convert(_given(rows, waiting), record_type, **options):
        row = item.row
        if isinstance(item, Part):
            waiting.discard(row[1:])
            if item.of[1:] not in waiting:
                raise AssertionError(f"the converter {name} made {row} a part of {item.of}, which waits for no record")
            continue
        if type(row.value) is JoinedRow:
            waiting.difference_update(part[1:] for part in row.value.parts)
        else:
            waiting.discard(row[1:])
        yield item
    if waiting:
        file, line, _ = min(waiting, key=lambda place: place[1:])
        raise AssertionError(f"the converter {name} lost {len(waiting):,} rows, the first at {file}:{line}")


def _given(rows: Iterable[Row], waiting: set[Place]) -> Iterator[Row]:
    """Yield the rows, each of which must give a result. A blank line contains nothing that could be lost."""
    for row in rows:
        value = row[0]
        if type(value) is not str or value.strip():
            waiting.add(row[1:])
        yield row
