"""What every measurement shares: where it works, with which model, rows and steps, and how a process is run within a time limit."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from recipekit.runner.runtime.machine import this_machine
from results import FAILED, OK, TIMEOUT

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHIPPED_ROWS = ROOT / "recipes" / "data" / "emogpt_small.jsonl"
RECIPE = (sys.executable, "-c", "from recipekit.runner.cli.main import main; main()")
WARM_UP, PROFILED = 3, 10  # the steps at the beginning that are not counted; the step under the profiler, which is not counted either
GRACE = 10.0  # seconds after SIGTERM


class Skipped(Exception):
    """Why something cannot be measured on this machine."""


class Done(NamedTuple):
    """How a process ended: its exit code, None where it was stopped at its limit; the seconds it took; what it printed, and its log."""

    code: int | None
    seconds: float
    stdout: str
    log: Path

    def facts(self) -> dict[str, Any]:
        """Return the status and, of a failure, the last lines of output."""
        if self.code == 0:
            return {"status": OK}
        output = self.stdout + self.log.read_text(encoding="utf-8", errors="replace")
        tail = [line for line in output.splitlines() if line.strip()][-20:]
        why = f"not finished after {self.seconds:.0f} s" if self.code is None else f"exit code {self.code}"
        return {"status": TIMEOUT if self.code is None else FAILED, "why": why, "output": [line[:300] for line in tail]}


class Session(NamedTuple):
    """One call: a folder for everything that is made, the model's folder or hub name, the rows, and how many optimizer steps are timed."""

    folder: Path
    model: str
    rows: Path
    steps: int
    tiny: bool

    @property
    def on_gpu(self) -> bool:
        return not (self.tiny or this_machine().is_cpu)

    def place(self, name: str) -> Path:
        """Empty and return the folder of a measurement."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def environment(self) -> dict[str, str]:
        """What every process of a measurement gets."""
        env = {"AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
        return env | ({} if self.on_gpu else {"RECIPEKIT_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"})

    def run(self, argv: tuple[Any, ...], folder: Path, limit: float, env: dict[str, str] | None = None) -> Done:
        """Run a process in a session of its own, its output in stdout.txt and output.log; end all of it at the limit."""
        printed, log, began = folder / "stdout.txt", folder / "output.log", time.monotonic()
        with printed.open("wb") as stdout, log.open("ab") as stderr:
            child = subprocess.Popen(
                [str(part) for part in argv], stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, **self.environment(), **(env or {})},
            )  # fmt: skip
            try:
                code = child.wait(max(limit, 1))
            except subprocess.TimeoutExpired:
                code = None
                _end(child)
        text = printed.read_text(encoding="utf-8", errors="replace")
        return Done(code, round(time.monotonic() - began, 1), text, log)

    def watch(self, folder: Path) -> dict[str, str]:
        """The environment under which each training step of a process is written to steps.jsonl."""
        path = os.pathsep.join(filter(None, (str(HERE / "watch"), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "STEP_WATCH": str(folder / "steps.jsonl"), "STEP_PROFILE": str(PROFILED)}


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ask the process and its children to end, then kill them."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        try:
            os.killpg(child.pid, number)
            child.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a file, without a last line that was cut off; none where it is missing."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def step_facts(lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Sum up the steps that the watch wrote: those after the warm-up and not under the profiler. None where no step was written."""
    steps = [line for line in lines if "seconds" in line]
    counted = [line for line in steps[WARM_UP:] if "profiled" not in line] or steps[1:] or steps
    if not counted:
        return None
    tokens, positions = (sum(line[key] for line in counted) for key in ("tokens", "positions"))
    facts: dict[str, Any] = {
        "seen": len(steps),
        "counted": len(counted),
        "step_s": round(statistics.median(line["seconds"] for line in counted), 4),
        "tokens_per_s": round(tokens / sum(line["seconds"] for line in counted), 1),
        "tokens_per_step": round(tokens / len(counted)),
        "padding": round(1 - tokens / max(positions, 1), 3),
        "losses": [line["loss"] for line in lines if "loss" in line],
    }
    peaks = [line["peak_memory"] for line in steps if "peak_memory" in line]
    return facts | ({"peak_memory": max(peaks)} if peaks else {})


Measure = Callable[[Session, float], dict[str, Any]]
