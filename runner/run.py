"""`recipe run`, stage by stage: data, train, evaluate, report. Each is skipped when its key says that it has been done."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from ..converters.pipeline import MANIFEST, build
from ..converters.publish import new_folder, write_atomically
from ..schemas import VERSION
from ..schemas.errors import GateError, Interrupted, Mark, Problem, UserError
from ..schemas.recipe import Loaded, load_recipe
from ..schemas.yaml_writing import to_yaml
from . import rehearsal, slurm, stages, upstream
from .axolotl_config import RenderedData, substitutions
from .checkpoints import newest, other_training
from .child import run_child
from .conclusion import finish
from .display import Display
from .effective import effective_values
from .evaluation import evaluate
from .export import merge
from .fit_of_run import check_fit
from .generate.stage import with_rows
from .hub_commits import at_commits
from .launchable import require_startable
from .machine import Machine, this_machine
from .model_source import ResolvedModel, is_unchanged, resolve_model
from .plain import dotted
from .plan import Plan, executable, plan, resuming
from .run_folder import RunFolder, create
from .steps import optimizer_steps, repeated_rows, step_problems
from .token_summary import token_summary

NOT_MODEL = ("checkpoint-*", "debug.log", "runs", "README.md")


class Outcome(NamedTuple):
    """What a run came to. `stages` says for each stage whether it was done or reused."""

    run: RunFolder
    stages: dict[str, str]
    metrics: dict[str, Any]


def run_recipe(loaded: Loaded, root: Path, display: Display) -> Outcome:
    """Run the recipe in a new directory under `root`, or say that a finished run is this one already."""
    require_startable(loaded, this_machine())
    loaded = with_rows(at_commits(loaded), root, display)
    previous = stages.previous_runs(root, loaded.recipe.name)
    same = already_done(loaded, root, previous)
    if same:
        display.say("done", f"nothing has changed since {same.path}: no stage was run")
        return Outcome(same, dict.fromkeys(same.status["stages"], "reused"), same.read("eval/metrics.json"))
    run = create(loaded.recipe.name, stages.data_key(loaded.recipe.data), root)
    write_atomically(run / "recipe.yml", to_yaml(loaded.document.data).encode())
    run.write("origins.json", {dotted(path): found.origin_text for path, found in effective_values(loaded).items()})
    run.update(recipe=loaded.recipe.name, file=str(loaded.path.absolute()), state="running", stages={}, started=round(time.time(), 3),
               rehearsal=loaded.is_rehearsal)  # fmt: skip
    if loaded.real:
        rehearsal.announce(run, loaded.real, loaded.recipe, display)
    if slurm.must_submit(loaded.recipe):
        slurm.submit(run, loaded.recipe, display)
        return Outcome(run, {}, {})
    return execute(run, loaded, root, display, previous)


def run_or_resume(loaded: Loaded, root: Path, display: Display) -> Outcome:
    """Go on with the newest unfinished run of this very recipe, else run it."""
    left = upstream.unfinished(loaded, root)
    if left is None:
        return run_recipe(loaded, root, display)
    display.say("resume", f"{loaded.recipe.name} ({left.path}), {left.status.get('state')} before")
    return execute(left, loaded, root, display, [])


def reload(run: RunFolder, settings: tuple[str, ...] = ()) -> Loaded:
    """The recipe of a run, from the run's own copy."""
    loaded, status = load_recipe(str(run / "recipe.yml"), settings), run.status
    return loaded._replace(path=Path(status.get("file", loaded.path)), is_rehearsal=bool(status.get("rehearsal")))


def already_done(loaded: Loaded, root: Path, previous: list[RunFolder]) -> RunFolder | None:
    """The finished run in which every stage has the keys that this recipe would have now."""
    data = stages.data_key(loaded.recipe.data)
    before = stages.finished([r for r in previous if r.status.get("state") == "done"], "data", data)
    if before is None or upstream.needed(loaded, root):
        return None
    recipe = loaded.recipe
    model = resolve_model(recipe.model, root, loaded.is_rehearsal)
    planned = make_plan(loaded, before.read(f"data/{MANIFEST}"), this_machine(), model)
    train = stages.train_key(planned.plan, data, planned.model.identity)
    wanted = {"data": data, "train": train, "evaluate": stages.evaluate_key(recipe.evaluation, recipe.evaluation_split, train)}
    if recipe.export.merge:
        wanted["merge"] = stages.merge_key(train)
    return next((run for run in previous if run.status.get("state") == "done" and run.status.get("stages") == wanted), None)


class Planned(NamedTuple):
    """The plan and what it was made from."""

    plan: Plan
    model: ResolvedModel
    notes: list[str]


def make_plan(loaded: Loaded, manifest: dict[str, Any], machine: Machine, model: ResolvedModel) -> Planned:
    """The training that the recipe stands for, on this data and machine."""
    splits = manifest["splits"]
    data = RenderedData(validation="data/validation.jsonl" if splits.get("validation") else None, labels=tuple(manifest.get("labels", ())))
    return Planned(plan(loaded.recipe, data, machine, model.path), model, substitutions(loaded.recipe, machine))


