"""Plain text files, for continued pre-training, or for classification by their folders.

    It rained for three days. Then the river came.

    Nobody in the valley had seen it so high.

A record is a whole file (`sample_by: document`), a paragraph (between blank lines) or a line. It never goes beyond one of the `separators`,
such as the `<|endoftext|>` of TinyStories. Only the white space at the ends of a text is changed. In a classification the folder of a file
is its label: `pos/1.txt` is a `pos`. A file that begins like JSON, a table, HTML, SQL, YAML or subtitles is refused: its texts would be
trained with their braces, quotes, commas, tags and times.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, dropwhile, groupby, islice
from operator import attrgetter
from pathlib import PurePath
from typing import Annotated, Literal

from ...schemas.options import Text
from ..reading.bounded_lines import MAX_LINE
from ..reading.records import Drop, Part, Record, Row
from .text_forms import LINES, form_of

VERSION = 4
RECORD_TYPES = ("text", "classification")
INPUT = "lines"
STATELESS = False  # a record has many lines
_FENCES = ("---", "...")  # around front matter
MAX_FRONT_MATTER = 200  # lines


def convert(
    rows: Iterable[Row],
    record_type: str = "text",
    *,
    sample_by: Annotated[
        Literal["document", "paragraph", "line"], "What becomes a record: a whole file, a paragraph (text between blank lines), or a line."
    ] = "document",
    separators: Annotated[Sequence[Text], "What stands between the texts of a file, such as `<|endoftext|>`; it is part of none."] = (),
    front_matter: Annotated[bool, "Keep the YAML between `---` lines at the start of a file, as Markdown notes have it."] = True,
    keep_data: Annotated[bool, "Read files of JSON, tables or HTML as text, with braces, quotes, commas and tags."] = False,
) -> Iterator[Record | Drop | Part]:
    """Yield one record per file, paragraph or line that is not blank."""
    for item in _records(rows, sample_by, separators, front_matter, keep_data):
        if record_type == "classification" and isinstance(item, Record):
            item = item._replace(fields={**item.fields, "label": PurePath(item.row.file).parent.name})
        yield item


def _records(
    rows: Iterable[Row], sample_by: str, separators: Sequence[str], front_matter: bool, keep_data: bool
) -> Iterator[Record | Drop | Part]:
    for _, lines in groupby(rows, attrgetter("file")):
        lines = dropwhile(_is_blank, lines)
        if not front_matter:
            lines = yield from _without_front_matter(lines)
        if (first := next(lines, None)) is None:
            continue
        lines = chain(head := [*islice(lines, LINES - 1)], lines)
        if not keep_data and (what := form_of([row.value for row in (first, *head)])):
            yield from (Part(row, first) for row in lines)
            yield Drop(first, "data_not_text", f"{what}; keep_data takes it as it is")
        elif sample_by == "line" and not separators:
            yield from (Record(row, {"text": row.value.strip()}) for row in chain((first,), lines) if not _is_blank(row))
        else:
            yield from _texts(chain((first,), lines), sample_by, separators)


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


class _Text:
    """The lines of a text that begins on the row `first`. Those of one that is too long are not kept."""

    def __init__(self, first: Row, line: str) -> None:
        self.first, self.lines, self.size = first, [line], len(line)

    def add(self, line: str) -> None:
        self.size += 1 + len(line)
        self.lines.append(line)
        if self.size > MAX_LINE:
            self.lines.clear()

    def record(self) -> Record | Drop:
        if self.size > MAX_LINE:
            what = f"more than {MAX_LINE >> 20} million characters: set sample_by: paragraph or line, or separators"
            return Drop(self.first, "text_too_long", what)
        return Record(self.first, {"text": "\n".join(self.lines).strip()})


def _texts(lines: Iterable[Row], sample_by: str, separators: Sequence[str]) -> Iterator[Record | Drop | Part]:
    """Yield the texts of a file. Texts that begin on one row wait for the last of them, which later rows may be parts of."""
    waiting: list[_Text] = []
    for row in lines:
        pieces = _cut(row.value, sample_by, separators)
        if waiting:
            waiting[-1].add(pieces.pop(0))
        begun = [_Text(row, piece) for piece in pieces if piece.strip()]
        if waiting and not begun:
            yield Part(row, waiting[-1].first)
        elif not begun and not _is_blank(row):
            yield Drop(row, "no_text_before_separator", filtered=True)
        if pieces:
            yield from (text.record() for text in waiting)
            waiting = begun
            if not pieces[-1].strip():
                yield from (text.record() for text in waiting)
                waiting = []
    yield from (text.record() for text in waiting)


def _cut(line: str, sample_by: str, separators: Sequence[str]) -> list[str]:
    """Return the pieces of a line; a text ends after each but the last."""
    pieces = [line]
    for separator in separators:
        if separator in line and separator in separators:  # the list records by this that it was found: named_in_rows.py
            pieces = [piece for whole in pieces for piece in whole.split(separator)]
    ends = sample_by == "line" or sample_by == "paragraph" and not line.strip()
    return [*pieces, ""] if ends else pieces


def _is_blank(row: Row) -> bool:
    return not row.value.strip()
