"""JSON in which people commented rows out, as VS Code allows: whole lines that begin with `//`.

    [
        // {"instruction": "What is the weather like?", "output": "..."},
        {"instruction": "Where is she?", "output": "With love, she is present there."}
    ]

A JSON text has no line that begins with `//`, not even inside a string, so taking such lines away cannot harm one.
"""

import re

from .json_items import MAX_ITEM, Stream

COMMENT_LINE = re.compile(rb"^[ \t]*//[^\n]*", re.MULTILINE)
_FIRST = re.compile(rb"[ \t]*//")
_NEXT = re.compile(rb"\n[ \t]*//")


class WithoutComments:
    """The stream without its comment lines. Their line ends stay, so that every other line keeps its number.

    `found` says whether there were any.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.line_started = False
        self.in_comment = False
        self.found = False

    def read(self, size: int) -> bytes:
        """At least `size` bytes before comments are taken away; b"" only at the end."""
        while block := self.stream.read(size):
            # A block must not end where a comment may just be beginning.
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


def _line_end(block: bytes, start: int) -> int:
    end = block.find(b"\n", start)
    return len(block) if end < 0 else end
