"""Which files of records an argument of `recipe data` names: a file, a folder, a run, or a recipe, which is converted first."""

from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...converters.building.pipeline import MANIFEST, build
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.extends import SUFFIXES, find_recipe
from ...schemas.recipe import load_recipe
from ...schemas.sections import SPLITS
from ..runtime.run_folder import RUNS
from .record_rows import RECORD_FILES


class Inputs(NamedTuple):
    """The files by the name that people see (a split's, or the file's), and the manifest of the conversion that wrote them, if any.

    `passing` says that they go when the command ends.
    """

    name: str
    files: dict[str, Path]
    manifest: dict[str, Any]
    passing: bool = False


def is_recipe(what: str) -> bool:
    """Whether the argument can only be a recipe: it is neither a folder nor a file of records."""
    path = Path(what)
    return not path.is_dir() and (path.suffix in SUFFIXES or not path.is_file())


def find_inputs(what: str, scratch: Path, settings: tuple[str, ...] = ()) -> Inputs:
    """The files of records that `what` names. A recipe's sources are converted into the folder `scratch`."""
    path = Path(what)
    if path.is_dir():
        return files_in(path)
    if not is_recipe(what):
        return Inputs(path.name, {path.name: path}, {})
    try:
        recipe_path = find_recipe(what)
    except UserError:
        hint = "give a file of records, a folder that recipe convert wrote, a run's folder, or a recipe"
        raise UserError(Problem(Location(what), "no such file, folder or recipe", hint, "no-such-file")) from None
    from ..generate.stage import already_generated

    loaded = load_recipe(str(recipe_path), settings)
    build(already_generated(loaded, RUNS), scratch / "data")
    return files_in(scratch / "data")._replace(name=loaded.recipe.name, passing=True)


def files_in(folder: Path) -> Inputs:
    """The splits of a converted folder or of a run; else every file of records in the folder."""
    for place in (folder, folder / "data"):
        if (place / MANIFEST).is_file():
            manifest = orjson.loads((place / MANIFEST).read_bytes())
            splits = {name: place / f"{name}.jsonl" for name in SPLITS if (place / f"{name}.jsonl").is_file()}
            if splits:
                return Inputs(folder.resolve().name, splits, manifest)
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.name.endswith(RECORD_FILES)}
    if not files:
        hint = f"it holds no {MANIFEST} of a conversion and no {', '.join(RECORD_FILES)}"
        raise UserError(Problem(Location(str(folder)), "holds no files of records", hint, "no-records"))
    return Inputs(folder.resolve().name, files, {})
