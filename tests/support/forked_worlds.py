"""A fault at every operation of one undisturbed command: at each, a fork of its processes goes on in a copy of the folder, and meets it there.

A fork sees the copy under the folder's own name (a mount namespace, which needs root), and has its open files there. Where a child of the
command is at work, that child and the command are both forked; the command's fork waits for the child's as it would for its own.
"""

import ctypes
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from fcntl import F_GETFL, fcntl
from multiprocessing import Value
from pathlib import Path
from threading import RLock
from types import SimpleNamespace
from typing import Any

from .command_parts import Part
from .disk_faults import TEARING, Disk, Fault
from .faulty_command import forked, forked_with, place
from .waiting import exit_code

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
SECONDS = 120  # for the forks of one operation
NOT_ENDED = -1000


class WorldsDisk(Disk):
    """Leaves `worlds`/<number of the operation>, and a file with the exit code beside it, for each of the `wanted` operations."""

    def __init__(self, root: Path, kind: str, worlds: Path, wanted: Collection[int], last: int) -> None:
        super().__init__(root, Fault(kind))
        self.worlds, self.wanted, self.last = worlds, wanted, last
        self.is_world, self.half = False, None
        self.log: Any = None
        self.asked, self.of_child, self.of_command, self.code = (Value("i", 0) for _ in range(4))

    def watch(self) -> None:
        """Also fork this command when one of its children asks for it."""
        super().watch()
        from tqdm import tqdm

        tqdm.set_lock(RLock())  # its own is shared with forks: one that is killed with it would hold up all others
        import recipekit.runner.runtime.child_process as child

        from benchmarks.smoke import Forked

        start, poll = child._start, Forked.poll

        def noting(argv: Any, folder: Any, environment: Any, log: Any) -> Any:
            self.log = log
            return start(argv, folder, environment, log)

        def answering(process: Any) -> int | None:
            if self.asked.value and not self.is_world:
                self._fork_command(process)
            if not self.is_world or process.pid != self.of_child.value:
                return poll(process)
            if process.returncode is None and self.code.value != NOT_ENDED:
                process.returncode = self.code.value
            return process.returncode

        child._start = noting
        setattr(Forked, "poll", answering)  # noqa: B010 - pyright wants its argument to be called self

    def torn_write(self, write: Callable[[memoryview], int], whole: memoryview, path: Any) -> int:
        """Write it, in a world torn."""
        if self.is_world:
            return super().torn_write(write, whole, path)
        self.half = (lambda: write(whole[: len(whole) // 2])) if self.fault.kind in TEARING else None
        self.operation("write", path)
        self.half = None
        return write(whole)

    def _strike(self, number: int) -> None:
        if self.is_world:
            return super()._strike(number)
        self.is_ours = True
        try:
            if number in self.wanted and self._can_fork():
                self._fork_self(number) if os.getpid() == self.command else self._fork_both(number)
        finally:
            self.is_ours = False
        if self.is_world:
            if self.half:
                self.half()
            return super()._strike(number)
        if number >= self.last:
            os.kill(self.command, signal.SIGKILL)

    def _copied(self, number: int) -> Path:
        copy = self.worlds / f"{number:04}"
        os.waitpid(os.posix_spawnp("cp", ["cp", "-a", self.root, str(copy)], os.environ), 0)
        return copy

    def _can_fork(self) -> bool:
        """Whether nothing is shared with the fork: a loader of rows that two processes ask and end would be lost to one of them, and the
        fork would wait for a lock outside of the folder that this process holds."""
        if os.getpid() == self.command:
            return True
        if any(path.endswith(".lock") and not path.startswith(self.root) for path in open_files().values()):
            return False
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return False

    def _fork_self(self, number: int) -> None:
        """The command alone: it has no child at work."""
        copy = self._copied(number)
        if (fork := os.fork()) == 0:
            self.command = os.getpid()
            return self._enter(number, copy)
        self._note(number, _ended(fork))

    def _fork_both(self, number: int) -> None:
        """A child of the command: its fork goes on when the command's fork is there, and this process when both have ended."""
        if os.getppid() != self.command:
            raise RuntimeError("only the command and its children are forked")
        copy = self._copied(number)
        self.of_command.value, self.code.value = 0, NOT_ENDED
        if (fork := os.fork()) == 0:
            os.setsid()
            while not self.of_command.value:
                time.sleep(0.001)
            self.command = self.of_command.value
            return self._enter(number, copy, os.path.join(self.root, self.log.path))  # it works in another folder than the command
        self.of_child.value = fork
        self.asked.value = number
        self.code.value = _ended(fork)
        while self.asked.value:
            time.sleep(0.001)

    def _fork_command(self, process: Any) -> None:
        """In the command: the fork that waits for its child's."""
        number = self.asked.value
        if (fork := os.fork()) == 0:
            process.pid, self.command = self.of_child.value, os.getpid()
            self.log.writer = SimpleNamespace(poll=lambda: None, wait=lambda seconds: 0)  # that of the log is no child of this process
            self._enter(number, self.worlds / f"{number:04}")
            self.of_command.value = os.getpid()
            return
        self._note(number, _ended(fork))
        self.asked.value = 0

    def _note(self, number: int, code: int) -> None:
        (self.worlds / f"{number:04}.code").write_text(str(code))

    def _enter(self, number: int, copy: Path, log: str | None = None) -> None:
        """From here on this process sees the copy in the folder's place, and the fault is due. A child writes its log itself."""
        self.is_world, self.fault, self.count = True, Fault(self.fault.kind, number), Value("i", number)
        self.is_ours = True
        try:
            here = os.getcwd()
            mount(copy, self.root)
            os.chdir(here)
            reopen(self.root)
            if log:
                output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.dup2(output, 1)
                os.dup2(output, 2)
        except BaseException:
            (self.worlds / "failed").write_text(traceback.format_exc())
            os._exit(70)
        self.is_ours = False


def mount(copy: Path, root: str) -> None:
    """Give this process alone the copy in the root's place."""
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (
        lambda: libc.unshare(CLONE_NEWNS),
        lambda: libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
        lambda: libc.mount(os.fsencode(copy), os.fsencode(root), None, MS_BIND, None),
    ):
        if call():
            raise OSError(ctypes.get_errno(), "cannot mount")


def left_by(part: Part, kind: str, wanted: list[int], folder: Path) -> Iterator[tuple[int, int]]:
    """Give the folder the content that each wanted operation of the part leaves when the fault comes there; with the command's exit code."""
    worlds = Path(tempfile.mkdtemp(dir=folder.parent))
    place(part.before, folder)
    forked_with(WorldsDisk(folder, kind, worlds, wanted, part.operations), part.command, folder, seconds=SECONDS * len(wanted))
    if (worlds / "failed").exists():
        raise SystemExit((worlds / "failed").read_text())
    for number in wanted:
        if (copy := worlds / f"{number:04}").exists():
            shutil.rmtree(folder)
            copy.rename(folder)
            yield number, int(copy.with_suffix(".code").read_text())
        else:
            place(part.before, folder)
            yield number, forked(part.command, folder, Fault(kind, number))[0]
    shutil.rmtree(worlds)


def _ended(fork: int) -> int:
    """The exit code of this fork; that of a killed one if it does not end."""
    code = exit_code(fork, SECONDS)
    return -signal.SIGKILL if code is None else code


def open_files() -> dict[int, str]:
    """The path of what this process has open, by number."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    return {number: os.readlink(f"/proc/self/fd/{number}") for number in numbers if os.path.lexists(f"/proc/self/fd/{number}")}


def reopen(root: str) -> None:
    """Open each file and folder below the root again, which has another content now, under the same number and at the same place."""
    again: dict[tuple[str, int, int], int] = {}
    for number, path in open_files().items():
        if not f"{path}/".startswith(f"{root}/") or not os.path.exists(path):
            continue
        flags, is_folder = fcntl(number, F_GETFL), os.path.isdir(path)
        place = 0 if is_folder else os.lseek(number, 0, os.SEEK_CUR)
        if (path, flags, place) not in again:
            again[path, flags, place] = os.open(path, flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC))
            if place:
                os.lseek(again[path, flags, place], place, os.SEEK_SET)
        os.dup2(again[path, flags, place], number, os.get_inheritable(number))
    for number in again.values():
        os.close(number)
