"""Every command that changes a run, with a fault at each of its operations in turn: the command given again, or the run resumed, must end as
if nothing had happened.

    python -m tests.support.fault_loop [report export score eval merge run] [--kinds SIGKILL ENOSPC] [--every 5]

The trainer is imported once; commands and stages are forks (benchmarks/smoke.py), in which the n-th operation on a file is refused or
kills the process, n = 1 and so on until a command comes through. Prints one JSON object: faults tried, and every difference found.
"""

import argparse
import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.smoke import CPU, import_once, status_of

from .disk_faults import KINDS, Disk, Fault
from .tiny import write_recipe

PR_SET_CHILD_SUBREAPER = 36
SECONDS = 120
# A constant rate, so that one step more moves the weights; dropout, so that it draws random numbers.
SETTINGS = ["training.lr_scheduler=constant", "training.max_steps=2", "training.save_steps=1", "training.eval_steps=2", "training.logging_steps=1",
            "evaluation.max_rows=2", "evaluation.metrics=[perplexity]", "export.merge=true"]  # fmt: skip
CLOCK = ("tokens_per_s", "eval_runtime")
OTHER_EVALUATION = ["--set", "evaluation.max_rows=3"]
SCORED_AGAIN = ["--set", "evaluation.metrics=[token_accuracy]"]


