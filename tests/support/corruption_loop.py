"""Every file that a command reads of a real finished run, with every damage: the command says so, or its results are those of the whole run.

    python -m tests.support.corruption_loop [COMMAND...] [--damages empty cut] [--folder FOLDER] [--seconds 20]
                                            [--unfinished training merging] [--run RUN...] [--first 1] [--every 1]

FOLDER is where the model and the runs are made, and kept for the next time. The run that is damaged was evaluated twice, or never
finished (unfinished_runs.py): then every file is damaged, whoever reads it. RUN is a finished run of any recipe to damage instead: of a
classifier, with a judge, of a sweep. Each command is a fork of this process. Prints one JSON object: calls, and every traceback, hang,
crash, damage that was believed, and result that is not that of the whole run (corruption_verdict.py).
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from recipekit.runner.runtime.checkpoints import NEVER_BETTER

from benchmarks.smoke import CPU, import_once

from .corruption import DAMAGES, Damage, calls, commands, copied, files_of
from .corruption_verdict import Ended, results_of, verdict
from .disk_faults import Fault
from .fault_commands import SCORED_AGAIN, finished_run, fresh, settings
from .faulty_command import forked
from .unfinished_runs import KILLS, STOPPED, environment, run_in, unfinished_run

PREPARED = ("recipekit.converters.building.pipeline", "recipekit.runner.reporting.comparison", "recipekit.runner.inspection.inspect")


# Damages with files of other runs, and with a process that writes while the command reads.
FOREIGN = ("an older version", "of another run", "growing")
INTERRUPTED = ("resume",)  # commands that a finished run has no use for: its report is what is left to be written
UNTRAINED = ("training", "trained", "stopped early")  # states in which the training is not sealed
TRAINING = {"resume": "runs/tiny/2*", "reproduce": "runs/reproductions/tiny/2*"}  # where the results are of commands that may train


class Tried(NamedTuple):
    """The run that is damaged, how it was before, and another run of the same recipe."""

    whole: Path
    older: Path
    foreign: Path


class Bench:
    """A run in a folder of its own, which each call finds whole but for one damage."""

    def __init__(self, scratch: Path, seconds: int, damages: list[str], tried: Tried, unfinished: str = "") -> None:
        self.whole, self.older, self.foreign = tried
        self.unfinished = unfinished
        own = {"an older version": self._replace_by(self.older), "of another run": self._replace_by(self.foreign), "growing": self._grow}
        self.damages = {name: {**DAMAGES, **own}[name] for name in damages}
        self.seconds, self.folder, self.writer = seconds, Path(tempfile.mkdtemp(dir=scratch)), 0
        self.run, self.out = self.folder / "runs" / self.whole.parent.name / self.whole.name, self.folder / "out"
        self.other = copied(self.whole, self.folder / "other" / self.whole.name)
        self.reads = self.folder / "reads"
        shutil.copy(fresh(scratch) / "rows.jsonl", self.folder)
        self.run.parent.mkdir(parents=True)
        self.mend()

    def mend(self, state: str = "done") -> None:
        """The whole run again, in this state, and nothing else."""
        if self.writer:
            os.kill(self.writer, signal.SIGKILL)
            os.waitpid(self.writer, 0)
            self.writer = 0
        copied(self.whole, self.run)
        shutil.rmtree(self.run.parents[1] / "reproductions", ignore_errors=True)
        if not self.unfinished:
            status = json.loads((self.run / "status.json").read_text())
            (self.run / "status.json").write_text(json.dumps(status | {"state": state}))
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()

    def _replace_by(self, run: Path) -> Damage:
        """The file of the same name in another run, if there is one."""

        def replace(path: Path) -> None:
            if (found := run / path.relative_to(self.run)).is_file():
                path.write_bytes(found.read_bytes())

        return replace

    def _grow(self, path: Path) -> None:
        """Another process appends the last line again and again."""
        line = (path.read_bytes().splitlines(keepends=True) or [b"\n"])[-1]
        self.writer = os.fork()
        while not self.writer:
            with path.open("ab") as stream:
                stream.write(line)
            time.sleep(0.001)

    def ended(self, arguments: list[str]) -> Ended:
        """The command in a fork, ended after a while."""
        self.reads.write_text("")
        child = os.fork()
        if child == 0:
            os._exit(self._become(arguments))
        _, status = os.waitpid(child, 0)
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        output, report = (self.folder / "output").read_text(errors="replace"), self.run / "report.html"
        code = os.waitstatus_to_exitcode(status)
        left = report.read_bytes() if "report" in arguments and report.is_file() else b""
        made = [results_of(run) for run in self.folder.glob(TRAINING.get(arguments[0], "nothing"))]
        return Ended(code, output, left, {"runs": len(made), **(made[0] if made else {})} if arguments[0] in TRAINING else {})

    def _become(self, arguments: list[str]) -> int:
        os.setsid()
        signal.alarm(self.seconds)
        os.chdir(self.folder)
        output = os.open(self.folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
            os.dup2(descriptor, target)
        log = os.open(self.reads, os.O_WRONLY | os.O_APPEND)
        sys.addaudithook(lambda event, given: self._note(log, given[0]) if event == "open" else None)
        import recipekit.runner.inference.server as server
        from recipekit.runner.cli.main import main

        server.serve = lambda *_, **__: None  # loading the model is tried; answering until somebody stops it is not
        sys.argv = ["recipe", *arguments]
        try:
            main()
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1
        return 0

    def _note(self, log: int, path: object) -> None:
        if isinstance(path, str) and os.path.abspath(path).startswith(str(self.run)):
            os.write(log, f"{os.path.relpath(path, self.run)}\n".encode())

    def files_read(self) -> list[str]:
        """Files of the run that the last command has opened; weights and tokenizers are opened by other code than Python's. Of a run that
        never finished all: what resumes it reads rows and checkpoints in processes of its own."""
        if self.unfinished:
            return [name for name in files_of(self.whole) if not name.endswith((".log", ".tmp")) and name not in ("lock", "heartbeat")]
        names = {*self.reads.read_text().splitlines()}
        for folder in ("model", "merged"):
            if any(name.startswith(f"{folder}/") for name in names):
                names |= {f"{folder}/{path.name}" for path in (self.whole / folder).iterdir()}
        return sorted(name for name in names if (self.whole / name).is_file() and not name.endswith(".log") and name != "lock")


def runs_to_try(scratch: Path, unfinished: str, given: Path | None) -> Tried:
    """The run that somebody has made with the one of the same recipe before it, the one that never finished, or one that was evaluated twice."""
    if given:
        before = max((run for run in given.parent.glob("2*") if run.name < given.name), default=given)
        return Tried(given, before, before)
    if unfinished:
        run, before = unfinished_run(scratch, unfinished)
        return Tried(run, before, before)
    finished = finished_run(scratch)
    whole = changed_run(scratch, "evaluated", finished, ["eval", "tiny", *SCORED_AGAIN])
    return Tried(whole, run_in(finished), changed_run(scratch, "foreign", finished, ["run", "tiny.yml", *settings("training.seed=7")]))


def changed_run(scratch: Path, name: str, before: Path, command: list[str]) -> Path:
    """The newest run of a copy of the folder, once the command has come to its end there."""
    folder = scratch / name
    if not folder.exists():
        shutil.copytree(before, folder)
        code, _ = forked(command, folder, Fault())
        if code:
            raise SystemExit((folder / "output").read_text())
    return max(folder.glob("runs/tiny/2*"))


def called(bench: Bench, name: str, arguments: list[str], first: int, every: int) -> tuple[int, list[str]]:
    """How often the command was called with a damaged file, and what was wrong; every n-th call from the first on."""
    state = "interrupted" if name in INTERRUPTED else "done"
    bench.mend(state)
    whole = bench.ended(arguments)
    files, wrong, count, number = bench.files_read(), [], 0, 0
    bench.mend(state)
    whole = bench.ended(arguments)  # again: the first one may have left what the second one finds
    for file in files:
        for damage, do in bench.damages.items():
            if damage == "a pipe" and str(bench.run / file) in arguments:  # somebody who names a pipe means it
                continue
            bench.mend(state)
            before = (bench.run / file).read_bytes()
            do(bench.run / file)
            if damage != "growing" and is_same(bench.run / file, before):
                continue
            number += 1
            if number < first or (number - first) % every:
                continue
            found, count = bench.ended(arguments), count + 1
            print(f"{name}: {count} calls, {file}, {damage}", file=sys.stderr, flush=True)
            if problem := verdict(whole, found, file, name if bench.unfinished in UNTRAINED else ""):
                wrong.append(f"{name}, {file}, {damage}: {problem}")
                print(wrong[-1], file=sys.stderr, flush=True)
    bench.mend()  # also ends the process that writes
    return count, wrong


def is_same(path: Path, content: bytes) -> bool:
    """Whether the file still holds this."""
    return path.is_file() and not path.is_symlink() and path.read_bytes() == content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*")
    parser.add_argument("--damages", nargs="*", choices=[*DAMAGES, *FOREIGN], default=[*DAMAGES, *FOREIGN])
    parser.add_argument(
        "--unfinished", nargs="*", default=[""], metavar="STATE", help=f"damage runs that were killed there: {', '.join([*KILLS, STOPPED])}"
    )
    parser.add_argument("--run", nargs="*", type=Path, default=[], help="damage these finished runs, of any recipe")
    parser.add_argument("--first", type=int, default=1, help="the call to begin with")
    parser.add_argument("--every", type=int, default=1, help="only each n-th call")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=int, default=20, help="when a command counts as one that does not end")
    asked = parser.parse_args()
    os.environ.update(CPU, OMP_NUM_THREADS="1", NO_COLOR="1", HF_HUB_OFFLINE="1")
    import_once()
    for module in PREPARED:
        import_module(module)
    list(commands())
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (asked.folder or Path(temporary)).absolute()
        scratch.mkdir(exist_ok=True)
        total, wrong = 0, []
        for given, unfinished in [(run.absolute(), "") for run in asked.run] or [(None, state) for state in asked.unfinished]:
            bench = Bench(scratch, asked.seconds, asked.damages, runs_to_try(scratch, unfinished, given), unfinished)
            label = given.parent.name if given else unfinished
            for name, arguments in calls(bench.run, bench.other, bench.out).items():
                if not asked.commands or name in asked.commands:
                    with environment({NEVER_BETTER: "1"} if unfinished == STOPPED else {}):  # steps that are taken again stop it again
                        count, found = called(bench, name, arguments, asked.first, asked.every)
                    print(f"{label} {name}: {count} calls, {len(found)} wrong", file=sys.stderr, flush=True)
                    total, wrong = total + count, wrong + [f"{label} {line}".strip() for line in found]
    print(json.dumps({"calls": total, "wrong": wrong}, indent=1))
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
