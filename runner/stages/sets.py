"""The sets stage: the further evaluation sets of a recipe as folders of records, none of which training has seen."""

from pathlib import Path

from ...converters.building.held_out import refuse_seen_rows
from ...converters.building.manifest import Manifest
from ...converters.building.pipeline import build
from ...schemas import VERSION
from ...schemas.base.files import replacing_folder
from ...schemas.base.hashing import key_of
from ...schemas.sections import Recipe
from ..runtime.run_files import SETS
from ..runtime.run_folder import RunFolder
from .context import RunContext
from .data import data_key, file_hashes

NAME = SETS
OUTPUTS = (SETS,)
OPTIONAL_OUTPUTS: tuple[str, ...] = ()
FINAL = False
ROWS = "test.jsonl"  # of a set's folder


def key(context: RunContext) -> str:
    """Changes with whatever the sets are made of, and with the training rows that none of them may hold."""
    sets = {name: context.recipe.of_set(name).data for name in context.recipe.evaluation.also}
    made_of = {name: data_key(data, (file_hashes(source) for source in data.sources)) for name, data in sets.items()}
    return key_of("sets", VERSION, made_of, context.recipe.data.check_leaks, context.keys["data"])


def faults(run: RunFolder) -> list[str]:
    """None beside what the run's seal says of each file."""
    return []


def run(context: RunContext) -> None:
    """Convert every set, then look for its rows among those of training.

    Raises UserError for a set that cannot be converted, GateError for a row that training has seen.
    """
    with replacing_folder(context.run / SETS) as folder:
        manifests = build_sets(context.recipe, context.manifest, context.run / "data", folder)
    for name, manifest in manifests.items():
        dropped = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in manifest["dropped"].items()) or "none"
        context.display.say(NAME, f"{name}: {manifest['rows_in']:,} rows in, {manifest['rows_kept']:,} kept; dropped: {dropped}")


def build_sets(recipe: Recipe, trained: Manifest, data: Path, out: Path) -> dict[str, Manifest]:
    """Convert every set of the recipe to a folder in `out`, and compare it with the records in `data`, whose manifest `trained` is.

    Raises UserError for a set that cannot be converted, GateError for a row that training has seen.
    """
    found: dict[str, Manifest] = {}
    for name in recipe.evaluation.also:
        of_set = recipe.of_set(name).data
        if of_set.type == "classification":  # its labels are those that are trained
            of_set = of_set._replace(labels=tuple(trained.get("labels", ())))
        found[name] = build(of_set, out / name)
    refuse_seen_rows(recipe.data, data, {name: (manifest["type"], out / name / ROWS) for name, manifest in found.items()})
    return found
