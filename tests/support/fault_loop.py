"""Every command that changes a run, with a fault at each of its operations in turn: the command given again, or the run resumed, must end as
if nothing had happened.

    python -m tests.support.fault_loop [convert generate report export score eval merge run] [--kinds SIGKILL ENOSPC] [--every 5]
                                       [--first 1] [--seconds 500]

What is slow to import is imported once; commands and stages are forks (benchmarks/smoke.py), in which the n-th operation on a file is
refused or kills the process, n = 1 and so on until a command comes through. Prints one JSON object: faults tried, and every difference.
"""

import argparse
import ctypes
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.smoke import CPU, import_once

from .crash_states import CopyingDisk, distinct
from .disk_faults import KINDS, Fault
from .fault_commands import LOOPS, WITHOUT_TRAINER, Loop
from .faulty_command import copy, forked, forked_with

PR_SET_CHILD_SUBREAPER = 36
ALL_AT_ONCE = "SIGKILL of all"  # costs a recovery alone: one undisturbed command gives every state
PRELOADED = ("openai", "recipekit.converters.building.pipeline", "recipekit.runner.cli.main", "recipekit.runner.generate.generate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*")
    parser.add_argument("--kinds", nargs="*", default=[*KINDS, ALL_AT_ONCE])
    parser.add_argument("--every", type=int, default=1, help="only each n-th operation")
    parser.add_argument("--first", type=int, default=1, help="the operation to begin with")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; `next` is the operation to continue with")
    parser.add_argument("--folder", type=Path, help="where the model and the finished run are made, and kept for the next time")
    asked = parser.parse_args()
    asked.end = time.monotonic() + asked.seconds
    os.environ.update(CPU, OMP_NUM_THREADS="1", NO_COLOR="1")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # a trainer whose command was killed is waited for
    names = asked.commands or list(LOOPS)
    if any(name not in WITHOUT_TRAINER for name in names):
        import_once()
    for module in PRELOADED:
        import_module(module)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (asked.folder or Path(temporary)).absolute()
        scratch.mkdir(exist_ok=True)
        found = [tried for name in names for tried in disturb(name, scratch, asked)]
    print(json.dumps({"faults": sum(one["faults"] for one in found), "loops": found}, indent=1))
    raise SystemExit(any(one["differences"] for one in found))


def disturb(name: str, scratch: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One command under every kind of fault: how many operations it has, how many faults were tried, what differed."""
    loop = LOOPS[name](scratch)
    whole = copy(loop.before, scratch)
    code, operations = forked(loop.command, whole, Fault())
    if code:
        raise SystemExit(f"{name}: exit code {code} without a fault: {(whole / 'output').read_text()}")
    expected = loop.outcome(whole)
    shutil.rmtree(whole)
    if ALL_AT_ONCE in asked.kinds:
        yield killed_at_once(name, loop, scratch, expected, asked)
    for kind in (kind for kind in asked.kinds if kind in KINDS):
        tried, differences, begun, upcoming = 0, [], time.monotonic(), None
        for at in range(asked.first, operations + 1, asked.every):
            if time.monotonic() > asked.end:
                upcoming = at
                break
            fault, folder = Fault(kind, at), copy(loop.before, scratch)
            code, _ = forked(loop.command, folder, fault)
            tried += 1
            differences += [f"{kind} at {at}: {line}" for line in after(loop, folder, code, expected)]
            shutil.rmtree(folder)
        facts = {"command": name, "kind": kind, "operations": operations, "faults": tried, "next": upcoming, "differences": differences}
        print(facts | {"seconds": round(time.monotonic() - begun)}, file=sys.stderr, flush=True)
        yield facts


def killed_at_once(name: str, loop: Loop, scratch: Path, expected: dict[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    """The command with all of its processes killed at each operation, and in the middle of each write."""
    states, folder = Path(tempfile.mkdtemp(dir=scratch)), copy(loop.before, scratch)
    _, operations = forked_with(CopyingDisk(folder, states), loop.command, folder)
    differences = [] if loop.outcome(folder) == expected else ["a command whose folder is copied comes to something else"]
    found, begun = distinct(states), time.monotonic()
    wanted, tried, upcoming = found[asked.first - 1 :: asked.every], 0, None
    for number, state in enumerate(wanted):
        if time.monotonic() > asked.end:
            upcoming = asked.first + number * asked.every
            break
        tried += 1
        shutil.rmtree(folder)
        state.rename(folder)  # where it came about: a run knows its recipe by the path
        differences += [f"killed at {state.name}: {line}" for line in after(loop, folder, 0, expected)]
        print(f"{name}: {tried} of {len(wanted)} states, killed at {state.name}, differences: {differences}", file=sys.stderr, flush=True)
    shutil.rmtree(states)
    shutil.rmtree(folder)
    facts = {"command": name, "kind": ALL_AT_ONCE, "operations": operations, "states": len(found), "faults": tried, "next": upcoming}
    print(facts | {"differences": differences, "seconds": round(time.monotonic() - begun)}, file=sys.stderr, flush=True)
    return facts | {"differences": differences}


def after(loop: Loop, folder: Path, code: int, expected: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the folder after a disturbed command, and with what the recovery makes of it."""
    output = (folder / "output").read_text(errors="replace") if (folder / "output").exists() else ""
    if "Traceback" in output or code == 70:
        yield f"a traceback: {output[-1500:]}"
    recovery = loop.recovery(folder)
    code = forked(recovery, folder, Fault())[0] if recovery else 0
    if code:
        yield f"cannot be recovered from, exit code {code}: {(folder / 'output').read_text(errors='replace')[-800:]}"
        return
    found = loop.outcome(folder)
    for key in {**expected, **found}:
        if found.get(key) != expected.get(key):
            yield f"{key} is {found.get(key)!r:.200}, and {expected.get(key)!r:.200} undisturbed"


if __name__ == "__main__":
    main()
