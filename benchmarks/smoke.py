"""Run every shipped recipe with a tiny model (`recipe run NAME --smoke`) and the real trainer: seconds, first, last and validation loss.

    python benchmarks/smoke.py [RECIPE...] --separate   each as a person runs it: a process for every stage, which imports for itself
    python benchmarks/smoke.py [RECIPE...]              the trainer is imported once, every stage is a fork of that: what CI does

A fork runs the same module as `__main__`, in the run's directory, with its environment and log, and is killed and resumed like any other
child; only the import is spared. Prints a table in Markdown and, as its last line, one JSON object.
"""

import argparse
import json
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CPU = {
    "RECIPEKIT_DEVICE": "cpu", "ACCELERATE_USE_CPU": "true", "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "PYTHONSAFEPATH": "1",
    "AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE",
}  # fmt: skip
PRELOADED = (
    "axolotl.cli.train",
    "axolotl.core.builders",
    "recipekit.runner.worker.axolotl_plugin",
    "recipekit.runner.worker.evaluate",
    "peft",
)
Work = Callable[[], object]
HEADER = ("recipe", "seconds", "training loss, first", "last", "validation loss, first", "last", "tiny model")


class Forked:
    """What runner/runtime/child_process.py asks of a process, as a fork of this one: `python -m MODULE ...`."""

    def __init__(self, argv: Sequence[str], cwd: Path, env: dict[str, str], stdout: int, preexec_fn: Work, **others: Any) -> None:
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(status_of(lambda: self._become(argv, cwd, env, stdout, preexec_fn)))

    @staticmethod
    def _become(argv: Sequence[str], cwd: Path, env: dict[str, str], log: int, preexec_fn: Work) -> None:
        os.setsid()
        preexec_fn()
        for number in (one for one in signal.valid_signals() if callable(signal.getsignal(one))):
            signal.signal(number, signal.SIG_DFL)  # as in a process that is started: its own pools wait for children that ignore SIGTERM
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = list(argv[2:])
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("fork", timeout or 0)
            time.sleep(0.02)
        return self.returncode or 0

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


def forked_or_started(argv: Sequence[str], **options: Any) -> Any:
    """A stage is a fork of this process; what writes its log imports little, and is started as it is."""
    return Forked(argv, **options) if "preexec_fn" in options else subprocess.Popen(argv, **options)


def status_of(work: Work) -> int:
    """Run it and give the exit code that a Python process would end with."""
    code = 0
    try:
        work()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def import_once() -> None:
    """Import what every stage imports, and let stages be forks from here on."""
    from importlib import import_module

    for name in PRELOADED:
        import_module(name)
    import recipekit.runner.models.tiny as tiny
    import recipekit.runner.runtime.child_process as child
    from recipekit.runner.worker.tiny_model import build

    child.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": forked_or_started})
    written = tiny._build

    def forked_build(folder: Path, name: str, request: dict[str, Any]) -> None:
        (folder / tiny.COMPLETE).write_text(json.dumps(request))
        if (pid := os.fork()) == 0:
            os._exit(status_of(lambda: build(folder)))
        if os.waitpid(pid, 0)[1]:
            written(folder, name, request)  # again as it is, for the reason

    tiny._build = forked_build


def smoke_run(name: str, root: Path, separate: bool) -> dict:
    """Run one; what came of it."""
    begun = time.monotonic()
    if separate:
        recipe = [sys.executable, "-m", "recipekit.runner"]
        argv = [*recipe, "run", name, "--smoke", "--runs-dir", str(root), "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        error = "" if done.returncode == 0 else done.stderr[-2000:]
    else:
        error = in_this_process(name, root)
    return facts(name, root, round(time.monotonic() - begun, 1)) | ({"error": error} if error else {})


def in_this_process(name: str, root: Path) -> str:
    """The command itself; its problem as text."""
    from recipekit.runner.cli.commands.run import start
    from recipekit.schemas.base.errors import UserError
    from recipekit.schemas.recipe import load_recipe

    try:
        start(load_recipe(name, (), True), root)
    except UserError as error:
        return str(error)
    return ""


def facts(name: str, root: Path, seconds: float) -> dict:
    """Losses of the newest run, from its metrics.jsonl."""
    runs = sorted((root / name).glob("*/status.json"))
    if not runs:
        return {"recipe": name, "seconds": seconds, "state": "not begun"}
    run = runs[-1].parent
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] if (run / "metrics.jsonl").exists() else []
    losses, held_out = ([line[key] for line in lines if key in line] for key in ("loss", "eval_loss"))
    lock = json.loads((run / "lock.json").read_text()) if (run / "lock.json").exists() else {}
    return {
        "recipe": name, "run": str(run), "state": json.loads(runs[-1].read_text())["state"], "seconds": seconds,
        "steps": max((line["step"] for line in lines), default=0), "losses": losses, "eval_losses": held_out,
        "model": lock.get("model", {}).get("note", ""),
    }  # fmt: skip


def row(found: dict) -> str:
    """A line of the table."""
    if found["state"] != "done":
        return f"| {found['recipe']} | {found['seconds']} | {found['state']} | | | | |"
    numbers = [f"{value:.4f}" for key in ("losses", "eval_losses") for value in (found[key][0], found[key][-1])]
    model = found["model"].removeprefix("a tiny random ")
    return f"| {found['recipe']} | {found['seconds']} | {' | '.join(numbers)} | {model} |"


def main() -> None:
    """Run each, print a line of the table for each as it is done, then the JSON. Exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--separate", action="store_true", help="a process for every stage")
    asked = parser.parse_args()
    os.environ.update(CPU)
    from recipekit.schemas.extends import shipped_recipes

    begun = time.monotonic()
    if not asked.separate:
        import_once()
    imported = round(time.monotonic() - begun, 1)
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER), flush=True)
    found = []
    for name in asked.recipes or [path.stem for path in shipped_recipes()]:
        found.append(smoke_run(name, asked.out.absolute(), asked.separate))
        print(row(found[-1]), flush=True)
    print(json.dumps({"import_s": imported, "total_s": round(time.monotonic() - begun, 1), "recipes": found}))
    raise SystemExit(any(one["state"] != "done" for one in found))


if __name__ == "__main__":
    main()
