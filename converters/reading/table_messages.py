"""The messages from the process that reads a table to the one that converts it: JSON of a fixed shape.

A malicious file may have taken over the reading process. Its output is therefore never unpickled, and anything of another shape is refused.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec
import orjson

from ...schemas.base.errors import Location, Problem, UserError
from .bounded_lines import MAX_LINE
from .compressed import FREE_BYTES, MAX_PACKED, MAX_RATIO
from .plain_values import NotPlain, as_json
from .records import Drop, Row

_LENGTH = struct.Struct("<Q")
_CHUNK = 1 << 16  # a message is sent once it is longer


class Rows(msgspec.Struct, tag="rows"):
    """(line, value, reason, detail) of each row; a row with a reason is a drop."""

    rows: list[tuple[int, Any, str, str]]

    def items(self, name: str) -> Iterator[Row | Drop]:
        """Yield the rows and drops of the file."""
        for line, value, reason, detail in self.rows:
            yield Drop(Row(None, name, line), reason, detail) if reason else Row(value, name, line)


class Refused(msgspec.Struct, tag="refused"):
    """(file, line, column, what, hint, rule) of each problem that prevents reading the file."""

    problems: list[tuple[str, int, int, str, str, str]]

    def error(self) -> UserError:
        """Return the error to raise."""
        return UserError(*(Problem(Location(*found[:3]), *found[3:]) for found in self.problems))


class End(msgspec.Struct, tag="end"):
    """The table has no more rows."""


_MESSAGES = msgspec.json.Decoder(Rows | Refused | End)


def received(pipe: IO[bytes]) -> Rows | Refused | End | None:
    """Return the next message; None at the end, or if it is not valid."""
    length = pipe.read(_LENGTH.size)
    size = _LENGTH.unpack(length)[0] if len(length) == _LENGTH.size else 0
    if not 0 < size <= _CHUNK + 2 * MAX_LINE:
        return None
    try:
        return _MESSAGES.decode(pipe.read(size))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def send_rows(pipe: IO[bytes], rows: Iterable[Row | Drop], name: str, packed: int) -> None:
    """Send the rows of the file `name` of `packed` bytes in batches, then the end.

    Raises UserError for a file that unpacks to far more than it holds: one column or value again and again.
    """
    waiting, size, sent = [], 0, 0
    for number, row in enumerate(rows):
        waiting.append(_encoded(row))
        size += len(waiting[-1])
        sent += len(waiting[-1])
        if number > MAX_PACKED + packed or (sent > FREE_BYTES and sent > MAX_RATIO * packed):
            raise bomb(name, packed, f"more than {number:,} rows of {sent:,} bytes")
        if size > _CHUNK:
            _send_lines(pipe, waiting)
            waiting, size = [], 0
    _send_lines(pipe, waiting)
    _send(pipe, b'{"type":"end"}')


def bomb(name: str, packed: int, rows: str) -> UserError:
    """Return the error for a table of `packed` bytes that holds such rows."""
    what = f"its {packed:,} bytes unpack to {rows}: refused as a decompression bomb"
    return UserError(Problem(name, what, "if it is real data, write it as JSON Lines first", "decompression-bomb"))


def send_refusal(pipe: IO[bytes], error: UserError) -> None:
    """Send why the file cannot be read."""
    problems = [(*problem.location, *problem[1:]) for problem in error.problems]
    _send(pipe, orjson.dumps({"type": "refused", "problems": problems}))


def _encoded(row: Row | Drop) -> bytes:
    if isinstance(row, Drop):
        return orjson.dumps((row.row.line, None, row.reason, row.detail))
    try:
        line = as_json((row.line, row.value, "", ""))
    except NotPlain as error:
        line = orjson.dumps((row.line, None, error.reason, error.detail))
    if len(line) > MAX_LINE:
        return orjson.dumps((row.line, None, "line_too_long", f"more than {MAX_LINE >> 20} MB"))
    return line


def _send_lines(pipe: IO[bytes], lines: list[bytes]) -> None:
    if lines:
        _send(pipe, b'{"type":"rows","rows":[' + b",".join(lines) + b"]}")


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()
