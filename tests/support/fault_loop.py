"""Every command that changes a run, with a fault at each of its operations in turn: the command given again, or the run resumed, must end as
if nothing had happened.

    python -m tests.support.fault_loop [convert generate report export score eval merge run] [--kinds SIGKILL ENOSPC] [--every 5]
                                       [--first 1] [--seconds 500]

What is slow to import is imported once; commands and stages are forks (benchmarks/smoke.py), in which the n-th operation on a file is
refused or kills the process, n = 1 and so on until a command comes through. A command of several stages is disturbed in parts, so that a
fault in the last stage does not wait for the first (command_parts.py). A recovery ends where it comes to what an earlier one has come to
(joined_recoveries.py); each tenth goes on to its end all the same. Prints one JSON object: faults tried, how many recoveries joined
another, and every difference.
"""

import argparse
import ctypes
import gc
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.smoke import CPU, import_once

from .command_parts import Part, parts_of
from .crash_states import CopyingDisk, distinct
from .disk_faults import KINDS, Fault
from .fault_commands import LOOPS, WITHOUT_TRAINER, Loop, emptied
from .faulty_command import forked, forked_with, place
from .forked_worlds import left_by
from .joined_recoveries import JOINED, Joining, state_of

PR_SET_CHILD_SUBREAPER = 36
ALL_AT_ONCE = "SIGKILL of all"  # costs a recovery alone: one undisturbed command gives every state
ASKED = "Ctrl-C twice"  # a child at work hears of it later
AT_ONCE = 50  # operations of which the folders are kept at once
TO_THE_END = 10  # each tenth recovery goes on to its end: joined ones are shown to end alike
PRELOADED = ("openai", "recipekit.converters.building.pipeline", "recipekit.runner.cli.main", "recipekit.runner.generate.generate",
             "recipekit.runner.workflows.run")  # fmt: skip
OF_STAGES = ("axolotl.cli.main", "axolotl.train", "cpuinfo", "deepspeed", "recipekit.runner.worker.merge")  # what stages import besides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*")
    parser.add_argument("--kinds", nargs="*", default=[*KINDS, ALL_AT_ONCE])
    parser.add_argument("--every", type=int, default=1, help="only each n-th operation")
    parser.add_argument("--first", type=int, default=1, help="the operation to begin with")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; `next` is the operation to continue with")
    parser.add_argument("--forked", action="store_true", help="in forks of one undisturbed command: five times as fast, needs root")
    parser.add_argument("--folder", type=Path, help="where the model and the finished run are made, and kept for the next time")
    asked = parser.parse_args()
    asked.end = time.monotonic() + asked.seconds
    os.environ.update(CPU, OMP_NUM_THREADS="1", NO_COLOR="1")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # a trainer whose command was killed is waited for
    names = asked.commands or list(LOOPS)
    has_stages = any(name not in WITHOUT_TRAINER for name in names)
    if has_stages:
        import_once()
    for module in (*PRELOADED, *(OF_STAGES if has_stages else ())):
        import_module(module)
    gc.freeze()  # a collection in a fork would touch, and so copy, every page of what was imported
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (asked.folder or Path(temporary)).absolute()
        scratch.mkdir(exist_ok=True)
        found = [tried for name in names for tried in disturb(name, scratch, asked)]
    print(json.dumps({"faults": sum(one["faults"] for one in found), "loops": found}, indent=1))
    raise SystemExit(any(one["differences"] for one in found))


class Recoveries:
    """What is made of the folder after each fault, compared with what must come of it."""

    def __init__(self, loop: Loop, expected: dict[str, Any], joining: Joining) -> None:
        self.loop, self.expected, self.joining = loop, expected, joining
        self.tried = self.joined = 0
        self.differences: list[str] = []
        self.begun = time.monotonic()

    def after(self, fault: str, folder: Path, code: int) -> None:
        """Recover the folder that a command with this exit code has left, and note what is wrong with either."""
        self.tried += 1
        for line in self._wrong(folder, code):
            self.differences.append(f"{fault}: {line}")
            print(self.differences[-1], file=sys.stderr, flush=True)

    def _wrong(self, folder: Path, code: int) -> Iterator[str]:
        output = (folder / "output").read_text(errors="replace") if (folder / "output").exists() else ""
        if "Traceback" in output or code == 70:
            yield f"a traceback: {output[-1500:]}"
        if recovery := self.loop.recovery(folder):
            is_free = self.tried % TO_THE_END != 0 and recovery[0] != "generate"  # its requests are seen outside of the folder
            if is_free and self.joining.knows(recovery, folder):
                self.joined += 1
                return
            code, _ = forked(recovery, folder, Fault(), lambda: self.joining.watch(recovery, folder, is_free))
            if code == JOINED:
                self.joined += 1
                return
            if code:
                yield f"cannot be recovered from, exit code {code}: {(folder / 'output').read_text(errors='replace')[-800:]}"
                return
        found = self.loop.outcome(folder)
        differing = [key for key in {**self.expected, **found} if found.get(key) != self.expected.get(key)]
        for key in differing:
            yield f"{key} is {found.get(key)!r:.200}, and {self.expected.get(key)!r:.200} undisturbed"
        if recovery and not differing:
            self.joining.came_out_right()

    def facts(self, **about: Any) -> dict[str, Any]:
        """Print and return what was tried and found."""
        facts = about | {"faults": self.tried, "joined": self.joined, "differences": self.differences}
        print(facts | {"seconds": round(time.monotonic() - self.begun)}, file=sys.stderr, flush=True)
        return facts


