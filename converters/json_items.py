"""The values of a JSON document one by one: a top-level array's elements, or values that follow each other; any layout, any size.

A scanner for brackets and strings, because json.load needs six times the file in memory and ijson cannot go on after a bad element.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..schemas.errors import Mark, Problem, UserError

BLOCK = 1 << 20
MAX_ITEM = 64 << 20
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_SPACE = b" \t\r\n"


class Stream(Protocol):
    """What the scanner needs of a file."""

    def read(self, size: int, /) -> bytes: ...


class JsonItem(NamedTuple):
    """One value's bytes and the line that it starts on. `fault` says why the text around it is not JSON."""

    line: int
    text: bytes
    fault: str = ""


def json_items(stream: Stream, name: str) -> Iterator[JsonItem]:
    """The items of the stream. A broken item is still yielded (its parser will refuse it); only that item is lost."""
    return _Scanner(stream, name).items()


class _Scanner:
    """`buffer[start:]` is the item being read; `line` is the line on which `buffer[counted]` stands."""

    def __init__(self, stream: Stream, name: str) -> None:
        self.stream = stream
        self.name = name
        self.buffer = b""
        self.start = 0
        self.counted = 0
        self.line = 1
        self.ended = False

    def fill(self) -> None:
        """Drop what was given out, read on: as much again as is pending, so that a long item costs linear time."""
        self.count_lines(self.start)
        self.buffer = self.buffer[self.start :]
        self.start = self.counted = 0
        if len(self.buffer) > MAX_ITEM:
            raise UserError(Problem(Mark(self.name, self.line), f"a value of more than {MAX_ITEM >> 20} MB", rule="json-size"))
        more = self.stream.read(max(BLOCK, len(self.buffer)))
        self.ended = not more
        self.buffer += more

    def count_lines(self, offset: int) -> None:
        self.line += self.buffer.count(b"\n", self.counted, offset)
        self.counted = offset

    def item(self, end: int, fault: str = "") -> JsonItem:
        text = self.buffer[self.start : end].lstrip(_SPACE)
        self.count_lines(end - len(text))
        return JsonItem(self.line, text.rstrip(_SPACE), fault)

    def items(self) -> Iterator[JsonItem]:
        self.fill()
        lead = self.buffer.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
        self.start = len(self.buffer) - len(lead)
        base = 1 if lead[:1] == b"[" else 0
        self.start += base
        depth, position = base, self.start
        while True:
            token = _TOKEN.search(self.buffer, position)
            if token is None or (token.end() == len(self.buffer) and token.group()[:1] == b'"' and not self.ended):
                if self.ended:
                    break
                scanned = (token.start() if token else len(self.buffer)) - self.start
                self.fill()
                position = scanned
                continue
            position = token.end()
            kind = token.group()[:1]
            if kind in b"[{":
                depth += 1
            elif kind in b"]}":
                depth -= 1
                if base and depth == 0:
                    yield from self.last(token.start())
                    self.start = position
                    yield from self.after()
                    return
                if not base and depth <= 0:
                    yield self.item(position)
                    self.start, depth = position, 0
            elif kind == b"," and base and depth == 1:
                yield self.item(token.start())
                self.start = position
        if self.buffer[self.start :].strip(_SPACE):
            yield self.item(len(self.buffer), "the array is not closed" if base else "")
        elif base:
            yield self.item(len(self.buffer), "the array is not closed")

    def last(self, end: int) -> Iterator[JsonItem]:
        if self.buffer[self.start : end].strip(_SPACE):
            yield self.item(end)

    def after(self) -> Iterator[JsonItem]:
        while not self.ended and not self.buffer[self.start :].strip(_SPACE):
            self.start = len(self.buffer)
            self.fill()
        if self.buffer[self.start :].strip(_SPACE):
            yield self.item(len(self.buffer), "text after the end of the array")
