"""Beginnings of the rows shown in pairs, read in a second pass so that the first keeps no text."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.reading.records import Row
from .record_rows import meta_of, raw_rows
from .repeats import Place

LENGTH = 240


class Preview(NamedTuple):
    """A row as shown: its file's name, its location there, and its beginning."""

    file: str
    line: int
    item: int
    row: str

    @property
    def place(self) -> str:
        """`12`, or `1.3` for the third value that starts on line 1, as in a record's id."""
        return str(self.line) + (f".{self.item}" if self.item > 1 else "")


class Previews:
    """Files by name in the order of their numbers, and the rows to show.

    `temporary` are the numbers of files that are removed afterwards: their rows are shown by their origin.
    """

    def __init__(self, files: list[tuple[str, Path]], places: Iterable[Place], temporary: Collection[int] = ()) -> None:
        self.names = [name for name, _ in files]
        self.temporary = temporary
        self.shown: dict[Place, Preview] = {}
        wanted = set(places)
        for number, (_, path) in enumerate(files):
            last = max((place.line for place in wanted if place.file == number), default=0)
            for row in raw_rows(path) if last else ():
                found = row if isinstance(row, Row) else row.row
                if found.line > last:
                    break
                place = Place(number, found.line, found.item)
                if place in wanted and isinstance(row, Row):
                    self.shown[place] = self._shown(place, row.value)

    def _shown(self, place: Place, record: dict[str, Any]) -> Preview:
        here = Preview(self.names[place.file], place.line, place.item, preview(record))
        return _at_origin(here, record) if place.file in self.temporary else here

    def at(self, place: Place) -> Preview:
        """The row's file, place and beginning."""
        return self.shown.get(place) or Preview(self.names[place.file], place.line, place.item, "")


def _at_origin(here: Preview, record: dict[str, Any]) -> Preview:
    """Where the conversion read the row; the item stands in the id alone (`rows.json:1.3#2`)."""
    origin = meta_of(record).get("origin") or {}
    if not {"file", "line"} <= set(origin):
        return here
    item = str(record.get("id", "")).rpartition(":")[2].partition("#")[0].partition(".")[2]
    return here._replace(file=origin["file"], line=origin["line"], item=int(item) if item.isdecimal() else 1)


def preview(record: dict[str, Any]) -> str:
    """A record in a line: of a chat the messages but the system's, of a classification the label too."""
    if "messages" in record:
        text = " | ".join(f"{m['role']}: {m['content']}" for m in record["messages"] if m["role"] != "system")
    else:
        text = (f"{record['label']}: " if "label" in record else "") + record["text"]
    text = " ".join(text.split())
    return text if len(text) <= LENGTH else text[: LENGTH // 2] + " … " + text[-LENGTH // 2 :]
