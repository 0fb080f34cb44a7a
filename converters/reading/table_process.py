"""Parquet and Arrow files are read in a process of their own: a damaged one can crash Arrow, and must not take the conversion with it.

python -m recipekit.converters.reading.table_process KIND NAME: the file as standard input, chunks of rows on standard output.
"""

import os
import pickle
import resource
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

from ...schemas.base.errors import Location, Problem, UserError
from .compressed import is_uncompressed
from .records import Drop, Row
from .tables import read_arrow, read_parquet

READERS = {"parquet": read_parquet, "arrow": read_arrow}
_ROWS = 256
_LENGTH = struct.Struct("<Q")
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


def _received(process: subprocess.Popen[bytes], pipe: IO[bytes], name: str) -> Iterator[Row]:
    while True:
        length = pipe.read(_LENGTH.size)
        size = _LENGTH.unpack(length)[0] if len(length) == _LENGTH.size else 0
        content = pipe.read(size)
        if not size or len(content) < size:
            raise _crashed(process.wait(), name)
        kind, chunk = pickle.loads(content)  # noqa: S301 - from our own child
        if kind == "end":
            return
        if kind == "refused":
            raise UserError(*(Problem(Location(*place), *rest) for place, *rest in chunk))
        yield from (Row(value, name, line) for line, value in chunk)


def _crashed(code: int, name: str) -> UserError:
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
        for chunk in _chunks(READERS[kind](open(0, "rb", closefd=False), name)):
            _send(pipe, "rows", chunk)
        _send(pipe, "end", None)
    except UserError as error:
        _send(pipe, "refused", [(tuple(problem.location), *problem[1:]) for problem in error.problems])
    except BrokenPipeError:  # nobody wants the rest
        os._exit(0)
    pipe.close()


def _chunks(rows: Iterator[Row | Drop]) -> Iterator[list[tuple[int, Any]]]:
    while chunk := list(islice(rows, _ROWS)):
        yield [(row.line, row.value) for row in chunk if isinstance(row, Row)]


def _send(pipe: IO[bytes], kind: str, content: Any) -> None:
    message = pickle.dumps((kind, content), pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()


if __name__ == "__main__":
    main()
