"""Plain text files, for continued pre-training.

    It rained for three days. Then the river came.

    Nobody in the valley had seen it so high.

A record is a whole file (`sample_by: document`), a paragraph (between blank lines) or a line. Only the white space at the ends of a text is
changed. A file that begins like JSON or a table is refused: its texts would be trained with their braces, quotes and separators.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, dropwhile, groupby
from operator import attrgetter
from typing import Annotated, Literal

from ..reading.bounded_lines import MAX_LINE
from ..reading.records import Drop, Part, Record, Row

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
) -> Iterator[Record | Drop | Part]:
    """Yield one record per file, paragraph or line that is not blank."""
    for _, lines in groupby(rows, attrgetter("file")):
        lines = dropwhile(_is_blank, lines)
        if (first := next(lines, None)) is None:
            continue
        if not keep_data and (what := _data(first.value)):
            yield from (Part(row, first) for row in lines)
            yield Drop(first, "data_not_text", f"{what}: the converter table reads its texts (text_key); keep_data takes it as it is")
        elif sample_by == "line":
            yield from (Record(row, {"text": row.value.strip()}) for row in chain((first,), lines) if not _is_blank(row))
        else:
            yield from _texts(chain((first,), lines), sample_by == "paragraph")


def _texts(lines: Iterable[Row], by_paragraph: bool) -> Iterator[Record | Drop | Part]:
    """Yield the lines of a file as one text, or one text per paragraph."""
    held: list[str] = []
    first: Row | None = None
    size = 0
    for row in lines:
        if by_paragraph and _is_blank(row):
            if first:
                yield _record(first, held, size)
            held, first, size = [], None, 0
            continue
        if first:
            yield Part(row, first)
        first = first or row
        size += len(row.value) + 1
        if size <= MAX_LINE:
            held.append(row.value)
        else:
            held.clear()
    if first:
        yield _record(first, held, size)


def _is_blank(row: Row) -> bool:
    return not row.value.strip()


def _data(line: str) -> str:
    """Return what a file with this first line contains instead of text; "" if it is text."""
    if _JSON.match(line):
        return "JSON"
    return "a table" if _HEADER.fullmatch(line.strip()) else ""


def _record(first: Row, lines: list[str], size: int) -> Record | Drop:
    if size > MAX_LINE:
        return Drop(first, "text_too_long", f"more than {MAX_LINE >> 20} million characters: set sample_by: paragraph or line")
    return Record(first, {"text": "\n".join(lines).strip()})
