"""Name the columns of notes that Anki exports as text: a table without a header, below lines such as `#separator:tab`."""

import csv
import re
from typing import NamedTuple

from ...converters.reading.delimiters import DELIMITERS
from ...converters.reading.files import HEAD, open_source, source_files
from ...schemas.sections import UTF8

_LINE = re.compile(r"#(separator|html|columns|tags|(?:guid|notetype|deck|tags) column):(.*)")
_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_FIELDS = ("front", "back")  # of Anki's own note types, which most notes have


class AnkiHeader(NamedTuple):
    """The number of lines above the notes, the names of their columns, and whether their texts are HTML."""

    lines: int
    columns: tuple[str, ...]
    is_html: bool


def anki_header(head: bytes) -> AnkiHeader | None:
    """Return what the first lines say of a file of notes; None if it is not one, or has a separator that no table has."""
    lines = head.decode("utf-8-sig", "replace").splitlines()
    values: dict[str, str] = {}
    for line in lines:
        if not (found := _LINE.fullmatch(line)):
            break
        values[found[1]] = found[2]
    separator = _SEPARATORS.get(values.get("separator", "").lower(), values.get("separator", ""))
    if separator not in DELIMITERS.values():
        return None
    number = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    notes = [*csv.reader(lines[number : number + 1], delimiter=separator)]
    return AnkiHeader(number, _columns(values, separator, len(notes[0]) if notes else 0), values.get("html", "").lower() == "true")


def _columns(values: dict[str, str], separator: str, width: int) -> tuple[str, ...]:
    names = tuple(values.get("columns", "").split(separator))
    if len({*names}) == len(names) == width and all(names):
        return names
    known = {number.strip(): key.removesuffix(" column") for key, number in values.items() if key.endswith(" column")}
    fields = iter((*_FIELDS, *(f"field_{number}" for number in range(3, width + 1))))
    return tuple(known.get(str(number)) or next(fields) for number in range(1, width + 1))


def anki_header_of(paths: list[str]) -> AnkiHeader | None:
    """Return what the first of the files says, if it is one of notes. Raises UserError if it cannot be read."""
    with open_source(source_files(paths[0])[0].path, UTF8) as stream:
        return anki_header(stream.read(HEAD))
