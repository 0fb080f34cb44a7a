"""Keys and values on one line, as a person would write them in a recipe."""

import json
from typing import Any

from .yaml_source import KeyPath
from .yaml_writing import to_yaml


def dotted(path: KeyPath) -> str:
    """`data.sources.0.path`: the form that --set takes."""
    return ".".join(map(str, path))


def one_line(value: Any) -> str:
    """The value as YAML on one line; text that needs quotes has them."""
    if isinstance(value, str | list | dict):
        plain = to_yaml(value).removesuffix("\n").removesuffix("\n...") if isinstance(value, str) else ""
        return plain if plain and "\n" not in plain else json.dumps(value, ensure_ascii=False)
    return "null" if value is None else to_yaml(value).splitlines()[0]
