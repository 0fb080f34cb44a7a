"""Resolve a recipe that starts from another's model (`base_model: run:NAME`): whether that must be run first, and its recipe."""

from pathlib import Path

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.extends import find_recipe
from ...schemas.paths import SUFFIXES
from ...schemas.recipe import LoadedRecipe, load_recipe
from ...schemas.yaml_writing import to_yaml
from ..models.resolve import finished_model
from ..runtime.find_run import all_runs
from ..runtime.run_folder import RunFolder

RUN = "run:"


def needed(loaded: LoadedRecipe, root: Path) -> LoadedRecipe | None:
    """Return the recipe to run before this one; None if its model exists, or none is needed.

    Any finished run will do, but a smoke run needs a smoke run of the recipe's current version. Raises UserError if there is no such
    recipe, or if recipes depend on each other.
    """
    if not loaded.recipe.model.base_model.startswith(RUN):
        return None
    upstream = _chain(loaded)[0] if loaded.is_smoke else None
    found = finished_model(_wanted(loaded), root, loaded.is_smoke)
    if found and (upstream is None or is_run_of(found, upstream)):
        return None
    return upstream or _chain(loaded)[0]


def unfinished(loaded: LoadedRecipe, root: Path) -> RunFolder | None:
    """Return the newest run of exactly this recipe, if it is unfinished."""
    newest = next((run for run in all_runs(root, loaded.recipe.name) if is_run_of(run, loaded)), None)
    return newest if newest and newest.status.get("state") != "done" else None


def is_run_of(run: RunFolder, loaded: LoadedRecipe) -> bool:
    """Return whether the run's own copy of its recipe equals this recipe; False if it cannot be read."""
    try:
        return run.is_smoke == loaded.is_smoke and Path(run.recipe_file).read_bytes() == to_yaml(loaded.document.data).encode()
    except UserError:
        return False


def _wanted(loaded: LoadedRecipe) -> str:
    return loaded.recipe.model.base_model.removeprefix(RUN)


def _chain(loaded: LoadedRecipe) -> list[LoadedRecipe]:
    """Return the recipe that this one starts from, the recipe that that starts from, and so on."""
    chain: list[LoadedRecipe] = []
    names = [loaded.recipe.name]
    while (chain[-1] if chain else loaded).recipe.model.base_model.startswith(RUN):
        here = chain[-1] if chain else loaded
        following = _load(here)
        chain.append(following)
        if following.recipe.name in names:
            what = f"recipes start from each other: {' <- '.join([*names, following.recipe.name])}"
            raise UserError(
                Problem(here.document.location(("model", "base_model")), what, "set base_model of one of them to a model", "run-cycle")
            )
        names.append(following.recipe.name)
    return chain


def _load(loaded: LoadedRecipe) -> LoadedRecipe:
    name, location = _wanted(loaded), loaded.document.location(("model", "base_model"))
    nearby = [loaded.path.parent / f"{name}{suffix}" for suffix in SUFFIXES]
    try:
        path = next((path for path in nearby if path.is_file()), None) or find_recipe(name)
        found = load_recipe(str(path), (), loaded.is_smoke)
    except UserError as error:
        if error.problems[0].rule != "no-such-recipe":
            raise
        hint = f"no such recipe next to this one or among the shipped ones: set a model, or run it first: recipe run {name}"
        raise UserError(Problem(location, f"{RUN}{name} has no finished full-parameter run", hint, "no-model")) from None
    if found.recipe.matrix:
        what = f"{RUN}{name} is a sweep of several recipes"
        raise UserError(Problem(location, what, "run it, and use the name of one of its recipes (the folders of its runs)", "no-model"))
    if found.recipe.training.adapter != "none":
        what = f"{RUN}{name} makes an adapter (adapter: {found.recipe.training.adapter}), not a full model"
        raise UserError(Problem(location if location.file else Location(name), what, "use a recipe with adapter: none", "no-model"))
    return found
