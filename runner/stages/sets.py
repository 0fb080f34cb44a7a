"""The sets stage: converts the further evaluation sets of a recipe to folders of records that training has not seen."""

from pathlib import Path

from ...converters.building.held_out import refuse_seen_rows
from ...converters.building.manifest import Manifest
from ...converters.building.pipeline import build
from ...schemas import VERSION
from ...schemas.base.counted import counted, listed
from ...schemas.base.files import replacing_folder
from ...schemas.base.hashing import key_of
from ...schemas.sections import Recipe
from ..evaluation.evaluated_rows import SET_ROWS
from ..reporting.ledger_table import source_notes
from ..runtime.run_files import SETS
from ..runtime.run_folder import RunFolder
from ..runtime.seals import unseal_files
from .context import RunContext
from .data import data_key, file_hashes

NAME = SETS
OUTPUTS = (SETS,)
OPTIONAL_OUTPUTS: tuple[str, ...] = ()
FINAL = False


def key(context: RunContext) -> str:
    """Return a hash of everything that the sets depend on, and of the training rows that they must not contain."""
    sets = {name: context.recipe.of_set(name).data for name in context.recipe.evaluation.also}
    made_of = {name: data_key(data, (file_hashes(source) for source in data.sources)) for name, data in sets.items()}
    return key_of("sets", VERSION, made_of, context.recipe.data.check_leaks, context.keys["data"])


def faults(run: RunFolder) -> list[str]:
    """Return none: the run's seal covers every file."""
    return []


def run(context: RunContext) -> None:
    """Convert every set, then search for its rows in the training data.

    Raises UserError for a set that cannot be converted, GateError for a row that training has seen.
    """
    with replacing_folder(context.run / SETS) as folder:
        manifests = build_sets(context.recipe, context.manifest, context.run / "data", folder)
        unseal_files(context.run.path, OUTPUTS)
    for name, manifest in manifests.items():
        rows = f"{counted(manifest['rows_in'], 'row')} in, {manifest['rows_kept']:,} kept; dropped: {listed(manifest['dropped'])}"
        context.display.say(NAME, f"{name}: {rows}")
        for note in source_notes(manifest):
            context.display.say(NAME, f"{name}: {note}")


def build_sets(recipe: Recipe, trained: Manifest, data: Path, out: Path) -> dict[str, Manifest]:
    """Convert every set of the recipe to a folder in `out`, and compare it with the records in `data`, whose manifest is `trained`.

    Raises UserError for a set that cannot be converted, GateError for a row that training has seen.
    """
    found: dict[str, Manifest] = {}
    for name in recipe.evaluation.also:
        of_set = recipe.of_set(name).data
        if of_set.type == "classification":  # the labels are those of the training
            of_set = of_set._replace(labels=tuple(trained.get("labels", ())))
        found[name] = build(of_set, out / name)
    refuse_seen_rows(recipe.data, data, {name: (manifest["type"], out / name / SET_ROWS) for name, manifest in found.items()})
    return found
