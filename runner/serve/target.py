"""What can be served: a run, a recipe's newest run, or anything that a recipe may name as its base model."""

from pathlib import Path
from typing import NamedTuple

from ...schemas.errors import Mark, Problem, UserError
from ...schemas.sections import Model
from ..models.model_source import folder_identity, resolve_model
from ..run_folder import RunFolder, all_runs


class Target(NamedTuple):
    """A model to load: `base` is a hub name or a folder, `adapter` a folder or "". `identity` changes whenever the weights may."""

    name: str
    base: str
    adapter: str
    tokenizer: str
    identity: str
    note: str


def resolve_target(name: str, runs: Path) -> Target:
    """The model called `name`. Raises UserError when there is none."""
    run = _run(name, runs)
    if run is None:
        found = resolve_model(Model(name), runs)
        return Target(name, found.path, "", found.path, found.identity, found.note)
    folder = (run / "model").resolve()
    if not folder.is_dir():
        raise UserError(Problem(Mark(str(run.path)), "has no trained model", f"recipe resume {run.path}", "no-model"))
    identity, note = folder_identity(folder), f"the model of {run.path}"
    if not (folder / "adapter_config.json").is_file():
        return Target(name, str(folder), "", str(folder), identity, note)
    base = run.read("lock.json").get("model", {})
    if not base.get("path"):
        raise UserError(Problem(Mark(str(run / "lock.json")), "does not say which model the adapter belongs to", rule="no-model"))
    return Target(name, base["path"], str(folder), str(folder), f"{base.get('identity', '')}+{identity}", note)


def _run(name: str, runs: Path) -> RunFolder | None:
    """A run's directory, or a recipe's newest run with a model; None where the name is of something else."""
    if (Path(name) / "status.json").is_file():
        return RunFolder(Path(name))
    recipe = name.removeprefix("run:")
    if "/" in recipe or ":" in recipe or (not name.startswith("run:") and Path(name).is_dir()):
        return None
    return next((run for run in all_runs(runs, recipe) if (run / "model").is_dir()), None)
