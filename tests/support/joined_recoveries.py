"""Recoveries that join: one that begins, or starts a stage's process, as an earlier one did, in an equal folder, ends as that one ended.

What a command does follows from its words, from the stages that were complete when it began, from the processes that it has started since,
and from its folder. Where all of that is as it was when a command that came out right began or started a process, the rest is not done
again. What stands in temporary files is no part of that: a disk (disk_faults.py) refuses to read what another process has left there.
"""

import json
import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from recipekit.schemas.base.hashing import SEAL, file_sha256

from .crash_states import LOGS

JOINED = 99  # the exit code of a command that has joined; recipe has no such code
# What is never the same twice: a process's number, a run's name, and numbers of a clock or of a gauge.
PROCESS_OR_RUN = re.compile(rb"(?<=\.)\d+(?=\.tmp)|\d{8}-\d{6}-[0-9a-f]{6}")
LOGGED = re.compile(rb'\\n    \| (?:[^"\\]|\\.)*')  # the last lines of a log in the reason of a stage that failed: they tell the time
MEASURED = re.compile(rb'("(?:updated|started|finished|available|peak|seconds|[a-z_]*runtime|[a-z_/]*per_s[a-z_]*)": ?)[-+.\de]+')


class Joining:
    """The points that right commands have passed. `watch` is called in a command's own process, `came_out_right` in the loop's."""

    def __init__(self, scratch: Path) -> None:
        self.passed, self.right = scratch / "passed", set[str]()

    def watch(self, command: Sequence[str], folder: Path, is_free: bool) -> None:
        """Note each point that this process passes; end it at a point that is known, if it `is_free` to."""
        import recipekit.runner.runtime.child_process as child

        start = child._start
        so_far: list[Any] = [list(command), complete_stages(folder)]

        def pass_on() -> None:
            point = point_of(so_far, folder)
            if is_free and point in self.right:
                os._exit(JOINED)
            with self.passed.open("a") as stream:
                stream.write(f"{point}\n")

        def noting(argv: tuple[str, ...], *others: Any) -> Any:
            so_far.append(list(argv))
            pass_on()
            return start(argv, *others)

        self.passed.write_text("")
        pass_on()
        child._start = noting

    def knows(self, command: Sequence[str], folder: Path) -> bool:
        """Whether a command that came out right has begun so."""
        return point_of([list(command), complete_stages(folder)], folder) in self.right

    def came_out_right(self) -> None:
        """Keep the points of the last command."""
        self.right.update(self.passed.read_text().split())


def point_of(so_far: list[Any], folder: Path) -> str:
    """A hash of all that the rest of a command follows from."""
    return sha256(varying_removed(json.dumps(so_far).encode(), folder) + state_of(folder)).hexdigest()


def complete_stages(folder: Path) -> list[list[str]]:
    """The stages that each run below the folder has completed."""
    return [sorted(json.loads(path.read_bytes())["stages"]) for path in sorted(folder.glob("runs/*/*/status.json"))]


def state_of(folder: Path) -> bytes:
    """A hash of every name and content below the folder, without what differs each time, and what stands in temporary files and logs."""
    found = sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if ".tmp/" in name:
            continue
        found.update(varying_removed(os.fsencode(name), folder) + b"\0")
        if path.is_file() and path.suffix not in (".log", ".tmp") and path.name not in LOGS:
            found.update(varying_removed(compared(path), folder) + b"\0")
    return found.digest()


def compared(path: Path) -> bytes:
    """What counts of a file: its content, of a seal whether it holds, and of a page, which tells speeds in words, whether it is whole."""
    if path.name == SEAL:
        return seal_checked(path)
    content = path.read_bytes()
    return str(content.endswith(b"</html>")).encode() if path.suffix == ".html" else content


def varying_removed(content: bytes, folder: Path) -> bytes:
    """The content without measured numbers and logged lines, and without the names that process, run and folder happen to have."""
    return MEASURED.sub(rb"\1", LOGGED.sub(b"", PROCESS_OR_RUN.sub(b"", content.replace(os.fsencode(folder), b""))))


def seal_checked(path: Path) -> bytes:
    """The files that a seal covers, and whether each is as it was sealed: its hash may be that of a measured number."""
    try:
        sealed = json.loads(path.read_bytes())
        return json.dumps({name: holds(path.parent / name, facts["sha256"]) for name, facts in sealed.items()}).encode()
    except (ValueError, AttributeError, TypeError, KeyError):  # torn
        return path.read_bytes()


def holds(path: Path, digest: str) -> bool:
    return path.is_file() and file_sha256(path) == digest
