"""Values against a JSON Schema: jsonschema-rs decides (fast), jsonschema explains (only when something is wrong)."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from .base.errors import Problem
from .yaml_source import Document, KeyPath

SCHEMA_DIR = Path(__file__).parent


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema called `name`: recipe, chat, classification, text or manifest."""
    import orjson  # here: checking a valid recipe never needs the schema as values

    return orjson.loads(_text(name))


def _text(name: str) -> str:
    return (SCHEMA_DIR / f"{name}.schema.json").read_text("utf-8")


def schema_names() -> list[str]:
    """The names of the schemas that we ship."""
    return sorted(path.name.removesuffix(".schema.json") for path in SCHEMA_DIR.glob("*.schema.json"))


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    """The compiled validator. `offline`: by default jsonschema-rs would follow a `$ref` to any address or file."""
    return jsonschema_rs.validator_for(_text(name), offline=True)


def check_document(document: Document, name: str = "recipe") -> list[Problem]:
    """Every way in which the document breaks the schema, with places and hints; empty when it does not."""
    if validator(name).is_valid(document.data):
        return []
    from .schema_errors import explain

    return explain(document, schema(name)) or [_unexplained(document, name)]


def _unexplained(document: Document, name: str) -> Problem:
    """The first error in jsonschema-rs's own words, should jsonschema ever see none: what one of them refuses is refused."""
    error = next(iter(validator(name).iter_errors(document.data)))
    return Problem(document.location(tuple(error.instance_path)), error.message[:200], rule="schema")


@cache
def key_paths(name: str = "recipe") -> tuple[str, ...]:
    """Every key of the schema as section.key, in the schema's order."""
    root = schema(name)

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
    """The part of the schema that describes the value at `path`; {} where the schema says nothing."""
    node = root
    for part in path:
        node = resolve(root, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            others = node.get("additionalProperties")
            node = node.get("properties", {}).get(part) or (others if isinstance(others, dict) else {})
    return resolve(root, node)
