"""`recipe run`, stage by stage: data, train, merge, evaluate, report. Each is skipped when its key says that it has been done."""

import time
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.hub_datasets import pin_commits
from ...converters.building.pipeline import MANIFEST, build
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.recipe import LoadedRecipe, load_recipe
from ...schemas.yaml_writing import dotted, to_yaml
from ..generate.stage import with_rows
from ..launch import slurm
from ..launch.plan import TrainingJob, make_job, require_startable
from ..models.resolve import ResolvedModel, is_unchanged, resolve_model
from ..reporting.ledger_table import source_notes
from ..runtime.console import Display
from ..runtime.machine import this_machine
from ..runtime.resolved_values import effective_values
from ..runtime.run_folder import RunFolder, create
from ..stages import cache_keys, prerequisite, smoke_test
from ..stages.evaluate import evaluate
from ..stages.finish import conclude, require_gates
from ..stages.merge import merge
from ..stages.stage import RunContext
from ..stages.train import train


class Outcome(NamedTuple):
    """What a run came to. `stages` says for each stage whether it was done or reused."""

    run: RunFolder
    stages: dict[str, str]
    metrics: dict[str, Any]


def run_recipe(loaded: LoadedRecipe, root: Path, display: Display) -> Outcome:
    """Run the recipe in a new directory under `root`, or say that a finished run is this one already."""
    require_startable(loaded, this_machine())
    loaded = with_rows(pin_commits(loaded), root, display)
    previous = cache_keys.previous_runs(root, loaded.recipe.name)
    same = already_done(loaded, root, previous)
    if same:
        display.say("done", f"nothing has changed since {same.path}: no stage was run")
        return Outcome(same, dict.fromkeys(same.status["stages"], "reused"), same.read("eval/metrics.json"))
    run = create(loaded.recipe.name, cache_keys.data_key(loaded.recipe.data), root)
    write_atomically(run / "recipe.yml", to_yaml(loaded.document.data).encode())
    run.write("origins.json", {dotted(path): found.origin_text for path, found in effective_values(loaded).items()})
    run.update(recipe=loaded.recipe.name, file=str(loaded.path.absolute()), state="running", stages={}, started=round(time.time(), 3),
               rehearsal=loaded.is_smoke)  # fmt: skip
    if loaded.real:
        smoke_test.announce(run, loaded.real, loaded.recipe, display)
    return execute(run, loaded, root, display, previous)


def run_or_resume(loaded: LoadedRecipe, root: Path, display: Display) -> Outcome:
    """Go on with the newest unfinished run of this very recipe, else run it."""
    left = prerequisite.unfinished(loaded, root)
    if left is None:
        return run_recipe(loaded, root, display)
    display.say("resume", f"{loaded.recipe.name} ({left.path}), {left.status.get('state')} before")
    return execute(left, loaded, root, display, [])


def reload(run: RunFolder, settings: tuple[str, ...] = ()) -> LoadedRecipe:
    """The recipe of a run, from the run's own copy."""
    loaded, status = load_recipe(str(run / "recipe.yml"), settings), run.status
    return loaded._replace(path=Path(status.get("file", loaded.path)), is_smoke=bool(status.get("rehearsal")))


def already_done(loaded: LoadedRecipe, root: Path, previous: list[RunFolder]) -> RunFolder | None:
    """The finished run in which every stage has the keys that this recipe would have now."""
    data = cache_keys.data_key(loaded.recipe.data)
    before = cache_keys.finished([r for r in previous if r.status.get("state") == "done"], "data", data)
    if before is None or prerequisite.needed(loaded, root):
        return None
    recipe = loaded.recipe
    model = resolve_model(recipe.model, root, loaded.is_smoke)
    planned = make_job(loaded, before.read(f"data/{MANIFEST}"), this_machine(), model)
    trained = cache_keys.train_key(planned.plan, data, planned.model.identity)
    wanted = {"data": data, "train": trained, "evaluate": cache_keys.evaluate_key(recipe.evaluation, recipe.evaluation_split, trained)}
    if recipe.export.merge:
        wanted["merge"] = cache_keys.merge_key(trained)
    # Subset: an adapter that was merged afterwards is no other run.
    return next((r for r in previous if r.status.get("state") == "done" and wanted.items() <= r.status.get("stages", {}).items()), None)


