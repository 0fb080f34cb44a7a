"""Lines that are appended to a file as they come, with their hashes next to it: a line that is not as it was written is not used.

A seal of the whole file could not be kept while it grows: after a power cut, file and seal may each be of another moment.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ...schemas.base.files import append_whole, write_atomically
from .seals import SUMS


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append whole lines, after their hashes: a kill in between leaves a hash without a line. Raises OSError if the disk fails."""
    append_whole(sums_of(path), _sums(lines))
    append_whole(path, b"".join(lines))


def sums_of(path: Path) -> Path:
    """Return the file with the hashes of this file's lines."""
    return path.with_suffix(SUMS)


def write_sums(path: Path) -> None:
    """Write the hashes of the lines as they are: the file was checked, or written, as a whole. Raises UserError if the disk fails."""
    write_atomically(sums_of(path), _sums(path.read_bytes().splitlines(keepends=True)))


def drop_changed_lines(path: Path) -> int:
    """Remove the lines that are not as they were written, or are there twice; return how many are missing or were removed.

    Raises OSError if the file cannot be read.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    written = set(sums_of(path).read_bytes().split()) if sums_of(path).exists() else set()
    kept = [line for line in dict.fromkeys(lines) if _sum(line) in written]
    if len(kept) < len(lines):
        write_atomically(path, b"".join(kept))
    whole = sum(line.endswith(b"\n") for line in lines)  # a torn one is among those that are not there
    return max(whole, len(written)) - len(kept)


def cut_changed_lines(path: Path) -> bool:
    """Cut the file, whose lines need their order, and its hashes where a line is not as it was written; return whether one was changed or
    is missing. What a kill leaves is cut in silence: a hash whose line is missing or torn. The lines need not fit in memory."""
    written = sums_of(path).read_bytes().splitlines() if sums_of(path).exists() else []
    kept, length, is_torn = 0, 0, True
    with path.open("rb") as stream:
        for line in stream:
            if kept == len(written) or _sum(line) != written[kept]:
                is_torn = not line.endswith(b"\n")
                break
            kept, length = kept + 1, length + len(line)
    os.truncate(path, length)
    write_atomically(sums_of(path), b"".join(line + b"\n" for line in written[:kept]))
    return not is_torn or len(written) > kept + 1


def _sums(lines: Sequence[bytes]) -> bytes:
    return b"".join(_sum(line) + b"\n" for line in lines)


def _sum(line: bytes) -> bytes:
    return sha256(line).hexdigest().encode()
