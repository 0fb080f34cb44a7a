"""A run's directory: its name, its state, its lock. Every file in it is written to a temporary name and renamed."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import msgspec
import orjson

from ...schemas.base.errors import GateError, Interrupted, Problem, UserError
from ...schemas.base.files import cannot_write, sweep_folder, write_atomically
from ...schemas.base.redact import redacted_json
from .run_files import RECIPE, STATUS, RunFile, Status
from .seals import read_sealed
from .working_time import working_seconds

RUNS = Path("runs")
FINISHED = ("done", "refused")
_STAMP = "%Y%m%d-%H%M%S"
_TRIES = 5
T = TypeVar("T")


class RunFolder:
    """runs/<recipe>/<timestamp>-<hash>/ and its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def find(self, file: RunFile[T]) -> T | None:
        """Return the content of a JSON file of the run, None if it does not exist. Raises UserError if it is damaged or differs from its
        seal."""
        path = self.path / file.name
        try:
            values = msgspec.json.decode(read_sealed(path), type=file.type)
            if what := file.fault(values):
                raise ValueError(what)
            return values
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            is_other_form = isinstance(error, msgspec.ValidationError)
            otherwise = "read the run with the version of recipekit that wrote it" if is_other_form else "remove the run"
            raise UserError(Problem(path, f"is damaged: {error}", f"restore the file, or {otherwise}", "damaged")) from None

    def read(self, file: RunFile[T]) -> T:
        """Return the content of a JSON file of the run. Raises UserError if it is damaged or missing."""
        if (values := self.find(file)) is None:
            raise UserError(Problem(self.path / file.name, "does not exist", f"recipe resume {self.path} completes the run", "incomplete"))
        return values

    @property
    def recipe_file(self) -> str:
        """Return the path of the run's own copy of its recipe. Raises UserError if it is missing or was edited."""
        path = self.path / RECIPE
        try:
            read_sealed(path)
        except OSError as error:
            raise UserError(Problem(path, f"cannot be read: {error.strerror}", "restore the file", "damaged")) from None
        return str(path)

    def write(self, file: RunFile[T], values: T) -> None:
        """Write a JSON file of the run atomically, with secrets redacted."""
        text = orjson.dumps(values, option=orjson.OPT_INDENT_2).decode()
        write_atomically(self.path / file.name, redacted_json(text, file.exact).encode() + b"\n")

    @property
    def status(self) -> Status:
        """Return status.json; empty if it does not exist."""
        return self.find(STATUS) or cast(Status, {})

    @property
    def stages(self) -> dict[str, str]:
        """Return the key of each completed stage."""
        return self.status.get("stages", {})

    @property
    def state(self) -> str:
        """Return the recorded state; that of a run which should be running, but whose process is gone, is `killed`."""
        recorded = self.status.get("state", "")
        return "killed" if recorded == "running" and not self.is_in_use() else recorded

    @property
    def is_smoke(self) -> bool:
        """Return whether the run is a smoke run. False if its state cannot be read."""
        return bool(self._readable.get("smoke"))

    @property
    def is_done(self) -> bool:
        """Return whether the run has ended and no gate failed. False if its state cannot be read."""
        return self._readable.get("state") == "done"

    @property
    def is_finished(self) -> bool:
        """Return whether the run has ended, with a model, metrics and a report."""
        return self._readable.get("state") in FINISHED

    @property
    def _readable(self) -> Status:
        try:
            return self.status
        except UserError:
            return cast(Status, {})

    def update(self, **changes: Any) -> None:
        """Change values in status.json. `finished` is when the run first ended; a later evaluation does not change it."""
        now = round(time.time(), 3)
        ended = {"finished": now} if changes.get("state") in FINISHED else {}
        self.write(STATUS, cast(Status, {**ended, **self.status, **changes, "updated": now}))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run against other processes; the lock is released when the process and its children have ended, however they end.

        Files left half-written by a killed process are removed first. Raises UserError while another process uses the run, and if what is
        done in it fails because it was removed or renamed.
        """
        with (self.path / "lock").open("a+") as stream:
            if not _locks(stream, fcntl.LOCK_EX, tries=_TRIES):
                stream.seek(0)
                holder = stream.read().strip() or "another process"
                hint = "wait for it, or stop it"
                if left := [pid for pid in _users(self.path / "lock") if f"process {pid} on " not in holder]:
                    hint += f"; processes that it started: {', '.join(map(str, left))}"
                raise UserError(Problem(self.path, f"is in use by {holder}", hint, "locked"))
            stream.truncate(0)
            stream.write(_holder())
            stream.flush()
            os.set_inheritable(stream.fileno(), True)
            sweep_folder(self.path)
            try:
                yield
            except Exception:
                if not self._has_lock(stream):
                    hint = "if it was renamed, resume it by its new name: recipe resume FOLDER"
                    raise UserError(Problem(self.path, "was removed or renamed while a command worked on it", hint, "moved")) from None
                raise

    @contextmanager
    def recording_outcome(self) -> Iterator[None]:
        """Record in status.json how the block ends. A finished run stays finished until its new evaluation is complete."""
        if self.is_finished:
            yield
            return
        self.update(state="running", reason="", spent=max(working_seconds(self.path, self.status), 0.0), started=round(time.time(), 3))
        try:
            yield
        except BaseException as error:
            state = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
            state = "refused" if isinstance(error, GateError) else state
            if self._has_lock():  # not in a folder that was removed or renamed: writing would make it again
                self.update(state=state, reason=str(error)[:2000] or type(error).__name__)
            raise

    def _has_lock(self, stream: IO[Any] | None = None) -> bool:
        """Return whether the folder has a lock file: this open one, if given."""
        try:
            found = (self.path / "lock").stat()
        except FileNotFoundError:
            return False
        return stream is None or os.path.samestat(found, os.fstat(stream.fileno()))

    def no_model(self) -> UserError:
        """Return the error for a run without a trained model: it is running, or was interrupted."""
        return UserError(Problem(self.path, "has no trained model yet", self.completion_hint(), "no-model"))

    def completion_hint(self) -> str:
        """Return what completes an unfinished run: the process that works on it, or resuming."""
        return "it is running: wait until it has ended" if self.is_in_use() else f"recipe resume {self.path}"

    def is_in_use(self) -> bool:
        """Return whether a process other than this one is using the run."""
        return self.is_locked() and (self.path / "lock").read_text() != _holder()

    def is_locked(self) -> bool:
        """Return whether a process is using the run. The run's folder may be read-only."""
        try:
            with (self.path / "lock").open("rb") as stream:
                return not _locks(stream, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False


def _holder() -> str:
    return f"process {os.getpid()} on {os.uname().nodename}"


def _users(lock: Path) -> list[int]:
    """Return the processes that have the lock open: the trainer of a killed command keeps it until its checkpoint is written."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # the process has ended, or is another user's
            if link.readlink() == lock.resolve():
                found.add(int(link.parts[2]))
    return sorted(found - {os.getpid()})


def _locks(stream: IO[Any], kind: int, tries: int = 1) -> bool:
    """Lock the file; return False if another process holds it. `is_locked` of another process may hold it for a moment."""
    for attempt in range(tries):
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if attempt + 1 < tries:
                time.sleep(0.05)
    return False


def create(recipe_name: str, key: str, root: Path) -> RunFolder:
    """Create a run's directory, readable only by the user. Raises UserError if nothing can be written."""
    name = f"{_stamp(root / recipe_name)}-{key[:6]}"
    for suffix in ("", *(f"-{secrets.token_hex(2)}" for _ in range(8))):
        path = root / recipe_name / (name + suffix)
        try:
            path.mkdir(parents=True, mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(path, error) from None
        return RunFolder(path)
    raise UserError(f"{root / recipe_name}: no free name for a run")


def _stamp(folder: Path) -> str:
    """Return the time, or a second after the newest run: runs are ordered by name, even if the clock was set back (summer time)."""
    found = [_time_of(path.name) for path in folder.glob("*")]
    now = datetime.now().replace(microsecond=0)
    return max([now, *(time + timedelta(seconds=1) for time in found if time)]).strftime(_STAMP)


def _time_of(name: str) -> datetime | None:
    try:
        return datetime.strptime(name[:15], _STAMP)
    except ValueError:  # another file or folder of the user's
        return None
