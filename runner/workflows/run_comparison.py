"""Compare a finished run's inputs with this machine's: sources, data, model, rendered files, packages, machine, in that order."""

import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from ...converters.building.hub_datasets import is_on_hub
from ...converters.building.manifest import Manifest, verify_folder
from ...converters.building.pipeline import build
from ...converters.reading.files import source_files
from ...converters.sources.registry import converter
from ...schemas import VERSION
from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.base.hashing import file_sha256
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Data
from ..generate.stage import ROWS_FILE, with_rows_file
from ..launch.plan import Plan, TrainingJob, make_job
from ..models.resolve import ResolvedModel, is_unchanged, resolve_model
from ..resources.batch_size import with_batch
from ..runtime.checkpoints import changes
from ..runtime.machine import package_versions, this_machine
from ..runtime.run_files import LOCK, MANIFEST, Lock
from ..runtime.run_folder import RunFolder
from ..stages.merge import CONFIG as MERGE_CONFIG
from ..stages.prerequisite import RUN

PARTS = ("sources", "data", "model", "rendered", "packages", "machine")
_OF_FILES = ("recipekit", "sources", "files")  # of a manifest: its other keys count rows and name labels


class Inputs(NamedTuple):
    """The differences of each of the PARTS as phrases, the earliest first; the folder with the run's rows, None if they are lost; and the
    training that its recipe gives here and now, None without its model. `notes` says what could not be compared of a part."""

    differences: dict[str, list[str]]
    data: Path | None
    planned: TrainingJob | None
    notes: dict[str, str]


def compare_inputs(run: RunFolder, loaded: LoadedRecipe, root: Path, scratch: Path) -> Inputs:
    """Hash the run's sources, convert and render again, and compare. `scratch` is a new folder for the converted rows."""
    manifest, lock = run.read(MANIFEST), run.read(LOCK)
    data = loaded.recipe.data
    if loaded.recipe.generate:
        data = with_rows_file(data, run / "generated" / ROWS_FILE)
    found = {"sources": list(_sources(data, manifest))}
    damaged = verify_folder(run / "data")
    converted = list(_converted(data, run, manifest, scratch))
    found["data"] = [*damaged, *converted]
    model, found["model"] = _model(loaded, lock, root)
    planned = make_job(with_batch(loaded, lock["batch"]), manifest, this_machine(), model) if model else None
    found["rendered"] = list(_rendered(run, planned.plan)) if planned else ["nothing can be rendered without the model"]
    was = {"recipekit": lock["recipekit"], "python": lock["python"], **lock["packages"]}
    here = {"recipekit": VERSION, "python": sys.version.split()[0], **package_versions()}
    found["packages"] = changes({"packages": was}, {"packages": here}, "packages")
    found["machine"] = changes(lock, {"machine": this_machine()._asdict()}, "machine")
    rows = run / "data" if not damaged else None if converted else scratch
    unknown = unpinned(model) if model else ""
    return Inputs(found, rows, planned, {"model": unknown} if unknown else {})


def _sources(data: Data, manifest: Manifest) -> Iterator[str]:
    """Yield how the sources' files differ from the converted ones. A hub dataset is pinned by its commit, so it is not read."""
    if (now := len(data.sources)) != (was := len(manifest["sources"])):
        yield f"the recipe had {counted(was, 'source')} and has {now}"
    for source, facts in zip(data.sources, manifest["sources"], strict=False):
        if is_on_hub(source):
            continue
        was = {file["name"]: file["sha256"] for file in facts["files"]}
        try:
            now = {file.name: file_sha256(file.path) for file in source_files(source.path)}
        except (UserError, OSError) as error:
            yield f"{source.path}: {error.problems[0].what if isinstance(error, UserError) else error.strerror}"
            continue
        for name in {**was, **now}:
            if was.get(name) != now.get(name):
                yield f"{name} in {source.path}: its sha256 was {was.get(name, 'absent')} and is {now.get(name, 'of no file')}"


def _converted(data: Data, run: RunFolder, manifest: Manifest, scratch: Path) -> Iterator[str]:
    """Yield how the sources, converted now, differ from the manifest."""
    for source, facts in zip(data.sources, manifest["sources"], strict=False):
        if (now := converter(source.converter).VERSION) != facts["version"]:
            yield f"the converter {source.converter} was version {facts['version']} and is {now}"
    try:
        again = build(data, scratch)
    except UserError as error:
        yield f"the sources cannot be converted again: {error.problems[0].what}"
        return
    for name in {**manifest["files"], **again["files"]}:
        hashes = [facts["files"].get(name, {}).get("sha256", "absent") for facts in (manifest, again)]
        if hashes[0] != hashes[1]:
            where = _first_line(run / "data" / name, scratch / name)
            yield f"{name}: its sha256 was {hashes[0]} and is {hashes[1]}, converted again{where}"
    for key in manifest:
        if key not in _OF_FILES and manifest[key] != again.get(key):
            yield f"{key} was {manifest[key]} and is {again.get(key)}, converted again"


def _first_line(one: Path, other: Path) -> str:
    """Return the first line in which two files differ, if both exist."""
    if not (one.is_file() and other.is_file()):
        return ""
    with one.open("rb") as mine, other.open("rb") as its:
        return next((f", first different line {number}" for number, pair in enumerate(zip_longest(mine, its), 1) if pair[0] != pair[1]), "")


def _model(loaded: LoadedRecipe, lock: Lock, root: Path) -> tuple[ResolvedModel | None, list[str]]:
    """Return the model to start from, None if it no longer exists, and the differences."""
    before = ResolvedModel(**lock["model"])
    try:
        now = resolve_model(loaded.recipe.model, root, loaded.is_smoke)
    except UserError as error:
        return None, [f"{before.note}: {error.problems[0].what}"]
    if now.identity != before.identity and loaded.recipe.model.base_model.startswith(RUN) and is_unchanged(before):
        return before, []  # a newer run has the name now, but the model still exists
    what = f"was {before.note}, identity {before.identity}, and is {now.note}, identity {now.identity}"
    return now, [what] if now.identity != before.identity else []


def unpinned(model: ResolvedModel) -> str:
    """Return what is unknown about a hub model named by a branch or a tag."""
    name, _, revision = model.identity.rpartition("@")
    if not name or re.fullmatch(r"[0-9a-f]{40}", revision):
        return ""
    return f"by name only: the commit of {revision} at that time was not recorded (model.revision takes a commit)"


def _rendered(run: RunFolder, plan: Plan) -> Iterator[str]:
    """Yield the first different line of each rendered file that has changed."""
    here = {str(path.relative_to(run.path)) for path in (run / "rendered").glob("*")} - {MERGE_CONFIG}  # it does not affect training
    for name in dict.fromkeys([*plan.files, *sorted(here)]):
        was = (run / name).read_bytes().decode(errors="replace") if (run / name).is_file() else None
        now = plan.files.get(name)
        if was is None or now is None:
            yield f"{name} {'is missing from the run' if was is None else 'would no longer be rendered'}"
        elif was != now:
            lines = zip_longest(was.splitlines(keepends=True), now.splitlines(keepends=True), fillvalue="")
            number, (old, new) = next((number, pair) for number, pair in enumerate(lines, 1) if pair[0] != pair[1])
            yield f"{name}:{number} was {old.rstrip()!r} and is {new.rstrip()!r}"
