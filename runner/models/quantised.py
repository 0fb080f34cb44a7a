"""Refuse weights that are stored quantised as a base model.

They can neither be measured in full precision nor merged, and what is predicted of memory would count packed bytes as weights.
"""

import re
from pathlib import Path

import orjson

from ...schemas.base.errors import Problem, UserError

_SUFFIX = re.compile(r"(?:-unsloth)?-(?:bnb-4bit|bnb-8bit|GPTQ(?:-Int[48])?|AWQ|FP8|[48]bit)$", re.IGNORECASE)


def require_unquantised(name: str, folder: Path | None) -> None:
    """Raise UserError if the config.json in the folder says that the weights are quantised. Without a folder nothing is known of them."""
    if folder is None or not (folder / "config.json").is_file():
        return
    config = orjson.loads((folder / "config.json").read_bytes())
    if not (quantisation := config.get("quantization_config")):
        return
    method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
    what = f"its weights are stored quantised ({method or 'quantization_config'}): they cannot be measured in full precision or merged"
    original = f", by its name {_SUFFIX.sub('', name)}" if _SUFFIX.search(name) else ""
    hint = f"use the model that it was made from{original}; adapter: qlora trains that in 4 bits"
    raise UserError(Problem(name, what, hint, "quantised-model"))
