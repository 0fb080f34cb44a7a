"""The lines of a stream, none of which costs more memory than a cap: what is beyond it is read, but not kept."""

import io
from typing import Any, Protocol

MAX_LINE = 64 << 20
READ_BYTES = 1 << 18


class Readable(Protocol):
    """Whatever bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def bounded_lines(stream: Readable, ends: bytes = b"\n") -> io.BufferedReader:
    """The stream, to be read by lines. A line of more than MAX_LINE bytes comes cut, but longer than MAX_LINE: who reads it must refuse it.

    `ends` are the bytes that end a line: a file whose lines end in a bare \\r would else be one line.
    """
    return io.BufferedReader(CappedLines(stream, ends), READ_BYTES)


class CappedLines(io.RawIOBase):
    """A stream in which no line is longer than MAX_LINE and a little."""

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
                # The NUL keeps what is left of the line from being whole JSON by chance.
                block = b"\0"[: len(buffer) - 1] + block[min(ends) :] if ends else b""
            cut = max(map(block.rfind, self.ends)) + 1
            self.held = len(block) - cut if cut else self.held + len(block)
            if block:
                break
        buffer[: len(block)] = block
        return len(block)
