"""Resolve what chat, serve, predict and judges can use: a run, a recipe's newest run, or anything that a recipe may use as base model."""

from pathlib import Path
from typing import NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.hashing import folder_identity
from ...schemas.base.suggestion import did_you_mean
from ...schemas.extends import is_recipe_name, shipped_recipes
from ...schemas.paths import SUFFIXES
from ...schemas.recipe import load_recipe
from ...schemas.sections import Model
from ..runtime.find_run import all_runs, full_first, named_run, near_names, require_open
from ..runtime.run_files import LOCK, MANIFEST
from ..runtime.run_folder import RunFolder
from ..runtime.seals import require_sealed
from .config_file import model_config, read_object
from .folder_check import check_model_folder
from .hub import require_weights
from .known_config import public_models
from .resolve import ResolvedModel, model_of_run, resolve_model

ATTENTION = "sdpa"


class ModelReference(NamedTuple):
    """A model to load: `base` is a hub name (at `revision`) or a folder, `adapter` a folder or "".

    `identity` changes whenever the weights may have changed. `kind` is the record type that it was trained on if known, else "". `run` is
    the directory of its run, or "". The other fields are how training loaded it, the labels of a classifier, the token that ends a turn
    besides the model's own, the system prompt for chats without one, and the bits of a base model that was quantised for the training.
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
    trust_remote_code: bool = False
    attention: str = ATTENTION
    labels: tuple[str, ...] = ()
    end_of_turn: str | None = None
    system_prompt: str | None = None
    bits: int = 0


def resolve_target(name: str, runs: Path) -> ModelReference:
    """Return the model called `name`: a run, a recipe's newest run, a folder (relative, absolute or below ~), or a base model as in a
    recipe.

    The network is not used. Raises UserError if there is none.
    """
    if run := _run(name, runs):
        return _of_run(name, run)
    folder = Path(name).expanduser().absolute()
    if (folder / "adapter_config.json").is_file():
        return _of_adapter(name, folder, runs)
    if (folder / "config.json").is_file():
        name = str(folder)
    else:
        _refuse_misspelt(name, runs)
    found = resolve_model(Model(name), runs)
    return ModelReference(name, found.path, "", found.path, found.identity, found.note, kind=_kind(Path(found.path)))


def require_weights_of(target: ModelReference) -> None:
    """Raise UserError if the model's weights are neither on this machine nor on the hub: in a second, before torch is loaded."""
    if not Path(target.base).is_dir():
        require_weights(target.base, target.revision)


def _of_run(name: str, run: RunFolder) -> ModelReference:
    """Return the model of a run."""
    folder = (run / "model").resolve()
    if not folder.is_dir():
        raise run.no_model()
    recipe = load_recipe(run.recipe_file).recipe
    require_sealed(folder)
    is_smoke = run.status.get("smoke", False)
    identity, note = folder_identity(folder), f"the model of {run.path}" + (", a smoke run" if is_smoke else "")
    whole = ModelReference(
        recipe.name if Path(name).suffix in SUFFIXES else name,
        str(folder), "", str(folder), identity, note, kind=recipe.data.type, run=str(run.path),
        trust_remote_code=recipe.model.trust_remote_code, attention=recipe.model.attn_implementation or ATTENTION,
        labels=tuple((run.find(MANIFEST) or {}).get("labels", ())), end_of_turn=recipe.model.end_of_turn,
        system_prompt=recipe.data.system_prompt, bits=recipe.training.weight_bits,
    )  # fmt: skip
    if not (folder / "adapter_config.json").is_file():
        return whole
    base = base_of(whole)
    note = note if is_smoke else f"{note}, on {base.note}"  # the base of a smoke run says nothing of the model
    return whole._replace(base=base.base, adapter=str(folder), identity=f"{base.identity}+{identity}", note=note, revision=base.revision)


