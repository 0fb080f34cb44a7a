"""Read a source's files in batches. JSON Lines are cut at line ends and parsed by the worker that converts them; the rest is read here."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, BinaryIO, Protocol

from ...schemas.base.errors import Problem, UserError
from ..reading.bounded_lines import Readable, bounded_lines
from ..reading.compressed import FAULTS, bad_stream, is_uncompressed
from ..reading.file_hashes import Version, remember, source_sha256
from ..reading.files import SourceFile
from ..reading.readers import SKIPPED_TEXT, Picks, Reads, open_file, read_file
from ..reading.records import Drop, Row
from ..sources.registry import Converter
from .conversion import Batch, count_lines

BATCH_BYTES = 1 << 20
NOT_READ = "not read"  # the format of a file beyond the source's limit
NO_ROWS = ": no rows"  # follows the format of such a file
ROW_BYTES = 1 << 10  # assumed bytes per row, if rows are counted instead of bytes


class SourceRows(Protocol):
    """The rows of a source, from files or from a hub. `handed_out` counts the batches."""

    handed_out: int
    batch_bytes: int

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in batches."""
        ...

    def rows(self) -> Iterator[Row | Drop]:
        """Yield the rows one by one."""
        ...

    def check_some_read(self) -> None:
        """Raise UserError if there was nothing to read."""
        ...

    def facts(self) -> list[dict[str, Any]]:
        """Return what was read, for the manifest. Raises UserError if it has changed since."""
        ...


