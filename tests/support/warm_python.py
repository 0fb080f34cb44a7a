"""`python ...` without the ten seconds that the trainer's packages take to import: one process imports them, and each program is a fork of
it, with arguments, folder, environment, input and output of its own. The stages that `recipe` starts are forks, too (benchmarks/smoke.py).

python -m tests.support.warm_python: answers one request a line.
"""

import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from .paths import ROOT
from .waiting import exit_code

PRELOADED = ("axolotl.cli.main", "recipekit.runner.cli.main", "recipekit.runner.workflows.run", "recipekit.runner.worker.merge")


class WarmPython:
    """The process, for as long as the block lasts."""

    def __enter__(self) -> "WarmPython":
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_python"], cwd=ROOT, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(
        self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] = os.environ, input: str = "", timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` gives for `python ARGUMENTS`: -m MODULE, -c PROGRAM or a file, and its arguments."""
        assert self._process.stdin and self._process.stdout
        with tempfile.TemporaryDirectory() as temporary:
            streams = [Path(temporary, name) for name in ("stdin", "stdout", "stderr")]
            streams[0].write_text(input, encoding="utf-8")
            request = {
                "argv": arguments,
                "cwd": str(cwd or Path.cwd()),
                "env": dict(env),
                "timeout": timeout,
                "streams": [*map(str, streams)],
            }
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            code = json.loads(self._process.stdout.readline())
            if code is None:
                raise subprocess.TimeoutExpired(["python", *arguments], timeout)
            return subprocess.CompletedProcess(["python", *arguments], code, *(path.read_text(encoding="utf-8") for path in streams[1:]))


def main() -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # packages print what they please
    from benchmarks.smoke import CPU, import_once, status_of

    os.environ.update(CPU)
    import_once()
    for name in PRELOADED:
        import_module(name)
    gc.freeze()  # a collection in a fork would touch, and so copy, every page of what was imported
    while line := sys.stdin.readline():
        request = json.loads(line)
        if (child := os.fork()) == 0:
            os._exit(status_of(lambda asked=request: become(asked)))
        replies.write(json.dumps(exit_code(child, request["timeout"])) + "\n")
        replies.flush()


def become(request: dict[str, Any]) -> None:
    """Run the program in this fork as a process that was started for it would."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, path in enumerate(request["streams"]):
        stream = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(stream, number)
        os.close(stream)
    kind, *rest = request["argv"]
    if kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [kind, *rest]
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    main()
