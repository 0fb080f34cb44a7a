"""The stage of a run that trains: what stops it before the first step, the trainer, and the model that it leaves."""

import shutil
import sys
from typing import Any

from ...converters.building.pipeline import MANIFEST
from ...schemas import VERSION
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import new_folder, write_atomically
from ...schemas.recipe import LoadedRecipe
from ..launch import multi_node
from ..launch.plan import TrainingJob, executable, resuming
from ..launch.steps import optimizer_steps, require_rows, step_problems
from ..reporting.token_summary import token_summary
from ..resources.estimate_fit import check_fit, say_memory
from ..runtime.checkpoints import newest, other_training
from ..runtime.child_process import run_child
from ..runtime.machine import Machine, this_machine
from ..runtime.run_folder import RunFolder
from . import cache_keys, smoke_test
from .stage import RunContext

NOT_MODEL = ("checkpoint-*", "debug.log", "runs", "README.md", "ray_train_run-*", "TorchTrainer_*")  # the last two are Ray's


def train(work: RunContext, planned: TrainingJob) -> None:
    """Train, from the newest checkpoint where there is one, and publish model/."""
    run, loaded, display = work.run, work.loaded, work.display
    if "train" in run.status["stages"] and (run / "model").is_dir():  # other packages or another machine are no reason to train again
        work.done["train"] = "done before"
        return
    machine = this_machine()
    key = cache_keys.train_key(planned.plan, run.status["stages"]["data"], planned.model.identity)
    splits = run.read(f"data/{MANIFEST}")["splits"]
    _check_rows(loaded, splits)
    lock = {"recipekit": VERSION, "python": sys.version.split()[0], "packages": cache_keys.package_versions(),
            "model": planned.model._asdict(), "machine": machine._asdict(), "train_key": key}  # fmt: skip
    _refuse_other_training(run, lock)
    run.write("lock.json", lock)
    for name, text in planned.plan.files.items():
        write_atomically(run / name, text.encode())
    if not work.begin("train", key):
        return
    _announce(work, planned, machine, splits["train"])
    check_fit(run, loaded.recipe, planned.model, splits["train"], display)
    argv = executable(planned.plan.argv)
    if loaded.is_smoke and not newest(run / "checkpoints")[0]:
        smoke_test.train_until_killed(argv, run, planned.plan.env, display)
    checkpoint, skipped = newest(run / "checkpoints")
    for line in skipped:
        display.say("", line, "yellow")
    if checkpoint:
        display.say("", f"going on from {checkpoint.name}")
        argv = resuming(argv, str(checkpoint.relative_to(run.path)))
    multi_node.announce(run, loaded.recipe.launch, argv, planned.plan.env)
    run_child(argv, run.path, planned.plan.env, "train.log", "training", display.event)
    display.clear()
    _publish_model(run)
    display.say("", f"trained in each epoch: {token_summary(run.read('tokens.json')['train'])}")
    say_memory(run, display)
    work.complete("train", key)


def _announce(work: RunContext, planned: TrainingJob, machine: Machine, rows: int) -> None:
    """Say what is trained, on how many rows, and what is done otherwise on this machine."""
    recipe, say = work.loaded.recipe, work.display.say
    # How many blocks are filled is not known before the rows are tokenised.
    steps = "" if recipe.data.type == "text" or recipe.training.sample_packing else f"{optimizer_steps(recipe, rows):,} steps, "
    say("model", planned.model.note)
    for note in planned.notes:
        say("", note, "yellow")
    method = recipe.training.adapter if recipe.training.adapter != "none" else "full parameters"
    say("train", f"{method}, {rows:,} rows, {steps}on {machine.gpu_name or f'{machine.cores} CPU cores'}")


def _check_rows(loaded: LoadedRecipe, splits: dict[str, int]) -> None:
    """Before anything is trained: there are rows to train on and rows to evaluate on, and every key has an effect on so many."""
    hint = "see the manifest in the run's data folder: give more rows, or other shares"
    for split, use in (("train", "train"), (loaded.recipe.evaluation_split, "evaluate")):
        require_rows(loaded, splits, split, use, hint)
    if problems := list(step_problems(loaded.recipe, loaded.document, splits["train"])):
        raise UserError(*problems)


def _refuse_other_training(run: RunFolder, lock: dict[str, Any]) -> None:
    """Checkpoints are resumed by the training that made them, or not at all."""
    left = sorted(path.name for path in (run / "checkpoints").glob("checkpoint-*"))
    if left and (changed := other_training(run.read("lock.json"), lock)):
        hint = f"bring it back as it was, or start a new run: recipe run {run.status['recipe']}"
        what = f"{left[-1]} is of another training: {'; '.join(changed)}"
        raise UserError(Problem(Location(str(run / "checkpoints")), what, hint, "other-training"))


def _publish_model(run: RunFolder) -> None:
    """The trained weights and tokenizer, without checkpoints, as model/: complete or absent."""
    with new_folder(run / "model", "tokenizer_config.json") as folder:
        shutil.copytree(run / "checkpoints", folder, ignore=shutil.ignore_patterns(*NOT_MODEL), dirs_exist_ok=True)
        if not any(folder.glob("*.safetensors")):
            raise UserError(Problem(Location(str(run / "checkpoints")), "training ended without weights", "see train.log", "no-weights"))