def _of_adapter(name: str, folder: Path, runs: Path) -> ModelReference:
    """Return an adapter that belongs to no run, on the base model that it names."""
    try:
        check_model_folder(folder)
        require_sealed(folder)
        config = read_object(folder / "adapter_config.json")
        base = config["base_model_name_or_path"]
        if not (isinstance(base, str) and base and isinstance(config.get("revision"), str | None)):
            raise TypeError("base_model_name_or_path and revision are texts")
        if config.get("task_type") == "SEQ_CLS":
            raise UserError(Problem(name, "is a classification adapter without its labels", "recipe merge RUN", "no-model"))
        found = resolve_model(Model(base), runs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"adapter_config.json does not name its base model: {error}"
        raise UserError(Problem(name, what, "merge it on the machine where it was trained", "no-model")) from None
    identity = f"{found.identity}+{folder_identity(folder)}"
    tokenizer = str(folder) if any(folder.glob("tokenizer*")) else found.path
    note = f"the adapter {folder}, on {found.note}"
    return ModelReference(name, found.path, str(folder), tokenizer, identity, note, config.get("revision"))


def base_of(target: ModelReference) -> ModelReference:
    """Return the base model of a run, with the run's tokenizer, so that both tokenize a prompt alike.

    Raises UserError if there is none, or if it has changed since; that of an adapter was looked at when the adapter was resolved.
    """
    if not target.run:
        raise UserError(Problem(target.name, "is not a run: it has no base model to compare with", rule="no-model"))
    run = RunFolder(Path(target.run))
    model = load_recipe(run.recipe_file).recipe.model
    base = ResolvedModel(**run.read(LOCK)["model"]) if target.adapter else model_of_run(run, model, run.path.parent.parent)
    path = target.base if target.adapter else base.path
    return target._replace(name="base", base=path, adapter="", identity=base.identity, note=base.note, revision=model.revision)


def _run(name: str, runs: Path) -> RunFolder | None:
    """Return the run of a directory, its model/, a name, or a recipe's newest run with a model; None if the name is something else."""
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file() and folder.name != "model":  # a model folder, for example a merged one
        return None
    if folder.suffix in SUFFIXES and folder.is_file():
        return _newest(load_recipe(name).recipe.name, runs)
    trained = _trained(name.removeprefix("run:"), runs)
    return trained if trained or name.startswith("run:") else named_run(name, runs)


def _trained(recipe: str, runs: Path) -> RunFolder | None:
    """Return a recipe's newest run with a model, if it has one; a smoke run only if it has no other."""
    return next((run for run in full_first(all_runs(runs, recipe)) if (run / "model").is_dir()), None)


def _newest(recipe: str, runs: Path) -> RunFolder:
    """Return a recipe's newest run with a model. Raises UserError if it has none."""
    if run := _trained(recipe, runs):
        return run
    require_open(recipe, runs)
    raise UserError(Problem(recipe, "has no run with a trained model", f"recipe run {recipe}", "no-model"))


def _refuse_misspelt(name: str, runs: Path) -> None:
    """Raise UserError for a name without an owner that is not a run, recipe or known model, instead of asking the hub for it."""
    if Path(name).absolute().is_relative_to(runs.absolute()):
        raise UserError(
            Problem(name, "no such run", near_names(Path(name).name, runs) or f"`recipe runs --runs-dir {runs}` lists them", "no-model")
        )
    if "/" in name or ":" in name or name in public_models():
        return
    if is_recipe_name(name):
        _newest(name, runs)
    require_open(name, runs)
    shipped = {path.stem for path in shipped_recipes()}
    hint = near_names(name, runs) or did_you_mean(name, sorted(shipped), cutoff=0.75)
    what = "no such run, recipe or model folder"
    raise UserError(Problem(name, what, f"{hint} A model on the hub is named OWNER/NAME".lstrip(), "no-model"))


def _kind(folder: Path) -> str:
    """Return `classification` if the folder's model has a classification head, else "": the chat template decides once it is loaded."""
    named = model_config(folder).get("architectures") if (folder / "config.json").is_file() else None
    return "classification" if named and named[0].endswith("ForSequenceClassification") else ""
