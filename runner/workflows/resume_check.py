"""Check that a training survives being killed: once without interruption and once with `kill -9`, it must give the same result.

That means the same bits if this machine's kernels are deterministic, otherwise the same losses within a tolerance.
"""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.pipeline import build
from ...schemas.base.errors import UserError
from ...schemas.base.files import write_atomically
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Training
from ...schemas.values import is_written
from ...schemas.yaml_writing import to_yaml
from ..launch.plan import Plan, make_job
from ..models.resolve import require_model_of, resolve_model
from ..resources.batch_size import locked_batch, with_batch
from ..runtime.checkpoints import KILL_AT, KILL_AT_END, NEVER_BETTER, newest
from ..runtime.child_process import run_child
from ..runtime.machine import Machine, this_machine
from ..runtime.progress import read_lines
from ..runtime.run_files import RECIPE, STEP_LOG, TRAIN_ROWS
from ..worker.compare_checkpoints import CLOCK, difference, differences, first_other_line

Listener = Callable[[dict[str, Any]], None]


class Kill(NamedTuple):
    """A kill, and the checkpoint from which the training resumed."""

    when: str
    resumed_from: str


class Guarantee(NamedTuple):
    """What must be the same: every part bit-identical, or with a `tolerance` the losses within it and bit-identical only what no kernel
    computes."""

    tolerance: float
    words: str

    def is_exact(self, part: str) -> bool:
        """Return whether a part must be bit-identical."""
        return not self.tolerance or part in ("schedule", "random numbers")


LOSS_TOLERANCE = 0.02  # a few roundings of bf16 (0.4 % each)


def guarantee_of(training: Training, machine: Machine) -> Guarantee:
    """Return what is guaranteed of a resumed training on this machine."""
    if machine.is_cpu:
        return Guarantee(0, "on a CPU, every part is bit-identical")
    if training.deterministic:
        return Guarantee(0, "with training.deterministic, every part is bit-identical")
    return Guarantee(
        LOSS_TOLERANCE,
        f"on a GPU, losses are the same within {LOSS_TOLERANCE:.0%}, schedule and random numbers bit-identical; weights and optimizer are "
        "compared, but may differ: kernels add in no fixed order (training.deterministic: true fixes it)",
    )


class ResumeReport(NamedTuple):
    """The outcome: the kills; for each part the first difference from the training without a kill, "" if identical; and the first
    difference of the losses beyond the tolerance."""

    steps: int
    kills: list[Kill]
    parts: dict[str, str]
    guarantee: Guarantee
    beyond: str = ""

    @property
    def different(self) -> dict[str, str]:
        """Return the parts that break the guarantee."""
        exact = {part: found for part, found in self.parts.items() if found and self.guarantee.is_exact(part)}
        return exact | ({"losses": self.beyond} if self.beyond else {})


def overrides(loaded: LoadedRecipe, half: int, stops_early: bool = False) -> tuple[str, ...]:
    """Return the settings for the check: twice `half` steps, a checkpoint after each, and nothing that ends training early, or an
    evaluation after each, and a patience of at most `half` of them."""
    training, total = loaded.recipe.training, 2 * half
    wanted: dict[str, Any] = {"max_steps": total, "save_steps": 1, "logging_steps": 1}
    if stops_early:
        wanted |= {"eval_steps": 1, "early_stopping_patience": min(training.early_stopping_patience or 1, half)}
    else:
        ending = ("load_best_model_at_end", "early_stopping_patience", "metric_for_best_model")
        wanted |= dict.fromkeys((key for key in ending if is_written(loaded.document.data, ("training", key))), "null")
        wanted |= {"eval_steps": half} if training.eval_steps else {}
    wanted |= {"warmup_steps": half} if (training.warmup_steps or 0) >= total else {}
    section = "smoke.training" if loaded.is_smoke else "training"  # a smoke run's own section overrides the others
    return tuple(f"{section}.{key}={value}" for key, value in wanted.items())


