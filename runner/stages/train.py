"""The train stage: the checks before the first step, the trainer, and the model that it writes."""

import shutil
import sys
from typing import Any

from ...schemas import VERSION
from ...schemas.base.counted import counted
from ...schemas.base.errors import Interrupted, Problem, UserError
from ...schemas.base.files import new_folder, remove_folder
from ...schemas.base.hashing import SEAL, key_of
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import AUTO
from ..evaluation.evaluated_rows import require_labelled_rows
from ..launch import multi_node
from ..launch.axolotl_config import PREPARED, ROWS_CACHE
from ..launch.plan import Plan
from ..launch.steps import optimizer_steps, require_rows, step_problems, steps_depend_on_tokens
from ..launch.trackers import tracker_commands
from ..models.architecture import architecture
from ..models.template_rows import date_note
from ..reporting.token_summary import token_summary
from ..resources.batch_size import batch_text
from ..resources.estimate_fit import check_fit, print_memory
from ..resources.model_checks import architecture_problems
from ..resources.training_time import (
    Prediction,
    duration,
    earlier_timings,
    measured_line,
    method,
    predict,
    rate_of,
    timing,
    tokens_in_epoch,
)
from ..runtime.checkpoints import INCOMPLETE, TRAINED, fault, newest, other_training
from ..runtime.child_process import run_child
from ..runtime.machine import package_versions
from ..runtime.run_files import (
    FIT_FORECAST,
    KERNELS,
    LOCK,
    PEAK_MEMORY,
    STEP_LOG,
    TIMING,
    TOKENS,
    TRAIN_ROWS,
    TRAINING_END,
    Lock,
    LockedMachine,
    LockedModel,
    TrainingEnd,
)
from ..runtime.run_folder import RunFolder
from ..runtime.seals import write_seal
from . import smoke_test
from .context import RunContext

NAME = "train"
OUTPUTS = ("model", STEP_LOG, TOKENS.name, TRAINING_END.name, LOCK.name, "rendered")
OPTIONAL_OUTPUTS = (PEAK_MEMORY.name, FIT_FORECAST.name, TIMING.name, KERNELS.name)
FINAL = True
NOT_MODEL = ("checkpoint-*", "debug.log", "runs", "README.md")


def key(context: RunContext) -> str:
    """Return a hash of everything that the weights depend on."""
    return train_key(context.job.plan, context.keys["data"], context.job.model.identity)


def train_key(plan: Plan, data: str, model_identity: str) -> str:
    """Return a hash of the rendered configuration, the data, the base model, and the versions of the training packages."""
    return key_of("train", plan.files, plan.argv[1:], data, model_identity, package_versions())


def faults(run: RunFolder) -> list[str]:
    """Return a fault if the model has no seal: it was not written by a training."""
    return [] if (run / "model" / SEAL).is_file() else [f"{run / 'model'} has no {SEAL}"]


def run(context: RunContext) -> None:
    """Train, from the newest checkpoint if there is one, and publish model/."""
    run, display, plan = context.run, context.display, context.job.plan
    _prepare(context)
    predicted = _predict_time(context)
    if context.loaded.is_smoke and not newest(run / "checkpoints")[0]:
        smoke_test.train_until_killed(plan, run, display)
    checkpoint, skipped = newest(run / "checkpoints")
    for line in skipped:
        display.say("", line, "warning")
    if checkpoint:
        display.say("", f"resuming from {checkpoint.name}")
        if not any((folder / STEP_LOG).is_file() for folder in (checkpoint, run.path)):
            display.say("", f"{STEP_LOG} is missing: the report will not have the losses until there", "warning")
        plan = plan.resuming(str(checkpoint.relative_to(run.path)))
    multi_node.announce(run, context.recipe.launch, plan)
    ended = _train(context, plan)
    publish_model(run)
    display.say("", f"trained in each epoch: {token_summary(run.read(TOKENS)['train'])}")
    print_memory(run, display)
    for command in tracker_commands(context.recipe, run.path):
        display.say("tracked", command)
    _record_time(context, ended | {"whole": not checkpoint and not ended["reason"], "resumed": bool(checkpoint)}, predicted)