def execute(run: RunFolder, loaded: LoadedRecipe, root: Path, display: Display, previous: list[RunFolder]) -> Outcome:
    """Carry out the stages that the run has not completed. Whatever happens, status.json says how it ended."""
    done: dict[str, str] = {}
    if "train" not in run.status["stages"]:
        require_startable(loaded, this_machine())
        if slurm.must_submit(loaded.recipe):
            slurm.submit(run, loaded.recipe, display)
            return Outcome(run, {}, {})
    with run.locked():
        try:
            with run.recording_outcome():
                loaded = with_rows(loaded, root, display, run)
                work = RunContext(run, loaded, root, display, previous, done)
                _convert(work)
                planned = make_job(loaded, run.read(f"data/{MANIFEST}"), this_machine(), _model(work))
                train(work, planned)
                if loaded.recipe.export.merge:
                    merge(work, planned)
                metrics = _evaluate(work, planned)
                conclude(run, loaded.recipe, metrics, display)
        finally:
            display.clear()
        require_gates(metrics)
        return Outcome(run, done, metrics)


def _convert(work: RunContext) -> None:
    """The recipe's sources as records. What the run has is what it is about, even where its sources have changed or gone since."""
    run, data = work.run, work.loaded.recipe.data
    if "data" in run.status["stages"] and work.outputs_are_intact(run, "data"):
        work.done["data"] = "done before"
        return
    key = cache_keys.data_key(data)
    if not work.begin("data", key):
        return
    manifest = build(data, run / "data")
    dropped = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in manifest["dropped"].items()) or "none"
    splits = ", ".join(f"{count:,} {split}" for split, count in manifest["splits"].items())
    weighed = f", {manifest['repeated']:+,} training rows by the sources' weights" if manifest.get("repeated") else ""
    work.display.say("data", f"{manifest['rows_in']:,} rows in, {manifest['rows_kept']:,} kept ({splits}{weighed}); dropped: {dropped}")
    for note in source_notes(manifest):
        work.display.say("data", note)
    work.complete("data", key)


def _model(work: RunContext) -> ResolvedModel:
    """The model to start from; where that is another recipe's and not there yet, that one is run first.

    A run that has trained has the model that it was trained on, or none: an adapter on another base is another model.
    """
    run, loaded, root, display = work.run, work.loaded, work.root, work.display
    if "train" in run.status["stages"]:
        return trained_on(run, loaded, root)
    if first := prerequisite.needed(loaded, root):
        display.say("first", f"{first.recipe.name} ({first.path}): {loaded.recipe.name} starts from its model, which is not there yet")
        run_or_resume(first, root, display)
        display.say("then", loaded.recipe.name)
    return resolve_model(loaded.recipe.model, root, loaded.is_smoke)


def trained_on(run: RunFolder, loaded: LoadedRecipe, root: Path) -> ResolvedModel:
    """The model that the run was trained on, where it still is what it was. Raises UserError where it is not."""
    lock = run.read("lock.json").get("model")
    if lock and is_unchanged(before := ResolvedModel(**lock)):
        return before
    found = resolve_model(loaded.recipe.model, root, loaded.is_smoke)
    if lock and found.identity != lock["identity"]:
        what = f"was trained on {lock['note']}, which is not {found.note} as it is now"
        raise UserError(Problem(Location(str(run.path)), what, "bring it back: an adapter on another base is another model", "other-model"))
    return found


def _evaluate(work: RunContext, planned: TrainingJob) -> dict[str, Any]:
    """The metrics of the tuned model beside its baselines."""
    run, recipe = work.run, work.loaded.recipe
    key = cache_keys.evaluate_key(recipe.evaluation, recipe.evaluation_split, run.status["stages"]["train"])
    if work.begin("evaluate", key):
        run.update(stages={stage: value for stage, value in run.status["stages"].items() if stage != "evaluate"})
        evaluate(run, recipe, planned.plan, planned.model, work.display)
        beside = "baselines" if recipe.data.type == "classification" else "base"
        work.display.say("evaluate", f"{run.read('eval/metrics.json')['rows']} {recipe.evaluation_split} rows, {beside} beside tuned")
        work.complete("evaluate", key)
    return run.read("eval/metrics.json")
