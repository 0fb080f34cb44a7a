"""Read a model's configuration files: regular, bounded, and with values of the types that this tool computes with.

The library's own reader takes any JSON object, NaN and Infinity among its numbers. A list in place of a size has one for each layer.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...schemas.base.errors import Problem, UserError

MAX_BYTES = 16 << 20  # an index has a line for each tensor
MAX_SETTINGS_BYTES = 2 << 20  # of the others, which transformers copies key by key
MAX_LAYERS = 10_000
MAX_SIZE = (1 << 31) - 1
MAX_WORDS = 1 << 22
MAX_LABELS = 100_000  # transformers makes a name for each
SIZES = (
    "num_hidden_layers", "n_layer", "hidden_size", "n_embd", "num_attention_heads", "n_head", "num_key_value_heads", "head_dim",
    "intermediate_size", "n_inner", "vocab_size", "max_position_embeddings", "n_positions", "sliding_window", "num_labels",
)  # fmt: skip
_MOST = {"num_hidden_layers": MAX_LAYERS, "n_layer": MAX_LAYERS, "num_labels": MAX_LABELS, "vocab_size": MAX_WORDS}
_NOT_ZERO = SIZES[:6]
_TEXTS = ("model_type", "hidden_act", "hidden_activation")
_OBJECTS = ("text_config", "rope_parameters", "rope_scaling")
_TOKENS = ("eos_token_id", "bos_token_id", "pad_token_id")


def read_object(path: Path, most: int = MAX_SETTINGS_BYTES) -> dict[str, Any]:
    """Read a JSON object of at most `most` bytes. Raises UserError if the file is none."""
    if not path.is_file():
        raise unsafe(path, "is no regular file")
    if (size := path.stat().st_size) > most:
        raise unsafe(path, f"has {size:,} bytes; a configuration may have at most {most:,}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise unsafe(path, f"is not JSON: {str(error)[:200]}") from None
    if not isinstance(values, dict):
        raise unsafe(path, "is not a JSON object")
    return values


def model_config(folder: Path) -> dict[str, Any]:
    """Read the folder's config.json. Raises UserError if it cannot be that of a model."""
    path = folder / "config.json"
    values = read_object(path)
    if wrong := next(faults(values), ""):
        raise unsafe(path, wrong)
    return values


def faults(values: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the values of a config.json or generation_config.json."""
    for key in _OBJECTS:
        if not isinstance(values.get(key), dict | None):
            yield f"{key} is no object"
    inner = values.get("text_config")
    for part in (values, inner) if isinstance(inner, dict) else (values,):
        yield from (f"{key} is no text" for key in _TEXTS if not isinstance(part.get(key), str | None))
        for key in SIZES:
            if not _are_within(part.get(key), key in _NOT_ZERO, _MOST.get(key, MAX_SIZE)):
                yield f"{key} is no size: {str(part[key])[:40]}"
        yield from (f"{key} is no id of a token: {str(part[key])[:40]}" for key in _TOKENS if not _are_within(part.get(key), -1, MAX_SIZE))
        named = part.get("architectures")
        if named is not None and not (isinstance(named, list) and all(isinstance(name, str) for name in named)):
            yield "architectures is no list of names"


def _are_within(value: Any, least: int, most: int) -> bool:
    """Return whether the value, or each of a list, is a whole number within the limits, or there is none."""
    return value is None or all(_is_whole(item) and least <= item <= most for item in (value if isinstance(value, list) else [value]))


def _is_whole(value: Any) -> bool:
    return type(value) is int or (isinstance(value, float) and value.is_integer())  # MusicFlamingo has 1200.0 positions


def unsafe(path: Path, what: str) -> UserError:
    """Return the error for a file of a model that is not loaded."""
    return UserError(Problem(path, what, rule="unsafe-model"))
