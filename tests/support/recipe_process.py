"""`recipe ...` as a process of its own: started, waited for, and stopped in the middle."""

import json
import os
import subprocess
import sys
from pathlib import Path

from .waiting import wait_until

COMMAND = (sys.executable, "-m", "recipekit.runner")


def environment(**more: str) -> dict[str, str]:
    """The environment of a `recipe` that uses no GPU and finds no package in its working directory."""
    return {**os.environ, "RECIPEKIT_DEVICE": "cpu", "PYTHONSAFEPATH": "1", **more}


def start(*arguments: object, cwd: Path | None = None, **more: str) -> subprocess.Popen[str]:
    """Start `recipe ...`; what it says can be read from its stderr."""
    argv, env = [*COMMAND, *map(str, arguments)], environment(**more)
    return subprocess.Popen(argv, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for_step(root: Path, step: int, process: subprocess.Popen[str]) -> Path:
    """The directory of the run under `root` that the process trains, once so many steps have been logged."""

    def reached() -> Path | None:
        for metrics in root.glob("*/*/metrics.jsonl"):
            if any(json.loads(line)["step"] >= step for line in metrics.read_text().splitlines() if line.endswith("}")):
                return metrics.parent
        return None

    return wait_until(reached, process)
