"""`recipe run`: run a recipe's stages in order, and reuse each whose key shows that it was done before."""

import time
from pathlib import Path
from typing import NamedTuple

from ...converters.building.hub_datasets import is_commit, is_on_hub, pin_commits
from ...schemas.base.errors import Interrupted, Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.base.hashing import key_of
from ...schemas.base.screen import Screen
from ...schemas.recipe import LoadedRecipe, load_recipe
from ...schemas.sample_prompts import sample_prompt_problems
from ...schemas.sections import Recipe, Source
from ...schemas.yaml_writing import dotted, one_line, to_yaml
from ..evaluation.blimp import pin_pairs
from ..launch import slurm
from ..launch.plan import require_startable
from ..models.resolve import require_model_of, require_sentiment_model_of
from ..reporting.metrics_table import metrics_table
from ..reporting.report import write_report
from ..reporting.report_mark import is_outdated
from ..reporting.verdicts import failed_gates
from ..resources.model_checks import require_model_names
from ..runtime.console import Display
from ..runtime.find_run import all_runs, find_run
from ..runtime.machine import this_machine
from ..runtime.metrics_file import Metrics
from ..runtime.resolved_values import changed_values, effective_values
from ..runtime.run_files import MANIFEST, METRICS, ORIGINS, RECIPE, SMOKE_KEYS
from ..runtime.run_folder import RunFolder, create
from ..runtime.seals import seal_files
from ..stages import data as data_stage
from ..stages import evaluate, prerequisite, smoke_test, train
from ..stages.context import RunContext
from ..stages.registry import data_stages, model_stages, set_stages
from ..stages.report import require_gates
from ..stages.stage import complete, finished_run


class Outcome(NamedTuple):
    """The outcome of a run. `stages` says for each stage whether it was run or reused."""

    run: RunFolder
    stages: dict[str, str]
    metrics: Metrics | None


def run_recipe(loaded: LoadedRecipe, root: Path, display: Display) -> Outcome:
    """Run the recipe in a new directory under `root`, or return the finished run that already has this result.

    Raises UserError if it cannot be started.
    """
    require_startable(loaded, this_machine())
    require_model_names(loaded)
    if problems := sample_prompt_problems(loaded.document.data, loaded.document):
        raise UserError(*problems)
    loaded = pin_pairs(pin_commits(loaded))
    context = RunContext(loaded, root, display, previous=all_runs(root, loaded.recipe.name))
    if loaded.full:
        smoke_test.announce(smoke_test.differences(loaded.full, loaded.recipe), display)
    if done := _already_done(context):
        return done
    require_model_of(loaded, root)
    require_sentiment_model_of(loaded, root)
    context.begin(_new_run(loaded, root))
    return _run_stages(context)


def run_or_resume(loaded: LoadedRecipe, root: Path, display: Display) -> Outcome:
    """Resume the newest unfinished run of exactly this recipe, else run it."""
    unfinished = prerequisite.unfinished(loaded, root)
    return resume_run(unfinished, loaded, root, display) if unfinished else run_recipe(loaded, root, display)


def resume_recipe(loaded: LoadedRecipe, root: Path, display: Display) -> Outcome | None:
    """Resume the newest run of the recipe, and return its outcome; None if that run is finished.

    Raises UserError if there is no run, or if the recipe has other values now: a training resumes with the values that it started with.
    """
    run = find_run(loaded.recipe.name, root, with_smoke=True)
    if run.is_done:
        return None
    own = reload(run)
    if own.is_smoke != loaded.is_smoke:
        kinds = [("a smoke run" if one.is_smoke else "a full run") for one in (own, loaded)]
        what = f"the newest run, {run.path}, is {kinds[0]}, but {kinds[1]} was requested"
        raise UserError(Problem(loaded.path, what, _resume_hint(run), "other-values"))
    problems = []
    for path, (there, here) in changed_values(own.recipe, with_commits_of(own.recipe, loaded.recipe)).items():
        what = f"{dotted(path)} is {one_line(here)}, and {one_line(there)} in the unfinished run {run.path}"
        problems.append(Problem(loaded.document.location(path), what, _resume_hint(run), "other-values"))
    if problems:
        raise UserError(*problems)
    return resume_run(run, own, root, display)


def with_commits_of(pinned: Recipe, recipe: Recipe) -> Recipe:
    """Return the recipe with each branch or tag of a hub dataset replaced by its commit in `pinned`, the recipe of an earlier run."""
    data = recipe.data._replace(sources=_at_commits_of(pinned.data.sources, recipe.data.sources))
    also = dict(recipe.evaluation.also)
    for name in also.keys() & pinned.evaluation.also.keys():
        also[name] = also[name]._replace(sources=_at_commits_of(pinned.evaluation.also[name].sources, also[name].sources))
    return recipe._replace(data=data, evaluation=recipe.evaluation._replace(also=also))


def _at_commits_of(pinned: tuple[Source, ...], given: tuple[Source, ...]) -> tuple[Source, ...]:
    if len(given) != len(pinned):
        return given
    return tuple(_at_commit_of(then, now) for then, now in zip(pinned, given, strict=True))


