"""Plain text files, for continued pre-training, or for classification by their folders.

    It rained for three days. Then the river came.

    Nobody in the valley had seen it so high.

A record is a whole file (`sample_by: document`), a paragraph (between blank lines) or a line. Only the white space at the ends of a text is
changed. In a classification the folder of a file is its label: `pos/1.txt` is a `pos`. A file that begins like JSON or a table is refused:
its texts would be trained with their braces, quotes and separators.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from itertools import chain, dropwhile, groupby, islice
from operator import attrgetter
from pathlib import PurePath
from typing import Annotated, Literal

from ..reading.bounded_lines import MAX_LINE
from ..reading.records import Drop, Part, Record, Row

VERSION = 2
RECORD_TYPES = ("text", "classification")
INPUT = "lines"
STATELESS = False  # a record has many lines
_JSON = re.compile(r"\s*(\[\s*)*(\{\s*(\"|$|\})|\[\s*(\"|$))")  # objects, or a list; in prose a bracket is followed by a word
_FENCES = ("---", "...")  # around front matter
MAX_FRONT_MATTER = 200  # lines
_HEADER = re.compile(r"[A-Za-z_]\w*([,;|\t]\w+)+")  # names and separators without a blank


def convert(
    rows: Iterable[Row],
    record_type: str = "text",
    *,
    sample_by: Annotated[
        Literal["document", "paragraph", "line"], "What becomes a record: a whole file, a paragraph (text between blank lines), or a line."
    ] = "document",
    front_matter: Annotated[bool, "Keep the YAML between `---` lines at the start of a file, as Markdown notes have it."] = True,
    keep_data: Annotated[bool, "Read files of JSON or tables as text, with braces, quotes and separators."] = False,
) -> Iterator[Record | Drop | Part]:
    """Yield one record per file, paragraph or line that is not blank."""
    for item in _records(rows, sample_by, front_matter, keep_data):
        if record_type == "classification" and isinstance(item, Record):
            item = item._replace(fields={**item.fields, "label": PurePath(item.row.file).parent.name})
        yield item


def _records(rows: Iterable[Row], sample_by: str, front_matter: bool, keep_data: bool) -> Iterator[Record | Drop | Part]:
    for _, lines in groupby(rows, attrgetter("file")):
        lines = dropwhile(_is_blank, lines)
        if not front_matter:
            lines = yield from _without_front_matter(lines)
        if (first := next(lines, None)) is None:
            continue
        if not keep_data and (what := _data(first.value)):
            yield from (Part(row, first) for row in lines)
            yield Drop(first, "data_not_text", f"{what}: the converter table reads its texts (text_key); keep_data takes it as it is")
        elif sample_by == "line":
            yield from (Record(row, {"text": row.value.strip()}) for row in chain((first,), lines) if not _is_blank(row))
        else:
            yield from _texts(chain((first,), lines), sample_by == "paragraph")


def _without_front_matter(lines: Iterator[Row]) -> Generator[Drop | Part, None, Iterator[Row]]:
    """Return the lines after the front matter, which is one drop; all lines if there is none."""
    head = [*islice(lines, 1)]
    if not head or head[0].value.rstrip() != _FENCES[0]:
        return chain(head, lines)
    head += islice(lines, MAX_FRONT_MATTER)
    if (end := next((number for number, row in enumerate(head) if number and row.value.rstrip() in _FENCES), 0)) == 0:
        return chain(head, lines)
    yield from (Part(row, head[0]) for row in head[1 : end + 1])
    yield Drop(head[0], "front_matter", filtered=True)
    return dropwhile(_is_blank, chain(head[end + 1 :], lines))


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
