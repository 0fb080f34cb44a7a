"""Read the values of a JSON document one by one: elements of a top-level array, or consecutive values, in any layout and of any size.

This scans for brackets and strings, because json.load needs six times the file in memory and ijson cannot continue after a bad element.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from .json_values import FAULTS, parse_json

BLOCK = 1 << 20
MAX_ITEM = 64 << 20
MAX_DEPTH = 1 << 20  # a thousand times what any parser reads; each bracket beyond costs time, and a packed file of them is small
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("|\\?\Z)|[\[\]{},]', re.DOTALL)
_EMPTY_ARRAYS = re.compile(rb"(?:\[[ \t\r\n]*+\][ \t\r\n]*+)++")
_OPEN = (b"", b"\\")  # how a string that is not closed within the buffer ends
_SPACE = b" \t\r\n"


class Stream(Protocol):
    """What the scanner needs from a file."""

    def read(self, size: int, /) -> bytes: ...


class TooDeep(Exception):
    """More than MAX_DEPTH brackets are open on this line."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class JsonItem(NamedTuple):
    """One value's bytes and the line on which it starts. `fault` says why the text around it is not JSON."""

    line: int
    text: bytes
    fault: str = ""
    reason: str = "invalid_json"


def json_items(stream: Stream, last_comma: Callable[[], bool] = lambda: False) -> Iterator[JsonItem]:
    """Yield the items of the stream. A broken item is still yielded (its parser will refuse it); only that item is lost.

    An item of more than MAX_ITEM bytes is read but not kept: it has a fault. `last_comma` says whether an array may end with a comma.
    Raises TooDeep.
    """
    return _Scanner(stream, last_comma).items()


def field_items(stream: Stream, field: str, last_comma: Callable[[], bool] = lambda: False) -> Iterator[JsonItem]:
    """Yield the items of the array under the key `field` of the object that the stream begins with; none if there is no such array."""
    return _Scanner(stream, last_comma).field(field)


def fields_of(stream: Stream) -> Counter[str]:
    """Return the keys of lists of objects in the object that the stream begins with, and the number of objects in each."""
    try:
        return Counter(key for key, brackets in _Scanner(stream, lambda: True).opened() if brackets == b"[{")
    except TooDeep:
        return Counter()  # the file is refused when it is read