def execute(run: RunFolder, loaded: Loaded, root: Path, display: Display, previous: list[RunFolder]) -> Outcome:
    """Carry out the stages that the run has not completed. Whatever happens, status.json says how it ended."""
    done: dict[str, str] = {}
    if "train" not in run.status["stages"]:
        require_startable(loaded, this_machine())
    with run.locked():
        run.update(state="running", reason="")
        try:
            loaded = with_rows(loaded, root, display, run)
            _data(run, loaded, display, previous, done)
            model = _model(run, loaded, root, display)
            planned = make_plan(loaded, run.read(f"data/{MANIFEST}"), this_machine(), model)
            _train(run, loaded, planned, display, previous, done)
            _merge(run, loaded, planned, display, previous, done)
            metrics = _evaluate(run, loaded, planned, display, previous, done)
        except BaseException as error:
            state = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
            state = "refused" if isinstance(error, GateError) else state
            run.update(state=state, reason=str(error)[:2000] or type(error).__name__)
            raise
        finally:
            display.clear()
        finish(run, loaded, metrics, display)
        return Outcome(run, done, metrics)


def _begin(run: RunFolder, stage: str, key: str, previous: list[RunFolder], display: Display, done: dict[str, str]) -> bool:
    """Whether the stage must be done; links an earlier run's outputs when they have the same key."""
    if run.status["stages"].get(stage) == key and stages.is_whole(run, stage, display):
        done[stage] = "done before"
        return False
    if (source := stages.finished(previous, stage, key)) and stages.is_whole(source, stage, display):
        stages.reuse(source, run, stage)
        display.say(stage, f"unchanged since {source.path.name}: reused")
        _complete(run, stage, key)
        done[stage] = "reused"
        return False
    done[stage] = "done"
    return True


def _complete(run: RunFolder, stage: str, key: str) -> None:
    run.update(stages=run.status["stages"] | {stage: key})


def _data(run: RunFolder, loaded: Loaded, display: Display, previous: list[RunFolder], done: dict[str, str]) -> None:
    # What the run has is what it is about, even where its sources have changed or gone since.
    if "data" in run.status["stages"] and stages.is_whole(run, "data", display):
        done["data"] = "done before"
        return
    key = stages.data_key(loaded.recipe.data)
    if not _begin(run, "data", key, previous, display, done):
        return
    manifest = build(loaded.recipe.data, run / "data")
    dropped = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in manifest["dropped"].items()) or "none"
    splits = ", ".join(f"{count:,} {split}" for split, count in manifest["splits"].items())
    weighed = f", {manifest['repeated']:+,} training rows by the sources' weights" if manifest.get("repeated") else ""
    display.say("data", f"{manifest['rows_in']:,} rows in, {manifest['rows_kept']:,} kept ({splits}{weighed}); dropped: {dropped}")
    _complete(run, "data", key)


def _model(run: RunFolder, loaded: Loaded, root: Path, display: Display) -> ResolvedModel:
    """The model to start from; where that is another recipe's and not there yet, that one is run first.

    A run that has trained has the model that it was trained on, or none: an adapter on another base is another model.
    """
    trained_on = run.read("lock.json").get("model") if "train" in run.status["stages"] else None
    if trained_on and is_unchanged(before := ResolvedModel(**trained_on)):
        return before
    if not trained_on and (first := upstream.needed(loaded, root)):
        display.say("first", f"{first.recipe.name} ({first.path}): {loaded.recipe.name} starts from its model, which is not there yet")
        run_or_resume(first, root, display)
        display.say("then", loaded.recipe.name)
    found = resolve_model(loaded.recipe.model, root, loaded.is_rehearsal)
    if trained_on and found.identity != trained_on["identity"]:
        what = f"was trained on {trained_on['note']}, which is not {found.note} as it is now"
        raise UserError(Problem(Mark(str(run.path)), what, "bring it back: an adapter on another base is another model", "other-model"))
    return found


