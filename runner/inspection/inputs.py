"""Record files of an argument of `recipe data`: a file, a folder, a run, or a recipe, which is converted first."""

from pathlib import Path
from typing import Any, NamedTuple, cast

from ...converters.building.manifest import read_manifest, verify_folder
from ...converters.building.pipeline import build
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import MANIFEST
from ...schemas.extends import find_recipe, is_recipe_name
from ...schemas.paths import SUFFIXES
from ...schemas.recipe import LoadedRecipe, load_recipe
from ...schemas.sections import SPLITS
from ..runtime.run_folder import RUNS
from .record_rows import RECORD_FILES


class Inputs(NamedTuple):
    """Files by displayed name (the split's or the file's), and the manifest of the conversion that wrote them, if any.

    `temporary` files are removed when the command ends.
    """

    name: str
    files: dict[str, Path]
    manifest: dict[str, Any]
    temporary: bool = False


def is_recipe(what: str) -> bool:
    """Return whether the argument must be a recipe: neither a folder nor a record file. A recipe may have the name of a folder with its
    sources, which has no record files."""
    path = Path(what)
    if path.is_dir():
        return is_recipe_name(what) and not _holds_records(path)
    return path.suffix in SUFFIXES or not path.is_file()


def _holds_records(folder: Path) -> bool:
    try:
        return bool(files_in(folder).files)
    except UserError as error:
        return error.problems[0].rule != "no-records"


def find_inputs(what: str, scratch: Path, root: Path = RUNS, settings: tuple[str, ...] = ()) -> Inputs:
    """Find the record files of `what`. A recipe's sources are converted into the folder `scratch`; `root` is the folder of runs.

    Raises UserError if there are none.
    """
    path = Path(what)
    if not is_recipe(what):
        return files_in(path) if path.is_dir() else Inputs(path.name, {path.name: path}, {})
    from ..generate.stage import with_generated_rows

    loaded = load_named(what, settings)
    build(with_generated_rows(loaded, root), scratch / "data")
    return files_in(scratch / "data")._replace(name=loaded.recipe.name, temporary=True)


def load_named(what: str, settings: tuple[str, ...]) -> LoadedRecipe:
    """Load the recipe that the argument names. Raises UserError if there is none."""
    try:
        path = find_recipe(what)
    except UserError:
        hint = "give a record file, a folder written by `recipe convert`, a run's directory, or a recipe"
        raise UserError(Problem(what, "no such file, folder or recipe", hint, "no-such-file")) from None
    return load_recipe(str(path), settings)


def files_in(folder: Path) -> Inputs:
    """Return the splits of a converted folder or of a run, else every record file in the folder. Raises UserError if there is none."""
    for home in (folder, folder / "data"):
        if (home / MANIFEST).is_file():
            manifest = cast(dict[str, Any], read_manifest(home))
            splits = {name: home / f"{name}.jsonl" for name in SPLITS if (home / f"{name}.jsonl").is_file()}
            if faults := verify_folder(home):
                hint = "convert the sources again, or inspect a file by its name"
                raise UserError(*(Problem("", fault, hint, "damaged") for fault in faults))
            if splits:
                return Inputs(folder.resolve().name, splits, manifest)
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.name.endswith(RECORD_FILES)}
    if not files:
        hint = f"expected {MANIFEST} of a conversion, or {', '.join(RECORD_FILES)} files"
        raise UserError(Problem(folder, "no record files in this folder", hint, "no-records"))
    return Inputs(folder.resolve().name, files, {})
