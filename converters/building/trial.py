"""Try a converter on the first rows of files, to see whether it reads them. Nothing is written."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ...schemas.sections import RecordType
from ..reading.files import SourceFile
from ..reading.records import Drop, Record, Row
from ..sources.registry import converter
from .artifacts import artifacts
from .batches import BATCH_BYTES, SourceFiles, without_drops
from .chat_checks import record_fault
from .conversion import TRACKED, untracked
from .key_meanings import key_use
from .key_use import KeyCounts
from .named_in_rows import NamedInRows
from .row_account import convert_rows
from .row_counts import LISTED

LIMIT = 20_000  # rows that `recipe new` and `recipe check --data` look at


class Trial(NamedTuple):
    """The valid records from the first rows, the unusable rows, and what a manifest says of a source: the number of rows by unread key and
    by artifact, what the source names and no row has, and name and format of each file that was read.

    `is_whole` says whether the files have no more rows; `left_out` counts those that an option filters out, by reason.
    """

    records: list[Record]
    unusable: list[Drop]
    unread: dict[str, int]
    artifacts: dict[str, int]
    absent: list[list[str]]
    files: list[dict[str, str]]
    is_whole: bool
    left_out: Counter[str]


def try_converter(
    name: str, record_type: RecordType, options: dict[str, Any], files: list[SourceFile], rows: int, ignore_keys: Sequence[str] = ()
) -> Trial:
    """Convert the first `rows` rows of the files. Raises UserError for a file that cannot be read."""
    module = converter(name)
    keys, named = key_use(module, ignore_keys), NamedInRows(options, ignore_keys)
    records: list[Record] = []
    unusable: list[Drop] = []
    left_out: Counter[str] = Counter()
    source = SourceFiles(files, module, None, BATCH_BYTES)
    is_whole = False

    def read() -> Iterator[Row]:
        nonlocal is_whole
        yield from without_drops(source.rows(), unusable)
        is_whole = True

    for item in convert_rows(name, keys.track(islice(read(), rows)), record_type, named.options):
        if type(item.row.value) in TRACKED:
            item = untracked(name, item, keys)
        if isinstance(item, Record):
            fault = record_fault(record_type, item.fields)
            item = Drop(item.row, *fault) if fault else item
        if isinstance(item, Record):
            records.append(item)
        elif item.filtered:
            left_out[item.reason] += 1
        else:
            unusable.append(item)
    counts = KeyCounts()
    counts.add(keys.result())
    found = Counter(name for record in records for name in artifacts(record.fields))
    absent = named.absent(named.present(keys.paths()))
    read_files = [{"name": file.name, "format": source.format_of(file)} for file in files if file.name in source.formats]
    return Trial(records, unusable, counts.as_json(), dict(found.most_common(LISTED)), absent, read_files, is_whole, left_out)
