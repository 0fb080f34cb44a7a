"""The data stage: converts the recipe's sources to a folder of records with a manifest."""

from collections.abc import Iterable
from typing import Any

from ...converters.building.hub_datasets import commit_of, is_on_hub
from ...converters.building.manifest import verify_folder
from ...converters.building.pipeline import build
from ...converters.reading.file_hashes import source_sha256
from ...converters.reading.files import source_files
from ...converters.sources.registry import converter
from ...schemas import VERSION
from ...schemas.base.counted import counted, listed
from ...schemas.base.hashing import key_of
from ...schemas.sections import Data, Source
from ..reporting.ledger_table import leaks_line, source_notes
from ..runtime.run_folder import RunFolder
from .context import RunContext

NAME = "data"
OUTPUTS = ("data",)
OPTIONAL_OUTPUTS: tuple[str, ...] = ()
FINAL = True


def key(context: RunContext) -> str:
    """Return a hash of everything that the records depend on."""
    return data_key(context.data, (file_hashes(source) for source in context.data.sources))


def faults(run: RunFolder) -> list[str]:
    """Return how the records differ from what was written."""
    return verify_folder(run / "data")


def run(context: RunContext) -> None:
    """Convert the sources. The key is then that of the converted bytes, even if the sources have changed since."""
    data = context.data
    manifest = build(data, context.run / "data")
    context.replace_data(manifest)
    context.keys[NAME] = data_key(data, ([[f["name"], f.get("sha256")] for f in source["files"]] for source in manifest["sources"]))
    weights = [f"{sign}{count:,}" for sign, key in (("-", "left_out"), ("+", "repeated")) if (count := manifest.get(key))]
    weighed = f", {' and '.join(weights)} training rows by the sources' weights" if weights else ""
    kept = f"{manifest['rows_kept']:,} kept ({listed(manifest['splits'])}{weighed})"
    context.display.say(NAME, f"{counted(manifest['rows_in'], 'row')} in, {kept}; dropped: {listed(manifest['dropped'])}")
    for note in [*source_notes(manifest), leaks_line(manifest)]:
        if note:
            context.display.say(NAME, note)


def data_key(data: Data, files: Iterable[list[Any]]) -> str:
    """Return a hash of every source's bytes or commit, its options, and its converter's version; paths do not matter.

    `files` are the names and hashes of each source's files.
    """
    sources = []
    for source, hashes in zip(data.sources, files, strict=True):
        version = converter(source.converter).VERSION
        if is_on_hub(source):
            sources.append([*source._replace(revision=commit_of(source)), version])
        else:
            sources.append([*source._replace(path="")[1:], version, hashes])
    return key_of("data", VERSION, data._replace(sources=())._asdict(), sources)


def file_hashes(source: Source) -> list[Any]:
    """Return name and hash of each of the source's files; [] for a dataset on the Hub, which its commit identifies."""
    return [] if is_on_hub(source) else [[file.name, source_sha256(file.path)] for file in source_files(source.path)]
