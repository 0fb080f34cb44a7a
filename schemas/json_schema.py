"""The shipped JSON Schemas, and the keys that they describe."""

import json  # `recipe check` needs the schema, and importing orjson would take longer than json takes to read it
from functools import cache
from pathlib import Path
from typing import Any

from .yaml_source import KeyPath

SCHEMA_DIR = Path(__file__).parent


@cache
def schema(name: str) -> dict[str, Any]:
    """Return the schema `name`: recipe, chat, classification, text, manifest or run."""
    return json.loads(schema_text(name))


def schema_text(name: str) -> str:
    """Return the schema's JSON text."""
    return (SCHEMA_DIR / f"{name}.schema.json").read_text("utf-8")


def schema_names() -> list[str]:
    """Return the names of the shipped schemas."""
    return sorted(path.name.removesuffix(".schema.json") for path in SCHEMA_DIR.glob("*.schema.json"))


@cache
def axolotl_fields() -> dict[str, Any]:
    """Return how recipes treat each field of Axolotl: see schemas/axolotl_keys.py."""
    return json.loads((SCHEMA_DIR / "axolotl_fields.json").read_bytes())


@cache
def key_paths() -> tuple[str, ...]:
    """Return every key of a recipe as section.key, in the schema's order."""
    root = schema("recipe")

    def walk(node: dict[str, Any], prefix: str) -> list[str]:
        node = resolve(root, node)
        found = []
        for key, child in node.get("properties", {}).items():
            path = f"{prefix}.{key}" if prefix else key
            found += [path, *walk(child, path)]
        return found

    return tuple(walk(root, ""))


def resolve(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a local `$ref`."""
    while "$ref" in node:
        target: Any = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def subschema(root: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """Return the part of the schema that describes the value at `path`; {} if none does."""
    node = root
    for part in path:
        node = resolve(root, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            others = node.get("additionalProperties")
            node = node.get("properties", {}).get(part) or (others if isinstance(others, dict) else {})
    return resolve(root, node)
