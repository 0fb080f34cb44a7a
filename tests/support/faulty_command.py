"""`recipe COMMAND` as a fork of this process, with a fault at one of its operations."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.smoke import status_of

from .disk_faults import Disk, Fault

SECONDS = 600  # a command that takes longer hangs; on busy cores a run takes minutes


def place(before: Path, folder: Path) -> None:
    """Give the folder the content of the one before."""
    shutil.rmtree(folder)
    shutil.copytree(before, folder, symlinks=True)


def forked(command: list[str], folder: Path, fault: Fault, watch: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Run `recipe COMMAND` in the folder as a fork; its exit code, and how many operations it and its own forks came to."""
    trace = Path(os.environ["FAULT_TRACE"]) if "FAULT_TRACE" in os.environ else None
    return forked_with(Disk(folder, fault, trace), command, folder, watch)


def forked_with(
    disk: Disk, command: list[str], folder: Path, watch: Callable[[], None] = lambda: None, seconds: float = SECONDS
) -> tuple[int, int]:
    """The same with a disk of one's own. `watch` is called in the fork, before the command."""
    child = os.fork()
    if child == 0:
        disk.command = os.getpid()
        os._exit(status_of(lambda: recipe(command, folder, disk, watch)))
    deadline, status = time.monotonic() + seconds, 0
    while True:
        try:
            ended, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return os.waitstatus_to_exitcode(status), disk.count.value
        if ended == child:
            status = code
        if not ended:
            if time.monotonic() > deadline:
                raise SystemExit(f"{command} did not end after {disk.fault} in {folder}")
            time.sleep(0.01)


def recipe(command: list[str], folder: Path, disk: Disk, watch: Callable[[], None]) -> None:
    """The command itself, in its folder."""
    os.setsid()
    os.chdir(folder)
    output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    disk.watch()
    watch()
    sys.argv = ["recipe", *command]
    from recipekit.runner.cli.main import main

    main()
