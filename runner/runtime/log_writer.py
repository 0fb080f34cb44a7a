"""Write standard input to a log that never exceeds its limit and contains no secrets.

python -m recipekit.runner.runtime.log_writer LOG [NOTE]

This is a separate process: it counts every byte before writing it, and a trainer whose runner was killed can keep writing until it has
saved a checkpoint. It ends with the last process that can write to it.
"""

import os
import sys
from contextlib import suppress
from itertools import chain
from pathlib import Path

from ...schemas.base.redact import redact

LIMIT = 64 << 20
KEPT = 1 << 20  # bytes of the beginning and of the end that are kept at the limit
_LONGEST_LINE = 64 << 10


class LogWriter:
    """Appends to a log. At the limit, the part between its beginning and its end is left out, and counted."""

    def __init__(self, path: Path, limit: int = LIMIT, kept: int = KEPT) -> None:
        self.path, self.limit, self.kept = path, limit, kept
        self.stream = path.open("a+b", buffering=0)
        self.size = self.stream.seek(0, os.SEEK_END)
        self.left_out = 0
        self.line = b""
        self.overlong = False

    def feed(self, data: bytes) -> None:
        """Write complete lines; a carriage return ends one too. A line beyond 64 KiB is left out: splitting it could split a secret."""
        *lines, self.line = (self.line + data).replace(b"\r", b"\n").split(b"\n")
        text = b"".join(line + b"\n" for line in map(self._checked, lines))
        if (start := _open_private_key(text)) >= 0:
            text, self.line = text[:start], text[start:] + self.line
        if len(self.line) > _LONGEST_LINE:
            self.line, self.overlong = b"", True
        self._append(_clean(text))

    def close(self) -> None:
        """Write the rest."""
        self._append(_clean(self._checked(self.line)))
        self.stream.close()

    def _checked(self, line: bytes) -> bytes:
        """Return the line, or a note that it was too long."""
        was_overlong, self.overlong = self.overlong, False
        return (
            f"[... a line of more than {_LONGEST_LINE:,} bytes was left out]".encode()
            if was_overlong or len(line) > _LONGEST_LINE
            else line
        )

    def _append(self, data: bytes) -> None:
        """Write within the limit, in pieces that leave room for the note about what was left out."""
        piece = self.limit - 2 * self.kept - 128
        for start in range(0, len(data), piece):
            part = data[start : start + piece]
            if self.size + len(part) > self.limit:
                self._compact()
            self.size += self.stream.write(part)

    def _compact(self) -> None:
        """Keep the beginning and the end of the file."""
        self.stream.seek(self.size - self.kept)
        end = self.stream.read(self.kept)
        self.left_out += self.size - 2 * self.kept
        self.stream.truncate(self.kept)
        note = b"\n[... %d bytes were left out here ...]\n" % self.left_out
        self.size = self.kept + self.stream.write(note) + self.stream.write(end)


def _open_private_key(text: bytes) -> int:
    """Return where a private key begins that has no end yet; -1 without one."""
    start = text.rfind(b"-----BEGIN ")
    is_open = start >= 0 and b"PRIVATE KEY-----" in text[start : start + 64] and b"-----END " not in text[start:]
    return start if is_open else -1


def _clean(text: bytes) -> bytes:
    """Return the lines without secrets; bytes that are not UTF-8 are unchanged."""
    return redact(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def main() -> None:
    """Write the note in argv[2], then standard input, to the log in argv[1]. On a full disk lines are lost, but the trainer continues."""
    log = LogWriter(Path(sys.argv[1]))
    note = "".join(f"\n[... {text} ...]\n" for text in sys.argv[2:] if text)
    for data in chain([note.encode()], iter(lambda: os.read(sys.stdin.fileno(), 1 << 16), b"")):
        with suppress(OSError):
            log.feed(data)
    try:
        log.close()
    except OSError as error:
        print(f"{log.path}: {error.strerror}", file=sys.stderr)


if __name__ == "__main__":
    main()
