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
from threading import Lock
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
  sha256 text not null default ''
) without rowid;
create table if not exists failures (
  key text not null, provider text not null, model text not null, error text not null, retryable integer not null, time real not null
);
create index if not exists failures_of_key on failures (key);
"""
_TEXTS = ("key", "provider", "model", "prompt", "sampling", "reply", "finish", "currency")
_NUMBERS = ("seed", "prompt_tokens", "completion_tokens", "metered", "redacted", "cost", "tries", "seconds", "time")
_HASH = f"sha256_of({', '.join([*(f'cast({name} as blob)' for name in _TEXTS), *_NUMBERS])})"  # as bytes: damaged text may be no UTF-8


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
        # One thread at a time: SQLite calls sha256_of with its own lock held, for which another thread would wait with Python's.
        self.in_use = Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # A paid reply must survive a power failure.
            self.database.executescript("pragma journal_mode=wal; pragma synchronous=full;" + _TABLES)
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None
        self.database.create_function("sha256_of", -1, _sha256_of, deterministic=True)
        if not self._execute("select 1 from pragma_table_info('replies') where name = 'sha256'"):
            self._add_hashes()
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def reply(self, key: str) -> Reply | None:
        """Return the answer to the request, if there is one as it was written."""
        columns = "reply, finish, prompt_tokens, completion_tokens, metered, redacted"
        rows = self._execute(f"select {columns} from replies where key = ? and sha256 = {_HASH}", key)
        return Reply(*rows[0][:4], *map(bool, rows[0][4:])) if rows else None

    def keep(self, entries: list[Entry]) -> None:
        """Write answers in one transaction."""
        with self._transaction():
            for row in map(_row, entries):
                self._execute(f"insert or replace into replies values ({', '.join('?' * 17)}, '')", *row)
                self._execute(f"update replies set sha256 = {_HASH} where key = ?", row[0])

    def drop_changed(self) -> int:
        """Remove the answers that are not as they were written; return how many."""
        return len(self._execute(f"delete from replies where sha256 <> {_HASH} returning 1"))

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

    def _add_hashes(self) -> None:
        """Give the answers of an older version hashes, as they are now."""
        with self._transaction():
            self._execute("alter table replies add column sha256 text not null default ''")
            self._execute(f"update replies set sha256 = {_HASH}")

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
            with self.in_use:
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


def _row(entry: Entry) -> tuple[object, ...]:
    asked, reply, cost, currency, tries, seconds = entry
    request = (asked.key, asked.provider, asked.model, _text(asked.messages), _text(asked.sampling._asdict()), asked.seed)
    answer = (reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens, reply.metered, reply.redacted)
    return (*request, *answer, cost, currency, tries, seconds, time.time())


def _sha256_of(*values: bytes | float | None) -> str:
    return sha256(repr(values).encode()).hexdigest()


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
