"""Plain text files, for continued pre-training.

    It rained for three days. Then the river came.

    Nobody in the valley had seen it so high.

A record is a whole file (`sample_by: document`), a paragraph (between blank lines) or a line. Only the white space at the ends of a text is
changed. A file that begins like JSON or a table is refused: its texts would be trained with their braces, quotes and separators.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from ..reading.bounded_lines import MAX_LINE
from ..reading.records import Drop, Record, Row

VERSION = 2
RECORD_TYPES = ("text",)
INPUT = "lines"
STATELESS = False  # a record has many lines
_JSON = re.compile(r"\s*(\[\s*)*(\{\s*(\"|$|\})|\[\s*(\"|$))")  # objects, or a list; in prose a bracket is followed by a word
_HEADER = re.compile(r"[A-Za-z_]\w*([,;|\t]\w+)+")  # names and separators without a blank


def convert(
    rows: Iterable[Row],
    record_type: str = "text",
    *,
    sample_by: Annotated[
        Literal["document", "paragraph", "line"], "What becomes a record: a whole file, a paragraph (text between blank lines), or a line."
    ] = "document",
    keep_data: Annotated[bool, "Read files of JSON or tables as text, with braces, quotes and separators."] = False,
) -> Iterator[Record | Drop]:
    """Yield one record per file, paragraph or line that is not blank."""
    held: list[str] = []
    first: Row | None = None
    size = 0
    begun = refused = None
    for row in rows:
        ends = first is not None and (row.file != first.file or sample_by == "paragraph" and not row.value.strip())
        if first is not None and ends:
            yield _record(first, held, size)
            held, first, size = [], None, 0
        if row.file == refused or (first is None and not row.value.strip()):
            continue
        if row.file != begun:
            begun = row.file
            if not keep_data and (what := _data(row.value)):
                refused = row.file
                yield Drop(row, "data_not_text", f"{what}: the converter table reads its texts (text_key); keep_data takes it as it is")
                continue
        if sample_by == "line":
            yield Record(row, {"text": row.value.strip()})
            continue
        first = first or row
        size += len(row.value) + 1
        if size <= MAX_LINE:
            held.append(row.value)
        else:
            held.clear()
    if first is not None:
        yield _record(first, held, size)


def _data(line: str) -> str:
    """What a file that begins with this line holds besides text; empty where it is text."""
    if _JSON.match(line):
        return "JSON"
    return "a table" if _HEADER.fullmatch(line.strip()) else ""


def _record(first: Row, lines: list[str], size: int) -> Record | Drop:
    if size > MAX_LINE:
        return Drop(first, "text_too_long", f"more than {MAX_LINE >> 20} million characters: set sample_by: paragraph or line")
    return Record(first, {"text": "\n".join(lines).strip()})
