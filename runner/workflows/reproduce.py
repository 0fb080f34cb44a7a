"""`recipe reproduce`: train a finished run again, in a new run, and compare losses and weights with the first one's."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.counted import counted
from ...schemas.base.errors import Interrupted, Problem, UserError
from ...schemas.recipe import LoadedRecipe
from ..launch.plan import TrainingJob, require_startable
from ..launch.slurm import must_submit
from ..runtime.checkpoints import INTERRUPTED, STOP_AT
from ..runtime.console import Display
from ..runtime.machine import this_machine
from ..runtime.progress import read_lines
from ..runtime.run_files import LOCK, MANIFEST, ORIGINS, PROGRESS, RECIPE, SMOKE_KEYS, STEP_LOG
from ..runtime.run_folder import RunFolder, create
from ..runtime.seals import require_sealed
from ..stages import data, generate, train
from ..stages.context import RunContext
from ..stages.registry import data_stages
from ..stages.stage import complete, link_folder, require
from ..worker.compare_checkpoints import CLOCK, difference
from .run import reload
from .run_comparison import compare_inputs

REPRODUCTIONS = "reproductions"  # next to the recipes' runs, so that nothing mistakes them for a recipe's newest run


class Divergence(NamedTuple):
    """A number that differs between the two trainings."""

    step: int
    name: str
    before: Any
    again: Any

    def __str__(self) -> str:
        return f"step {self.step}: {self.name} {self.before} against {self.again}"


class Losses(NamedTuple):
    """Two logs compared: the number of losses, the first different number, and the loss with the largest difference."""

    compared: int
    first: Divergence | None = None
    largest: Divergence | None = None

    def summary(self) -> str:
        """Return the comparison as a phrase."""
        if self.first is None:
            return f"bit-identical: {counted(self.compared, 'loss')}"
        far = f"; largest difference {abs(self.largest.before - self.largest.again):.3g} ({self.largest})" if self.largest else ""
        return f"first difference at {self.first}{far}"


class Reproduction(NamedTuple):
    """The outcome. `trained` says on what data, or why there was no training; `losses` is None without a training, `weights` without a
    complete one, otherwise "" for identical bits or the first difference."""

    run: RunFolder
    inputs: dict[str, list[str]]
    notes: dict[str, str]
    trained: str
    steps: int
    again: RunFolder | None = None
    losses: Losses | None = None
    weights: str | None = None

    @property
    def differences(self) -> list[tuple[str, str]]:
        """Return all differences as (part, what), the earliest first."""
        found = [(part, what) for part, differences in self.inputs.items() for what in differences]
        found += [("losses", self.losses.summary())] if self.losses and self.losses.first else []
        return found + ([("weights", self.weights)] if self.weights else [])


def reproduce(run: RunFolder, root: Path, steps: int | None, display: Display) -> Reproduction:
    """Compare the run's inputs with this machine, then train again: all of it, the first `steps` steps, or with 0 not at all.

    Raises UserError if the run recorded no loss to compare with.
    """
    _require_trained(run)
    loaded, last = reload(run), _last_step(run)
    wanted = last if steps is None else min(steps, last)
    if wanted and not _numbers(read_lines(run / STEP_LOG), wanted)[0]:
        raise UserError(f"{run.path} has logged no loss in its first {counted(wanted, 'step')}", hint="use a larger --steps")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".reproduce-", dir=root) as scratch:
        inputs = compare_inputs(run, loaded, root, Path(scratch) / "data")
        for what, changed in (("identical", False), ("different", True)):
            if parts := [part for part, differences in inputs.differences.items() if bool(differences) is changed]:
                display.say(what, ", ".join(parts), "warning" if changed else "")
        if not wanted or inputs.planned is None or inputs.data is None:
            why = (
                "not requested"
                if not wanted
                else "the model is not on this machine"
                if inputs.planned is None
                else "the run's data is damaged"
            )
            return Reproduction(run, inputs.differences, inputs.notes, f"not trained: {why}", 0)
        of_what = "the run's own data" if inputs.data == run / "data" else "its sources, converted again, because its own data is damaged"
        stop = wanted if wanted < last else 0
        display.say("again", f"{counted(stop, 'step') if stop else 'all steps'} on {of_what}")
        _require_startable(loaded)
        again = _new_run(run, loaded, inputs.data, root)
    _train(again, loaded, inputs.planned, stop, display)
    losses = compare_logs(read_lines(run / STEP_LOG), read_lines(again / STEP_LOG), wanted)
    if not stop and not losses.first and (other := _last_step(again)) != last:
        losses = losses._replace(first=Divergence(min(last, other), "last step", last, other))
    weights = None if stop else difference(run / "model", again / "model", "weights")
    return Reproduction(run, inputs.differences, inputs.notes, of_what, wanted, again, losses, weights)


def compare_logs(before: list[dict[str, Any]], again: list[dict[str, Any]], steps: int) -> Losses:
    """Compare the numbers that both trainings logged up to a step. A loss is a mean since the previous line, and is compared only with one
    over the same steps: a training that was interrupted has logged in between."""
    (spans, mine), (_, its) = _numbers(before, steps), _numbers(again, steps)
    shared = [key for key in mine if key in its]
    found = [Divergence(key[0], key[1], mine[key], its[key]) for key in shared if mine[key] != its[key]]
    far = [one for one in found if one.name.endswith("loss") and isinstance(one.before, float) and isinstance(one.again, float)]
    largest = max(far, key=lambda one: abs(one.before - one.again), default=None)
    first = min(found, key=lambda one: (one.step, one.name != "loss"), default=None)
    return Losses(sum(key in its for key in spans), first, largest)


_Key = tuple[int, str, int]


def _numbers(lines: list[dict[str, Any]], steps: int) -> tuple[list[_Key], dict[_Key, Any]]:
    """Return the keys of a log's losses in its first steps, and every number by step, name and, for a loss, the step where its mean
    begins."""
    losses: list[_Key] = []
    found: dict[_Key, Any] = {}
    since = 0
    for line in lines:
        if (step := line["step"]) > steps:
            break
        found |= {(step, name, 0): value for name, value in line.items() if name not in (*CLOCK, "step", "epoch", "loss")}
        if "loss" in line:
            losses.append((step, "loss", since))
            found[losses[-1]] = line["loss"]
            since = step
    return losses, found


def _require_trained(run: RunFolder) -> None:
    if "train" not in run.stages or not (run / "model").is_dir():
        what = f"has not finished training: it is {run.state}"
        raise UserError(Problem(run.path, what, run.completion_hint(), "not-trained"))
    if absent := [name for name in (RECIPE, MANIFEST.name, STEP_LOG, LOCK.name) if not (run / name).is_file()]:
        raise UserError(Problem(run.path, f"has no {absent[0]}: nothing to compare with", rule="not-a-run"))
    require_sealed(run / "model")


def _require_startable(loaded: LoadedRecipe) -> None:
    require_startable(loaded, this_machine())
    if must_submit(loaded.recipe):
        hint = "submit a job that runs recipe reproduce; --steps 0 trains nothing"
        raise UserError("the recipe trains in Slurm jobs, and this is not one", hint=hint)


def _last_step(run: RunFolder) -> int:
    return max((line["step"] for line in read_lines(run / STEP_LOG)), default=0)


def _new_run(run: RunFolder, loaded: LoadedRecipe, records: Path, root: Path) -> RunFolder:
    """Create a run of the same recipe with its data, not yet trained."""
    status = run.status
    kept = {name: key for name, key in run.stages.items() if name in (generate.NAME, data.NAME)}
    again = create(loaded.recipe.name, kept[data.NAME], root / REPRODUCTIONS)
    for name in (RECIPE, ORIGINS.name, SMOKE_KEYS.name):
        if (run / name).is_file():
            shutil.copy2(run / name, again / name)
    link_folder(records, again / "data")
    if (run / "generated").is_dir():
        link_folder(run / "generated", again / "generated")
    facts = {key: value for key, value in status.items() if key in ("recipe", "file", "smoke")}
    again.update(**facts, state="running", stages=kept, started=round(time.time(), 3), reproduces=str(run.path))
    return again


def _train(again: RunFolder, loaded: LoadedRecipe, job: TrainingJob, stop: int, display: Display) -> None:
    """Train in the new run, to a checkpoint after step `stop`, or with 0 to the end. It can be resumed like an interrupted run. As a full
    run it is not killed on the way, which a smoke run would be."""
    env = job.plan.env | ({STOP_AT: str(stop)} if stop else {})
    context = RunContext(loaded._replace(is_smoke=False), again.path.parent.parent, display, again)
    context.job = job._replace(plan=job.plan._replace(env=env))
    with again.locked(), again.recording_outcome():
        try:
            require(data_stages(loaded.recipe), context)
            complete([train], context)
        except Interrupted:
            raise
        except UserError:
            stopped = [line for line in read_lines(again / PROGRESS) if line["event"] == INTERRUPTED]
            if not stop or not any(line["step"] == stop for line in stopped):
                raise
        finally:
            display.clear()
    ended = f"stopped after {counted(stop, 'step')}" if stop else "not evaluated"
    again.update(state="interrupted", reason=f"a reproduction: {ended}")