Lines = list[dict[str, Any]]
Trial = tuple[Kill | None, dict[str, str], tuple[Lines, Lines] | None]  # a kill, differing parts, both logs of a training that ended


class TrainingTrial:
    """A folder in which a recipe's training is run, as `recipe run` runs it."""

    def __init__(self, folder: Path, plan: Plan, listener: Listener) -> None:
        self.folder, self.plan, self.listener = folder, plan, listener

    def train(self, kill_at: int = 0, kill_after: float = 0, kill_at_end: bool = False) -> tuple[str, bool]:
        """Train from the newest checkpoint to the end, or until a kill: between step `kill_at` and its checkpoint, after `kill_after`
        seconds, or between the last checkpoint and saving the model. Return what it resumed from, and whether it reached the end."""
        checkpoint, _ = newest(self.folder / "checkpoints")
        plan = self.plan.resuming(str(checkpoint.relative_to(self.folder))) if checkpoint else self.plan
        env = self.plan.env | ({KILL_AT: str(kill_at)} if kill_at else {}) | ({KILL_AT_END: "1"} if kill_at_end else {})
        origin = checkpoint.name if checkpoint else "the beginning"
        with _timer(kill_after) as on_start:
            try:
                run_child(plan.executable(), self.folder, env, "train.log", "training", self.listener, on_start=on_start)
            except UserError as error:
                if not (kill_at or kill_after or kill_at_end) or not _was_killed(error):
                    raise
                return origin, False
        return origin, True

    def lines(self) -> list[dict[str, Any]]:
        """Return the logged lines without the values that depend on time."""
        return [{key: value for key, value in line.items() if key not in CLOCK} for line in read_lines(self.folder / STEP_LOG)]

    def copy_to(self, folder: Path) -> "TrainingTrial":
        """Return the same training in another folder, not yet started."""
        for name in ("data", "rendered"):
            shutil.copytree(self.folder / name, folder / name)
        shutil.copy2(self.folder / RECIPE, folder)
        return TrainingTrial(folder, self.plan, self.listener)

    def compare(self, other: "TrainingTrial", steps: int) -> dict[str, str]:
        """Return the first difference of each part of the two results."""
        saved = [trial.folder / "checkpoints" for trial in (self, other)]
        last = [folder / f"checkpoint-{steps}" for folder in saved]
        return {
            "losses": first_other_line(self.lines(), other.lines()),
            **differences(*last),
            "model": difference(saved[0], saved[1], "weights"),
        }


def prepare(loaded: LoadedRecipe, root: Path, folder: Path, listener: Listener) -> TrainingTrial:
    """Convert the data and write the files that `recipe run` writes before it trains. Raises UserError if the model is not available."""
    require_model_of(loaded, root)
    manifest = build(loaded.recipe.data, folder / "data")
    machine, model = this_machine(), resolve_model(loaded.recipe.model, root, loaded.is_smoke)
    batch = locked_batch(loaded, machine, manifest, folder / TRAIN_ROWS, model.path)
    planned = make_job(with_batch(loaded, batch), manifest, machine, model)
    write_atomically(folder / RECIPE, to_yaml(loaded.document.data).encode())
    planned.plan.write(folder)
    return TrainingTrial(folder, planned.plan, listener)


