"""Every state in which a kill of all processes at once, or a loss of power, can leave a command's folder.

One undisturbed run gives all of them: the folder is copied before each of the command's operations on a file, and in the middle of each
write.
"""

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from .disk_faults import Disk, Fault

LOGS = ("output", "lock", "progress.jsonl")
_PROCESS = re.compile(r"\.\d+\.tmp$")


class CopyingDisk(Disk):
    """Copies the folder to `states`/<number of the operation> before each operation."""

    def __init__(self, root: Path, states: Path) -> None:
        super().__init__(root, Fault("copy"))
        self.states = states

    def _strike(self, number: int) -> None:
        self._copy(f"{number:04}")

    def torn_write(self, write: Any, whole: memoryview, path: Any) -> int:
        """Write in two halves, with a copy in between."""
        self.operation("write", path)
        half = write(whole[: len(whole) // 2])
        if half and not self.is_ours:
            self._copy(f"{self.count.value:04}-torn")
        return half + write(whole[half:])

    def _copy(self, name: str) -> None:
        if (self.states / name).exists():
            return
        self.is_ours = True
        try:
            argv = ["cp", "-a", "--reflink=auto", self.root, str(self.states / name)]  # hard links stay links
            os.waitpid(os.posix_spawnp("cp", argv, os.environ), 0)
        finally:
            self.is_ours = False


def distinct(states: Path) -> list[Path]:
    """One state of each kind, spread evenly however many of them there is time for: first every 2^n-th, at last every one.

    States are of one kind that differ only in logs and in what stands in temporary files, which nobody reads.
    """
    kinds: dict[str, Path] = {}
    for state in sorted(states.iterdir()):
        kinds.setdefault(contents(state), state)
    kept = list(kinds.values())
    places = sorted(range(len(kept)), key=lambda place: f"{place:016b}"[::-1])
    return [kept[place] for place in places]


def contents(folder: Path) -> str:
    """A hash of names and bytes below the folder; of temporary files and folders, and of logs, the name alone."""
    found = sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if ".tmp/" not in name and path.name not in LOGS:
            is_read = path.is_file() and path.suffix not in (".log", ".tmp")
            found.update(_PROCESS.sub(".tmp", name).encode() + b"\0" + (path.read_bytes() if is_read else b"") + b"\0")
    return found.hexdigest()