def _train(run: RunFolder, loaded: Loaded, planned: Planned, display: Display, previous: list[RunFolder], done: dict[str, str]) -> None:
    if "train" in run.status["stages"] and (run / "model").is_dir():  # other packages or another machine are no reason to train again
        done["train"] = "done before"
        return
    recipe, machine = loaded.recipe, this_machine()
    key = stages.train_key(planned.plan, run.status["stages"]["data"], planned.model.identity)
    splits = run.read(f"data/{MANIFEST}")["splits"]
    _check_rows(loaded, splits)
    rows = splits["train"]
    lock = {"recipekit": VERSION, "python": sys.version.split()[0], "packages": stages.package_versions(),
            "model": planned.model._asdict(), "machine": machine._asdict(), "train_key": key}  # fmt: skip
    _refuse_other_training(run, lock)
    run.write("lock.json", lock)
    for name, text in planned.plan.files.items():
        write_atomically(run / name, text.encode())
    if not _begin(run, "train", key, previous, display, done):
        return
    # How many blocks are filled is not known before the rows are tokenised.
    steps = "" if recipe.data.type == "text" or recipe.training.sample_packing else f"{optimizer_steps(recipe, rows):,} steps, "
    display.say("model", planned.model.note)
    for note in planned.notes:
        display.say("", note, "yellow")
    if (repeated := repeated_rows(recipe, rows)) and recipe.data.type != "text":
        display.say("", f"{repeated:,} of {rows:,} rows are seen twice in every epoch, so that all processes have full batches", "yellow")
    display.say("train", f"{recipe.training.adapter if recipe.training.adapter != 'none' else 'full parameters'}, {rows:,} rows, "
                f"{steps}on {machine.gpu_name or f'{machine.cores} CPU cores'}")  # fmt: skip
    check_fit(run, recipe, planned.model, rows, display)
    argv = executable(planned.plan.argv)
    if loaded.is_rehearsal and not newest(run / "checkpoints")[0]:
        rehearsal.train_until_killed(argv, run, planned.plan.env, display)
    checkpoint, passed_over = newest(run / "checkpoints")
    for line in passed_over:
        display.say("", line, "yellow")
    if checkpoint:
        display.say("", f"going on from {checkpoint.name}")
        argv = resuming(argv, str(checkpoint.relative_to(run.path)))
    run_child(argv, run.path, planned.plan.env, "train.log", "training", display.event)
    display.clear()
    _publish_model(run)
    display.say("", f"trained in each epoch: {token_summary(run.read('tokens.json')['train'])}")
    _complete(run, "train", key)


def _check_rows(loaded: Loaded, splits: dict[str, int]) -> None:
    """Before anything is trained: there are rows to train on and rows to evaluate on, and every key has an effect on so many."""
    mark, hint = loaded.document.mark(("data", "split")), "see the manifest in the run's data folder: give more rows, or other shares"
    for split, use in (("train", "train"), (loaded.recipe.evaluation_split, "evaluate")):
        if not splits.get(split):
            raise UserError(Problem(mark, f"the {split} split has no row to {use} on", hint, "empty-split"))
    if problems := list(step_problems(loaded.recipe, loaded.document, splits["train"])):
        raise UserError(*problems)


def _refuse_other_training(run: RunFolder, lock: dict[str, Any]) -> None:
    """Checkpoints are resumed by the training that made them, or not at all."""
    left = sorted(path.name for path in (run / "checkpoints").glob("checkpoint-*"))
    if left and (changed := other_training(run.read("lock.json"), lock)):
        hint = f"bring it back as it was, or start a new run: recipe run {run.status['recipe']}"
        what = f"{left[-1]} is of another training: {'; '.join(changed)}"
        raise UserError(Problem(Mark(str(run / "checkpoints")), what, hint, "other-training"))


def _publish_model(run: RunFolder) -> None:
    """The trained weights and tokenizer, without checkpoints, as model/: complete or absent."""
    with new_folder(run / "model", "tokenizer_config.json") as folder:
        shutil.copytree(run / "checkpoints", folder, ignore=shutil.ignore_patterns(*NOT_MODEL), dirs_exist_ok=True)
        if not any(folder.glob("*.safetensors")):
            raise UserError(Problem(Mark(str(run / "checkpoints")), "training ended without weights", "see train.log", "no-weights"))


def _merge(run: RunFolder, loaded: Loaded, planned: Planned, display: Display, previous: list[RunFolder], done: dict[str, str]) -> None:
    """The adapter in its base model as merged/, where the recipe wants it."""
    if not loaded.recipe.export.merge:
        return
    key = stages.merge_key(run.status["stages"]["train"])
    if _begin(run, "merge", key, previous, display, done):
        merge(run, loaded.recipe, planned.model, planned.plan.env, display)
        _complete(run, "merge", key)


def _evaluate(
    run: RunFolder, loaded: Loaded, planned: Planned, display: Display, previous: list[RunFolder], done: dict[str, str]
) -> dict[str, Any]:
    recipe = loaded.recipe
    key = stages.evaluate_key(recipe.evaluation, recipe.evaluation_split, run.status["stages"]["train"])
    if _begin(run, "evaluate", key, previous, display, done):
        run.update(stages={stage: value for stage, value in run.status["stages"].items() if stage != "evaluate"})
        evaluate(run, recipe, planned.plan, planned.model, display)
        beside = "baselines" if recipe.data.type == "classification" else "base"
        display.say("evaluate", f"{run.read('eval/metrics.json')['rows']} {recipe.evaluation_split} rows, {beside} beside tuned")
        _complete(run, "evaluate", key)
    return run.read("eval/metrics.json")