def _at_commit_of(pinned: Source, given: Source) -> Source:
    moves = is_on_hub(given) and not is_commit(given.revision)  # a branch or a tag
    return given._replace(revision=pinned.revision) if moves and is_on_hub(pinned) else given


def _resume_hint(run: RunFolder) -> str:
    return f"recipe resume {run.path} keeps the run's values; recipe run without --resume starts a new run"


def resume_run(run: RunFolder, loaded: LoadedRecipe, root: Path, display: Display) -> Outcome:
    """Complete the run's remaining stages."""
    if not run.is_in_use():  # a run in use is refused when it is locked
        display.say("resume", f"{loaded.recipe.name} ({run.path}), {run.state} before")
    context = RunContext(loaded, root, display, run)
    _say_changed_sources(context)
    return _run_stages(context)


def _say_changed_sources(context: RunContext) -> None:
    """Print a message if the sources changed after the run converted them: it keeps its rows."""
    if (recorded := context.run.stages.get(data_stage.NAME)) is None:
        return
    try:
        current = data_stage.key(context)
    except UserError:  # the sources no longer exist, and the run does not need them
        return
    if current != recorded:
        context.display.say("data", "the sources have changed; the run keeps the rows that it converted before", "warning")


def execute(run: RunFolder, loaded: LoadedRecipe, root: Path, display: Display) -> Outcome:
    """Run the stages that the recipe needs and the run has not completed."""
    return _run_stages(RunContext(loaded, root, display, run))


def reload(run: RunFolder, settings: tuple[str, ...] = ()) -> LoadedRecipe:
    """Load the recipe of a run from the run's own copy."""
    status = run.status
    loaded = load_recipe(run.recipe_file, settings)
    return loaded._replace(path=Path(status.get("file", loaded.path)), is_smoke=status.get("smoke", False))


def _already_done(context: RunContext) -> Outcome | None:
    """Return the outcome of the finished run of exactly this recipe, data and model, if there is one. Rewrite its report if an earlier
    version of recipekit wrote it."""
    if not any(run.is_done for run in context.previous) or prerequisite.needed(context.loaded, context.root):
        return None
    recipe, say = context.recipe, context.display.say
    done = finished_run((*data_stages(recipe), *set_stages(recipe), *model_stages(recipe)), context)
    if done is None:
        return None
    metrics, outdated = done.read(METRICS), is_outdated(done)
    if evaluate.faults(done) or done.stages.get(evaluate.NAME) != context.keys[evaluate.NAME]:
        say(evaluate.NAME, f"{done.path.name} was changed by another process: not used", "yellow")
        return None
    if outdated:
        with done.locked():
            write_report(done)
    say("done", f"nothing has changed since {done.path}: no stage was run")
    return Outcome(done, dict.fromkeys(done.stages, "reused"), metrics)


def _new_run(loaded: LoadedRecipe, root: Path) -> RunFolder:
    """Create a run's directory with the recipe, the origin of its values, and no completed stage."""
    run = create(loaded.recipe.name, key_of(loaded.document.data), root)
    write_atomically(run / RECIPE, to_yaml(loaded.document.data).encode())
    run.write(ORIGINS, {dotted(path): found.origin_text for path, found in effective_values(loaded).items()})
    seal_files(run.path, (RECIPE, ORIGINS.name))
    run.update(recipe=loaded.recipe.name, file=str(loaded.path.absolute()), state="running", stages={}, started=round(time.time(), 3),
               smoke=loaded.is_smoke)  # fmt: skip
    if loaded.full:
        run.write(SMOKE_KEYS, {"keys": smoke_test.differences(loaded.full, loaded.recipe)})
    return run


def _run_stages(context: RunContext) -> Outcome:
    """Run the stages that are not complete, or submit them to Slurm. However they end, status.json says how."""
    run, recipe, display = context.run, context.recipe, context.display
    if train.NAME not in run.stages:
        require_startable(context.loaded, this_machine())
        if slurm.must_submit(recipe):
            slurm.submit(run, recipe, display)
            return Outcome(run, {}, None)
    with run.locked():
        try:
            with run.recording_outcome():
                complete((*data_stages(recipe), *set_stages(recipe)), context)
                _run_prerequisite(context)
                complete(model_stages(recipe), context)
        except KeyboardInterrupt:
            raise Interrupted(Problem("", "the run was stopped", f"recipe resume {run.path}", "interrupted")) from None
        finally:
            display.clear()
        metrics = run.read(METRICS)
        if failed_gates(metrics):
            metrics_table(metrics, Screen(stderr=True), run.find(MANIFEST))
        require_gates(metrics)
        return Outcome(run, context.outcomes, metrics)


def _run_prerequisite(context: RunContext) -> None:
    """If the recipe starts from another recipe's model that does not exist yet, run that recipe first."""
    if train.NAME in context.run.stages:
        return
    if first := prerequisite.needed(context.loaded, context.root):
        name, say = context.recipe.name, context.display.say
        say("first", f"{first.recipe.name} ({first.path}): {name} starts from its model, which does not exist yet")
        run_or_resume(first, context.root, context.display)
        say("then", name)
