"""The first rows of files through a converter, to see whether it reads them. Nothing is written."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from ...schemas.sections import RecordType
from ..reading.files import SourceFile
from ..reading.readers import read_file
from ..reading.records import Drop, Record, Row
from ..sources.registry import converter


class Trial(NamedTuple):
    """The records made from the first rows, and the rows that cannot be used."""

    records: list[Record]
    unusable: list[Drop]


def try_converter(name: str, record_type: RecordType, options: dict[str, Any], files: list[SourceFile], rows: int) -> Trial:
    """Convert the first `rows` rows of the files. Raises UserError for a file that cannot be read."""
    module = converter(name)
    unreadable: list[Drop] = []

    def read() -> Iterator[Row]:
        for file in files:
            for row in read_file(file, module.INPUT)[1]:
                if isinstance(row, Drop):
                    unreadable.append(row)
                else:
                    yield row

    made = list(module.convert(islice(read(), rows), record_type, **options))
    dropped = [item for item in made if isinstance(item, Drop) and not item.filtered]
    return Trial([item for item in made if isinstance(item, Record)], unreadable + dropped)
