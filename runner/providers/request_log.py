"""The log of requests: one SQLite file that knows what was asked, what was answered, and what it used.

A reply is written to disk before anything is made of it, so that a process that is killed has at most to repeat what was under way.
"""

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...schemas.base.errors import Location, Problem, UserError
from .requests import ProviderRequest, Reply

_TABLES = """
create table if not exists replies (
  key text primary key, provider text not null, model text not null, prompt text not null, sampling text not null, seed integer not null,
  reply text not null, finish text not null, prompt_tokens integer not null, completion_tokens integer not null, metered integer not null,
  redacted integer not null, cost real, currency text, tries integer not null, seconds real not null, time real not null
) without rowid;
create table if not exists failures (
  key text not null, provider text not null, model text not null, error text not null, retryable integer not null, time real not null
);
create index if not exists failures_of_key on failures (key);
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
    """What the answers in a log have used. `cost` is of those that had a price."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0


class RequestLog:
    """The log at a path; made when there is none. One process at a time. Every method raises UserError when SQLite refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # A reply that was paid for survives a loss of power too.
            self.database.executescript("pragma journal_mode=wal; pragma synchronous=full;" + _TABLES)
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def reply(self, key: str) -> Reply | None:
        """The answer to the request, if it has one."""
        rows = self._execute("select reply, finish, prompt_tokens, completion_tokens, metered, redacted from replies where key = ?", key)
        return Reply(*rows[0][:4], *map(bool, rows[0][4:])) if rows else None

    def keep(self, entries: list[Entry]) -> None:
        """Write answers, all at once."""
        with self._transaction():
            for row in map(_row, entries):
                self._execute(f"insert or replace into replies values ({', '.join('?' * 17)})", *row)

    def fail(self, asked: ProviderRequest, error: str, retryable: bool) -> None:
        """Write that a try failed."""
        row = (asked.key, asked.provider, asked.model, error, retryable, time.time())
        self._execute("insert into failures values (?, ?, ?, ?, ?, ?)", *row)

    def failures(self, key: str) -> int:
        """How many tries of the request failed."""
        return self._execute("select count(*) from failures where key = ?", key)[0][0]

    def last_failure(self, key: str) -> str:
        """What the last failed try of the request said."""
        rows = self._execute("select error from failures where key = ? order by rowid desc limit 1", key)
        return rows[0][0] if rows else ""

    def used(self) -> Used:
        """What all answers in the log have used."""
        query = "select count(*), coalesce(sum(prompt_tokens + completion_tokens), 0), coalesce(sum(cost), 0) from replies"
        return Used(*self._execute(query)[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("begin immediate")
        try:
            yield
            self._execute("commit")
        except BaseException:
            if self.database.in_transaction:  # a full disk has ended it already
                self.database.execute("rollback")
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
        return UserError(Problem(Location(str(self.path)), f"cannot be used as the request log: {error}", hint, "request-log"))


@contextmanager
def open_log(path: Path) -> Iterator[RequestLog]:
    """The log, for this process alone. Raises UserError if another process uses it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it, or stop it"
            raise UserError(Problem(Location(str(path)), "is in use by another process", hint, "locked")) from None
        log = RequestLog(path)
        try:
            yield log
        finally:
            log.close()


def _row(entry: Entry) -> tuple[object, ...]:
    asked, reply, cost, currency, tries, seconds = entry
    request = (asked.key, asked.provider, asked.model, _text(asked.messages), _text(asked.sampling._asdict()), asked.seed)
    answer = (reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens, reply.metered, reply.redacted)
    return (*request, *answer, cost, currency, tries, seconds, time.time())


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
