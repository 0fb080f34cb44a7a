"""Make the model of a smoke run: a tiny one of the recipe's own architecture, with seeded random weights.

Its configuration is derived from the real one (a folder, the hub), or from public_models.json. Its tokenizer is the real one if available,
else the embedded model's with the real one's special tokens and chat template.
"""

from collections.abc import Callable
from hashlib import sha256
from math import ceil, gcd
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import new_folder
from ...schemas.base.hashing import SEAL
from ...schemas.sections import Model
from ..runtime.child_environment import failure_of
from ..runtime.seals import seal_faults, write_seal
from .config_file import model_config
from .hub import SMALL_FILES, small_files
from .known_config import public_models

COMPLETE = "tiny.json"
VERSION = 1


class TinySource(NamedTuple):
    """The source of a tiny model. `tokens` and `chat_template` are added to the tokenizer in the folder `tokenizer`, unless `tokens` is
    None; `lacks` says what is not the model's own, to follow its name, or is ""."""

    config: dict[str, Any]
    tokenizer: str
    tokens: dict[str, Any] | None
    chat_template: str | None
    lacks: str = ""


class TinyModel(NamedTuple):
    """A tiny model in a folder."""

    folder: Path
    identity: str
    note: str


def tiny_model(model: Model, name: str, folder: Path | None, stand_in: Callable[[], Path], cache: Path) -> TinyModel:
    """Return the tiny model for the model called `name`, made on first use. Raises UserError if too little is known of the model.

    `folder` is the real model's, if it is local; `stand_in` finds the folder of the embedded model.
    """
    source = from_folder(name, folder) if folder else _from_hub(name, model.revision, stand_in)
    try:
        small = shrunk(source.config)
    except KeyError as error:
        raise _impossible(name, f"its configuration has no {error.args[0]}") from None
    versions = {"tiny": VERSION, "tokenizer": _digest(Path(source.tokenizer))}
    key = sha256(orjson.dumps([*source._replace(tokenizer="", lacks=""), small, versions], option=orjson.OPT_SORT_KEYS)).hexdigest()
    place = cache / "tiny-models" / f"{name.rpartition('/')[2].lower().replace(':', '-')[:60]}-{key[:8]}"
    if not (place / SEAL).is_file() or seal_faults(place):  # what was edited is not what the note says
        with new_folder(place, COMPLETE) as temporary:
            _build(temporary, name, source._asdict() | {"config": small})
            write_seal(temporary)
    return TinyModel(place, f"{name} tiny-{key}", f"a tiny random {name}{source.lacks}")


def from_folder(name: str, folder: Path) -> TinySource:
    """Return the source for a model in a folder, which may hold only its small files."""
    try:
        config = model_config(folder)
    except UserError as error:
        raise _impossible(name, f"its config.json cannot be read: it {error.problems[0].what}") from None
    if not config.get("architectures"):
        raise _impossible(name, "its config.json names no architecture")
    return TinySource(config, str(folder), None, None)


def _from_hub(name: str, revision: str | None, stand_in: Callable[[], Path]) -> TinySource:
    """Return the source from the model's small files, from the hub or its cache, or else from its public configuration."""
    found, why = None, ""
    try:
        found = small_files(name, revision)
    except UserError as error:
        why = error.problems[0].what
    known = public_models().get(name)
    if found and not (known and known.get("remote_code")):
        return from_folder(name, found)
    if known is None:
        raise _impossible(name, why)
    return TinySource(known["config"], str(stand_in()), known["tokens"], known["chat_template"], " with SmolLM2's tokenizer")


def _build(folder: Path, name: str, request: dict[str, Any]) -> None:
    """Write weights, configuration and tokenizer in a separate process, which imports torch."""
    (folder / COMPLETE).write_bytes(orjson.dumps(request, option=orjson.OPT_INDENT_2))
    if reason := failure_of("-m", "recipekit.runner.worker.tiny_model", str(folder)):
        raise _impossible(name, reason[:300])


def _digest(folder: Path) -> str:
    """Return a hash of the tokenizer's files."""
    digest = sha256()
    for path in sorted({path for pattern in SMALL_FILES[1:] for path in folder.glob(pattern) if path.is_file()}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _impossible(name: str, why: str) -> UserError:
    hint = "use another model for the smoke run: --set smoke.model.base_model=embedded:smollm2-135m-instruct"
    return UserError(Problem(name, f"no tiny model can be made from it for the smoke run: {why}", hint, "no-tiny-model"))


LAYERS = 2
HEADS = 4  # at least
HEAD_DIM = 16

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_WIDTH = ("hidden_size", "n_embd", "d_model")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_INNER = ("intermediate_size", "n_inner", "ffn_dim", "moe_intermediate_size", "shared_expert_intermediate_size")
_ALIGNED = 32


def shrunk(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of the tiny model. Raises KeyError with the name of a missing field."""
    layers, width, heads = (_field(config, names) for names in (_LAYERS, _WIDTH, _HEADS))
    many = config[heads]
    groups = config.get("num_key_value_heads") or many
    if lists := [key for key in ("num_key_value_heads", "head_dim") if isinstance(config.get(key), list)]:
        raise KeyError(f"single {lists[0]}")
    shared = gcd(many, groups)
    least = ceil(HEADS * shared / many)
    small_heads = many // shared * least
    small_width = small_heads * HEAD_DIM
    inner = {
        key: _aligned(small_width * config[key] / config[width]) for key in _INNER if config.get(key) and not isinstance(config[key], list)
    }
    changes = {layers: min(LAYERS, config[layers]), width: small_width, heads: small_heads, **inner}
    if "num_key_value_heads" in config:
        changes["num_key_value_heads"] = groups // shared * least
    if config.get("head_dim"):
        changes["head_dim"] = HEAD_DIM
    if config.get("rope_scaling"):  # longrope has a factor per pair of head dimensions
        pairs = (config.get("head_dim") or config[width] // many) // 2
        changes["rope_scaling"] = {
            key: value[: HEAD_DIM // 2] if isinstance(value, list) and len(value) == pairs else value
            for key, value in config["rope_scaling"].items()
        }
    per_layer = {key: value[: changes[layers]] for key, value in config.items() if isinstance(value, list) and len(value) == config[layers]}
    return {key: value for key, value in config.items() if key not in ("auto_map", "quantization_config")} | per_layer | changes


def _field(config: dict[str, Any], names: tuple[str, ...]) -> str:
    found = next((name for name in names if type(config.get(name)) is int and config[name] > 0), None)
    if found is None:
        raise KeyError(names[0])
    return found


def _aligned(size: float) -> int:
    return max(round(size / _ALIGNED), 1) * _ALIGNED
