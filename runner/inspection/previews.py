"""Read the beginnings of the rows shown in pairs in a second pass, so that the first keeps no text."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.reading.records import Row
from .record_rows import meta_of, raw_rows
from .repeats import Position

LENGTH = 240


class Preview(NamedTuple):
    """A row as shown: its file's name, its location there, and its beginning."""

    file: str
    line: int
    item: int
    row: str

    @property
    def position(self) -> str:
        """Return `12`, or `1.3` for the third value that starts on line 1, as in a record's id."""
        return str(self.line) + (f".{self.item}" if self.item > 1 else "")


class Previews:
    """Files by name in the order of their numbers, and the rows to show.

    `temporary` are the numbers of files that are removed afterwards: their rows are shown by their origin.
    """

    def __init__(self, files: list[tuple[str, Path]], positions: Iterable[Position], temporary: Collection[int] = ()) -> None:
        self.names = [name for name, _ in files]
        self.temporary = temporary
        self.shown: dict[Position, Preview] = {}
        wanted = set(positions)
        for number, (_, path) in enumerate(files):
            last = max((one.line for one in wanted if one.file == number), default=0)
            for row in raw_rows(path) if last else ():
                found = row if isinstance(row, Row) else row.row
                if found.line > last:
                    break
                position = Position(number, found.line, found.item)
                if position in wanted and isinstance(row, Row):
                    self.shown[position] = self._shown(position, row.value)

    def _shown(self, position: Position, record: dict[str, Any]) -> Preview:
        here = Preview(self.names[position.file], position.line, position.item, preview(record))
        return _at_origin(here, record) if position.file in self.temporary else here

    def at(self, position: Position) -> Preview:
        """Return the row's file, position and beginning."""
        return self.shown.get(position) or Preview(self.names[position.file], position.line, position.item, "")


def _at_origin(here: Preview, record: dict[str, Any]) -> Preview:
    """Return the preview at the position that the conversion read; only the id has the item (`rows.json:1.3#2`)."""
    origin = meta_of(record).get("origin") or {}
    if not {"file", "line"} <= set(origin):
        return here
    item = str(record.get("id", "")).rpartition(":")[2].partition("#")[0].partition(".")[2]
    return here._replace(file=origin["file"], line=origin["line"], item=int(item) if item.isdecimal() else 1)


def preview(record: dict[str, Any]) -> str:
    """Return a record as one line: a chat's messages except the system's, a classification's label and text."""
    if "messages" in record:
        text = " | ".join(f"{m['role']}: {m['content']}" for m in record["messages"] if m["role"] != "system")
    else:
        text = (f"{record['label']}: " if "label" in record else "") + record["text"]
    text = " ".join(text.split())
    return text if len(text) <= LENGTH else text[: LENGTH // 2] + " … " + text[-LENGTH // 2 :]
