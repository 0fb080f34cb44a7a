"""`matrix`: a sweep. Every combination of its values is an ordinary recipe, named by its values.

    matrix:
      training.learning_rate: [1e-4, 2e-4]
      training.lora_r: [8, 16]

makes four: `name-learning_rate-1e-4-lora_r-8` and so on, in the order of the file, the last key changing fastest.
"""

import re
from hashlib import sha256
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from .base.errors import Problem, UserError
from .extends import with_value
from .yaml_source import Document

MOST = 256
SECTIONS = ("model", "data", "training", "launch", "evaluation", "export", "axolotl")
_LONGEST = 63  # of a recipe's name


class Combination(NamedTuple):
    """A recipe of the sweep, and its values."""

    document: Document
    values: dict[str, Any]


def combinations(document: Document, folder: Path) -> list[Combination]:
    """Return the recipes of the matrix; paths in it are relative to `folder`. Raises UserError for a key that cannot be set."""
    matrix: dict[str, list[Any]] = document.data["matrix"]
    for key in matrix:
        if key.partition(".")[0] not in SECTIONS or not all(key.split(".")[1:]) or "." not in key:
            location, hint = document.location(("matrix", key), key=True), f"use a key of {', '.join(SECTIONS)}, e.g. training.lora_r"
            raise UserError(Problem(location, f"matrix: {key!r} is not a section.key", hint, "matrix"))
    count = prod(map(len, matrix.values()))
    if count > MOST:
        raise UserError(
            Problem(document.location(("matrix",)), f"{count:,} combinations; the limit is {MOST}", "list fewer values", "matrix")
        )
    plain = document._replace(data={key: value for key, value in document.data.items() if key != "matrix"})
    found: list[Combination] = []
    names: set[str] = set()
    for chosen in product(*(range(len(values)) for values in matrix.values())):
        made, picked = plain, {}
        for (key, values), index in zip(matrix.items(), chosen, strict=True):
            picked[key] = values[index]
            location = document.location(("matrix", key, index))
            made = with_value(made, key.split("."), values[index], location, folder)
        name = combination_name(document.data["name"], picked)
        name = _hashed(name, picked) if name in names else name
        names.add(name)
        data = {**made.data, "name": name}
        found.append(Combination(made._replace(data=data), picked))
    return found


def combination_name(name: str, values: dict[str, Any]) -> str:
    """Return the recipe's name with each key's last part and value; a name that is too long ends in a hash."""
    parts = [name, *(word for key, value in values.items() for word in (_word(key.rpartition(".")[2]), _word(value)) if word)]
    whole = "-".join(parts)
    return whole if len(whole) <= _LONGEST else _hashed(whole, values)


def _hashed(name: str, values: dict[str, Any]) -> str:
    digest = sha256(repr(values).encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - 9].rstrip('-_')}-{digest}"


def _word(value: Any) -> str:
    """Return a value in the characters of a name: 0.0002 as 2e-4, a path by its stem."""
    if isinstance(value, float):
        text = f"{value:g}"
        if value and abs(value) < 0.01:
            digits, _, exponent = f"{value:.6e}".partition("e")
            text = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    else:
        text = str(value)
        text = Path(text).stem if "/" in text else text
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_")
