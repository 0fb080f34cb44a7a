"""Runs that never finished: killed in training, after its last step, in merging, in evaluation, and after early stopping.

One run is killed again and again as it is resumed, so that each state is an older version of the next.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from recipekit.runner.runtime.checkpoints import KILL_AT, KILL_AT_END, NEVER_BETTER

from .disk_faults import Disk, Fault
from .fault_commands import fresh, settings
from .faulty_command import forked_with

STEPS = ("training.max_steps=3",)
STOPS = ("training.max_steps=6", "training.eval_steps=1", "training.early_stopping_patience=2", "training.load_best_model_at_end=true",
         "training.save_total_limit=6")  # fmt: skip


class Unfinished(NamedTuple):
    """A run as a kill has left it, and how it was before."""

    run: Path
    older: Path


class KillingDisk(Disk):
    """Kills the command and the process at work at the n-th operation on a file whose path has this part."""

    def __init__(self, root: Path, part: str, number: int) -> None:
        super().__init__(root, Fault())
        self.part, self.number = part, number

    def operation(self, what: str, path: Any) -> None:
        if self.part and self.watches(path) and self.part in os.path.join(os.getcwd(), os.fsdecode(path)):
            self.number -= 1
            if self.number == 0:
                os.kill(self.command, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)


# Where the run is killed, in order: variables of the trainer, or the n-th operation on a file whose path has this part.
KILLS = {
    "begun": ({KILL_AT: "1"}, "", 0), "training": ({KILL_AT: "3"}, "", 0), "trained": ({KILL_AT_END: "1"}, "", 0),
    "merging": ({}, "/.merged.", 4), "evaluation": ({}, "/evaluating/predictions.jsonl", 4),
}  # fmt: skip
STOPPED = "stopped early"


def unfinished_run(scratch: Path, state: str) -> Unfinished:
    """The run in this state; what is in the folder already is not made again."""
    if state == STOPPED:
        early = killed(fresh(scratch), scratch / "unfinished-stopped", STOPS, {KILL_AT_END: "1", NEVER_BETTER: "1"})
        return Unfinished(run_in(early), unfinished_run(scratch, "training").run)
    before = after = fresh(scratch)
    for name in [*KILLS][: [*KILLS].index(state) + 1]:
        before, after = after, killed(after, scratch / f"unfinished-{name}", STEPS, *KILLS[name])
    return Unfinished(run_in(after), run_in(before))


def run_in(folder: Path) -> Path:
    return next(folder.glob("runs/tiny/2*"), Path())


def killed(before: Path, target: Path, more: tuple[str, ...], variables: dict[str, str], part: str = "", number: int = 0) -> Path:
    """A copy of the folder in which the run is begun, or resumed, and killed there."""
    if not target.exists():
        shutil.copytree(before, target)
        command = ["resume", "tiny"] if (target / "runs").exists() else ["run", "tiny.yml", *settings(*more)]
        with environment(variables):
            code, _ = forked_with(KillingDisk(target, part, number), command, target)
        if code == 0 or not run_in(target).name:
            raise SystemExit(f"{command} was not killed: {(target / 'output').read_text()}")
    return target


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
