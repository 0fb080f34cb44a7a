"""Parquet and Arrow files are read in a process of their own: a damaged one can crash Arrow, and must not take the conversion with it.

python -m recipekit.converters.reading.table_process KIND NAME: the file as standard input, table_messages.py on standard output.
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

from ...schemas.base.errors import Location, Problem, UserError
from .compressed import is_uncompressed
from .records import Drop, Row
from .table_messages import End, Refused, received, send_refusal, send_rows
from .tables import read_arrow, read_parquet

READERS = {"parquet": read_parquet, "arrow": read_arrow}
_ENDING_SECONDS = 5
_FREE_MEMORY = 8 << 30  # beside four times the file: what a damaged length may ask for at most


def rows_of(kind: str, stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """The rows of a table. Raises UserError where it cannot be read to its end, or where its reader crashes."""
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
    except subprocess.TimeoutExpired:  # it has sent what is no message, and goes on
        process.kill()
        code = process.wait()
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return UserError(
        Problem(Location(name), f"cannot be read: it crashed its reader ({how})", "the file is damaged: write it again", "unreadable")
    )


@contextmanager
def _as_file(stream: BinaryIO) -> Iterator[IO[bytes]]:
    """The stream as a file that another process can read; what is compressed or in memory is copied to a temporary one."""
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
    os.dup2(2, 1)  # whatever a library prints is no row
    size = os.fstat(0).st_size
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = _FREE_MEMORY + 4 * size
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    try:
        send_rows(pipe, READERS[kind](open(0, "rb", closefd=False), name))
    except UserError as error:
        send_refusal(pipe, error)
    except BrokenPipeError:  # nobody wants the rest
        os._exit(0)
    pipe.close()


if __name__ == "__main__":
    main()
