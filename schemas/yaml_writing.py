"""Write plain values as YAML that YAML 1.1 readers (PyYAML, Axolotl) and our own 1.2 reader read as the same values."""

import json
import re
from typing import Any

import yaml

from .yaml_source import KeyPath


class _Dumper(yaml.SafeDumper):
    """Quotes text that either version would read as a number, and writes floats so that 1.1 reads a float, not text (2e-4)."""


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if "\x85" in value else None  # PyYAML would fold this line break into a space
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(float, _float)
_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver(
    "recipekit:number", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|0o[0-7]+$"), list("-+.0123456789")
)


def to_yaml(values: Any) -> str:
    """Return block YAML in key order. Reading it gives equal values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def dotted(path: KeyPath) -> str:
    """Return a path in the form that --set takes: `data.sources.0.path`."""
    return ".".join(map(str, path))


def path_of(key: str) -> KeyPath:
    """Return the path of a dotted key; its numbers are positions in lists."""
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def one_line(value: Any) -> str:
    """Return the value as YAML on one line, with text quoted if necessary."""
    if isinstance(value, str | list | dict):
        plain = to_yaml(value).removesuffix("\n").removesuffix("\n...") if isinstance(value, str) else ""
        return plain if plain and "\n" not in plain else json.dumps(value, ensure_ascii=False)
    return "null" if value is None else to_yaml(value).splitlines()[0]
