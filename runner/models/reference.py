"""What can answer: a run, a recipe's newest run, or anything that a recipe may name as its base model."""

import json
from pathlib import Path
from typing import NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.hashing import folder_identity
from ...schemas.recipe import load_recipe
from ...schemas.sections import Model
from ..runtime.run_folder import RunFolder, all_runs
from .resolve import resolve_model


class ModelReference(NamedTuple):
    """A model to load: `base` is a hub name (at `revision`) or a folder, `adapter` a folder or "".

    `identity` changes whenever the weights may. `kind` is the type of the records that it was trained on where that is known (chat, text,
    classification), else "". `run` is the directory of the run that it comes from, or "".
    """

    name: str
    base: str
    adapter: str
    tokenizer: str
    identity: str
    note: str
    revision: str | None = None
    kind: str = ""
    run: str = ""


def resolve_target(name: str, runs: Path) -> ModelReference:
    """The model called `name`. Raises UserError when there is none."""
    run = _run(name, runs)
    if run is None:
        found = resolve_model(Model(name), runs)
        return ModelReference(name, found.path, "", found.path, found.identity, found.note, kind=_kind(Path(found.path)))
    folder = (run / "model").resolve()
    if not folder.is_dir():
        raise UserError(Problem(Location(str(run.path)), "has no trained model", f"recipe resume {run.path}", "no-model"))
    recipe = load_recipe(str(run / "recipe.yml")).recipe
    identity, note = folder_identity(folder), f"the model of {run.path}" + (", a smoke run" if run.status.get("smoke") else "")
    whole = ModelReference(name, str(folder), "", str(folder), identity, note, kind=recipe.data.type, run=str(run.path))
    if not (folder / "adapter_config.json").is_file():
        return whole
    base = base_of(whole)
    return whole._replace(
        base=base.base, adapter=str(folder), identity=f"{base.identity}+{identity}", note=f"{note}, on {base.note}", revision=base.revision
    )


def base_of(target: ModelReference) -> ModelReference:
    """The model that a run started from, with the run's own tokenizer, so that both read a prompt alike. Raises UserError without one."""
    if not target.run:
        raise UserError(Problem(Location(target.name), "is no run: there is no base model to stand beside it", rule="no-model"))
    run = RunFolder(Path(target.run))
    base = run.read("lock.json").get("model", {})
    if not base.get("path"):
        raise UserError(Problem(Location(str(run / "lock.json")), "does not say which model it was trained on", rule="no-model"))
    revision = load_recipe(str(run / "recipe.yml")).recipe.model.revision
    return target._replace(
        name="base", base=base["path"], adapter="", identity=base.get("identity", ""), note=base.get("note", ""), revision=revision
    )


def _run(name: str, runs: Path) -> RunFolder | None:
    """A run's directory, or a recipe's newest run with a model; None where the name is of something else."""
    if (Path(name) / "status.json").is_file():
        return RunFolder(Path(name))
    recipe = name.removeprefix("run:")
    if "/" in recipe or ":" in recipe or (not name.startswith("run:") and Path(name).is_dir()):
        return None
    return next((run for run in all_runs(runs, recipe) if (run / "model").is_dir()), None)


def _kind(folder: Path) -> str:
    """classification where the folder's model has a head for labels, else "": a chat template tells, once it is loaded."""
    try:
        architectures = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    except (OSError, ValueError):
        return ""
    return "classification" if architectures[0].endswith("ForSequenceClassification") else ""
