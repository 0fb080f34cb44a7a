"""A fault at the n-th operation with which a process, or a fork of it, changes files below a folder."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import Value
from pathlib import Path
from typing import Any, NamedTuple

# SIGKILL and SIGTERM reach the process at work; Ctrl-C twice its command. ENOSPC stays, as on a disk that is full; EIO comes once.
KINDS = ("SIGKILL", "SIGTERM", "Ctrl-C twice", "ENOSPC", "EIO")
CHANGING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
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

    def watch(self) -> None:
        """Watch this process from here on: what Python opens, renames and removes, and what is flushed or saved by other code."""
        sys.addaudithook(self._audit)
        import safetensors.torch
        import torch
        from recipekit.schemas.base import files

        self._count_calls(os, "fsync", lambda _: self.root)
        self._count_calls(files, "_swap", lambda new, target: str(target))
        self._count_calls(safetensors.torch, "save_file", lambda tensors, path, *_, **__: str(path))
        self._count_calls(torch, "save", lambda value, path, *_, **__: str(path))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            self.operation("open", arguments[0])
        elif event in CHANGING:
            self.operation(event, arguments[0])

    def _count_calls(self, module: Any, name: str, path_of: Callable[..., str]) -> None:
        whole = getattr(module, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.operation(name, path_of(*arguments, **options))
            return whole(*arguments, **options)

        setattr(module, name, counted)

    def operation(self, what: str, path: Any) -> None:
        """Count it where it is below the root, and bring about the fault when it is its turn."""
        if self.is_ours or not isinstance(path, str | bytes | os.PathLike):
            return
        place = os.path.join(os.getcwd(), os.fsdecode(path))
        if not place.startswith(self.root):
            return
        self.is_ours = True
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
