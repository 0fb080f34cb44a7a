"""Which runs there are, and which of them a name means."""

import os
from collections.abc import Iterable
from pathlib import Path

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.hashing import SEAL
from ...schemas.base.suggestion import did_you_mean
from ...schemas.extends import is_recipe_name
from ...schemas.paths import SUFFIXES
from ...schemas.recipe import load_recipe
from .run_files import RECIPE, REPORT, STATUS
from .run_folder import RunFolder

_INSIDE = ("model", "merged", REPORT)  # paths inside a run that may name it


def all_runs(root: Path, recipe_name: str | None = None) -> list[RunFolder]:
    """Return the runs under `root`, newest first."""
    folders = root.glob("*") if recipe_name is None else [root / recipe_name]
    found = (path.parent for folder in folders for path in folder.glob(f"*/{STATUS.name}"))
    return [RunFolder(path) for path in sorted(found, key=lambda p: p.name, reverse=True)]


def closed_folders(root: Path) -> list[Path]:
    """Return the folders of recipes and runs under `root` that this user may not open: others' own, where several people share it."""
    folders = (folder for folder in (root, *root.glob("*"), *root.glob("*/*")) if os.path.isdir(folder))  # Path.is_dir may raise
    return sorted(folder for folder in folders if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True))


def require_open(name: str, root: Path) -> None:
    """Raise UserError if the name means a recipe or a run whose folder this user may not open."""
    if closed := [folder for folder in closed_folders(root) if name in (folder.name, folder.parent.name)]:
        raise _closed(closed[0])


def _closed(folder: Path) -> UserError:
    return UserError(Problem(folder, "may not be opened by this user", "ask its owner for the right to read it", "no-permission"))


def full_first(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """Return the runs in their order, but smoke runs last: the name of a recipe means its model, not random weights."""
    return sorted(runs, key=lambda run: run.is_smoke)


def named_run(name: str, root: Path, with_smoke: bool = False) -> RunFolder | None:
    """Return the run that a name refers to; None if there is none.

    A name is a run's directory or its model/, merged/ or report.html (relative, absolute, below ~ or below `root`), a run's name, or a
    recipe's name or file: its newest run, a smoke run only without another or `with_smoke`. Raises UserError for an invalid recipe file.
    """
    path = Path(name).expanduser()
    for place in (path, root / path):
        for folder in (place, place.parent) if place.name in _INSIDE else (place,):
            if (folder / STATUS.name).is_file():
                return RunFolder(folder)
    recipe = name.removeprefix("run:")
    if path.suffix in SUFFIXES and path.is_file():
        recipe = load_recipe(name).recipe.name
    elif not recipe or "/" in recipe or ":" in recipe:
        return None
    own = all_runs(root, recipe)
    return next(iter([*(own if with_smoke else full_first(own)), *(run for run in all_runs(root) if run.path.name == recipe)]), None)


def find_run(name: str, root: Path, with_smoke: bool = False) -> RunFolder:
    """Return the run that a name refers to, as `named_run`. Raises UserError if there is none, suggesting the nearest name."""
    try:
        found = named_run(name, root, with_smoke)
    except PermissionError as error:
        raise _closed(Path(error.filename).parent) from None
    if found:
        return found
    require_open(name, root)
    for folder in (Path(name).expanduser(), root / name):
        if (folder / RECIPE).is_file() and (folder / SEAL).is_file():
            raise UserError(Problem(folder / STATUS.name, "is missing: without it the folder is no run", "restore the file", "damaged"))
    hint = f"it has not been run: recipe run {name}" if is_recipe_name(name) else near_names(name, root) or "`recipe runs` lists the runs"
    raise UserError(Problem(name, "no such run", hint, "no-such-run"))


def near_names(name: str, root: Path) -> str:
    """Return "did you mean ...?" for a name similar to that of a run or of a recipe with runs; otherwise ""."""
    names = {part for run in all_runs(root) for part in (run.path.name, run.path.parent.name)}
    return did_you_mean(name, sorted(names))
