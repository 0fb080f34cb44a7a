"""`matrix`: a sweep. Every combination of its values is an ordinary recipe, named after its values.

    matrix:
      training.learning_rate: [1e-4, 2e-4]
      training.lora_r: [8, 16]

makes four: `name-learning_rate-1e-4-lora_r-8` and so on, in the order of the file, the last key changing fastest. Keys that belong
together are set by the entries of a name without a dot; this makes two recipes:

    matrix:
      size:
        - {model.base_model: meta-llama/Llama-3.2-1B-Instruct, model.pad_token: <|finetune_right_pad_id|>, training.learning_rate: 2e-4}
        - {model.base_model: mistralai/Mistral-7B-Instruct-v0.3, training.learning_rate: 1e-4}
"""

import re
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from .base.errors import Problem, UserError
from .extends import with_value
from .yaml_source import Document

MOST = 256
SECTIONS = ("model", "data", "training", "launch", "evaluation", "export", "axolotl")
_LONGEST = 63  # characters of a recipe's name


class Combination(NamedTuple):
    """A recipe of the sweep, and its values."""

    document: Document
    values: dict[str, Any]


def combinations(document: Document, folder: Path) -> list[Combination]:
    """Return the recipes of the matrix; paths in it are relative to `folder`. Raises UserError for a key that cannot be set."""
    matrix: dict[str, list[Any]] = document.data["matrix"]
    refuse_keys(document, matrix)
    count = prod(map(len, matrix.values()))
    if count > MOST:
        raise UserError(
            Problem(document.location(("matrix",)), f"{count:,} combinations; the limit is {MOST}", "list fewer values", "matrix")
        )
    plain = document._replace(data={key: value for key, value in document.data.items() if key != "matrix"})
    found: list[Combination] = []
    names: set[str] = set()
    for chosen in product(*(range(len(values)) for values in matrix.values())):
        made, picked, named = plain, {}, {}
        for (key, values), index in zip(matrix.items(), chosen, strict=True):
            settings = set_by(key, values[index])
            named[key] = next(iter(settings.values()))
            for path, value in settings.items():
                place = ("matrix", key, index) if path == key else ("matrix", key, index, path)
                made = with_value(made, path.split("."), value, document.location(place), folder)
            picked |= settings
        name = combination_name(document.data["name"], named)
        name = _hashed(name, picked) if name in names else name
        names.add(name)
        data = {**made.data, "name": name}
        found.append(Combination(made._replace(data=data), picked))
    return found


def set_by(key: str, value: Any) -> dict[str, Any]:
    """Return the keys that a value of the matrix sets, with their values: one key, or all keys of an entry."""
    return value if "." not in key else {key: value}


def refuse_keys(document: Document, matrix: dict[str, list[Any]]) -> None:
    """Raise UserError for a path that is not a key of a section, and for a key that two parts of the matrix set."""
    hint = f"use a key of {', '.join(SECTIONS)}, e.g. training.lora_r; several keys together are entries, size: [{{...}}, {{...}}]"
    owner: dict[str, str] = {}
    for key, values in matrix.items():
        for index, value in enumerate(values):
            is_entry = "." not in key and isinstance(value, dict) and bool(value)
            for path in value if is_entry else (key,):
                location = document.location(("matrix", key, index, path) if is_entry else ("matrix", key), key=True)
                if path.partition(".")[0] not in SECTIONS or not all(path.split(".")[1:]) or "." not in path:
                    raise UserError(Problem(location, f"matrix: {path!r} is not a section.key", hint, "matrix"))
                if owner.setdefault(path, key) != key:
                    what = f"matrix: {path!r} is also set by {owner[path]!r}"
                    raise UserError(Problem(location, what, "set it in one of them", "matrix"))


def combination_name(name: str, values: dict[str, Any]) -> str:
    """Return the recipe's name with each key's last part and its value; a name that is too long ends in a hash."""
    parts = [name, *(word for key, value in values.items() for word in (_word(key.rpartition(".")[2]), _word(value)) if word)]
    whole = "-".join(parts)
    return whole if len(whole) <= _LONGEST else _hashed(whole, values)


def _hashed(name: str, values: dict[str, Any]) -> str:
    from hashlib import sha256

    digest = sha256(repr(values).encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - 9].rstrip('-_')}-{digest}"


def _word(value: Any) -> str:
    """Return a value in the characters allowed in a name: 0.0002 as 2e-4, a path by its stem."""
    if isinstance(value, float):
        text = f"{value:g}"
        if value and abs(value) < 0.01:
            digits, _, exponent = f"{value:.6e}".partition("e")
            text = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    else:
        text = str(value)
        text = Path(text).stem if "/" in text else text
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_")