class SourceFiles:
    """The files of a source, in order. `formats` and `versions` are filled while they are read."""

    def __init__(self, files: list[SourceFile], module: Converter, limit: int | None, batch_bytes: int) -> None:
        self.files = files
        self.module = module
        self.limit = limit
        self.batch_bytes = batch_bytes
        self.handed_out = 0
        self.formats: dict[str, str] = {}
        self.filled: set[str] = set()  # the files that have rows
        self.versions: dict[SourceFile, Version] = {}
        self.hashes: dict[SourceFile, str] = {}
        self.stream: BinaryIO = io.BytesIO()

    def batches(self) -> Iterator[Batch]:
        """Yield the rows of all files in batches of about `batch_bytes`; a batch never spans two files."""
        for batch in self._batches():
            self.handed_out += 1
            yield batch

    def _batches(self) -> Iterator[Batch]:
        if self.limit is not None:
            yield from self._row_batches(self.rows())
            return
        for file in self.files:
            with self._opened(file) as (stream, rows):
                if self.formats[file.name] == "jsonl":
                    read = Hashed(stream)
                    for batch in line_batches(read, file.name, self.batch_bytes):
                        if not batch.lines.isspace():
                            self.filled.add(file.name)
                        yield batch
                    if is_uncompressed(stream):
                        self.hashes[file] = read.hash.hexdigest()
                        remember(file.path, self.versions[file], self.hashes[file])
                else:
                    yield from self._row_batches(numbered(self._noted(file, rows)))

    def _row_batches(self, rows: Iterator[Row | Drop]) -> Iterator[Batch]:
        return row_batches(rows, max(1, self.batch_bytes // ROW_BYTES), self._read_so_far, self.batch_bytes)

    def _read_so_far(self) -> int:
        return self.stream.tell()

    def rows(self) -> Iterator[Row | Drop]:
        """Yield the rows of all files one by one, at most `limit` readable ones."""
        return _limited(self._all_rows(), self.limit)

    def _all_rows(self) -> Iterator[Row | Drop]:
        for file in self.files:
            with self._opened(file) as (_, rows):
                yield from numbered(self._noted(file, rows))

    def _noted(self, file: SourceFile, rows: Iterator[Row | Drop]) -> Iterator[Row | Drop]:
        """Yield the rows, and note that the file has some; blank lines are none."""
        for row in rows:
            if not isinstance(row, Row) or not isinstance(row.value, str) or row.value.strip():
                self.filled.add(file.name)
                yield row
                break
            yield row
        yield from rows

    @contextmanager
    def _opened(self, file: SourceFile) -> Iterator[tuple[BinaryIO, Iterator[Row | Drop]]]:
        self.versions[file] = Version.of(file.path)
        self.formats[file.name], stream, reader = open_file(file, self.module.INPUT)
        self.stream = stream
        with stream:
            try:
                yield stream, reader(stream, file.name)
            except FAULTS as error:
                raise bad_stream(file.name, error) from None

    def check_some_read(self) -> None:
        """Raise UserError if none of a folder's files holds data."""
        if self.files and all(self.formats.get(file.name) == SKIPPED_TEXT for file in self.files):
            hint = "a table that looks like text (one column, no header) is read if the source names the file itself"
            raise UserError(Problem(self.files[0].path.parent, f"none of the folder's {len(self.files)} files is data", hint, "no-data"))

    def facts(self) -> list[dict[str, Any]]:
        """Return name, format, hash and size of each file. Raises UserError if one has changed since it was read."""
        facts = [{"name": f.name, "format": self.format_of(f), **self._file_facts(f)} for f in self.files]
        self.check_unchanged()
        return facts

    def format_of(self, file: SourceFile) -> str:
        """Return what the file holds, and whether it has rows, for the manifest; NOT_READ if it has not been read."""
        kind = self.formats.get(file.name, NOT_READ)
        return kind if file.name in self.filled or kind in (NOT_READ, SKIPPED_TEXT) else f"{kind}{NO_ROWS}"

    def _file_facts(self, file: SourceFile) -> dict[str, Any]:
        try:
            return {"sha256": self.hashes.get(file) or source_sha256(file.path), "bytes": file.path.stat().st_size}
        except OSError as error:
            raise bad_stream(str(file.path), error) from None

    def check_unchanged(self) -> None:
        """Raise UserError if a file has changed since it was read."""
        changed = [file for file, version in self.versions.items() if not file.path.exists() or Version.of(file.path) != version]
        if changed:
            hint = "wait until nothing writes to it, then convert again; no output was written"
            raise UserError(*(Problem(file.path, "changed while it was read", hint, "input-changed") for file in changed))


class Hashed:
    """A stream that hashes its bytes as they are read."""

    def __init__(self, stream: Readable) -> None:
        self.stream = stream
        self.hash = sha256()

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`."""
        block = self.stream.read(size)
        self.hash.update(block)
        return block


def _limited(rows: Iterable[Row | Drop], limit: int | None) -> Iterator[Row | Drop]:
    left = -1 if limit is None else limit
    iterator = iter(rows)
    while left and (row := next(iterator, None)) is not None:
        left -= type(row) is Row
        yield row


def numbered(rows: Iterable[Row | Drop]) -> Iterator[Row | Drop]:
    """Yield the rows, numbered by `item` if several start on one line."""
    last, item = 0, 1
    for row in rows:
        line = row.line if type(row) is Row else row.row.line  # pyright: ignore[reportAttributeAccessIssue] - a Drop
        item = item + 1 if line == last else 1
        last = line
        if item > 1:
            row = row._replace(item=item) if type(row) is Row else row._replace(row=row.row._replace(item=item))  # pyright: ignore
        yield row


def file_rows(files: Iterable[SourceFile], reads: Reads | Picks) -> Iterator[Row | Drop]:
    """Yield the rows of the files one by one, numbered."""
    for file in files:
        yield from numbered(read_file(file, reads)[1])


def without_drops(rows: Iterable[Row | Drop], drops: list[Drop]) -> Iterator[Row]:
    """Yield the rows that could be read; append the others to `drops`."""
    for row in rows:
        if isinstance(row, Drop):
            drops.append(row)
        else:
            yield row


def row_batches(rows: Iterable[Row | Drop], count: int, read_so_far: Callable[[], int], size: int) -> Iterator[Batch]:
    """Yield batches of rows: at most `count` rows each, or fewer if they span more than about `size` bytes of the file."""
    batch: list[Row | Drop] = []
    start = 0
    for row in rows:
        batch.append(row)
        if len(batch) >= count or abs(read_so_far() - start) >= size:
            yield _rows(batch)
            batch, start = [], read_so_far()
    if batch:
        yield _rows(batch)


def _rows(batch: list[Row | Drop]) -> Batch:
    first = batch[0].row if isinstance(batch[0], Drop) else batch[0]
    return Batch(first.file, first.line, rows=batch)


def line_batches(stream: Readable, name: str, size: int) -> Iterator[Batch]:
    """Yield the stream's lines in batches of about `size` bytes."""
    line = 1
    with bounded_lines(stream, name) as buffered:
        while block := buffered.read(size):
            if not block.endswith(b"\n"):
                block += buffered.readline()
            yield Batch(name, line, block)
            line += count_lines(block)