def _prepare(context: RunContext) -> None:
    """Write lock.json and the rendered files. Raises UserError if the training cannot work on this machine, or is not that of the run's
    checkpoints."""
    run, job = context.run, context.job
    splits = context.manifest["splits"]
    _check_rows(context.loaded, splits, context.manifest["rows_in"])
    require_labelled_rows(run.path, context.recipe)
    if problems := architecture_problems(context.loaded, architecture(job.model.path, context.recipe.model.revision)):
        raise UserError(*problems)
    own_key = context.keys[NAME] = context.keys.get(NAME) or key(context)
    lock: Lock = {"recipekit": VERSION, "python": sys.version.split()[0], "packages": package_versions(),
                  "variables": context.recipe.variables, "model": LockedModel(**job.model._asdict()),
                  "machine": LockedMachine(**context.machine._asdict()),
                  "batch": context.batch, "train_key": own_key}  # fmt: skip
    _refuse_other_training(run, context.loaded, lock)
    run.write(LOCK, lock)
    for what in remove_torn_rows(run):
        context.display.say("", what, "warning")
    job.plan.write(run.path)
    if job.kernels:
        run.write(KERNELS, {"kernels": [kernel._asdict() for kernel in job.kernels]})
    _announce(context, splits["train"])
    if note := date_note(context.recipe):
        context.display.say("", note, "warning")
    check_fit(run, job.recipe, job.model, splits["train"], context.display)


def _train(context: RunContext, plan: Plan) -> dict[str, Any]:
    """Run the trainer to its end; return its last event."""
    run, display = context.run, context.display
    ends: list[dict[str, Any]] = []

    def follow(event: dict[str, Any]) -> None:
        if event["event"] == TRAINED:
            ends.append(event)
        display.event(event)

    try:
        run_child(plan.executable(), run.path, plan.env, "train.log", "training", follow)
    except Interrupted as stopped:
        raise _with_saved_step(stopped, run) from None
    display.clear()
    remove_folder(run / PREPARED / ROWS_CACHE)
    _record_end(context, ends)
    return ends[-1]


def remove_torn_rows(run: RunFolder) -> list[str]:
    """Remove tokenised rows that are not as they were written, because their tokenisation was killed or they were changed since: Axolotl
    would train on what there is. Return what was changed."""
    rows = [path for path in (run / PREPARED).glob("*") if path.is_dir() and path.name != ROWS_CACHE]
    faults = {path: fault(path) for path in rows}
    if any(faults.values()):
        remove_folder(run / PREPARED)
    return [f"{path}: {what}: the rows are tokenised again" for path, what in faults.items() if what and what != INCOMPLETE]


def _announce(context: RunContext, rows: int) -> None:
    """Print what is trained, on how many rows, and what differs on this machine."""
    recipe, say, machine = context.job.recipe, context.display.say, context.machine
    steps = "" if steps_depend_on_tokens(recipe) else f"{counted(optimizer_steps(recipe, rows), 'step')}, "
    say("model", context.job.model.note)
    if context.recipe.training.micro_batch_size == AUTO:
        say("", batch_text(context.batch))
    for note in context.job.notes:
        say("", note, "warning")
    method = recipe.training.adapter if recipe.training.adapter != "none" else "full parameters"
    say("train", f"{method}, {counted(rows, 'row')}, {steps}on {machine.gpu_name or counted(machine.cores, 'CPU core')}")


def _predict_time(context: RunContext) -> Prediction | None:
    """Print how long it will take, from the rates of earlier runs on this machine, if there are any."""
    rate = rate_of(earlier_timings(context.root)[0], method(context.job.recipe, context.machine))
    if rate is None:
        return None
    found = predict(context.job.recipe, context.manifest["splits"]["train"], _data_bytes(context.run), rate)
    context.display.say("", f"will train for about {duration(found.seconds)}, by {found.source}")
    return found


