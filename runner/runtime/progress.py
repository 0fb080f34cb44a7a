"""Progress events: JSON lines that a child process appends and the runner follows."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import append_whole
from ...schemas.base.redact import redacted_json
from ...schemas.json_schema import schema
from .run_files import PROGRESS
from .seals import read_sealed


def loss_text(loss: float) -> str:
    """Format a loss with four significant digits; progress, reports and tables show it alike."""
    return f"{loss:#.4g}".rstrip(".")


class Progress:
    """Appends one JSON line per event, flushed at once; of several processes, only the first writes."""

    def __init__(self, path: Path = Path(PROGRESS)) -> None:
        self.path = path
        self.enabled = int(os.environ.get("RANK", "0")) == 0

    def event(self, kind: str, **facts: Any) -> None:
        """Append an event with the current time."""
        if self.enabled:
            line = json.dumps({"event": kind, "time": round(time.time(), 3), **facts}, ensure_ascii=False)
            append_whole(self.path, f"{redacted_json(line)}\n".encode())


@contextmanager
def refusing(progress: Progress) -> Iterator[None]:
    """Report a UserError to the runner and end the process."""
    try:
        yield
    except UserError as error:
        progress.event("refused", what=str(error))
        raise SystemExit(1) from None


def report_user_errors(progress: Progress) -> None:
    """From now on, report a UserError that ends this process as `refusing` does: for a process whose main function is not ours."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, UserError):
            progress.event("refused", what=str(error))
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


class Follower:
    """Reads events appended since the last call; an incomplete line is left for the next one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = path.stat().st_size if path.exists() else 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the events since the last call."""
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self.offset += len(line)
                yield json.loads(line)


def read_lines(path: Path, *keys: str) -> list[dict[str, Any]]:
    """Return every complete line of a JSON Lines file; an incomplete last line is left out.

    Raises UserError if a line is not a JSON object with these keys, or if the file differs from its seal.
    """
    try:
        content = read_sealed(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(Problem(path, f"cannot be read: {error.strerror}", rule="damaged")) from None
    complete = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    return [_read_line(path, number, line, keys) for number, line in enumerate(complete, 1)]


def each_line(path: Path, *keys: str) -> Iterator[dict[str, Any]]:
    """Yield what `read_lines` returns, of a file that is not sealed and need not fit in memory. Raises UserError as it does."""
    if path.exists():
        with path.open("rb") as stream:
            yield from (_read_line(path, number, line, keys) for number, line in enumerate(stream, 1) if line.endswith(b"\n"))


def _read_line(path: Path, number: int, line: bytes, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        values = orjson.loads(line)
    except ValueError:
        try:
            values = json.loads(line)  # also reads the NaN and lone surrogates that json.dumps writes
        except ValueError as error:  # not JSON, or not UTF-8
            raise _damaged(path, number, str(error)) from None
    if not isinstance(values, dict):
        raise _damaged(path, number, "not a JSON object")
    if wrong := type_fault(path.name, values, keys):
        raise _damaged(path, number, wrong)
    return values


def _damaged(path: Path, number: int, what: str) -> UserError:
    return UserError(Problem(Location(str(path), number), f"is damaged: {what}", "restore the file, or remove the run", "damaged"))


@cache
def _validator(name: str) -> Any:
    """Return the validator for a line of the file; None for a file without a schema."""
    import jsonschema_rs

    document = schema("run")
    if name not in document["$defs"]:
        return None
    return jsonschema_rs.validator_for({**document, "$ref": f"#/$defs/{name}"}, offline=True)


def type_fault(name: str, values: Any, keys: tuple[str, ...]) -> str:
    """Return what is wrong with a line of the file called `name`: a wrong type or a missing key; empty if nothing is."""
    if missing := [key for key in keys if key not in values]:
        return f"no {missing[0]!r}"
    validator = _validator(name)
    if validator is None or validator.is_valid(values):
        return ""
    error = next(iter(validator.iter_errors(values)))
    where = ".".join(map(str, error.instance_path))
    return f"{where}: {error.message[:200]}" if where else error.message[:200]