def disturb(name: str, scratch: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One command under every kind of fault: how many operations it has, how many faults were tried, what differed."""
    loop, joining = LOOPS[name](scratch), Joining(scratch)
    folder = Path(tempfile.mkdtemp(dir=scratch))  # always this one: a run knows its recipe by the path
    place(loop.before, folder)
    code, _ = forked(loop.command, folder, Fault(), lambda: joining.watch(loop.command, folder, is_free=False))
    if code:
        raise SystemExit(f"{name}: exit code {code} without a fault: {(folder / 'output').read_text()}")
    joining.came_out_right()
    expected = loop.outcome(folder)
    if ALL_AT_ONCE in asked.kinds:
        yield killed_at_once(name, Recoveries(loop, expected, joining), folder, asked)
    if kinds := [kind for kind in asked.kinds if kind in KINDS]:
        faults = [(part, at) for part in parts_of(loop, folder) for at in range(1, part.operations + 1)]
        if loop.outcome(folder) != expected:
            raise SystemExit(f"{name}: its parts come to something else than the whole")
        for kind in kinds:
            yield (struck_in_forks if asked.forked else struck)(name, kind, faults, Recoveries(loop, expected, joining), folder, asked)
    shutil.rmtree(folder)


def struck(
    name: str, kind: str, faults: list[tuple[Part, int]], recoveries: Recoveries, folder: Path, asked: argparse.Namespace
) -> dict[str, Any]:
    """The command with this kind of fault at each operation of each of its parts."""
    upcoming = None
    for number in range(asked.first, len(faults) + 1, asked.every):
        if time.monotonic() > asked.end:
            upcoming = number
            break
        part, at = faults[number - 1]
        place(part.before, folder)
        code, _ = forked(part.command, folder, Fault(kind, at))
        recoveries.after(named(kind, part, at), folder, code)
        print(f"{name}, {kind}: {number} of {len(faults)}, {recoveries.joined} joined", file=sys.stderr, flush=True)
    return recoveries.facts(command=name, kind=kind, operations=len(faults), next=upcoming)


def struck_in_forks(
    name: str, kind: str, faults: list[tuple[Part, int]], recoveries: Recoveries, folder: Path, asked: argparse.Namespace
) -> dict[str, Any]:
    """The same with forks of one undisturbed command for each part. Each tenth fault comes to the command itself, too, and must leave the
    same."""
    wanted, upcoming, count = faults[asked.first - 1 :: asked.every], None, 0
    for (part, _), of_part in groupby(wanted, lambda fault: (fault[0], fault[1] // AT_ONCE)):
        if time.monotonic() > asked.end:
            upcoming = asked.first + count * asked.every
            break
        for at, code in left_by(part, kind, [at for _, at in of_part], folder):
            count += 1
            if count % TO_THE_END == 0 and not is_alike(kind, left_alone(part, Fault(kind, at), folder), (code, state_of(folder))):
                recoveries.differences.append(f"{named(kind, part, at)}: a fork leaves something else than the command itself")
            recoveries.after(named(kind, part, at), folder, code)
            print(f"{name}, {kind}: {count} of {len(wanted)}, {recoveries.joined} joined", file=sys.stderr, flush=True)
    return recoveries.facts(command=name, kind=kind, operations=len(faults), next=upcoming)


def left_alone(part: Part, fault: Fault, folder: Path) -> tuple[int, bytes]:
    """What the fault leaves when it comes to the command itself: its exit code, and the state of the folder, which is then as it was."""
    kept = folder.rename(folder.with_name("kept"))
    place(part.before, emptied(folder))
    code, _ = forked(part.command, folder, fault)
    left = code, state_of(folder)
    shutil.rmtree(folder)
    kept.rename(folder)
    return left


def is_alike(kind: str, alone: tuple[int, bytes], fork: tuple[int, bytes]) -> bool:
    """Whether a command and its fork left the same; how far a child at work comes until it hears of a Ctrl-C is never quite the same."""
    return alone[0] == fork[0] if kind == ASKED else alone == fork


def named(kind: str, part: Part, at: int) -> str:
    return f"{kind} at {at} of {' '.join(part.command[:2])} after {part.before.name}"


def killed_at_once(name: str, recoveries: Recoveries, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """The command with all of its processes killed at each operation, and in the middle of each write."""
    loop, states = recoveries.loop, Path(tempfile.mkdtemp(dir=folder.parent))
    place(loop.before, folder)
    _, operations = forked_with(CopyingDisk(folder, states), loop.command, folder)
    if loop.outcome(folder) != recoveries.expected:
        recoveries.differences.append("a command whose folder is copied comes to something else")
    found, upcoming = distinct(states), None
    wanted = found[asked.first - 1 :: asked.every]
    for number, state in enumerate(wanted):
        if time.monotonic() > asked.end:
            upcoming = asked.first + number * asked.every
            break
        shutil.rmtree(folder)
        state.rename(folder)
        recoveries.after(f"killed at {state.name}", folder, 0)
        counts = f"{recoveries.tried} of {len(wanted)} states, {recoveries.joined} joined"
        print(f"{name}: {counts}, killed at {state.name}, differences: {recoveries.differences}", file=sys.stderr, flush=True)
    shutil.rmtree(states)
    return recoveries.facts(command=name, kind=ALL_AT_ONCE, operations=operations, states=len(found), next=upcoming)


if __name__ == "__main__":
    main()
