"""Compressed files as the bytes that they hold: gzip and zstd, of any number of members. One that breaks off is an error."""

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from ...schemas.base.errors import Location, Problem, UserError
from .forward import ForwardReader

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
FAULTS = (EOFError, zlib.error, OSError)
# No text comes near: a file that grows a thousandfold was made to fill somebody's disk. Small ones may; they do no harm.
MAX_RATIO = 500
FREE_BYTES = 256 << 20


def decompressed(path: Path, head: bytes) -> io.BufferedReader | None:
    """What the file holds, when its first bytes are those of gzip or zstd. It can be read from the start again with `seek(0)`."""
    if head[:2] == GZIP_MAGIC or head == ZSTD_MAGIC:
        return io.BufferedReader(_Decompressed(path, head[:2] == GZIP_MAGIC), 1 << 16)
    return None


def is_uncompressed(stream: BinaryIO) -> bool:
    """Whether the stream gives the bytes of its file, rather than what these stand for."""
    return isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO)


class _Decompressed(ForwardReader):
    """The bytes that the file stands for."""

    def __init__(self, path: Path, is_gzip: bool) -> None:
        self.path = path
        self.is_gzip = is_gzip
        self.packed = path.stat().st_size
        self.inner = self._opened()

    def _opened(self) -> Any:
        if self.is_gzip:
            return gzip.open(self.path)
        import pyarrow  # whose reader, unlike zstandard's, says when the file ends too soon

        return pyarrow.input_stream(str(self.path), compression="zstd")

    def restart(self) -> None:
        self.inner.close()
        self.inner = self._opened()

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer. Raises UserError if far more comes out than went in."""
        block = self.inner.read(len(buffer))
        buffer[: len(block)] = block
        self.given += len(block)
        if self.given > FREE_BYTES and self.given > MAX_RATIO * self.packed:
            what = f"{self.packed:,} compressed bytes hold more than {MAX_RATIO} times as many: that is no data"
            raise UserError(Problem(Location(str(self.path)), what, "if it is, decompress it first", "decompression-bomb"))
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self.inner.close()
        super().close()


def bad_stream(name: str, error: Exception) -> UserError:
    """The error of a file that cannot be read to its end."""
    return UserError(Problem(Location(name), f"cannot be read to its end: {error}", rule="unreadable"))