def check_resume(
    loaded: LoadedRecipe, root: Path, folder: Path, random_kills: int, listener: Listener, stopping: LoadedRecipe | None
) -> ResumeReport:
    """Train several times, and compare every training that was killed with the first, which is not interrupted.

    The second is killed at an epoch's end, within an epoch, and between the last checkpoint and saving the model. The third gets
    `random_kills` kills at random moments, from the first import to the last save; if it ends before its kill, it is started over.
    `stopping`, if given, is the recipe with its early stopping: that training is killed after it has stopped early.
    """
    steps, guarantee = loaded.recipe.training.max_steps or 0, guarantee_of(loaded.recipe.training, this_machine())
    whole = prepare(loaded, root, folder / "whole", listener)
    began = time.monotonic()
    whole.train()
    seconds = time.monotonic() - began
    killed = whole.copy_to(folder / "killed")
    points = kill_points(whole.lines(), steps)
    origins = [killed.train(kill_at=step + 1)[0] for _, step in points] + [killed.train(kill_at_end=True)[0], killed.train()[0]]
    moments = [*(f"{where}, in step {step + 1}" for where, step in points), "at the end, before the model was saved"]
    kills = [Kill(moment, origin) for moment, origin in zip(moments, origins[1:], strict=True)]
    parts = whole.compare(killed, steps)
    ended = [(whole.lines(), killed.lines())]
    tried = list(_kill_randomly(whole, folder, random_kills, seconds, steps))
    for kill, found, lines in [*tried, *([_kill_after_stopping(stopping, root, folder, listener)] if stopping else [])]:
        kills += [kill] if kill else []
        parts = {part: parts[part] or found.get(part, "") for part in parts}
        ended += [lines] if lines else []
    beyond = (first_other_line(*pair, guarantee.tolerance) for pair in ended if guarantee.tolerance)
    return ResumeReport(steps, kills, parts, guarantee, next(filter(None, beyond), ""))


def _kill_after_stopping(stopping: LoadedRecipe, root: Path, folder: Path, listener: Listener) -> Trial:
    """Train until early stopping, without interruption and killed before the model is saved; no evaluation counts as a better one."""
    whole = prepare(stopping, root, folder / "stopped", listener)
    whole.plan = whole.plan._replace(env=whole.plan.env | {NEVER_BETTER: "1"})
    whole.train()
    last = max(line["step"] for line in whole.lines())
    if last >= (stopping.recipe.training.max_steps or 0):
        raise AssertionError(f"a training whose evaluations are never better went on to step {last}")
    killed = whole.copy_to(folder / "stopped-killed")
    killed.train(kill_at_end=True)
    kill = Kill(f"after early stopping in step {last}, before the model was saved", killed.train()[0])
    return kill, whole.compare(killed, last), (whole.lines(), killed.lines())


def kill_points(lines: list[dict[str, Any]], steps: int) -> list[tuple[str, int]]:
    """Return the checkpoints to resume from: one at an epoch's end and one within an epoch, if they exist, in order."""
    ends = {line["step"] for line in lines if "loss" in line and abs(line["epoch"] - round(line["epoch"])) < 1e-3}
    candidates = range(1, steps - 1)
    end = next((step for step in candidates if step in ends), None)
    within = next((step for step in reversed(candidates) if step not in ends), None)
    found = [(where, step) for where, step in (("at an epoch's end", end), ("within an epoch", within)) if step]
    return sorted(found, key=lambda point: point[1])


def _kill_randomly(whole: TrainingTrial, folder: Path, kills: int, seconds: float, steps: int) -> Iterator[Trial]:
    """Yield each kill, and the differences of each training that reached its end."""
    chance = random.Random(0)
    trial, number, moment = None, 0, 0.0
    while number < kills or trial:
        trial = trial or whole.copy_to(folder / f"random-{number}")
        kill_after = chance.uniform(0.1, seconds) if number < kills else 0
        origin, ended = trial.train(kill_after=kill_after)
        if moment:
            yield Kill(f"at random, after {moment:.1f} s", origin), {}, None
        number, moment = number + (not ended), 0.0 if ended else kill_after
        if ended:
            yield None, whole.compare(trial, steps), (whole.lines(), trial.lines())
            shutil.rmtree(trial.folder)
            trial = None


def _was_killed(error: UserError) -> bool:
    """Return whether a training ended by a kill, of itself or of one of its processes."""
    return any(words in str(error) for words in ("by signal SIGKILL", "one of its processes was killed"))


@contextmanager
def _timer(seconds: float) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes a child's pid and kills its whole group after `seconds`, unless it has ended; 0 for never."""
    timers: list[threading.Timer] = []

    def kill(pid: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    def start(pid: int) -> None:
        if seconds:
            timers.append(threading.Timer(seconds, kill, (pid,)))
            timers[0].start()

    try:
        yield start
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()
