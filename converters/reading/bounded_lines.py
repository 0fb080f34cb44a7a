"""Read the lines of a stream in bounded memory: the part of a line beyond the limit is read, but not kept."""

import io
from typing import Any, Protocol

from ...schemas.base.errors import Problem, UserError

MAX_LINE = 64 << 20
READ_BYTES = 1 << 18
MAX_EQUAL = 1 << 20  # lines, as many as a sheet exports empty ones below its data; a few kilobytes unpack to hundreds of times as many


class Readable(Protocol):
    """Any source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, or none at the end."""
        ...


def bounded_lines(stream: Readable, name: str, ends: bytes = b"\n") -> io.BufferedReader:
    """Wrap the stream of the file `name` for reading by lines. A line beyond MAX_LINE bytes is cut, but stays longer than MAX_LINE: the
    caller refuses it. Reading raises UserError for more than MAX_EQUAL equal lines in a row: such a file is not data.

    `ends` are the bytes that end a line: with \\n alone, a file whose lines end in a bare \\r would be one line.
    """
    return io.BufferedReader(BoundedLines(stream, name, ends), READ_BYTES)


class BoundedLines(io.RawIOBase):
    """A stream in which no line is much longer than MAX_LINE, and no line is repeated without end."""

    def __init__(self, stream: Readable, name: str, ends: bytes = b"\n") -> None:
        self.stream = stream
        self.name = name
        self.ends = [bytes((end,)) for end in ends]
        self.held = 0
        self.repeated, self.equal = b"", 0  # the line of which the last blocks consist, and how often it came

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer. Raises UserError for a line that is repeated without end."""
        while block := self.stream.read(max(len(buffer) - 1, 1)):
            self._count_equal(block)
            if self.held > MAX_LINE:
                ends = [place for end in self.ends if (place := block.find(end)) >= 0]
                # The NUL prevents the rest of the line from being valid JSON by chance.
                block = b"\0"[: len(buffer) - 1] + block[min(ends) :] if ends else b""
            cut = max(map(block.rfind, self.ends)) + 1
            self.held = len(block) - cut if cut else self.held + len(block)
            if block:
                break
        buffer[: len(block)] = block
        return len(block)

    def _count_equal(self, block: bytes) -> None:
        """Count the lines of a block that is one line again and again; it may begin and end in the middle of it."""
        end = next((end for end in self.ends if end in block), b"\n")
        start = block.find(end) + 1
        line = block[start : block.find(end, start) + 1]
        # A block that repeats itself after the length of a line is of equal lines. The first look is cheap; few files need the second.
        if not line or not block.startswith(line, start + len(line)) or block[len(line) :] != block[: -len(line)]:
            self.repeated, self.equal = b"", 0
            return
        self.equal = (self.equal if line == self.repeated else 0) + len(block) // len(line)
        self.repeated = line
        if self.equal > MAX_EQUAL:
            shown = repr(line[:40].decode("utf-8", "replace").strip()) if line.strip() else "blank"
            what = f"more than {MAX_EQUAL:,} lines in a row are {shown if shown == 'blank' else f'all {shown}'}"
            raise UserError(Problem(self.name, what, "the file is damaged: write it again", "equal-lines"))
