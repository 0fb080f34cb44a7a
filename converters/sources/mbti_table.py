"""Read the lines of the Kaggle CSV as rows. Each row is one line and begins with a type, even in copies that are otherwise broken.

type,posts
INTP,"'first post|||second post'"
ENFP,"'a row whose closing quote an editor made curly'”
"""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ..reading.readers import read_lines
from ..reading.records import Drop, Row

_START = re.compile(r'\s*"?([EI][NS][FT][JP])"?\s*[,\t]', re.IGNORECASE)
_HEADER = re.compile(r'\s*"?type"?\s*[,\t]\s*"?(posts|text)"?\s*', re.IGNORECASE)
_CONFLICT = re.compile(r"<{7}( |$)|={7}$|>{7}( |$)|\|{7}( |$)")
_LONGEST = 1 << 20


class TableRow(NamedTuple):
    """A row's columns, and what was repaired to read them."""

    type: str
    posts: str
    fixed: tuple[str, ...] = ()


def read_posts(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Return the rows of the table in the stream; their values are TableRows."""
    return joined_rows(read_lines(stream, name))


def joined_rows(rows: Iterable[Row | Drop]) -> Iterator[Row | Drop]:
    """Join lines into rows of the table; an unreadable line costs the row that contains it.

    Raises UserError for a file that is not the dataset.
    """
    held: _Held | None = None
    known = ""
    for row in rows:
        if isinstance(row, Drop):
            yield Drop(held.row, row.reason, f"in line {row.row.line}") if held else row
            held = None
            continue
        line = row.value
        if held and (row.file != held.row.file or _START.match(line) or _CONFLICT.match(line)):
            yield held.result()
            held = None
        if not line.strip() and not held:
            continue
        if _CONFLICT.match(line):
            yield Drop(row, "conflict_marker", f"{line[:40]!r} is a merge conflict marker")
        elif start := _START.match(line):
            known = row.file
            held = _Held(row, start.group(1).upper(), line[start.end() :])
        elif held:
            held.add(line)
        elif row.file == known:
            yield Drop(row, "no_type", f"{line[:40]!r} does not begin with a type")
        elif _HEADER.fullmatch(line):
            known = row.file
        else:
            what = f"not the Kaggle MBTI dataset: it begins with {line[:40]!r}"
            raise UserError(
                Problem(Location(row.file, row.line), what, 'expected a header "type,posts", or a type and a comma', "not-mbti")
            )
        if held and not held.open:
            yield held.result()
            held = None
    if held:
        yield held.result()


class _Held:
    """A row of the table that continues on the next line while a quote is open."""

    def __init__(self, row: Row, label: str, field: str) -> None:
        self.row = row
        self.label = label
        self.lines = [field]
        self.size = len(field)
        self.quoted = field.lstrip().startswith('"')
        self.open = self.quoted and field.count('"') % 2 == 1

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line)
        self.open = self.open != (line.count('"') % 2 == 1) and self.size < _LONGEST

    def result(self) -> Row | Drop:
        field = "\n".join(self.lines).strip()
        fixed: tuple[str, ...] = ()
        if self.quoted:
            inner = field[1:]
            if field.count('"') % 2:
                if not inner.endswith("”"):
                    return Drop(self.row, "unterminated_field", "the quote opened on this line is never closed")
                inner = inner[:-1]
                fixed = ("closing_quote_added",)
            elif inner.endswith('"'):
                inner = inner[:-1]
            else:
                return Drop(self.row, "ragged_row", f"{field[-20:]!r} follows the posts")
            if '"' in inner.replace('""', ""):
                return Drop(self.row, "invalid_csv", "a quote in the posts is not doubled")
            field = inner.replace('""', '"')
        elif "," in field:
            return Drop(self.row, "ragged_row", "the posts have a comma but are not quoted")
        return self.row._replace(value=TableRow(self.label, field, fixed))
