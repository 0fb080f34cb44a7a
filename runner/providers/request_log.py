"""The log of requests: an SQLite file with what was asked, what was answered, and what it cost.

A reply is on disk before it is used, so that a killed process repeats at most the requests in flight. Each has a hash: one that is not as
it was written is not used.
"""

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...schemas.base.counted import counted
from ...schemas.base.errors import Problem, UserError
from ..runtime.console import Display
from .requests import ProviderRequest, Reply

_TABLES = """
create table if not exists replies (
  key text primary key, provider text not null, model text not null, prompt text not null, sampling text not null, seed integer not null,
  reply text not null, finish text not null, prompt_tokens integer not null, completion_tokens integer not null, metered integer not null,
  redacted integer not null, cost real, currency text, tries integer not null, seconds real not null, time real not null,
  sha256 text not null
);
create table if not exists failures (
  key text not null, provider text not null, model text not null, error text not null, retryable integer not null, time real not null
);
create index if not exists failures_of_key on failures (key);
select sha256 from replies limit 0; -- a log of another version fails here
"""


class Entry(NamedTuple):
    """An answer for the log."""

    asked: ProviderRequest
    reply: Reply
    cost: float | None
    currency: str | None
    tries: int
    seconds: float


class Used(NamedTuple):
    """What the answers in a log have used. `cost` covers those with a price."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0


class RequestLog:
    """The log at a path, created if missing; for one process at a time. Every method raises UserError if SQLite fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # A paid reply must survive a power failure.
            self.database.executescript("pragma journal_mode=wal; pragma synchronous=full;" + _TABLES)
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None
        self.database.row_factory = sqlite3.Row
        self.database.text_factory = _text_of
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def reply(self, key: str) -> Reply | None:
        """Return the answer to the request, if there is one as it was written."""
        row = self._as_written("key = ?", key)
        if row is None:
            return None
        counts = (row["prompt_tokens"], row["completion_tokens"], bool(row["metered"]), bool(row["redacted"]))
        return Reply(row["reply"], row["finish"], *counts)

    def keep(self, entries: list[Entry]) -> None:
        """Write answers in one transaction."""
        with self._transaction():
            for values in map(_values, entries):
                self._execute(f"insert or replace into replies values ({', '.join('?' * 18)})", *values, _sha256_of(values))

    def drop_changed(self) -> int:
        """Remove the answers that are not as they were written; return how many."""
        rows = [rowid for (rowid,) in self._execute("select rowid from replies") if self._as_written("rowid = ?", rowid) is None]
        with self._transaction():
            for rowid in rows:
                self._execute("delete from replies where rowid = ?", rowid)
        return len(rows)

    def fail(self, asked: ProviderRequest, error: str, retryable: bool) -> None:
        """Record a failed try."""
        row = (asked.key, asked.provider, asked.model, error, retryable, time.time())
        self._execute("insert into failures values (?, ?, ?, ?, ?, ?)", *row)

    def failures(self, key: str) -> int:
        """Return how many tries of the request failed."""
        return self._execute("select count(*) from failures where key = ?", key)[0][0]

    def last_failure(self, key: str) -> str:
        """Return the message of the request's last failed try."""
        rows = self._execute("select error from failures where key = ? order by rowid desc limit 1", key)
        return rows[0][0] if rows else ""

    def used(self) -> Used:
        """Return what all answers in the log have used."""
        query = "select count(*), coalesce(sum(prompt_tokens + completion_tokens), 0), coalesce(sum(cost), 0) from replies"
        return Used(*self._execute(query)[0])

    def _as_written(self, condition: str, value: object) -> sqlite3.Row | None:
        """Return the answer's row, or None if there is none, or its hash is another one's."""
        rows = self._execute(f"select * from replies where {condition}", value)
        return rows[0] if rows and _sha256_of(tuple(rows[0])[:-1]) == rows[0]["sha256"] else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("begin immediate")
        try:
            yield
            self._execute("commit")
        except BaseException:
            if self.database.in_transaction:  # a full disk ends it
                self._execute("rollback")
            raise

    def _execute(self, statement: str, *values: object) -> list[Any]:
        """Run one statement and return its rows."""
        try:
            return self.database.execute(statement, values).fetchall()
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.DatabaseError) -> UserError:
        hint = "free some space, or move the file away if it is damaged; answered requests are not repeated"
        return UserError(Problem(self.path, f"cannot be used as the request log: {error}", hint, "request-log"))


@contextmanager
def open_log(path: Path, display: Display) -> Iterator[RequestLog]:
    """Open the log for this process alone, without the answers that were changed, which are reported. Raises UserError if another process
    uses it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(Problem(path, "is in use by another process", "wait for it, or stop it", "locked")) from None
        log = RequestLog(path)
        try:
            if count := log.drop_changed():
                what = f"{path}: {counted(count, 'reply')} changed after being written: not used, and asked for again if needed"
                display.say("log", what, "warning")
            yield log
        finally:
            log.close()


def _values(entry: Entry) -> tuple[object, ...]:
    """Return the columns but the hash, of the types that SQLite gives back."""
    asked, reply, cost, currency, tries, seconds = entry
    request = (asked.key, asked.provider, asked.model, _text(asked.messages), _text(asked.sampling._asdict()), asked.seed)
    answer = (reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens, int(reply.metered), int(reply.redacted))
    return (*request, *answer, None if cost is None else float(cost), currency, tries, float(seconds), time.time())


def _sha256_of(values: tuple[object, ...]) -> str:
    return sha256(repr(values).encode()).hexdigest()


def _text_of(data: bytes) -> str:
    """Decode a text of a database that may be damaged."""
    return data.decode(errors="surrogateescape")


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
