"""The standard streams of a command: open, able to show any character, and no reason to end a run that nobody watches any more."""

import codecs
import errno
import io
import os
import sys
from collections.abc import Collection
from typing import Any, TextIO

from ...schemas.base.terminal import TerminalStream


def prepare_streams() -> None:
    """Replace stdin, stdout and stderr by streams that a command can rely on."""
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # ASCII is what a bare environment (cron, a container) says, not what the terminal shows.
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if is_ascii else None, errors="backslashreplace")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _without_readers(sys.stderr, {errno.EPIPE})
    if sys.stdout is sys.__stdout__:
        sys.stdout = _without_readers(sys.stdout, ())
    sys.stdout, sys.stderr = TerminalStream(sys.stdout), TerminalStream(sys.stderr, messages=True)  # pyright: ignore[reportAttributeAccessIssue]


def _open_closed() -> None:
    """Open /dev/null for a closed stream (`>&-`), which Python represents as None."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # open for the lifetime of the process


def _without_readers(stream: TextIO, gone: Collection[int]) -> TextIO:
    """Return the stream, which a terminal that was closed (EIO), or an error in `gone`, makes silent instead of failing."""
    gone = {*gone, errno.EIO} if stream.isatty() else {*gone}
    raw = UnreadFile(stream.fileno(), gone)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=stream.isatty() or stream is sys.stderr)


class UnreadFile(io.FileIO):
    """A file descriptor that goes to /dev/null once nobody can read what is written."""

    def __init__(self, descriptor: int, gone: Collection[int]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.gone = gone

    def write(self, data: Any, /) -> int | None:
        """Write; for an error that means that nobody reads, write to /dev/null from now on."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in self.gone:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(data)