def _record_time(context: RunContext, ended: dict[str, Any], predicted: Prediction | None) -> None:
    """Write timing.json, from which later runs are predicted, and print it with the prediction; nothing if no step was taken."""
    run = context.run
    if not ended["tokens"]:
        return
    tokens = tokens_in_epoch(run.read(TOKENS))
    line = timing(context.job.recipe, context.machine, _data_bytes(run), tokens, ended, predicted)
    run.write(TIMING, line)
    context.display.say("", measured_line(line))


def _data_bytes(run: RunFolder) -> int:
    return (run / TRAIN_ROWS).stat().st_size


def _check_rows(loaded: LoadedRecipe, splits: dict[str, int], rows: int) -> None:
    """Raise UserError if there are no rows to train or to evaluate on, or if a key has no effect with this many rows."""
    require_rows(loaded, splits, rows)
    if problems := list(step_problems(loaded.recipe, loaded.document, splits["train"])):
        raise UserError(*problems)


def _with_saved_step(stopped: Interrupted, run: RunFolder) -> Interrupted:
    """Return the interruption with the step from which training will resume."""
    checkpoint, _ = newest(run / "checkpoints")
    step = checkpoint.name.removeprefix("checkpoint-") if checkpoint else ""
    saved = f"step {step} is saved" if step else "no step is saved yet: training will start from the first step"
    return Interrupted(*(problem.replaced(what=f"{problem.what}; {saved}") for problem in stopped.problems))


def _record_end(context: RunContext, ends: list[dict[str, Any]]) -> None:
    """Write training.json. Raises UserError if the training has not taken the planned steps and gives no reason."""
    run, rows = context.run, context.manifest["splits"]["train"]
    if not ends:
        raise UserError(Problem(run / "train.log", "the trainer ended without reporting its last step", rule="other-steps"))
    end = TrainingEnd(**{key: ends[-1][key] for key in ("steps", "planned_steps", "reason")})
    planned = end["planned_steps"] if steps_depend_on_tokens(context.recipe) else optimizer_steps(context.recipe, rows)
    if end["planned_steps"] != planned or (end["steps"] != planned and not end["reason"]):
        what = f"training ended after step {end['steps']} of {end['planned_steps']}, but {planned} were planned"
        raise UserError(Problem(run.path, what, "its model is not used: start a new run", "other-steps"))
    if end["reason"]:
        is_best = context.recipe.training.load_best_model_at_end
        kept = "" if is_best else ": the last weights are kept, not the best (load_best_model_at_end: true keeps those)"
        context.display.say("", f"{end['reason']} after step {end['steps']} of {end['planned_steps']}{kept}")
    run.write(TRAINING_END, end)


def _refuse_other_training(run: RunFolder, loaded: LoadedRecipe, lock: Lock) -> None:
    """Raise UserError if the checkpoints belong to a different training: they cannot be resumed."""
    left = sorted(path.name for path in (run / "checkpoints").glob("checkpoint-*"))
    if left and (changed := other_training(run.find(LOCK), lock)):
        hint = f"restore the previous state, or start a new run: recipe run {loaded.recipe.name}"
        what = f"{left[-1]} belongs to a different training: {'; '.join(changed)}"
        raise UserError(Problem(run / "checkpoints", what, hint, "other-training"))


def publish_model(run: RunFolder) -> None:
    """Copy the trained weights and tokenizer, without checkpoints, to model/: complete or absent. Raises UserError if there are no
    weights."""
    with new_folder(run / "model", "tokenizer_config.json") as folder:
        shutil.copytree(run / "checkpoints", folder, ignore=shutil.ignore_patterns(*NOT_MODEL), dirs_exist_ok=True)
        if not any(folder.glob("*.safetensors")):
            raise UserError(Problem(run / "checkpoints", "training ended without weights", "see train.log", "no-weights"))
        write_seal(folder)
