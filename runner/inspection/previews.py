"""The beginnings of the rows that are shown in pairs, read in a second pass, so that the first need not keep any text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...converters.records import Row
from .record_rows import raw_rows
from .repeats import Place

LENGTH = 240


class Previews:
    """Files by name in the order of their numbers, and the places to be shown."""

    def __init__(self, files: list[tuple[str, Path]], places: Iterable[Place]) -> None:
        self.names = [name for name, _ in files]
        self.texts: dict[Place, str] = {}
        wanted = set(places)
        for number, (_, path) in enumerate(files):
            lines = {place.line for place in wanted if place.file == number}
            last = max(lines, default=0)
            for row in raw_rows(path) if lines else ():
                found = row if isinstance(row, Row) else row.row
                if found.line > last:
                    break
                if found.line in lines and isinstance(row, Row):
                    self.texts[Place(number, row.line)] = preview(row.value)

    def at(self, place: Place) -> tuple[str, int, str]:
        """The row's file, line and beginning."""
        return self.names[place.file], place.line, self.texts.get(place, "")


def preview(record: dict[str, Any]) -> str:
    """A record in a line: of a chat the messages but the system's, of a classification the label too."""
    if "messages" in record:
        text = " | ".join(f"{m['role']}: {m['content']}" for m in record["messages"] if m["role"] != "system")
    else:
        text = (f"{record['label']}: " if "label" in record else "") + record["text"]
    text = " ".join(text.split())
    return text if len(text) <= LENGTH else text[: LENGTH // 2] + " … " + text[-LENGTH // 2 :]