class Loop(NamedTuple):
    """A command that is disturbed in a copy of the folder `before`, the command that recovers from it, and what must come of both."""

    before: Path
    command: list[str]
    recovery: Callable[[Path], list[str]]
    outcome: Callable[[Path], dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--every", type=int, default=1, help="only each n-th operation")
    parser.add_argument("--first", type=int, default=1, help="the operation to begin with")
    parser.add_argument("--folder", type=Path, help="where the model and the finished run are made, and kept for the next time")
    asked = parser.parse_args()
    os.environ.update(CPU, OMP_NUM_THREADS="1", NO_COLOR="1")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # a trainer whose command was killed is waited for
    import_once()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (asked.folder or Path(temporary)).absolute()
        scratch.mkdir(exist_ok=True)
        found = [tried for name in asked.commands or LOOPS for tried in disturb(name, scratch, asked)]
    print(json.dumps({"faults": sum(one["faults"] for one in found), "loops": found}, indent=1))
    raise SystemExit(any(one["differences"] for one in found))


def disturb(name: str, scratch: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One command under every kind of fault: how many operations it has, how many faults were tried, what differed."""
    loop = LOOPS[name](scratch)
    whole = copy(loop.before, scratch)
    code, operations = forked(loop.command, whole, Fault())
    if code:
        raise SystemExit(f"{name}: exit code {code} without a fault: {(whole / 'said').read_text()}")
    expected = loop.outcome(whole)
    for kind in asked.kinds:
        tried, differences, begun = 0, [], time.monotonic()
        for at in range(asked.first, operations + 1, asked.every):
            fault, folder = Fault(kind, at), copy(loop.before, scratch)
            code, _ = forked(loop.command, folder, fault)
            tried += 1
            differences += [f"{kind} at {at}: {line}" for line in after(loop, folder, code, expected)]
            shutil.rmtree(folder)
        facts = {"command": name, "kind": kind, "operations": operations, "faults": tried, "differences": differences}
        print(facts | {"seconds": round(time.monotonic() - begun)}, file=sys.stderr, flush=True)
        yield facts


def after(loop: Loop, folder: Path, code: int, expected: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the folder after a disturbed command, and with what the recovery makes of it."""
    said = (folder / "said").read_text(errors="replace")
    if "Traceback" in said or code == 70:
        yield f"a traceback: {said[-1500:]}"
    code, _ = forked(loop.recovery(folder), folder, Fault())
    if code:
        yield f"cannot be recovered from, exit code {code}: {(folder / 'said').read_text(errors='replace')[-800:]}"
        return
    found = loop.outcome(folder)
    for key in {**expected, **found}:
        if found.get(key) != expected.get(key):
            yield f"{key} is {found.get(key)!r:.200}, and {expected.get(key)!r:.200} undisturbed"


def copy(before: Path, scratch: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    shutil.copytree(before, folder, dirs_exist_ok=True)
    return folder


def forked(command: list[str], folder: Path, fault: Fault) -> tuple[int, int]:
    """Run `recipe COMMAND` in the folder as a fork; its exit code, and how many operations it and its own forks came to."""
    disk = Disk(folder, fault, Path(os.environ["FAULT_TRACE"]) if "FAULT_TRACE" in os.environ else None)
    child = os.fork()
    if child == 0:
        disk.command = os.getpid()
        os._exit(status_of(lambda: recipe(command, folder, disk)))
    deadline, status = time.monotonic() + SECONDS, 0
    while True:
        try:
            ended, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return os.waitstatus_to_exitcode(status), disk.count.value
        if ended == child:
            status = code
        if not ended:
            if time.monotonic() > deadline:
                raise SystemExit(f"{command} did not end after {fault} in {folder}")
            time.sleep(0.01)


def recipe(command: list[str], folder: Path, disk: Disk) -> None:
    """The command itself, in its folder."""
    os.setsid()
    os.chdir(folder)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    disk.watch()
    sys.argv = ["recipe", *command]
    from recipekit.runner.cli.main import main

    main()


def run_of(folder: Path) -> Path | None:
    """The run's directory, once it has a state."""
    return next((path.parent for path in folder.glob("runs/tiny/*/status.json")), None)


def result(folder: Path) -> dict[str, Any]:
    """What a finished run came to, without what the clock decides."""
    run = run_of(folder)
    assert run
    status = json.loads((run / "status.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    digests = {f"{name}/{path.name}": digest(path) for name in ("model", "merged", "data") for path in (run / name).glob("*")
               if path.suffix in (".safetensors", ".jsonl") or path.name in ("adapter_config.json", "tokenizer.json")}  # fmt: skip
    metrics = json.loads((run / "eval" / "metrics.json").read_text())
    return {
        "state": status["state"], "reason": status["reason"], "stages": status["stages"],
        "steps": [{key: value for key, value in line.items() if key not in CLOCK} for line in lines],
        "training": (run / "training.json").read_text(), "metrics": metrics,
        "predictions": (run / "eval" / "predictions.jsonl").read_text(), "report": "</html>" in (run / "report.html").read_text(),
        "left": sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.name.endswith(".tmp") or path.name == "evaluating"),
        **digests,
    }  # fmt: skip


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def settings() -> list[str]:
    return [word for value in SETTINGS for word in ("--set", value)]


def fresh(scratch: Path) -> Path:
    """A folder with the recipe and its rows; the model is outside of what is disturbed."""
    folder = scratch / "fresh"
    if not folder.exists():
        folder.mkdir()
        from .tiny import build_model

        if (child := os.fork()) == 0:
            os._exit(status_of(lambda: build_model(scratch / "llama")))
        os.waitpid(child, 0)
        write_recipe(folder, scratch / "llama", rows=24)
    return folder


def finished_run(scratch: Path) -> Path:
    """The folder of a run that nothing has disturbed."""
    finished = scratch / "finished"
    if not finished.exists():
        shutil.copytree(fresh(scratch), finished)
        code, _ = forked(["run", "tiny.yml", *settings()], finished, Fault())
        if code:
            raise SystemExit((finished / "said").read_text())
    return finished


def of_run(scratch: Path) -> Loop:
    def recovery(folder: Path) -> list[str]:
        return ["resume", "tiny"] if run_of(folder) else ["run", "tiny.yml", *settings()]

    return Loop(fresh(scratch), ["run", "tiny.yml", *settings()], recovery, result)


def of_finished(*command: str) -> Callable[[Path], Loop]:
    """A command on a finished run, which is given again after the fault; in between the run is done, and its numbers whole."""

    def loop(scratch: Path) -> Loop:
        before = finished_run(scratch)
        old = result(before)

        def recovery(folder: Path) -> list[str]:
            found = result(folder)
            wrong = {key for key in ("state", "steps", "training", *(key for key in old if "/" in key)) if found[key] != old[key]}
            if wrong:
                raise SystemExit(f"{command} with a fault changed {wrong} in {folder}")
            return list(command)

        return Loop(before, list(command), recovery, lambda folder: result(folder) | extra(folder))

    return loop


def extra(folder: Path) -> dict[str, Any]:
    """The files that a command makes beside a run's own."""
    return {path.name: digest(path) for path in folder.glob("out*") if path.is_file()}


LOOPS: dict[str, Callable[[Path], Loop]] = {
    "report": of_finished("report", "tiny"),
    "export": of_finished("export", "tiny", "--gguf", "--out", "out.gguf"),
    "score": of_finished("eval", "tiny", *SCORED_AGAIN),
    "eval": of_finished("eval", "tiny", *OTHER_EVALUATION),
    "merge": of_finished("merge", "tiny", "--out", "merged-again"),
    "run": of_run,
}

if __name__ == "__main__":
    main()
