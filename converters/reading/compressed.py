"""Compressed files read as their contents: gzip and zstd, with any number of members. A truncated file is an error."""

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from ...schemas.base.errors import Problem, UserError
from .forward import ForwardReader

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
FAULTS = (EOFError, zlib.error, OSError)
# No real text compresses a thousandfold: such a file is made to fill the disk. Below FREE_BYTES it does no harm.
MAX_RATIO = 500
FREE_BYTES = 256 << 20
MAX_PACKED = 1 << 20  # rows of which a file may hold more than it has bytes: no real row takes less, but for empty ones below a sheet


def decompressed(path: Path, head: bytes) -> io.BufferedReader | None:
    """Open the file for reading decompressed if it begins like gzip or zstd; None otherwise. `seek(0)` reads it from the start again."""
    if head[:2] == GZIP_MAGIC or head == ZSTD_MAGIC:
        return io.BufferedReader(_Decompressed(path, head[:2] == GZIP_MAGIC), 1 << 16)
    return None


def is_uncompressed(stream: BinaryIO) -> bool:
    """Return whether the stream reads the file's own bytes, not decompressed or converted ones."""
    return isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO)


class _Decompressed(ForwardReader):
    """The decompressed bytes of a file."""

    def __init__(self, path: Path, is_gzip: bool) -> None:
        self.path = path
        self.is_gzip = is_gzip
        self.packed = path.stat().st_size
        self.lines = 0
        self.inner = self._opened()

    def _opened(self) -> Any:
        if self.is_gzip:
            return gzip.open(self.path)
        import pyarrow  # unlike zstandard, it reports a truncated file

        return pyarrow.input_stream(str(self.path), compression="zstd")

    def restart(self) -> None:
        self.inner.close()
        self.inner = self._opened()
        self.lines = 0

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer. Raises UserError if the file expands too far."""
        block = self.inner.read(len(buffer))
        buffer[: len(block)] = block
        self.given += len(block)
        self.lines += block.count(b"\n")
        if self.given > FREE_BYTES and self.given > MAX_RATIO * self.packed:
            raise self._bomb(f"expand more than {MAX_RATIO} times")
        if self.lines > MAX_PACKED + self.packed:
            raise self._bomb(f"have more than {MAX_PACKED + self.packed:,} lines")
        return len(block)

    def _bomb(self, what: str) -> UserError:
        what = f"{self.packed:,} compressed bytes {what}: refused as a decompression bomb"
        return UserError(Problem(self.path, what, "if it is real data, decompress it first", "decompression-bomb"))

    def close(self) -> None:
        if not self.closed:
            self.inner.close()
        super().close()


def bad_stream(name: str, error: Exception) -> UserError:
    """Return the error for a file that cannot be read to its end."""
    return UserError(Problem(name, f"cannot be read to its end: {error}", rule="unreadable"))
