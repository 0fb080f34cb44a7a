"""Read the lines of a stream in bounded memory: the part of a line beyond the limit is read, but not kept."""

import io
from typing import Any, Protocol

MAX_LINE = 64 << 20
READ_BYTES = 1 << 18


class Readable(Protocol):
    """Any source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, or none at the end."""
        ...


def bounded_lines(stream: Readable, ends: bytes = b"\n") -> io.BufferedReader:
    """Wrap the stream for reading by lines. A line beyond MAX_LINE bytes is cut, but stays longer than MAX_LINE: the caller refuses it.

    `ends` are the bytes that end a line: with \\n alone, a file whose lines end in a bare \\r would be one line.
    """
    return io.BufferedReader(BoundedLines(stream, ends), READ_BYTES)


class BoundedLines(io.RawIOBase):
    """A stream in which no line is much longer than MAX_LINE."""

    def __init__(self, stream: Readable, ends: bytes = b"\n") -> None:
        self.stream = stream
        self.ends = [bytes((end,)) for end in ends]
        self.held = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while block := self.stream.read(max(len(buffer) - 1, 1)):
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