class _Scanner:
    """`buffer[start:]` is the current item; `line` is the line of `buffer[counted]`."""

    def __init__(self, stream: Stream, last_comma: Callable[[], bool]) -> None:
        self.stream = stream
        self.last_comma = last_comma
        self.buffer = b""
        self.start = 0
        self.counted = 0
        self.line = 1
        self.ended = False
        self.long_from = 0  # the line on which an item that is too long to keep began

    def fill(self, scanned: int = 0) -> int:
        """Discard yielded items and read more; return where to scan from. Larger reads for larger pending items keep the time linear."""
        if len(self.buffer) - self.start > MAX_ITEM:
            scanned = self.forget(scanned)
        self.count_lines(self.start)
        self.buffer = self.buffer[self.start :]
        scanned -= self.start
        self.start = self.counted = 0
        more = self.stream.read(max(BLOCK, min(len(self.buffer), MAX_ITEM // 4)))
        self.ended = not more
        self.buffer += more
        return scanned

    def forget(self, scanned: int) -> int:
        """Discard an item that is too long, except for an open string's quote and a final backslash that escapes the next character."""
        pending = self.buffer[self.start :].lstrip(_SPACE)
        if pending and not self.long_from:
            self.count_lines(len(self.buffer) - len(pending))
            self.long_from = self.line
        rest = self.buffer[scanned:]
        self.count_lines(len(self.buffer))
        slashes = len(rest) - len(rest.rstrip(b"\\"))
        self.buffer = b'"' + b"\\" * (slashes % 2) if rest else b""
        self.start = self.counted = 0
        return 0

    def count_lines(self, offset: int) -> None:
        self.line += self.buffer.count(b"\n", self.counted, offset)
        self.counted = offset

    def deeper(self, depth: int, place: int) -> int:
        """Return the depth within the bracket at this place in the buffer. Raises TooDeep."""
        if depth == MAX_DEPTH:
            self.count_lines(place)
            raise TooDeep(self.line)
        return depth + 1

    def item(self, end: int, fault: str = "") -> JsonItem:
        text = self.buffer[self.start : end].lstrip(_SPACE)
        self.count_lines(end - len(text))
        if self.long_from or len(text) > MAX_ITEM:
            line, self.long_from = self.long_from or self.line, 0
            return JsonItem(line, b"", f"more than {MAX_ITEM >> 20} MB", "value_too_long")
        return JsonItem(self.line, text.rstrip(_SPACE), fault)

    def items(self) -> Iterator[JsonItem]:
        self.fill()
        self.start = len(self.buffer) - len(self.buffer.removeprefix(b"\xef\xbb\xbf"))
        while (first := self.next_character()) == b"[":
            if empty := _EMPTY_ARRAYS.match(self.buffer, self.start):  # a file may hold megabytes of them
                self.start = empty.end()
                continue
            self.start += 1
            yield from self.array()
        if first:
            yield from self.values()

    def next_character(self) -> bytes:
        """Return the next character that is not white space, b"" at the end."""
        while not (rest := self.buffer[self.start :].lstrip(_SPACE)) and not self.ended:
            self.start = len(self.buffer)
            self.fill()
        self.start = len(self.buffer) - len(rest)
        return rest[:1]

    def tokens(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield brackets, commas and strings from `start` to the end of the stream, with their start and end in the buffer."""
        position = self.start
        while True:
            token = _TOKEN.search(self.buffer, position)
            if token is None or (token.group(1) in _OPEN and not self.ended):
                if self.ended:
                    return
                position = self.fill(token.start() if token else len(self.buffer))
                continue
            position = token.end()
            yield token.group()[:1], token.start(), position

    def field(self, name: str) -> Iterator[JsonItem]:
        """Yield the elements of the array under this key of the first object."""
        if any(opened == (name, b"[") for opened in self.opened()):
            yield from self.array()
        else:
            yield JsonItem(1, b"", f"the file is not an object with a list under {name!r}", "no_such_field")

    def opened(self) -> Iterator[tuple[str, bytes]]:
        """Yield the brackets that open within the first object, down to the items of its arrays, with the key: `("data", b"[")` for an
        array, `("data", b"[{")` for an object in it. `start` is after the bracket."""
        depth, key, above = 0, b"", b""
        self.fill()
        self.start = len(self.buffer) - len(self.buffer.removeprefix(b"\xef\xbb\xbf"))
        if self.next_character() != b"{":
            return
        for kind, start, end in self.tokens():
            self.start = end
            if kind == b'"' and depth == 1:
                key = self.buffer[start:end]
            elif kind in b"]}":
                depth -= 1
            elif kind in b"[{":
                depth = self.deeper(depth, start)
                if depth in (2, 3):
                    yield _name(key), above + kind if depth == 3 else kind
                above = kind if depth == 2 else above
            if kind in b"]}" and not depth:
                return

    def array(self) -> Iterator[JsonItem]:
        """Yield the elements of the array whose bracket was just read."""
        depth, comma = 1, False
        for kind, start, end in self.tokens():
            if kind in b"[{":
                depth = self.deeper(depth, start)
            elif kind in b"]}":
                depth -= 1
                if not depth:
                    yield from self.last(start, kind, comma)
                    self.start = end
                    return
            elif kind == b"," and depth == 1:
                yield self.item(start)
                self.start, comma = end, True
        yield self.item(len(self.buffer), "the array is not closed")
        self.start = len(self.buffer)

    def last(self, end: int, kind: bytes, comma: bool) -> Iterator[JsonItem]:
        """Yield the element before the end of the array."""
        if kind == b"}":
            yield self.item(end, "the array is closed by a brace")
        elif self.pending(end):
            yield self.item(end)
        elif comma and not self.last_comma():
            yield self.item(end, "trailing comma")

    def values(self) -> Iterator[JsonItem]:
        """Yield consecutive objects and arrays; any text between them belongs to the next one."""
        depth = 0
        for kind, _, end in self.tokens():
            depth = self.deeper(depth, end) if kind in b"[{" else depth - (kind in b"]}")
            if kind in b"]}" and depth <= 0:
                yield self.item(end)
                self.start, depth = end, 0
        if self.pending(len(self.buffer)):
            yield self.item(len(self.buffer))

    def pending(self, end: int) -> bool:
        return bool(self.long_from or self.buffer[self.start : end].strip(_SPACE))


COMMENT_LINE = re.compile(rb"^[ \t]*//[^\n]*", re.MULTILINE)
_FIRST = re.compile(rb"[ \t]*//")
_NEXT = re.compile(rb"\n[ \t]*//")


class WithoutComments:
    """The stream without its comment lines. Their line ends are kept, so that every other line keeps its number.

    `found` says whether there were any comments.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.line_started = False
        self.in_comment = False
        self.found = False

    def read(self, size: int) -> bytes:
        """Return at least `size` bytes before comments are removed; b"" only at the end."""
        while block := self.stream.read(size):
            # A block must not end where a comment may begin.
            while block[-1] in b"/ \t\r\n" and len(block) < MAX_ITEM and (more := self.stream.read(len(block))):
                block += more
            if kept := self._strip(block):
                return kept
        return b""

    def _strip(self, block: bytes) -> bytes:
        parts: list[bytes] = []
        position = _line_end(block, 0) if self.in_comment else 0
        self.in_comment = self.in_comment and position == len(block)
        if not self.line_started and (first := _FIRST.match(block)):
            self.found = True
            position = _line_end(block, first.end())
            self.in_comment = position == len(block)
        while found := _NEXT.search(block, position):
            parts.append(block[position : found.start() + 1])
            self.found = True
            position = _line_end(block, found.end())
            self.in_comment = position == len(block)
        parts.append(block[position:] if position else block)
        self.line_started = not block.endswith(b"\n")
        return b"".join(parts)


def _name(key: bytes) -> str:
    """Return the text of a key; "" for what is none."""
    try:
        return str(parse_json(key))
    except FAULTS:
        return ""


def _line_end(block: bytes, start: int) -> int:
    end = block.find(b"\n", start)
    return len(block) if end < 0 else end
