"""A command of several stages in parts: each begins where the one before has just completed a stage, and goes on as a recovery does."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .disk_faults import Disk, Fault
from .fault_commands import Loop
from .faulty_command import forked_with, place
from .joined_recoveries import complete_stages


class Part(NamedTuple):
    """A folder to begin in, the command, and its operations up to the first one after it has completed a stage, or to its end."""

    before: Path
    command: list[str]
    operations: int


class StageDisk(Disk):
    """Kills the command at its first operation after it has completed a stage."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, Fault())
        self.complete = complete_stages(root)

    def _strike(self, number: int) -> None:
        if complete_stages(Path(self.root)) != self.complete:
            os.kill(self.command, signal.SIGKILL)


def parts_of(loop: Loop, folder: Path) -> Iterator[Part]:
    """The parts of an undisturbed command in `folder`; what each begins with is kept beside it, named by the stages that are complete."""
    before, command = loop.before, loop.command
    while command:
        place(before, folder)
        code, operations = forked_with(StageDisk(folder), command, folder)
        yield Part(before, command, operations)
        if code == 0:
            return
        if code != -signal.SIGKILL:
            raise SystemExit(f"{command}: exit code {code} without a fault: {(folder / 'output').read_text()}")
        stages = sorted(stage for run in complete_stages(folder) for stage in run)
        before, command = folder.with_name("-".join(["after", *stages])), loop.recovery(folder)
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(folder, before, symlinks=True)
