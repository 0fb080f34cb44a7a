"""A fault at the n-th operation with which a process, or a fork of it, changes files below a folder."""

import builtins
import errno
import io
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing import Value
from pathlib import Path
from typing import Any, NamedTuple

# SIGKILL and SIGTERM reach the process at work; Ctrl-C twice its command. ENOSPC stays, as on a disk that is full; EIO comes once.
KINDS = ("SIGKILL", "SIGTERM", "Ctrl-C twice", "ENOSPC", "EIO")
TEARING = ("SIGKILL", "ENOSPC", "EIO")
CHANGING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
USING = {"open", "os.rename", "os.link"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Fault(NamedTuple):
    """What happens at which operation, counted from 1; at 0 nothing happens, and operations are only counted."""

    kind: str = ""
    at: int = 0


class Disk:
    """Counts the operations of this process and its forks below `root`, and brings about the fault. The last ones are kept by name."""

    def __init__(self, root: Path, fault: Fault, trace: Path | None = None) -> None:
        self.root, self.fault, self.trace = str(root.resolve()), fault, trace
        self.count, self.command = Value("i", 0), os.getpid()
        self.is_ours = False
        self.unfinished = {str(path) for path in root.rglob("*.tmp")}  # what a command that was disturbed has left

    def watch(self) -> None:
        """Watch this process from here on: what Python opens, writes, renames and removes, and what is flushed or saved by other code."""
        sys.addaudithook(self._audit)
        builtins.open = io.open = partial(opened, self, io.open)  # pathlib takes the second
        sqlite3.connect = partial(sqlite3.connect, factory=partial(CountedConnection, self))  # pyright: ignore[reportCallIssue]
        from recipekit.schemas.base import files

        self._count_calls(os, "fsync", lambda _: self.root)
        self._count_calls(files, "_swap", lambda new, target: str(target))
        if "torch" in sys.modules:
            import safetensors.torch
            import torch

            self._count_calls(safetensors.torch, "save_file", lambda tensors, path, *_, **__: str(path))
            self._count_calls(torch, "save", lambda value, path, *_, **__: str(path))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.unfinished and event in USING:
            self._refuse_unfinished(event, *arguments)
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            self.operation("open", arguments[0])
        elif event in CHANGING:
            self.operation(event, arguments[0])

    def _refuse_unfinished(self, event: str, path: Any, *others: Any) -> None:
        """Recoveries from states that differ in temporary files alone count as one (joined_recoveries.py): nothing may use such a file."""
        if not self.watches(path):
            return
        place = os.path.join(os.getcwd(), os.fsdecode(path))
        if event == "open" and isinstance(others[1], int) and others[1] & (os.O_TRUNC | os.O_EXCL):
            self.unfinished.discard(place)  # made anew
        elif event == "open" and os.path.isdir(place):
            return  # to remove it
        elif any(place == left or place.startswith(f"{left}/") for left in self.unfinished):
            raise RuntimeError(f"{event} of {place}, which another process has left unfinished")

    def _count_calls(self, module: Any, name: str, path_of: Callable[..., str]) -> None:
        whole = getattr(module, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.operation(name, path_of(*arguments, **options))
            return whole(*arguments, **options)

        setattr(module, name, counted)

    def watches(self, path: Any) -> bool:
        """Whether it is a path below the root."""
        return isinstance(path, str | bytes | os.PathLike) and os.path.join(os.getcwd(), os.fsdecode(path)).startswith(self.root)

    def operation(self, what: str, path: Any) -> None:
        """Count it where it is below the root, and bring about the fault when it is its turn."""
        if self.is_ours or not self.watches(path):
            return
        place = os.path.join(os.getcwd(), os.fsdecode(path))
        self.is_ours = bool(self.trace)
        try:
            with self.count.get_lock():
                self.count.value += 1
                number = self.count.value
            if self.trace:
                with self.trace.open("a") as stream:
                    stream.write(f"{number} {what} {place.removeprefix(self.root)}\n")
        finally:
            self.is_ours = False
        self._strike(number)

    def torn_write(self, write: Callable[[memoryview], int], whole: memoryview, path: Any) -> int:
        """Write it. Half of it is on the disk when a fault ends the write; a signal that Python handles comes before or after one."""
        if self.fault.at == self.count.value + 1 and self.fault.kind in TEARING:
            write(whole[: len(whole) // 2])
        self.operation("write", path)
        return write(whole)

    def _strike(self, number: int) -> None:
        kind, at = self.fault
        if kind == "ENOSPC" and 0 < at <= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if number != at:
            return
        if kind == "EIO":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if kind == "Ctrl-C twice":
            os.kill(self.command, signal.SIGINT)
            os.kill(self.command, signal.SIGINT)
        elif kind:
            os.kill(os.getpid(), getattr(signal, kind))


class CountedFile(io.FileIO):
    """A file whose writes are counted; the one that a fault comes at is torn: half of it is on the disk."""

    disk: Disk

    def write(self, data: Any, /) -> int:
        return self.disk.torn_write(super().write, memoryview(data).cast("B"), self.name)


def opened(disk: Disk, plain: Callable[..., Any], file: Any, mode: str = "r", buffering: int = -1, *others: Any, **named: Any) -> Any:
    """`open`, whose writes below the root are counted."""
    if not set(mode) & set("wax+") or not disk.watches(file):
        return plain(file, mode, buffering, *others, **named)
    raw = CountedFile(file, mode.replace("b", "").replace("t", ""), opener=named.get("opener"))  # as of tempfile
    raw.disk = disk
    if buffering == 0:
        return raw
    buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    text = ("encoding", "errors", "newline")
    given = dict(zip(text, others, strict=False)) | {name: named[name] for name in text if name in named}
    return buffered if "b" in mode else io.TextIOWrapper(buffered, **given, line_buffering=buffering == 1)


class CountedConnection(sqlite3.Connection):
    """A database whose statements are counted, but for those that only read."""

    def __init__(self, disk: Disk, path: Any, *others: Any, **named: Any) -> None:
        self.disk, self.path = disk, path
        super().__init__(path, *others, **named)

    def _counted(self, statement: str) -> None:
        if not statement.lstrip().startswith(("select", "rollback")):
            try:
                self.disk.operation("sql", self.path)
            except OSError as error:
                full = error.errno == errno.ENOSPC
                raise sqlite3.OperationalError("database or disk is full" if full else "disk I/O error") from None

    def execute(self, statement: str, *others: Any) -> sqlite3.Cursor:
        self._counted(statement)
        return super().execute(statement, *others)

    def executemany(self, statement: str, *others: Any) -> sqlite3.Cursor:
        self._counted(statement)
        return super().executemany(statement, *others)

    def executescript(self, statement: str) -> sqlite3.Cursor:
        self._counted(statement)
        return super().executescript(statement)
