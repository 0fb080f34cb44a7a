"""Read Parquet and Arrow files in a process of their own: a damaged one can crash Arrow, and must not crash the conversion.

python -m recipekit.converters.reading.table_process KIND NAME: the file is standard input, table_messages.py is standard output.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.terminal import TerminalStream
from .compressed import is_uncompressed
from .records import Drop, Row
from .table_messages import End, Refused, received, send_refusal, send_rows
from .tables import read_arrow, read_parquet

READERS = {"parquet": read_parquet, "arrow": read_arrow}
_ENDING_SECONDS = 5
_FREE_MEMORY = 8 << 30  # on top of four times the file: limits what a corrupted length can allocate


def rows_of(kind: str, stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield the rows of a table. Raises UserError if it cannot be read to its end, or if its reader crashes."""
    argv = [sys.executable, "-m", "recipekit.converters.reading.table_process", kind, name]
    with _as_file(stream) as file:
        process = subprocess.Popen(argv, stdin=file, stdout=subprocess.PIPE, env={**os.environ, "PYTHONSAFEPATH": "1"})
        assert process.stdout
        try:
            yield from _received(process, process.stdout, name)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def _received(process: subprocess.Popen[bytes], pipe: IO[bytes], name: str) -> Iterator[Row | Drop]:
    while not isinstance(message := received(pipe), End):
        if message is None:
            raise _crashed(process, name)
        if isinstance(message, Refused):
            raise message.error()
        yield from message.items(name)


def _crashed(process: subprocess.Popen[bytes], name: str) -> UserError:
    try:
        code = process.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:  # it sent an invalid message and is still running
        process.kill()
        code = process.wait()
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return UserError(Problem(name, f"cannot be read: its reader crashed ({how})", "the file is damaged: write it again", "unreadable"))


@contextmanager
def _as_file(stream: BinaryIO) -> Iterator[IO[bytes]]:
    """Return the stream as a file for another process; a compressed or in-memory stream is copied to a temporary file."""
    stream.seek(0)
    if is_uncompressed(stream):
        os.lseek(stream.fileno(), 0, os.SEEK_SET)
        yield stream
        return
    with TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.flush()
        copy.seek(0)
        yield copy


def main() -> None:
    """Write the rows of standard input to standard output."""
    kind, name = sys.argv[1:]
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep what libraries print out of the messages
    sys.stderr = TerminalStream(sys.stderr, messages=True)  # pyright: ignore[reportAttributeAccessIssue]
    size = os.fstat(0).st_size
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = _FREE_MEMORY + 4 * size
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    try:
        send_rows(pipe, READERS[kind](open(0, "rb", closefd=False), name), name, size)
    except UserError as error:
        send_refusal(pipe, error)
    except BrokenPipeError:  # the reader has stopped
        os._exit(0)
    pipe.close()


if __name__ == "__main__":
    main()
